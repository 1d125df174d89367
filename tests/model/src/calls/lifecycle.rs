//! create, bind, connect, accept, shutdown, close, cleanup.

use std::net::{IpAddr, SocketAddr};

use super::call::{HostText, PortText, Slot};
use super::datagrams::{memory, source};
use super::model::{Connection, End, Is, Model, Peer, State, overlap, plain};
use super::world::{Pair, Target, World, assert_one_of};
use crate::c::{self, Code, Info, Kind, Socket};
use crate::host::Host;
use crate::{Text, code, kernel};

/// What an address of a family that is excluded, or out of reach, says.
pub(super) const OUT_OF_REACH: [Code; 4] = [
    code::EADDRNOTAVAIL,
    code::EAFNOSUPPORT,
    code::ENETUNREACH,
    code::EINVAL,
];

impl World {
    pub(super) fn create(&mut self, slot: Slot, model: Model) {
        self.cleanup(slot);
        let mut endpoint = c::no_endpoint();
        let mut config = c::default_configuration();
        config.reuse_addr = model.reuse.into();
        config.address_family = model.forced;
        config.preferred_family = model.preferred;
        config.preferred_endpoint = &mut endpoint;
        let real = Socket::create(model.kind, config).expect("a valid configuration");
        self.slots[slot] = Some(Pair { real, model });
    }

    pub(super) fn cleanup(&mut self, slot: Slot) {
        self.forget_connections(slot);
        // Dropping it is cleanup, which must say OK and set NULL.
        self.slots[slot] = None;
    }

    pub(super) fn close(&mut self, slot: Slot) {
        self.forget_connections(slot);
        let Some(pair) = &mut self.slots[slot] else {
            return;
        };
        assert_eq!(pair.real.close(), code::OK);
        pair.model.close();
    }

    /// The socket of the slot is about to be closed.
    fn forget_connections(&mut self, slot: Slot) {
        let Some(Pair { model, .. }) = &self.slots[slot] else {
            return;
        };
        if let Some(end) = model.end {
            self.connections[end.connection].abandon(end.side);
        }
        for &connection in &model.backlog {
            self.connections[connection].reject();
        }
    }

    pub(super) fn shutdown(&mut self, slot: Slot) {
        let Some(Pair { real, model }) = &mut self.slots[slot] else {
            return;
        };
        let code = real.shutdown();
        let side = model.end.map(|end| self.connections[end.connection].sides);
        let is_plain = side.is_none_or(|sides| {
            sides
                .iter()
                .all(|side| side.reset == Is::No && !side.is_gone)
        });
        match model.state {
            State::Closed => {
                assert_eq!(code, code::EBADF, "shutdown of a closed socket");
                return;
            }
            State::Shutdown => assert_one_of(code, &[code::OK, code::ENOTCONN], "again"),
            _ if is_plain => assert_eq!(code, code::OK, "shutdown of {model:?}"),
            // There is nothing left to shut down.
            _ => assert_one_of(code, &[code::OK, code::ENOTCONN], "shutdown"),
        }
        let state = real.int_option(1);
        if code == code::OK || state == Ok(State::Shutdown as i32) {
            model.state = State::Shutdown;
        }
        // What arrives from now on may be heard or not.
        if model.refused == Is::Sure {
            model.refused = Is::Perhaps;
        }
        if let Some(end) = model.end {
            self.connections[end.connection].sides[end.side].is_gone = true;
        }
        for connection in std::mem::take(&mut model.backlog) {
            self.connections[connection].reject();
        }
    }

    pub(super) fn bind(&mut self, slot: Slot, host: HostText, port: PortText) {
        let target = self.target(host, port);
        let Some(pair) = &self.slots[slot] else {
            return;
        };
        let code = pair.real.bind(target.host(), target.port());
        let mut wrong = Vec::new();
        if target.is_bad() {
            wrong.push(code::EINVAL);
        }
        if pair.model.is_open() {
            wrong.push(code::EISCONN);
        }
        if !wrong.is_empty() {
            return assert_one_of(code, &wrong, "bind");
        }
        let is_excluded = target
            .addr()
            .is_some_and(|addr| pair.model.excludes(addr.ip()));
        let conflict = self.port_conflict(slot, &target);
        let number = target.number.unwrap_or(0);
        if target.is_mapped() && pair.model.forced != 0 {
            // Left open.
        } else if is_excluded {
            assert_one_of(code, &OUT_OF_REACH, "bind to an excluded family");
        } else {
            match conflict {
                Is::Sure => assert_eq!(code, code::EADDRINUSE, "bind to {number}"),
                Is::Perhaps => assert_one_of(code, &[code::OK, code::EADDRINUSE], "bind"),
                // Unless another program has taken the port meanwhile.
                Is::No if code == code::EADDRINUSE && number != 0 => {
                    let model = &pair.model;
                    let any = ([0u16; 8], number).into();
                    let addr = target.addr().unwrap_or(any);
                    let is_free = kernel::can_bind(model.kind, addr, model.reuse);
                    assert!(!is_free, "bind to {number}, which is free");
                }
                Is::No => assert_eq!(code, code::OK, "bind to {number}"),
            }
        }
        if code == code::OK {
            self.bound(slot, &target);
        }
    }

