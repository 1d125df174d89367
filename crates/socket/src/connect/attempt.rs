//! One attempt to connect to one address.

use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anjay_net_resolve::{Family, unmap};
use socket2::SockRef;

use crate::error::{errno, is, is_any};
use crate::family::in_family;
use crate::fd_lock::FdGuard;
use crate::lookup::unknown_host;
use crate::pending::Operation;
use crate::socket::Socket;
use crate::sys::{self, Interest, PollFd, SockAddr};

/// How far an attempt got at once.
pub(crate) enum Attempt {
    /// A new descriptor is connected.
    Connected(OwnedFd),
    /// The descriptor that the socket was bound with is connected.
    BaseConnected,
    /// A TCP handshake is under way on this descriptor.
    InProgress(OwnedFd),
}

/// Begins to connect to one address, without waiting.
pub(crate) fn start(
    socket: &Socket,
    operation: &Operation<'_>,
    addr: SocketAddr,
) -> io::Result<Attempt> {
    match operation.base()? {
        Some((base, family)) => from_base(socket, base, family, addr),
        None => from_closed(socket, addr),
    }
    .map_err(|error| no_source_address(error, &addr))
}

fn from_closed(socket: &Socket, addr: SocketAddr) -> io::Result<Attempt> {
    let fd = socket.config.open(Family::of(&addr), socket.is_stream())?;
    if unmap(addr) != addr {
        SockRef::from(&fd).set_only_v6(false)?;
    }
    match sys::connect(fd.as_fd(), &SockAddr::from(&addr)) {
        Ok(()) => Ok(Attempt::Connected(fd)),
        // EINTR: the attempt goes on all the same (connect(2)).
        Err(error) if socket.is_stream() && is_any(&error, &[libc::EINPROGRESS, libc::EINTR]) => {
            // With a peer on this machine the handshake is over already.
            let mut fds = [PollFd::new(fd.as_fd(), Interest::Writable)];
            match sys::poll(&mut fds, Some(Duration::ZERO)) {
                Ok(1..) => finish(fd).map(Attempt::Connected),
                _ => Ok(Attempt::InProgress(fd)),
            }
        }
        Err(error) => Err(error),
    }
}

/// Connects a bound UDP socket: on its own descriptor, or, where that is of the
/// other family, on a new one with the same port.
fn from_base(
    socket: &Socket,
    base: FdGuard<'_>,
    family: Family,
    addr: SocketAddr,
) -> io::Result<Attempt> {
    let own_form = in_family(addr, family);
    if Family::of(&own_form) == family {
        sys::connect(base.as_fd(), &SockAddr::from(&own_form))?;
        if let Err(error) = refuse_self_connection(base.as_fd()) {
            sys::disconnect(base.as_fd())?;
            return Err(error);
        }
        return Ok(Attempt::BaseConnected);
    }
    let fd = socket.bind_in_other_family(base.as_fd())?;
    sys::connect(fd.as_fd(), &SockAddr::from(&addr))?;
    Ok(Attempt::Connected(fd))
}

/// The end of a TCP handshake on `fd`.
pub(crate) fn finish(fd: OwnedFd) -> io::Result<OwnedFd> {
    sys::take_error(fd.as_fd())?;
    refuse_self_connection(fd.as_fd())?;
    Ok(fd)
}

/// Where nobody listens, and the kernel picks the port of the peer as the source
/// (or the socket was bound to it), a socket connects to itself: TCP by a
/// simultaneous open (RFC 9293 section 3.5), UDP as always.
fn refuse_self_connection(fd: BorrowedFd<'_>) -> io::Result<()> {
    if sys::local_addr(fd)? == sys::remote_addr(fd)? {
        return Err(errno(libc::ECONNREFUSED));
    }
    Ok(())
}

/// With IPv6 switched off the kernel returns `EADDRNOTAVAIL`: it finds no
/// address to send from. Callers take that for an unknown name, and what is
/// missing is a route. Where it can't be told, the error stays.
#[cold]
fn no_source_address(error: io::Error, to: &SocketAddr) -> io::Error {
    let family = Family::of(&unmap(*to));
    let has_address = || {
        sys::interface_addrs().map_or(true, |mut addrs| {
            addrs.any(|entry| Family::of(&entry.addr) == family)
        })
    };
    if is(&error, libc::EADDRNOTAVAIL) && !has_address() {
        return errno(libc::ENETUNREACH);
    }
    error
}

/// `EADDRNOTAVAIL` for an address that the family options exclude.
pub(crate) fn check_family(socket: &Socket, addr: &SocketAddr) -> io::Result<()> {
    if socket.families.admit(Family::of(addr)) {
        Ok(())
    } else {
        Err(unknown_host())
    }
}
