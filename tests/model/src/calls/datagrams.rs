//! Datagrams: who gets them, and what the calls around them say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::call::{HostText, PortText, Slot};
use super::lifecycle::{OUT_OF_REACH, reach};
use super::model::{Datagram, Is, Model, State};
use super::world::{Pair, World, assert_one_of};
use crate::c::{Code, Received, Socket};
use crate::host::Host;
use crate::{code, kernel};

/// Largest payload of UDP over IPv4 and IPv6.
const LIMIT_V4: usize = 65_507;
const LIMIT_V6: usize = 65_527;

/// So much of the kernel's memory surely fits into a receive buffer
/// (net.core.rmem_default is 212,992).
const ROOM: usize = 150_000;

/// How long to wait for what must happen.
const SOON: i32 = 2000;

/// What a datagram takes of a receive buffer, at most.
pub(super) fn memory(datagram: &Datagram) -> usize {
    datagram.data.len() * 2 + 2000
}

/// Bytes that tell one datagram from another.
fn payload(id: u64, length: usize) -> Vec<u8> {
    let mut data: Vec<u8> = id.to_le_bytes().into();
    let fill = (id as u8).wrapping_mul(31);
    data.resize(length.max(8), fill);
    data.truncate(length);
    data
}

fn limit(to: IpAddr) -> usize {
    if to.is_ipv4() { LIMIT_V4 } else { LIMIT_V6 }
}

/// The address that the kernel gives a datagram to loopback whose socket has
/// none, or one of the other family.
pub(super) fn source(local: SocketAddr, to: IpAddr) -> SocketAddr {
    let own = local.ip();
    let is_usable = !own.is_unspecified() && own.is_ipv4() == to.is_ipv4();
    let ip = match to {
        _ if is_usable => own,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, local.port())
}

impl World {
    fn next_payload(&mut self, length: usize) -> (u64, Vec<u8>) {
        self.datagrams += 1;
        (self.datagrams, payload(self.datagrams, length))
    }

    pub(super) fn send_datagram(&mut self, slot: Slot, length: usize) {
        let (id, data) = self.next_payload(length);
        let Some(Pair { real, model }) = &mut self.slots[slot] else {
            return;
        };
        let peer = model.peer.as_ref().map(|peer| peer.addr);
        if model.refused == Is::Sure {
            await_error(real);
        }
        let code = real.send(&data);
        let expected: &[Code] = match (model.state, peer) {
            (State::Closed, _) => &[code::EBADF],
            // Two things are wrong then.
            (State::Bound, _) if length > 65_535 => &[code::EDESTADDRREQ, code::EMSGSIZE],
            (State::Bound, _) => &[code::EDESTADDRREQ],
            (State::Shutdown, None) => &[code::EPIPE, code::EDESTADDRREQ, code::EMSGSIZE],
            (State::Shutdown, Some(_)) => &[code::EPIPE, code::EMSGSIZE],
            (_, None) => unreachable!("a connected socket has a peer"),
            (_, Some(peer)) if length > limit(peer.ip()) => &[code::EMSGSIZE],
            (_, Some(_)) => &[code::OK],
        };
        assert_one_of(code, expected, "send");
        model.takes_refusal(code);
        if code == code::OK {
            model.sent += length as u64;
            let from = model.local_addr();
            let to = peer.expect("it was sent");
            self.deliver(id, data, from, to);
        }
    }

