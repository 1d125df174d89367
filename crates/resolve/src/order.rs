//! Endpoints in the order in which they are tried.
//!
//! There is one rank for all of them, in `Candidates::rank`.
//! [`Order::sorted`] takes the candidates in that order all at once,
//! [`Planner`](crate::Planner) one by one as it starts attempts, so a list and
//! a connect never disagree.

use std::collections::TryReserveError;
use std::net::SocketAddr;

use crate::addr::{Family, same_endpoint, unmap};
use crate::address_selection::{Flaws, Source, preference};
use crate::alloc;
use crate::policy::{Families, Policy};
use crate::random::SplitMix64;

/// How many addresses of each family are tried at most. An answer over TCP may
/// hold thousands, and each one that does not answer costs an attempt. If there
/// are more, a random choice of them is tried.
pub const ADDRESSES_MAX: usize = 64;

/// The transport of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Datagrams. A connect succeeds without asking the peer, so the address that comes
    /// first is the one that is used: the families do not alternate.
    Udp,
    /// A stream. A connect finds out whether the peer answers: the families alternate
    /// (RFC 8305 section 4), so that one that does not work costs one attempt.
    Tcp,
}

/// What the order depends on, besides the addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order {
    /// Which addresses are accepted, and which family comes first.
    pub policy: Policy,
    /// What the addresses are for: whether families alternate.
    pub kind: Kind,
    /// The endpoint that comes first if it is among the addresses, whatever its
    /// family: the one used before ("sticky").
    pub preferred: Option<SocketAddr>,
}

impl Order {
    /// What a lookup found, in the order to try it: only what the policy admits,
    /// each endpoint once, at most [`ADDRESSES_MAX`] of each family.
    ///
    /// Addresses without a route come last (RFC 6724 rule 1), before them those
    /// that did not answer lately. Otherwise the preferred endpoint comes first;
    /// then the addresses to which the source address fits (rules 2 and 5), the
    /// families as policy and kind have them, and the other rules. Among
    /// equals the order is random, and a new one for every call.
    ///
    /// ```
    /// use anjay_net_resolve::{Hints, Kind, Order, Policy};
    ///
    /// let (v4, v6) = ("192.0.2.1:5683".parse().unwrap(), "[2001:db8::1]:5683".parse().unwrap());
    /// let order = Order {
    ///     policy: Policy::default(),
    ///     kind: Kind::Udp,
    ///     preferred: None,
    /// };
    /// assert_eq!(order.sorted(&[v4, v6], &Hints::NONE)?, [v6, v4]);
    /// # Ok::<(), std::collections::TryReserveError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Memory has run out.
    pub fn sorted(
        &self,
        addrs: &[SocketAddr],
        hints: &Hints<'_>,
    ) -> Result<Vec<SocketAddr>, TryReserveError> {
        let mut candidates = Candidates::new(*self);
        candidates.add(addrs, hints, false)?;
        let mut list = Vec::new();
        while let Some(addr) = candidates.take_next() {
            alloc::push(&mut list, addr)?;
        }
        Ok(list)
    }
}

/// What the order needs to know of each address.
#[derive(Clone, Copy)]
pub struct Hints<'a> {
    /// Whether it did not answer when last tried
    /// (see [`Unresponsive`](crate::Unresponsive)).
    pub unresponsive: &'a dyn Fn(&SocketAddr) -> bool,
    /// The source address that the kernel would choose for it. Asked only where
    /// there is a choice between addresses, and never for a v4-mapped one.
    pub source_of: &'a dyn Fn(&SocketAddr) -> Source,
}

impl Hints<'_> {
    /// Nothing is known.
    pub const NONE: Hints<'static> = Hints {
        unresponsive: &|_| false,
        source_of: &|_| Source::Unknown,
    };
}

/// Addresses to try, each at most once, at most [`ADDRESSES_MAX`] of a family.
#[derive(Clone, Debug)]
pub(crate) struct Candidates {
    order: Order,
    /// Those already taken, too. In random order among equals.
    list: Vec<Candidate>,
    /// The family that is next, if there is one that comes before the other.
    turn: Option<Family>,
    /// Whether the preferred endpoint did not answer when last tried.
    preferred_is_unresponsive: bool,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    addr: SocketAddr,
    /// What travels on the wire: IPv4 for a v4-mapped address.
    family: Family,
    unresponsive: bool,
    sticky: bool,
    /// None until it has to be known.
    flaws: Option<Flaws>,
    taken: bool,
}

