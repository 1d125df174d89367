//! Address families, v4-mapped addresses, and when two addresses are the same
//! endpoint.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// An IP version.
// From 1 on, so that no family at all is 0, as in avs_commons and in one byte. Each is a
// bit of its own in a `FamilySet`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Family {
    /// IPv4, `AF_INET`.
    V4 = 1,
    /// IPv6, `AF_INET6`.
    V6 = 2,
}

impl Family {
    /// The other one.
    #[inline]
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Family::V4 => Family::V6,
            Family::V6 => Family::V4,
        }
    }

    /// The family of the sockaddr: [`Family::V6`] for a v4-mapped address.
    /// Apply [`unmap`] first to learn what travels on the wire.
    #[inline]
    #[must_use]
    pub fn of(addr: &SocketAddr) -> Self {
        match addr {
            SocketAddr::V4(_) => Family::V4,
            SocketAddr::V6(_) => Family::V6,
        }
    }
}

/// Some of the families.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct FamilySet(u8);

impl FamilySet {
    /// Both families.
    pub const BOTH: FamilySet = FamilySet(Family::V4 as u8 | Family::V6 as u8);

    /// Adds one.
    pub fn insert(&mut self, family: Family) {
        self.0 |= family as u8;
    }

    /// Removes one.
    pub fn remove(&mut self, family: Family) {
        self.0 &= !(family as u8);
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == FamilySet::default()
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn contains(&self, family: Family) -> bool {
        self.0 & family as u8 != 0
    }

    /// IPv6 first.
    pub fn iter(&self) -> impl Iterator<Item = Family> + use<> {
        let set = *self;
        let all = [Family::V6, Family::V4].into_iter();
        all.filter(move |family| set.contains(*family))
    }
}

impl FromIterator<Family> for FamilySet {
    fn from_iter<T: IntoIterator<Item = Family>>(families: T) -> Self {
        let mut set = FamilySet::default();
        families.into_iter().for_each(|family| set.insert(family));
        set
    }
}

/// `::ffff:a.b.c.d` as `a.b.c.d`, anything else as it is.
#[inline]
#[must_use]
pub fn unmap(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(ip) => SocketAddr::new(IpAddr::V4(ip), v6.port()),
            None => addr,
        },
        SocketAddr::V4(_) => addr,
    }
}

/// `a.b.c.d` as `::ffff:a.b.c.d`, anything else as it is.
#[inline]
#[must_use]
pub fn map(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        SocketAddr::V6(_) => addr,
    }
}

/// Whether two addresses are the same endpoint: same IP, port and scope after
/// [`unmap`]. The flow label of IPv6 is not part of an endpoint.
#[must_use]
pub fn same_endpoint(a: &SocketAddr, b: &SocketAddr) -> bool {
    match (unmap(*a), unmap(*b)) {
        (SocketAddr::V6(a), SocketAddr::V6(b)) => {
            a.ip() == b.ip() && a.port() == b.port() && a.scope_id() == b.scope_id()
        }
        (a, b) => a == b,
    }
}

/// Whether the address is only unique together with an interface (RFC 4007
/// section 4, RFC 4291 section 2.7).
pub(crate) fn is_link_local(ip: &Ipv6Addr) -> bool {
    let interface_or_link = matches!(ip.segments()[0] & 0xFF0F, 0xFF01 | 0xFF02);
    ip.is_unicast_link_local() || interface_or_link
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddrV6;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn mapping_is_idempotent_and_reversible() {
        let four = addr("192.0.2.1:1");
        assert_eq!(map(map(four)), map(four));
        assert_eq!(unmap(map(four)), four);
        assert_eq!(unmap(four), four);
        let six = addr("[fe80::1%3]:1");
        assert_eq!(map(six), six);
        assert_eq!(unmap(six), six);
    }

    #[test]
    fn same_endpoint_needs_ip_port_and_scope() {
        assert!(same_endpoint(
            &addr("[::ffff:192.0.2.1]:1"),
            &addr("192.0.2.1:1")
        ));
        assert!(!same_endpoint(&addr("192.0.2.1:1"), &addr("192.0.2.1:2")));
        assert!(!same_endpoint(&addr("192.0.2.1:1"), &addr("[fe80::1]:1")));
        assert!(!same_endpoint(
            &addr("[fe80::1%1]:1"),
            &addr("[fe80::1%2]:1")
        ));
        let flow = SocketAddrV6::new("fe80::1".parse().unwrap(), 1, 9, 1);
        assert!(same_endpoint(&addr("[fe80::1%1]:1"), &SocketAddr::V6(flow)));
    }
}
