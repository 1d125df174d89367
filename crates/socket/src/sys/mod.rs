//! The system calls: one function each, nothing decided here.
//!
//! This is the only module of the crate with unsafe code. A descriptor is
//! borrowed from its owner or from an [`FdGuard`](crate::fd_lock::FdGuard), so
//! it stays open for the call; an error is the call's errno.

mod addr;
mod descriptor;
mod error_text;
mod getaddrinfo;
mod interfaces;
mod linux;
mod memory;
mod poll;
mod thread;
mod waker;

use core::ffi::CStr;
use core::mem::{self, MaybeUninit};
use core::ptr;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use anjay_net_resolve::Family;
use libc::{c_int, sockaddr, socklen_t};

use crate::error::{Errno, Result};

pub use addr::ENDPOINT_MAX;
pub(crate) use addr::SockAddr;
pub(crate) use getaddrinfo::getaddrinfo;
pub use interfaces::InterfaceName;
pub(crate) use interfaces::{interface_addrs, interface_index, interface_name};
pub(crate) use linux::{
    ICMP_ERRORS, StreamBytes, boot_time, is_closed, path_mtu, stream_bytes, tie,
};
pub use memory::try_box;
pub(crate) use poll::{PollFd, poll};
pub use thread::{Thread, is_only_thread, spawn};
pub(crate) use waker::Waker;

/// Never a signal: `SIGPIPE` would end a program that did not expect it.
/// Never a wait: waiting has one place, [`poll`], even when the caller made the
/// descriptor blocking.
const SEND_FLAGS: c_int = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;

/// The errno of the last system call of this thread.
#[inline]
fn last_errno() -> Errno {
    // SAFETY: the pointer is that of the thread's own errno, which is always there.
    Errno(unsafe { *libc::__errno_location() })
}

/// The result of a call that returns -1 on error.
#[inline(always)]
fn check(result: isize) -> Result<usize> {
    usize::try_from(result).map_err(|_| last_errno())
}

/// open(2): a file for reading. [`File::open`] has error texts that add 4 kB to a program.
///
/// # Errors
/// Those of open(2).
pub(crate) fn open(path: &CStr) -> io::Result<File> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the path is NUL-terminated.
    let open = || check(unsafe { libc::open(path.as_ptr(), flags) } as isize);
    let mut fd = open();
    while fd == Err(Errno(libc::EINTR)) {
        fd = open();
    }
    // SAFETY: open(2) has just returned this descriptor, and only to us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd? as i32) }.into())
}

/// socket(2), close-on-exec and non-blocking from the start.
#[inline]
pub(crate) fn socket(family: Family, stream: bool) -> Result<OwnedFd> {
    let domain = match family {
        Family::V4 => libc::AF_INET,
        Family::V6 => libc::AF_INET6,
    };
    let (kind, protocol) = if stream {
        (libc::SOCK_STREAM, libc::IPPROTO_TCP)
    } else {
        (libc::SOCK_DGRAM, libc::IPPROTO_UDP)
    };
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no memory is passed.
    let fd = check(unsafe { libc::socket(domain, kind | flags, protocol) } as isize)?;
    // SAFETY: socket(2) has just returned this descriptor, and only to us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as c_int) })
}

/// accept4(2), close-on-exec and non-blocking.
pub(crate) fn accept(fd: BorrowedFd<'_>) -> Result<(OwnedFd, SocketAddr)> {
    let mut addr = SockAddr::empty();
    let (pointer, mut len) = addr.as_out();
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: `as_out` returned a writable sockaddr and its length.
    let accepted =
        check(unsafe { libc::accept4(fd.as_raw_fd(), pointer.cast(), &mut len, flags) } as isize)?;
    addr.set_len(len);
    // SAFETY: accept4(2) has just returned this descriptor, and only to us.
    let accepted = unsafe { OwnedFd::from_raw_fd(accepted as c_int) };
    Ok((accepted, addr.decode().ok_or(Errno(libc::EAFNOSUPPORT))?))
}

/// connect(2).
pub(crate) fn connect(fd: BorrowedFd<'_>, addr: &SocketAddr) -> Result<()> {
    connect_raw(fd, &SockAddr::from(addr))
}

/// connect(2) to `AF_UNSPEC`, which dissolves the association of a datagram socket.
pub(crate) fn disconnect(fd: BorrowedFd<'_>) -> Result<()> {
    connect_raw(fd, &SockAddr::unspecified())
}

fn connect_raw(fd: BorrowedFd<'_>, addr: &SockAddr) -> Result<()> {
    // SAFETY: pointer and length describe an initialised sockaddr.
    check(unsafe { libc::connect(fd.as_raw_fd(), addr.as_ptr(), addr.len()) } as isize).map(drop)
}

/// bind(2).
pub(crate) fn bind(fd: BorrowedFd<'_>, addr: &SocketAddr) -> Result<()> {
    let addr = SockAddr::from(addr);
    // SAFETY: pointer and length describe an initialised sockaddr.
    check(unsafe { libc::bind(fd.as_raw_fd(), addr.as_ptr(), addr.len()) } as isize).map(drop)
}

