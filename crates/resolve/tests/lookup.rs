//! The lookup pool, with a resolver that answers when the test says so.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, TryReserveError};
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use anjay_net_resolve::{
    Configuration, Family, FamilySet, Found, Load, Lookup, LookupError, LookupSettings,
    NameService, Resolver, Wake,
};

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
        self.answers.lock().unwrap().insert(name.into(), answer);
        self.opened.notify_all();
    }

    fn pass(&self, name: &str) -> Found {
        let mut answers = self.answers.lock().unwrap();
        loop {
            if let Some(answer) = answers.get(name) {
                return answer.clone();
            }
            let (again, timeout) = self.opened.wait_timeout(answers, PATIENCE).unwrap();
            assert!(!timeout.timed_out(), "{name} never opened");
            answers = again;
        }
    }
}

/// A closure that answers, under settings that a test may change.
struct Service<Q> {
    settings: Arc<Mutex<LookupSettings>>,
    query: Q,
}

impl<Q: Fn(&str, Family) -> Found + Sync> NameService for Service<Q> {
    fn query(&self, name: &str, family: Family) -> Found {
        (self.query)(name, family)
    }

    fn settings(&self) -> LookupSettings {
        *self.settings.lock().unwrap()
    }
}

/// A resolver for the rest of the process, as is what it uses; both can be found
/// by tools that look for leaks.
fn resolver(service: impl NameService + Send + 'static) -> &'static Resolver {
    static KEPT: Mutex<Vec<&Resolver>> = Mutex::new(Vec::new());
    let resolver: &Resolver = Box::leak(Box::new(Resolver::new(Box::leak(Box::new(service)))));
    KEPT.lock().unwrap().push(resolver);
    resolver
}

fn answering(
    settings: LookupSettings,
    query: impl Fn(&str, Family) -> Found + Send + Sync + 'static,
) -> &'static Resolver {
    let settings = Arc::new(Mutex::new(settings));
    resolver(Service { settings, query })
}

/// A pool over a gate, its settings, and the questions that reached it.
struct Gated {
    resolver: &'static Resolver,
    gate: Arc<Gate>,
    settings: Arc<Mutex<LookupSettings>>,
    reached: Receiver<(String, Family)>,
}

fn gated_with(settings: LookupSettings) -> Gated {
    let gate = Arc::new(Gate::default());
    let settings = Arc::new(Mutex::new(settings));
    let (sender, reached) = channel();
    let (passing, sender) = (Arc::clone(&gate), Mutex::new(sender));
    let service = Service {
        settings: Arc::clone(&settings),
        query: move |name: &str, family| {
            let _ = sender.lock().unwrap().send((name.to_owned(), family));
            passing.pass(name)
        },
    };
    Gated {
        resolver: resolver(service),
        gate,
        settings,
        reached,
    }
}

fn gated(max_threads: usize) -> (&'static Resolver, Arc<Gate>, Receiver<(String, Family)>) {
    let gated = gated_with(LookupSettings {
        max_threads,
        ..LookupSettings::default()
    });
    (gated.resolver, gated.gate, gated.reached)
}

/// A lookup of one family, for which a thread can wait.
struct Asked {
    family: Family,
    lookup: RefCell<Lookup>,
    answered: Receiver<()>,
}

impl Asked {
    fn poll(&self) -> Option<Found> {
        let (family, found) = self.lookup.borrow_mut().poll()?;
        assert_eq!(family, self.family);
        assert!(self.lookup.borrow().open().is_empty());
        Some(found)
    }

    fn started(&self) -> bool {
        self.lookup.borrow().started(self.family)
    }

    fn give_up(&self) -> LookupError {
        self.lookup.borrow_mut().give_up(self.family)
    }

    fn wait(&self) -> Found {
        loop {
            if let Some(found) = self.poll() {
                return found;
            }
            self.answered.recv_timeout(PATIENCE).unwrap();
        }
    }
}

