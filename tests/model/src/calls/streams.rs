//! Bytes of TCP connections.

use super::call::Slot;
use super::model::{End, Is, State};
use super::world::{Pair, Target, World, assert_one_of};
use crate::c::Code;
use crate::{code, kernel};

/// So much surely fits between two sockets without anybody reading.
const ROOM: u64 = 60_000;

/// How often a millisecond may pass until bytes have arrived.
const PATIENCE: u32 = 2000;

/// The byte at that place of what `end` reads.
fn byte(end: End, place: u64) -> u8 {
    let seed = (end.connection * 2 + end.side) as u64;
    (seed.wrapping_mul(101) ^ place ^ (place >> 8)) as u8
}

impl World {
    /// send, or send_to a target that must not matter to a connected socket.
    pub(super) fn send_bytes(&mut self, slot: Slot, length: usize, target: Option<&Target>) {
        let Some(Pair { real, model }) = &mut self.slots[slot] else {
            return;
        };
        let sides = model.end.map(|end| self.connections[end.connection].sides);
        let (data, expected) = match (model.end, sides) {
            (Some(end), Some(sides)) => {
                let reader = sides[1 - end.side];
                if reader.unread + length as u64 > ROOM {
                    return;
                }
                let start = reader.read + reader.unread;
                let peer = End {
                    side: 1 - end.side,
                    ..end
                };
                let data = (0..length as u64).map(|i| byte(peer, start + i)).collect();
                let is_plain = !reader.is_gone && sides[end.side].reset == Is::No;
                let expected: &[Code] = match model.state {
                    State::Shutdown if length == 0 => &[code::OK, code::EPIPE, code::ECONNRESET],
                    State::Shutdown => &[code::EPIPE, code::ECONNRESET],
                    _ if is_plain => &[code::OK],
                    _ => &[code::OK, code::EPIPE, code::ECONNRESET],
                };
                (data, expected)
            }
            _ => {
                let expected: &[Code] = match model.state {
                    State::Closed => &[code::EBADF],
                    State::Bound => &[code::ENOTCONN],
                    _ => &[code::EPIPE, code::ENOTCONN],
                };
                (vec![0; length], expected)
            }
        };
        let code = match target {
            None => real.send(&data),
            Some(target) => real.send_to(&data, target.host(), target.port()),
        };
        let is_bad = target.is_some_and(|target| target.addr().is_none());
        if is_bad && model.end.is_none() && code == code::EADDRNOTAVAIL {
            // Bad text in a wrong state: either is said.
            return;
        }
        assert_one_of(code, expected, "send");
        if code != code::OK {
            return;
        }
        model.sent += length as u64;
        if let Some(end) = model.end {
            let sides = &mut self.connections[end.connection].sides;
            let reader = &mut sides[1 - end.side];
            if !reader.is_gone {
                reader.unread += length as u64;
            } else if length > 0 {
                // The answer is a reset, sooner or later.
                sides[end.side].reset = Is::Perhaps;
            }
        }
    }

    pub(super) fn receive_bytes(&mut self, slot: Slot, size: usize, texts: Option<(usize, usize)>) {
        let Some(pair) = &mut self.slots[slot] else {
            return;
        };
        let side = pair
            .model
            .end
            .map(|end| self.connections[end.connection].sides[end.side]);
        if let Some(side) = side {
            pair.await_bytes(side.unread);
        }
        let received = pair.impatiently(|socket| match texts {
            Some((host, port)) => socket.receive_from(size, host, port),
            None => socket.receive(size),
        });
        let got = received.code;
        let model = &mut pair.model;
        let Some(end) = model.end else {
            let expected = match model.state {
                State::Closed => code::EBADF,
                State::Bound => code::ENOTCONN,
                // A listener that was shut down.
                _ => got,
            };
            assert_eq!(got, expected, "receive in {:?}", model.state);
            assert!(received.data.is_empty());
            return;
        };
        let [one, other] = &mut self.connections[end.connection].sides;
        let (own, other) = match end.side {
            0 => (one, other),
            _ => (other, one),
        };
        // Content first: whatever the code, these bytes were received.
        let len = received.data.len() as u64;
        let expected: Vec<u8> = (0..len).map(|i| byte(end, own.read + i)).collect();
        assert!(
            received.data == expected,
            "the bytes are those that were sent"
        );
        assert!(len <= own.unread, "{len} bytes of {}", own.unread);
        own.read += len;
        own.unread -= len;
        model.received += len;

        let fits = texts.is_none_or(|(host_size, port_size)| {
            let peer = model.peer.as_ref().expect("a connected socket has a peer");
            let (host, port) = (peer.addr.ip().to_string(), peer.addr.port().to_string());
            let fit = [host.len() < host_size, port.len() < port_size];
            if got == code::OK || got == code::ERANGE {
                let texts = [fit[0].then_some(host), fit[1].then_some(port)];
                assert_eq!(received.from, texts, "whose bytes they are");
            }
            fit == [true, true]
        });
        let done = if fits { code::OK } else { code::ERANGE };
        let is_plain = own.reset == Is::No && !own.is_gone;
        if len > 0 {
            assert_eq!(got, done, "{len} bytes");
            let all = own.unread == 0 || len == size as u64;
            assert!(all || !is_plain, "{len} bytes, {} are left", own.unread);
            return;
        }
        if size == 0 {
            // What nothing means then is left open.
            return;
        }
        if own.unread > 0 {
            assert!(!is_plain, "{got}, though there is something to receive");
            // A reset has thrown it away.
            own.unread = 0;
        }
        let possible: &[Code] = match (own.told.as_ref(), own.reset) {
            (Some(told), _) if *told == code::ECONNRESET => &[code::ECONNRESET],
            (_, Is::Sure) if is_plain || !own.is_gone => &[code::ECONNRESET],
            (_, Is::Sure | Is::Perhaps) => &[done, code::ECONNRESET, code::ETIMEDOUT],
            // After shutdown of this end, or the other's end.
            (_, Is::No) if own.is_gone => &[done, code::ECONNRESET],
            (_, Is::No) if other.is_gone => &[done],
            (_, Is::No) => &[code::ETIMEDOUT],
        };
        assert_one_of(got, possible, "receive at the end");
        if got != code::ETIMEDOUT {
            own.told = Some(got);
        }
    }
}

impl Pair {
    /// Waits until bytes that were sent have arrived, which over loopback they
    /// have.
    fn await_bytes(&self, count: u64) {
        let fd = self.fd();
        for _ in 0..PATIENCE {
            let events = kernel::poll(fd, libc::POLLHUP, 0);
            if kernel::readable_bytes(fd) >= count || events & libc::POLLHUP != 0 {
                return;
            }
            kernel::poll(fd, libc::POLLHUP, 1);
        }
    }
}
