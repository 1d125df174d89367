//! Socket addresses in the kernel's form.

use core::{mem, slice};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use anjay_net_resolve::Family;
use libc::{c_void, sa_family_t, sockaddr, sockaddr_in, sockaddr_in6, socklen_t};

/// The longest encoded endpoint, in bytes (`sockaddr_in6`).
pub const ENDPOINT_MAX: usize = 28;

/// A `sockaddr_in` or `sockaddr_in6` and its length.
#[derive(Clone, Copy)]
pub(crate) struct SockAddr {
    storage: Storage,
    len: socklen_t,
}

#[repr(C)]
#[derive(Clone, Copy)]
union Storage {
    v4: sockaddr_in,
    v6: sockaddr_in6,
}

impl SockAddr {
    /// Room for an address that a system call writes.
    #[inline]
    pub(crate) fn empty() -> SockAddr {
        SockAddr {
            // SAFETY: all zero bytes are a valid sockaddr of either kind.
            storage: unsafe { mem::zeroed() },
            len: 0,
        }
    }

    /// No address: `AF_UNSPEC`.
    pub(crate) fn unspecified() -> SockAddr {
        let mut raw = SockAddr::empty();
        raw.len = size_of::<sockaddr_in>() as socklen_t;
        raw
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *const sockaddr {
        (&raw const self.storage).cast()
    }

    #[inline]
    pub(crate) fn len(&self) -> socklen_t {
        self.len
    }

    /// Where a system call may write, and how much.
    #[inline]
    pub(super) fn as_out(&mut self) -> (*mut c_void, socklen_t) {
        (
            (&raw mut self.storage).cast(),
            size_of::<Storage>() as socklen_t,
        )
    }

    /// How much the system call had to say; may be more than there was room.
    #[inline]
    pub(super) fn set_len(&mut self, len: socklen_t) {
        self.len = len;
    }

    /// The address, if it is of a family that is known here and complete.
    #[inline]
    pub(crate) fn decode(&self) -> Option<SocketAddr> {
        // SAFETY: the storage is initialised and both members begin with the
        // family.
        let family = unsafe { self.storage.v4.sin_family };
        let len = self.len as usize;
        if family == libc::AF_INET as sa_family_t && len >= size_of::<sockaddr_in>() {
            // SAFETY: the storage is initialised, any bytes are a sockaddr_in.
            let v4 = unsafe { &self.storage.v4 };
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            Some((ip, u16::from_be(v4.sin_port)).into())
        } else if family == libc::AF_INET6 as sa_family_t && len >= size_of::<sockaddr_in6>() {
            // SAFETY: the storage is initialised, any bytes are a sockaddr_in6.
            let v6 = unsafe { &self.storage.v6 };
            let (ip, port) = (v6.sin6_addr.s6_addr.into(), u16::from_be(v6.sin6_port));
            Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
        } else {
            None
        }
    }

    /// The family of the packets: IPv4 for a v4-mapped address.
    #[inline(always)]
    pub(crate) fn packets(&self) -> Family {
        // SAFETY: the storage is initialised, any bytes are a sockaddr_in6, and
        // both members begin with the family.
        let v6 = unsafe { &self.storage.v6 };
        let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
        if v6.sin6_family == libc::AF_INET6 as sa_family_t && ip.to_ipv4_mapped().is_none() {
            Family::V6
        } else {
            Family::V4
        }
    }

    /// All bytes; those that do not count are zero in an address that was not
    /// made by a system call.
    #[inline]
    pub(crate) fn as_padded(&self) -> &[u8; ENDPOINT_MAX] {
        const { assert!(size_of::<Storage>() == ENDPOINT_MAX) }
        // SAFETY: the storage is initialised (it starts zeroed, members
        // without padding are written) and that long.
        unsafe { &*(&raw const self.storage).cast() }
    }

    /// Reads an address from bytes of any origin and alignment.
    pub(crate) fn from_bytes(bytes: &[u8]) -> SockAddr {
        let mut addr = SockAddr::empty();
        let len = bytes.len().min(size_of::<Storage>());
        // SAFETY: source and target are valid for `len` bytes and distinct.
        unsafe {
            core::ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                (&raw mut addr.storage).cast::<u8>(),
                len,
            );
        }
        addr.len = len as socklen_t;
        addr
    }

    /// Reads an address that is as long as its family says; `None` for a
    /// family that is not known here.
    ///
    /// # Safety
    /// `pointer` is a valid sockaddr, complete for its family.
    pub(super) unsafe fn read(pointer: *const sockaddr) -> Option<SocketAddr> {
        // SAFETY: the pointer is a valid sockaddr, which begins with the family.
        let len = match i32::from(unsafe { (*pointer).sa_family }) {
            libc::AF_INET => size_of::<sockaddr_in>(),
            libc::AF_INET6 => size_of::<sockaddr_in6>(),
            _ => return None,
        };
        // SAFETY: complete for its family, so that long.
        SockAddr::from_bytes(unsafe { slice::from_raw_parts(pointer.cast(), len) }).decode()
    }
}

impl From<&SocketAddr> for SockAddr {
    #[inline]
    fn from(addr: &SocketAddr) -> SockAddr {
        let mut raw = SockAddr::empty();
        match addr {
            SocketAddr::V4(addr) => {
                raw.storage.v4.sin_family = libc::AF_INET as sa_family_t;
                raw.storage.v4.sin_port = addr.port().to_be();
                // The octets are in network order in memory.
                raw.storage.v4.sin_addr.s_addr = u32::from_ne_bytes(addr.ip().octets());
                raw.len = size_of::<sockaddr_in>() as socklen_t;
            }
            SocketAddr::V6(addr) => {
                raw.storage.v6.sin6_family = libc::AF_INET6 as sa_family_t;
                raw.storage.v6.sin6_port = addr.port().to_be();
                raw.storage.v6.sin6_addr.s6_addr = addr.ip().octets();
                raw.storage.v6.sin6_flowinfo = addr.flowinfo();
                raw.storage.v6.sin6_scope_id = addr.scope_id();
                raw.len = size_of::<sockaddr_in6>() as socklen_t;
            }
        }
        raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_survives_the_round_trip() {
        for text in ["192.0.2.1:5683", "[2001:db8::1]:65535", "[fe80::1%7]:1"] {
            let addr: SocketAddr = text.parse().unwrap();
            let raw = SockAddr::from(&addr);
            assert_eq!(raw.decode(), Some(addr));
            assert_eq!(SockAddr::from_bytes(raw.as_padded()).decode(), Some(addr));
        }
    }

    #[test]
    fn bytes_of_any_kind_are_no_address() {
        let whole = SockAddr::from(&"[::1]:1".parse().unwrap());
        let bytes = whole.as_padded();
        for cut in 0..bytes.len() {
            assert_eq!(SockAddr::from_bytes(&bytes[..cut]).decode(), None);
        }
        assert_eq!(SockAddr::from_bytes(&[0xff; 128]).decode(), None);
        assert_eq!(SockAddr::empty().decode(), None);
    }
}
