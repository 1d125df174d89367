//! The lookup pool, with a resolver that answers when the test says so.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use anjay_net_resolve::{
    Configuration, Family, Found, Load, Lookup, LookupError, LookupSettings, NameService, Resolver,
    Wake,
};
use parking_lot::{Condvar, Mutex};

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
    let resolver = Resolver::with_service(settings, move |name: &str, family| {
        let _ = sender.lock().send((name.to_owned(), family));
        passing.pass(name)
    });
    (resolver, gate, reached)
}

/// A lookup of one family.
fn ask(resolver: &Resolver, name: &str, family: Family, waker: Arc<dyn Wake>) -> Lookup {
    let mut lookups = resolver.lookup(name, [family], waker);
    assert_eq!(lookups.len(), 1);
    lookups.remove(0)
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
    let lookup = ask(&resolver, "a.example", Family::V4, telling(&sender, 1));
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
    let first = ask(&resolver, "a.example", Family::V6, telling(&sender, 1));
    assert_eq!(
        reached.recv_timeout(PATIENCE),
        Ok(("a.example".into(), Family::V6))
    );
    let second = ask(&resolver, "a.example", Family::V6, telling(&sender, 2));
    let other = ask(&resolver, "a.example", Family::V4, nobody());
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
            ask(&resolver, "a.example", Family::V4, nobody())
                .wait_until(soon())
                .is_ok()
        );
        assert!(reached.recv_timeout(PATIENCE).is_ok());
    }
}

#[test]
fn further_lookups_wait_their_turn() {
    let (resolver, gate, reached) = gated(1);
    let first = ask(&resolver, "1.example", Family::V4, nobody());
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    let second = ask(&resolver, "2.example", Family::V4, nobody());
    let third = ask(&resolver, "3.example", Family::V4, nobody());
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
    let first = ask(&resolver, "1.example", Family::V4, nobody());
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    let second = ask(&resolver, "2.example", Family::V4, nobody());
    let again = ask(&resolver, "2.example", Family::V4, nobody());
    let third = ask(&resolver, "3.example", Family::V4, nobody());
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
    let lookup = ask(&resolver, "late.example", Family::V4, waker);
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
        ask(&resolver, "next.example", Family::V4, nobody())
            .wait_until(soon())
            .is_ok()
    );
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[test]
fn a_running_question_without_waiters_can_still_be_joined() {
    let (resolver, gate, reached) = gated(2);
    drop(ask(&resolver, "a.example", Family::V4, nobody()));
    // Either it was dropped from the queue or it runs; make sure that it runs.
    let lookup = ask(&resolver, "a.example", Family::V4, nobody());
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    drop(lookup);
    let joined = ask(&resolver, "a.example", Family::V4, nobody());
    assert!(joined.started());
    gate.open("a.example", Ok(vec![addr(1)]));
    assert!(joined.wait_until(soon()).is_ok());
}

#[test]
fn errors_and_empty_answers_are_told() {
    let (resolver, gate, _reached) = gated(2);
    gate.open("unknown.example", Err(LookupError::NotFound));
    gate.open("empty.example", Ok(Vec::new()));
    let unknown = ask(&resolver, "unknown.example", Family::V4, nobody());
    let empty = ask(&resolver, "empty.example", Family::V4, nobody());
    assert_eq!(unknown.wait_until(soon()), Err(LookupError::NotFound));
    assert_eq!(empty.wait_until(soon()), Err(LookupError::NoAddress));
}

#[test]
fn panics_stay_where_they_happen() {
    let resolver = Resolver::with_service(
        LookupSettings {
            max_threads: 1,
            ..LookupSettings::default()
        },
        |name: &str, _| {
            if name == "panic" {
                panic!("in the resolver, on purpose")
            } else {
                Ok(vec![addr(1)])
            }
        },
    );
    let lookup = ask(&resolver, "panic", Family::V4, nobody());
    assert_eq!(lookup.wait_until(soon()), Err(LookupError::Panicked));
    let waker: Arc<dyn Wake> = Arc::new(|| panic!("in the waker, on purpose"));
    assert!(
        ask(&resolver, "fine", Family::V4, waker)
            .wait_until(soon())
            .is_ok()
    );
    assert!(
        ask(&resolver, "fine", Family::V6, nobody())
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
        ..LookupSettings::default()
    };
    let resolver = Resolver::with_service(settings, move |_: &str, _| {
        let _alive = &sender;
        Ok(vec![addr(1)])
    });
    (resolver, gone)
}