fn ask(resolver: &'static Resolver, name: &str, family: Family, waker: Box<dyn Wake>) -> Asked {
    let (sender, answered) = channel();
    let both = move || {
        let _ = sender.send(());
        waker.wake();
    };
    let families = [family].into_iter().collect();
    let lookup = resolver.lookup(name, families, Box::new(both)).unwrap();
    Asked {
        family,
        lookup: RefCell::new(lookup),
        answered,
    }
}

fn nobody() -> Box<dyn Wake> {
    Box::new(|| ())
}

fn ask_v4(resolver: &'static Resolver, name: &str) -> Asked {
    ask(resolver, name, Family::V4, nobody())
}

fn telling(sender: &Sender<u32>, what: u32) -> Box<dyn Wake> {
    let sender = sender.clone();
    Box::new(move || sender.send(what).unwrap())
}

#[test]
fn answers_and_wakes_once() {
    let (resolver, gate, _reached) = gated(2);
    let (sender, woken) = channel();
    let lookup = ask(resolver, "a.example", Family::V4, telling(&sender, 1));
    assert!(lookup.poll().is_none());
    gate.open("a.example", Ok(vec![addr(1), addr(2)]));
    assert_eq!(woken.recv_timeout(PATIENCE), Ok(1));
    assert_eq!(lookup.poll(), Some(Ok(vec![addr(1), addr(2)])));
    assert_eq!(lookup.poll(), None, "each answer comes once");
    drop((lookup, sender));
    // The waker is gone with its sender: there is no second call to come.
    assert!(woken.recv_timeout(PATIENCE).is_err());
}

#[test]
fn the_same_question_is_asked_once() {
    let (resolver, gate, reached) = gated(4);
    let (sender, woken) = channel();
    let first = ask(resolver, "a.example", Family::V6, telling(&sender, 1));
    assert_eq!(
        reached.recv_timeout(PATIENCE),
        Ok(("a.example".into(), Family::V6))
    );
    let second = ask(resolver, "a.example", Family::V6, telling(&sender, 2));
    let other = ask_v4(resolver, "a.example");
    assert_eq!(
        reached.recv_timeout(PATIENCE),
        Ok(("a.example".into(), Family::V4))
    );
    gate.open("a.example", Ok(vec![addr(1)]));
    assert_eq!(first.wait(), Ok(vec![addr(1)]));
    assert_eq!(second.wait(), Ok(vec![addr(1)]));
    assert!(other.wait().is_ok());
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
        assert!(ask_v4(resolver, "a.example").wait().is_ok());
        assert!(reached.recv_timeout(PATIENCE).is_ok());
    }
}

#[test]
fn further_lookups_wait_their_turn() {
    let (resolver, gate, reached) = gated(1);
    let first = ask_v4(resolver, "1.example");
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    let second = ask_v4(resolver, "2.example");
    let third = ask_v4(resolver, "3.example");
    assert_eq!(
        resolver.load(),
        Load {
            threads: 1,
            running: 1,
            queued: 2
        }
    );

    assert!(first.started() && !second.started());
    let hopeless = ask_v4(resolver, "2.example");
    assert_eq!(hopeless.give_up(), LookupError::Busy);

    for name in ["3.example", "2.example", "1.example"] {
        gate.open(name, Ok(vec![addr(1)]));
    }
    assert!(third.wait().is_ok());
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
    let first = ask_v4(resolver, "1.example");
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    let second = ask_v4(resolver, "2.example");
    let again = ask_v4(resolver, "2.example");
    let third = ask_v4(resolver, "3.example");
    drop(second);
    assert_eq!(resolver.load().queued, 2, "somebody else still wants it");
    drop(again);
    assert_eq!(resolver.load().queued, 1);
    gate.open("1.example", Ok(vec![addr(1)]));
    gate.open("3.example", Ok(vec![addr(3)]));
    assert!(first.wait().is_ok() && third.wait().is_ok());
    assert_eq!(
        reached.try_iter().map(|(name, _)| name).collect::<Vec<_>>(),
        ["3.example"]
    );
}

