//! What each socket's packets would have looked like: addresses, and the
//! sequence numbers of TCP.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use anjay_net_socket::Kind;

use super::packet::{self, ACK, FIN, PSH, SEGMENT, SYN, Segment};
use crate::observer::{Direction, EventKind};

/// The TCP connections that are known, by socket.
#[derive(Default)]
pub(super) struct Flows {
    streams: HashMap<u32, Stream>,
    /// Which address of this machine is used to reach another.
    sources: HashMap<IpAddr, IpAddr>,
}

/// One TCP connection: what comes next in each direction.
struct Stream {
    local: SocketAddr,
    remote: SocketAddr,
    out: Side,
    back: Side,
}

#[derive(Clone, Copy, Default)]
struct Side {
    next: u32,
    ended: bool,
}

impl Flows {
    /// The packets of a transfer.
    pub(super) fn transfer(
        &mut self,
        socket: u32,
        kind: Kind,
        direction: Direction,
        (local, remote): (SocketAddr, SocketAddr),
        payload: &[u8],
    ) -> Vec<Vec<u8>> {
        match kind {
            Kind::Udp => {
                let local = self.definite(local, remote);
                vec![match direction {
                    Direction::Sent => packet::udp(local, remote, payload),
                    Direction::Received => packet::udp(remote, local, payload),
                }]
            }
            Kind::Tcp => {
                let stream = self
                    .streams
                    .entry(socket)
                    .or_insert_with(|| Stream::known(local, remote));
                match payload {
                    [] => stream.end(direction),
                    _ => payload
                        .chunks(SEGMENT)
                        .map(|piece| stream.data(direction, piece))
                        .collect(),
                }
            }
        }
    }

    /// The packets that go with a change of a TCP socket's state.
    pub(super) fn change(
        &mut self,
        socket: u32,
        event: EventKind,
        ends: Option<(SocketAddr, SocketAddr)>,
    ) -> Vec<Vec<u8>> {
        let opened = |this: &mut Flows, opener| {
            let Some((local, remote)) = ends else {
                return Vec::new();
            };
            let mut stream = Stream::known(local, remote);
            let packets = stream.handshake(opener);
            this.streams.insert(socket, stream);
            packets
        };
        match event {
            EventKind::Connected => opened(self, Direction::Sent),
            EventKind::Accepted => opened(self, Direction::Received),
            EventKind::ShutDown => match self.streams.get_mut(&socket) {
                Some(stream) => stream.end(Direction::Sent),
                None => Vec::new(),
            },
            EventKind::Closed => match self.streams.remove(&socket) {
                Some(mut stream) => stream.end(Direction::Sent),
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// The local address that packets to `remote` have: that of a socket which
    /// is bound to the wildcard is known to the routing table only.
    pub(super) fn definite(&mut self, local: SocketAddr, remote: SocketAddr) -> SocketAddr {
        if !local.ip().is_unspecified() {
            return local;
        }
        let ip = *self.sources.entry(remote.ip()).or_insert_with(|| {
            let wildcard: IpAddr = match remote {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            // connect(2) on UDP sends nothing.
            UdpSocket::bind((wildcard, 0))
                .and_then(|socket| {
                    socket.connect(remote)?;
                    socket.local_addr()
                })
                .map_or(wildcard, |addr| addr.ip())
        });
        SocketAddr::new(ip, local.port())
    }
}

impl Stream {
    /// One whose handshake was not seen.
    fn known(local: SocketAddr, remote: SocketAddr) -> Stream {
        let begun = Side {
            next: 1,
            ended: false,
        };
        Stream {
            local,
            remote,
            out: begun,
            back: begun,
        }
    }

    fn handshake(&mut self, opener: Direction) -> Vec<Vec<u8>> {
        (self.out.next, self.back.next) = (0, 0);
        let other = match opener {
            Direction::Sent => Direction::Received,
            Direction::Received => Direction::Sent,
        };
        let syn = self.segment(opener, SYN, &[], 1);
        let answer = self.segment(other, SYN | ACK, &[], 1);
        let last = self.segment(opener, ACK, &[], 0);
        vec![syn, answer, last]
    }

    fn data(&mut self, direction: Direction, piece: &[u8]) -> Vec<u8> {
        // A piece has at most SEGMENT bytes.
        let len = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        self.segment(direction, PSH | ACK, piece, len)
    }

    /// The end of one direction, once.
    fn end(&mut self, direction: Direction) -> Vec<Vec<u8>> {
        let side = match direction {
            Direction::Sent => &mut self.out,
            Direction::Received => &mut self.back,
        };
        if core::mem::replace(&mut side.ended, true) {
            return Vec::new();
        }
        vec![self.segment(direction, FIN | ACK, &[], 1)]
    }

    /// A segment that moves its side on by `step`.
    fn segment(&mut self, direction: Direction, flags: u8, payload: &[u8], step: u32) -> Vec<u8> {
        let (from, to, own, other) = match direction {
            Direction::Sent => (self.local, self.remote, &mut self.out, &self.back),
            Direction::Received => (self.remote, self.local, &mut self.back, &self.out),
        };
        let acknowledged = if flags & ACK != 0 { other.next } else { 0 };
        let segment = Segment {
            sequence: own.next,
            acknowledged,
            flags,
        };
        own.next = own.next.wrapping_add(step);
        packet::tcp(from, to, segment, payload)
    }
}
