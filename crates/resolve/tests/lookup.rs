//! The lookup pool, with a resolver that answers when the test says so.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use anjay_net_resolve::{Family, Load, Lookup, LookupError, LookupSettings, Resolver, Wake};
use parking_lot::{Condvar, Mutex};

type Found = Result<Vec<SocketAddr>, LookupError>;

/// Long enough that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

fn addr(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 0))
}

/// Blocks each question until its name is opened.
#[derive(Default)]
struct Gate {
    answers: Mutex<HashMap<String, Found>>,
    opened: Condvar,
}

impl Gate {
    fn open(&self, name: &str, answer: Found) {
        self.answers.lock().insert(name.into(), answer);
        self.opened.notify_all();
    }

    fn pass(&self, name: &str) -> Found {
        let mut answers = self.answers.lock();
        loop {
            if let Some(answer) = answers.get(name) {
                return answer.clone();
            }
            let deadline = soon();
            assert!(
                !self.opened.wait_until(&mut answers, deadline).timed_out(),
                "{name} never opened"
            );
        }
    }
}

/// A pool over a gate, and the questions that reached it.
fn gated(max_threads: usize) -> (Resolver, Arc<Gate>, Receiver<(String, Family)>) {
    let gate = Arc::new(Gate::default());
    let (sender, reached) = channel();
    let (passing, sender) = (Arc::clone(&gate), Mutex::new(sender));
    let settings = LookupSettings {
        max_threads,
        ..LookupSettings::default()
    };
    let resolver = Resolver::with_query(settings, move |name, family| {
        let _ = sender.lock().send((name.to_owned(), family));
        passing.pass(name)
    });
    (resolver, gate, reached)
}

fn nobody() -> Arc<dyn Wake> {
    Arc::new(|| ())
}

fn counter() -> (Arc<AtomicUsize>, Arc<dyn Wake>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    (
        count,
        Arc::new(move || _ = counted.fetch_add(1, Ordering::SeqCst)),
    )
}

fn telling(sender: &Sender<u32>, what: u32) -> Arc<dyn Wake> {
    let sender = Mutex::new(sender.clone());
    Arc::new(move || sender.lock().send(what).unwrap())
}

#[test]
fn answers_and_wakes_once() {
    let (resolver, gate, _reached) = gated(2);
    let (sender, woken) = channel();
    let lookup = resolver.lookup("a.example", Family::V4, telling(&sender, 1));
    assert!(lookup.poll().is_none());
    gate.open("a.example", Ok(vec![addr(1), addr(2)]));
    assert_eq!(woken.recv_timeout(PATIENCE), Ok(1));
    assert_eq!(lookup.poll().unwrap().unwrap()[..], [addr(1), addr(2)]);
    assert_eq!(
        lookup.wait_until(Instant::now()).unwrap()[..],
        [addr(1), addr(2)]
    );
    drop((lookup, sender));
    // The waker is gone with its sender: there is no second call to come.
    assert!(woken.recv_timeout(PATIENCE).is_err());
}

#[test]
fn the_same_question_is_asked_once() {
    let (resolver, gate, reached) = gated(4);
    let (sender, woken) = channel();
    let first = resolver.lookup("a.example", Family::V6, telling(&sender, 1));
    assert_eq!(
        reached.recv_timeout(PATIENCE),
        Ok(("a.example".into(), Family::V6))
    );
    let second = resolver.lookup("a.example", Family::V6, telling(&sender, 2));
    let other = resolver.lookup("a.example", Family::V4, nobody());
    assert_eq!(
        reached.recv_timeout(PATIENCE),
        Ok(("a.example".into(), Family::V4))
    );
    gate.open("a.example", Ok(vec![addr(1)]));
    let (one, two) = (
        first.wait_until(soon()).unwrap(),
        second.wait_until(soon()).unwrap(),
    );
    assert!(Arc::ptr_eq(&one, &two), "one answer is shared");
    assert!(other.wait_until(soon()).is_ok());
    let mut both = [
        woken.recv_timeout(PATIENCE).unwrap(),
        woken.recv_timeout(PATIENCE).unwrap(),
    ];
    both.sort_unstable();
    assert_eq!(both, [1, 2]);
    assert!(reached.try_recv().is_err(), "no third question");
}

