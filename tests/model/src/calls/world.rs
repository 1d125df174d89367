//! The sockets, each with its model, and what is around them.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Type};

use super::call::{Call, HostText, PortText, SLOTS, Slot};
use super::model::{Connection, Model, State};
use crate::c::{Code, Kind, Socket};
use crate::host::Host;
use crate::{Text, c, host, kernel};

/// A socket and its model.
pub(super) struct Pair {
    pub(super) real: Socket,
    pub(super) model: Model,
}

/// All of it.
pub(super) struct World {
    pub(super) slots: [Option<Pair>; SLOTS],
    pub(super) connections: Vec<Connection>,
    /// TCP ports that somebody had who does not share them.
    pub(super) unshared_ports: HashSet<u16>,
    /// A UDP socket that is not the library's.
    pub(super) outsider: UdpSocket,
    /// What keep a port from being used, without hearing anything.
    dead: (UdpSocket, socket2::Socket),
    pub(super) datagrams: u64,
}

/// What a host and a port text of a call come to.
pub(super) struct Target {
    host: Option<Vec<u8>>,
    port: Option<Vec<u8>>,
    /// The meaning of the host.
    pub(super) meaning: Host,
    /// The number of the port, if it is one.
    pub(super) number: Option<u16>,
}

impl Target {
    pub(super) fn host(&self) -> Text<'_> {
        self.host.as_deref()
    }

    pub(super) fn port(&self) -> Text<'_> {
        self.port.as_deref()
    }

    /// Neither an address nor a wildcard, or no port.
    pub(super) fn is_bad(&self) -> bool {
        self.meaning == Host::Bad || self.number.is_none()
    }

    /// The address, plain; `None` for a wildcard and bad text.
    pub(super) fn addr(&self) -> Option<SocketAddr> {
        let addr = self.meaning.with_port(self.number?)?;
        Some(SocketAddr::new(host::plain(addr.ip()), addr.port()))
    }

    /// Written as IPv6 though it is IPv4: which of them a family restriction
    /// looks at is left open.
    pub(super) fn is_mapped(&self) -> bool {
        matches!(self.meaning, Host::Literal(ip, _) if ip != host::plain(ip))
    }
}

