//! What socket2 does not have.

use core::ffi::c_void;
use core::time::Duration;
use std::os::fd::{AsRawFd, BorrowedFd};

use anjay_net_resolve::Family;
use libc::{c_int, socklen_t};

use super::{InterfaceName, check};

use crate::error::Result;

/// What a UDP transfer reports of an ICMP error: icmp_err_convert of the kernel's
/// net/ipv4/icmp.c and icmpv6_err_convert of net/ipv6/icmp.c. Not `EMSGSIZE`,
/// which means that the path MTU is smaller and the peer is there.
pub(crate) const ICMP_ERRORS: &[i32] = &[
    libc::ECONNREFUSED,
    libc::EHOSTUNREACH,
    libc::ENETUNREACH,
    libc::EHOSTDOWN,
    libc::ENONET,
    libc::ENOPROTOOPT,
    libc::EOPNOTSUPP,
    libc::EACCES,
    libc::EPROTO,
];

/// `IP_MTU` (ip(7)) or `IPV6_MTU` (ipv6(7)): the path MTU of a connected socket,
/// in bytes, of the family that the packets really have.
pub(crate) fn path_mtu(fd: BorrowedFd<'_>, packets: Family) -> Result<c_int> {
    let (level, name) = match packets {
        Family::V4 => (libc::IPPROTO_IP, libc::IP_MTU),
        Family::V6 => (libc::IPPROTO_IPV6, libc::IPV6_MTU),
    };
    let mut value = [0; size_of::<c_int>()];
    option(fd, level, name, &mut value)?;
    Ok(c_int::from_ne_bytes(value))
}

/// `SO_BINDTODEVICE` (socket(7)): the interface that the socket is tied to, if it is
/// tied to one.
pub(crate) fn tie(fd: BorrowedFd<'_>) -> Result<Option<InterfaceName>> {
    let mut name = [0; libc::IF_NAMESIZE];
    option(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, &mut name)?;
    Ok(InterfaceName::from_padded(&name))
}

/// Whether the kernel has nothing of a stream's connection any more: after a reset, not
/// after the peer's FIN alone. `TCP_INFO` (tcp(7)) begins with the state.
pub(crate) fn is_closed(fd: BorrowedFd<'_>) -> bool {
    const TCP_CLOSE: u8 = 7;
    let mut state = [0];
    let asked = option(fd, libc::IPPROTO_TCP, libc::TCP_INFO, &mut state);
    asked.is_ok() && state == [TCP_CLOSE]
}

/// getsockopt(2): how many bytes of `value` it has set.
fn option(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: &mut [u8]) -> Result<usize> {
    let mut len = value.len() as socklen_t;
    let pointer: *mut c_void = value.as_mut_ptr().cast();
    // SAFETY: pointer and length describe the slice.
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, pointer, &mut len) } as isize)?;
    Ok(len as usize)
}

/// Bytes of the IP packets of a stream.
#[derive(Clone, Copy, Default)]
pub(crate) struct StreamBytes {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// `TCP_INFO` (tcp(7)): the bytes of all packets so far, sent
/// retransmissions included. `None` before Linux 4.19.
pub(crate) fn stream_bytes(fd: BorrowedFd<'_>, packets: Family) -> Option<StreamBytes> {
    // Places in `struct tcp_info` of linux/tcp.h, of which C libraries have less.
    const OPTIONS: usize = 5;
    const BYTES_RECEIVED: usize = 128;
    const SEGS_OUT: usize = 136;
    const SEGS_IN: usize = 140;
    const BYTES_SENT: usize = 200;
    const TIMESTAMPS: u8 = 1;
    let mut info = [0; BYTES_SENT + 8];
    if option(fd, libc::IPPROTO_TCP, libc::TCP_INFO, &mut info) != Ok(info.len()) {
        return None;
    }
    let bytes = |at: usize| Some(u64::from_ne_bytes(*info[at..].first_chunk()?));
    let packets_at = |at: usize| Some(u64::from(u32::from_ne_bytes(*info[at..].first_chunk()?)));
    let ip = match packets {
        Family::V4 => 20,
        Family::V6 => 40,
    };
    let headers = ip + 20 + 12 * u64::from(info[OPTIONS] & TIMESTAMPS);
    Some(StreamBytes {
        sent: bytes(BYTES_SENT)? + packets_at(SEGS_OUT)? * headers,
        received: bytes(BYTES_RECEIVED)? + packets_at(SEGS_IN)? * headers,
    })
}

/// `CLOCK_BOOTTIME` (clock_gettime(2)): the time since the system started, with
/// the time that it was suspended.
pub(crate) fn boot_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is a writable timespec.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time) };
    // Every Linux since 2.6.39 has the clock.
    debug_assert_eq!(result, 0);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
