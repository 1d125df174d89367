//! The helper threads behind a [`Resolver`](crate::Resolver), and their work.

use std::collections::TryReserveError;
use std::hint;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Instant;

use crate::addr::Family;
use crate::alloc;
use crate::host::HOST_MAX;
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use crate::system::{Configuration, Found, LookupError, NameService};
use crate::text::Text;

#[cfg(all(test, loom))]
mod loom_model;

/// Stack of a helper thread. glibc's and musl's resolvers need below 64 KiB, but
/// the modules of nsswitch.conf (systemd, LDAP, Samba) parse JSON or speak TLS
/// on it, and glibc takes the static TLS of all libraries from it. Only pages
/// that are touched cost memory.
pub const HELPER_STACK: usize = 512 * 1024;

/// Starts a thread that calls [`Helper::run`] and has a stack of
/// [`HELPER_STACK`] bytes.
pub type Spawn = fn(Helper) -> io::Result<()>;

/// The work of a helper thread, to be run on one.
pub struct Helper(&'static Resolver);

impl Helper {
    /// Answers questions until there are none for a while.
    pub fn run(self) {
        self.0.serve(Server::Helper);
    }
}

/// Who asks the system resolver.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    Helper,
    /// Where no thread can be started.
    Caller,
}

/// By the standard library, which ends the process when memory runs out.
pub(crate) fn spawn(helper: Helper) -> io::Result<()> {
    let builder = thread::Builder::new().stack_size(HELPER_STACK);
    builder.spawn(move || helper.run()).map(drop)
}

/// Notified when an answer of a [`Lookup`](crate::Lookup) is available; closures
/// implement it.
pub trait Wake: Send {
    /// Called once for each answer, on a helper thread, or on that of a caller where none
    /// can be started, with the resolver locked: do not wait, and do not call the
    /// resolver.
    fn wake(&self);
}

impl<F: Fn() + Send> Wake for F {
    fn wake(&self) {
        self();
    }
}

/// How busy a [`Resolver`](crate::Resolver) is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// Helper threads alive, busy or idle.
    pub threads: usize,
    /// Questions with the system resolver, including those whose answers are not
    /// wanted anymore.
    pub running: usize,
    /// Questions waiting for a thread.
    pub queued: usize,
}

/// Resolves names on a pool of helper threads, which use it until the process ends:
/// it is always `'static`. All methods may be called from all threads, and none waits
/// for a lookup, unless no helper thread can be started: then [`Resolver::lookup`] makes
/// it itself.
///
/// ```
/// use std::sync::{LazyLock, mpsc};
/// use anjay_net_resolve::{Family, Found, LookupError, Resolver};
///
/// fn query(name: &str, family: Family) -> Found {
///     match (name, family) {
///         ("server.example", Family::V4) => Ok(vec!["192.0.2.1:0".parse().unwrap()]),
///         _ => Err(LookupError::NotFound),
///     }
/// }
/// static RESOLVER: LazyLock<Resolver> = LazyLock::new(|| Resolver::new(&query));
///
/// let (sender, answered) = mpsc::channel();
/// let waker = Box::new(move || _ = sender.send(()));
/// let families = [Family::V4].into_iter().collect();
/// let mut lookup = RESOLVER.lookup("server.example", families, waker)?;
/// answered.recv().unwrap();
/// let (family, found) = lookup.poll().unwrap();
/// assert_eq!((family, found?.len()), (Family::V4, 1));
/// # Ok::<(), LookupError>(())
/// ```
pub struct Resolver {
    pub(crate) service: &'static dyn NameService,
    spawn: Spawn,
    state: Mutex<State>,
    /// Notified when a question has joined the queue.
    work: Condvar,
}

/// Searches are linear: at most one question for each thread is running, and one
/// is queued for each name that a caller waits for right now.
#[derive(Default)]
struct State {
    /// In the order in which they came.
    questions: Vec<Question>,
    waiters: Vec<Waiter>,
    /// Threads alive or about to be.
    threads: usize,
    /// Those of them that wait for work.
    idle: usize,
    /// The id of the last question or waiter.
    last_id: u64,
}

