//! Endpoints that failed lately and had better wait their turn.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::clock;
use crate::policy::same_endpoint;

/// How many endpoints are remembered at once; when one more fails, the penalty
/// that would end first is forgotten.
pub const PENALTIES_MAX: usize = 64;

/// A small memory of failed endpoints, shared by all threads.
///
/// `connect` on UDP says nothing about whether anybody answers, so a pool with a
/// dead server is left only if the endpoint that failed goes to the back of the
/// list for a while. Addresses are compared as by
/// [`same_endpoint`]. Times are given, never read.
///
/// ```
/// use std::time::{Duration, Instant};
/// use anjay_net_resolve::{EndpointList, Penalties, Policy};
///
/// static PENALTIES: Penalties = Penalties::new();
///
/// let (dead, live) = ("192.0.2.1:5683".parse().unwrap(), "192.0.2.2:5683".parse().unwrap());
/// let now = Instant::now();
/// PENALTIES.punish(dead, now, Duration::from_secs(300));
/// let list = EndpointList::ordered_with(vec![dead, live], &Policy::default(), Some(dead), |addr| {
///     PENALTIES.is_punished(addr, now)
/// });
/// assert_eq!(list.as_slice(), [live, dead]);
/// ```
#[derive(Debug, Default)]
pub struct Penalties {
    entries: Mutex<Vec<Penalty>>,
}

#[derive(Debug)]
struct Penalty {
    addr: SocketAddr,
    until: Instant,
}

impl Penalties {
    /// Nobody punished.
    #[must_use]
    pub const fn new() -> Self {
        Penalties {
            entries: Mutex::new(Vec::new()),
        }
    }

    /// `addr` failed at `now`: it is punished for `for_` (5 minutes is a good
    /// choice; above a year counts as a year), whatever was said before.
    pub fn punish(&self, addr: SocketAddr, now: Instant, for_: Duration) {
        let mut entries = self.entries.lock();
        entries.retain(|entry| entry.until > now && !same_endpoint(&entry.addr, &addr));
        if entries.len() == PENALTIES_MAX {
            let soonest = entries
                .iter()
                .enumerate()
                .min_by_key(|(_, entry)| entry.until);
            if let Some((index, _)) = soonest {
                entries.swap_remove(index);
            }
        }
        // With no memory left this is soon forgotten: no reason to end a program.
        if entries.try_reserve(1).is_ok() {
            entries.push(Penalty {
                addr,
                until: clock::after(now, for_),
            });
        }
    }

    /// `addr` works: its penalty is over.
    pub fn forgive(&self, addr: &SocketAddr) {
        self.entries
            .lock()
            .retain(|entry| !same_endpoint(&entry.addr, addr));
    }

    /// Whether `addr` failed lately.
    #[must_use]
    pub fn is_punished(&self, addr: &SocketAddr, now: Instant) -> bool {
        let entries = self.entries.lock();
        entries
            .iter()
            .any(|entry| entry.until > now && same_endpoint(&entry.addr, addr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn lasts_as_long_as_told() {
        let penalties = Penalties::new();
        let now = Instant::now();
        penalties.punish(addr(1), now, MINUTE);
        assert!(penalties.is_punished(&addr(1), now));
        assert!(penalties.is_punished(&crate::map(addr(1)), now));
        assert!(!penalties.is_punished(&addr(2), now));
        assert!(!penalties.is_punished(&addr(1), now + MINUTE));
        penalties.punish(addr(1), now + MINUTE, Duration::MAX);
        assert!(penalties.is_punished(&addr(1), now + 1_000 * MINUTE));
        penalties.forgive(&crate::map(addr(1)));
        assert!(!penalties.is_punished(&addr(1), now + MINUTE));
    }

    #[test]
    fn forgets_what_ends_first() {
        let penalties = Penalties::new();
        let now = Instant::now();
        for port in 0..PENALTIES_MAX as u16 {
            let odd = if port == 7 { MINUTE } else { 2 * MINUTE };
            penalties.punish(addr(port), now, odd);
        }
        penalties.punish(addr(1), now, 2 * MINUTE);
        assert!(
            penalties.is_punished(&addr(7), now),
            "punishing again takes no room"
        );
        penalties.punish(addr(1_000), now, MINUTE);
        assert!(!penalties.is_punished(&addr(7), now));
        assert!(penalties.is_punished(&addr(1_000), now));
        assert_eq!(penalties.entries.lock().len(), PENALTIES_MAX);
    }

    #[test]
    fn makes_room_as_penalties_end() {
        let penalties = Penalties::new();
        let now = Instant::now();
        for port in 0..10 {
            penalties.punish(addr(port), now, MINUTE);
        }
        penalties.punish(addr(99), now + MINUTE, MINUTE);
        assert_eq!(penalties.entries.lock().len(), 1);
    }
}
