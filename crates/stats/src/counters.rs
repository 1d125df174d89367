//! The counters of one socket.

use core::time::Duration;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Something rare enough to be counted one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A connect, or an accept, succeeded.
    Connected,
    /// A datagram was longer than the caller's buffer.
    Truncated,
    /// A datagram of somebody else than the connected peer was thrown away.
    Foreign,
    /// The peer refused: `ECONNREFUSED` from connect, send or receive.
    Refused,
    /// A wait ended without what it waited for.
    TimedOut,
    /// The kernel took less than a stream write offered.
    ShortWrite,
    /// A system call was repeated: `EINTR`, or `EAGAIN` after readiness.
    Retried,
    /// A connect failed.
    ConnectFailed,
    /// A name was looked up, and the answer was addresses.
    LookedUp,
    /// A lookup failed, or was given up.
    LookupFailed,
}

/// Number of [`Event`] kinds.
const EVENTS: usize = Event::LookupFailed as usize + 1;

/// How often a snapshot is taken again because something was counted meanwhile.
const RETRIES: usize = 8;

/// Live counters of one socket; any thread may add, any thread may read.
///
/// All counters only grow. Byte and datagram counters have 64 bits; event
/// counters have 32 and wrap, which at one event each second takes 136 years.
#[derive(Debug, Default)]
pub struct Counters {
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    sends: AtomicU64,
    receives: AtomicU64,
    events: [AtomicU32; EVENTS],
    /// Microseconds.
    last_connect: AtomicU32,
    /// Which of the ledger's it is.
    pub(crate) number: u32,
}

impl Counters {
    /// Counters at zero.
    pub const fn new() -> Self {
        Counters::numbered(0)
    }

    /// Those of a ledger.
    pub(crate) const fn numbered(number: u32) -> Self {
        Counters {
            bytes_sent: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            sends: AtomicU64::new(0),
            receives: AtomicU64::new(0),
            events: [const { AtomicU32::new(0) }; EVENTS],
            last_connect: AtomicU32::new(0),
            number,
        }
    }

    /// Counts one datagram, or one piece of a stream, of `bytes` that the
    /// kernel took.
    #[inline]
    pub fn sent(&self, bytes: usize) {
        self.bytes_sent.fetch_add(bytes as u64, Relaxed);
        // Release: who sees the datagram sees its bytes.
        self.sends.fetch_add(1, Release);
    }

    /// Counts one datagram, or one piece of a stream, of `bytes` that the
    /// caller got.
    #[inline]
    pub fn received(&self, bytes: usize) {
        self.bytes_received.fetch_add(bytes as u64, Relaxed);
        // As above.
        self.receives.fetch_add(1, Release);
    }

    /// Counts one event.
    #[inline]
    pub fn record(&self, event: Event) {
        self.events[event as usize].fetch_add(1, Relaxed);
    }

    /// Notes how long a connect waited for the network, whatever came of it.
    pub fn connect_took(&self, time: Duration) {
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        self.last_connect.store(micros, Relaxed);
    }

    /// Payload bytes sent.
    #[inline]
    pub fn bytes_sent(&self) -> u64 {
        self.bytes_sent.load(Relaxed)
    }

    /// Payload bytes received.
    #[inline]
    pub fn bytes_received(&self) -> u64 {
        self.bytes_received.load(Relaxed)
    }

    /// Datagrams sent, or pieces of a stream.
    #[inline]
    pub fn sends(&self) -> u64 {
        self.sends.load(Relaxed)
    }

    /// Datagrams received, or pieces of a stream.
    #[inline]
    pub fn receives(&self) -> u64 {
        self.receives.load(Relaxed)
    }

    /// The values now, which fit together: a datagram that is counted has its
    /// bytes counted. Bytes of transfers that are being counted at this very
    /// moment may be there before their datagrams.
    pub fn snapshot(&self) -> Snapshot {
        let mut seen = self.read();
        for _ in 0..RETRIES {
            let again = self.read();
            if again == seen {
                break;
            }
            seen = again;
        }
        seen
    }

    fn read(&self) -> Snapshot {
        let event = |event: Event| u64::from(self.events[event as usize].load(Relaxed));
        // Before the bytes, which were added first.
        let (sends, receives) = (self.sends.load(Acquire), self.receives.load(Acquire));
        Snapshot {
            bytes_sent: self.bytes_sent(),
            bytes_received: self.bytes_received(),
            sends,
            receives,
            truncated: event(Event::Truncated),
            foreign: event(Event::Foreign),
            refused: event(Event::Refused),
            timed_out: event(Event::TimedOut),
            short_writes: event(Event::ShortWrite),
            retries: event(Event::Retried),
            connected: event(Event::Connected),
            connect_failures: event(Event::ConnectFailed),
            looked_up: event(Event::LookedUp),
            lookup_failures: event(Event::LookupFailed),
            last_connect: Duration::from_micros(self.last_connect.load(Relaxed).into()),
        }
    }

    /// Adds the values to a sum and leaves zeros. Nobody else uses the counters
    /// any more.
    pub(crate) fn move_into(&self, sum: &mut Snapshot) {
        // A short life often has nothing but one connect in it.
        let [connected, rare @ ..] = &self.events;
        sum.connected += u64::from(connected.load(Relaxed));
        connected.store(0, Relaxed);
        self.last_connect.store(0, Relaxed);
        if self.sends() | self.receives() != 0 {
            self.move_traffic_into(sum);
        }
        if rare
            .iter()
            .fold(0, |any, counter| any | counter.load(Relaxed))
            != 0
        {
            self.move_rare_into(sum);
        }
    }