/// A name and a family, as asked by one or more lookups.
#[derive(Clone, Copy)]
struct Question {
    id: u64,
    name: Text<{ HOST_MAX + 1 }>,
    family: Family,
    /// With the system resolver; else it is queued.
    running: Option<Running>,
}

#[derive(Clone, Copy)]
struct Running {
    since: Instant,
    configuration: Configuration,
}

/// A lookup: what it waits for and what it has got.
struct Waiter {
    id: u64,
    wake: Box<dyn Wake>,
    parts: [Part; 2],
}

/// What a lookup has of one family.
enum Part {
    /// Not asked for, or taken.
    None,
    /// Waits for the question with this id.
    Asked(u64),
    Answered(Found),
}

impl Waiter {
    fn part(&mut self, family: Family) -> &mut Part {
        let [v4, v6] = &mut self.parts;
        match family {
            Family::V4 => v4,
            Family::V6 => v6,
        }
    }

    fn awaits(&self, id: u64) -> bool {
        let is_it = |part: &Part| matches!(part, Part::Asked(question) if *question == id);
        self.parts.iter().any(is_it)
    }
}

impl State {
    fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn waiter(&mut self, id: u64) -> Option<&mut Waiter> {
        self.waiters.iter_mut().find(|waiter| waiter.id == id)
    }

    /// The same question, if a further waiter can join it: one that is still
    /// queued, or one that has begun lately and under the configuration that a
    /// query would have now.
    fn to_join(&self, name: &str, family: Family, service: &dyn NameService) -> Option<u64> {
        let mut same = self.questions.iter().filter(|it| it.asks(name, family));
        if let Some(queued) = same.clone().find(|question| question.running.is_none()) {
            return Some(queued.id);
        }
        let join_within = service.settings().join_within;
        let is_young = |running: &Running| running.since.elapsed() < join_within;
        let mut now = None;
        let joined = same.find(|question| {
            question.running.filter(is_young).is_some_and(|running| {
                running.configuration == *now.get_or_insert_with(|| service.configuration())
            })
        });
        joined.map(|question| question.id)
    }

    /// Queues a question; the id is that of the question.
    fn queue(&mut self, name: &str, family: Family) -> Result<u64, LookupError> {
        // One that is too long for DNS.
        if name.len() > HOST_MAX {
            return Err(LookupError::NotFound);
        }
        self.questions.try_reserve(1)?;
        let id = self.new_id();
        self.questions.push(Question {
            id,
            name: name.into(),
            family,
            running: None,
        });
        Ok(id)
    }

    fn queued(&self) -> impl Iterator<Item = &Question> {
        let queued = |question: &&Question| question.running.is_none();
        self.questions.iter().filter(queued)
    }

    /// Removes the waiter, and queued questions without any.
    fn cancel(&mut self, id: u64) -> Option<Waiter> {
        let index = self.waiters.iter().position(|waiter| waiter.id == id)?;
        let waiter = self.waiters.swap_remove(index);
        let waiters = &self.waiters;
        self.questions.retain(|question| {
            question.running.is_some() || waiters.iter().any(|it| it.awaits(question.id))
        });
        Some(waiter)
    }

    /// Hands the answer to a question out, and removes that.
    fn finish(&mut self, id: u64, answer: &Found) {
        self.questions.retain(|question| question.id != id);
        for waiter in &mut self.waiters {
            for part in &mut waiter.parts {
                if matches!(part, Part::Asked(question) if *question == id) {
                    *part = Part::Answered(copy(answer));
                    let wake = || waiter.wake.wake();
                    let _ = catch_unwind(AssertUnwindSafe(wake));
                }
            }
        }
    }
}

impl Question {
    fn asks(&self, name: &str, family: Family) -> bool {
        *self.name == *name && self.family == family
    }
}