    pub(super) fn send_datagram_to(
        &mut self,
        slot: Slot,
        length: usize,
        host: HostText,
        port: PortText,
    ) {
        let target = self.target(host, port);
        let (id, data) = self.next_payload(length);
        let Some(pair) = &mut self.slots[slot] else {
            return;
        };
        if pair.model.refused == Is::Sure {
            await_error(&pair.real);
        }
        let is_bad = target.is_bad() || target.meaning == Host::Wildcard;
        let code = pair.real.send_to(&data, target.host(), target.port());
        let model = &mut pair.model;
        let (State::Bound | State::Connected | State::Accepted, Some(to), false) =
            (model.state, target.addr(), is_bad)
        else {
            let mut wrong = Vec::new();
            match model.state {
                State::Closed => wrong.push(code::EBADF),
                State::Shutdown => {
                    wrong.extend([code::EPIPE, code::EMSGSIZE, code::EINVAL]);
                    wrong.extend(OUT_OF_REACH);
                }
                _ => {}
            }
            if is_bad {
                wrong.push(code::EADDRNOTAVAIL);
            }
            assert_one_of(code, &wrong, "send_to");
            model.takes_refusal(code);
            return;
        };
        let local = model.local_addr();
        let reached = reach(local.ip(), model.is_v6, to.ip());
        let is_open = target.is_mapped()
            || model.is_at_odds()
            || to.ip().is_unspecified()
            || (model.state != State::Bound && reached != Is::Sure);
        let expected: Option<&[Code]> = match reached {
            _ if is_open => None,
            _ if model.excludes(to.ip()) => Some(&OUT_OF_REACH),
            Is::No => Some(&OUT_OF_REACH),
            // Made anew in the other family, if that has the port.
            Is::Perhaps => None,
            Is::Sure if to.port() == 0 && length > limit(to.ip()) => {
                Some(&[code::EINVAL, code::EMSGSIZE])
            }
            Is::Sure if to.port() == 0 => Some(&[code::EINVAL]),
            Is::Sure if length > limit(to.ip()) => Some(&[code::EMSGSIZE]),
            Is::Sure => Some(&[code::OK]),
        };
        if let Some(expected) = expected {
            assert_one_of(code, expected, "send_to");
        }
        model.takes_refusal(code);
        if code == code::OK {
            model.sent += length as u64;
        }
        // It may have another descriptor now, and what was queued is lost.
        let state = model.state;
        let was_v6 = model.is_v6;
        pair.opened(state);
        assert_eq!(pair.model.local_addr().port(), local.port(), "its port");
        if pair.model.is_v6 != was_v6 {
            pair.model.inbox.clear();
        }
        if code != code::OK {
            return;
        }
        if to.ip().is_unspecified() {
            // For this host, whichever address it takes.
            return self.confuse(to.port());
        }
        let from = source(pair.model.local_addr(), to.ip());
        self.deliver(id, data, from, to);
    }

    /// Somebody with that port may get something that nobody knows, or who is
    /// connected to it may hear that there is nobody.
    fn confuse(&mut self, port: u16) {
        for Pair { model, .. } in self.slots.iter_mut().flatten() {
            let peer = model.peer.as_ref().filter(|_| model.is_udp());
            if peer.is_some_and(|peer| peer.addr.port() == port) && model.refused == Is::No {
                model.refused = Is::Perhaps;
            }
        }
        for slot in 0..self.slots.len() {
            let is_concerned = self.slots[slot].as_ref().is_some_and(|Pair { model, .. }| {
                model.is_udp() && model.is_open() && model.local_addr().port() == port
            });
            if is_concerned {
                self.close(slot);
            }
        }
        let mut buf = [0; 1];
        while self.outsider.recv(&mut buf).is_ok() {}
    }

    /// Puts a datagram to whom the kernel gives it.
    fn deliver(&mut self, id: u64, data: Vec<u8>, from: SocketAddr, to: SocketAddr) {
        if to == self.outsider_addr() {
            return self.assert_outsider_hears(&data, from);
        }
        let fitness = |slot: &Option<Pair>| slot.as_ref()?.model.fitness(from, to);
        let best = self.slots.iter().filter_map(fitness).max();
        let Some(best) = best else {
            return self.refuse(from, to);
        };
        let slots = &mut self.slots;
        let count = slots
            .iter()
            .filter(|slot| fitness(slot) == Some(best))
            .count();
        for slot in slots.iter_mut() {
            if fitness(slot) != Some(best) {
                continue;
            }
            let Some(Pair { model, .. }) = slot else {
                continue;
            };
            let mut datagram = Datagram {
                id,
                data: data.clone(),
                from,
                is_sure: false,
            };
            let used: usize = model.inbox.iter().map(memory).sum();
            let fits = used + model.clutter + memory(&datagram) <= ROOM;
            datagram.is_sure = count == 1 && fits && model.state != State::Shutdown;
            model.inbox.push_back(datagram);
        }
    }

