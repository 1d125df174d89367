//! When to start which connection attempt: Happy Eyeballs, RFC 8305.
//!
//! A [`Planner`] opens no socket and reads no clock. Its caller passes
//! events and the time, and it returns what to do next, so every case can be tested
//! without waiting for it.

use std::collections::TryReserveError;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::addr::{Family, FamilySet};
use crate::order::{Candidates, Hints, Hold, Order};

/// Longer times are cut to this: `Instant + Duration` panics on overflow, and
/// durations come from the caller's settings.
const YEAR: Duration = Duration::from_secs(31_536_000);

fn after(now: Instant, delay: Duration) -> Instant {
    now + delay.min(YEAR)
}

/// Times of a [`Planner`]. Durations above a year count as a year.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlanSettings {
    /// From one start to the next while nothing fails: RFC 8305's Connection
    /// Attempt Delay. Default 250 ms.
    pub attempt_delay: Duration,
    /// How long the first attempt waits for an answer that could bring a better
    /// address: RFC 8305's Resolution Delay. Default 50 ms.
    pub resolution_delay: Duration,
}

impl PlanSettings {
    /// The values of RFC 8305.
    pub const DEFAULT: PlanSettings = PlanSettings {
        attempt_delay: Duration::from_millis(250),
        resolution_delay: Duration::from_millis(50),
    };
}

/// What to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Start an attempt to connect to this address.
    Start(SocketAddr),
    /// Wait until then, or for an earlier answer or failure.
    WaitUntil(Instant),
    /// Wait for an answer.
    Wait,
    /// No address is left and no answer is expected.
    Exhausted,
}

/// When to begin to connect to which of the addresses of a name. How long an attempt
/// may take is for the caller to decide.
///
/// Tell it which answers are under way ([`expect`](Self::expect)), then loop: carry
/// out each step that [`next`](Self::next) returns. When that is to wait, wait until
/// then, or until an answer arrives or an attempt fails; report it
/// ([`answer`](Self::answer), [`failed`](Self::failed)) and go on. After the first
/// attempt that succeeds, close the others and drop the planner.
///
/// Attempts are started in the order of
/// [`Order::sorted`], each address at most once, [`attempt_delay`](PlanSettings::attempt_delay) after the last start or
/// as soon as an attempt fails, whichever is first. The first start waits for an
/// answer that could bring a better address: for
/// [`resolution_delay`](PlanSettings::resolution_delay). A datagram socket waits
/// until the answer has come if it may hold the preferred endpoint, or if there
/// is no route or no fitting source address to what is there.
///
/// ```
/// use std::time::{Duration, Instant};
/// use anjay_net_resolve::{Family, Hints, Kind, Order, PlanSettings, Planner, Policy, Step};
///
/// let (six, four) = ("[2001:db8::1]:5684".parse().unwrap(), "192.0.2.1:5684".parse().unwrap());
/// let now = Instant::now();
/// let order = Order {
///     policy: Policy::default(),
///     kind: Kind::Tcp,
///     preferred: None,
/// };
/// let mut planner = Planner::new(PlanSettings::DEFAULT, order);
/// planner.answer(now, Family::V6, &[six], &Hints::NONE)?;
/// planner.answer(now, Family::V4, &[four], &Hints::NONE)?;
///
/// assert_eq!(planner.next(now), Step::Start(six));
/// let later = now + Duration::from_millis(250);
/// assert_eq!(planner.next(now), Step::WaitUntil(later));
/// assert_eq!(planner.next(later), Step::Start(four));
/// # Ok::<(), std::collections::TryReserveError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Planner {
    settings: PlanSettings,
    /// Families whose answers are under way.
    expected: FamilySet,
    candidates: Candidates,
    /// When the first address came: the resolution delay runs from here.
    first_answer: Option<Instant>,
    /// Before anything was started: None.
    last_start: Option<Instant>,
    /// Starts that failures allow at once, one each: the outcome must not depend
    /// on whether two failures are told one by one or together.
    owed: usize,
}

impl Planner {
    /// A planner that knows no address and expects none.
    #[must_use]
    #[inline(never)]
    pub fn new(settings: PlanSettings, order: Order) -> Self {
        Planner {
            settings,
            expected: FamilySet::default(),
            candidates: Candidates::new(order),
            first_answer: None,
            last_start: None,
            owed: 0,
        }
    }

    /// An answer for this family is under way: there may be more to start.
    pub fn expect(&mut self, family: Family) {
        self.expected.insert(family);
    }

    /// The answer for this family is there, perhaps an empty one. Addresses that
    /// the policy does not admit, or that are known already, are left out.
    ///
    /// # Errors
    ///
    /// Memory has run out.
    pub fn answer(
        &mut self,
        now: Instant,
        family: Family,
        addrs: &[SocketAddr],
        hints: &Hints<'_>,
    ) -> Result<(), TryReserveError> {
        self.expected.remove(family);
        let more_expected = !self.expected.is_empty();
        if self.candidates.add(addrs, hints, more_expected)? {
            self.first_answer.get_or_insert(now);
        }
        Ok(())
    }

    /// An attempt, as given by [`Step::Start`], has failed.
    pub fn failed(&mut self) {
        // With nothing left to start, one start is kept for a late answer: it
        // need not be held back, but must not come as a burst either.
        self.owed = (self.owed + 1).min(self.candidates.waiting().max(1));
    }

    /// What to do at `now`. Call again after each [`Step::Start`].
    #[inline(never)]
    pub fn next(&mut self, now: Instant) -> Step {
        let due = self.next_start(now);
        if let Some(later) = due.filter(|due| *due > now) {
            return Step::WaitUntil(later);
        }
        match due.and_then(|_| self.candidates.take_next()) {
            Some(addr) => {
                self.last_start = Some(now);
                self.owed = self.owed.saturating_sub(1);
                Step::Start(addr)
            }
            None if self.expected.is_empty() => Step::Exhausted,
            None => Step::Wait,
        }
    }

    /// When the next attempt is due, if there is one to start.
    fn next_start(&self, now: Instant) -> Option<Instant> {
        if self.candidates.waiting() == 0 {
            return None;
        }
        match (self.last_start, self.first_answer) {
            (None, Some(first)) => match self.hold() {
                Hold::No => Some(now),
                Hold::ForDelay => Some(after(first, self.settings.resolution_delay)),
                Hold::UntilAnswered => None,
            },
            // No start owed means that the last one is still running.
            (Some(last), _) if self.owed == 0 => Some(after(last, self.settings.attempt_delay)),
            _ => Some(now),
        }
    }

    /// How long the first start is held back for the answers under way.
    fn hold(&self) -> Hold {
        let holds = self.expected.iter();
        let holds = holds.map(|family| self.candidates.hold_for(family));
        holds.max().unwrap_or(Hold::No)
    }
}