#[test]
fn idle_threads_end() {
    let (resolver, gone) = with_witness(Duration::from_millis(1));
    let lookups: Vec<Lookup> = (0..20)
        .map(|n| ask(&resolver, &format!("{n}.example"), Family::V4, nobody()))
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
        ..LookupSettings::default()
    };
    let resolver = Resolver::with_service(settings, move |_: &str, _| {
        seen.lock().insert(thread::current().id());
        Ok(vec![addr(1)])
    });
    for _ in 0..50 {
        assert!(
            ask(&resolver, "a.example", Family::V4, nobody())
                .wait_until(soon())
                .is_ok()
        );
    }
    assert_eq!(threads.lock().len(), 1);
}

#[test]
fn limits_can_be_changed() {
    let (resolver, gate, reached) = gated(0);
    let one = ask(&resolver, "1.example", Family::V4, nobody());
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    let two = ask(&resolver, "2.example", Family::V4, nobody());
    assert!(!two.started(), "0 counts as 1");
    resolver.configure(LookupSettings {
        max_threads: 3,
        idle: Duration::ZERO,
        ..LookupSettings::default()
    });
    let three = ask(&resolver, "3.example", Family::V4, nobody());
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    assert_eq!(resolver.load().threads, 2);
    resolver.configure(LookupSettings {
        max_threads: 1,
        idle: PATIENCE,
        ..LookupSettings::default()
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
    let four = ask(&resolver, "4.example", Family::V4, nobody());
    assert!(four.wait_until(soon()).is_ok());
}

#[test]
fn an_idle_thread_is_counted_on_once() {
    // Whether the first thread is idle yet when the two questions come is left
    // to chance: both must be served at the same time in any case.
    for _ in 0..100 {
        let (resolver, gate, reached) = gated(2);
        gate.open("0.example", Ok(vec![addr(1)]));
        let first = ask(&resolver, "0.example", Family::V4, nobody());
        assert!(first.wait_until(soon()).is_ok());
        let _lookups =
            ["1.example", "2.example"].map(|name| ask(&resolver, name, Family::V4, nobody()));
        for _ in 0..3 {
            assert!(reached.recv_timeout(PATIENCE).is_ok());
        }
        gate.open("1.example", Ok(vec![addr(1)]));
        gate.open("2.example", Ok(vec![addr(1)]));
    }
}

#[test]
fn a_waker_may_ask_again() {
    let resolver =
        Resolver::with_service(LookupSettings::default(), |_: &str, _| Ok(vec![addr(1)]));
    let (sender, done) = channel();
    let (again, sender) = (resolver.clone(), Mutex::new(sender));
    let waker = Arc::new(move || {
        let next = ask(&again, "b.example", Family::V4, nobody());
        let _ = sender.lock().send(next);
    });
    let _lookup = ask(&resolver, "a.example", Family::V4, waker);
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
        ..LookupSettings::default()
    };
    let resolver = Resolver::with_service(settings, move |name: &str, _| {
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
                    let lookup = ask(resolver, &name, family, nobody());
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

/// A gate under a numbered configuration.
struct Configured {
    number: Arc<AtomicU64>,
    reached: Mutex<Sender<u64>>,
    gate: Arc<Gate>,
}

impl NameService for Configured {
    fn query(&self, name: &str, _: Family) -> Found {
        let number = self.number.load(Ordering::SeqCst);
        self.reached.lock().send(number).unwrap();
        self.gate.pass(name)
    }

    fn configuration(&self) -> Configuration {
        [self.number.load(Ordering::SeqCst), 0, 0, 0, 0]
    }
}

#[test]
fn a_question_under_another_configuration_is_not_joined() {
    let (number, gate) = (Arc::new(AtomicU64::new(1)), Arc::new(Gate::default()));
    let (sender, reached) = channel();
    let service = Configured {
        number: Arc::clone(&number),
        reached: Mutex::new(sender),
        gate: Arc::clone(&gate),
    };
    let settings = LookupSettings {
        max_threads: 2,
        join_within: PATIENCE,
        ..LookupSettings::default()
    };
    let resolver = Resolver::with_service(settings, service);
    let first = ask(&resolver, "a.example", Family::V4, nobody());
    assert_eq!(reached.recv_timeout(PATIENCE), Ok(1));
    let joined = ask(&resolver, "a.example", Family::V4, nobody());
    number.store(2, Ordering::SeqCst);
    let again = ask(&resolver, "a.example", Family::V4, nobody());
    assert_eq!(reached.recv_timeout(PATIENCE), Ok(2));
    let joined_again = ask(&resolver, "a.example", Family::V4, nobody());
    assert_eq!(resolver.load().running, 2);

    // Both threads are busy: the next one waits for its turn, and is asked under
    // the configuration of that time.
    number.store(3, Ordering::SeqCst);
    let queued = ask(&resolver, "a.example", Family::V4, nobody());
    let joined_queued = ask(&resolver, "a.example", Family::V4, nobody());
    assert_eq!((resolver.load().running, resolver.load().queued), (2, 1));
    gate.open("a.example", Ok(vec![addr(1)]));
    assert_eq!(reached.recv_timeout(PATIENCE), Ok(3));
    for lookup in [first, joined, again, joined_again, queued, joined_queued] {
        assert!(lookup.wait_until(soon()).is_ok());
    }
    assert!(reached.try_recv().is_err(), "no further question");
}

#[test]
fn an_old_question_is_not_joined() {
    let (resolver, gate, reached) = gated(2);
    resolver.configure(LookupSettings {
        max_threads: 2,
        join_within: Duration::ZERO,
        ..LookupSettings::default()
    });
    let first = ask(&resolver, "a.example", Family::V4, nobody());
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    let second = ask(&resolver, "a.example", Family::V4, nobody());
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    let third = ask(&resolver, "a.example", Family::V4, nobody());
    assert_eq!((resolver.load().running, resolver.load().queued), (2, 1));
    // Not busy with others, but with this very name.
    assert_eq!(third.overdue(), LookupError::TimedOut);
    let other = ask(&resolver, "b.example", Family::V4, nobody());
    assert_eq!(other.overdue(), LookupError::Busy);
    gate.open("a.example", Ok(vec![addr(1)]));
    for lookup in [first, second, third] {
        assert!(lookup.wait_until(soon()).is_ok());
    }
}

/// Knows one name by itself, in IPv4, and must not be asked for another.
struct OneLocalName;

impl NameService for OneLocalName {
    fn local(&self, name: &str, families: &[Family]) -> Vec<SocketAddr> {
        let is_local = name == "local.example" && families.contains(&Family::V4);
        is_local.then(|| addr(1)).into_iter().collect()
    }

    fn query(&self, name: &str, family: Family) -> Found {
        panic!("asked for {name} {family:?}")
    }
}

#[test]
fn a_local_name_is_asked_nowhere_else() {
    let resolver = Resolver::with_service(LookupSettings::default(), OneLocalName);
    let lookups = resolver.lookup("local.example", [Family::V6, Family::V4], nobody());
    let answers: Vec<_> = lookups
        .iter()
        .map(|lookup| (lookup.family(), lookup.poll().expect("known at once")))
        .collect();
    assert_eq!(answers[0], (Family::V6, Err(LookupError::NoAddress)));
    assert_eq!(answers[1].0, Family::V4);
    assert_eq!(answers[1].1.as_deref(), Ok(&[addr(1)][..]));
    assert!(lookups.iter().all(Lookup::started));
    drop(lookups);
    assert_eq!(resolver.load(), Load::default(), "no thread was started");

    // As getaddrinfo(3) has it, a family that is asked for alone is queried.
    let alone = ask(&resolver, "local.example", Family::V6, nobody());
    assert_eq!(alone.wait_until(soon()), Err(LookupError::Panicked));
}

#[test]
fn localhost_needs_no_thread() {
    let resolver = Resolver::new(LookupSettings::default());
    for name in ["localhost", "LOCALHOST", "localhost.", "a.localhost"] {
        let lookups = resolver.lookup(name, [Family::V6, Family::V4], nobody());
        let found: Vec<_> = lookups
            .iter()
            .filter_map(|lookup| lookup.poll().expect("known at once").ok())
            .flat_map(|addrs| addrs.to_vec())
            .collect();
        assert!(!found.is_empty(), "{name}");
        assert!(
            found.iter().all(|addr| addr.ip().is_loopback()),
            "{found:?}"
        );
    }
    assert_eq!(resolver.load(), Load::default());
}

#[test]
fn the_system_resolver_knows_localhost() {
    let resolver = Resolver::new(LookupSettings::default());
    let lookup = ask(&resolver, "localhost", Family::V4, nobody());
    assert_eq!(
        lookup.wait_until(soon()).unwrap()[..],
        [SocketAddr::from(([127, 0, 0, 1], 0))]
    );
}