/// How long the best candidate is held back for the answer of a family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Hold {
    /// Not at all: nothing could come before it.
    No,
    /// For the Resolution Delay (RFC 8305 section 3).
    ForDelay,
    /// Until the answer is there, or its lookup is given up.
    UntilAnswered,
}

impl Candidates {
    pub(crate) fn new(order: Order) -> Self {
        let policy = order.policy;
        Candidates {
            order,
            list: Vec::new(),
            turn: (policy.families != Families::Any).then(|| policy.first()),
            preferred_is_unresponsive: false,
        }
    }

    /// Adds the addresses that the policy admits and that are not known yet, in
    /// either form. Returns whether there were any. `more_expected`: whether
    /// others may be added later.
    pub(crate) fn add(
        &mut self,
        addrs: &[SocketAddr],
        hints: &Hints<'_>,
        more_expected: bool,
    ) -> Result<bool, TryReserveError> {
        let preferred = self.order.preferred;
        self.preferred_is_unresponsive = preferred.is_some_and(|it| (hints.unresponsive)(&it));
        let mut found = Vec::new();
        found.try_reserve_exact(addrs.len())?;
        for addr in addrs {
            if let Some(addr) = self.order.policy.admit(*addr) {
                found.push(Candidate {
                    addr,
                    family: Family::of(&unmap(addr)),
                    unresponsive: (hints.unresponsive)(&addr),
                    sticky: preferred.is_some_and(|preferred| same_endpoint(&preferred, &addr)),
                    flaws: None,
                    taken: false,
                });
            }
        }
        SplitMix64::seeded().shuffle(&mut found);
        let known = self.list.len();
        self.list.try_reserve(found.len().min(2 * ADDRESSES_MAX))?;
        // Best first, so that what exceeds the limit is the worst.
        let class = |one: &Candidate| 2 * u8::from(one.unresponsive) + u8::from(!one.sticky);
        for best in 0..4 {
            let of_class = found.iter().filter(|one| class(one) == best);
            of_class.for_each(|candidate| self.insert(*candidate));
        }
        if self.waiting() > 1 || more_expected {
            for candidate in self.list.iter_mut().filter(|one| !one.taken) {
                let addr = unmap(candidate.addr);
                let flaws = || Flaws::new(&addr, (hints.source_of)(&addr));
                candidate.flaws = candidate.flaws.or_else(|| Some(flaws()));
            }
        }
        Ok(self.list.len() > known)
    }

    #[inline(never)]
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
    #[inline(never)]
    fn rank(&self, candidate: &Candidate) -> [u8; 8] {
        let flaws = candidate.flaws.unwrap_or_default();
        let [precedence, scope] = preference(&candidate.addr);
        [
            // Fails at once.
            flaws.unusable.into(),
            candidate.unresponsive.into(),
            (!candidate.sticky).into(),
            // A preferred family that can't be answered is of no use, so these
            // come before the family, and the family before the rest of RFC 6724.
            flaws.other_scope.into(),
            flaws.other_label.into(),
            self.turn
                .is_some_and(|family| candidate.family != family)
                .into(),
            precedence,
            scope,
        ]
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
        if self.order.kind == Kind::Tcp {
            self.turn = Some(candidate.family.other());
        }
        Some(candidate.addr)
    }

    /// How many are left to take.
    pub(crate) fn waiting(&self) -> usize {
        self.list.iter().filter(|one| !one.taken).count()
    }

    /// How long the best candidate has to wait for the answer of `family`, which
    /// may hold one that ranks before it.
    pub(crate) fn hold_for(&self, family: Family) -> Hold {
        let Some(best) = self.best().and_then(|index| self.list.get(index)) else {
            return Hold::No;
        };
        let flaws = best.flaws.unwrap_or_default();
        if best.sticky && !best.unresponsive && !flaws.unusable {
            return Hold::No;
        }
        let of_preferred = |addr: SocketAddr| Family::of(&unmap(addr)) == family;
        let preferred_may_come =
            self.order.preferred.is_some_and(of_preferred) && !self.preferred_is_unresponsive;
        if preferred_may_come || flaws != Flaws::default() {
            // A stream finds out by itself which address answers. A datagram
            // socket stays with the one that it takes: one that can't answer, or
            // one of a server that does not have the session.
            return match self.order.kind {
                Kind::Udp => Hold::UntilAnswered,
                Kind::Tcp => Hold::ForDelay,
            };
        }
        if best.unresponsive || family == self.order.policy.first() {
            Hold::ForDelay
        } else {
            Hold::No
        }
    }
}
