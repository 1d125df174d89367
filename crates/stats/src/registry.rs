//! The counters of all sockets of a process.

use core::ops::Deref;
use core::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::outcomes::{ConnectTotals, Connects, LookupTotals, Lookups};
use crate::{Counters, Snapshot};

/// Counters are allocated this many at a time: so few that a process with one
/// socket does not pay for many.
const CHUNK: usize = 8;

/// Hands out [`Counters`] and computes their totals.
///
/// Registering and dropping a socket's counters takes a short lock; counting
/// takes none. The memory of dropped counters is used again, so a process keeps
/// as many as it ever had sockets at one time.
#[derive(Debug, Default)]
pub struct Registry {
    /// All connects.
    pub connects: Connects,
    /// All lookups of names.
    pub lookups: Lookups,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    chunks: Vec<&'static [Counters]>,
    /// Counters that are not in use.
    free: Vec<&'static Counters>,
    /// Sum over the sockets that are gone, if any are.
    past: Option<Snapshot>,
    in_use_max: usize,
    /// Sockets ever registered.
    registered: u64,
}

impl Registry {
    /// An empty registry; meant for a `static`, as it never frees memory.
    pub const fn new() -> Self {
        Registry {
            connects: Connects::new(),
            lookups: Lookups::new(),
            slots: Mutex::new(Slots {
                chunks: Vec::new(),
                free: Vec::new(),
                past: None,
                in_use_max: 0,
                registered: 0,
            }),
        }
    }

    /// std's lock takes no memory for a thread that waits.
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counters for one more socket, of streams or of datagrams, at zero; `None`
    /// when memory runs out.
    pub fn register(&'static self, is_stream: bool) -> Option<SocketCounters> {
        let mut slots = self.lock();
        let counters = match slots.free.pop() {
            Some(counters) => counters,
            None => slots.grow()?,
        };
        counters.is_stream.store(is_stream, Relaxed);
        slots.registered += 1;
        slots.in_use_max = slots.in_use_max.max(slots.in_use());
        Some(SocketCounters {
            counters,
            registry: self,
        })
    }

    fn unregister(&self, counters: &'static Counters) {
        let mut slots = self.lock();
        *slots.past.get_or_insert_default() += counters.take();
        slots.free.push(counters);
    }

    /// The current totals, over the sockets that exist and those that did.
    ///
    /// A socket that is dropped meanwhile is counted exactly once.
    pub fn totals(&self) -> Totals {
        let slots = self.lock();
        let mut traffic = slots.past.unwrap_or_default();
        // Counters that are not in use are zero.
        for counters in slots.chunks.iter().copied().flatten() {
            traffic += counters.snapshot();
        }
        Totals {
            traffic,
            sockets: slots.in_use(),
            sockets_max: slots.in_use_max,
            sockets_created: slots.registered,
            connects: self.connects.snapshot(),
            lookups: self.lookups.snapshot(),
        }
    }
}

impl Slots {
    fn len(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    fn in_use(&self) -> usize {
        self.len() - self.free.len()
    }

    /// One more chunk, of which the first counters are in use; `None`, and
    /// nothing has changed, when memory runs out.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) -> Option<&'static Counters> {
        // `unregister` must not allocate: room for all of them now, and for
        // some that are still to come, but not for twice as many.
        let all = self.len() + CHUNK;
        if self.free.capacity() < all {
            self.free.try_reserve_exact(all + all / 8).ok()?;
        }
        self.chunks.try_reserve(1).ok()?;
        let mut chunk = Vec::new();
        chunk.try_reserve_exact(CHUNK).ok()?;
        chunk.resize_with(CHUNK, Counters::default);
        let chunk: &[Counters] = chunk.leak();
        let (first, others) = chunk.split_first()?;
        self.chunks.push(chunk);
        self.free.extend(others);
        Some(first)
    }
}

/// The counters of one socket while it exists. Dropping them adds their values
/// to the totals of the registry.
#[derive(Debug)]
pub struct SocketCounters {
    counters: &'static Counters,
    registry: &'static Registry,
}

impl Deref for SocketCounters {
    type Target = Counters;

    #[inline]
    fn deref(&self) -> &Counters {
        self.counters
    }
}

impl Drop for SocketCounters {
    fn drop(&mut self) {
        self.registry.unregister(self.counters);
    }
}

