//! The options of a socket.

use core::sync::atomic::AtomicU8;
use core::sync::atomic::Ordering::{Relaxed, Release};
use core::time::Duration;
use std::io;
use std::net::SocketAddr;

use anjay_net_resolve::{Families, Family, Policy, V4Form, unmap};

use crate::socket::{Kind, Socket};
use crate::sys;
use crate::wait::Patience;

/// A duration as C callers give it: kept and given back as it is, whatever it
/// means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSpan {
    /// Whole seconds, may be negative.
    pub seconds: i64,
    /// Of the started second; 0..1_000_000_000, or the whole is invalid.
    pub nanoseconds: i32,
}

/// [`Socket::patience`] of one that never ends.
const FOREVER: u64 = u64::MAX;

impl TimeSpan {
    /// What a new socket has: 30 s.
    pub const DEFAULT_RECEIVE_TIMEOUT: TimeSpan = TimeSpan {
        seconds: 30,
        nanoseconds: 0,
    };

    /// As a receive timeout: in nanoseconds, 0 for negative ones, [`FOREVER`]
    /// for invalid ones and those beyond 584 years.
    pub(crate) fn as_patience(self) -> u64 {
        match u32::try_from(self.nanoseconds) {
            Ok(nanoseconds @ 0..1_000_000_000) => match u64::try_from(self.seconds) {
                Ok(seconds) => seconds
                    .saturating_mul(1_000_000_000)
                    .saturating_add(nanoseconds.into()),
                Err(_negative) => 0,
            },
            _ => FOREVER,
        }
    }

    /// What has this patience, written as it usually is.
    fn of_patience(nanoseconds: u64) -> TimeSpan {
        Duration::from_nanos(nanoseconds).into()
    }
}

impl From<Duration> for TimeSpan {
    /// Saturates at `i64::MAX` seconds.
    fn from(duration: Duration) -> TimeSpan {
        TimeSpan {
            seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            // Less than a billion: fits.
            #[allow(clippy::cast_possible_wrap)]
            nanoseconds: duration.subsec_nanos() as i32,
        }
    }
}

/// The reverse of [`TimeSpan::as_patience`].
#[inline]
pub(crate) fn patience_of(nanoseconds: u64) -> Patience {
    match nanoseconds {
        0 => Patience::None,
        FOREVER => Patience::Forever,
        _ => Patience::For(Duration::from_nanos(nanoseconds)),
    }
}

/// The forced and the preferred family, changed by options and read by every
/// send_to: one byte, so that neither needs a lock.
pub(crate) struct FamilyChoice(AtomicU8);

const FORCED_SHIFT: u8 = 0;
const PREFERRED_SHIFT: u8 = 2;
const FIELD: u8 = 0b11;

impl FamilyChoice {
    pub(crate) fn new(forced: Option<Family>, preferred: Option<Family>) -> FamilyChoice {
        FamilyChoice(AtomicU8::new(
            (encode(forced) << FORCED_SHIFT) | (encode(preferred) << PREFERRED_SHIFT),
        ))
    }

    fn get(&self, shift: u8) -> Option<Family> {
        match (self.0.load(Relaxed) >> shift) & FIELD {
            1 => Some(Family::V4),
            2 => Some(Family::V6),
            _ => None,
        }
    }

    fn set(&self, shift: u8, family: Option<Family>) {
        let mut byte = self.0.load(Relaxed);
        while let Err(now) = self.0.compare_exchange_weak(
            byte,
            (byte & !(FIELD << shift)) | (encode(family) << shift),
            Relaxed,
            Relaxed,
        ) {
            byte = now;
        }
    }

    /// Whether addresses of this family may be used.
    #[inline]
    pub(crate) fn admit(&self, family: Family) -> bool {
        let forced = (self.0.load(Relaxed) >> FORCED_SHIFT) & FIELD;
        forced == encode(None) || forced == encode(Some(family))
    }

    /// A v4-mapped address as IPv4 where only that is used, as
    /// getaddrinfo(3) does; any other as it is.
    pub(crate) fn in_form(&self, addr: SocketAddr) -> SocketAddr {
        if self.admit(Family::of(&addr)) {
            return addr;
        }
        unmap(addr)
    }

    /// Which addresses to ask for, IPv4 ones in the form `v4`.
    pub(crate) fn policy(&self, v4: V4Form) -> Policy {
        let families = match (self.get(FORCED_SHIFT), self.get(PREFERRED_SHIFT)) {
            (Some(family), _) => Families::Only(family),
            (None, Some(family)) => Families::Prefer(family),
            (None, None) => Families::default(),
        };
        Policy { families, v4 }
    }
}

const fn encode(family: Option<Family>) -> u8 {
    match family {
        None => 0,
        Some(Family::V4) => 1,
        Some(Family::V6) => 2,
    }
}

/// Bytes of an IPv4 header without options, and of a UDP header (RFC 791,
/// RFC 768).
const V4_UDP_OVERHEAD: u32 = 20 + 8;
/// Bytes of an IPv6 header without extensions, and of a UDP header (RFC 8200).
const V6_UDP_OVERHEAD: u32 = 40 + 8;
/// What every IPv4 host must be able to receive (RFC 791 section 3.1).
const V4_MIN_MTU: u32 = 576;
/// What every IPv6 link must carry (RFC 8200 section 5).
const V6_MIN_MTU: u32 = 1280;