#[test]
fn a_finished_question_is_asked_again() {
    let (resolver, gate, reached) = gated(1);
    gate.open("a.example", Ok(vec![addr(1)]));
    for _ in 0..3 {
        assert!(
            resolver
                .lookup("a.example", Family::V4, nobody())
                .wait_until(soon())
                .is_ok()
        );
        assert!(reached.recv_timeout(PATIENCE).is_ok());
    }
}

#[test]
fn further_lookups_wait_their_turn() {
    let (resolver, gate, reached) = gated(1);
    let first = resolver.lookup("1.example", Family::V4, nobody());
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    let second = resolver.lookup("2.example", Family::V4, nobody());
    let third = resolver.lookup("3.example", Family::V4, nobody());
    assert_eq!(
        resolver.load(),
        Load {
            threads: 1,
            running: 1,
            queued: 2
        }
    );

    assert!(first.started() && !second.started());
    assert_eq!(first.wait_until(Instant::now()), Err(LookupError::TimedOut));
    assert_eq!(second.wait_until(Instant::now()), Err(LookupError::Busy));

    for name in ["3.example", "2.example", "1.example"] {
        gate.open(name, Ok(vec![addr(1)]));
    }
    assert!(third.wait_until(soon()).is_ok());
    // First come, first served: the last answer means that the others are there.
    assert!(first.poll().is_some() && second.poll().is_some());
    assert_eq!(
        reached
            .iter()
            .take(2)
            .map(|(name, _)| name)
            .collect::<Vec<_>>(),
        ["2.example", "3.example"]
    );
}

#[test]
fn a_cancelled_lookup_leaves_the_queue() {
    let (resolver, gate, reached) = gated(1);
    let first = resolver.lookup("1.example", Family::V4, nobody());
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    let second = resolver.lookup("2.example", Family::V4, nobody());
    let again = resolver.lookup("2.example", Family::V4, nobody());
    let third = resolver.lookup("3.example", Family::V4, nobody());
    drop(second);
    assert_eq!(resolver.load().queued, 2, "somebody else still wants it");
    drop(again);
    assert_eq!(resolver.load().queued, 1);
    gate.open("1.example", Ok(vec![addr(1)]));
    gate.open("3.example", Ok(vec![addr(3)]));
    assert!(first.wait_until(soon()).is_ok() && third.wait_until(soon()).is_ok());
    assert_eq!(
        reached.try_iter().map(|(name, _)| name).collect::<Vec<_>>(),
        ["3.example"]
    );
}

