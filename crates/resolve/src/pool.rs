//! The helper threads behind [`Resolver`](crate::Resolver), and their work.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::addr::Family;
use crate::system::{Configuration, LookupError, NameService};

/// Stack of a helper thread. glibc's and musl's resolvers need below 64 KiB, but
/// the modules of nsswitch.conf (systemd, LDAP, Samba) parse JSON or speak TLS
/// on it, and glibc takes the static TLS of all libraries from it. Only pages
/// that are touched cost memory.
pub const HELPER_STACK: usize = 512 * 1024;

/// Starts a thread that calls [`Helper::run`] and has a stack of
/// [`HELPER_STACK`] bytes.
pub type Spawn = fn(Helper) -> io::Result<()>;

/// The work of a helper thread, to be run on one.
pub struct Helper(Arc<Pool>);

impl Helper {
    /// Answers questions until there are none for a while.
    pub fn run(self) {
        self.0.serve();
    }
}

/// By the standard library, which ends the process when memory runs out.
pub(crate) fn spawn(helper: Helper) -> io::Result<()> {
    let builder = thread::Builder::new().stack_size(HELPER_STACK);
    builder.spawn(move || helper.run()).map(drop)
}

/// What a lookup comes to: addresses with port 0, at least one, in the order of
/// the system resolver.
pub type Answer = Result<Arc<[SocketAddr]>, LookupError>;

/// Told that a [`Lookup`](crate::Lookup) has its answer. Closures are wakers,
/// too.
pub trait Wake: Send + Sync {
    /// Called at most once, on a helper thread, so it must be quick: set a flag,
    /// notify, write to a pipe.
    fn wake(&self);
}

impl<F: Fn() + Send + Sync> Wake for F {
    fn wake(&self) {
        self();
    }
}

/// Limits of a [`Resolver`](crate::Resolver).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LookupSettings {
    /// Most helper threads at once, which is most unfinished lookups; 0 counts
    /// as 1. Default 8: four names, each asked for both families.
    pub max_threads: usize,
    /// How long a thread waits for more work before it ends. Default 1 s: a
    /// thread is cheap compared with a lookup.
    pub idle: Duration,
    /// How old a question may be that a further lookup of the same name joins.
    /// An older one hangs at a server that may be back by now, or replaced, so
    /// the name is asked for again. Default 2 s.
    pub join_within: Duration,
}

impl Default for LookupSettings {
    fn default() -> Self {
        LookupSettings {
            max_threads: 8,
            idle: Duration::from_secs(1),
            join_within: Duration::from_secs(2),
        }
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

pub(crate) struct Pool {
    service: Arc<dyn NameService>,
    spawn: Spawn,
    state: Mutex<State>,
    /// Notified when a question has joined the queue.
    work: Condvar,
}

/// A name and a family, as asked by one or more lookups.
pub(crate) struct Question {
    pub(crate) name: Box<str>,
    pub(crate) family: Family,
    pub(crate) asked_at: Instant,
    /// Set once, after the question has left `queue` and `running` for good.
    answer: OnceLock<Answer>,
    /// Used with the lock of the pool.
    answered: Condvar,
}

impl Question {
    fn new(name: &str, family: Family) -> Self {
        Question {
            name: name.into(),
            family,
            asked_at: Instant::now(),
            answer: OnceLock::new(),
            answered: Condvar::new(),
        }
    }

    /// A question that no pool has to answer.
    pub(crate) fn answered<'a>(
        name: &str,
        family: Family,
        addrs: impl Iterator<Item = &'a SocketAddr>,
    ) -> Arc<Self> {
        let question = Question::new(name, family);
        let _ = question.answer.set(to_answer(addrs.copied().collect()));
        Arc::new(question)
    }

    /// The answer, if it is there.
    pub(crate) fn answer(&self) -> Option<Answer> {
        self.answer.get().cloned()
    }
}

/// Each question is in `queue` until a thread takes it, then in `running` until
/// it is answered. Searches are linear: `running` has at most one entry for each
/// thread, `queue` one for each name that a caller waits for right now.
struct State {
    settings: LookupSettings,
    queue: Vec<Entry>,
    running: Vec<Running>,
    /// Threads alive or about to be.
    threads: usize,
    /// Those of them that wait for work.
    idle: usize,
    /// The id of the last waiter.
    last_id: u64,
}

struct Entry {
    question: Arc<Question>,
    waiters: Vec<Waiter>,
}

/// A question that is with the system resolver.
struct Running {
    entry: Entry,
    since: Instant,
    configuration: Configuration,
}

struct Waiter {
    id: u64,
    waker: Arc<dyn Wake>,
}

impl State {
    /// The entry of the same question that a further waiter can join: one that
    /// is still queued, or one that has begun lately and under the configuration
    /// that a query would have now.
    fn entry_to_join(
        &mut self,
        name: &str,
        family: Family,
        service: &dyn NameService,
    ) -> Option<&mut Entry> {
        if let Some(index) = self.queue.iter().position(|entry| entry.asks(name, family)) {
            return self.queue.get_mut(index);
        }
        let join_within = self.settings.join_within;
        let mut young = self
            .running
            .iter_mut()
            .filter(|running| {
                running.entry.asks(name, family) && running.since.elapsed() < join_within
            })
            .peekable();
        young.peek()?;
        let configuration = service.configuration();
        young
            .find(|running| running.configuration == configuration)
            .map(|running| &mut running.entry)
    }

