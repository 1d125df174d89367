//! Which families are asked for, and in which form IPv4 is handed out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// An IP version.
// From 1 on, so that no family at all is 0, as in avs_commons and in one byte.
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

/// Which families a caller accepts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Families {
    /// This family and no other.
    Only(Family),
    /// Both, this one first.
    Prefer(Family),
}

impl Default for Families {
    /// Both, IPv6 first, as RFC 6724 section 2.1 orders them.
    fn default() -> Self {
        Families::Prefer(Family::V6)
    }
}

/// The form in which IPv4 addresses are handed out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum V4Form {
    /// `a.b.c.d`, for an IPv4 socket.
    #[default]
    Native,
    /// `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2), for an IPv6 socket that
    /// also speaks IPv4.
    Mapped,
}

/// What a caller wants of a resolution. The default is both families, IPv6
/// first, IPv4 in its native form.
///
/// ```
/// use anjay_net_resolve::{Families, Family, Policy, V4Form};
///
/// // An IPv6 socket that must reach IPv4-only servers, too.
/// let dual = Policy { families: Families::Only(Family::V6), v4: V4Form::Mapped };
/// assert!(dual.wants(Family::V4));
/// assert_eq!(
///     dual.admit("192.0.2.1:5683".parse().unwrap()),
///     Some("[::ffff:192.0.2.1]:5683".parse().unwrap()),
/// );
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Policy {
    /// The families accepted.
    pub families: Families,
    /// The form of IPv4 results.
    pub v4: V4Form,
}

impl Policy {
    /// Whether results of this family are worth asking for: the accepted ones,
    /// and IPv4 when it can be mapped into an accepted IPv6.
    #[inline]
    #[must_use]
    pub fn wants(&self, family: Family) -> bool {
        match self.families {
            Families::Prefer(_) => true,
            Families::Only(only) => {
                only == family || (only == Family::V6 && self.v4 == V4Form::Mapped)
            }
        }
    }

    /// The family whose addresses come first.
    #[inline]
    #[must_use]
    pub fn first(&self) -> Family {
        match self.families {
            Families::Only(family) | Families::Prefer(family) => family,
        }
    }

    /// The families worth asking for, [`first`](Self::first) one first.
    pub fn wanted(&self) -> impl Iterator<Item = Family> + use<> {
        let policy = *self;
        [self.first(), self.first().other()]
            .into_iter()
            .filter(move |&family| policy.wants(family))
    }

    /// The address in the form this policy hands out, or None when it is of a
    /// family that is not accepted. A v4-mapped address counts as IPv4 where
    /// only that is accepted, as in `getaddrinfo(3)`.
    #[inline]
    #[must_use]
    pub fn admit(&self, addr: SocketAddr) -> Option<SocketAddr> {
        if self.wants(Family::of(&addr)) {
            return Some(self.present(addr));
        }
        let addr = unmap(addr);
        self.wants(Family::of(&addr)).then(|| self.present(addr))
    }

    /// An address of an accepted family, IPv4 in the form asked for.
    #[inline]
    pub(crate) fn present(&self, addr: SocketAddr) -> SocketAddr {
        match self.v4 {
            V4Form::Native => addr,
            V4Form::Mapped => map(addr),
        }
    }
}

/// `::ffff:a.b.c.d` as `a.b.c.d`, anything else as it is.
#[inline]
#[must_use]
pub fn unmap(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V6(v6) => match mapped_ipv4(v6.ip()) {
            Some(ip) => SocketAddr::new(IpAddr::V4(ip), v6.port()),
            None => addr,
        },
        SocketAddr::V4(_) => addr,
    }
}

/// `Ipv6Addr::to_ipv4_mapped` in two comparisons instead of twelve.
#[inline]
pub(crate) fn mapped_ipv4(ip: &Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = ip.to_bits();
    (bits >> 32 == 0xFFFF).then(|| Ipv4Addr::from_bits(bits as u32))
}

/// `a.b.c.d` as `::ffff:a.b.c.d`, anything else as it is.
#[inline]
#[must_use]
pub fn map(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(v4) => {
            SocketAddr::V6(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0))
        }
        SocketAddr::V6(_) => addr,
    }
}

/// Whether two addresses lead to the same place: same IP, port and scope after
/// [`unmap`]. The flow label of IPv6 is no part of where something is.
#[inline]
#[must_use]
pub fn same_endpoint(a: &SocketAddr, b: &SocketAddr) -> bool {
    place(a) == place(b)
}

/// What makes two addresses the same to [`same_endpoint`]: IP, port and scope.
pub(crate) type Place = (IpAddr, u16, u32);

/// The place that an address leads to.
#[inline]
pub(crate) fn place(addr: &SocketAddr) -> Place {
    match unmap(*addr) {
        SocketAddr::V4(v4) => (IpAddr::V4(*v4.ip()), v4.port(), 0),
        SocketAddr::V6(v6) => (IpAddr::V6(*v6.ip()), v6.port(), v6.scope_id()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn admits_by_family_and_form() {
        use Families::{Only, Prefer};
        use Family::{V4, V6};
        use V4Form::{Mapped, Native};
        let (four, mapped, six) = ("192.0.2.1:1", "[::ffff:192.0.2.1]:1", "[2001:db8::1]:1");
        for (families, form, given, expected) in [
            (Prefer(V6), Native, four, Some(four)),
            (Prefer(V6), Native, mapped, Some(mapped)),
            (Prefer(V4), Mapped, four, Some(mapped)),
            (Prefer(V4), Mapped, six, Some(six)),
            (Only(V4), Native, six, None),
            (Only(V4), Native, mapped, Some(four)),
            (Only(V4), Mapped, four, Some(mapped)),
            (Only(V4), Mapped, mapped, Some(mapped)),
            (Only(V6), Native, four, None),
            (Only(V6), Native, mapped, Some(mapped)),
            (Only(V6), Mapped, four, Some(mapped)),
            (Only(V6), Mapped, six, Some(six)),
        ] {
            let policy = Policy { families, v4: form };
            assert_eq!(
                policy.admit(addr(given)),
                expected.map(addr),
                "{policy:?} {given}"
            );
        }
    }

    #[test]
    fn asks_for_what_it_admits() {
        let both = Policy::default();
        assert_eq!(both.wanted().collect::<Vec<_>>(), [Family::V6, Family::V4]);
        let six = Policy {
            families: Families::Only(Family::V6),
            ..both
        };
        assert_eq!(six.wanted().collect::<Vec<_>>(), [Family::V6]);
        let dual = Policy {
            v4: V4Form::Mapped,
            ..six
        };
        assert_eq!(dual.wanted().collect::<Vec<_>>(), [Family::V6, Family::V4]);
        let four = Policy {
            families: Families::Only(Family::V4),
            v4: V4Form::Mapped,
        };
        assert_eq!(four.wanted().collect::<Vec<_>>(), [Family::V4]);
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
        assert!(!same_endpoint(
            &addr("[fe80::1%1]:1"),
            &addr("[fe80::1%2]:1")
        ));
        let flow = SocketAddrV6::new("fe80::1".parse().unwrap(), 1, 9, 1);
        assert!(same_endpoint(&addr("[fe80::1%1]:1"), &SocketAddr::V6(flow)));
    }
}
