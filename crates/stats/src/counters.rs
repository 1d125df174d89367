//! The counters of one socket.

use core::time::Duration;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

/// Something rare enough to be counted one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A connection was established, by connect or accept.
    Connected,
    /// A datagram was longer than the caller's buffer.
    Truncated,
    /// A received datagram was dropped because it did not come from the
    /// connected peer.
    UnexpectedSource,
    /// An empty datagram from the connected peer was dropped.
    DroppedEmpty,
    /// A datagram that waited to be received was dropped, because connect
    /// replaced the descriptor by one of the other address family.
    DroppedQueued,
    /// A datagram was lost on this host while it was sent: a firewall dropped
    /// it (`EPERM`), a queue was full (`ENOBUFS`), or WireGuard had no peer for
    /// it (`ENOKEY`).
    DroppedLocal,
    /// A datagram was lost because there was no route while it was sent
    /// (`ENETUNREACH`, `EHOSTUNREACH`, `ENETDOWN`, `EACCES`).
    DroppedOutage,
    /// An ICMP error about an earlier datagram was taken from the kernel.
    IcmpError,
    /// A connected datagram socket was connected to its peer again, because
    /// its address or its interface was gone.
    Reconnected,
    /// A call returned `ECONNREFUSED`: connect, send or receive.
    Refused,
    /// A wait ended at its deadline.
    TimedOut,
    /// The kernel took less than a stream write offered.
    ShortWrite,
    /// A system call was repeated: `EINTR`, or `EAGAIN` after readiness.
    SyscallRetried,
    /// A connect failed.
    ConnectFailed,
    /// A name was looked up and has addresses.
    LookupFound,
    /// A lookup failed or timed out, or the name has no address.
    LookupFailed,
}

impl Event {
    /// All of them, in the order of their values.
    pub const ALL: [Event; 16] = [
        Event::Connected,
        Event::Truncated,
        Event::UnexpectedSource,
        Event::DroppedEmpty,
        Event::DroppedQueued,
        Event::DroppedLocal,
        Event::DroppedOutage,
        Event::IcmpError,
        Event::Reconnected,
        Event::Refused,
        Event::TimedOut,
        Event::ShortWrite,
        Event::SyscallRetried,
        Event::ConnectFailed,
        Event::LookupFound,
        Event::LookupFailed,
    ];
}

/// Bytes of the headers of a datagram over IPv4: RFC 791, RFC 768.
pub const UDP_HEADERS: u64 = 20 + 8;

/// How often a snapshot is taken again because something was counted meanwhile.
const RETRIES: usize = 8;

/// Live counters of one socket; any thread may add, any thread may read.
///
/// All counters only grow. Byte and datagram counters have 64 bits; event
/// counters have 32 and wrap, which takes 136 years at one event a second.
#[derive(Debug, Default)]
pub struct Counters {
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    sends: AtomicU64,
    receives: AtomicU64,
    /// Without those that follow from the counters above: see `ip_bytes`.
    ip_bytes_sent: AtomicU64,
    ip_bytes_received: AtomicU64,
    /// Whether a transfer is a part of a stream; else it is a datagram.
    pub(crate) is_stream: AtomicBool,
    events: [AtomicU32; Event::ALL.len()],
    /// Microseconds.
    last_connect: AtomicU32,
}

impl Counters {
    /// Counts one datagram, or one piece of a stream, of `bytes` that the
    /// kernel took.
    #[inline]
    pub fn sent(&self, bytes: usize) {
        self.bytes_sent.fetch_add(bytes as u64, Relaxed);
        // Pairs with the Acquire load in `read`: a datagram that is seen there
        // has its bytes counted.
        self.sends.fetch_add(1, Release);
    }

    /// Counts one datagram, or one piece of a stream, of `bytes` that the
    /// caller got.
    #[inline]
    pub fn received(&self, bytes: usize) {
        self.bytes_received.fetch_add(bytes as u64, Relaxed);
        // Pairs with the Acquire load in `read`, as in `sent`.
        self.receives.fetch_add(1, Release);
    }

    /// Counts bytes of IP packets that left, beside those of a datagram that
    /// [`sent`](Self::sent) counts: its payload and its headers over IPv4.
    #[inline]
    pub fn ip_sent(&self, bytes: u64) {
        self.ip_bytes_sent.fetch_add(bytes, Relaxed);
    }

    /// Counts bytes of IP packets that came, beside those of a datagram that
    /// [`received`](Self::received) counts.
    #[inline]
    pub fn ip_received(&self, bytes: u64) {
        self.ip_bytes_received.fetch_add(bytes, Relaxed);
    }

    /// Counts one event.
    #[inline]
    pub fn record(&self, event: Event) {
        self.events[event as usize].fetch_add(1, Relaxed);
    }