    /// Removes the waiter, and a queued question without any.
    fn cancel(&mut self, question: &Arc<Question>, id: u64) -> Option<Waiter> {
        let is_it = |running: &&mut Running| running.entry.is(question);
        if let Some(running) = self.running.iter_mut().find(is_it) {
            return running.entry.remove(id);
        }
        let index = self.queue.iter().position(|entry| entry.is(question))?;
        let entry = self.queue.get_mut(index)?;
        let waiter = entry.remove(id);
        if entry.waiters.is_empty() {
            self.queue.remove(index);
        }
        waiter
    }

    /// Removes the finished question from `running`.
    fn finish(&mut self, question: &Arc<Question>) -> Option<Entry> {
        let is_it = |running: &Running| running.entry.is(question);
        let index = self.running.iter().position(is_it)?;
        Some(self.running.swap_remove(index).entry)
    }
}

impl Entry {
    fn is(&self, question: &Arc<Question>) -> bool {
        Arc::ptr_eq(&self.question, question)
    }

    fn asks(&self, name: &str, family: Family) -> bool {
        *self.question.name == *name && self.question.family == family
    }

    fn remove(&mut self, id: u64) -> Option<Waiter> {
        let index = self.waiters.iter().position(|waiter| waiter.id == id)?;
        Some(self.waiters.swap_remove(index))
    }

    /// Publishes the answer. The lock keeps a waiter from missing it between its
    /// look at the answer and its wait.
    fn publish(&self, answer: Answer, _locked: &State) {
        let _ = self.question.answer.set(answer);
        self.question.answered.notify_all();
    }

    /// Calls wakers: the caller's code, so not under the lock, and contained.
    fn wake(self) {
        for waiter in self.waiters {
            let _ = catch_unwind(AssertUnwindSafe(move || waiter.waker.wake()));
        }
    }
}

impl Pool {
    /// A pool without threads.
    pub(crate) fn new(
        settings: LookupSettings,
        service: Arc<dyn NameService>,
        spawn: Spawn,
    ) -> Self {
        let state = State {
            settings,
            queue: Vec::new(),
            running: Vec::new(),
            threads: 0,
            idle: 0,
            last_id: 0,
        };
        Pool {
            service,
            spawn,
            state: Mutex::new(state),
            work: Condvar::new(),
        }
    }

    pub(crate) fn configure(&self, settings: LookupSettings) {
        self.state.lock().settings = settings;
    }

    /// A pool with the configuration of this one, whose lock may be held forever
    /// by a thread of the process that this one was forked from: then its limits
    /// are the default ones.
    pub(crate) fn successor(&self) -> Pool {
        let settings = self.state.try_lock().map(|state| state.settings);
        Pool::new(
            settings.unwrap_or_default(),
            Arc::clone(&self.service),
            self.spawn,
        )
    }

    pub(crate) fn service(&self) -> &dyn NameService {
        &*self.service
    }

    pub(crate) fn load(&self) -> Load {
        let state = self.state.lock();
        Load {
            threads: state.threads,
            running: state.running.len(),
            queued: state.queue.len(),
        }
    }

    /// Joins the question if it has just been asked, else adds it to the queue.
    /// Returns the question and the id of the waiter.
    pub(crate) fn join(
        self: &Arc<Self>,
        name: &str,
        family: Family,
        waker: Arc<dyn Wake>,
    ) -> (Arc<Question>, u64) {
        let mut state = self.state.lock();
        state.last_id += 1;
        let id = state.last_id;
        let waiter = Waiter { id, waker };
        if let Some(entry) = state.entry_to_join(name, family, &*self.service) {
            entry.waiters.push(waiter);
            return (Arc::clone(&entry.question), id);
        }
        let question = Arc::new(Question::new(name, family));
        state.queue.push(Entry {
            question: Arc::clone(&question),
            waiters: vec![waiter],
        });
        self.find_thread(state);
        (question, id)
    }

