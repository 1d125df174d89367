//! macOS and FreeBSD. This module is type-checked, and no program of it has run:
//! what is said here of the two kernels is what is known of them, unconfirmed.
//! What a system can't do fails with `ENOTSUP` when it is asked for.

use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};

use anjay_net_resolve::Family;
use libc::c_int;

use super::{
    PollFd, SockAddr, adopt, check, errno, int_option, interface_addrs, raw, set_int_option,
};

/// Never a wait, and never a signal; macOS has an option for that,
/// `SO_NOSIGPIPE`.
#[cfg(target_os = "freebsd")]
pub(crate) const SEND_FLAGS: c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
#[cfg(target_os = "macos")]
pub(crate) const SEND_FLAGS: c_int = libc::MSG_DONTWAIT;

/// What a UDP receive says of an ICMP error: `inetctlerrmap` of the kernels.
pub(crate) const ICMP: &[i32] = &[
    libc::ECONNREFUSED,
    libc::EHOSTUNREACH,
    libc::ENETUNREACH,
    libc::EHOSTDOWN,
    libc::ENOPROTOOPT,
];

/// Those that a send says of an ICMP error only.
pub(crate) const ICMP_OF_SEND: &[i32] = &[libc::ECONNREFUSED, libc::EHOSTDOWN, libc::ENOPROTOOPT];

/// FreeBSD's shutdown(2) says `ENOTCONN` of such sockets and yet wakes who waits;
/// that of macOS does nothing else.
pub(crate) const SHUTDOWN_WAKES_UNCONNECTED: bool = cfg!(target_os = "freebsd");

/// soreceive_dgram() of the kernels has nothing, and no error, after
/// shutdown(2).
pub(crate) const SHUT_DATAGRAMS_READ_AS_END: bool = true;

/// How late `SO_RCVTIMEO` may be here is not known.
pub(crate) const MAY_DWELL: bool = false;

/// IPv6 sockets refuse `IP_TOS`.
pub(crate) const V6_SOCKETS_HAVE_V4_CLASS: bool = false;

/// poll(2), in whole milliseconds, which are rounded up: macOS has no ppoll(2),
/// and to round down would be to look again and again in the last one. So a wait
/// may end late by one.
pub(crate) fn poll(fds: &mut [PollFd], timeout: Option<Duration>) -> io::Result<usize> {
    let millis = match timeout {
        None => -1,
        Some(timeout) => {
            c_int::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX)
        }
    };
    // SAFETY: `PollFd` is a transparent pollfd and the slice is writable.
    check(
        unsafe { libc::poll(fds.as_mut_ptr().cast(), fds.len() as libc::nfds_t, millis) } as isize,
    )
}

/// socket(2), close-on-exec and non-blocking from the start.
#[cfg(target_os = "freebsd")]
pub(crate) fn socket(domain: c_int, kind: c_int, protocol: c_int) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no memory is passed.
    let fd = check(unsafe { libc::socket(domain, kind | flags, protocol) } as isize)?;
    Ok(adopt(fd as RawFd))
}

/// socket(2), then close-on-exec and non-blocking. A program that another thread
/// starts in between inherits it.
#[cfg(target_os = "macos")]
pub(crate) fn socket(domain: c_int, kind: c_int, protocol: c_int) -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let fd = adopt(check(unsafe { libc::socket(domain, kind, protocol) } as isize)? as RawFd);
    tame_socket(fd)
}

/// accept4(2), close-on-exec and non-blocking.
#[cfg(target_os = "freebsd")]
pub(crate) fn accept(fd: RawFd) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    let mut addr = SockAddr::empty();
    let (pointer, mut len) = addr.as_out();
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: pointer and length describe writable memory.
    let accepted = check(unsafe { libc::accept4(fd, pointer.cast(), &mut len, flags) } as isize)?;
    addr.set_len(len);
    Ok((adopt(accepted as RawFd), addr.decode()))
}

/// accept(2), then close-on-exec and non-blocking, as in [`socket`].
#[cfg(target_os = "macos")]
pub(crate) fn accept(fd: RawFd) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    let mut addr = SockAddr::empty();
    let (pointer, mut len) = addr.as_out();
    // SAFETY: pointer and length describe writable memory.
    let accepted = check(unsafe { libc::accept(fd, pointer.cast(), &mut len) } as isize)?;
    addr.set_len(len);
    Ok((tame_socket(adopt(accepted as RawFd))?, addr.decode()))
}

#[cfg(target_os = "macos")]
fn tame_socket(fd: OwnedFd) -> io::Result<OwnedFd> {
    let fd = tame(fd)?;
    set_int_option(raw(&fd), libc::SOL_SOCKET, libc::SO_NOSIGPIPE, 1)?;
    Ok(fd)
}

/// Close-on-exec and non-blocking.
#[cfg(target_os = "macos")]
fn tame(fd: OwnedFd) -> io::Result<OwnedFd> {
    close_on_exec(raw(&fd))?;
    super::set_blocking(raw(&fd), false)?;
    Ok(fd)
}

#[cfg(target_os = "macos")]
fn close_on_exec(fd: RawFd) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } as isize).map(drop)
}

