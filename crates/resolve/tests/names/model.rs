//! Connects to a name on a clock that jumps: lookup, order and attempts together,
//! without a socket or a thread.
//!
//! `anjay-net-resolve`, which decides all this, has no C ABI of its own; its
//! documents say what happens when.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::slice;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anjay_net_resolve::{
    Families, Family, FamilySet, Found, Helper, Hints, Kind, Load, Lookup, LookupError,
    LookupSettings, NameService, Order, PlanSettings, Planner, Policy, Resolver, Source, Step,
    Unresponsive, V4Form, map, same_endpoint, unmap,
};

/// Takes the bytes for a policy, the answers to a name, and what is known of each
/// address and becomes of it, and runs a connect to its end.
pub fn check(data: &[u8]) {
    // The resolver is that of the process.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let world = World::of(&mut Bytes(data.iter()));
    world.check_list();
    let mut connect = Connect::new(&world);
    while connect.goes_on() {}
    drop(connect);
    let unasked = ANSWERS.with_borrow(Vec::len);
    while run_helper() {}
    assert_eq!(ANSWERS.with_borrow(Vec::len), unasked, "nobody waits");
    assert_eq!(resolver().load(), Load::default());
}

struct Bytes<'a>(slice::Iter<'a, u8>);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.next()) % choices.len()]
    }

    /// Of few, so that duplicates and v4-mapped twins happen.
    fn addr(&mut self) -> SocketAddr {
        let byte = self.next();
        let host = byte & 3;
        match byte >> 2 & 3 {
            0 => ([192, 0, 2, host], 1).into(),
            1 => map(([192, 0, 2, host], 1).into()),
            2 => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()], 1).into(),
            _ => ([0xfd00, 0, 0, 0, 0, 0, 0, host.into()], 1).into(),
        }
    }

    fn answer(&mut self, family: Family) -> Answer {
        let at = ms(self.one_of(&[0, 0, 1, 20, 49, 50, 51, 400, 999, 1000, 2000]));
        let found = match self.next() {
            0 => Err(LookupError::TryAgain),
            count => Ok((0..count % 10).map(|_| self.addr()).collect()),
        };
        Answer { family, at, found }
    }
}

/// Of the site and of the link only, from where not every address can be reached.
const LOCAL: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 9);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

struct Answer {
    family: Family,
    at: Duration,
    found: Found,
}

struct World {
    order: Order,
    settings: PlanSettings,
    attempt_timeout: Duration,
    resolve_timeout: Duration,
    /// In the order in which they come.
    answers: Vec<Answer>,
    /// What is known of each address and becomes of it.
    fates: [u8; 12],
    unresponsive: Unresponsive,
}

impl World {
    fn of(bytes: &mut Bytes<'_>) -> World {
        use Families::{Any, Only, Prefer};
        use Family::{V4, V6};
        let policy = Policy {
            families: bytes.one_of(&[Any, Prefer(V6), Prefer(V4), Only(V4), Only(V6)]),
            v4: bytes.one_of(&[V4Form::Native, V4Form::Mapped]),
        };
        let kind = bytes.one_of(&[Kind::Udp, Kind::Tcp]);
        let preferred = bytes.one_of(&[true, false]).then(|| bytes.addr());
        let settings = PlanSettings {
            attempt_delay: ms(bytes.one_of(&[250, 0, 10])),
            resolution_delay: ms(bytes.one_of(&[50, 0, 300])),
        };
        let attempt_timeout = ms(bytes.one_of(&[10_000, 100, 0]));
        let resolve_timeout = ms(bytes.one_of(&[1000, 30, 0]));
        let fates = [(); 12].map(|()| bytes.next());
        let answers = policy.wanted().iter().map(|family| bytes.answer(family));
        let mut answers: Vec<Answer> = answers.collect();
        answers.sort_by_key(|answer| answer.at);
        let order = Order {
            policy,
            kind,
            preferred,
        };
        let world = World {
            order,
            settings,
            attempt_timeout,
            resolve_timeout,
            answers,
            fates,
            unresponsive: Unresponsive::new(),
        };
        for addr in world.found().chain(preferred) {
            let mark = world.mark(&addr);
            world.unresponsive.mark(addr, Duration::ZERO, mark);
        }
        world
    }

