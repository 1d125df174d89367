//! One attempt to connect to one address.

use core::time::Duration;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use anjay_net_resolve::{Family, same_endpoint, unmap};
use socket2::SockRef;

use crate::error::{errno, is, is_any};
use crate::family::in_family;
use crate::fd_lock::FdGuard;
use crate::pending::Operation;
use crate::reconnect::dissolve;
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
        Ok(()) => {
            if may_be_self(&addr) {
                refuse_self_connection(fd.as_fd(), &addr)?;
            }
            Ok(Attempt::Connected(fd))
        }
        // EINTR: the attempt goes on all the same (connect(2)).
        Err(error) if socket.is_stream() && is_any(&error, &[libc::EINPROGRESS, libc::EINTR]) => {
            // With a peer on this machine the handshake is over already.
            let mut fds = [PollFd::new(fd.as_fd(), Interest::Writable)];
            match sys::poll(&mut fds, Some(Duration::ZERO)) {
                Ok(1..) => finish(fd, &addr).map(Attempt::Connected),
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
        if let Err(error) = refuse_self_connection(base.as_fd(), &own_form) {
            dissolve(base.as_fd(), own_form.port())?;
            return Err(error);
        }
        return Ok(Attempt::BaseConnected);
    }
    let fd = socket.bind_in_other_family(base.as_fd())?;
    sys::connect(fd.as_fd(), &SockAddr::from(&addr))?;
    refuse_self_connection(fd.as_fd(), &addr)?;
    Ok(Attempt::Connected(fd))
}

/// The end of a TCP handshake on `fd`.
pub(crate) fn finish(fd: OwnedFd, peer: &SocketAddr) -> io::Result<OwnedFd> {
    sys::take_error(fd.as_fd())?;
    if let Err(error) = refuse_self_connection(fd.as_fd(), peer) {
        // Without TIME-WAIT, which would keep the port from the server.
        SockRef::from(&fd).set_linger(Some(Duration::ZERO))?;
        return Err(error);
    }
    Ok(fd)
}

/// `ECONNREFUSED` for a socket that is connected to itself: nobody listens, and
/// the kernel picked the peer's port as the source, or the socket was bound to it.
/// TCP does it by a simultaneous open (RFC 9293 section 3.5), UDP as always.
fn refuse_self_connection(fd: BorrowedFd<'_>, peer: &SocketAddr) -> io::Result<()> {
    if same_endpoint(&sys::local_addr(fd)?, peer) {
        return Err(errno(libc::ECONNREFUSED));
    }
    Ok(())
}

/// Whether it is worth a system call to find out if a UDP socket is connected to
/// itself: the peer is this host, and the kernel has few ports to choose from.
/// With its default range it picks the peer's once in 28,000 times.
fn may_be_self(peer: &SocketAddr) -> bool {
    const FEW: u16 = 1024;
    static RANGE: OnceLock<Option<(u16, u16)>> = OnceLock::new();
    let read = || {
        let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
        let mut ports = text.split_ascii_whitespace();
        Some((ports.next()?.parse().ok()?, ports.next()?.parse().ok()?))
    };
    unmap(*peer).ip().is_loopback()
        && RANGE.get_or_init(read).is_some_and(|(first, last)| {
            (first..=last).contains(&peer.port()) && last - first < FEW
        })
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