    /// Sets how long the last connect waited for the network, whether it
    /// succeeded or not.
    pub fn set_last_connect(&self, time: Duration) {
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

    /// The current values, which are consistent: a datagram that is counted has
    /// its bytes counted. Transfers that are being counted at this moment may
    /// show in the bytes before they show in the datagrams.
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
        // Before the bytes, which were added first; pairs with the Release
        // additions in `sent` and `received`.
        let (sends, receives) = (self.sends.load(Acquire), self.receives.load(Acquire));
        let (bytes_sent, bytes_received) = (self.bytes_sent(), self.bytes_received());
        Snapshot {
            bytes_sent,
            bytes_received,
            sends,
            receives,
            ip_bytes_sent: self.ip_bytes(&self.ip_bytes_sent, bytes_sent, sends),
            ip_bytes_received: self.ip_bytes(&self.ip_bytes_received, bytes_received, receives),
            events: core::array::from_fn(|event| self.events[event].load(Relaxed).into()),
            last_connect: Duration::from_micros(self.last_connect.load(Relaxed).into()),
        }
    }

    /// The bytes of all IP packets. Those of datagrams over IPv4 are not counted
    /// one by one: their payload and number are.
    fn ip_bytes(&self, others: &AtomicU64, payload: u64, datagrams: u64) -> u64 {
        let of_datagrams = match self.is_stream.load(Relaxed) {
            true => 0,
            false => payload + UDP_HEADERS * datagrams,
        };
        of_datagrams + others.load(Relaxed)
    }

    /// The values, which are zero afterwards. No other thread may add
    /// meanwhile.
    pub(crate) fn take(&self) -> Snapshot {
        let values = self.read();
        for counter in [
            &self.bytes_sent,
            &self.bytes_received,
            &self.sends,
            &self.receives,
            &self.ip_bytes_sent,
            &self.ip_bytes_received,
        ] {
            counter.store(0, Relaxed);
        }
        for counter in self.events.iter().chain([&self.last_connect]) {
            counter.store(0, Relaxed);
        }
        values
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
    /// Datagrams sent, or pieces of a stream that the kernel took.
    pub sends: u64,
    /// Datagrams received, or pieces of a stream.
    pub receives: u64,
    /// Bytes of IP packets sent: payload and headers, and what the kernel sent
    /// again.
    pub ip_bytes_sent: u64,
    /// Bytes of IP packets received.
    pub ip_bytes_received: u64,
    /// How long the last connect waited for the network. Zero in a sum over
    /// several sockets.
    pub last_connect: Duration,
    events: [u64; Event::ALL.len()],
}

impl Snapshot {
    /// How often the event happened.
    pub fn count(&self, event: Event) -> u64 {
        self.events[event as usize]
    }
}

impl core::ops::AddAssign for Snapshot {
    fn add_assign(&mut self, other: Snapshot) {
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.sends += other.sends;
        self.receives += other.receives;
        self.ip_bytes_sent += other.ip_bytes_sent;
        self.ip_bytes_received += other.ip_bytes_received;
        self.last_connect = Duration::ZERO;
        for (sum, value) in self.events.iter_mut().zip(other.events) {
            *sum += value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_its_own_counter() {
        let counters = Counters::default();
        for (times, event) in (1..).zip(Event::ALL) {
            (0..times).for_each(|_| counters.record(event));
        }
        let seen = counters.snapshot();
        for (times, event) in (1..).zip(Event::ALL) {
            assert_eq!(seen.count(event), times, "{event:?}");
        }
    }

    #[test]
    fn every_value_is_what_was_added() {
        let counters = Counters::default();
        for bytes in [2, 3] {
            counters.sent(bytes);
        }
        for bytes in [7, 11, 13] {
            counters.received(bytes);
        }
        counters.ip_sent(100);
        counters.ip_received(200);
        counters.set_last_connect(Duration::from_micros(1500));
        assert_eq!((counters.bytes_sent(), counters.sends()), (5, 2));
        assert_eq!((counters.bytes_received(), counters.receives()), (31, 3));
        let one = counters.snapshot();
        assert_eq!((one.bytes_sent, one.sends), (5, 2));
        assert_eq!((one.bytes_received, one.receives), (31, 3));
        // Each datagram had headers of 28 bytes.
        assert_eq!(one.ip_bytes_sent, 100 + 5 + 2 * 28);
        assert_eq!(one.ip_bytes_received, 200 + 31 + 3 * 28);
        assert_eq!(one.last_connect, Duration::from_micros(1500));
        let mut sum = one;
        sum += one;
        assert_eq!((sum.ip_bytes_sent, sum.ip_bytes_received), (322, 630));
        assert_eq!(sum.last_connect, Duration::ZERO);
    }

    #[test]
    fn additions_from_many_threads_are_all_counted() {
        let counters = Counters::default();
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
        let counters = Counters::default();
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
