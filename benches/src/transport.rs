//! What both contenders can do, so that the loops around it are the same.

use core::ffi::CStr;
use std::net::SocketAddr;

use anjay_net_vtable::Kind;

/// How long receives of a socket wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// A second: longer than anything here takes.
    Second,
    /// As long as those of a socket that was just made.
    Default,
}

/// A socket. Everything panics on errors.
pub trait Transport: Send + Sized + 'static {
    /// An address, prepared as far as a caller can prepare it.
    type Address: Send;

    /// Prepares an address.
    fn address(addr: SocketAddr) -> Self::Address;
    /// A socket without an address.
    fn open(kind: Kind, wait: Wait) -> Self;
    /// Binds to any port of the loopback address.
    fn bind(&self);
    /// Connects.
    fn connect(&self, to: &Self::Address);
    /// The end of the socket.
    fn close(self);
    /// Both ends of a TCP connection.
    fn tcp_pair() -> (Self, Self);
    /// Where the socket is bound.
    fn local_addr(&self) -> SocketAddr;

    /// Sends all of it.
    fn send(&self, data: &[u8]);
    /// Sends a datagram.
    fn send_to(&self, data: &[u8], to: &Self::Address);
    /// Receives a datagram, or what a stream has; `None` when nothing came.
    fn receive(&self, buf: &mut [u8]) -> Option<usize>;
    /// Receives a datagram and writes its sender's host and port as text.
    fn receive_from(&self, buf: &mut [u8]);
    /// A numeric address from text to an endpoint.
    fn resolve(host: &'static CStr, port: &'static CStr);

    /// A connected socket.
    fn to(kind: Kind, peer: SocketAddr, wait: Wait) -> Self {
        let socket = Self::open(kind, wait);
        socket.connect(&Self::address(peer));
        socket
    }

    /// A bound UDP socket.
    fn bound(wait: Wait) -> Self {
        let socket = Self::open(Kind::Udp, wait);
        socket.bind();
        socket
    }
}