    /// Every address of every answer.
    fn found(&self) -> impl Iterator<Item = SocketAddr> {
        let found = self.answers.iter().flat_map(|answer| &answer.found);
        found.flatten().copied()
    }

    fn fate(&self, addr: &SocketAddr) -> u8 {
        self.fates[match unmap(*addr) {
            SocketAddr::V4(v4) => v4.ip().octets()[3].into(),
            SocketAddr::V6(v6) => {
                let kind = if v6.ip().segments()[0] == 0xfd00 {
                    4
                } else {
                    8
                };
                kind + usize::from(v6.ip().octets()[15])
            }
        }]
    }

    fn source(&self, addr: &SocketAddr) -> Source {
        match (self.fate(addr) & 3, addr) {
            (0, _) | (1, SocketAddr::V4(_)) => Source::Unknown,
            (1, _) => Source::Address(LOCAL.into()),
            (2, _) => Source::Unreachable,
            (_, SocketAddr::V4(_)) => Source::Address(Ipv4Addr::LOCALHOST.into()),
            (_, SocketAddr::V6(_)) => Source::Address(LINK_LOCAL.into()),
        }
    }

    /// For how long it counts as one that did not answer.
    fn mark(&self, addr: &SocketAddr) -> Duration {
        [ms(0), ms(0), ms(20), ms(3000)][usize::from(self.fate(addr) >> 2 & 3)]
    }

    /// How long an attempt takes and whether it succeeds; one that never ends: `None`.
    fn attempt(&self, addr: &SocketAddr) -> Option<(Duration, bool)> {
        match self.fate(addr) >> 4 {
            fails @ 0..8 => Some((
                ms([0, 0, 1, 100, 249, 250, 251, 5000][usize::from(fails)]),
                false,
            )),
            succeeds @ 8..11 => Some((ms([0, 100, 300][usize::from(succeeds - 8)]), true)),
            _ => None,
        }
    }

    fn with_hints<T>(&self, now: Duration, run: impl FnOnce(&Hints<'_>) -> T) -> T {
        run(&Hints {
            unresponsive: &|addr| self.unresponsive.contains(addr, now),
            source_of: &|addr| {
                assert_eq!(*addr, unmap(*addr), "never asked for a v4-mapped one");
                self.source(addr)
            },
        })
    }

    /// That a list of all addresses has the order in which a connect tries them, and
    /// that each of the best comes first now and then.
    fn check_list(&self) {
        let found: Vec<SocketAddr> = self.found().collect();
        let list = || {
            self.with_hints(ms(0), |hints| self.order.sorted(&found, hints))
                .expect("memory")
        };
        let mut candidates = Candidates::new(self);
        candidates.add(&found, ms(0));
        let mut unseen = candidates.best();
        list().into_iter().for_each(|addr| candidates.take(addr));
        assert!(candidates.waiting().next().is_none(), "left out");
        // Twelve at most: each stays away this often once in 10^15 runs.
        for _ in 0..400 {
            let first = list().first().copied();
            unseen.retain(|addr| Some(*addr) != first);
            if unseen.is_empty() {
                return;
            }
        }
        panic!("{unseen:?} never come first");
    }
}

/// An address that was found.
struct Candidate {
    addr: SocketAddr,
    is_unresponsive: bool,
    is_taken: bool,
}

/// The addresses that were found, each once.
struct Candidates<'a> {
    world: &'a World,
    list: Vec<Candidate>,
    turn: Option<Family>,
}