#[test]
fn a_late_answer_is_dropped() {
    let (resolver, gate, reached) = gated(1);
    let count = Arc::new(AtomicUsize::new(0));
    let weak: Weak<AtomicUsize> = Arc::downgrade(&count);
    let waker = Box::new(move || _ = count.fetch_add(1, Ordering::SeqCst));
    let lookup = ask(resolver, "late.example", Family::V4, waker);
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
    assert!(ask_v4(resolver, "next.example").wait().is_ok());
}

#[test]
fn a_running_question_without_waiters_can_still_be_joined() {
    let (resolver, gate, reached) = gated(2);
    drop(ask_v4(resolver, "a.example"));
    // Either it was dropped from the queue or it runs; make sure that it runs.
    let lookup = ask_v4(resolver, "a.example");
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    drop(lookup);
    let joined = ask_v4(resolver, "a.example");
    assert!(joined.started());
    gate.open("a.example", Ok(vec![addr(1)]));
    assert!(joined.wait().is_ok());
}

#[test]
fn errors_and_empty_answers_are_told() {
    let (resolver, gate, _reached) = gated(2);
    gate.open("unknown.example", Err(LookupError::NotFound));
    gate.open("empty.example", Ok(Vec::new()));
    let unknown = ask_v4(resolver, "unknown.example");
    let empty = ask_v4(resolver, "empty.example");
    assert_eq!(unknown.wait(), Err(LookupError::NotFound));
    assert_eq!(empty.wait(), Err(LookupError::NoAddress));
    assert!(LookupError::NotFound.is_final() && LookupError::NoAddress.is_final());
    assert!(!LookupError::TryAgain.is_final());
}

#[test]
fn panics_stay_where_they_happen() {
    let settings = LookupSettings {
        max_threads: 1,
        ..LookupSettings::default()
    };
    let resolver = answering(settings, |name, _| {
        if name == "panic" {
            panic!("in the resolver, on purpose")
        }
        Ok(vec![addr(1)])
    });
    let lookup = ask_v4(resolver, "panic");
    assert_eq!(lookup.wait(), Err(LookupError::Panicked));
    let waker = Box::new(|| panic!("in the waker, on purpose"));
    assert!(ask(resolver, "fine", Family::V4, waker).wait().is_ok());
    assert!(ask(resolver, "fine", Family::V6, nobody()).wait().is_ok());
}

#[test]
fn idle_threads_end() {
    let settings = LookupSettings {
        max_threads: 4,
        idle: Duration::from_millis(1),
        ..LookupSettings::default()
    };
    let resolver = answering(settings, |_, _| Ok(vec![addr(1)]));
    let lookups: Vec<_> = (0..20)
        .map(|n| ask(resolver, &format!("{n}.example"), Family::V4, nobody()))
        .collect();
    assert!(lookups.iter().all(|lookup| lookup.wait().is_ok()));
    await_threads(resolver, 0);
}

/// Waits until no more threads than that are left.
fn await_threads(resolver: &Resolver, threads: usize) {
    let deadline = soon();
    while resolver.load().threads > threads {
        assert!(Instant::now() < deadline, "{:?}", resolver.load());
        thread::yield_now();
    }
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
    let resolver = answering(settings, move |_: &str, _| {
        seen.lock().unwrap().insert(thread::current().id());
        Ok(vec![addr(1)])
    });
    for _ in 0..50 {
        assert!(ask_v4(resolver, "a.example").wait().is_ok());
    }
    assert_eq!(threads.lock().unwrap().len(), 1);
}

