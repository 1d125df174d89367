//! What the kernel knows of a descriptor.

use std::ffi::{c_int, c_void};
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use socket2::{Domain, SockRef, Type};

use crate::c::Kind;

/// An option of a socket that is a C `int`.
pub(crate) fn int_option(fd: c_int, level: c_int, name: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut len = size_of::<c_int>() as libc::socklen_t;
    let out: *mut c_void = (&raw mut value).cast();
    // SAFETY: room for an int, and `len` says so.
    match unsafe { libc::getsockopt(fd, level, name, out, &mut len) } {
        0 => Ok(value),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The interface that a socket is tied to; empty for none.
pub(crate) fn device(fd: c_int) -> io::Result<Vec<u8>> {
    let mut name = [0u8; libc::IF_NAMESIZE];
    let mut len = size_of_val(&name) as libc::socklen_t;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_BINDTODEVICE);
    // SAFETY: room for a name, and `len` says so.
    match unsafe { libc::getsockopt(fd, level, option, name.as_mut_ptr().cast(), &mut len) } {
        0 => Ok(name.into_iter().take_while(|&byte| byte != 0).collect()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `AF_INET` or `AF_INET6`.
pub(crate) fn family(fd: c_int) -> c_int {
    int_option(fd, libc::SOL_SOCKET, libc::SO_DOMAIN).expect("every socket has a family")
}

/// Whether the socket is ready for one of `events` within so many milliseconds.
pub(crate) fn poll(fd: c_int, events: i16, milliseconds: c_int) -> i16 {
    // SAFETY: all zero bytes are a valid entry.
    let mut entry: libc::pollfd = unsafe { mem::zeroed() };
    entry.fd = fd;
    entry.events = events;
    // SAFETY: one entry.
    unsafe { libc::poll(&mut entry, 1, milliseconds) };
    entry.revents
}

/// A descriptor that somebody else owns.
fn borrowed(fd: &c_int) -> BorrowedFd<'_> {
    // SAFETY: open, as the caller has just been told so by the library.
    unsafe { BorrowedFd::borrow_raw(*fd) }
}

/// getsockname(2).
pub(crate) fn local_addr(fd: c_int) -> io::Result<SocketAddr> {
    let addr = SockRef::from(&borrowed(&fd)).local_addr()?;
    addr.as_socket().ok_or(io::ErrorKind::Unsupported.into())
}

/// getpeername(2).
pub(crate) fn peer_addr(fd: c_int) -> io::Result<SocketAddr> {
    let addr = SockRef::from(&borrowed(&fd)).peer_addr()?;
    addr.as_socket().ok_or(io::ErrorKind::Unsupported.into())
}

/// How many bytes of a stream can be read.
pub(crate) fn readable_bytes(fd: c_int) -> u64 {
    let mut count: c_int = 0;
    // SAFETY: FIONREAD writes an int.
    unsafe { libc::ioctl(fd, libc::FIONREAD, &raw mut count) };
    u64::try_from(count).unwrap_or(0)
}

/// Whether a socket that is not the library's gets an address.
pub(crate) fn can_bind(kind: Kind, addr: SocketAddr, reuse: bool) -> bool {
    let kind = match kind {
        Kind::Tcp => Type::STREAM,
        Kind::Udp => Type::DGRAM,
    };
    let socket = socket2::Socket::new(Domain::for_address(addr), kind, None);
    socket.is_ok_and(|socket| {
        socket.set_reuse_address(reuse).is_ok() && socket.bind(&addr.into()).is_ok()
    })
}