impl<'a> Candidates<'a> {
    fn new(world: &'a World) -> Candidates<'a> {
        let families = world.order.policy.families;
        Candidates {
            world,
            list: Vec::new(),
            turn: (families != Families::Any).then(|| world.order.policy.first()),
        }
    }

    /// Whether there were any new ones.
    fn add(&mut self, addrs: &[SocketAddr], now: Duration) -> bool {
        let known = self.list.len();
        for addr in addrs {
            let Some(addr) = self.world.order.policy.admit(*addr) else {
                continue;
            };
            let twin = self
                .list
                .iter_mut()
                .find(|it| same_endpoint(&it.addr, &addr));
            match twin {
                Some(twin) if addr.is_ipv4() => twin.addr = addr,
                Some(_) => {}
                None => self.list.push(Candidate {
                    addr,
                    is_unresponsive: self.world.mark(&addr) > now,
                    is_taken: false,
                }),
            }
        }
        self.list.len() > known
    }

    fn waiting(&self) -> impl Iterator<Item = &Candidate> {
        self.list.iter().filter(|candidate| !candidate.is_taken)
    }

    fn is_stored(&self, addr: &SocketAddr) -> bool {
        let stored = self.world.order.preferred;
        stored.is_some_and(|stored| same_endpoint(&stored, addr))
    }

    /// Without a source, without an answer, not the stored one, with a source that does
    /// not fit, not of the family whose turn it is, and of less precedence (RFC 6724).
    fn rank(&self, candidate: &Candidate) -> (bool, bool, bool, u8, bool, u8) {
        let addr = unmap(candidate.addr);
        let is_local = matches!(addr, SocketAddr::V6(v6) if v6.ip().is_unique_local());
        let source = self.world.source(&addr);
        (
            source == Source::Unreachable,
            candidate.is_unresponsive,
            !self.is_stored(&addr),
            match source {
                Source::Unknown | Source::Unreachable => 0,
                // Another label only, which counts less than another scope.
                Source::Address(ip) if ip == LOCAL => u8::from(!is_local),
                Source::Address(_) => 2 + u8::from(is_local),
            },
            self.turn.is_some_and(|turn| turn != Family::of(&addr)),
            match addr {
                SocketAddr::V4(_) => 1,
                SocketAddr::V6(_) => 2 * u8::from(is_local),
            },
        )
    }

    fn best(&self) -> Vec<SocketAddr> {
        let best = self.waiting().map(|it| self.rank(it)).min();
        let equals = self.waiting().filter(|it| Some(self.rank(it)) == best);
        equals.map(|candidate| candidate.addr).collect()
    }

    /// One of the best is tried.
    fn take(&mut self, addr: SocketAddr) {
        let best = self.best();
        assert!(best.contains(&addr), "{addr} is tried, not one of {best:?}");
        let index = self.list.iter().position(|it| it.addr == addr);
        self.list[index.expect("one of them")].is_taken = true;
        if self.world.order.kind == Kind::Tcp {
            self.turn = Some(Family::of(&unmap(addr)).other());
        }
    }
}

struct Attempt {
    ends_at: Duration,
    succeeds: bool,
}

/// A connect, as the socket core makes it.
struct Connect<'a> {
    world: &'a World,
    begin: Instant,
    now: Duration,
    lookup: Lookup,
    planner: Planner,
    /// Of the lookup, the next first.
    answers: &'a [Answer],
    candidates: Candidates<'a>,
    running: Vec<Attempt>,
    first_answer: Option<Duration>,
    last_start: Option<Duration>,
    /// Starts that need not wait, as attempts have failed.
    owed: usize,
    waits_for_stored: bool,
}

