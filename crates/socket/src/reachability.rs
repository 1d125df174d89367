//! Does the UDP peer answer?
//!
//! connect(2) on UDP does not tell whether a peer is reachable, so of several
//! addresses of a name the first with a route is taken, dead or alive. What
//! shows that it is dead comes later: an ICMP error, or silence where an answer
//! was expected. Then the caller closes and connects again, and should get
//! another address: one that did not answer is tried after all others for
//! [`Settings::udp_penalty`].
//!
//! Silence alone proves nothing: non-confirmable messages are answered by
//! nobody (RFC 7252 section 4.3). An answer was expected when a receive waited
//! for it, or when the same datagram was sent repeatedly, as a CoAP
//! retransmission is.

use core::time::Duration;
use std::hash::Hasher;
use std::net::SocketAddr;

use anjay_net_resolve::{self as resolve, SplitMix64, unmap};

use crate::log_line;
use crate::logging::PeerForLog;
use crate::settings::Settings;
use crate::sys;

/// The addresses that did not answer lately.
static UNRESPONSIVE: resolve::Unresponsive = resolve::Unresponsive::new();

/// So many receives that waited for [`LONG_WAIT`] are silence.
const VAIN_WAITS: u8 = 2;

/// Shorter receives may have looked whether anything was there.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// The same datagram so many times is silence: a CoAP message and three of its
/// retransmissions (RFC 7252 section 4.2).
const TRANSMISSIONS: u8 = 4;

/// Whether `addr` is to be tried after all others.
pub(crate) fn is_unresponsive(addr: &SocketAddr) -> bool {
    UNRESPONSIVE.contains(addr, sys::boot_time())
}

/// The peer of a closed socket that did not answer: nothing came back from it,
/// or the last thing that did was an ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnresponsivePeer {
    /// The peer.
    pub addr: SocketAddr,
    /// The preferred endpoint that was passed to connect, if it was another:
    /// the one to prefer again.
    pub preferred: Option<SocketAddr>,
}

/// What is known of a peer since the socket was connected to it.
#[derive(Default)]
pub(crate) struct Reachability {
    preferred: Option<SocketAddr>,
    answered: bool,
    /// The last thing that came back was an ICMP error.
    refused: bool,
    vain_waits: u8,
    /// How often the last datagram was sent, 0 before the first.
    transmissions: u8,
    /// Of the last datagram.
    hash: u64,
}

impl Reachability {
    /// `preferred`: the endpoint that connect was to prefer, if it is another.
    pub(crate) fn new(preferred: Option<SocketAddr>) -> Reachability {
        Reachability {
            preferred,
            ..Reachability::default()
        }
    }

    /// A datagram was sent.
    pub(crate) fn sent(&mut self, datagram: &[u8]) {
        let mut hasher = SplitMix64::default();
        hasher.write(datagram);
        let hash = hasher.finish();
        if self.hash == hash {
            self.transmissions = self.transmissions.saturating_add(1);
        } else if self.transmissions < TRANSMISSIONS {
            self.transmissions = 1;
        }
        self.hash = hash;
    }

    /// Something came back.
    pub(crate) fn received(&mut self) {
        self.answered = true;
        self.refused = false;
    }

    /// An ICMP error came back.
    pub(crate) fn refused(&mut self) {
        self.refused = true;
    }

    /// A receive with this timeout ended without a datagram.
    pub(crate) fn timed_out(&mut self, timeout: Duration) {
        if self.transmissions > 0 && timeout >= LONG_WAIT {
            self.vain_waits = self.vain_waits.saturating_add(1);
        }
    }

    fn is_silent(&self) -> bool {
        !self.answered && (self.vain_waits >= VAIN_WAITS || self.transmissions >= TRANSMISSIONS)
    }
}

/// A socket leaves its peer: remembers whether it answered, and returns it if it
/// did not. With a penalty of 0 no peer is ever unresponsive.
pub(crate) fn note_close(
    socket: u32,
    peer: SocketAddr,
    reachability: &Reachability,
) -> Option<UnresponsivePeer> {
    let addr = unmap(peer);
    if reachability.refused || reachability.is_silent() {
        let penalty = Settings::current().udp_penalty;
        if penalty.is_zero() {
            return None;
        }
        log_line!(
            Info,
            socket,
            "{}: does not answer; other addresses of its name are tried \
             first now",
            PeerForLog(Some(addr))
        );
        UNRESPONSIVE.mark(addr, sys::boot_time(), penalty);
        return Some(UnresponsivePeer {
            addr,
            preferred: reachability.preferred,
        });
    }
    if reachability.answered {
        UNRESPONSIVE.clear(&addr);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(reachability: Reachability, addr: &str) -> Option<UnresponsivePeer> {
        let addr = addr.parse().unwrap();
        let unresponsive = note_close(1, addr, &reachability);
        assert_eq!(is_unresponsive(&addr), unresponsive.is_some());
        unresponsive
    }

    fn after(events: &[fn(&mut Reachability)]) -> Reachability {
        let mut reachability = Reachability::new(None);
        events.iter().for_each(|event| event(&mut reachability));
        reachability
    }

    const SENT: fn(&mut Reachability) = |reachability| reachability.sent(b"same");
    const OTHER: fn(&mut Reachability) = |reachability| reachability.sent(b"other");
    const RECEIVED: fn(&mut Reachability) = |reachability| reachability.received();
    const REFUSED: fn(&mut Reachability) = |reachability| reachability.refused();
    const VAIN: fn(&mut Reachability) = |reachability| reachability.timed_out(LONG_WAIT);
    const SHORT: fn(&mut Reachability) =
        |reachability| reachability.timed_out(LONG_WAIT - Duration::from_millis(1));

    #[test]
    fn what_counts_as_silence() {
        let address = "192.0.2.77:5683";
        for (events, unresponsive) in [
            (&[][..], false),
            (&[SENT], false),
            (&[SENT, SENT, SENT], false),
            (&[SENT, SENT, SENT, SENT], true),
            (&[SENT, SENT, SENT, OTHER, SENT], false),
            (&[SENT, SENT, SENT, SENT, OTHER], true),
            (&[SENT, SENT, SENT, SENT, RECEIVED], false),
            (&[VAIN, VAIN], false),
            (&[SENT, VAIN], false),
            (&[SENT, VAIN, VAIN], true),
            (&[SENT, SHORT, SHORT, SHORT], false),
            (&[SENT, RECEIVED, VAIN, VAIN], false),
            (&[SENT, REFUSED], true),
            (&[SENT, RECEIVED, REFUSED], true),
            (&[SENT, REFUSED, RECEIVED], false),
        ] {
            let closed = close(after(events), address);
            assert_eq!(closed.is_some(), unresponsive);
            UNRESPONSIVE.clear(&address.parse().unwrap());
        }
    }

    #[test]
    fn messages_that_differ_are_not_asked_again() {
        let mut reachability = Reachability::new(None);
        for number in 0..100u8 {
            reachability.sent(&[number]);
        }
        assert_eq!(close(reachability, "192.0.2.78:5683"), None);
    }

    #[test]
    fn an_answer_ends_the_penalty() {
        let address = "192.0.2.79:5683";
        let preferred = "192.0.2.1:5683".parse().ok();
        let mut refused = Reachability::new(preferred);
        refused.refused();
        assert_eq!(close(refused, address).unwrap().preferred, preferred);
        assert_eq!(close(after(&[SENT, RECEIVED]), address), None);
    }
}
