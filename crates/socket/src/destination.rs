//! Addresses to connect to, with as much as the compiler knows of them.

use std::net::{SocketAddr, SocketAddrV4};

use anjay_net_resolve::{Family, unmap};

use crate::sys::SockAddr;

/// Any address, or one of which it is known that it is IPv4: half of the
/// instructions of a connect are about the other kind.
pub(crate) trait Destination: Copy + Into<SocketAddr> {
    fn family(self) -> Family;
    /// In the kernel's form.
    fn raw(self) -> SockAddr;
    fn is_v4_mapped(self) -> bool;
    /// 0.0.0.0 or ::, which the kernel takes for this host.
    fn is_unspecified(self) -> bool;
    /// What was reached by it, as callers are told.
    fn reached(addr: SocketAddr) -> Self;
}

impl Destination for SocketAddr {
    fn family(self) -> Family {
        Family::of(&self)
    }

    fn raw(self) -> SockAddr {
        SockAddr::from(&self)
    }

    fn is_v4_mapped(self) -> bool {
        matches!(self, SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some())
    }

    fn is_unspecified(self) -> bool {
        unmap(self).ip().is_unspecified()
    }

    fn reached(addr: SocketAddr) -> SocketAddr {
        unmap(addr)
    }
}

impl Destination for SocketAddrV4 {
    #[inline]
    fn family(self) -> Family {
        Family::V4
    }

    #[inline]
    fn raw(self) -> SockAddr {
        SockAddr::of_v4(&self)
    }

    #[inline]
    fn is_v4_mapped(self) -> bool {
        false
    }

    #[inline]
    fn is_unspecified(self) -> bool {
        self.ip().is_unspecified()
    }

    #[inline]
    fn reached(addr: SocketAddr) -> SocketAddrV4 {
        match unmap(addr) {
            SocketAddr::V4(v4) => v4,
            SocketAddr::V6(_) => unreachable!("IPv4 reaches IPv4"),
        }
    }
}
