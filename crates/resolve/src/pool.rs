//! The helper threads behind [`Resolver`](crate::Resolver), and what they work on.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::lookup::{Answer, Load, LookupSettings, Wake};
use crate::policy::Family;
use crate::query::{Found, LookupError};

/// Stack of a helper thread. glibc's and musl's resolvers need below 64 KiB, but
/// the modules of nsswitch.conf (systemd, LDAP, Samba) parse JSON or speak TLS
/// on it, and glibc takes the static TLS of all libraries from it. Only pages
/// that are touched cost memory.
const STACK: usize = 512 * 1024;

/// At most 15 bytes, the rest is cut off by Linux.
const THREAD_NAME: &str = "anjay-net-dns";

pub(crate) type Query = dyn Fn(&str, Family) -> Found + Send + Sync;

pub(crate) struct Pool {
    query: Box<Query>,
    state: Mutex<State>,
    /// A question has joined the queue.
    work: Condvar,
}

/// What one or more askers want to know.
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

impl State {
    fn entry_for(&mut self, name: &str, family: Family) -> Option<&mut Entry> {
        let same =
            |entry: &&mut Entry| *entry.question.name == *name && entry.question.family == family;
        self.running.iter_mut().chain(&mut self.queue).find(same)
    }

    /// Takes the asker out, and a queued question that nobody else asks.
    fn withdraw(&mut self, question: &Arc<Question>, id: u64) -> Option<Asker> {
        if let Some(entry) = self.running.iter_mut().find(|entry| entry.is(question)) {
            return entry.take(id);
        }
        let place = self.queue.iter().position(|entry| entry.is(question))?;
        let asker = self.queue[place].take(id);
        if self.queue[place].askers.is_empty() {
            self.queue.remove(place);
        }
        asker
    }

    /// Takes the finished question out of `running`.
    fn finish(&mut self, question: &Arc<Question>) -> Option<Entry> {
        let place = self.running.iter().position(|entry| entry.is(question))?;
        Some(self.running.swap_remove(place))
    }
}

impl Entry {
    fn is(&self, question: &Arc<Question>) -> bool {
        Arc::ptr_eq(&self.question, question)
    }

    fn take(&mut self, id: u64) -> Option<Asker> {
        let place = self.askers.iter().position(|asker| asker.id == id)?;
        Some(self.askers.swap_remove(place))
    }

    /// Publishes the answer. The lock keeps a waiter from missing it between its
    /// look at the answer and its wait.
    fn publish(&self, answer: Answer, _locked: &State) {
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
    /// A pool without threads.
    pub(crate) fn new(settings: LookupSettings, query: Box<Query>) -> Self {
        let state = State {
            settings,
            queue: VecDeque::new(),
            running: Vec::new(),
            threads: 0,
            idle: 0,
            asked: 0,
        };
        Pool {
            query,
            state: Mutex::new(state),
            work: Condvar::new(),
        }
    }

    pub(crate) fn configure(&self, settings: LookupSettings) {
        self.state.lock().settings = settings;
    }

    /// `None` while somebody holds the lock: for ever, when that was a thread of
    /// the process that this one was forked from.
    pub(crate) fn settings_unless_locked(&self) -> Option<LookupSettings> {
        self.state.try_lock().map(|state| state.settings)
    }

    pub(crate) fn load(&self) -> Load {
        let state = self.state.lock();
        Load {
            threads: state.threads,
            running: state.running.len(),
            queued: state.queue.len(),
        }
    }

    /// Adds an asker to the question, or the question to the queue. Returns the
    /// question and the asker's id.
    pub(crate) fn enlist(
        self: &Arc<Self>,
        name: &str,
        family: Family,
        waker: Arc<dyn Wake>,
    ) -> (Arc<Question>, u64) {
        let mut state = self.state.lock();
        state.asked += 1;
        let id = state.asked;
        let asker = Asker { id, waker };
        if let Some(entry) = state.entry_for(name, family) {
            entry.askers.push(asker);
            return (Arc::clone(&entry.question), id);
        }
        let question = Arc::new(Question {
            name: name.into(),
            family,
            asked_at: Instant::now(),
            answer: OnceLock::new(),
            answered: Condvar::new(),
        });
        state.queue.push_back(Entry {
            question: Arc::clone(&question),
            askers: vec![asker],
        });
        self.get_served(state);
        (question, id)
    }

    /// Ends the interest of one asker.
    pub(crate) fn withdraw(&self, question: &Arc<Question>, id: u64) {
        let asker = self.state.lock().withdraw(question, id);
        // Its waker is the caller's code, so not under the lock.
        drop(asker);
    }

    /// Whether the question has reached the system resolver.
    pub(crate) fn started(&self, question: &Arc<Question>) -> bool {
        let state = self.state.lock();
        question.answer.get().is_some() || state.running.iter().any(|entry| entry.is(question))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn without_any_thread_everybody_is_told() {
        let settings = LookupSettings::default();
        let pool = Arc::new(Pool::new(settings, Box::new(|_, _| unreachable!())));
        let woken = Arc::new(AtomicUsize::new(0));
        // As if the system refused the only thread while two questions wait.
        pool.state.lock().threads = settings.max_threads;
        let questions = ["a.example", "b.example"].map(|name| {
            let woken = Arc::clone(&woken);
            let waker = Arc::new(move || _ = woken.fetch_add(1, Ordering::SeqCst));
            pool.enlist(name, Family::V4, waker).0
        });
        pool.state.lock().threads = 2;
        pool.not_started(io::Error::from_raw_os_error(11));
        assert!(
            questions[0].answer().is_none(),
            "the other thread will see to it"
        );
        pool.not_started(io::Error::from_raw_os_error(11));
        for question in &questions {
            let expected = Err(LookupError::System(Some(11)));
            assert_eq!(question.answer(), Some(expected));
        }
        assert_eq!(woken.load(Ordering::SeqCst), 2);
        assert_eq!(pool.load(), Load::default());
    }
}
