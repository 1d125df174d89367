//! What is known of a socket without asking it.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::call::Timeout;
use crate::c::{Code, Kind};
use crate::host;

/// The states, by the values of their option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Closed = 0,
    Shutdown = 1,
    Bound = 2,
    Accepted = 3,
    Connected = 4,
}

/// Whether something is the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    No,
    /// The documents or the kernel leave it open.
    Perhaps,
    Sure,
}

/// A datagram that a socket should get.
#[derive(Clone, Debug)]
pub(super) struct Datagram {
    /// Of all that were ever sent.
    pub(super) id: u64,
    pub(super) data: Vec<u8>,
    pub(super) from: SocketAddr,
    /// `false`: another socket may get it, or none.
    pub(super) is_sure: bool,
}

/// Whom a socket is connected to.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) addr: SocketAddr,
    /// As given to connect, numeric after accept.
    pub(super) host: Vec<u8>,
    pub(super) port: Vec<u8>,
}

/// One end of a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Of all connections that ever were.
    pub(super) connection: usize,
    /// 0 connected, 1 was accepted.
    pub(super) side: usize,
}

/// The model of one socket.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) kind: Kind,
    pub(super) reuse: bool,
    pub(super) forced: i32,
    pub(super) preferred: i32,
    pub(super) timeout: Timeout,
    pub(super) state: State,
    pub(super) sent: u64,
    pub(super) received: u64,
    /// With IPv4 where the descriptor's is v4-mapped; the last one when closed.
    pub(super) local: Option<SocketAddr>,
    /// The descriptor's family is IPv6.
    pub(super) is_v6: bool,
    pub(super) peer: Option<Peer>,
    /// Where the number of the descriptor is.
    pub(super) place: usize,
    /// Others may have the same port.
    pub(super) shares_port: bool,

    /// UDP: what to receive, in order.
    pub(super) inbox: VecDeque<Datagram>,
    /// UDP: bytes of the queue's memory that what is not received takes.
    pub(super) clutter: usize,
    /// UDP: an ICMP error waits to be told.
    pub(super) refused: Is,

    /// TCP, listening: connections to accept, in order.
    pub(super) backlog: VecDeque<usize>,
    /// TCP, connected.
    pub(super) end: Option<End>,
}

/// A fresh socket's receive timeout.
const DEFAULT_TIMEOUT: Timeout = (30, 0);

impl Model {
    pub(super) fn new(kind: Kind, reuse: bool, forced: i32, preferred: i32) -> Model {
        Model {
            kind,
            reuse,
            forced,
            preferred,
            timeout: DEFAULT_TIMEOUT,
            state: State::Closed,
            sent: 0,
            received: 0,
            local: None,
            is_v6: false,
            peer: None,
            place: 0,
            shares_port: false,
            inbox: VecDeque::new(),
            clutter: 0,
            refused: Is::No,
            backlog: VecDeque::new(),
            end: None,
        }
    }

    pub(super) fn is_udp(&self) -> bool {
        self.kind == Kind::Udp
    }

    pub(super) fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    /// The local address of an open socket.
    pub(super) fn local_addr(&self) -> SocketAddr {
        self.local.expect("an open socket has a local address")
    }

    /// What remains after close.
    pub(super) fn close(&mut self) {
        self.state = State::Closed;
        self.peer = None;
        self.place = 0;
        self.inbox.clear();
        self.clutter = 0;
        self.refused = Is::No;
        self.backlog.clear();
        self.end = None;
    }

    /// Whether the family restriction excludes an address.
    pub(super) fn excludes(&self, ip: IpAddr) -> bool {
        match self.forced {
            1 => ip.is_ipv6(),
            2 => ip.is_ipv4(),
            _ => false,
        }
    }

    /// Whether a family was forced after the socket got one of the other.
    pub(super) fn is_at_odds(&self) -> bool {
        self.is_open() && self.forced != 0 && (self.forced == 2) != self.is_v6
    }

    /// How well the kernel thinks that a datagram fits this socket (the lookup
    /// by address goes before that by wildcard, in each of them a connected
    /// socket before others); `None` for not at all.
    pub(super) fn fitness(&self, from: SocketAddr, to: SocketAddr) -> Option<(bool, bool)> {
        if !self.is_open() || !self.is_udp() {
            return None;
        }
        let local = self.local_addr();
        let is_exact = local.ip() == to.ip();
        let fits = local.port() == to.port() && (is_exact || covers(local.ip(), to.ip()));
        let is_peer = self.peer.as_ref().map(|peer| peer.addr == from);
        (fits && is_peer != Some(false)).then_some((is_exact, is_peer.is_some()))
    }
}

/// Whether a wildcard includes an address; `::` is for both families.
fn covers(wildcard: IpAddr, ip: IpAddr) -> bool {
    match wildcard {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => ip.is_ipv4(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => true,
        _ => false,
    }
}

/// Whether the kernel would have to decide between two local addresses.
pub(super) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port()
        && (one.ip() == other.ip() || covers(one.ip(), other.ip()) || covers(other.ip(), one.ip()))
}

/// An address as the model has it: never v4-mapped, nothing but IP and port.
pub(super) fn plain(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(host::plain(addr.ip()), addr.port())
}

/// One direction of a connection and its end, seen by who reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    /// Bytes that have arrived and were not read.
    pub(super) unread: u64,
    /// Bytes that were read before.
    pub(super) read: u64,
    /// Nobody has this end any more, or it was shut down.
    pub(super) is_gone: bool,
    pub(super) reset: Is,
    /// What a receive said of the end of the stream.
    pub(super) told: Option<Code>,
}

/// A TCP connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    /// The local address of who connected.
    pub(super) client: SocketAddr,
    pub(super) sides: [Side; 2],
}

impl Connection {
    pub(super) fn new(client: SocketAddr) -> Connection {
        let side = Side {
            unread: 0,
            read: 0,
            is_gone: false,
            reset: Is::No,
            told: None,
        };
        Connection {
            client,
            sides: [side; 2],
        }
    }

    /// One end is closed. What was not read makes the kernel say reset to the
    /// other (RFC 2525 section 2.17).
    pub(super) fn abandon(&mut self, side: usize) {
        let own = self.sides[side];
        let other = &mut self.sides[1 - side];
        if own.unread > 0 && other.reset == Is::No {
            let is_plain = !own.is_gone && own.reset == Is::No && !other.is_gone;
            other.reset = if is_plain { Is::Sure } else { Is::Perhaps };
        }
        self.sides[side].is_gone = true;
    }

    /// An end that nobody had accepted is thrown away with its listener.
    pub(super) fn reject(&mut self) {
        self.sides[1].is_gone = true;
        let client = &mut self.sides[0];
        client.reset = if client.is_gone {
            Is::Perhaps
        } else {
            Is::Sure
        };
    }
}
