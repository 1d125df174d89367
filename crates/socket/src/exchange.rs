//! Does the peer answer? What UDP does not tell when it connects.
//!
//! connect(2) on UDP says nothing about reachability, so of several addresses
//! of a name the first with a route is taken, dead or alive. What shows that it
//! is dead comes later: an ICMP error, or silence. Then the caller closes and
//! connects again, and had better get another address. So an address that did
//! not answer goes to the back of all lists for [`Settings::udp_penalty`].

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anjay_net_resolve::Unresponsive;
use anjay_net_stats::Counters;

use crate::settings::Settings;

/// The addresses that did not answer lately.
static UNRESPONSIVE: Unresponsive = Unresponsive::new();

/// The time that [`UNRESPONSIVE`] goes by.
fn now() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

/// Whether `addr` had better wait its turn.
pub(crate) fn is_demoted(addr: &SocketAddr) -> bool {
    UNRESPONSIVE.contains(addr, now())
}

/// The peer that a closed socket leaves unanswered: nothing came back from it,
/// or the last thing that did was an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// The peer.
    pub addr: SocketAddr,
    /// The preferred endpoint that was given to connect, if it was another:
    /// the one to prefer again.
    pub preferred: Option<SocketAddr>,
}

/// What passed between the socket and its peer since they were connected.
#[derive(Debug)]
pub(crate) struct Exchange {
    sends_before: u64,
    receives_before: u64,
    /// How many receives there had been when the peer was in trouble.
    trouble: Option<u64>,
    preferred: Option<SocketAddr>,
}

impl Exchange {
    pub(crate) fn begin(counters: &Counters, preferred: Option<SocketAddr>) -> Exchange {
        Exchange {
            sends_before: counters.sends(),
            receives_before: counters.receives(),
            trouble: None,
            preferred,
        }
    }

    /// An ICMP error came back.
    pub(crate) fn refused(&mut self, counters: &Counters) {
        self.trouble = Some(counters.receives());
    }

    /// A receive waited for nothing.
    pub(crate) fn timed_out(&mut self, counters: &Counters) {
        let receives = counters.receives();
        if receives == self.receives_before && counters.sends() > self.sends_before {
            self.trouble = Some(receives);
        }
    }

    /// The socket is closed: remembers how the peer did, and tells if it did
    /// not answer.
    pub(crate) fn end(
        self,
        socket: u32,
        counters: &Counters,
        addr: SocketAddr,
    ) -> Option<Unanswered> {
        let receives = counters.receives();
        if self.trouble == Some(receives) {
            log::info!(
                "socket {socket}: {addr}: does not answer: other addresses of its name come \
                 first now"
            );
            UNRESPONSIVE.mark(addr, now(), Settings::current().udp_penalty);
            return Some(Unanswered {
                addr,
                preferred: self.preferred,
            });
        }
        if receives > self.receives_before {
            UNRESPONSIVE.clear(&addr);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(
        std::net::Ipv4Addr::new(192, 0, 2, 77),
        5683,
    ));

    #[test]
    fn a_peer_that_answered_is_not_to_blame() {
        let counters = Counters::new();
        let mut exchange = Exchange::begin(&counters, None);
        counters.sent(1);
        exchange.refused(&counters);
        counters.received(1);
        assert_eq!(exchange.end(1, &counters, PEER), None);
    }

    #[test]
    fn datagrams_that_nobody_waits_an_answer_for_are_no_silence() {
        let counters = Counters::new();
        let exchange = Exchange::begin(&counters, None);
        (0..100).for_each(|_| counters.sent(1));
        assert_eq!(exchange.end(1, &counters, PEER), None);
    }

    #[test]
    fn a_refusal_and_a_vain_wait_each_count() {
        let counters = Counters::new();
        let preferred = Some("192.0.2.1:5683".parse().unwrap());
        let unanswered = Some(Unanswered {
            addr: PEER,
            preferred,
        });

        let mut exchange = Exchange::begin(&counters, preferred);
        counters.sent(1);
        exchange.refused(&counters);
        assert_eq!(exchange.end(1, &counters, PEER), unanswered);

        let mut exchange = Exchange::begin(&counters, preferred);
        counters.sent(1);
        exchange.timed_out(&counters);
        assert_eq!(exchange.end(1, &counters, PEER), unanswered);
        assert!(is_demoted(&PEER));
    }

    #[test]
    fn a_wait_before_anything_was_sent_blames_nobody() {
        let counters = Counters::new();
        let mut exchange = Exchange::begin(&counters, None);
        exchange.timed_out(&counters);
        assert_eq!(exchange.end(1, &counters, PEER), None);
    }
}