/// Totals of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// The sum over all sockets.
    pub traffic: Snapshot,
    /// Sockets that exist now.
    pub sockets: usize,
    /// The largest number of sockets at one time.
    pub sockets_max: usize,
    /// Sockets created since the start.
    pub sockets_created: u64,
    /// How connects ended.
    pub connects: ConnectTotals,
    /// How lookups of names ended.
    pub lookups: LookupTotals,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;
    use core::time::Duration;

    #[test]
    fn reused_counters_start_at_zero_and_nothing_is_counted_twice() {
        static REGISTRY: Registry = Registry::new();
        for _ in 0..3 {
            let counters = REGISTRY.register(false).unwrap();
            assert_eq!(counters.snapshot(), Snapshot::default());
            counters.received(7);
            assert!(REGISTRY.totals().traffic.bytes_received > 0);
        }
        let totals = REGISTRY.totals();
        assert_eq!(totals.traffic.bytes_received, 21);
        assert_eq!(totals.traffic.receives, 3);
        assert_eq!(
            (totals.sockets, totals.sockets_max, totals.sockets_created),
            (0, 1, 3)
        );
        assert_eq!(REGISTRY.lock().chunks.len(), 1);
    }

    #[test]
    fn totals_stay_exact_while_sockets_come_and_go() {
        static REGISTRY: Registry = Registry::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut last = 0;
                    for _ in 0..500 {
                        REGISTRY.register(false).unwrap().sent(1);
                        let now = REGISTRY.totals().traffic.bytes_sent;
                        assert!(now > last, "a closed socket was lost for a moment");
                        last = now;
                    }
                });
            }
        });
        assert_eq!(REGISTRY.totals().traffic.bytes_sent, 2000);
    }

    #[test]
    fn packets_of_datagrams_follow_from_their_payload() {
        static REGISTRY: Registry = Registry::new();
        for is_stream in [false, true] {
            let counters = REGISTRY.register(is_stream).unwrap();
            counters.sent(100);
            counters.ip_sent(20);
            counters.received(1);
            let now = counters.snapshot();
            let expected = if is_stream { (20, 0) } else { (148, 29) };
            assert_eq!((now.ip_bytes_sent, now.ip_bytes_received), expected);
        }
        let totals = REGISTRY.totals().traffic;
        assert_eq!((totals.ip_bytes_sent, totals.ip_bytes_received), (168, 29));
    }

    /// `unregister` must not allocate, and memory for twice the sockets is wasted.
    #[test]
    fn there_is_room_for_all_that_become_free() {
        static REGISTRY: Registry = Registry::new();
        let mut sockets = Vec::new();
        let mut growths = Vec::new();
        for _ in 0..64 * CHUNK {
            sockets.push(REGISTRY.register(false).unwrap());
            let slots = REGISTRY.lock();
            let (room, all) = (slots.free.capacity(), slots.len());
            assert!(all <= room && room <= all + all / 8, "{room} for {all}");
            if growths.last() != Some(&room) {
                growths.push(room);
            }
        }
        assert!(growths.len() <= 32, "{growths:?}");
    }

    #[test]
    fn counters_are_of_one_socket_at_a_time() {
        static REGISTRY: Registry = Registry::new();
        for _ in 0..2 {
            // The second time they are used again, from wherever they are.
            let sockets: Vec<SocketCounters> = (0..3 * CHUNK)
                .map_while(|_| REGISTRY.register(false))
                .collect();
            for (bytes, counters) in (1..).zip(&sockets) {
                counters.sent(bytes);
            }
            for (bytes, counters) in (1..).zip(&sockets) {
                assert_eq!(counters.bytes_sent(), bytes);
            }
        }
    }

    #[test]
    fn a_registry_is_empty_by_default() {
        let registry = Registry::default();
        assert_eq!(registry.totals(), Totals::default());
    }

    #[test]
    fn more_sockets_than_a_chunk_holds() {
        static REGISTRY: Registry = Registry::new();
        const SOCKETS: usize = 3 * CHUNK + 1;
        let sockets: Vec<SocketCounters> = (0..SOCKETS)
            .map_while(|_| REGISTRY.register(false))
            .collect();
        for counters in &sockets {
            counters.sent(2);
        }
        let totals = REGISTRY.totals();
        assert_eq!(totals.traffic.sends, SOCKETS as u64);
        assert_eq!((totals.sockets, totals.sockets_max), (SOCKETS, SOCKETS));
        drop(sockets);
        let _one = REGISTRY.register(false);
        let totals = REGISTRY.totals();
        assert_eq!((totals.sockets, totals.sockets_max), (1, SOCKETS));
    }

    #[test]
    fn every_value_of_a_closed_socket_is_in_the_totals_and_none_in_the_next() {
        static REGISTRY: Registry = Registry::new();
        let counters = REGISTRY.register(false).unwrap();
        counters.sent(2);
        counters.received(3);
        counters.ip_sent(5);
        counters.ip_received(7);
        Event::ALL.iter().for_each(|&event| counters.record(event));
        let mut before = counters.snapshot();
        counters.set_last_connect(Duration::from_micros(5));
        drop(counters);
        assert_eq!(REGISTRY.totals().traffic, before);
        // The same memory, and only one of the values.
        for event in Event::ALL {
            let counters = REGISTRY.register(false).unwrap();
            assert_eq!(counters.snapshot(), Snapshot::default());
            counters.record(event);
            before += counters.snapshot();
            drop(counters);
            assert_eq!(REGISTRY.totals().traffic, before, "{event:?}");
        }
    }
}
