//! TCP connections: the sequence numbers that their segments would have had.

use std::net::SocketAddr;

use super::cache::Cache;
use super::packet::{ACK, FIN, PSH, SYN, Segment};
use anjay_net_socket::Result;

use crate::observer::Direction;

/// Connections that are remembered. One that makes room for another begins
/// again with the sequence number 1.
const STREAMS_MAX: usize = 256;

/// The TCP connections that are known, by socket.
pub(super) struct Flows(Cache<u32, Stream, STREAMS_MAX>);

/// One TCP connection: what comes next in each direction.
pub(super) struct Stream {
    /// The local and the remote address: who sends in a [`Direction`].
    ends: [SocketAddr; 2],
    /// What is sent in each [`Direction`].
    sides: [Side; 2],
}

#[derive(Clone, Copy, Default)]
struct Side {
    next: u32,
    has_ended: bool,
}

impl Flows {
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn new() -> Result<Flows> {
        Cache::new().map(Flows)
    }

    /// A connection that is established now: its handshake.
    pub(super) fn establish(
        &mut self,
        socket: u32,
        (local, remote): (SocketAddr, SocketAddr),
        initiator: Direction,
    ) -> [Segment; 3] {
        self.0
            .insert(socket, Stream::established(local, remote))
            .handshake(initiator)
    }

    /// The connection of a socket. It is taken for established when its
    /// handshake was not seen.
    pub(super) fn stream(
        &mut self,
        socket: u32,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> &mut Stream {
        // Another connection, if the reports in between found no room.
        let known = self.0.get_mut(&socket);
        if known.is_some_and(|stream| stream.ends != [local, remote]) {
            self.0.remove(&socket);
        }
        self.0
            .get_or_insert_with(socket, || Stream::established(local, remote))
    }

    /// The end of what is sent, if the connection is known.
    pub(super) fn shut_down(&mut self, socket: u32) -> Option<Segment> {
        self.0.get_mut(&socket)?.end(Direction::Sent)
    }

    /// The end of what is sent, by a socket that is closed.
    pub(super) fn close(&mut self, socket: u32) -> Option<Segment> {
        self.0.remove(&socket)?.end(Direction::Sent)
    }
}

impl Stream {
    fn established(local: SocketAddr, remote: SocketAddr) -> Stream {
        let side = Side {
            next: 1,
            has_ended: false,
        };
        Stream {
            ends: [local, remote],
            sides: [side; 2],
        }
    }

    fn handshake(&mut self, initiator: Direction) -> [Segment; 3] {
        self.sides = [Side::default(); 2];
        let other = match initiator {
            Direction::Sent => Direction::Received,
            Direction::Received => Direction::Sent,
        };
        [
            self.segment(initiator, SYN, 1),
            self.segment(other, SYN | ACK, 1),
            self.segment(initiator, ACK, 0),
        ]
    }

    /// A segment with `len` bytes of data.
    pub(super) fn data(&mut self, direction: Direction, len: usize) -> Segment {
        self.segment(direction, PSH | ACK, len)
    }

    /// Takes `len` sequence numbers: of data that no segment has, or of a segment. They
    /// are modulo 2^32: RFC 9293 section 3.4.
    pub(super) fn skip(&mut self, direction: Direction, len: usize) {
        let side = &mut self.sides[direction as usize];
        side.next = side.next.wrapping_add(len as u32);
    }

    /// The end of one direction, once.
    pub(super) fn end(&mut self, direction: Direction) -> Option<Segment> {
        if core::mem::replace(&mut self.sides[direction as usize].has_ended, true) {
            return None;
        }
        Some(self.segment(direction, FIN | ACK, 1))
    }

    /// A segment that takes `len` sequence numbers.
    fn segment(&mut self, direction: Direction, flags: u8, len: usize) -> Segment {
        let (own, other) = (direction as usize, 1 - direction as usize);
        let segment = Segment {
            from: self.ends[own],
            to: self.ends[other],
            sequence: self.sides[own].next,
            acknowledged: if flags & ACK != 0 {
                self.sides[other].next
            } else {
                0
            },
            flags,
        };
        self.skip(direction, len);
        segment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_count_the_bytes() {
        let [local, remote] = ["192.0.2.1:1", "192.0.2.2:2"].map(|addr| addr.parse().unwrap());
        let mut flows = Flows::new().unwrap();
        let numbers = |segment: Segment| (segment.sequence, segment.acknowledged, segment.flags);
        let handshake = flows.establish(1, (local, remote), Direction::Sent);
        assert_eq!(
            handshake.map(numbers),
            [(0, 0, SYN), (0, 1, SYN | ACK), (1, 1, ACK)]
        );
        let stream = flows.stream(1, local, remote);
        let request = stream.data(Direction::Sent, 10);
        assert_eq!((request.from, numbers(request)), (local, (1, 1, PSH | ACK)));
        stream.skip(Direction::Sent, 5);
        let response = stream.data(Direction::Received, 20);
        assert_eq!(
            (response.from, numbers(response)),
            (remote, (1, 16, PSH | ACK))
        );
        assert_eq!(flows.shut_down(1).map(numbers), Some((16, 21, FIN | ACK)));
        assert!(flows.close(1).is_none(), "each direction ends once");
        assert!(flows.close(1).is_none());

        // The handshake was not seen, nor the end of the connection before.
        assert_eq!(
            flows
                .stream(2, local, remote)
                .data(Direction::Sent, 7)
                .sequence,
            1
        );
        assert_eq!(
            flows
                .stream(2, local, remote)
                .data(Direction::Sent, 7)
                .sequence,
            8
        );
        assert_eq!(
            flows
                .stream(2, remote, local)
                .data(Direction::Sent, 7)
                .sequence,
            1
        );
    }
}
