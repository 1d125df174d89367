//! The pool under loom: every interleaving of threads that ask, withdraw and
//! answer, and of the end of a helper thread that has nothing to do.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p anjay-net-resolve --lib --release loom`

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use loom::sync::Notify;
use loom::thread::{self, JoinHandle};

use super::{Helper, Load, Resolver, Spawn};
use crate::addr::Family;
use crate::system::{Configuration, Found, LookupSettings, NameService};

thread_local! {
    // loom runs all threads of a model on the thread of the test.
    static HELPERS: RefCell<Vec<JoinHandle<()>>> = const { RefCell::new(Vec::new()) };
    static QUERIES: Cell<usize> = const { Cell::new(0) };
    static MAX_THREADS: Cell<usize> = const { Cell::new(0) };
    static CONFIGURATION: Cell<u64> = const { Cell::new(0) };
    static SPAWNS_THAT_FAIL: Cell<usize> = const { Cell::new(0) };
}

/// Answers with the first byte of the name and, as the port, the configuration.
struct Service;

impl NameService for Service {
    fn query(&self, name: &str, _family: Family) -> Found {
        QUERIES.set(QUERIES.get() + 1);
        Ok(vec![answer_of(name)])
    }

    fn settings(&self) -> LookupSettings {
        LookupSettings {
            max_threads: MAX_THREADS.get(),
            idle: Duration::ZERO,
            // No question is too old, as the model has no clock.
            join_within: Duration::MAX,
        }
    }

    fn configuration(&self) -> Configuration {
        CONFIGURATION.get()
    }
}

fn answer_of(name: &str) -> std::net::SocketAddr {
    let configuration = CONFIGURATION.get() as u16;
    ([192, 0, 2, name.as_bytes()[0]], configuration).into()
}

fn spawn(helper: Helper) -> io::Result<()> {
    let left = SPAWNS_THAT_FAIL.get();
    if left > 0 {
        SPAWNS_THAT_FAIL.set(left - 1);
        return Err(io::Error::from_raw_os_error(libc::EAGAIN));
    }
    let handle = thread::spawn(move || helper.run());
    HELPERS.with_borrow_mut(|helpers| helpers.push(handle));
    Ok(())
}

/// Runs the model with a fresh pool; in the end there is no thread and no question.
fn model(max_threads: usize, failing_spawns: usize, run: fn(&'static Resolver)) {
    let mut builder = loom::model::Builder::new();
    // Of the interleavings those with so many switches away from a thread that could
    // go on; `LOOM_MAX_PREEMPTIONS` asks for others.
    builder.preemption_bound.get_or_insert(2);
    let interleavings = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&interleavings);
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        QUERIES.set(0);
        CONFIGURATION.set(0);
        MAX_THREADS.set(max_threads);
        SPAWNS_THAT_FAIL.set(failing_spawns);
        let spawn: Spawn = spawn;
        // Helpers have it for as long as they live.
        let pool: &'static Resolver = Box::leak(Box::new(Resolver::with_threads(&Service, spawn)));
        run(pool);
        expire(pool);
        while let Some(helper) = HELPERS.with_borrow_mut(Vec::pop) {
            helper.join().unwrap();
        }
        assert_eq!(pool.load(), Load::default());
    });
    println!("{} interleavings", interleavings.load(Relaxed));
}

/// The time after which a thread without work ends.
fn expire(pool: &Resolver) {
    let _state = pool.lock();
    pool.work.expire();
}

/// A lookup that waits.
struct Asker {
    pool: &'static Resolver,
    name: &'static str,
    id: u64,
    woken: Arc<Notify>,
}

impl Asker {
    fn ask(pool: &'static Resolver, name: &'static str) -> Asker {
        let woken = Arc::new(Notify::new());
        let wake = Arc::clone(&woken);
        let id = pool.enter(Box::new(move || wake.notify())).unwrap();
        pool.ask(id, name, Family::V4);
        Asker {
            pool,
            name,
            id,
            woken,
        }
    }

