//! Which families are asked for, and in which form IPv4 is handed out.

use std::collections::TryReserveError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::addr::{Family, FamilySet, map, unmap};
use crate::alloc;

/// Which families a caller accepts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Families {
    /// This family and no other.
    Only(Family),
    /// Both, this one first.
    Prefer(Family),
    /// Both, ordered by RFC 6724: IPv6 first, except for addresses that rank
    /// below IPv4 (such as unique local ones).
    #[default]
    Any,
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

/// What a caller wants of a resolution. The default is both families, ordered by
/// RFC 6724, and IPv4 in its native form.
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
            Families::Prefer(_) | Families::Any => true,
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
            Families::Any => Family::V6,
        }
    }

    /// The addresses that stand for "any": of the forced family alone, else of
    /// both, preferred family first.
    ///
    /// A forced IPv6 gives `::` alone even where IPv4 is mapped: a socket bound
    /// to it receives both.
    ///
    /// # Errors
    ///
    /// Memory has run out.
    pub fn wildcards(&self, port: u16) -> Result<Vec<SocketAddr>, TryReserveError> {
        let both = [self.first(), self.first().other()].map(|family| {
            let ip: IpAddr = match family {
                Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
                Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
            };
            self.present(SocketAddr::new(ip, port))
        });
        match self.families {
            Families::Only(_) => alloc::copy(&both[..1]),
            Families::Prefer(_) | Families::Any => alloc::copy(&both),
        }
    }

    /// The families worth asking for.
    #[must_use]
    pub fn wanted(&self) -> FamilySet {
        let both = FamilySet::BOTH.iter();
        both.filter(|family| self.wants(*family)).collect()
    }

    /// The address in the form this policy hands out, or None when it is of a
    /// family that is not accepted. A v4-mapped address counts as IPv4 where
    /// only that is accepted, as in `getaddrinfo(3)`.
    #[must_use]
    pub fn admit(&self, addr: SocketAddr) -> Option<SocketAddr> {
        let addr = match self.wants(Family::of(&addr)) {
            true => addr,
            false => unmap(addr),
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn admits_by_family_and_form() {
        use Families::{Any, Only, Prefer};
        use Family::{V4, V6};
        use V4Form::{Mapped, Native};
        let (four, mapped, six) = ("192.0.2.1:1", "[::ffff:192.0.2.1]:1", "[2001:db8::1]:1");
        for (families, form, given, expected) in [
            (Any, Native, four, Some(four)),
            (Any, Mapped, four, Some(mapped)),
            (Any, Native, six, Some(six)),
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
        assert_eq!(both.wanted(), FamilySet::BOTH);
        let six = Policy {
            families: Families::Only(Family::V6),
            ..both
        };
        assert_eq!(six.wanted().iter().collect::<Vec<_>>(), [Family::V6]);
        let dual = Policy {
            v4: V4Form::Mapped,
            ..six
        };
        assert_eq!(dual.wanted(), FamilySet::BOTH);
        let four = Policy {
            families: Families::Only(Family::V4),
            v4: V4Form::Mapped,
        };
        assert_eq!(four.wanted().iter().collect::<Vec<_>>(), [Family::V4]);
    }
}