/// dup3(2): `number` stands for what is behind `fd` from now on, close-on-exec.
#[cfg(target_os = "freebsd")]
pub(crate) fn replace(number: RawFd, fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: no memory is passed, and the number is ours (the contract of
    // this module).
    check(unsafe { libc::dup3(raw(fd), number, libc::O_CLOEXEC) } as isize).map(drop)
}

/// dup2(2): `number` stands for what is behind `fd` from now on; then
/// close-on-exec.
#[cfg(target_os = "macos")]
pub(crate) fn replace(number: RawFd, fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: no memory is passed, and the number is ours (the contract of
    // this module).
    check(unsafe { libc::dup2(raw(fd), number) } as isize)?;
    close_on_exec(number)
}

/// Not known: neither system tells the path MTU of an IPv4 socket.
pub(crate) fn path_mtu(_fd: RawFd, _packets: Family) -> io::Result<c_int> {
    Err(errno(libc::ENOTSUP))
}

/// Never asked for, as nothing dwells here.
pub(crate) fn filter_nothing(_fd: RawFd) -> io::Result<()> {
    Err(errno(libc::ENOTSUP))
}

/// Neither system has such priorities.
pub(crate) fn set_priority(_fd: RawFd, _priority: u8) -> io::Result<()> {
    Err(errno(libc::ENOTSUP))
}

/// `IP_BINDANY` or `IPV6_BINDANY`.
#[cfg(target_os = "freebsd")]
pub(crate) fn set_transparent(fd: RawFd, family: Family) -> io::Result<()> {
    match family {
        Family::V4 => set_int_option(fd, libc::IPPROTO_IP, libc::IP_BINDANY, 1),
        Family::V6 => set_int_option(fd, libc::IPPROTO_IPV6, libc::IPV6_BINDANY, 1),
    }
}

/// macOS has nothing like it.
#[cfg(target_os = "macos")]
pub(crate) fn set_transparent(_fd: RawFd, _family: Family) -> io::Result<()> {
    Err(errno(libc::ENOTSUP))
}

/// FreeBSD ties a socket to addresses only.
#[cfg(target_os = "freebsd")]
pub(crate) fn bind_device(_fd: &OwnedFd, _family: Family, _interface: &str) -> io::Result<()> {
    Err(errno(libc::ENOTSUP))
}

/// `IP_BOUND_IF` or `IPV6_BOUND_IF`.
#[cfg(target_os = "macos")]
pub(crate) fn bind_device(fd: &OwnedFd, family: Family, interface: &str) -> io::Result<()> {
    let index = super::interface_index(interface)
        .and_then(|index| c_int::try_from(index).ok())
        .ok_or_else(|| errno(libc::ENODEV))?;
    match family {
        Family::V4 => set_int_option(raw(fd), libc::IPPROTO_IP, libc::IP_BOUND_IF, index),
        Family::V6 => set_int_option(raw(fd), libc::IPPROTO_IPV6, libc::IPV6_BOUND_IF, index),
    }
}

/// `IP_TOS`, of an IPv4 socket.
pub(crate) fn v4_traffic_class(fd: RawFd) -> io::Result<c_int> {
    int_option(fd, libc::IPPROTO_IP, libc::IP_TOS)
}

/// `IP_TOS`, of an IPv4 socket.
pub(crate) fn set_v4_traffic_class(fd: RawFd, class: c_int) -> io::Result<()> {
    set_int_option(fd, libc::IPPROTO_IP, libc::IP_TOS, class)
}

/// `IPV6_TCLASS`; -1, the system's own choice, counts as 0.
pub(crate) fn v6_traffic_class(fd: RawFd) -> io::Result<c_int> {
    int_option(fd, libc::IPPROTO_IPV6, libc::IPV6_TCLASS).map(|class| class.max(0))
}

/// `IPV6_TCLASS`.
pub(crate) fn set_v6_traffic_class(fd: RawFd, class: c_int) -> io::Result<()> {
    set_int_option(fd, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, class)
}

/// A descriptor that another thread makes readable: pipe(2).
#[derive(Debug)]
pub(crate) struct Notifier {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Notifier {
    pub(crate) fn new() -> io::Result<Notifier> {
        let (reader, writer) = pipe()?;
        Ok(Notifier { reader, writer })
    }

    pub(crate) fn fd(&self) -> RawFd {
        raw(&self.reader)
    }

    /// Makes it readable, and so ends every wait for it.
    pub(crate) fn notify(&self) {
        // SAFETY: one readable byte.
        let write = || check(unsafe { libc::write(raw(&self.writer), [1u8].as_ptr().cast(), 1) });
        // Else it fails only when the pipe is full, and then it is readable
        // already.
        while write().is_err_and(|error| super::is(&error, libc::EINTR)) {}
    }

    /// Makes it unreadable again.
    pub(crate) fn clear(&self) {
        let mut bytes = [0u8; 64];
        loop {
            // SAFETY: that many writable bytes.
            let read =
                check(unsafe { libc::read(self.fd(), bytes.as_mut_ptr().cast(), bytes.len()) });
            match read {
                Ok(1..) => {}
                Err(error) if super::is(&error, libc::EINTR) => {}
                // Empty.
                _ => return,
            }
        }
    }
}

/// pipe2(2), close-on-exec and non-blocking: what is read, and what is written.
#[cfg(target_os = "freebsd")]
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: room for two descriptors.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } as isize)?;
    Ok((adopt(ends[0]), adopt(ends[1])))
}

/// pipe(2), then close-on-exec and non-blocking: what is read, and what is
/// written.
#[cfg(target_os = "macos")]
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: room for two descriptors.
    check(unsafe { libc::pipe(ends.as_mut_ptr()) } as isize)?;
    let (reader, writer) = (adopt(ends[0]), adopt(ends[1]));
    Ok((tame(reader)?, tame(writer)?))
}