/// send(2).
#[inline(always)]
pub(crate) fn send(fd: BorrowedFd<'_>, buf: &[u8]) -> Result<usize> {
    // SAFETY: the slice is readable for its length.
    check(unsafe { libc::send(fd.as_raw_fd(), buf.as_ptr().cast(), buf.len(), SEND_FLAGS) })
}

/// sendto(2).
#[inline]
pub(crate) fn send_to(fd: BorrowedFd<'_>, buf: &[u8], to: &SockAddr) -> Result<usize> {
    // SAFETY: the slice is readable for its length; pointer and length of the
    // address describe an initialised sockaddr.
    check(unsafe {
        libc::sendto(
            fd.as_raw_fd(),
            buf.as_ptr().cast(),
            buf.len(),
            SEND_FLAGS,
            to.as_ptr(),
            to.len(),
        )
    })
}

/// recv(2) on a stream: how many bytes came, 0 at its end.
#[inline]
pub(crate) fn receive_stream(fd: BorrowedFd<'_>, buf: &mut [MaybeUninit<u8>]) -> Result<usize> {
    // SAFETY: the slice is writable for its length.
    check(unsafe {
        libc::recv(
            fd.as_raw_fd(),
            buf.as_mut_ptr().cast(),
            buf.len(),
            libc::MSG_DONTWAIT,
        )
    })
}

/// A datagram that recvmsg(2) has put into a buffer.
#[derive(Clone, Copy)]
pub(crate) struct Datagram {
    /// Bytes in the buffer.
    pub(crate) len: usize,
    /// Bytes that were sent.
    pub(crate) full: usize,
}

/// recvmsg(2) of one datagram; `from` becomes its sender.
#[inline]
pub(crate) fn receive_datagram(
    fd: BorrowedFd<'_>,
    buf: &mut [MaybeUninit<u8>],
    from: &mut SockAddr,
) -> Result<Datagram> {
    // The kernel returns the length of the datagram, not of what fits.
    receive_message(fd, buf, from, libc::MSG_DONTWAIT | libc::MSG_TRUNC)
}

/// The sender of the datagram that is first in the queue, where it stays.
pub(crate) fn peek_sender(fd: BorrowedFd<'_>) -> Result<SocketAddr> {
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    let mut from = SockAddr::empty();
    receive_message(fd, &mut [], &mut from, flags)?;
    from.decode().ok_or(Errno(libc::EAFNOSUPPORT))
}

#[inline(always)]
fn receive_message(
    fd: BorrowedFd<'_>,
    buf: &mut [MaybeUninit<u8>],
    from: &mut SockAddr,
    flags: c_int,
) -> Result<Datagram> {
    let mut iov = libc::iovec {
        iov_base: buf.as_mut_ptr().cast(),
        iov_len: buf.len(),
    };
    // SAFETY: all zero bytes are a valid msghdr (some C libraries have private
    // padding in it, so it can't be written as a literal).
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &mut iov;
    message.msg_iovlen = 1;
    (message.msg_name, message.msg_namelen) = from.as_out();
    // SAFETY: the message points at a writable buffer and a writable sockaddr,
    // each with its length, which live longer than the call.
    let full = check(unsafe { libc::recvmsg(fd.as_raw_fd(), &mut message, flags) })?;
    from.set_len(message.msg_namelen);
    let len = full.min(buf.len());
    Ok(Datagram { len, full })
}

/// shutdown(2) of both directions. On Linux it also wakes the calls that wait
/// for an unconnected UDP socket or for a listener.
pub(crate) fn shutdown(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_RDWR) } as isize).map(drop)
}

/// getsockname(2).
pub(crate) fn local_addr(fd: BorrowedFd<'_>) -> Result<SocketAddr> {
    // SAFETY: getsockname(2) stores an address as `address` requires.
    unsafe { address(fd, libc::getsockname) }
}

/// getpeername(2).
pub(crate) fn remote_addr(fd: BorrowedFd<'_>) -> Result<SocketAddr> {
    // SAFETY: getpeername(2) stores an address as `address` requires.
    unsafe { address(fd, libc::getpeername) }
}

/// # Safety
/// `of` stores an address of at most the length that it finds at its last argument, and
/// its length there.
unsafe fn address(
    fd: BorrowedFd<'_>,
    of: unsafe extern "C" fn(c_int, *mut sockaddr, *mut socklen_t) -> c_int,
) -> Result<SocketAddr> {
    let mut addr = SockAddr::empty();
    let (pointer, mut len) = addr.as_out();
    // SAFETY: `as_out` returned a writable sockaddr and its length.
    check(unsafe { of(fd.as_raw_fd(), pointer.cast(), &mut len) } as isize)?;
    addr.set_len(len);
    addr.decode().ok_or(Errno(libc::EAFNOSUPPORT))
}

/// `SO_ERROR`: the pending error of a socket, which reading it clears.
pub(crate) fn take_error(fd: BorrowedFd<'_>) -> Result<()> {
    let pending = socket2::SockRef::from(&fd).take_error()?;
    pending.map_or(Ok(()), |error| Err(error.into()))
}

/// Initialised memory for calls that do not need it to be.
#[inline]
pub(crate) fn as_uninit(buf: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: same layout, and only the kernel writes through the slice, which
    // leaves every byte initialised.
    unsafe { &mut *(ptr::from_mut(buf) as *mut [MaybeUninit<u8>]) }
}
