//! What only Linux has, or has under names of its own.

use core::mem::MaybeUninit;
use core::ptr;
use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};

use anjay_net_resolve::Family;
use libc::c_int;
use socket2::{SockFilter, SockRef};

use super::{PollFd, SockAddr, adopt, borrow, check, int_option, raw, set_int_option, sock_ref};

/// Never a signal: `SIGPIPE` would end a program that did not expect it.
/// Never a wait: waiting has one place, [`poll`], even when somebody made the
/// descriptor blocking behind our back.
pub(crate) const SEND_FLAGS: c_int = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;

/// What a UDP receive says of an ICMP error: icmp_err_convert of the kernel's
/// net/ipv4/icmp.c and icmpv6_err_convert of net/ipv6/icmp.c. Not `EMSGSIZE`,
/// as then the peer is there.
pub(crate) const ICMP: &[i32] = &[
    libc::ECONNREFUSED,
    libc::EHOSTUNREACH,
    libc::ENETUNREACH,
    libc::EHOSTDOWN,
    libc::ENONET,
    libc::ENOPROTOOPT,
    libc::EACCES,
    libc::EPROTO,
];

/// Those of [`ICMP`] that a send says of an ICMP error only. The others it says
/// as well where this machine has no way out, for which no peer is to blame.
pub(crate) const ICMP_OF_SEND: &[i32] = &[
    libc::ECONNREFUSED,
    libc::EHOSTDOWN,
    libc::ENONET,
    libc::ENOPROTOOPT,
    libc::EPROTO,
];

/// shutdown(2) also wakes who waits for a UDP socket that is not connected, or
/// for a listener.
pub(crate) const SHUTDOWN_WAKES_UNCONNECTED: bool = true;

/// After shutdown(2) an empty queue of datagrams still says `EAGAIN`.
pub(crate) const SHUT_DATAGRAMS_READ_AS_END: bool = false;

/// It is known how late `SO_RCVTIMEO` may be.
pub(crate) const MAY_DWELL: bool = true;

/// IPv6 sockets have `IP_TOS` too, for their v4-mapped traffic.
pub(crate) const V6_SOCKETS_HAVE_V4_CLASS: bool = true;

/// poll(2) or ppoll(2): how many descriptors are ready, 0 when the time is up
/// or nearly. `None` waits for ever.
///
/// poll(2) counts whole milliseconds, which are rounded down here so that no
/// wait ends late; ppoll(2), for what is less than one, also tells how much of
/// it was left, which costs.
pub(crate) fn poll(fds: &mut [PollFd], timeout: Option<Duration>) -> io::Result<usize> {
    let millis = match timeout {
        None => -1,
        Some(Duration::ZERO) => 0,
        Some(timeout) if timeout < Duration::from_millis(1) => return poll_finely(fds, timeout),
        Some(timeout) => c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX),
    };
    // SAFETY: `PollFd` is a transparent pollfd and the slice is writable.
    check(
        unsafe { libc::poll(fds.as_mut_ptr().cast(), fds.len() as libc::nfds_t, millis) } as isize,
    )
}

fn poll_finely(fds: &mut [PollFd], timeout: Duration) -> io::Result<usize> {
    let timeout = timespec(timeout);
    // SAFETY: `PollFd` is a transparent pollfd and the slice is writable; the
    // time is a valid timespec; a NULL signal mask changes nothing.
    check(unsafe {
        libc::ppoll(
            fds.as_mut_ptr().cast(),
            fds.len() as libc::nfds_t,
            &timeout,
            ptr::null(),
        )
    } as isize)
}

/// Saturates: no wait is longer than 68 years.
fn timespec(duration: Duration) -> libc::timespec {
    // A 32-bit `time_t` is what limits the seconds; `as _` because the type of
    // `tv_nsec` differs between targets and always holds a billion.
    #[allow(clippy::cast_possible_truncation)]
    libc::timespec {
        tv_sec: duration.as_secs().min(i32::MAX as u64) as _,
        tv_nsec: duration.subsec_nanos() as _,
    }
}

/// socket(2), close-on-exec and non-blocking from the start.
#[inline]
pub(crate) fn socket(domain: c_int, kind: c_int, protocol: c_int) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no memory is passed.
    let fd = check(unsafe { libc::socket(domain, kind | flags, protocol) } as isize)?;
    Ok(adopt(fd as RawFd))
}

/// accept4(2), close-on-exec and non-blocking.
pub(crate) fn accept(fd: RawFd) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    let mut addr = SockAddr::empty();
    let (pointer, mut len) = addr.as_out();
    // SAFETY: pointer and length describe writable memory.
    let accepted = check(unsafe {
        libc::accept4(
            fd,
            pointer.cast(),
            &mut len,
            libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
        )
    } as isize)?;
    addr.set_len(len);
    Ok((adopt(accepted as RawFd), addr.decode()))
}