impl<'a> Connect<'a> {
    fn new(world: &'a World) -> Connect<'a> {
        let answers = world.answers.as_slice();
        ANSWERS.set(
            answers
                .iter()
                .map(|it| (it.family, it.found.clone()))
                .collect(),
        );
        let ask = |families: FamilySet| {
            let woken = || WOKEN.set(WOKEN.get() + 1);
            resolver()
                .lookup("server.example", families, Box::new(woken))
                .expect("memory")
        };
        THREADS.set(2);
        // Another lookup of what is answered first, which this one joins.
        let other = ask(answers.iter().take(1).map(|answer| answer.family).collect());
        let lookup = ask(world.order.policy.wanted());
        drop(other);
        THREADS.set(1);
        WOKEN.set(0);
        let mut planner = Planner::new(world.settings, world.order);
        lookup
            .open()
            .iter()
            .for_each(|family| planner.expect(family));
        Connect {
            world,
            begin: Instant::now(),
            now: ms(0),
            lookup,
            planner,
            answers,
            candidates: Candidates::new(world),
            running: Vec::new(),
            first_answer: None,
            last_start: None,
            owed: 0,
            waits_for_stored: false,
        }
    }

    fn goes_on(&mut self) -> bool {
        self.take_answers();
        match self.planner.next(self.begin + self.now) {
            Step::Start(addr) => self.start(addr),
            Step::WaitUntil(until) => self.wait(Some(until - self.begin)),
            Step::Wait => self.wait(None),
            Step::Exhausted => {
                assert!(self.lookup.open().is_empty(), "answers are to come");
                assert!(self.candidates.waiting().next().is_none(), "left out");
                if self.running.is_empty() {
                    return false;
                }
                self.wait(None);
            }
        }
        !self.end_attempts()
    }

    fn take_answers(&mut self) {
        let world = self.world;
        while let [answer, rest @ ..] = self.answers {
            if answer.at > self.now || self.lookup.open().is_empty() {
                break;
            }
            self.answers = rest;
            assert!(self.lookup.poll().is_none(), "before its time");
            assert!(run_helper(), "a thread for each question");
            let found = match &answer.found {
                Ok(addrs) if addrs.is_empty() => Err(LookupError::NoAddress),
                found => found.clone(),
            };
            assert_eq!(self.lookup.poll(), Some((answer.family, found)));
            assert_eq!(WOKEN.replace(0), 1, "once for each answer");
            self.learn(answer.family, answer.found.as_deref().unwrap_or_default());
        }
        if self.now >= world.resolve_timeout {
            for family in self.lookup.open().iter() {
                assert_eq!(self.lookup.give_up(family), LookupError::Busy);
                self.learn(family, &[]);
            }
        }
    }

    fn learn(&mut self, family: Family, addrs: &[SocketAddr]) {
        let (now, planner) = (self.begin + self.now, &mut self.planner);
        self.world
            .with_hints(self.now, |hints| planner.answer(now, family, addrs, hints))
            .expect("memory");
        if self.candidates.add(addrs, self.now) {
            self.first_answer.get_or_insert(self.now);
        }
        let stored = self.world.order.preferred;
        self.waits_for_stored = stored.is_some_and(|stored| {
            let of_open = |family: Family| family == Family::of(&unmap(stored));
            self.lookup.open().iter().any(of_open) && self.world.mark(&stored) <= self.now
        });
    }

    /// When the next attempt has to start, neither earlier nor later.
    fn due(&self) -> Option<Duration> {
        let best = *self.candidates.best().first()?;
        let settings = &self.world.settings;
        if let Some(last) = self.last_start {
            return Some(if self.owed > 0 {
                self.now
            } else {
                last + settings.attempt_delay
            });
        }
        let best = self.candidates.list.iter().find(|it| it.addr == best)?;
        let (is_unusable, is_unresponsive, is_other, flaws, ..) = self.candidates.rank(best);
        let mut open = self.lookup.open().iter();
        let first = self.world.order.policy.first();
        let is_best = !is_unusable && !is_unresponsive && !is_other;
        let is_bad = is_unusable || flaws > 0;
        if self.lookup.open().is_empty() || is_best {
            return Some(self.now);
        }
        if self.waits_for_stored || is_bad {
            if self.world.order.kind == Kind::Udp {
                return None;
            }
        } else if !is_unresponsive && !open.any(|family| family == first) {
            return Some(self.now);
        }
        let first_answer = self.first_answer.expect("there is a candidate");
        Some(first_answer + settings.resolution_delay)
    }

    fn start(&mut self, addr: SocketAddr) {
        let due = self.due().expect("to start nothing");
        assert!(
            due <= self.now,
            "{addr} is tried {:?} too early",
            due - self.now
        );
        if self.last_start.is_none() {
            self.check_stored(addr);
        }
        self.candidates.take(addr);
        self.last_start = Some(self.now);
        self.owed = self.owed.saturating_sub(1);
        let timeout = self.world.attempt_timeout;
        let (after, succeeds) = self.world.attempt(&addr).unwrap_or((timeout, false));
        self.running.push(Attempt {
            ends_at: self.now + after.min(timeout),
            succeeds: succeeds && after <= timeout,
        });
    }

    /// That the stored endpoint is the first to be tried if it is there in time: for a
    /// datagram socket, which stays with the first, before the lookup ends.
    fn check_stored(&self, first: SocketAddr) {
        let world = self.world;
        let Some(stored) = world.order.preferred else {
            return;
        };
        let is_usable = world.source(&unmap(stored)) != Source::Unreachable;
        if !is_usable || world.mark(&stored) > ms(0) || same_endpoint(&stored, &first) {
            return;
        }
        let delay = self.first_answer.unwrap_or_default() + world.settings.resolution_delay;
        let until = match world.order.kind {
            Kind::Udp => world.resolve_timeout,
            Kind::Tcp => delay.min(world.resolve_timeout),
        };
        let wire = Family::of(&unmap(stored));
        for answer in world
            .answers
            .iter()
            .filter(|it| it.at <= until && it.family == wire)
        {
            let mut found = answer.found.iter().flatten();
            assert!(
                !found.any(|addr| same_endpoint(addr, &stored)),
                "{stored} not first"
            );
        }
    }

    /// An attempt has failed.
    fn owe(&mut self) {
        let waiting = self.candidates.waiting().count();
        // One is kept for an answer to come.
        self.owed = (self.owed + 1).min(waiting.max(1));
    }

    fn wait(&mut self, until: Option<Duration>) {
        assert_eq!(until, self.due(), "until then");
        assert!(
            until.is_none_or(|until| until > self.now),
            "waits for the past"
        );
        let ends = self.running.iter().map(|attempt| attempt.ends_at);
        let answer = self.answers.first().map(|answer| answer.at);
        let answer = answer.into_iter().chain([self.world.resolve_timeout]);
        let answer = answer.filter(|_| !self.lookup.open().is_empty());
        let next = ends.chain(answer).chain(until).min();
        self.now = next.expect("something to wait for").max(self.now);
    }

    /// Whether one has succeeded.
    fn end_attempts(&mut self) -> bool {
        let now = self.now;
        let is_over = |attempt: &Attempt| attempt.ends_at <= now;
        while let Some(index) = self.running.iter().position(is_over) {
            if self.running.swap_remove(index).succeeds {
                return true;
            }
            self.planner.failed();
            self.owe();
        }
        false
    }
}

thread_local! {
    /// What the name service will say.
    static ANSWERS: RefCell<Vec<(Family, Found)>> = const { RefCell::new(Vec::new()) };
    /// Threads of the resolver, which run when it is their time.
    static HELPERS: RefCell<Vec<Helper>> = const { RefCell::new(Vec::new()) };
    static THREADS: Cell<usize> = const { Cell::new(1) };
    static WOKEN: Cell<usize> = const { Cell::new(0) };
}

struct Service;

impl NameService for Service {
    fn query(&self, _name: &str, family: Family) -> Found {
        ANSWERS.with_borrow_mut(|answers| {
            let index = answers.iter().position(|(of, _)| *of == family);
            // Asked twice.
            index.map_or(Err(LookupError::Failed), |index| answers.remove(index).1)
        })
    }

    fn settings(&self) -> LookupSettings {
        LookupSettings {
            max_threads: THREADS.get(),
            idle: Duration::ZERO,
            ..LookupSettings::default()
        }
    }
}

fn resolver() -> &'static Resolver {
    let spawn = |helper| {
        HELPERS.with_borrow_mut(|helpers| helpers.push(helper));
        Ok(())
    };
    Resolver::global(&Service, spawn).expect("memory")
}

/// Has a thread of the resolver answer one question, as there are more threads than
/// allowed, or find none and end.
fn run_helper() -> bool {
    let helper = HELPERS.with_borrow_mut(Vec::pop);
    helper.map(Helper::run).is_some()
}