impl Socket {
    /// How long a receive may wait, as it was set.
    pub fn receive_timeout(&self) -> TimeSpan {
        let inner = self.inner.lock();
        let odd = inner.rare().and_then(|rare| rare.odd_timeout);
        odd.unwrap_or_else(|| TimeSpan::of_patience(self.patience.load(Relaxed)))
    }

    /// Sets how long a receive may wait: zero and negative do not wait, an
    /// invalid one waits for ever. Calls that wait already keep theirs.
    ///
    /// # Errors
    /// `ENOMEM`, which only timeouts need that are negative or invalid: the one
    /// that was set before stays.
    pub fn set_receive_timeout(&self, timeout: TimeSpan) -> io::Result<()> {
        let patience = timeout.as_patience();
        let odd = (TimeSpan::of_patience(patience) != timeout).then_some(timeout);
        let mut inner = self.inner.lock();
        if odd.is_some() || inner.rare().is_some() {
            inner.rare_mut()?.odd_timeout = odd;
        }
        if self.patience.load(Relaxed) != patience {
            // First, so that no receive goes by the new time and waits in the
            // kernel for the old one.
            self.forget_waits(&inner);
            self.patience.store(patience, Release);
        }
        Ok(())
    }

    /// The family of the descriptor; `None` when there is none.
    pub fn descriptor_family(&self) -> Option<Family> {
        self.family().ok()
    }

    /// The family that is tried first.
    pub fn preferred_family(&self) -> Option<Family> {
        self.families.get(PREFERRED_SHIFT)
    }

    /// Sets the family that is tried first, from the next resolution on.
    pub fn set_preferred_family(&self, family: Option<Family>) {
        self.families.set(PREFERRED_SHIFT, family);
    }

    /// The only family that is used.
    pub fn forced_family(&self) -> Option<Family> {
        self.families.get(FORCED_SHIFT)
    }

    /// Sets the only family to use, from the next resolution on.
    pub fn set_forced_family(&self, family: Option<Family>) {
        self.families.set(FORCED_SHIFT, family);
    }

    /// The MTU in bytes: what the configuration says, else the path MTU to
    /// the connected peer.
    ///
    /// # Errors
    /// `EBADF` closed, `ENOTCONN` not connected, or what getsockopt(2) says.
    pub fn mtu(&self) -> io::Result<u32> {
        if let Some(forced) = self.config.forced_mtu {
            return Ok(forced);
        }
        let pass = self.enter()?;
        let mtu = sys::path_mtu(pass.fd(), self.packet_family()?)?;
        u32::try_from(mtu).map_err(|_negative| sys::errno(libc::EINVAL))
    }

    /// How many bytes of payload a datagram may have: the MTU less the IP and
    /// UDP headers. While the MTU is not known, what every path must carry.
    ///
    /// # Errors
    /// `ENOTSUP` on a TCP socket, `EBADF` closed.
    pub fn inner_mtu(&self) -> io::Result<u32> {
        if self.kind == Kind::Tcp {
            return Err(sys::errno(libc::ENOTSUP));
        }
        let (overhead, least) = match self.packet_family()? {
            Family::V4 => (V4_UDP_OVERHEAD, V4_MIN_MTU),
            Family::V6 => (V6_UDP_OVERHEAD, V6_MIN_MTU),
        };
        Ok(self.mtu().unwrap_or(least).saturating_sub(overhead))
    }

    /// The family of the packets that really travel: IPv4 for a v4-mapped
    /// peer of an IPv6 socket.
    fn packet_family(&self) -> io::Result<Family> {
        let inner = self.inner.lock();
        let held = inner.state.held().ok_or_else(|| sys::errno(libc::EBADF))?;
        Ok(match inner.state.peer() {
            Some(peer) => Family::of(&unmap(peer.addr)),
            None => held.family(),
        })
    }

    /// Payload bytes sent since the object was made.
    #[inline]
    pub fn bytes_sent(&self) -> u64 {
        self.counters.bytes_sent()
    }

    /// Payload bytes received since the object was made.
    #[inline]
    pub fn bytes_received(&self) -> u64 {
        self.counters.bytes_received()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_span_has_a_meaning() {
        let patience = |seconds, nanoseconds| {
            TimeSpan {
                seconds,
                nanoseconds,
            }
            .as_patience()
        };
        assert_eq!(patience(0, 0), 0);
        assert_eq!(patience(-1, 0), 0);
        assert_eq!(patience(-1, 999_999_999), 0);
        assert_eq!(patience(0, 500_000), 500_000);
        assert_eq!(patience(2, 1), 2_000_000_001);
        assert_eq!(patience(0, -1), FOREVER);
        assert_eq!(patience(0, 1_000_000_000), FOREVER);
        assert_eq!(patience(-5, i32::MIN), FOREVER);
        assert_eq!(patience(i64::MAX, 999_999_999), FOREVER);
    }

    #[test]
    fn the_two_families_do_not_touch_each_other() {
        let choice = FamilyChoice::new(Some(Family::V4), Some(Family::V6));
        choice.set(FORCED_SHIFT, None);
        assert_eq!(choice.get(PREFERRED_SHIFT), Some(Family::V6));
        choice.set(PREFERRED_SHIFT, Some(Family::V4));
        assert_eq!(choice.get(FORCED_SHIFT), None);
        assert_eq!(
            choice.policy(V4Form::Native).families,
            Families::Prefer(Family::V4)
        );
    }
}
