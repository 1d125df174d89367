//! When to start which connection attempt: Happy Eyeballs, RFC 8305.
//!
//! A [`Planner`] opens no socket and reads no clock. It is told what happened
//! and what time it is, and says what to do next, so every case can be tested
//! without waiting for it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::clock;
use crate::list::admitted;
use crate::policy::{Family, Place, Policy, place, same_endpoint, unmap};
use crate::random::Random;

/// Times and limits of a [`Planner`]. Durations above a year count as a year.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlanSettings {
    /// From one start to the next while nothing fails: RFC 8305's Connection
    /// Attempt Delay. Default 250 ms.
    pub attempt_delay: Duration,
    /// How long the first attempt waits for an answer that could bring a better
    /// address: RFC 8305's Resolution Delay. Default 50 ms.
    pub resolution_delay: Duration,
    /// How long each attempt may take. Default 10 s.
    pub attempt_timeout: Duration,
    /// Most attempts at once, each of which costs a descriptor; 0 counts as 1.
    /// Default 16: eight addresses of each family, started within 4 s.
    pub max_attempts: usize,
}

impl Default for PlanSettings {
    fn default() -> Self {
        PlanSettings {
            attempt_delay: Duration::from_millis(250),
            resolution_delay: Duration::from_millis(50),
            attempt_timeout: Duration::from_secs(10),
            max_attempts: 16,
        }
    }
}

/// What to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Start an attempt to connect to this address.
    Start(SocketAddr),
    /// Close this attempt, its time is over; counts as `ETIMEDOUT`.
    Abandon(SocketAddr),
    /// Nothing until then, unless something happens before.
    WaitUntil(Instant),
    /// Nothing until an answer comes.
    Wait,
    /// No attempt is left and no answer is expected.
    Exhausted,
}

/// A race between the addresses of one name, or of several.
///
/// Tell it which answers are under way ([`expect`](Self::expect)), then loop:
/// do what [`next`](Self::next) says until it says to wait, wait for that long
/// or until something happens, and tell it what ([`answer`](Self::answer),
/// [`failed`](Self::failed)). The first attempt that succeeds has won: close the
/// others and drop the planner.
///
/// The order: the preferred ("sticky") endpoint first; then the families in
/// turn, beginning with the one the policy puts first, the order inside a family
/// being random; demoted addresses after all others. Each address is started at
/// most once, [`attempt_delay`](PlanSettings::attempt_delay) after the last
/// start or as soon as an attempt fails, whichever is first.
///
/// ```
/// use std::time::{Duration, Instant};
/// use anjay_net_resolve::{Family, PlanSettings, Planner, Policy, Step};
///
/// let (six, four) = ("[2001:db8::1]:5684".parse().unwrap(), "192.0.2.1:5684".parse().unwrap());
/// let now = Instant::now();
/// let mut planner = Planner::new(PlanSettings::default(), Policy::default(), None);
/// planner.answer(now, Family::V6, &[six]);
/// planner.answer(now, Family::V4, &[four]);
///
/// assert_eq!(planner.next(now), Step::Start(six));
/// let later = now + Duration::from_millis(250);
/// assert_eq!(planner.next(now), Step::WaitUntil(later));
/// assert_eq!(planner.next(later), Step::Start(four));
/// ```
#[derive(Clone, Debug)]
pub struct Planner {
    settings: PlanSettings,
    policy: Policy,
    preferred: Option<SocketAddr>,
    /// Families whose answers are under way.
    expected: Vec<Family>,
    /// Addresses not started yet; the order inside a family is random.
    waiting: Vec<Candidate>,
    running: Vec<Attempt>,
    /// Everything that ever was in `waiting`.
    known: BTreeSet<Place>,
    /// The family whose turn it is.
    turn: Family,
    /// Since when there is something to start: the resolution delay runs from here.
    first_answer: Option<Instant>,
    /// Before anything was started: None.
    last_start: Option<Instant>,
    /// Starts owed to failures. One for each: what is decided must not depend on
    /// whether two failures are told one by one or together.
    owed: usize,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    addr: SocketAddr,
    family: Family,
    sticky: bool,
    demoted: bool,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    addr: SocketAddr,
    deadline: Instant,
}

impl Planner {
    /// A planner that knows no address and expects none.
    #[must_use]
    pub fn new(settings: PlanSettings, policy: Policy, preferred: Option<SocketAddr>) -> Self {
        Planner {
            settings,
            policy,
            preferred,
            expected: Vec::new(),
            waiting: Vec::new(),
            running: Vec::new(),
            known: BTreeSet::new(),
            turn: policy.first(),
            first_answer: None,
            last_start: None,
            owed: 0,
        }
    }

