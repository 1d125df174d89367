//! One attempt to connect to one address.

use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use anjay_net_resolve::{Family, unmap};

use super::self_connection;
use crate::error::{Errno, Result};
use crate::family::{in_family, is_wildcard};
use crate::fd_lock::FdGuard;
use crate::lookup::probe;
use crate::own_port::is_likely_choice;
use crate::pending::Operation;
use crate::reconnect::{dissolve, tie_again};
use crate::socket::Socket;
use crate::sys::{self, PollFd};

/// How far an attempt got at once.
pub(crate) enum Attempt {
    /// A new descriptor is connected, or the one that the socket was bound with.
    Connected(Option<OwnedFd>),
    /// A TCP handshake is under way on this descriptor.
    InProgress(OwnedFd),
}

/// Begins to connect to one address, without waiting.
pub(crate) fn start(operation: &Operation<'_>, addr: SocketAddr) -> Result<Attempt> {
    match operation.base()? {
        Some(base) => from_base(operation.socket, base, addr),
        None => from_closed(operation.socket, addr),
    }
    .map_err(|error| no_source_address(error, &addr))
}

fn from_closed(socket: &Socket, addr: SocketAddr) -> Result<Attempt> {
    let fd = socket.config.open_for(&addr, socket.is_stream())?;
    match sys::connect(fd.as_fd(), &addr) {
        // EINTR: the attempt goes on all the same (connect(2)).
        Ok(()) | Err(Errno(libc::EINPROGRESS | libc::EINTR)) => {}
        Err(error) => return Err(no_source_port(error, &addr)),
    }
    if socket.config.interface.is_some() && unmap(addr).is_ipv4() {
        require_source(&sys::local_addr(fd.as_fd())?)?;
    }
    if !socket.is_stream() {
        // With the usual thousands of ports to choose from, a socket that was not bound is
        // connected to itself so rarely, and that ends with the first answer that does not
        // come, that it is not looked for.
        if is_likely_choice(addr.port()) {
            self_connection::check(fd.as_fd(), &addr)?;
        }
        return Ok(Attempt::Connected(Some(fd)));
    }
    // With a peer on this machine the handshake is over already.
    let mut fds = [PollFd::new(fd.as_fd(), libc::POLLOUT)];
    let polled = sys::poll(&mut fds, Some(Duration::ZERO));
    let has_error = fds[0].has_error();
    match polled {
        Ok(1..) => finish(fd, &addr, has_error).map(|fd| Attempt::Connected(Some(fd))),
        _ => Ok(Attempt::InProgress(fd)),
    }
}

/// Connects a bound UDP socket: on its own descriptor, or, where that is of the
/// other family, on a new one with the same port.
fn from_base(socket: &Socket, base: FdGuard<'_>, addr: SocketAddr) -> Result<Attempt> {
    // Its interface may have been made again since it was bound.
    let _ = tie_again(socket, base.as_fd());
    if socket.config.interface.is_some() && unmap(addr).is_ipv4() {
        // Before it is connected, as the port would be lost with the connection.
        require_source(&probe(&socket.config, &unmap(addr))?)?;
    }
    self_connection::check_bound(socket, base.as_fd(), &addr)?;
    let family = base.flags().family();
    let own_form = in_family(addr, family);
    if Family::of(&own_form) == family {
        let connected = sys::connect(base.as_fd(), &own_form);
        // The kernel ties it to the scope of a link-local address first, unless a tie or
        // a link-local address of its own has done that.
        if let (Err(_), None, SocketAddr::V6(v6)) = (connected, socket.config.interface, own_form) {
            if v6.scope_id() != 0 && !socket.has_own_address.load(Relaxed) {
                let _ = dissolve(base.as_fd(), None);
            }
        }
        return connected.map(|()| Attempt::Connected(None));
    }
    let fd = socket.bind_in_other_family(base.as_fd())?;
    sys::connect(fd.as_fd(), &addr)?;
    Ok(Attempt::Connected(Some(fd)))
}

/// `ENETUNREACH` where the kernel sends from 0.0.0.0, which nobody answers: from a
/// socket that is tied to an interface without an IPv4 address, on a host that has
/// none. Over IPv4 it takes every address there for a neighbour.
fn require_source(source: &SocketAddr) -> Result<()> {
    if is_wildcard(source) {
        return Err(Errno(libc::ENETUNREACH));
    }
    Ok(())
}

/// The end of a TCP handshake on `fd`; `has_error` is what poll found.
pub(crate) fn finish(fd: OwnedFd, addr: &SocketAddr, has_error: bool) -> Result<OwnedFd> {
    if has_error {
        sys::take_error(fd.as_fd())?;
    }
    self_connection::check_stream(fd.as_fd(), addr)?;
    Ok(fd)
}

/// With IPv6 switched off the kernel returns `EADDRNOTAVAIL`: it finds no
/// address to send from. Callers take that for an unknown name, and what is
/// missing is a route. Where it can't be told, the error stays.
#[cold]
fn no_source_address(error: Errno, to: &SocketAddr) -> Errno {
    if error == Errno(libc::EADDRNOTAVAIL) && !has_address(to).unwrap_or(true) {
        return Errno(libc::ENETUNREACH);
    }
    error
}

/// All source ports are in use, or the only IPv6 addresses are still being
/// checked for duplicates (RFC 4862 section 5.4). That passes, so the
/// error is a temporary one: after `EADDRNOTAVAIL` callers give up the name, and
/// after `EAGAIN`, which datagram sockets get, the server.
#[cold]
fn no_source_port(error: Errno, to: &SocketAddr) -> Errno {
    let is_shortage = error == Errno(libc::EAGAIN)
        || (error == Errno(libc::EADDRNOTAVAIL) && has_address(to).unwrap_or(false));
    if is_shortage {
        return Errno(libc::ETIMEDOUT);
    }
    error
}

/// Whether this host has an address of the family.
fn has_address(to: &SocketAddr) -> Result<bool> {
    let family = Family::of(&unmap(*to));
    Ok(sys::interface_addrs()?.any(|entry| Family::of(&entry.addr) == family))
}