    /// Removes a waiter.
    pub(crate) fn cancel(&self, question: &Arc<Question>, id: u64) {
        let waiter = self.state.lock().cancel(question, id);
        // Its waker is the caller's code, so not dropped under the lock.
        drop(waiter);
    }

    /// Whether the question has reached the system resolver, or an older one of
    /// the same name that this one did not join.
    pub(crate) fn started(&self, question: &Question) -> bool {
        let state = self.state.lock();
        let mut running = state.running.iter();
        question.answer.get().is_some()
            || running.any(|running| running.entry.asks(&question.name, question.family))
    }

    /// Blocks until the question is answered, but not beyond `deadline`.
    pub(crate) fn wait_until(&self, question: &Question, deadline: Instant) {
        let mut state = self.state.lock();
        while question.answer.get().is_none() {
            let result = question.answered.wait_until(&mut state, deadline);
            if result.timed_out() {
                return;
            }
        }
    }

    /// Finds or starts a thread for the question that has just been queued.
    fn find_thread(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        // An idle thread that was notified, but has not woken up yet, still
        // counts as idle, and what it was notified for still as queued.
        let taken = state.queue.len() <= state.idle;
        if taken || state.threads >= state.settings.max_threads.max(1) {
            self.work.notify_one();
            return;
        }
        state.threads += 1;
        // Starting a thread takes system calls.
        drop(state);
        if let Err(error) = (self.spawn)(Helper(Arc::clone(self))) {
            self.spawn_failed(error);
        }
    }

    /// Without any thread nothing that is queued would ever be answered.
    fn spawn_failed(&self, error: io::Error) {
        let mut state = self.state.lock();
        state.threads -= 1;
        if state.threads > 0 {
            return;
        }
        let queue = mem::take(&mut state.queue);
        let answer = Err(error.into());
        queue
            .iter()
            .for_each(|entry| entry.publish(answer.clone(), &state));
        drop(state);
        queue.into_iter().for_each(Entry::wake);
    }

    /// The life of a helper thread.
    fn serve(&self) {
        let mut state = self.state.lock();
        loop {
            if !state.queue.is_empty() {
                let entry = state.queue.remove(0);
                self.answer(entry, &mut state);
                // Only here, where no notification was taken from another thread.
                if state.threads > state.settings.max_threads.max(1) {
                    break;
                }
                continue;
            }
            state.idle += 1;
            let idle = state.settings.idle;
            let timed_out = self.work.wait_for(&mut state, idle).timed_out();
            state.idle -= 1;
            if timed_out && state.queue.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }

    fn answer(&self, entry: Entry, state: &mut MutexGuard<'_, State>) {
        let question = Arc::clone(&entry.question);
        state.running.push(Running {
            entry,
            since: Instant::now(),
            configuration: self.service.configuration(),
        });
        let answer = MutexGuard::unlocked(state, || self.ask(&question));
        if let Some(entry) = state.finish(&question) {
            entry.publish(answer, state);
            MutexGuard::unlocked(state, || entry.wake());
        }
    }

    fn ask(&self, question: &Question) -> Answer {
        let ask = || self.service.query(&question.name, question.family);
        to_answer(catch_unwind(AssertUnwindSafe(ask)).unwrap_or(Err(LookupError::Panicked))?)
    }
}

fn to_answer(found: Vec<SocketAddr>) -> Answer {
    if found.is_empty() {
        return Err(LookupError::NoAddress);
    }
    Ok(found.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn without_any_thread_all_waiters_get_the_error() {
        let settings = LookupSettings::default();
        let service = |_: &str, _| unreachable!();
        let pool = Arc::new(Pool::new(settings, Arc::new(service), spawn));
        let woken = Arc::new(AtomicUsize::new(0));
        // As if the system refused the only thread while two questions wait.
        pool.state.lock().threads = settings.max_threads;
        let questions = ["a.example", "b.example"].map(|name| {
            let woken = Arc::clone(&woken);
            let waker = Arc::new(move || _ = woken.fetch_add(1, Ordering::SeqCst));
            pool.join(name, Family::V4, waker).0
        });
        pool.state.lock().threads = 2;
        pool.spawn_failed(io::Error::from_raw_os_error(11));
        assert!(
            questions[0].answer().is_none(),
            "the other thread will see to it"
        );
        pool.spawn_failed(io::Error::from_raw_os_error(11));
        for question in &questions {
            let expected = Err(LookupError::System(Some(11)));
            assert_eq!(question.answer(), Some(expected));
        }
        assert_eq!(woken.load(Ordering::SeqCst), 2);
        assert_eq!(pool.load(), Load::default());
    }
}
