//! The system calls: one function each, nothing decided here.
//!
//! This is the only module of the crate with unsafe code. Functions take a raw
//! descriptor that the caller holds a [`Pass`](crate::gate::Pass) for or owns;
//! an error is the call's errno.

mod addr;
#[cfg(any(target_os = "macos", target_os = "freebsd"))]
mod bsd;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
pub(crate) mod memory;

use core::mem::{self, MaybeUninit};
use core::ptr;
use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use anjay_net_resolve::Family;
use libc::{c_int, c_void, socklen_t};
use socket2::SockRef;

use crate::transfer::Received;

pub(crate) use addr::SockAddr;
// The module of this system; each has all of what is used below.
#[cfg(any(target_os = "macos", target_os = "freebsd"))]
use bsd as system;
#[cfg(any(target_os = "linux", target_os = "android"))]
use linux as system;
pub use system::with_signals_blocked;
pub(crate) use system::{
    ICMP, ICMP_OF_SEND, MAY_DWELL, Notifier, SHUTDOWN_WAKES_UNCONNECTED, V6_SOCKETS_HAVE_V4_CLASS,
    accept, bind_device, filter_nothing, path_mtu, poll, replace, set_priority, set_transparent,
    set_v4_traffic_class, set_v6_traffic_class, v4_traffic_class, v6_traffic_class,
};
use system::{SEND_FLAGS, SHUT_DATAGRAMS_READ_AS_END};

/// An errno as an error.
#[inline]
pub(crate) fn errno(code: c_int) -> io::Error {
    io::Error::from_raw_os_error(code)
}

/// Whether `error` is errno `code`.
#[inline]
pub(crate) fn is(error: &io::Error, code: c_int) -> bool {
    error.raw_os_error() == Some(code)
}

/// Why a call failed. Transfers keep it as a number, as most of the time it
/// only says to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) c_int);

impl Errno {
    #[inline]
    fn last() -> Errno {
        let error = io::Error::last_os_error();
        let errno = Errno(error.raw_os_error().unwrap_or(0));
        // A number owns nothing, but drop would look whether it does.
        mem::forget(error);
        errno
    }
}

impl From<Errno> for io::Error {
    #[inline]
    fn from(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.0)
    }
}

/// The result of a transfer that returns -1 on error.
#[inline]
fn transferred(result: isize) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::last())
}

/// The result of a call that returns -1 on error.
#[inline]
fn check(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// socket(2), close-on-exec and non-blocking from the start.
#[inline]
pub(crate) fn socket(family: Family, stream: bool) -> io::Result<OwnedFd> {
    let domain = match family {
        Family::V4 => libc::AF_INET,
        Family::V6 => libc::AF_INET6,
    };
    let (kind, protocol) = if stream {
        (libc::SOCK_STREAM, libc::IPPROTO_TCP)
    } else {
        (libc::SOCK_DGRAM, libc::IPPROTO_UDP)
    };
    system::socket(domain, kind, protocol)
}

/// connect(2).
#[inline]
pub(crate) fn connect(fd: RawFd, addr: &SockAddr) -> io::Result<()> {
    // SAFETY: the pointer and length describe an initialised sockaddr.
    check(unsafe { libc::connect(fd, addr.as_ptr(), addr.len()) } as isize).map(drop)
}

/// bind(2).
pub(crate) fn bind(fd: RawFd, addr: &SockAddr) -> io::Result<()> {
    // SAFETY: the pointer and length describe an initialised sockaddr.
    check(unsafe { libc::bind(fd, addr.as_ptr(), addr.len()) } as isize).map(drop)
}

/// send(2).
#[inline]
pub(crate) fn send(fd: RawFd, buf: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the buffer is readable for its length.
    transferred(unsafe { libc::send(fd, buf.as_ptr().cast(), buf.len(), SEND_FLAGS) })
}

/// sendto(2).
#[inline]
pub(crate) fn send_to(fd: RawFd, buf: &[u8], to: &SockAddr) -> Result<usize, Errno> {
    // SAFETY: the buffer is readable for its length; pointer and length of the
    // address describe an initialised sockaddr.
    transferred(unsafe {
        libc::sendto(
            fd,
            buf.as_ptr().cast(),
            buf.len(),
            SEND_FLAGS,
            to.as_ptr(),
            to.len(),
        )
    })
}

/// How a receive meets an empty queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfEmpty {
    /// `EAGAIN`, whatever the mode of the descriptor.
    Fail,
    /// As the descriptor's mode says, see [`set_blocking`].
    Dwell,
}

