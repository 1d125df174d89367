//! Which address families a socket uses.

use core::sync::atomic::AtomicU8;
use core::sync::atomic::Ordering::Relaxed;
use std::net::{IpAddr, SocketAddr};

use anjay_net_resolve::{Families, Family, Policy, V4Form, map, unmap};

/// The forced and the preferred family, changed by options and read by every
/// send_to: one byte each, so that neither needs a lock.
pub(crate) struct FamilyChoice {
    pub(crate) forced: AtomicFamily,
    pub(crate) preferred: AtomicFamily,
}

/// A family or none.
pub(crate) struct AtomicFamily(AtomicU8);

impl AtomicFamily {
    pub(crate) fn new(family: Option<Family>) -> AtomicFamily {
        AtomicFamily(AtomicU8::new(encode(family)))
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<Family> {
        match self.0.load(Relaxed) {
            1 => Some(Family::V4),
            2 => Some(Family::V6),
            _ => None,
        }
    }

    pub(crate) fn set(&self, family: Option<Family>) {
        self.0.store(encode(family), Relaxed);
    }
}

#[inline]
fn encode(family: Option<Family>) -> u8 {
    family.map_or(0, |family| family as u8)
}

impl FamilyChoice {
    /// Whether addresses of this family may be used.
    #[inline]
    pub(crate) fn admit(&self, family: Family) -> bool {
        // As bytes: every send_to asks.
        let forced = self.forced.0.load(Relaxed);
        forced == encode(None) || forced == encode(Some(family))
    }

    /// The address if its family may be used, a v4-mapped one as IPv4 where only
    /// IPv4 is used, as getaddrinfo(3) does.
    #[inline]
    pub(crate) fn usable(&self, addr: SocketAddr) -> Option<SocketAddr> {
        if self.admit(Family::of(&addr)) {
            return Some(addr);
        }
        let addr = unmap(addr);
        self.admit(Family::of(&addr)).then_some(addr)
    }

    /// Which addresses to ask for, IPv4 ones in the form `v4`.
    pub(crate) fn policy(&self, v4: V4Form) -> Policy {
        let families = match (self.forced.get(), self.preferred.get()) {
            (Some(family), _) => Families::Only(family),
            (None, Some(family)) => Families::Prefer(family),
            (None, None) => Families::default(),
        };
        Policy { families, v4 }
    }

    /// The policy for the addresses that a descriptor of this family reaches;
    /// `None` when the options exclude them all.
    pub(crate) fn reachable(&self, family: Family) -> Option<Policy> {
        let mut policy = self.policy(V4Form::Native);
        match (family, policy.families) {
            (Family::V4, Families::Only(Family::V6)) => return None,
            (Family::V4, _) => policy.families = Families::Only(Family::V4),
            // The option decides, as for a literal.
            (Family::V6, Families::Only(Family::V6)) => {}
            (Family::V6, _) => policy.v4 = V4Form::Mapped,
        }
        Some(policy)
    }
}

/// The address as a socket of this family takes it, if that can be.
#[inline]
pub(crate) fn in_family(addr: SocketAddr, family: Family) -> SocketAddr {
    match family {
        Family::V4 => unmap(addr),
        Family::V6 => map(addr),
    }
}

/// Whether it is 0.0.0.0 or ::, in any form.
pub(crate) fn is_wildcard(addr: &SocketAddr) -> bool {
    unmap(*addr).ip().is_unspecified()
}

/// Whether it is an IPv6 address that means something on its link or its host only.
pub(crate) fn is_confined(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_loopback(),
        IpAddr::V4(_) => false,
    }
}