#[test]
fn limits_can_be_changed() {
    let Gated {
        resolver,
        gate,
        settings,
        reached,
    } = gated_with(LookupSettings {
        max_threads: 0,
        ..LookupSettings::default()
    });
    let one = ask_v4(resolver, "1.example");
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    let two = ask_v4(resolver, "2.example");
    assert!(!two.started(), "0 counts as 1");
    *settings.lock().unwrap() = LookupSettings {
        max_threads: 3,
        idle: Duration::ZERO,
        ..LookupSettings::default()
    };
    let three = ask_v4(resolver, "3.example");
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    assert_eq!(resolver.load().threads, 2);
    *settings.lock().unwrap() = LookupSettings {
        max_threads: 1,
        idle: PATIENCE,
        ..LookupSettings::default()
    };
    for name in ["1.example", "2.example", "3.example"] {
        gate.open(name, Ok(vec![addr(1)]));
    }
    for lookup in [one, two, three] {
        assert!(lookup.wait().is_ok());
    }
    // The surplus thread ends although its patience would last.
    await_threads(resolver, 1);
    gate.open("4.example", Ok(vec![addr(1)]));
    let four = ask_v4(resolver, "4.example");
    assert!(four.wait().is_ok());
}

#[test]
fn an_idle_thread_is_counted_on_once() {
    // Whether the first thread is idle yet when the two questions come is left
    // to chance: both must be served at the same time in any case.
    for _ in 0..100 {
        let (resolver, gate, reached) = gated(2);
        gate.open("0.example", Ok(vec![addr(1)]));
        let first = ask_v4(resolver, "0.example");
        assert!(first.wait().is_ok());
        let _lookups = ["1.example", "2.example"].map(|name| ask_v4(resolver, name));
        for _ in 0..3 {
            assert!(reached.recv_timeout(PATIENCE).is_ok());
        }
        gate.open("1.example", Ok(vec![addr(1)]));
        gate.open("2.example", Ok(vec![addr(1)]));
    }
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
    let resolver = answering(settings, move |name: &str, _| {
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
                    assert_eq!(lookup.wait(), Ok(vec![expected]));
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
        self.reached.lock().unwrap().send(number).unwrap();
        self.gate.pass(name)
    }

    fn settings(&self) -> LookupSettings {
        LookupSettings {
            max_threads: 2,
            join_within: PATIENCE,
            ..LookupSettings::default()
        }
    }

    fn configuration(&self) -> Configuration {
        self.number.load(Ordering::SeqCst)
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
    let resolver = resolver(service);
    let first = ask_v4(resolver, "a.example");
    assert_eq!(reached.recv_timeout(PATIENCE), Ok(1));
    let joined = ask_v4(resolver, "a.example");
    number.store(2, Ordering::SeqCst);
    let again = ask_v4(resolver, "a.example");
    assert_eq!(reached.recv_timeout(PATIENCE), Ok(2));
    let joined_again = ask_v4(resolver, "a.example");
    assert_eq!(resolver.load().running, 2);

    // Both threads are busy: the next one waits for its turn, and is asked under
    // the configuration of that time.
    number.store(3, Ordering::SeqCst);
    let queued = ask_v4(resolver, "a.example");
    let joined_queued = ask_v4(resolver, "a.example");
    assert_eq!((resolver.load().running, resolver.load().queued), (2, 1));
    gate.open("a.example", Ok(vec![addr(1)]));
    assert_eq!(reached.recv_timeout(PATIENCE), Ok(3));
    for lookup in [first, joined, again, joined_again, queued, joined_queued] {
        assert!(lookup.wait().is_ok());
    }
    assert!(reached.try_recv().is_err(), "no further question");
}

#[test]
fn an_old_question_is_not_joined() {
    let Gated {
        resolver,
        gate,
        reached,
        ..
    } = gated_with(LookupSettings {
        max_threads: 2,
        join_within: Duration::ZERO,
        ..LookupSettings::default()
    });
    let first = ask_v4(resolver, "a.example");
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    let second = ask_v4(resolver, "a.example");
    assert!(reached.recv_timeout(PATIENCE).is_ok());
    let third = ask_v4(resolver, "a.example");
    assert_eq!((resolver.load().running, resolver.load().queued), (2, 1));
    // Not busy with others, but with this very name.
    let fourth = ask_v4(resolver, "a.example");
    assert_eq!(fourth.give_up(), LookupError::TimedOut);
    let other = ask_v4(resolver, "b.example");
    assert_eq!(other.give_up(), LookupError::Busy);
    gate.open("a.example", Ok(vec![addr(1)]));
    for lookup in [first, second, third] {
        assert!(lookup.wait().is_ok());
    }
}

/// Knows one name by itself, in IPv4, and must not be asked for another.
struct OneLocalName;

impl NameService for OneLocalName {
    fn local(&self, name: &str, families: FamilySet) -> Result<Vec<SocketAddr>, TryReserveError> {
        let is_local = name == "local.example" && families.iter().any(|it| it == Family::V4);
        Ok(is_local.then(|| addr(1)).into_iter().collect())
    }

    fn query(&self, name: &str, family: Family) -> Found {
        panic!("asked for {name} {family:?}")
    }
}

#[test]
fn a_local_name_is_asked_nowhere_else() {
    let resolver = resolver(OneLocalName);
    let both = [Family::V6, Family::V4].into_iter().collect();
    let mut lookup = resolver.lookup("local.example", both, nobody()).unwrap();
    let none = Err(LookupError::NoAddress);
    assert_eq!(lookup.poll(), Some((Family::V6, none)));
    assert!(lookup.started(Family::V4));
    assert_eq!(lookup.poll(), Some((Family::V4, Ok(vec![addr(1)]))));
    assert_eq!(lookup.poll(), None);
    drop(lookup);
    assert_eq!(resolver.load(), Load::default(), "no thread was started");

    // As getaddrinfo(3) has it, a family that is asked for alone is queried.
    let alone = ask(resolver, "local.example", Family::V6, nobody());
    assert_eq!(alone.wait(), Err(LookupError::Panicked));
}

fn open(path: &CStr) -> io::Result<File> {
    File::open(OsStr::from_bytes(path.to_bytes()))
}

#[test]
fn localhost_is_known_without_a_query() {
    let both = [Family::V6, Family::V4].into_iter().collect();
    for name in ["localhost", "LOCALHOST", "localhost.", "a.localhost"] {
        let found = anjay_net_resolve::local(name, both, open).unwrap();
        assert!(!found.is_empty(), "{name}");
        assert!(
            found.iter().all(|addr| addr.ip().is_loopback()),
            "{found:?}"
        );
    }
}

#[test]
fn a_name_that_is_too_long_for_dns_is_asked_nowhere() {
    let resolver = answering(LookupSettings::default(), |_, _| unreachable!());
    let long = ask_v4(resolver, &"x".repeat(256));
    assert_eq!(long.poll(), Some(Err(LookupError::NotFound)));
}

#[test]
fn a_lookup_tells_which_answers_are_to_come() {
    let resolver = answering(LookupSettings::default(), |_, _| Ok(vec![addr(1)]));
    let (sender, answered) = channel();
    let waker = Box::new(move || _ = sender.send(()));
    let both: FamilySet = [Family::V4, Family::V6].into_iter().collect();
    let mut lookup = resolver.lookup("a.example", both, waker).unwrap();
    assert_eq!(lookup.open(), both);
    for left in [1, 0] {
        answered.recv_timeout(PATIENCE).unwrap();
        let (_family, found) = lookup.poll().unwrap();
        assert_eq!(found, Ok(vec![addr(1)]));
        assert_eq!(lookup.open().iter().count(), left);
    }
}

#[test]
fn the_configuration_of_the_system_is_read() {
    let own = anjay_net_resolve::configuration(open);
    assert_ne!(own, Configuration::default());
}
