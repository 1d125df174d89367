//! Endpoints that did not answer lately and are tried after all others.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::addr::same_endpoint;

/// How many endpoints are remembered at once. When another one is marked, the
/// entry that expires first is dropped.
pub const UNRESPONSIVE_MAX: usize = 64;

/// The endpoints that did not answer when last tried, shared by all threads.
///
/// `connect(2)` on UDP does not tell whether the peer answers, so a client gets
/// away from the dead server of a pool only if the endpoint that did not answer
/// goes to the back of the list for a while. Addresses are compared by
/// [`same_endpoint`].
///
/// Times are readings of a clock that the caller chooses, never read here. It
/// should be one that goes on while the device sleeps (`CLOCK_BOOTTIME`).
///
/// ```
/// use std::time::Duration;
/// use anjay_net_resolve::{Hints, Kind, Order, Policy, Unresponsive};
///
/// static UNRESPONSIVE: Unresponsive = Unresponsive::new();
///
/// let (dead, live) = ("192.0.2.1:5683".parse().unwrap(), "192.0.2.2:5683".parse().unwrap());
/// let now = Duration::from_secs(1_000);
/// UNRESPONSIVE.mark(dead, now, Duration::from_secs(300));
/// let order = Order {
///     policy: Policy::default(),
///     kind: Kind::Udp,
///     preferred: Some(dead),
/// };
/// let hints = Hints {
///     unresponsive: &|addr| UNRESPONSIVE.contains(addr, now),
///     ..Hints::NONE
/// };
/// assert_eq!(order.sorted(&[dead, live], &hints)?, [live, dead]);
/// # Ok::<(), std::collections::TryReserveError>(())
/// ```
#[derive(Debug, Default)]
pub struct Unresponsive {
    entries: Mutex<Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    addr: SocketAddr,
    until: Duration,
}

impl Unresponsive {
    /// An empty set.
    #[must_use]
    pub const fn new() -> Self {
        Unresponsive {
            entries: Mutex::new(Vec::new()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `addr` did not answer: it is in the set from `now` on for `duration`,
    /// which replaces an earlier mark.
    #[inline(never)]
    pub fn mark(&self, addr: SocketAddr, now: Duration, duration: Duration) {
        let mut entries = self.lock();
        remove(&mut entries, &addr, now);
        let until = now.saturating_add(duration);
        let entry = Entry { addr, until };
        if entries.len() == UNRESPONSIVE_MAX {
            if let Some(soonest) = entries.iter_mut().min_by_key(|entry| entry.until) {
                *soonest = entry;
            }
        } else if entries.try_reserve(1).is_ok() {
            // The mark improves an order, so running out of memory only loses it.
            entries.push(entry);
        }
    }

    /// `addr` answered: removes it.
    pub fn clear(&self, addr: &SocketAddr) {
        remove(&mut self.lock(), addr, Duration::ZERO);
    }

    /// Whether `addr` was marked and the mark has not expired.
    #[must_use]
    pub fn contains(&self, addr: &SocketAddr, now: Duration) -> bool {
        let entries = self.lock();
        entries
            .iter()
            .any(|entry| entry.until > now && same_endpoint(&entry.addr, addr))
    }
}

/// Removes an address, and what has expired.
fn remove(entries: &mut Vec<Entry>, addr: &SocketAddr, now: Duration) {
    entries.retain(|entry| entry.until > now && !same_endpoint(&entry.addr, addr));
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const NOW: Duration = Duration::from_secs(7);

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn a_mark_expires() {
        let set = Unresponsive::new();
        set.mark(addr(1), NOW, MINUTE);
        assert!(set.contains(&addr(1), NOW));
        assert!(set.contains(&crate::map(addr(1)), NOW));
        assert!(!set.contains(&addr(2), NOW));
        assert!(!set.contains(&addr(1), NOW + MINUTE));
        set.mark(addr(1), NOW + MINUTE, Duration::MAX);
        assert!(set.contains(&addr(1), NOW + 1_000 * MINUTE));
        set.clear(&crate::map(addr(1)));
        assert!(!set.contains(&addr(1), NOW + MINUTE));
    }

    #[test]
    fn a_mark_for_no_time_is_none() {
        let set = Unresponsive::new();
        set.mark(addr(1), NOW, Duration::ZERO);
        assert!(!set.contains(&addr(1), NOW));
    }

    #[test]
    fn a_full_set_drops_what_expires_first() {
        let set = Unresponsive::new();
        for port in 0..UNRESPONSIVE_MAX as u16 {
            let duration = if port == 7 { MINUTE } else { 2 * MINUTE };
            set.mark(addr(port), NOW, duration);
        }
        set.mark(addr(1), NOW, 2 * MINUTE);
        assert!(set.contains(&addr(7), NOW), "marking again takes no room");
        set.mark(addr(1_000), NOW, MINUTE);
        assert!(!set.contains(&addr(7), NOW));
        assert!(set.contains(&addr(1_000), NOW));
        assert_eq!(set.lock().len(), UNRESPONSIVE_MAX);
    }

    #[test]
    fn expired_marks_make_room() {
        let set = Unresponsive::new();
        for port in 0..10 {
            set.mark(addr(port), NOW, MINUTE);
        }
        set.mark(addr(99), NOW + MINUTE, MINUTE);
        assert_eq!(set.lock().len(), 1);
    }
}