    /// Whether somebody has the port already.
    fn port_conflict(&self, slot: Slot, target: &Target) -> Is {
        let Some(Pair { model, .. }) = &self.slots[slot] else {
            return Is::No;
        };
        let number = target.number.unwrap_or(0);
        if number == 0 {
            return Is::No;
        }
        let (v6, v4) = ([0u16; 8].into(), [0u8; 4].into());
        // The policy has both wildcards to try.
        let wanted: Vec<IpAddr> = match (target.addr(), model.forced) {
            (Some(addr), _) => vec![addr.ip()],
            (None, 1) => vec![v4],
            (None, 2) => vec![v6],
            (None, _) => vec![v6, v4],
        };
        let taken = |ip: &IpAddr| self.is_taken(slot, SocketAddr::new(*ip, number));
        let taken: Vec<Is> = wanted.iter().map(taken).collect();
        let is_all = |what: Is| taken.iter().all(|&is| is == what);
        match () {
            () if is_all(Is::No) => Is::No,
            () if is_all(Is::Sure) => Is::Sure,
            // The other wildcard may be had, or not.
            () => Is::Perhaps,
        }
    }

    fn is_taken(&self, slot: Slot, wanted: SocketAddr) -> Is {
        let Some(Pair { model: own, .. }) = &self.slots[slot] else {
            return Is::No;
        };
        if own.is_udp() && overlap(wanted, self.outsider_addr()) {
            return Is::Sure;
        }
        let others = self.slots.iter().flatten().map(|pair| &pair.model);
        let mut others = others.filter(|other| {
            other.kind == own.kind && other.is_open() && overlap(wanted, other.local_addr())
        });
        if own.is_udp() {
            let is_shared = others.all(|other| own.reuse && other.shares_port);
            // What keeps the port of nobody.
            let is_dead = self.is_dead_port(wanted.port());
            return match (is_shared, is_dead) {
                (true, false) => Is::No,
                (_, true) => Is::Perhaps,
                (false, _) => Is::Sure,
            };
        }
        if others.any(|other| other.state == State::Bound) {
            return Is::Sure;
        }
        // Connections that have ended keep the port from those who do not
        // share it (RFC 9293 section 3.6.1, TIME-WAIT).
        let is_shared = own.reuse && !self.unshared_ports.contains(&wanted.port());
        if is_shared && !self.is_dead_port(wanted.port()) {
            Is::No
        } else {
            Is::Perhaps
        }
    }

    fn bound(&mut self, slot: Slot, target: &Target) {
        let Some(pair) = &mut self.slots[slot] else {
            return;
        };
        pair.opened(State::Bound);
        let model = &mut pair.model;
        let local = model.local_addr();
        model.shares_port = model.reuse;
        match target.addr() {
            Some(addr) => assert_eq!(local.ip(), addr.ip()),
            None => assert!(local.ip().is_unspecified()),
        }
        match target.number {
            Some(0) | None => {}
            Some(number) => assert_eq!(local.port(), number),
        }
        match model.forced {
            1 => assert!(!model.is_v6),
            2 => assert!(model.is_v6),
            _ => {}
        }
        if !model.is_udp() && !model.reuse {
            self.unshared_ports.insert(local.port());
        }
    }

    pub(super) fn connect(&mut self, slot: Slot, host: HostText, port: PortText) {
        let target = self.target(host, port);
        let Some(Pair { real, model }) = &self.slots[slot] else {
            return;
        };
        let may_connect = match model.state {
            State::Closed => true,
            State::Bound => model.is_udp(),
            _ => false,
        };
        let is_bad = target.is_bad() || target.meaning == Host::Wildcard;
        // A socket that was bound to any port knows its own when it was asked.
        let _ = real.info(Info::LocalPort, 8);
        let code = real.connect(target.host(), target.port());
        let mut wrong = Vec::new();
        if is_bad {
            wrong.push(code::EADDRNOTAVAIL);
        }
        if !may_connect {
            wrong.push(code::EISCONN);
        }
        if !wrong.is_empty() {
            return assert_one_of(code, &wrong, "connect");
        }
        let addr = target.addr().expect("it is not bad");
        // What a connect to port 0 or to "this host" means is the kernel's
        // business; so is which form of a mapped address is restricted.
        let is_open = addr.port() == 0 || addr.ip().is_unspecified();
        if is_open || (target.is_mapped() && model.forced != 0) {
            self.drop_strangers(slot);
            return;
        }
        match model.kind {
            Kind::Udp => self.connect_udp(slot, &target, addr, code),
            Kind::Tcp => self.connect_tcp(slot, &target, addr, code),
        }
    }