impl IfEmpty {
    #[inline]
    fn flag(self) -> c_int {
        match self {
            IfEmpty::Fail => libc::MSG_DONTWAIT,
            IfEmpty::Dwell => 0,
        }
    }
}

/// recv(2) on a stream: how many bytes came, 0 at its end.
#[inline]
pub(crate) fn receive_stream(
    fd: RawFd,
    buf: &mut [MaybeUninit<u8>],
    if_empty: IfEmpty,
) -> Result<usize, Errno> {
    // SAFETY: the buffer is writable for its length.
    transferred(unsafe { libc::recv(fd, buf.as_mut_ptr().cast(), buf.len(), if_empty.flag()) })
}

/// recvmsg(2) of one datagram.
#[inline]
pub(crate) fn receive_datagram(fd: RawFd, buf: &mut [MaybeUninit<u8>]) -> Result<Received, Errno> {
    if SHUT_DATAGRAMS_READ_AS_END {
        // Only a sender tells an empty datagram from no datagram.
        return receive_datagram_from(fd, buf, IfEmpty::Fail).map(|(received, _from)| received);
    }
    receive_message(fd, buf, None, libc::MSG_DONTWAIT)
}

/// [`receive_datagram`] with the sender's address.
#[inline]
pub(crate) fn receive_datagram_from(
    fd: RawFd,
    buf: &mut [MaybeUninit<u8>],
    if_empty: IfEmpty,
) -> Result<(Received, Option<SocketAddr>), Errno> {
    let mut from = SockAddr::empty();
    let received = receive_message(fd, buf, Some(&mut from), if_empty.flag())?;
    if SHUT_DATAGRAMS_READ_AS_END && from.len() == 0 {
        return Err(Errno(libc::EAGAIN));
    }
    Ok((received, from.decode()))
}

/// Who sent the datagram that is first in the queue; it stays there.
pub(crate) fn peek_sender(fd: RawFd) -> io::Result<Option<SocketAddr>> {
    let mut from = SockAddr::empty();
    receive_message(
        fd,
        &mut [],
        Some(&mut from),
        libc::MSG_PEEK | libc::MSG_DONTWAIT,
    )?;
    Ok(from.decode())
}

/// recvmsg(2); `MSG_TRUNC` tells a datagram that was cut from one that fits
/// exactly.
#[inline(always)]
fn receive_message(
    fd: RawFd,
    buf: &mut [MaybeUninit<u8>],
    mut from: Option<&mut SockAddr>,
    flags: c_int,
) -> Result<Received, Errno> {
    let mut iov = libc::iovec {
        iov_base: buf.as_mut_ptr().cast(),
        iov_len: buf.len(),
    };
    // SAFETY: all zero bytes are a valid msghdr (some C libraries have private
    // padding in it, so it can't be written as a literal).
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &mut iov;
    message.msg_iovlen = 1;
    if let Some(from) = &mut from {
        (message.msg_name, message.msg_namelen) = from.as_out();
    }
    // SAFETY: the message points at a writable buffer and, where asked for, a
    // writable sockaddr, each with its length.
    let len = transferred(unsafe { libc::recvmsg(fd, &mut message, flags) })?;
    if let Some(from) = from {
        from.set_len(message.msg_namelen);
    }
    Ok(Received {
        len,
        truncated: message.msg_flags & libc::MSG_TRUNC != 0,
    })
}

/// shutdown(2) of both directions. Also wakes who waits for the descriptor, but
/// see [`SHUTDOWN_WAKES_UNCONNECTED`].
pub(crate) fn shutdown(fd: RawFd) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::shutdown(fd, libc::SHUT_RDWR) } as isize).map(drop)
}

/// getsockname(2).
pub(crate) fn local_addr(fd: RawFd) -> io::Result<SocketAddr> {
    let mut addr = SockAddr::empty();
    let (pointer, mut len) = addr.as_out();
    // SAFETY: pointer and length describe writable memory.
    check(unsafe { libc::getsockname(fd, pointer.cast(), &mut len) } as isize)?;
    addr.set_len(len);
    addr.decode().ok_or_else(|| errno(libc::EAFNOSUPPORT))
}

