//! Who is at which end.

use std::io;
use std::net::SocketAddr;

use anjay_net_resolve::text::Text;
use anjay_net_resolve::{unmap, write_ip, write_port};

use crate::socket::Socket;
use crate::state::{Given, State};
use crate::sys;

impl Socket {
    /// The local address, plain: a v4-mapped one as IPv4.
    ///
    /// # Errors
    /// `EBADF` closed, or what getsockname(2) says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.raw_local_addr().map(unmap)
    }

    /// The peer's address, plain: a v4-mapped one as IPv4. It can still be
    /// asked for after shutdown.
    ///
    /// # Errors
    /// `EBADF` closed, `ENOTCONN` without a peer.
    pub fn remote_addr(&self) -> io::Result<SocketAddr> {
        let inner = self.inner.lock();
        match (inner.state.peer(), inner.state.held()) {
            (Some(peer), _) => Ok(unmap(peer.addr)),
            (None, Some(_)) => Err(sys::errno(libc::ENOTCONN)),
            (None, None) => Err(sys::errno(libc::EBADF)),
        }
    }

    /// The peer's host as it was given to connect; for an accepted socket its
    /// address.
    ///
    /// # Errors
    /// `EBADF` closed; `ENOBUFS` without a peer, or when the host was longer
    /// than 255 bytes.
    pub fn with_remote_hostname<T>(&self, read: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        self.with_given(|text| text.host.as_bytes(), write_ip, read)
    }

    /// The peer's port as it was given to connect; for an accepted socket its
    /// number.
    ///
    /// # Errors
    /// As [`Socket::with_remote_hostname`].
    pub fn with_remote_port<T>(&self, read: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        self.with_given(
            |text| text.port.as_bytes(),
            |addr| write_port(addr.port()),
            read,
        )
    }

    fn with_given<T, const N: usize>(
        &self,
        part: impl FnOnce(&crate::state::GivenText) -> &[u8],
        numeric: impl FnOnce(&SocketAddr) -> Text<N>,
        read: impl FnOnce(&[u8]) -> T,
    ) -> io::Result<T> {
        let inner = self.inner.lock();
        let peer = match (inner.state.peer(), &inner.state) {
            (Some(peer), _) => peer,
            (None, State::Closed) => return Err(sys::errno(libc::EBADF)),
            (None, state) if state.held().is_none() => return Err(sys::errno(libc::EBADF)),
            (None, _) => return Err(sys::errno(libc::ENOBUFS)),
        };
        Ok(match &peer.given {
            Given::Numeric => read(numeric(&unmap(peer.addr)).as_bytes()),
            Given::Text(text) => read(part(text)),
        })
    }

    /// The interface the socket is tied to, else the one that owns its local
    /// address.
    ///
    /// # Errors
    /// `EBADF` closed and not tied to one; `ENODEV` when no interface has the
    /// address, as is so for the wildcard; what getifaddrs(3) says.
    pub fn interface_name(&self) -> io::Result<Box<str>> {
        if let Some(interface) = &self.config.interface {
            return Ok(interface.clone());
        }
        let local = self.local_addr()?;
        let owner = sys::interface_addrs()?
            .into_iter()
            .find(|entry| owns(&entry.addr, &local))
            .ok_or_else(|| sys::errno(libc::ENODEV))?;
        let name: Vec<u8> = owner
            .name
            .into_iter()
            .take_while(|&byte| byte != 0)
            .collect();
        String::from_utf8(name)
            .map(String::into_boxed_str)
            .map_err(|_odd_name| sys::errno(libc::ENODEV))
    }
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