    /// An answer for this family is under way: there may be more to start.
    pub fn expect(&mut self, family: Family) {
        if !self.expected.contains(&family) {
            self.expected.push(family);
        }
    }

    /// The answer for this family is there, perhaps with nothing. Addresses that
    /// the policy does not admit, or that are known already, are left out.
    pub fn answer(&mut self, now: Instant, family: Family, addrs: &[SocketAddr]) {
        self.answer_with(now, family, addrs, |_| false);
    }

    /// As [`answer`](Self::answer), with the addresses that `demoted` says yes to
    /// tried after all others, the sticky one too: it failed when last tried.
    pub fn answer_with(
        &mut self,
        now: Instant,
        family: Family,
        addrs: &[SocketAddr],
        demoted: impl Fn(&SocketAddr) -> bool,
    ) {
        self.expected.retain(|expected| *expected != family);
        let mut addrs = admitted(addrs.to_vec(), &self.policy);
        Random::new().shuffle(&mut addrs);
        for addr in addrs {
            if !self.known.insert(place(&addr)) {
                continue;
            }
            self.waiting.push(Candidate {
                addr,
                family: Family::of(&unmap(addr)),
                sticky: self
                    .preferred
                    .is_some_and(|preferred| same_endpoint(&preferred, &addr)),
                demoted: demoted(&addr),
            });
            self.first_answer.get_or_insert(now);
        }
    }

    /// The attempt to `addr`, as given by [`Step::Start`], has failed. Attempts
    /// that are not running are ignored.
    pub fn failed(&mut self, addr: SocketAddr) {
        let Some(index) = self.running.iter().position(|attempt| attempt.addr == addr) else {
            return;
        };
        self.running.swap_remove(index);
        // With nothing left to start, one start is kept for a late answer: it
        // need not be held back, but must not come as a burst either.
        self.owed = (self.owed + 1).min(self.waiting.len().max(1));
    }

    /// What to do at `now`. Call again after each [`Step::Start`] and
    /// [`Step::Abandon`].
    pub fn next(&mut self, now: Instant) -> Step {
        if let Some(attempt) = self.running.iter().find(|attempt| attempt.deadline <= now) {
            let addr = attempt.addr;
            self.failed(addr);
            return Step::Abandon(addr);
        }
        let start = self.next_start();
        if let Some((index, due)) = start {
            if due.is_none_or(|due| due <= now) {
                return Step::Start(self.start(index, now));
            }
        }
        let deadlines = self.running.iter().map(|attempt| attempt.deadline);
        match deadlines.chain(start.and_then(|(_, due)| due)).min() {
            Some(instant) => Step::WaitUntil(instant),
            None if self.expected.is_empty() => Step::Exhausted,
            None => Step::Wait,
        }
    }

    /// The attempts under way: what to close when one of them has won.
    pub fn running(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.running.iter().map(|attempt| attempt.addr)
    }

    fn start(&mut self, index: usize, now: Instant) -> SocketAddr {
        // Keeps the order of the others.
        // The others change places, but they are in random order anyway.
        let Candidate { addr, family, .. } = self.waiting.swap_remove(index);
        let deadline = clock::after(now, self.settings.attempt_timeout);
        self.running.push(Attempt { addr, deadline });
        self.turn = family.other();
        self.last_start = Some(now);
        self.owed = self.owed.saturating_sub(1);
        addr
    }

    /// Which candidate is next, and when it is due; None is at once.
    fn next_start(&self) -> Option<(usize, Option<Instant>)> {
        if self.running.len() >= self.settings.max_attempts.max(1) {
            return None;
        }
        let rank = |candidate: &Candidate| {
            (
                candidate.demoted,
                !candidate.sticky,
                candidate.family != self.turn,
            )
        };
        let candidates = self.waiting.iter().enumerate();
        let (index, best) = candidates.min_by_key(|(_, candidate)| rank(candidate))?;
        let due = match self.last_start {
            None if self.could_be_beaten(best) => self
                .first_answer
                .map(|first| clock::after(first, self.settings.resolution_delay)),
            None => None,
            // Also whenever nothing is running: the last one left by failing.
            Some(_) if self.owed > 0 => None,
            Some(last) => Some(clock::after(last, self.settings.attempt_delay)),
        };
        Some((index, due))
    }

    /// Whether an answer under way could bring an address that goes before this one.
    fn could_be_beaten(&self, best: &Candidate) -> bool {
        let sticky_family = self
            .preferred
            .map(|preferred| Family::of(&unmap(preferred)));
        self.expected.iter().any(|&family| {
            let goes_first = family == self.policy.first() || Some(family) == sticky_family;
            best.demoted || (!best.sticky && goes_first)
        })
    }
}
