//! What is counted of a datagram: its payload, and the IP packet that it came in.

use anjay_net_resolve::Family;
use anjay_net_stats::{Event, UDP_HEADERS};

use crate::error::Errno;
use crate::logging::log_peer_line;
use crate::socket::{Received, Socket};
use crate::sys::{Datagram, SockAddr};

/// How much longer the header of IPv6 (RFC 8200) is than that of IPv4.
const V6_EXTRA: u64 = 20;

/// A datagram that the kernel took.
#[inline]
pub(crate) fn count_sent(socket: &Socket, len: usize, packets: Family) {
    socket.counters.sent(len);
    if packets == Family::V6 {
        socket.counters.ip_sent(V6_EXTRA);
    }
}

/// A datagram for the caller.
#[inline]
pub(crate) fn count_received(socket: &Socket, datagram: &Datagram, from: &SockAddr) -> Received {
    let Datagram { len, full } = *datagram;
    let truncated = full > len;
    if truncated {
        socket.counters.record(Event::Truncated);
    }
    socket.counters.received(len);
    let beside = (full - len) as u64;
    let extra = beside + packet_extra(from);
    if extra > 0 {
        socket.counters.ip_received(extra);
    }
    Received { len, truncated }
}

#[inline]
fn packet_extra(from: &SockAddr) -> u64 {
    match from.packets() {
        Family::V4 => 0,
        Family::V6 => V6_EXTRA,
    }
}

/// A datagram that the caller does not get.
pub(crate) fn count_dropped(socket: &Socket, event: Event, datagram: &Datagram, from: &SockAddr) {
    socket.counters.record(event);
    let headers = UDP_HEADERS + packet_extra(from);
    socket.counters.ip_received(headers + datagram.full as u64);
}

/// A datagram that this host lost: reported as sent, as networks lose datagrams,
/// counted, and logged once a minute at most.
#[cold]
pub(crate) fn lost(socket: &Socket, event: Event, error: Errno) {
    socket.counters.record(event);
    if socket.network.is_loss_logged() {
        log_peer_line!(Warn, socket, "datagram lost on this host: {error}");
    }
}
