//! Endpoints in the order in which they are tried.
//!
//! There is one rank for all of them, in `Candidates::rank`.
//! [`EndpointList`] takes the candidates in that order all at once,
//! [`Planner`](crate::Planner) one by one as it starts attempts, so a list and
//! a connect never disagree.

use std::iter::FusedIterator;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::addr::{Family, same_endpoint, unmap};
use crate::policy::{Families, Policy};
use crate::random::Random;

/// How many addresses of each family are tried at most. An answer over TCP may
/// hold thousands, and each one that does not answer costs an attempt. If there
/// are more, a random choice of them is tried.
pub const ADDRESSES_MAX: usize = 64;

/// Which kind of transport the addresses are for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// A connect succeeds without asking the peer, so the address that comes
    /// first is the one that is used: all addresses of the preferred family
    /// come before those of the other.
    Datagram,
    /// A connect finds out whether the peer answers: the families alternate
    /// (RFC 8305 section 4), so that one that does not work costs one attempt.
    Stream,
}

/// What the order depends on, besides the addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order {
    /// Which addresses are accepted, and which family comes first.
    pub policy: Policy,
    /// Whether families alternate.
    pub transport: Transport,
    /// The endpoint that comes first if it is among the addresses, whatever its
    /// family: the one used before ("sticky").
    pub preferred: Option<SocketAddr>,
}

/// Addresses to try, each at most once, at most [`ADDRESSES_MAX`] of a family.
#[derive(Clone, Debug)]
pub(crate) struct Candidates {
    order: Order,
    /// Those already taken, too. In random order among equals.
    list: Vec<Candidate>,
    /// The family that is next.
    turn: Family,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    addr: SocketAddr,
    /// What travels on the wire: IPv4 for a v4-mapped address.
    family: Family,
    unresponsive: bool,
    sticky: bool,
    taken: bool,
}

impl Candidate {
    /// The part of the rank that does not depend on whose turn it is.
    fn fixed_rank(&self) -> (bool, bool) {
        (self.unresponsive, !self.sticky)
    }
}

impl Candidates {
    pub(crate) fn new(order: Order) -> Self {
        Candidates {
            order,
            list: Vec::new(),
            turn: order.policy.first(),
        }
    }

    /// Adds the addresses that the policy admits and that are not known yet, in
    /// either form. Returns whether there were any.
    pub(crate) fn add(
        &mut self,
        addrs: &[SocketAddr],
        unresponsive: &dyn Fn(&SocketAddr) -> bool,
    ) -> bool {
        let admitted = addrs
            .iter()
            .filter_map(|addr| self.order.policy.admit(*addr));
        let mut found: Vec<_> = admitted
            .map(|addr| Candidate {
                addr,
                family: Family::of(&unmap(addr)),
                unresponsive: unresponsive(&addr),
                sticky: self
                    .order
                    .preferred
                    .is_some_and(|preferred| same_endpoint(&preferred, &addr)),
                taken: false,
            })
            .collect();
        Random::new().shuffle(&mut found);
        let known = self.list.len();
        // Best first, so that what exceeds the limit is the worst.
        for rank in [(false, false), (false, true), (true, false), (true, true)] {
            found
                .iter()
                .filter(|candidate| candidate.fixed_rank() == rank)
                .for_each(|candidate| self.insert(*candidate));
        }
        self.list.len() > known
    }

    fn insert(&mut self, new: Candidate) {
        let twin = |known: &&mut Candidate| same_endpoint(&known.addr, &new.addr);
        if let Some(known) = self.list.iter_mut().find(twin) {
            // Of an IPv4 address and its v4-mapped form the former stays.
            if Family::of(&new.addr) == new.family {
                known.addr = new.addr;
            }
            return;
        }
        let same_family = |known: &&Candidate| known.family == new.family;
        if self.list.iter().filter(same_family).count() < ADDRESSES_MAX {
            self.list.push(new);
        }
    }