/// dup3(2): `number` stands for what is behind `fd` from now on, close-on-exec.
/// What it stood for before is closed; there is no moment in between in which
/// the number is free.
pub(crate) fn replace(number: RawFd, fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: no memory is passed, and the number is ours (the contract of
    // this module).
    check(unsafe { libc::dup3(raw(fd), number, libc::O_CLOEXEC) } as isize).map(drop)
}

/// The path MTU of a connected socket, in bytes: `IP_MTU` or `IPV6_MTU` of
/// the family that the packets really have.
pub(crate) fn path_mtu(fd: RawFd, packets: Family) -> io::Result<c_int> {
    match packets {
        Family::V4 => int_option(fd, libc::IPPROTO_IP, libc::IP_MTU),
        Family::V6 => int_option(fd, libc::IPPROTO_IPV6, libc::IPV6_MTU),
    }
}

/// `SO_PRIORITY`.
pub(crate) fn set_priority(fd: RawFd, priority: u8) -> io::Result<()> {
    set_int_option(fd, libc::SOL_SOCKET, libc::SO_PRIORITY, priority.into())
}

/// `SO_BINDTODEVICE`.
pub(crate) fn bind_device(fd: &OwnedFd, _family: Family, interface: &str) -> io::Result<()> {
    sock_ref(fd).bind_device(Some(interface.as_bytes()))
}

/// `IP_TRANSPARENT` or `IPV6_TRANSPARENT`.
pub(crate) fn set_transparent(fd: RawFd, family: Family) -> io::Result<()> {
    match family {
        Family::V4 => set_int_option(fd, libc::IPPROTO_IP, libc::IP_TRANSPARENT, 1),
        Family::V6 => set_int_option(fd, libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT, 1),
    }
}

/// `IP_TOS`.
pub(crate) fn v4_traffic_class(fd: RawFd) -> io::Result<c_int> {
    int_option(fd, libc::IPPROTO_IP, libc::IP_TOS)
}

/// `IP_TOS`; works on an IPv6 socket too, for its v4-mapped traffic.
pub(crate) fn set_v4_traffic_class(fd: RawFd, class: c_int) -> io::Result<()> {
    set_int_option(fd, libc::IPPROTO_IP, libc::IP_TOS, class)
}

/// `IPV6_TCLASS`.
pub(crate) fn v6_traffic_class(fd: RawFd) -> io::Result<c_int> {
    int_option(fd, libc::IPPROTO_IPV6, libc::IPV6_TCLASS)
}

/// `IPV6_TCLASS`.
pub(crate) fn set_v6_traffic_class(fd: RawFd, class: c_int) -> io::Result<()> {
    set_int_option(fd, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, class)
}

/// Runs `start` with every signal blocked that may be blocked. A thread that it
/// starts inherits the mask (pthread_create(3)) and so never takes a signal
/// that was meant for the program's own threads (signal(7)). May be called from
/// any thread.
pub fn with_signals_blocked<T>(start: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are writable; sigfillset initialises the one that
    // pthread_sigmask reads, and pthread_sigmask the one that it stores.
    let blocked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) == 0
    };
    let _restore = blocked.then(|| RestoreSignals(before));
    start()
}

/// Puts the signal mask back, after a panic as well.
struct RestoreSignals(MaybeUninit<libc::sigset_t>);

impl Drop for RestoreSignals {
    fn drop(&mut self) {
        // SAFETY: initialised by pthread_sigmask when it succeeded, without
        // which this is not made; a NULL old set is not written.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, self.0.as_ptr(), ptr::null_mut()) };
    }
}

/// `SO_ATTACH_FILTER` of a program that takes every datagram, whole.
pub(crate) fn filter_nothing(fd: RawFd) -> io::Result<()> {
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let all = [SockFilter::new(RETURN, 0, 0, u32::MAX)];
    SockRef::from(&borrow(fd)).attach_filter(&all)
}

/// A descriptor that another thread makes readable: eventfd(2).
#[derive(Debug)]
pub(crate) struct Notifier(OwnedFd);

impl Notifier {
    pub(crate) fn new() -> io::Result<Notifier> {
        // SAFETY: no memory is passed.
        let fd =
            check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) } as isize)?;
        Ok(Notifier(adopt(fd as RawFd)))
    }

    pub(crate) fn fd(&self) -> RawFd {
        raw(&self.0)
    }

    /// Makes it readable, and so ends every wait for it.
    pub(crate) fn notify(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight readable bytes.
        let write = || check(unsafe { libc::write(self.fd(), one.as_ptr().cast(), one.len()) });
        // Else it fails only when the counter is full, and then it is readable
        // already.
        while write().is_err_and(|error| super::is(&error, libc::EINTR)) {}
    }

    /// Makes it unreadable again.
    pub(crate) fn clear(&self) {
        let mut count = [0u8; 8];
        // SAFETY: eight writable bytes. It fails only when it was clear.
        unsafe { libc::read(self.fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}
