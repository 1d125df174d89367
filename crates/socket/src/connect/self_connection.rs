//! Connections of a socket to itself.
//!
//! Where nobody listens, and the kernel picks the port of the peer as the source
//! (or the socket was bound to it), a socket connects to itself: TCP by a
//! simultaneous open (RFC 9293 section 3.5), UDP as always.

use core::time::Duration;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;

use anjay_net_resolve::{Source, same_endpoint, unmap};
use socket2::SockRef;

use crate::error::{Errno, Result};
use crate::family::is_wildcard;
use crate::lookup::source_of;
use crate::socket::Socket;
use crate::sys;

/// `ECONNREFUSED` if a bound datagram socket is about to be connected to itself.
/// Looked at before, as a port that the kernel chose is lost with a connection.
pub(crate) fn check_bound(socket: &Socket, fd: BorrowedFd<'_>, addr: &SocketAddr) -> Result<()> {
    if !socket.own_port.may_be(addr.port()) {
        return Ok(());
    }
    let (local, addr) = (unmap(sys::local_addr(fd)?), meant(addr));
    let is_same_ip = || match is_wildcard(&local) {
        true => source_of(&socket.config, &addr) == Source::Address(addr.ip()),
        false => local.ip() == addr.ip(),
    };
    if local.port() == addr.port() && is_same_ip() {
        return Err(Errno(libc::ECONNREFUSED));
    }
    Ok(())
}

/// `ECONNREFUSED` if a stream is connected to itself; closing it then leaves
/// nothing in the kernel that would occupy the port (TIME-WAIT).
pub(crate) fn check_stream(fd: BorrowedFd<'_>, addr: &SocketAddr) -> Result<()> {
    let checked = check(fd, addr);
    if checked.is_err() {
        let _ = SockRef::from(&fd).set_linger(Some(Duration::ZERO));
    }
    checked
}

/// `ECONNREFUSED` if a socket is connected to itself.
pub(crate) fn check(fd: BorrowedFd<'_>, addr: &SocketAddr) -> Result<()> {
    if same_endpoint(&sys::local_addr(fd)?, &meant(addr)) {
        return Err(Errno(libc::ECONNREFUSED));
    }
    Ok(())
}

/// 0.0.0.0 and :: are this host for connect(2).
fn meant(addr: &SocketAddr) -> SocketAddr {
    let mut addr = unmap(*addr);
    match &mut addr {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => v4.set_ip(Ipv4Addr::LOCALHOST),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => v6.set_ip(Ipv6Addr::LOCALHOST),
        _ => {}
    }
    addr
}
