//! Endpoints in the order in which they are to be tried.

use std::collections::BTreeSet;
use std::iter::FusedIterator;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::policy::{Families, Family, Policy, place, same_endpoint, unmap};
use crate::random::Random;

/// An ordered list of endpoints and a place in it.
///
/// Iterates over what is left; [`rewind`](Self::rewind) starts over, in the
/// same order. A list of a literal or wildcard owns no heap memory.
///
/// ```
/// use anjay_net_resolve::{EndpointList, Policy};
///
/// let found = vec!["192.0.2.1:5683".parse().unwrap(), "[2001:db8::1]:5683".parse().unwrap()];
/// let mut list = EndpointList::ordered(found, &Policy::default(), None);
/// assert_eq!(list.next(), Some("[2001:db8::1]:5683".parse().unwrap()));
/// assert_eq!(list.len(), 1);
/// list.rewind();
/// assert_eq!(list.len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct EndpointList {
    endpoints: Endpoints,
    next: usize,
}

#[derive(Clone, Debug)]
enum Endpoints {
    One([SocketAddr; 1]),
    Two([SocketAddr; 2]),
    Many(Vec<SocketAddr>),
}

impl EndpointList {
    /// The list of one literal, or None when the policy accepts no address of
    /// its family.
    #[inline]
    #[must_use]
    pub fn literal(addr: SocketAddr, policy: &Policy) -> Option<Self> {
        policy
            .admit(addr)
            .map(|addr| Self::new(Endpoints::One([addr])))
    }

    /// The addresses that stand for "any": of the forced family alone, else of
    /// both, preferred family first.
    ///
    /// A forced IPv6 gives `::` alone even where IPv4 is mapped: a socket bound
    /// to it hears both.
    #[must_use]
    pub fn wildcard(port: u16, policy: &Policy) -> Self {
        let any = |family| {
            let ip = match family {
                Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            };
            policy.present(SocketAddr::new(ip, port))
        };
        Self::new(match policy.families {
            Families::Only(family) => Endpoints::One([any(family)]),
            Families::Prefer(family) => Endpoints::Two([any(family), any(family.other())]),
        })
    }

    /// The same endpoints with the one that was `preferred` before first, if it
    /// is among them; none is handed out yet.
    #[must_use]
    pub fn preferring(mut self, preferred: Option<SocketAddr>) -> Self {
        let endpoints = match &mut self.endpoints {
            Endpoints::One(endpoints) => endpoints.as_mut_slice(),
            Endpoints::Two(endpoints) => endpoints,
            Endpoints::Many(endpoints) => endpoints,
        };
        let place = preferred.and_then(|preferred| {
            endpoints
                .iter()
                .position(|endpoint| same_endpoint(endpoint, &preferred))
        });
        // The order of the others stays.
        for index in (0..place.unwrap_or(0)).rev() {
            endpoints.swap(index, index + 1);
        }
        self.next = 0;
        self
    }

    /// What a lookup found, in the order to try it.
    ///
    /// Only what the policy admits, each endpoint once; the preferred family
    /// first, the order inside a family random and fresh for every call. The
    /// endpoint that was `preferred` before ("sticky") comes first of all if it
    /// is among the results.
    #[must_use]
    pub fn ordered(addrs: Vec<SocketAddr>, policy: &Policy, preferred: Option<SocketAddr>) -> Self {
        Self::ordered_with(addrs, policy, preferred, |_| false)
    }

    /// As [`ordered`](Self::ordered), with the addresses that `demoted` says yes
    /// to moved behind all others, the sticky one too: it failed when last tried.
    ///
    /// [`Penalties::is_punished`](crate::Penalties::is_punished) is the
    /// predicate this is made for.
    #[must_use]
    pub fn ordered_with(
        addrs: Vec<SocketAddr>,
        policy: &Policy,
        preferred: Option<SocketAddr>,
        demoted: impl Fn(&SocketAddr) -> bool,
    ) -> Self {
        let mut addrs = admitted(addrs, policy);
        Random::new().shuffle(&mut addrs);
        let first = policy.first();
        // Group by group, each of which stays shuffled. The standard library's
        // sorts would do, at ten kilobytes of code for each type and key.
        let group = |addr: &SocketAddr| {
            let sticky = preferred.is_some_and(|preferred| same_endpoint(addr, &preferred));
            let other_family = Family::of(&unmap(*addr)) != first;
            u8::from(demoted(addr)) << 2 | u8::from(!sticky) << 1 | u8::from(other_family)
        };
        let grouped: Vec<_> = addrs.iter().map(|addr| (group(addr), *addr)).collect();
        addrs.clear();
        for group in 0..8 {
            let members = grouped.iter().filter(|(of, _)| *of == group);
            addrs.extend(members.map(|(_, addr)| *addr));
        }
        Self::new(Endpoints::Many(addrs))
    }

    #[inline]
    fn new(endpoints: Endpoints) -> Self {
        EndpointList { endpoints, next: 0 }
    }

    /// All endpoints, whether already handed out or not.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[SocketAddr] {
        match &self.endpoints {
            Endpoints::One(endpoints) => endpoints,
            Endpoints::Two(endpoints) => endpoints,
            Endpoints::Many(endpoints) => endpoints,
        }
    }

    /// The endpoints still to come.
    #[inline]
    #[must_use]
    pub fn remaining(&self) -> &[SocketAddr] {
        &self.as_slice()[self.next..]
    }

    /// Whether none is still to come. `len` counts them.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remaining().is_empty()
    }

    /// Starts over from the first endpoint.
    #[inline]
    pub fn rewind(&mut self) {
        self.next = 0;
    }
}

/// Each admitted endpoint once, in no particular order. A set instead of
/// comparing all with all: an answer over TCP may hold thousands of addresses.
pub(crate) fn admitted(addrs: Vec<SocketAddr>, policy: &Policy) -> Vec<SocketAddr> {
    let addrs = addrs.into_iter().filter_map(|addr| policy.admit(addr));
    // A native IPv4 address before its mapped twin, so that the native one stays.
    let (natives, mapped): (Vec<_>, Vec<_>) = addrs.partition(|addr| unmap(*addr) == *addr);
    let mut known = BTreeSet::new();
    natives
        .into_iter()
        .chain(mapped)
        .filter(|addr| known.insert(place(addr)))
        .collect()
}

impl Iterator for EndpointList {
    type Item = SocketAddr;

    #[inline]
    fn next(&mut self) -> Option<SocketAddr> {
        let addr = *self.as_slice().get(self.next)?;
        self.next += 1;
        Some(addr)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.remaining().len();
        (len, Some(len))
    }
}

impl ExactSizeIterator for EndpointList {}
impl FusedIterator for EndpointList {}