impl Resolver {
    /// A pool without threads.
    pub(crate) fn with_threads(service: &'static dyn NameService, spawn: Spawn) -> Self {
        Resolver {
            service,
            spawn,
            state: Mutex::new(State::default()),
            work: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn threads_max(&self) -> usize {
        self.service.settings().max_threads.max(1)
    }

    /// How busy the pool is now.
    #[must_use]
    pub fn load(&self) -> Load {
        let state = self.lock();
        let queued = state.queued().count();
        Load {
            threads: state.threads,
            running: state.questions.len() - queued,
            queued,
        }
    }

    /// Adds a lookup that has not asked for anything yet; returns its id.
    pub(crate) fn enter(&self, wake: Box<dyn Wake>) -> Result<u64, TryReserveError> {
        let mut state = self.lock();
        state.waiters.try_reserve(1)?;
        let id = state.new_id();
        state.waiters.push(Waiter {
            id,
            wake,
            parts: [Part::None, Part::None],
        });
        Ok(id)
    }

    /// Has a lookup answered without a question.
    pub(crate) fn answer(&self, waiter: u64, family: Family, found: Found) {
        if let Some(waiter) = self.lock().waiter(waiter) {
            *waiter.part(family) = Part::Answered(found);
        }
    }

    /// Has a lookup join the question if it has just been asked, else asks it.
    #[inline(never)]
    pub(crate) fn ask(&'static self, waiter: u64, name: &str, family: Family) {
        let mut state = self.lock();
        let joined = state.to_join(name, family, self.service);
        let question = joined.map_or_else(|| state.queue(name, family), Ok);
        let part = question.map_or_else(|error| Part::Answered(Err(error)), Part::Asked);
        let is_new = joined.is_none() && matches!(part, Part::Asked(_));
        if let Some(waiter) = state.waiter(waiter) {
            *waiter.part(family) = part;
        }
        if is_new {
            self.find_thread(state);
        }
    }

    /// Takes the answer of a family, if it is there.
    pub(crate) fn take(&self, waiter: u64, family: Family) -> Option<Found> {
        let mut state = self.lock();
        let part = state.waiter(waiter)?.part(family);
        match mem::replace(part, Part::None) {
            Part::Answered(found) => Some(found),
            other => {
                *part = other;
                None
            }
        }
    }

    /// Removes a waiter.
    pub(crate) fn cancel(&self, waiter: u64) {
        let waiter = self.lock().cancel(waiter);
        // Its waker is the caller's code, so not dropped under the lock.
        drop(waiter);
    }

    /// Whether the question of a waiter has reached the system resolver, or an
    /// older one of the same name that this one did not join.
    pub(crate) fn started(&self, waiter: u64, family: Family) -> bool {
        let mut state = self.lock();
        let Some(Part::Asked(id)) = state.waiter(waiter).map(|waiter| waiter.part(family)) else {
            return true;
        };
        let id = *id;
        let asked = state.questions.iter().find(|question| question.id == id);
        asked.is_none_or(|asked| {
            let same = |it: &&Question| it.asks(&asked.name, family);
            let mut same = state.questions.iter().filter(same);
            same.any(|question| question.running.is_some())
        })
    }

    /// Finds or starts a thread for the question that has just been queued.
    fn find_thread(&'static self, mut state: MutexGuard<'_, State>) {
        // An idle thread that was notified, but has not woken up yet, still
        // counts as idle, and what it was notified for still as queued.
        let taken = state.queued().count() <= state.idle;
        if taken || state.threads >= self.threads_max() {
            self.work.notify_one();
            return;
        }
        state.threads += 1;
        // Starting a thread takes system calls.
        drop(state);
        if (self.spawn)(Helper(self)).is_err() {
            self.serve_without_helper(has_memory());
        }
    }

    /// No thread could be started. If there is none at all, the caller asks the system
    /// resolver itself, for as long as that takes; but not where memory has run out,
    /// which ends the process in some versions of glibc.
    #[cold]
    fn serve_without_helper(&self, has_memory: bool) {
        let mut state = self.lock();
        if state.threads == 1 && has_memory {
            drop(state);
            return self.serve(Server::Caller);
        }
        state.threads -= 1;
        if state.threads > 0 {
            return;
        }
        loop {
            let next = state.queued().next().map(|question| question.id);
            let Some(id) = next else { return };
            state.finish(id, &Err(LookupError::System(libc::ENOMEM)));
        }
    }

    /// The life of a helper thread, which waits for further questions; or what the caller
    /// does in its place, until nothing is queued or there is a thread again.
    fn serve(&self, server: Server) {
        let mut state = self.lock();
        loop {
            let mut questions = state.questions.iter_mut();
            if let Some(question) = questions.find(|question| question.running.is_none()) {
                question.running = Some(Running {
                    since: Instant::now(),
                    configuration: self.service.configuration(),
                });
                let question = *question;
                drop(state);
                let answer = self.query(&question);
                state = self.lock();
                state.finish(question.id, &answer);
                // Only here, where no notification was taken from another thread.
                if state.threads > self.threads_max()
                    || (server == Server::Caller && state.threads > 1)
                {
                    break;
                }
                continue;
            }
            if server == Server::Caller {
                break;
            }
            state.idle += 1;
            let idle = self.service.settings().idle;
            let waited = self.work.wait_timeout(state, idle);
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if timeout.timed_out() && state.queued().next().is_none() {
                break;
            }
        }
        state.threads -= 1;
    }

    fn query(&self, question: &Question) -> Found {
        let query = || self.service.query(&question.name, question.family);
        let found = catch_unwind(AssertUnwindSafe(query)).unwrap_or(Err(LookupError::Panicked))?;
        if found.is_empty() {
            return Err(LookupError::NoAddress);
        }
        Ok(found)
    }
}

/// Whether as much memory can be had as a thread takes.
fn has_memory() -> bool {
    let mut memory = Vec::<u8>::new();
    let reserved = memory.try_reserve_exact(HELPER_STACK);
    // Else the compiler may leave the attempt out.
    hint::black_box(&memory);
    reserved.is_ok()
}

#[inline(never)]
fn copy(found: &Found) -> Found {
    let addrs = found.as_ref().map_err(|error| *error)?;
    Ok(alloc::copy(addrs)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::LookupSettings;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, OnceLock};

    #[test]
    fn without_any_thread_or_memory_all_waiters_get_the_error() {
        static POOL: OnceLock<Resolver> = OnceLock::new();
        fn service(_: &str, _: Family) -> Found {
            unreachable!()
        }
        let pool = POOL.get_or_init(|| Resolver::with_threads(&service, spawn));
        let woken = Arc::new(AtomicUsize::new(0));
        // As if the system refused the only thread while two questions wait.
        pool.lock().threads = LookupSettings::default().max_threads;
        let waiters = ["a.example", "b.example"].map(|name| {
            let woken = Arc::clone(&woken);
            let wake = move || _ = woken.fetch_add(1, Ordering::SeqCst);
            let waiter = pool.enter(Box::new(wake)).unwrap();
            pool.ask(waiter, name, Family::V4);
            waiter
        });
        pool.lock().threads = 2;
        pool.serve_without_helper(false);
        let answer = pool.take(waiters[0], Family::V4);
        assert_eq!(answer, None, "the other thread will see to it");
        pool.serve_without_helper(false);
        for waiter in waiters {
            let expected = Err(LookupError::System(libc::ENOMEM));
            assert_eq!(pool.take(waiter, Family::V4), Some(expected));
        }
        assert_eq!(woken.load(Ordering::SeqCst), 2);
        assert_eq!(pool.load(), Load::default());
    }

    #[test]
    fn without_any_thread_the_caller_asks() {
        static POOL: OnceLock<Resolver> = OnceLock::new();
        fn service(_: &str, _: Family) -> Found {
            Ok(vec![([192, 0, 2, 1], 0).into()])
        }
        let no_thread = |_| Err(io::Error::from_raw_os_error(libc::EAGAIN));
        let pool = POOL.get_or_init(|| Resolver::with_threads(&service, no_thread));
        let waiter = pool.enter(Box::new(|| {})).unwrap();
        let ask = |name| {
            pool.ask(waiter, name, Family::V4);
            pool.take(waiter, Family::V4)
        };
        assert!(matches!(ask("a.example"), Some(Ok(_))));
        // As if another one were about to start.
        pool.lock().threads = 1;
        assert_eq!(ask("b.example"), None, "the other thread will see to it");
        pool.serve(Server::Caller);
        assert!(matches!(pool.take(waiter, Family::V4), Some(Ok(_))));
        pool.cancel(waiter);
        assert_eq!(pool.load(), Load::default());
    }
}
