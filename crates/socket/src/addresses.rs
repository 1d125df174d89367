//! The addresses of both ends, and the interface.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use anjay_net_resolve::{AddressText, unmap, write_ip, write_ip_scoped, write_port};

use crate::error::{Errno, Result};
use crate::route::outgoing_interface;
use crate::socket::Socket;
use crate::state::Given;
use crate::sys::{self, ENDPOINT_MAX, InterfaceName, SockAddr};

/// Receives a host, if it is known, and a port.
pub type ReadTexts<'a> = dyn FnMut(Option<&[u8]>, &[u8]) + 'a;

impl Socket {
    /// The local address, plain: a v4-mapped one as IPv4.
    ///
    /// # Errors
    /// `EBADF` closed, or what getsockname(2) returns.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        let addr = unmap(sys::local_addr(self.fd()?.as_fd())?);
        self.own_port.set(addr.port());
        Ok(addr)
    }

    /// The peer's address, plain: a v4-mapped one as IPv4. It can still be
    /// asked for after shutdown.
    ///
    /// # Errors
    /// `EBADF` closed, `ENOTCONN` without a peer.
    pub fn remote_addr(&self) -> Result<SocketAddr> {
        let inner = self.inner.lock();
        Ok(unmap(inner.state.require_peer(Errno(libc::ENOTCONN))?.addr))
    }

    /// Calls `read` with host and port of the peer as they were passed to connect,
    /// without a host that was longer than 255 bytes; for an accepted socket with
    /// its address and port.
    ///
    /// # Errors
    /// `EBADF` closed, `ENOBUFS` without a peer.
    pub fn with_remote_texts(&self, read: &mut ReadTexts<'_>) -> Result<()> {
        let inner = self.inner.lock();
        let peer = inner.state.require_peer(Errno(libc::ENOBUFS))?;
        match &peer.given {
            Some(Given { host, port }) => read(host.as_deref(), port),
            None => {
                let (host, port) = (address_text(&peer.addr), write_port(peer.addr.port()));
                read(Some(host.as_bytes()), port.as_bytes());
            }
        }
        Ok(())
    }

    /// The interface the socket is tied to, else the one that owns its local
    /// address. Where several own it, the one by which packets to the peer leave.
    ///
    /// # Errors
    /// `EBADF` closed and not tied to one; `ENODEV` when no interface has the
    /// address, as is so for the wildcard; what getifaddrs(3) returns.
    #[inline(never)]
    pub fn interface_name(&self) -> Result<InterfaceName> {
        if let Some(interface) = self.config.interface {
            return Ok(interface);
        }
        let local = self.local_addr()?;
        let (mut owner, mut is_shared) = (None, false);
        for entry in sys::interface_addrs()? {
            if owns(&entry.addr, &local) {
                is_shared |= owner.is_some();
                owner = owner.or(entry.name);
            }
        }
        if is_shared {
            let peer = self.remote_addr();
            let index = peer.and_then(|peer| outgoing_interface(&local, &peer));
            owner = index.ok().and_then(sys::interface_name).or(owner);
        }
        owner.ok_or(Errno(libc::ENODEV))
    }
}

/// The interface that owns a local address.
///
/// # Errors
/// `ENODEV` when no interface has the address, as is so for the wildcard; what
/// getifaddrs(3) says.
pub fn interface_of(local: &SocketAddr) -> Result<InterfaceName> {
    sys::interface_addrs()?
        .find(|entry| owns(&entry.addr, local))
        .and_then(|owner| owner.name)
        .ok_or(Errno(libc::ENODEV))
}

/// The address as text, plain: a v4-mapped one as IPv4, a link-local one with
/// the name of its interface, or its number when that is gone.
///
/// ```
/// use anjay_net_socket::address_text;
///
/// let addr = "[::ffff:192.0.2.1]:5683".parse().unwrap();
/// assert_eq!(&*address_text(&addr), "192.0.2.1");
/// ```
#[inline(never)]
pub fn address_text(addr: &SocketAddr) -> AddressText {
    match addr {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => scoped_text(addr, v6.scope_id()),
        _ => write_ip(addr),
    }
}

#[cold]
fn scoped_text(addr: &SocketAddr, scope: u32) -> AddressText {
    write_ip_scoped(addr, sys::interface_name(scope).as_deref())
}

/// Whether an interface's address is this local address.
fn owns(interface: &SocketAddr, local: &SocketAddr) -> bool {
    match (interface, local) {
        (SocketAddr::V6(interface), SocketAddr::V6(local)) => {
            // Only link-local addresses exist on several interfaces, and only
            // they have a scope on both sides.
            interface.ip() == local.ip()
                && (local.scope_id() == 0 || interface.scope_id() == local.scope_id())
        }
        _ => interface.ip() == local.ip(),
    }
}

/// Writes `addr` as a `sockaddr_in` or `sockaddr_in6`, then zeros, and returns how
/// many bytes the address took.
///
/// ```
/// use anjay_net_socket::{ENDPOINT_MAX, decode_endpoint, encode_endpoint};
///
/// let addr = "[fe80::1%2]:5683".parse().unwrap();
/// let mut bytes = [0; ENDPOINT_MAX];
/// let len = encode_endpoint(&addr, &mut bytes);
/// assert_eq!(decode_endpoint(&bytes[..len]), Some(addr));
/// ```
pub fn encode_endpoint(addr: &SocketAddr, out: &mut [u8; ENDPOINT_MAX]) -> usize {
    let raw = SockAddr::from(addr);
    *out = *raw.as_padded();
    raw.len() as usize
}

/// Reads the bytes of a `sockaddr`, of any alignment; `None` when they are no
/// complete IPv4 or IPv6 address.
pub fn decode_endpoint(bytes: &[u8]) -> Option<SocketAddr> {
    SockAddr::from_bytes(bytes).decode()
}