    /// The rank: lower is tried earlier, equals are tried in random order.
    fn rank(&self, candidate: &Candidate) -> ((bool, bool), bool) {
        (candidate.fixed_rank(), candidate.family != self.turn)
    }

    fn best(&self) -> Option<usize> {
        let waiting = self.list.iter().enumerate().filter(|(_, one)| !one.taken);
        waiting
            .min_by_key(|(_, candidate)| self.rank(candidate))
            .map(|(index, _)| index)
    }

    /// Takes the best one.
    pub(crate) fn take_next(&mut self) -> Option<SocketAddr> {
        let index = self.best()?;
        let candidate = self.list.get_mut(index)?;
        candidate.taken = true;
        if self.order.transport == Transport::Stream {
            self.turn = candidate.family.other();
        }
        Some(candidate.addr)
    }

    /// How many are left to take.
    pub(crate) fn waiting(&self) -> usize {
        self.list.iter().filter(|one| !one.taken).count()
    }

    /// Whether addresses of `family` that are still to come could rank before
    /// the best of those that are here.
    pub(crate) fn could_be_beaten_by(&self, family: Family) -> bool {
        let Some(best) = self.best().and_then(|index| self.list.get(index)) else {
            return true;
        };
        let sticky_family = self
            .order
            .preferred
            .map(|preferred| Family::of(&unmap(preferred)));
        let goes_first = family == self.order.policy.first() || Some(family) == sticky_family;
        best.unresponsive || (!best.sticky && goes_first)
    }
}

/// An ordered list of endpoints and a position in it.
///
/// Iterates over what is left; [`rewind`](Self::rewind) starts over, in the
/// same order. A list of a literal or wildcard owns no heap memory.
///
/// ```
/// use anjay_net_resolve::{EndpointList, Order, Policy, Transport};
///
/// let found = ["192.0.2.1:5683".parse().unwrap(), "[2001:db8::1]:5683".parse().unwrap()];
/// let order = Order {
///     policy: Policy::default(),
///     transport: Transport::Datagram,
///     preferred: None,
/// };
/// let mut list = EndpointList::ordered(&found, &order, &|_| false);
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
    /// to it receives both.
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

    /// What a lookup found, in the order to try it: only what the policy admits,
    /// each endpoint once, at most [`ADDRESSES_MAX`] of each family.
    ///
    /// Endpoints that are `unresponsive` (see
    /// [`Unresponsive`](crate::Unresponsive)) come after all others, the
    /// preferred one among them. Otherwise the preferred endpoint comes first,
    /// then the families as the transport has them. Among equals the order is
    /// random, and a new one for every call.
    #[must_use]
    pub fn ordered(
        addrs: &[SocketAddr],
        order: &Order,
        unresponsive: &dyn Fn(&SocketAddr) -> bool,
    ) -> Self {
        let mut candidates = Candidates::new(*order);
        candidates.add(addrs, unresponsive);
        let mut list = Vec::with_capacity(candidates.waiting());
        while let Some(addr) = candidates.take_next() {
            list.push(addr);
        }
        Self::new(Endpoints::Many(list))
    }

    /// The same endpoints with the `preferred` one first, if it is among them;
    /// the order of the others stays, and the iteration starts over.
    #[must_use]
    pub fn preferring(mut self, preferred: Option<SocketAddr>) -> Self {
        let endpoints = match &mut self.endpoints {
            Endpoints::One(endpoints) => endpoints.as_mut_slice(),
            Endpoints::Two(endpoints) => endpoints,
            Endpoints::Many(endpoints) => endpoints,
        };
        let is_preferred = |addr: &SocketAddr| preferred.is_some_and(|it| same_endpoint(addr, &it));
        if let Some(index) = endpoints.iter().position(is_preferred) {
            endpoints[..=index].rotate_right(1);
        }
        self.next = 0;
        self
    }

    #[inline]
    fn new(endpoints: Endpoints) -> Self {
        EndpointList { endpoints, next: 0 }
    }

    /// All endpoints, whether already returned or not.
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
        self.as_slice().get(self.next..).unwrap_or_default()
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