    /// The outcome was left open: closes, and whoever may have got something
    /// of it closes as well.
    fn drop_strangers(&mut self, slot: Slot) {
        if let Some(pair) = &mut self.slots[slot] {
            pair.start_over();
        }
        for slot in 0..self.slots.len() {
            let Some(Pair { model, .. }) = &self.slots[slot] else {
                continue;
            };
            if !model.is_udp() && model.state == State::Bound {
                self.close(slot);
            }
        }
    }

    fn connect_udp(&mut self, slot: Slot, target: &Target, addr: SocketAddr, code: Code) {
        let Some(pair) = &mut self.slots[slot] else {
            return;
        };
        let model = &pair.model;
        let before = model.local.filter(|_| model.state == State::Bound);
        if model.excludes(addr.ip()) {
            assert_one_of(code, &OUT_OF_REACH, "connect to an excluded family");
        } else {
            match before.map(|local| reach(local.ip(), model.is_v6, addr.ip())) {
                // A mapped address may be taken for one of IPv6, and a family
                // may be forced that is not the descriptor's.
                _ if target.is_mapped() || model.is_at_odds() => {}
                None | Some(Is::Sure) => {
                    let is_itself = before.is_some_and(|local| source(local, addr.ip()) == addr);
                    let expected = if is_itself {
                        code::ECONNREFUSED
                    } else {
                        code::OK
                    };
                    assert_eq!(code, expected, "connect to {addr}");
                }
                Some(Is::No) => assert_one_of(code, &OUT_OF_REACH, "connect out of reach"),
                // Made anew in the other family, if that has the port.
                Some(Is::Perhaps) => {}
            }
        }
        if code != code::OK {
            // The state is verified after each call; the address here.
            if before.is_some() {
                let local = kernel::local_addr(pair.fd()).expect("it is bound");
                assert_eq!(Some(plain(local)), before, "it keeps its address");
            }
            return;
        }
        let was_v6 = pair.model.is_v6;
        pair.opened(State::Connected);
        let model = &mut pair.model;
        match before {
            Some(local) => assert_eq!(model.local_addr().port(), local.port(), "its port"),
            None => model.shares_port = false,
        }
        if before.is_some() && model.is_v6 != was_v6 {
            // It was made anew.
            model.inbox.clear();
        }
        // Datagrams of others are never delivered; of the peer's own that
        // were early that is not said.
        model.clutter += model.inbox.iter().map(memory).sum::<usize>();
        model.inbox.retain(|datagram| datagram.from == addr);
        for datagram in &mut model.inbox {
            datagram.is_sure = false;
        }
        model.refused = Is::No;
        pair.connected(target, addr);
    }

    fn connect_tcp(&mut self, slot: Slot, target: &Target, addr: SocketAddr, code: Code) {
        let listener = self.slots.iter().position(|pair| {
            pair.as_ref().is_some_and(|Pair { model, .. }| {
                !model.is_udp() && model.state == State::Bound && overlap(model.local_addr(), addr)
            })
        });
        let Some(pair) = &mut self.slots[slot] else {
            return;
        };
        if pair.model.excludes(addr.ip()) {
            assert_one_of(code, &OUT_OF_REACH, "connect to an excluded family");
            return;
        }
        let Some(listener) = listener else {
            // Nor is it connected to itself (RFC 9293 section 3.5).
            return assert_eq!(code, code::ECONNREFUSED, "connect to {addr}");
        };
        assert_eq!(code, code::OK, "connect to {addr}");
        pair.opened(State::Connected);
        pair.connected(target, addr);
        let client = pair.model.local_addr();
        let connection = self.connections.len();
        pair.model.end = Some(End {
            connection,
            side: 0,
        });
        self.unshared_ports.insert(client.port());
        self.connections.push(Connection::new(client));
        if let Some(pair) = &mut self.slots[listener] {
            pair.model.backlog.push_back(connection);
        }
    }

    pub(super) fn accept(&mut self, slot: Slot, new: Slot) {
        let (Some(server), Some(target)) = (&self.slots[slot], &self.slots[new]) else {
            return;
        };
        let (listener, model) = (&server.model, &target.model);
        let mut wrong = Vec::new();
        if listener.kind != model.kind {
            wrong.push(code::EINVAL);
        }
        if listener.state != State::Bound {
            wrong.push(code::ENETDOWN);
        }
        if model.is_open() {
            wrong.push(code::EISCONN);
        }
        if listener.is_udp() && !(listener.reuse && model.reuse) {
            wrong.push(code::EINVAL);
        }
        if !wrong.is_empty() {
            return assert_one_of(server.real.accept(&target.real), &wrong, "accept");
        }
        // One is bound and one is closed: they are not the same.
        let mut target = self.slots[new].take();
        match self.is_udp(slot) {
            Some(true) => self.accept_datagram(slot, target.as_mut()),
            _ => self.accept_stream(slot, target.as_mut()),
        }
        self.slots[new] = target;
    }