    /// Waits for the answer; loom reports a deadlock when there is none.
    fn answer(self) -> Found {
        loop {
            if let Some(found) = self.pool.take(self.id, Family::V4) {
                self.pool.cancel(self.id);
                return found;
            }
            self.woken.wait();
        }
    }

    fn expect_answer(self) {
        let name = self.name;
        assert_eq!(self.answer(), Ok(vec![answer_of(name)]));
    }
}

fn in_thread(pool: &'static Resolver, run: fn(&'static Resolver)) -> JoinHandle<()> {
    thread::spawn(move || run(pool))
}

#[test]
fn every_question_is_answered_by_one_thread() {
    model(1, 0, |pool| {
        let other = in_thread(pool, |pool| Asker::ask(pool, "b").expect_answer());
        Asker::ask(pool, "a").expect_answer();
        other.join().unwrap();
        assert_eq!(QUERIES.get(), 2);
    });
}

#[test]
fn every_question_is_answered_by_two_threads() {
    model(2, 0, |pool| {
        let other = in_thread(pool, |pool| Asker::ask(pool, "b").expect_answer());
        Asker::ask(pool, "a").expect_answer();
        other.join().unwrap();
    });
}

#[test]
fn the_same_question_is_joined_and_answered_to_both() {
    model(2, 0, |pool| {
        let other = in_thread(pool, |pool| Asker::ask(pool, "a").expect_answer());
        Asker::ask(pool, "a").expect_answer();
        other.join().unwrap();
        // Asked again only after the first was answered.
        assert!((1..=2).contains(&QUERIES.get()));
    });
}

#[test]
fn a_thread_that_is_about_to_end_leaves_no_question_behind() {
    model(1, 0, |pool| {
        Asker::ask(pool, "a").expect_answer();
        // The thread has nothing to do now.
        let clock = in_thread(pool, |pool| expire(pool));
        Asker::ask(pool, "b").expect_answer();
        clock.join().unwrap();
    });
}

#[test]
fn who_withdraws_takes_nothing_from_who_waits() {
    model(1, 0, |pool| {
        let first = Asker::ask(pool, "a");
        let other = in_thread(pool, |pool| Asker::ask(pool, "a").expect_answer());
        pool.cancel(first.id);
        other.join().unwrap();
    });
}

#[test]
fn a_question_that_all_withdraw_is_gone() {
    model(1, 0, |pool| {
        let other = in_thread(pool, |pool| {
            let asker = Asker::ask(pool, "b");
            pool.cancel(asker.id);
        });
        let asker = Asker::ask(pool, "a");
        pool.cancel(asker.id);
        other.join().unwrap();
    });
}

#[test]
fn without_threads_those_who_ask_answer() {
    model(2, 2, |pool| {
        let other = in_thread(pool, |pool| Asker::ask(pool, "b").expect_answer());
        Asker::ask(pool, "a").expect_answer();
        other.join().unwrap();
        // One may have answered both.
        SPAWNS_THAT_FAIL.set(0);
    });
}

#[test]
fn the_second_thread_answers_when_the_first_was_refused() {
    model(2, 1, |pool| {
        let other = in_thread(pool, |pool| Asker::ask(pool, "a").expect_answer());
        Asker::ask(pool, "a").expect_answer();
        other.join().unwrap();
        SPAWNS_THAT_FAIL.set(0);
    });
}

#[test]
fn a_lower_limit_ends_threads_and_loses_no_question() {
    model(2, 0, |pool| {
        let other = in_thread(pool, |pool| Asker::ask(pool, "b").expect_answer());
        MAX_THREADS.set(1);
        Asker::ask(pool, "a").expect_answer();
        other.join().unwrap();
        Asker::ask(pool, "c").expect_answer();
    });
}

#[test]
fn who_asks_after_a_change_of_the_configuration_gets_its_answer() {
    model(2, 0, |pool| {
        let other = in_thread(pool, |pool| {
            assert!(Asker::ask(pool, "a").answer().is_ok());
        });
        // It may be asking by now.
        thread::yield_now();
        CONFIGURATION.set(1);
        Asker::ask(pool, "a").expect_answer();
        other.join().unwrap();
    });
}