impl World {
    pub(super) fn new() -> World {
        let outsider = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket");
        outsider.set_nonblocking(true).expect("an option");
        let addr = outsider.local_addr().expect("it is bound");
        // Hears only itself, so nothing of what others send.
        let dead = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket");
        let own = dead.local_addr().expect("it is bound");
        dead.connect(own).expect("it is there");
        // The same port of TCP, if it is free, bound and not listening.
        let tcp = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).expect("a TCP socket");
        let _taken = tcp.bind(&own.into());
        assert_ne!(addr.port(), own.port());
        let mut world = World {
            slots: [const { None }; SLOTS],
            connections: Vec::new(),
            unshared_ports: HashSet::new(),
            outsider,
            dead: (dead, tcp),
            datagrams: 0,
        };
        // Some of each to begin with; calls make others.
        for slot in 0..SLOTS {
            let kind = if slot < SLOTS / 2 {
                Kind::Udp
            } else {
                Kind::Tcp
            };
            world.create(slot, Model::new(kind, slot % 2 == 0, 0, 0));
        }
        world
    }

    pub(super) fn outsider_addr(&self) -> SocketAddr {
        self.outsider.local_addr().expect("it is bound")
    }

    fn dead_port(&self) -> u16 {
        self.dead.0.local_addr().expect("it is bound").port()
    }

    pub(super) fn is_dead_port(&self, port: u16) -> bool {
        self.dead_port() == port
    }

    /// Makes a call, compares, and looks whether all sockets still are what
    /// they should be.
    pub(super) fn make(&mut self, call: Call) {
        match call {
            Call::Create {
                slot,
                kind,
                reuse,
                forced,
                preferred,
            } => self.create(slot, Model::new(kind, reuse, forced, preferred)),
            Call::Cleanup(slot) => self.cleanup(slot),
            Call::Bind(slot, host, port) => self.bind(slot, host, port),
            Call::Connect(slot, host, port) => self.connect(slot, host, port),
            Call::Accept(slot, new) => self.accept(slot, new),
            Call::Send(slot, length) => match self.is_udp(slot) {
                Some(true) => self.send_datagram(slot, length),
                Some(false) => self.send_bytes(slot, length, None),
                None => {}
            },
            Call::SendTo(slot, length, host, port) => match self.is_udp(slot) {
                Some(true) => self.send_datagram_to(slot, length, host, port),
                Some(false) => {
                    let target = self.target(host, port);
                    self.send_bytes(slot, length, Some(&target));
                }
                None => {}
            },
            Call::Receive(slot, size) => self.receive(slot, size, None),
            Call::ReceiveFrom(slot, size, host, port) => {
                self.receive(slot, size, Some((host, port)));
            }
            Call::Shutdown(slot) => self.shutdown(slot),
            Call::Close(slot) => self.close(slot),
            Call::Decorate(slot, other) => self.decorate(slot, other),
            Call::Info(slot, info, size) => self.info(slot, info, size),
            Call::InterfaceName(slot) => self.interface_name(slot),
            Call::GetOption(slot, key) => self.get_option(slot, key),
            Call::SetOption(slot, key, value) => self.set_option(slot, key, value),
            Call::SetTimeout(slot, timeout) => self.set_timeout(slot, timeout),
            Call::Nonsense(slot) => self.nonsense(slot),
            Call::OutsiderSends(slot, length) => self.outsider_sends(slot, length),
        }
        self.slots.iter().flatten().for_each(Pair::verify);
    }

    fn receive(&mut self, slot: Slot, size: usize, texts: Option<(usize, usize)>) {
        match self.is_udp(slot) {
            Some(true) => self.receive_datagram(slot, size, texts),
            Some(false) => self.receive_bytes(slot, size, texts),
            None => {}
        }
    }

    pub(super) fn is_udp(&self, slot: Slot) -> Option<bool> {
        self.slots[slot].as_ref().map(|pair| pair.model.is_udp())
    }

    /// The port that a text of a call stands for, and what it means.
    pub(super) fn target(&self, host: HostText, port: PortText) -> Target {
        let local = |slot: Slot| {
            let pair = self.slots[slot].as_ref();
            pair.and_then(|pair| pair.model.local)
        };
        let host = match host {
            HostText::Null => None,
            HostText::Of(text) => Some(text.to_vec()),
            HostText::OfSlot(slot) => {
                let ip = local(slot).map(|addr| addr.ip());
                let ip = ip.filter(|ip| !ip.is_unspecified());
                let loopback = Ipv4Addr::LOCALHOST.into();
                Some(ip.unwrap_or(loopback).to_string().into_bytes())
            }
        };
        let of_slot = |slot: Slot| local(slot).map_or(0, |addr| addr.port());
        let port = match port {
            PortText::Null => None,
            PortText::Of(text) => Some(text.to_vec()),
            PortText::OfSlot(slot) => Some(of_slot(slot).to_string().into_bytes()),
            PortText::OfSlotWithZero(slot) => Some(format!("0{}", of_slot(slot)).into_bytes()),
            PortText::OfOutsider => Some(self.outsider_addr().port().to_string().into_bytes()),
            PortText::Dead => Some(self.dead_port().to_string().into_bytes()),
        };
        Target {
            meaning: Host::of(host.as_deref()),
            number: host::port(port.as_deref()),
            host,
            port,
        }
    }

    /// Closes everything, in the order of the slots.
    pub(super) fn finish(mut self) {
        for slot in 0..SLOTS {
            self.cleanup(slot);
        }
    }
}

impl Pair {
    /// That the socket is what the model says.
    pub(super) fn verify(&self) {
        const STATE: i32 = 1;
        let Pair { real, model } = self;
        let state = real.int_option(STATE);
        assert_eq!(state, Ok(model.state as i32), "state of {model:?}");
        assert_eq!(real.bytes_sent(), model.sent, "bytes sent");
        assert_eq!(real.bytes_received(), model.received, "bytes received");
        assert_eq!(real.receive_timeout(), model.timeout, "kept as given");
        let place = real.system_socket();
        assert_eq!(place.addr(), model.place, "where the descriptor is");
    }

    /// The descriptor's number.
    pub(super) fn fd(&self) -> i32 {
        self.real.descriptor().expect("an open socket has one")
    }

    /// After a call that has given the socket a descriptor: learns from the
    /// kernel what is the kernel's choice.
    pub(super) fn opened(&mut self, state: State) {
        let fd = self.fd();
        let local = kernel::local_addr(fd).expect("it has an address");
        self.model.state = state;
        self.model.place = self.real.system_socket().addr();
        self.model.is_v6 = kernel::family(fd) == libc::AF_INET6;
        self.model.local = Some(super::model::plain(local));
        assert_ne!(local.port(), 0, "an open socket has a port");
    }

    /// After an outcome that the documents leave open: back to what they don't.
    pub(super) fn start_over(&mut self) {
        let forced = self.model.state;
        assert_eq!(self.real.close(), crate::code::OK, "close in {forced:?}");
        self.model.close();
    }
}

/// That a code is one of those.
#[track_caller]
pub(super) fn assert_one_of(code: Code, expected: &[Code], what: &str) {
    assert!(expected.contains(&code), "{what}: {code}, not {expected:?}");
}

/// Bounds the waits that no receive timeout bounds.
pub(super) fn configure() {
    c::configure(|settings| {
        settings.accept_timeout_ms = 2;
        settings.send_timeout_ms = 100;
    });
}