#[test]
fn a_late_answer_is_dropped() {
    let (resolver, gate, reached) = gated(1);
    let (count, waker) = counter();
    let weak: Weak<dyn Wake> = Arc::downgrade(&waker);
    let lookup = resolver.lookup("late.example", Family::V4, waker);
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    drop(lookup);
    assert!(weak.upgrade().is_none(), "the waker is let go at once");
    assert_eq!(
        resolver.load().running,
        1,
        "the thread can't be called back"
    );

    // The one thread serves the next question after it has dropped the answer.
    gate.open("late.example", Ok(vec![addr(1)]));
    gate.open("next.example", Ok(vec![addr(2)]));
    assert!(
        resolver
            .lookup("next.example", Family::V4, nobody())
            .wait_until(soon())
            .is_ok()
    );
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[test]
fn a_running_question_without_waiters_can_still_be_joined() {
    let (resolver, gate, reached) = gated(2);
    drop(resolver.lookup("a.example", Family::V4, nobody()));
    // Either it was dropped from the queue or it runs; make sure that it runs.
    let lookup = resolver.lookup("a.example", Family::V4, nobody());
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    drop(lookup);
    let joined = resolver.lookup("a.example", Family::V4, nobody());
    assert!(joined.started());
    gate.open("a.example", Ok(vec![addr(1)]));
    assert!(joined.wait_until(soon()).is_ok());
}

#[test]
fn errors_and_empty_answers_are_told() {
    let (resolver, gate, _reached) = gated(2);
    gate.open("unknown.example", Err(LookupError::NotFound));
    gate.open("empty.example", Ok(Vec::new()));
    let unknown = resolver.lookup("unknown.example", Family::V4, nobody());
    let empty = resolver.lookup("empty.example", Family::V4, nobody());
    assert_eq!(unknown.wait_until(soon()), Err(LookupError::NotFound));
    assert_eq!(empty.wait_until(soon()), Err(LookupError::NoAddress));
}

#[test]
fn panics_stay_where_they_happen() {
    let resolver = Resolver::with_query(
        LookupSettings {
            max_threads: 1,
            ..LookupSettings::default()
        },
        |name, _| {
            if name == "panic" {
                panic!("in the resolver, on purpose")
            } else {
                Ok(vec![addr(1)])
            }
        },
    );
    let lookup = resolver.lookup("panic", Family::V4, nobody());
    assert_eq!(lookup.wait_until(soon()), Err(LookupError::Panicked));
    let waker: Arc<dyn Wake> = Arc::new(|| panic!("in the waker, on purpose"));
    assert!(
        resolver
            .lookup("fine", Family::V4, waker)
            .wait_until(soon())
            .is_ok()
    );
    assert!(
        resolver
            .lookup("fine", Family::V6, nobody())
            .wait_until(soon())
            .is_ok()
    );
}

/// The resolver function of a pool lives as long as the pool's last thread.
fn with_witness(idle: Duration) -> (Resolver, Receiver<()>) {
    let (sender, gone) = channel::<()>();
    let sender = Mutex::new(sender);
    let settings = LookupSettings {
        max_threads: 4,
        idle,
    };
    let resolver = Resolver::with_query(settings, move |_, _| {
        let _alive = &sender;
        Ok(vec![addr(1)])
    });
    (resolver, gone)
}

#[test]
fn idle_threads_end() {
    let (resolver, gone) = with_witness(Duration::from_millis(1));
    let lookups: Vec<Lookup> = (0..20)
        .map(|n| resolver.lookup(&format!("{n}.example"), Family::V4, nobody()))
        .collect();
    assert!(
        lookups
            .iter()
            .all(|lookup| lookup.wait_until(soon()).is_ok())
    );
    drop((lookups, resolver));
    let disconnected = gone.recv_timeout(PATIENCE);
    assert_eq!(
        disconnected,
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
    );
}

#[test]
fn an_idle_thread_is_used_again() {
    let threads = Arc::new(Mutex::new(HashSet::new()));
    let seen = Arc::clone(&threads);
    let settings = LookupSettings {
        max_threads: 1,
        idle: PATIENCE,
    };
    let resolver = Resolver::with_query(settings, move |_, _| {
        seen.lock().insert(thread::current().id());
        Ok(vec![addr(1)])
    });
    for _ in 0..50 {
        assert!(
            resolver
                .lookup("a.example", Family::V4, nobody())
                .wait_until(soon())
                .is_ok()
        );
    }
    assert_eq!(threads.lock().len(), 1);
}

#[test]
fn threads_are_started_by_the_callers_function() {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    let (resolver, gate, _reached) = gated(2);
    resolver.spawn_with(|builder, body| {
        STARTED.fetch_add(1, Ordering::SeqCst);
        builder.spawn(body).map(drop)
    });
    gate.open("a.example", Ok(vec![addr(1)]));
    let lookup = resolver.lookup("a.example", Family::V4, nobody());
    assert!(lookup.wait_until(soon()).is_ok());
    assert_eq!(STARTED.load(Ordering::SeqCst), 1);
}

#[test]
fn a_thread_that_cannot_be_started_is_an_error() {
    let (resolver, _gate, _reached) = gated(2);
    resolver.spawn_with(|_, _| Err(std::io::Error::from_raw_os_error(11)));
    let (count, waker) = counter();
    let lookup = resolver.lookup("a.example", Family::V4, waker);
    assert_eq!(lookup.poll(), Some(Err(LookupError::System(Some(11)))));
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert_eq!(resolver.load(), Load::default());
}

#[test]
fn limits_can_be_changed() {
    let (resolver, gate, reached) = gated(0);
    let one = resolver.lookup("1.example", Family::V4, nobody());
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    let two = resolver.lookup("2.example", Family::V4, nobody());
    assert!(!two.started(), "0 counts as 1");
    resolver.configure(LookupSettings {
        max_threads: 3,
        idle: Duration::ZERO,
    });
    let three = resolver.lookup("3.example", Family::V4, nobody());
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    assert_eq!(resolver.load().threads, 2);
    resolver.configure(LookupSettings {
        max_threads: 1,
        idle: PATIENCE,
    });
    for name in ["1.example", "2.example", "3.example"] {
        gate.open(name, Ok(vec![addr(1)]));
    }
    for lookup in [one, two, three] {
        assert!(lookup.wait_until(soon()).is_ok());
    }
    // The surplus thread ends although its patience would last.
    let deadline = soon();
    while resolver.load().threads > 1 {
        assert!(Instant::now() < deadline, "{:?}", resolver.load());
        thread::yield_now();
    }
    gate.open("4.example", Ok(vec![addr(1)]));
    let four = resolver.lookup("4.example", Family::V4, nobody());
    assert!(four.wait_until(soon()).is_ok());
}

#[test]
fn an_idle_thread_is_counted_on_once() {
    // Whether the first thread is idle yet when the two questions come is left
    // to chance: both must be served at the same time in any case.
    for _ in 0..100 {
        let (resolver, gate, reached) = gated(2);
        gate.open("0.example", Ok(vec![addr(1)]));
        let first = resolver.lookup("0.example", Family::V4, nobody());
        assert!(first.wait_until(soon()).is_ok());
        let _lookups =
            ["1.example", "2.example"].map(|name| resolver.lookup(name, Family::V4, nobody()));
        for _ in 0..3 {
            assert!(reached.recv_timeout(PATIENCE).is_ok());
        }
        gate.open("1.example", Ok(vec![addr(1)]));
        gate.open("2.example", Ok(vec![addr(1)]));
    }
}

#[test]
fn a_waker_may_ask_again() {
    let resolver = Resolver::with_query(LookupSettings::default(), |_, _| Ok(vec![addr(1)]));
    let (sender, done) = channel();
    let (again, sender) = (resolver.clone(), Mutex::new(sender));
    let waker = Arc::new(move || {
        let next = again.lookup("b.example", Family::V4, nobody());
        let _ = sender.lock().send(next);
    });
    let _lookup = resolver.lookup("a.example", Family::V4, waker);
    assert!(
        done.recv_timeout(PATIENCE)
            .unwrap()
            .wait_until(soon())
            .is_ok()
    );
}

#[test]
fn many_callers_few_threads() {
    const CALLERS: usize = 8;
    const ROUNDS: usize = 300;
    let busy = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&busy);
    let settings = LookupSettings {
        max_threads: 3,
        idle: Duration::from_millis(1),
    };
    let resolver = Resolver::with_query(settings, move |name, _| {
        assert!(
            counting.fetch_add(1, Ordering::SeqCst) < 3,
            "more than three at once"
        );
        thread::yield_now();
        counting.fetch_sub(1, Ordering::SeqCst);
        Ok(vec![addr(name.len() as u8)])
    });
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let resolver = &resolver;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let name = "x".repeat(1 + (caller + round) % 5);
                    let family = if round % 2 == 0 {
                        Family::V4
                    } else {
                        Family::V6
                    };
                    let lookup = resolver.lookup(&name, family, nobody());
                    if (caller * ROUNDS + round) % 3 == 0 {
                        continue;
                    }
                    let expected = addr(name.len() as u8);
                    assert_eq!(lookup.wait_until(soon()).unwrap()[..], [expected]);
                }
            });
        }
    });
    assert_eq!(resolver.load().queued, 0);
    assert!(resolver.load().threads <= 3);
}

#[test]
fn the_system_resolver_knows_localhost() {
    let lookup = Resolver::global().lookup("localhost", Family::V4, nobody());
    assert_eq!(
        lookup.wait_until(soon()).unwrap()[..],
        [SocketAddr::from(([127, 0, 0, 1], 0))]
    );
}