    /// Nobody is there: the kernel tells those who are connected to it
    /// (RFC 1122 section 4.1.3.3).
    fn refuse(&mut self, from: SocketAddr, to: SocketAddr) {
        let hears = |model: &Model| {
            let is_peer = model.peer.as_ref().is_some_and(|peer| peer.addr == to);
            model.is_open() && model.is_udp() && is_peer && model.local_addr() == from
        };
        let models = || self.slots.iter().flatten().map(|pair| &pair.model);
        let count = models().filter(|model| hears(model)).count();
        for Pair { model, .. } in self.slots.iter_mut().flatten() {
            if hears(model) {
                let is_plain = count == 1 && model.state != State::Shutdown;
                let news = if is_plain { Is::Sure } else { Is::Perhaps };
                if model.refused != Is::Sure {
                    model.refused = news;
                }
            }
        }
    }

    fn assert_outsider_hears(&mut self, data: &[u8], from: SocketAddr) {
        use std::os::fd::AsRawFd;
        kernel::poll(self.outsider.as_raw_fd(), libc::POLLIN, SOON);
        let mut buf = vec![0; 65_536];
        let (len, sender) = self.outsider.recv_from(&mut buf).expect("it was sent");
        assert_eq!(&buf[..len], data, "what arrives is what was sent");
        assert_eq!(sender, from);
    }

    pub(super) fn outsider_sends(&mut self, slot: Slot, length: usize) {
        let (id, data) = self.next_payload(length);
        let Some(Pair { model, .. }) = &self.slots[slot] else {
            return;
        };
        let Some(local) = model.local.filter(|_| model.is_open() && model.is_udp()) else {
            return;
        };
        let to = SocketAddr::new(
            match local.ip() {
                IpAddr::V4(ip) if !ip.is_unspecified() => ip.into(),
                ip if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                // An IPv4 socket does not get there.
                _ => return,
            },
            local.port(),
        );
        // An ICMP error from before would be told now; it is not connected, so
        // there is none. What is too long fails.
        if self.outsider.send_to(&data, to).is_ok() {
            self.deliver(id, data, self.outsider_addr(), to);
        }
    }

    pub(super) fn receive_datagram(
        &mut self,
        slot: Slot,
        size: usize,
        texts: Option<(usize, usize)>,
    ) {
        let Some(pair) = &mut self.slots[slot] else {
            return;
        };
        pair.model.drop_empty();
        match pair.model.refused {
            Is::Sure => await_error(&pair.real),
            _ => pair.await_datagram(),
        }
        let received = pair.impatiently(|socket| match texts {
            Some((host, port)) => socket.receive_from(size, host, port),
            None => socket.receive(size),
        });
        let shared = pair.judge(&received, size, texts);
        let Some(id) = shared else {
            return;
        };
        // Nobody else gets it.
        for Pair { model, .. } in self.slots.iter_mut().flatten() {
            model.inbox.retain(|datagram| datagram.id != id);
        }
    }
}

impl Model {
    /// A send has taken the ICMP error of an earlier datagram without saying so.
    /// One that failed for another reason may have got that far.
    fn takes_refusal(&mut self, code: Code) {
        if self.refused != Is::No {
            self.refused = if code == code::OK {
                Is::No
            } else {
                Is::Perhaps
            };
        }
    }

    /// A receive drops the empty datagrams of a connection, which anybody could
    /// have sent, and which TLS libraries take for its end.
    fn drop_empty(&mut self) {
        if self.peer.is_some() {
            let empty = |datagram: &Datagram| datagram.data.is_empty();
            self.clutter += self
                .inbox
                .iter()
                .filter(|it| empty(it))
                .map(memory)
                .sum::<usize>();
            self.inbox.retain(|datagram| !empty(datagram));
        }
    }
}

/// Waits until the descriptor knows of an error.
fn await_error(socket: &Socket) {
    let fd = socket.descriptor().expect("it was connected");
    let events = kernel::poll(fd, 0, SOON);
    assert_ne!(events & libc::POLLERR, 0, "the ICMP error arrives");
}

