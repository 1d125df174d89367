//! System lookups with a deadline, on a few helper threads.
//!
//! `getaddrinfo(3)` can't be told how long to take and can't be interrupted, so
//! it runs on a thread that nobody waits for. What keeps that bounded:
//!
//! * at most [`LookupSettings::max_threads`] questions are with the system
//!   resolver at once; further ones queue, first come first served;
//! * a question that is already queued or running is joined, not asked again;
//! * who stops caring drops the [`Lookup`]: a queued question that nobody cares
//!   about leaves the queue, a late answer is dropped;
//! * a thread with nothing to do ends after [`LookupSettings::idle`].
//!
//! Nothing is cached: how long an answer holds is the business of the system.
//!
//! The helper threads do not survive `fork(2)`, and a lock may be held at that
//! moment: a child process must not use a [`Resolver`] of its parent before
//! `exec`. They take signals like any thread that a library starts; a program
//! that directs signals to certain threads blocks them before its first lookup,
//! as the helpers inherit the mask.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::policy::Family;
use crate::query::{self, Found, LookupError};

/// Stack of a helper thread. glibc's and musl's resolvers need below 64 KiB, but
/// the modules of nsswitch.conf (systemd, LDAP, Samba) parse JSON or speak TLS
/// on it, and glibc takes the static TLS of all libraries from it. Only pages
/// that are touched cost memory.
const STACK: usize = 512 * 1024;

/// At most 15 bytes, the rest is cut off by Linux.
const THREAD_NAME: &str = "anjay-net-dns";

/// What a lookup comes to: addresses with port 0, at least one, in the order of
/// the system resolver.
pub type Answer = Result<Arc<[SocketAddr]>, LookupError>;

/// Told that a [`Lookup`] has its answer. Closures are wakers, too.
pub trait Wake: Send + Sync {
    /// Called once, usually on a helper thread, so it must be quick: set a flag,
    /// notify, write to a pipe.
    fn wake(&self);
}

impl<F: Fn() + Send + Sync> Wake for F {
    fn wake(&self) {
        self();
    }
}

/// Limits of a [`Resolver`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LookupSettings {
    /// Most helper threads at once, which is most unfinished lookups; 0 counts
    /// as 1. Default 8: four names, each asked for both families.
    pub max_threads: usize,
    /// How long a thread waits for more work before it ends. Default 1 s: a
    /// thread is cheap beside a lookup.
    pub idle: Duration,
}

impl Default for LookupSettings {
    fn default() -> Self {
        LookupSettings {
            max_threads: 8,
            idle: Duration::from_secs(1),
        }
    }
}

/// How busy a [`Resolver`] is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// Helper threads alive, busy or idle.
    pub threads: usize,
    /// Questions with the system resolver, also those nobody cares about anymore.
    pub running: usize,
    /// Questions waiting for a thread.
    pub queued: usize,
}

/// A handle to a pool of helper threads; clones share the pool. All methods may
/// be called from all threads, and none blocks.
///
/// ```
/// use std::sync::Arc;
/// use std::time::{Duration, Instant};
/// use anjay_net_resolve::{Family, Resolver};
///
/// let resolver = Resolver::global();
/// let lookup = resolver.lookup("localhost", Family::V4, Arc::new(|| println!("answered")));
/// let addrs = lookup.wait_until(Instant::now() + Duration::from_secs(10))?;
/// assert!(addrs[0].ip().is_loopback());
/// # Ok::<(), anjay_net_resolve::LookupError>(())
/// ```
#[derive(Clone)]
pub struct Resolver {
    pool: Arc<Pool>,
}

impl Resolver {
    /// A pool of its own, asking the system resolver. Starts no thread yet.
    #[must_use]
    pub fn new(settings: LookupSettings) -> Self {
        Self::with_query(settings, query::system)
    }

    /// A pool that asks `query` instead of the system resolver; it may block.
    #[must_use]
    pub fn with_query(
        settings: LookupSettings,
        query: impl Fn(&str, Family) -> Found + Send + Sync + 'static,
    ) -> Self {
        let state = State {
            settings,
            queue: VecDeque::new(),
            running: Vec::new(),
            threads: 0,
            idle: 0,
            asked: 0,
        };
        let pool = Pool {
            query: Box::new(query),
            state: Mutex::new(state),
            work: Condvar::new(),
        };
        Resolver {
            pool: Arc::new(pool),
        }
    }