    fn accept_stream(&mut self, slot: Slot, target: Option<&mut Pair>) {
        let (Some(server), Some(target)) = (&mut self.slots[slot], target) else {
            return;
        };
        if !server.model.backlog.is_empty() {
            kernel::poll(server.fd(), libc::POLLIN, 2000);
        }
        let code = server.real.accept(&target.real);
        let Some(connection) = server.model.backlog.pop_front() else {
            return assert_eq!(code, code::ETIMEDOUT, "nobody to accept");
        };
        assert_eq!(code, code::OK, "somebody to accept");
        target.opened(State::Accepted);
        let (local, bound) = (target.model.local_addr(), server.model.local_addr());
        assert_eq!(local.port(), bound.port());
        target.accepted(self.connections[connection].client);
        target.model.end = Some(End {
            connection,
            side: 1,
        });
    }

    fn accept_datagram(&mut self, slot: Slot, target: Option<&mut Pair>) {
        let (Some(server), Some(target)) = (&mut self.slots[slot], target) else {
            return;
        };
        server.await_datagram();
        let real = &target.real;
        let code = server.impatiently(|server| server.accept(real));
        let before = server.model.local_addr();
        let is_sure = server.model.inbox.iter().any(|datagram| datagram.is_sure);
        if code != code::OK {
            assert!(!is_sure, "accept: {code}, with {:?}", server.model.inbox);
            return assert_eq!(code, code::ETIMEDOUT, "nobody to accept");
        }
        let fd = target.fd();
        let peer = plain(kernel::peer_addr(fd).expect("it is connected"));
        let first_sure = server
            .model
            .inbox
            .iter()
            .position(|datagram| datagram.is_sure);
        let limit = first_sure.map_or(usize::MAX, |index| index + 1);
        let mut possible = server.model.inbox.iter().take(limit);
        assert!(possible.any(|datagram| datagram.from == peer), "{peer}?");

        target.opened(State::Accepted);
        target.accepted(peer);
        target.model.shares_port = true;
        assert_eq!(target.model.local_addr().port(), before.port());
        // What the peer has sent goes with it, unless it was uncertain before;
        // what others have sent stays or is lost.
        let all = std::mem::take(&mut server.model.inbox);
        for mut datagram in all {
            if datagram.from == peer {
                target.model.inbox.push_back(datagram);
            } else {
                target.model.clutter += memory(&datagram);
                datagram.is_sure = false;
                server.model.inbox.push_back(datagram);
            }
        }
        server.opened(State::Bound);
        assert_eq!(server.model.local_addr(), before, "bound anew");
    }
}

impl Pair {
    /// What connect has made known.
    fn connected(&mut self, target: &Target, addr: SocketAddr) {
        let text = |text: Text<'_>| text.unwrap_or_default().to_vec();
        let port = match target.port() {
            None | Some([]) => b"0".to_vec(),
            port => text(port),
        };
        self.model.peer = Some(Peer {
            addr,
            host: text(target.host()),
            port,
        });
        let peer = kernel::peer_addr(self.fd()).expect("it is connected");
        assert_eq!(plain(peer), addr, "connected to what was asked for");
        let (stored, host, port) = c::host_port(&self.real.preferred(), 80, 6);
        assert_eq!(stored, code::OK, "the endpoint is stored");
        assert_eq!(host.text(), addr.ip().to_string());
        assert_eq!(port.text(), addr.port().to_string());
    }

    /// What accept has made known.
    fn accepted(&mut self, addr: SocketAddr) {
        self.model.peer = Some(Peer {
            addr,
            host: addr.ip().to_string().into_bytes(),
            port: addr.port().to_string().into_bytes(),
        });
        let peer = kernel::peer_addr(self.fd()).expect("it is connected");
        assert_eq!(plain(peer), addr, "accepted who was there");
    }
}

/// Whether a UDP socket with that local address gets to another: as it is, or
/// perhaps when it is made anew in the other family.
pub(super) fn reach(local: IpAddr, is_v6: bool, to: IpAddr) -> Is {
    match (local.is_unspecified(), is_v6, to.is_ipv6()) {
        (true, true, _) | (true, false, false) => Is::Sure,
        (true, false, true) => Is::Perhaps,
        (false, _, _) if local.is_ipv6() == to.is_ipv6() => Is::Sure,
        (false, _, _) => Is::No,
    }
}