impl Pair {
    /// Waits for what must be in the queue.
    pub(super) fn await_datagram(&self) {
        if self.model.is_open() && self.model.inbox.iter().any(|datagram| datagram.is_sure) {
            kernel::poll(self.fd(), libc::POLLIN, SOON);
        }
    }

    /// Makes a call that may wait for the receive timeout, if that is short;
    /// else as if it were zero. It must not end early.
    pub(super) fn impatiently<T: Outcome>(&self, call: impl FnOnce(&Socket) -> T) -> T {
        const SHORT: i32 = 2_000_000;
        let is_short = match self.model.timeout {
            (seconds, 0..1_000_000_000) if seconds < 0 => true,
            (0, 0..=SHORT) => true,
            _ => false,
        };
        if !is_short {
            assert_eq!(self.real.set_receive_timeout((0, 0)), code::OK);
            let outcome = call(&self.real);
            assert_eq!(self.real.set_receive_timeout(self.model.timeout), code::OK);
            return outcome;
        }
        let wait = match self.model.timeout {
            (0, nanoseconds) => Duration::from_nanos(nanoseconds.unsigned_abs().into()),
            _ => Duration::ZERO,
        };
        let start = Instant::now();
        let outcome = call(&self.real);
        let took = start.elapsed();
        if outcome.code() == code::ETIMEDOUT {
            assert!(took >= wait, "after {took:?} of {wait:?}");
        }
        outcome
    }

    /// Compares what a receive gave with what was to come; says which datagram
    /// it was if others may have been given it.
    fn judge(
        &mut self,
        received: &Received,
        size: usize,
        texts: Option<(usize, usize)>,
    ) -> Option<u64> {
        let model = &mut self.model;
        let is_sure = model.inbox.iter().any(|datagram| datagram.is_sure);
        let got = received.code;
        if model.state == State::Closed {
            assert_eq!(got, code::EBADF, "receive of a closed socket");
            return None;
        }
        if got == code::ECONNREFUSED {
            assert_ne!(model.refused, Is::No, "nothing was refused");
            model.refused = Is::No;
            return None;
        }
        assert_ne!(model.refused, Is::Sure, "an ICMP error comes back: {got}");
        let nothing = match model.state {
            State::Shutdown => code::ECONNABORTED,
            _ => code::ETIMEDOUT,
        };
        if got == nothing {
            assert!(!is_sure, "{got} with {:?}", model.inbox);
            assert!(received.data.is_empty());
            model.clutter = 0;
            return None;
        }
        let matches = |datagram: &Datagram| {
            let len = datagram.data.len().min(size);
            datagram.data[..len] == received.data
        };
        let first_sure = model.inbox.iter().position(|datagram| datagram.is_sure);
        let limit = first_sure.map_or(usize::MAX, |index| index + 1);
        let index = model.inbox.iter().take(limit).position(matches);
        let Some(index) = index else {
            let data = &received.data[..received.data.len().min(8)];
            panic!("{got} {data:?}, not one of {:?}", model.inbox);
        };
        let datagram = model.inbox.drain(..=index).next_back()?;
        model.received += received.data.len() as u64;
        let is_cut = datagram.data.len() > size;
        let mut expected = vec![if is_cut { code::EMSGSIZE } else { code::OK }];
        if let Some((host_size, port_size)) = texts {
            let host = datagram.from.ip().to_string();
            let port = datagram.from.port().to_string();
            let fit = [host.len() < host_size, port.len() < port_size];
            if fit != [true, true] {
                expected[0] = code::ERANGE;
                if is_cut {
                    expected.push(code::EMSGSIZE);
                }
            }
            let texts = [fit[0].then_some(host), fit[1].then_some(port)];
            assert_eq!(received.from, texts, "whose datagram it is");
        }
        assert_one_of(got, &expected, "receive");
        (!datagram.is_sure).then_some(datagram.id)
    }
}

/// What has a code.
pub(super) trait Outcome {
    fn code(&self) -> Code;
}

impl Outcome for Code {
    fn code(&self) -> Code {
        *self
    }
}

impl Outcome for Received {
    fn code(&self) -> Code {
        self.code
    }
}