/// getpeername(2).
pub(crate) fn remote_addr(fd: RawFd) -> io::Result<SocketAddr> {
    let mut addr = SockAddr::empty();
    let (pointer, mut len) = addr.as_out();
    // SAFETY: pointer and length describe writable memory.
    check(unsafe { libc::getpeername(fd, pointer.cast(), &mut len) } as isize)?;
    addr.set_len(len);
    addr.decode().ok_or_else(|| errno(libc::EAFNOSUPPORT))
}

/// Another descriptor of the same open socket, close-on-exec.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    borrow(fd).try_clone_to_owned()
}

fn borrow<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: the callers' contract of this module: the descriptor stays open
    // for the call, and it is not -1.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// An owned descriptor, for the options that socket2 knows.
pub(crate) fn sock_ref(fd: &OwnedFd) -> SockRef<'_> {
    SockRef::from(fd)
}

/// Gives up ownership: the number alone now stands for the descriptor.
pub(crate) fn disown(fd: OwnedFd) -> RawFd {
    fd.into_raw_fd()
}

/// Takes ownership back from the number.
pub(crate) fn adopt(fd: RawFd) -> OwnedFd {
    // SAFETY: the gate calls this exactly once for each number that `disown`
    // gave it, and this module with what a system call has just made.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// getsockopt(2) of an `int`.
fn int_option(fd: RawFd, level: c_int, name: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut len = size_of::<c_int>() as socklen_t;
    let pointer: *mut c_void = (&raw mut value).cast();
    // SAFETY: pointer and length describe the `int`.
    check(unsafe { libc::getsockopt(fd, level, name, pointer, &mut len) } as isize)?;
    Ok(value)
}

/// setsockopt(2) of an `int`.
fn set_int_option(fd: RawFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: pointer and length describe the `int`.
    check(unsafe {
        libc::setsockopt(
            fd,
            level,
            name,
            (&raw const value).cast::<c_void>(),
            size_of::<c_int>() as socklen_t,
        )
    } as isize)
    .map(drop)
}

/// `SO_REUSEADDR`, of a descriptor that may be in use.
pub(crate) fn set_reuse_addr(fd: RawFd, reuse: bool) -> io::Result<()> {
    set_int_option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, reuse.into())
}

/// `SO_RCVTIMEO`: how long a receive on a blocking descriptor waits at least;
/// `None` for ever.
pub(crate) fn set_receive_timeout(fd: RawFd, timeout: Option<Duration>) -> io::Result<()> {
    SockRef::from(&borrow(fd)).set_read_timeout(timeout)
}

/// `FIONBIO` (ioctl(2)): one system call, where fcntl(2) takes two.
pub(crate) fn set_blocking(fd: RawFd, blocking: bool) -> io::Result<()> {
    let mut non_blocking = c_int::from(!blocking);
    // SAFETY: the pointer is a readable int.
    check(unsafe { libc::ioctl(fd, libc::FIONBIO, &raw mut non_blocking) } as isize).map(drop)
}

/// The pending error of a socket, which getsockopt(2) clears.
pub(crate) fn take_error(fd: RawFd) -> io::Result<()> {
    match int_option(fd, libc::SOL_SOCKET, libc::SO_ERROR)? {
        0 => Ok(()),
        code => Err(errno(code)),
    }
}

/// if_nametoindex(3); `None` for an interface that does not exist.
pub(crate) fn interface_index(name: &str) -> Option<u32> {
    let mut text = [0u8; libc::IF_NAMESIZE];
    let bytes = name.as_bytes();
    // One byte of the buffer is the terminator's.
    text[..libc::IF_NAMESIZE - 1]
        .get_mut(..bytes.len())?
        .copy_from_slice(bytes);
    // SAFETY: the text is NUL-terminated.
    match unsafe { libc::if_nametoindex(text.as_ptr().cast()) } {
        0 => None,
        index => Some(index),
    }
}

/// if_indextoname(3); `None` for an interface that does not exist.
pub(crate) fn interface_name(index: u32) -> Option<[u8; libc::IF_NAMESIZE]> {
    let mut name = [0u8; libc::IF_NAMESIZE];
    // SAFETY: the buffer has the size that the call wants.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    (!found.is_null()).then_some(name)
}

/// One address of one interface.
pub(crate) struct InterfaceAddr {
    /// Name, without the NUL.
    pub(crate) name: [u8; libc::IF_NAMESIZE],
    /// Its address; the port is 0.
    pub(crate) addr: SocketAddr,
}

