//! Transfers of datagrams that need not wait.

use std::net::UdpSocket;

use super::{Contender, Patience, Transport};

/// What a small CoAP message weighs.
const SIZE: usize = 100;

/// A socket of the system at the other end, which never blocks.
fn peer() -> UdpSocket {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_nonblocking(true).unwrap();
    peer
}

/// Throws away what has come, so that sending goes on to find room.
fn drain(peer: &UdpSocket) {
    let mut buf = [0; SIZE];
    while peer.recv(&mut buf).is_ok() {}
}

/// send on a connected socket.
pub(super) struct Send<T> {
    socket: T,
    peer: UdpSocket,
}

impl<T: Transport> Send<T> {
    pub(super) fn new() -> Self {
        let peer = peer();
        let socket = T::udp_to(peer.local_addr().unwrap(), Patience::None);
        Send { socket, peer }
    }
}

impl<T: Transport> Contender for Send<T> {
    fn prepare(&mut self, _n: u64) {
        drain(&self.peer);
    }

    fn run(&mut self, n: u64) {
        let data = [7; SIZE];
        for _ in 0..n {
            self.socket.send(&data);
        }
    }
}

/// send_to with a numeric address.
pub(super) struct SendTo<T: Transport> {
    socket: T,
    peer: UdpSocket,
    address: T::Address,
}

impl<T: Transport> SendTo<T> {
    pub(super) fn new() -> Self {
        let peer = peer();
        let address = T::address(peer.local_addr().unwrap());
        let (socket, _) = T::udp_bound(Patience::None);
        SendTo {
            socket,
            peer,
            address,
        }
    }
}

impl<T: Transport> Contender for SendTo<T> {
    fn prepare(&mut self, _n: u64) {
        drain(&self.peer);
    }

    fn run(&mut self, n: u64) {
        let data = [7; SIZE];
        for _ in 0..n {
            self.socket.send_to(&data, &self.address);
        }
    }
}

/// receive of datagrams that are there.
pub(super) struct Receive<T> {
    socket: T,
    peer: UdpSocket,
}

impl<T: Transport> Receive<T> {
    pub(super) fn new() -> Self {
        let peer = peer();
        let socket = T::udp_to(peer.local_addr().unwrap(), Patience::None);
        peer.connect(socket.local_addr()).unwrap();
        Receive { socket, peer }
    }
}

impl<T: Transport> Contender for Receive<T> {
    fn prepare(&mut self, n: u64) {
        for _ in 0..n {
            self.peer.send(&[7; SIZE]).unwrap();
        }
    }

    fn run(&mut self, n: u64) {
        let mut buf = [0; 2 * SIZE];
        for _ in 0..n {
            assert!(self.socket.receive(&mut buf) == Some(SIZE));
        }
    }
}

/// receive when there is nothing, with timeout 0.
pub(super) struct ReceiveNothing<T> {
    socket: T,
    _peer: UdpSocket,
}

impl<T: Transport> ReceiveNothing<T> {
    pub(super) fn new() -> Self {
        let peer = peer();
        let socket = T::udp_to(peer.local_addr().unwrap(), Patience::None);
        ReceiveNothing {
            socket,
            _peer: peer,
        }
    }
}

impl<T: Transport> Contender for ReceiveNothing<T> {
    fn run(&mut self, n: u64) {
        let mut buf = [0; 2 * SIZE];
        for _ in 0..n {
            assert!(self.socket.receive(&mut buf).is_none());
        }
    }
}

/// receive_from of datagrams that are there.
pub(super) struct ReceiveFrom<T> {
    socket: T,
    peer: UdpSocket,
}

impl<T: Transport> ReceiveFrom<T> {
    pub(super) fn new() -> Self {
        let peer = peer();
        let (socket, local) = T::udp_bound(Patience::None);
        peer.connect(local).unwrap();
        ReceiveFrom { socket, peer }
    }
}

impl<T: Transport> Contender for ReceiveFrom<T> {
    fn prepare(&mut self, n: u64) {
        for _ in 0..n {
            self.peer.send(&[7; SIZE]).unwrap();
        }
    }

    fn run(&mut self, n: u64) {
        let mut buf = [0; 2 * SIZE];
        for _ in 0..n {
            self.socket.receive_from(&mut buf);
        }
    }
}