    /// The pool that the whole process shares, with default settings at first.
    #[must_use]
    pub fn global() -> &'static Resolver {
        static GLOBAL: LazyLock<Resolver> =
            LazyLock::new(|| Resolver::new(LookupSettings::default()));
        &GLOBAL
    }

    /// Changes the limits from the next lookup on. Lookups under way are left
    /// alone, even if they are more than now allowed.
    pub fn configure(&self, settings: LookupSettings) {
        self.pool.state.lock().settings = settings;
    }

    /// How busy the pool is now.
    #[must_use]
    pub fn load(&self) -> Load {
        let state = self.pool.state.lock();
        Load {
            threads: state.threads,
            running: state.running.len(),
            queued: state.queue.len(),
        }
    }

    /// Asks for the addresses of `name`, or joins who already does.
    ///
    /// `waker` is called once when the answer is there, perhaps before this
    /// returns and, if the lookup is dropped at that moment, perhaps just after
    /// that. Poll once after this call; there may be an answer already.
    #[must_use = "dropping a lookup cancels it"]
    pub fn lookup(&self, name: &str, family: Family, waker: Arc<dyn Wake>) -> Lookup {
        let mut state = self.pool.state.lock();
        state.asked += 1;
        let asker = Asker {
            id: state.asked,
            waker,
        };
        let id = asker.id;
        if let Some(entry) = state.entry_for(name, family) {
            entry.askers.push(asker);
            let question = Arc::clone(&entry.question);
            return Lookup {
                pool: Arc::clone(&self.pool),
                question,
                id,
            };
        }
        let question = Arc::new(Question {
            name: name.into(),
            family,
            answer: OnceLock::new(),
            answered: Condvar::new(),
        });
        state.queue.push_back(Entry {
            question: Arc::clone(&question),
            askers: vec![asker],
        });
        self.pool.get_served(state);
        Lookup {
            pool: Arc::clone(&self.pool),
            question,
            id,
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}

/// Interest in the answer to one question; dropping it ends the interest.
pub struct Lookup {
    pool: Arc<Pool>,
    question: Arc<Question>,
    id: u64,
}

impl Lookup {
    /// The answer, if it is there. Takes no lock.
    #[must_use]
    pub fn poll(&self) -> Option<Answer> {
        self.question.answer.get().cloned()
    }

    /// Whether the question has reached the system resolver.
    #[must_use]
    pub fn started(&self) -> bool {
        self.question.answer.get().is_some() || self.pool.state.lock().is_running(&self.question)
    }

    /// The error of a caller whose time is up: [`LookupError::TimedOut`], or
    /// [`LookupError::Busy`] if the question never reached the system resolver.
    #[must_use]
    pub fn overdue(&self) -> LookupError {
        if self.started() {
            LookupError::TimedOut
        } else {
            LookupError::Busy
        }
    }

    /// Blocks until the answer is there, but not beyond `deadline`.
    ///
    /// # Errors
    ///
    /// Those of the answer, and [`overdue`](Self::overdue).
    pub fn wait_until(&self, deadline: Instant) -> Answer {
        let mut state = self.pool.state.lock();
        while self.question.answer.get().is_none() {
            if self
                .question
                .answered
                .wait_until(&mut state, deadline)
                .timed_out()
            {
                break;
            }
        }
        drop(state);
        self.poll().unwrap_or_else(|| Err(self.overdue()))
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let asker = self.pool.state.lock().withdraw(&self.question, self.id);
        // The caller's code, so not under the lock.
        drop(asker);
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup")
            .field("name", &self.question.name)
            .field("family", &self.question.family)
            .field("answer", &self.question.answer.get())
            .finish_non_exhaustive()
    }
}

type Query = dyn Fn(&str, Family) -> Found + Send + Sync;

struct Pool {
    query: Box<Query>,
    state: Mutex<State>,
    /// A question has joined the queue.
    work: Condvar,
}

/// Each question is in `queue` until a thread takes it, then in `running` until
/// it is answered. Searches are linear: `running` has at most one entry for each
/// thread, `queue` one for each name that a caller waits for right now.
struct State {
    settings: LookupSettings,
    queue: VecDeque<Entry>,
    running: Vec<Entry>,
    /// Threads alive or about to be.
    threads: usize,
    /// Those of them that wait for work.
    idle: usize,
    /// Source of asker ids.
    asked: u64,
}

struct Entry {
    question: Arc<Question>,
    askers: Vec<Asker>,
}

struct Asker {
    id: u64,
    waker: Arc<dyn Wake>,
}

struct Question {
    name: Box<str>,
    family: Family,
    answer: OnceLock<Answer>,
    /// Used with the lock of the pool.
    answered: Condvar,
}

impl State {
    fn entry_for(&mut self, name: &str, family: Family) -> Option<&mut Entry> {
        let same =
            |entry: &&mut Entry| *entry.question.name == *name && entry.question.family == family;
        self.running.iter_mut().chain(&mut self.queue).find(same)
    }

    fn is_running(&self, question: &Arc<Question>) -> bool {
        self.running
            .iter()
            .any(|entry| Arc::ptr_eq(&entry.question, question))
    }

    /// Takes the asker out, and the question too if it is queued and was his alone.
    fn withdraw(&mut self, question: &Arc<Question>, id: u64) -> Option<Asker> {
        let same = |entry: &Entry| Arc::ptr_eq(&entry.question, question);
        if let Some(entry) = self.running.iter_mut().find(|entry| same(entry)) {
            return entry.take(id);
        }
        let place = self.queue.iter().position(same)?;
        let asker = self.queue[place].take(id);
        if self.queue[place].askers.is_empty() {
            self.queue.remove(place);
        }
        asker
    }

    /// Takes the finished question out of `running`.
    fn finish(&mut self, question: &Arc<Question>) -> Option<Entry> {
        let same = |entry: &Entry| Arc::ptr_eq(&entry.question, question);
        let place = self.running.iter().position(same)?;
        Some(self.running.swap_remove(place))
    }
}

impl Entry {
    fn take(&mut self, id: u64) -> Option<Asker> {
        let place = self.askers.iter().position(|asker| asker.id == id)?;
        Some(self.askers.swap_remove(place))
    }

    /// Publishes the answer. The lock keeps a waiter from missing it between its
    /// look at the answer and its wait.
    fn publish(&self, answer: Answer, _locked: &State) {
        // A question leaves queue and running for good before it is answered,
        // so nobody has set this before.
        let _ = self.question.answer.set(answer);
        self.question.answered.notify_all();
    }

    /// Calls wakers: the caller's code, so not under the lock, and contained.
    fn wake(self) {
        for asker in self.askers {
            let _ = catch_unwind(AssertUnwindSafe(move || asker.waker.wake()));
        }
    }
}

impl Pool {
    /// Finds a thread for the question that has just been queued.
    fn get_served(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
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
        let pool = Arc::clone(self);
        let thread = thread::Builder::new()
            .name(THREAD_NAME.into())
            .stack_size(STACK);
        if let Err(error) = thread.spawn(move || pool.serve()) {
            self.not_started(error);
        }
    }

    /// Without any thread nobody would ever answer what is queued.
    fn not_started(&self, error: io::Error) {
        let mut state = self.state.lock();
        state.threads -= 1;
        if state.threads > 0 {
            return;
        }
        let orphans = std::mem::take(&mut state.queue);
        let answer = Err(error.into());
        orphans
            .iter()
            .for_each(|entry| entry.publish(answer.clone(), &state));
        drop(state);
        orphans.into_iter().for_each(Entry::wake);
    }

    /// The life of a helper thread.
    fn serve(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(entry) = state.queue.pop_front() {
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
        state.running.push(entry);
        let answer = MutexGuard::unlocked(state, || self.ask(&question));
        if let Some(entry) = state.finish(&question) {
            entry.publish(answer, state);
            MutexGuard::unlocked(state, || entry.wake());
        }
    }

    fn ask(&self, question: &Question) -> Answer {
        let ask = || (self.query)(&question.name, question.family);
        let found = catch_unwind(AssertUnwindSafe(ask)).unwrap_or(Err(LookupError::Panicked))?;
        if found.is_empty() {
            Err(LookupError::NoAddress)
        } else {
            Ok(found.into())
        }
    }
}