impl InterfaceAddr {
    /// `None` when the interface is down, or it is no IP address.
    ///
    /// # Safety
    /// An entry of getifaddrs(3), not freed yet.
    unsafe fn read(entry: &libc::ifaddrs) -> Option<InterfaceAddr> {
        if entry.ifa_addr.is_null() || entry.ifa_flags & libc::IFF_UP as u32 == 0 {
            return None;
        }
        // SAFETY: the address is not NULL and is as long as its family says.
        let addr = unsafe { SockAddr::read(entry.ifa_addr) }?;
        // SAFETY: the name is a NUL-terminated text.
        let label = unsafe { core::ffi::CStr::from_ptr(entry.ifa_name) }.to_bytes();
        // An IPv4 address may be labelled "eth0:1" (ip-address(8)); no
        // interface has a colon in its name.
        let text = label.split(|&byte| byte == b':').next().unwrap_or(label);
        let mut name = [0; libc::IF_NAMESIZE];
        name[..libc::IF_NAMESIZE - 1]
            .get_mut(..text.len())?
            .copy_from_slice(text);
        Some(InterfaceAddr { name, addr })
    }
}

/// getifaddrs(3): the IP addresses of all interfaces that are up.
pub(crate) struct InterfaceAddrs {
    first: *mut libc::ifaddrs,
    next: *mut libc::ifaddrs,
}

pub(crate) fn interface_addrs() -> io::Result<InterfaceAddrs> {
    let mut first: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: the out pointer is writable.
    check(unsafe { libc::getifaddrs(&mut first) } as isize)?;
    Ok(InterfaceAddrs { first, next: first })
}

impl Iterator for InterfaceAddrs {
    type Item = InterfaceAddr;

    fn next(&mut self) -> Option<InterfaceAddr> {
        loop {
            // SAFETY: every entry is valid until freeifaddrs; the list ends
            // with NULL.
            let entry = unsafe { self.next.as_ref() }?;
            self.next = entry.ifa_next;
            // SAFETY: as above, and so is what the entry points at.
            if let Some(addr) = unsafe { InterfaceAddr::read(entry) } {
                return Some(addr);
            }
        }
    }
}

impl Drop for InterfaceAddrs {
    fn drop(&mut self) {
        // SAFETY: made by getifaddrs, freed once, not used any more.
        unsafe { libc::freeifaddrs(self.first) };
    }
}

/// What [`poll`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Something to read, or the end of it.
    Readable,
    /// Room to write, or an attempt to connect that ended.
    Writable,
    /// Only errors and hang-up, which are always waited for.
    HangUp,
}

/// One descriptor that [`poll`] waits for.
#[repr(transparent)]
pub(crate) struct PollFd(libc::pollfd);

impl PollFd {
    pub(crate) fn new(fd: RawFd, interest: Interest) -> PollFd {
        PollFd(libc::pollfd {
            fd,
            events: match interest {
                Interest::Readable => libc::POLLIN,
                Interest::Writable => libc::POLLOUT,
                Interest::HangUp => 0,
            },
            revents: 0,
        })
    }

    /// Waits for a notification; for nothing at all where there is no notifier,
    /// as poll(2) ignores negative numbers.
    pub(crate) fn of_notifier(notifier: Option<&Notifier>) -> PollFd {
        PollFd::new(notifier.map_or(-1, Notifier::fd), Interest::Readable)
    }

    /// Whether the last [`poll`] found both directions shut down.
    pub(crate) fn is_hung_up(&self) -> bool {
        self.0.revents & libc::POLLHUP != 0
    }

    /// Whether the last [`poll`] reported anything for it.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.revents != 0
    }
}

/// The number of an owned descriptor.
#[inline]
pub(crate) fn raw(fd: &OwnedFd) -> RawFd {
    fd.as_raw_fd()
}

/// Initialised memory for calls that do not need it to be.
#[inline]
pub(crate) fn as_uninit(buf: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: same layout, and this crate writes only initialised bytes into
    // such a slice: the kernel does.
    unsafe { &mut *(ptr::from_mut(buf) as *mut [MaybeUninit<u8>]) }
}

#[cfg(test)]
pub(crate) fn is_blocking(fd: RawFd) -> bool {
    !SockRef::from(&borrow(fd)).nonblocking().unwrap()
}