    fn move_traffic_into(&self, sum: &mut Snapshot) {
        for (counter, sum) in [
            (&self.bytes_sent, &mut sum.bytes_sent),
            (&self.bytes_received, &mut sum.bytes_received),
            (&self.sends, &mut sum.sends),
            (&self.receives, &mut sum.receives),
        ] {
            *sum += counter.load(Relaxed);
            counter.store(0, Relaxed);
        }
    }

    #[cold]
    fn move_rare_into(&self, sum: &mut Snapshot) {
        for (event, sum) in [
            (Event::Truncated, &mut sum.truncated),
            (Event::Foreign, &mut sum.foreign),
            (Event::Refused, &mut sum.refused),
            (Event::TimedOut, &mut sum.timed_out),
            (Event::ShortWrite, &mut sum.short_writes),
            (Event::Retried, &mut sum.retries),
            (Event::ConnectFailed, &mut sum.connect_failures),
            (Event::LookedUp, &mut sum.looked_up),
            (Event::LookupFailed, &mut sum.lookup_failures),
        ] {
            let counter = &self.events[event as usize];
            *sum += u64::from(counter.load(Relaxed));
            counter.store(0, Relaxed);
        }
    }
}

/// Counter values at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Payload bytes that the kernel took.
    pub bytes_sent: u64,
    /// Payload bytes that callers got.
    pub bytes_received: u64,
    /// Datagrams sent, or pieces that the kernel took of a stream.
    pub sends: u64,
    /// Datagrams received, or pieces of a stream.
    pub receives: u64,
    /// See [`Event::Truncated`].
    pub truncated: u64,
    /// See [`Event::Foreign`].
    pub foreign: u64,
    /// See [`Event::Refused`].
    pub refused: u64,
    /// See [`Event::TimedOut`].
    pub timed_out: u64,
    /// See [`Event::ShortWrite`].
    pub short_writes: u64,
    /// See [`Event::Retried`].
    pub retries: u64,
    /// See [`Event::Connected`].
    pub connected: u64,
    /// See [`Event::ConnectFailed`].
    pub connect_failures: u64,
    /// See [`Event::LookedUp`].
    pub looked_up: u64,
    /// See [`Event::LookupFailed`].
    pub lookup_failures: u64,
    /// How long the last connect waited for the network. Of one socket: a sum
    /// over several has none.
    pub last_connect: Duration,
}

impl Snapshot {
    /// Nothing.
    pub(crate) const ZERO: Snapshot = Snapshot {
        bytes_sent: 0,
        bytes_received: 0,
        sends: 0,
        receives: 0,
        truncated: 0,
        foreign: 0,
        refused: 0,
        timed_out: 0,
        short_writes: 0,
        retries: 0,
        connected: 0,
        connect_failures: 0,
        looked_up: 0,
        lookup_failures: 0,
        last_connect: Duration::ZERO,
    };
}

impl core::ops::AddAssign for Snapshot {
    fn add_assign(&mut self, other: Snapshot) {
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.sends += other.sends;
        self.receives += other.receives;
        self.truncated += other.truncated;
        self.foreign += other.foreign;
        self.refused += other.refused;
        self.timed_out += other.timed_out;
        self.short_writes += other.short_writes;
        self.retries += other.retries;
        self.connected += other.connected;
        self.connect_failures += other.connect_failures;
        self.looked_up += other.looked_up;
        self.lookup_failures += other.lookup_failures;
        self.last_connect = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_its_own_counter() {
        let counters = Counters::new();
        let events = [
            Event::Truncated,
            Event::Foreign,
            Event::Refused,
            Event::TimedOut,
            Event::ShortWrite,
            Event::Retried,
            Event::Connected,
            Event::ConnectFailed,
            Event::LookedUp,
            Event::LookupFailed,
        ];
        for (times, event) in (1..).zip(events) {
            (0..times).for_each(|_| counters.record(event));
        }
        let seen = counters.snapshot();
        assert_eq!(
            [
                seen.truncated,
                seen.foreign,
                seen.refused,
                seen.timed_out,
                seen.short_writes,
                seen.retries,
                seen.connected,
                seen.connect_failures,
                seen.looked_up,
                seen.lookup_failures,
            ],
            [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
        );
    }

    #[test]
    fn additions_from_many_threads_are_all_counted() {
        let counters = Counters::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| counters.sent(3)));
            }
        });
        assert_eq!(counters.bytes_sent(), 12_000);
        assert_eq!(counters.snapshot().sends, 4_000);
    }

    #[test]
    fn no_snapshot_has_a_datagram_without_its_bytes() {
        const SENDERS: u64 = 2;
        const EACH: u64 = 20_000;
        let counters = Counters::new();
        std::thread::scope(|scope| {
            for _ in 0..SENDERS {
                scope.spawn(|| (0..EACH).for_each(|_| counters.sent(100)));
            }
            let mut last = Snapshot::default();
            while last.sends < SENDERS * EACH {
                let now = counters.snapshot();
                let surplus = now.bytes_sent.checked_sub(100 * now.sends);
                // One sender adds nothing before its last datagram is counted,
                // but others may while the values are read.
                assert!(surplus.is_some(), "{now:?}");
                assert!(now.sends >= last.sends && now.bytes_sent >= last.bytes_sent);
                last = now;
            }
        });
        let end = counters.snapshot();
        assert_eq!(end.bytes_sent, 100 * end.sends);
    }
}
