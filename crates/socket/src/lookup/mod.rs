//! From text to endpoints: what connect, bind, send_to and the address lists
//! of C all use.

mod queries;
mod source;
mod target;

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Instant;

use anjay_net_resolve::{FamilySet, Hints, Kind, Order, Policy, Source, alloc, same_endpoint};

use crate::error::{Errno, Result};
use crate::fd_lock::{FdGuard, Flags};
use crate::pending::Operation;
use crate::reachability::is_unresponsive;
use crate::socket::{Socket, check_not_closed, check_open, note_hang_up};
use crate::socket_config::SocketConfig;
use crate::sys::{self, PollFd, Waker};
use crate::timeout::wait;

pub(crate) use queries::Queries;
pub(crate) use source::{NO_WAY, is_usable, probe, source_of};
pub(crate) use target::{Target, unknown_host};

/// A request for an address list; see [`resolve`].
#[derive(Clone, Copy, Debug)]
pub struct Resolution<'a> {
    /// The transport that the addresses are for, which decides their order.
    pub kind: Kind,
    /// IP address or name; empty is the wildcard.
    pub host: &'a [u8],
    /// Decimal; empty is 0.
    pub port: &'a [u8],
    /// Which addresses, in which form.
    pub policy: Policy,
    /// The endpoint to put first if it is among the results.
    pub preferred: Option<SocketAddr>,
    /// Results are for bind: the wildcard is allowed.
    pub passive: bool,
}

/// Makes an address list: at once for addresses, within
/// [`Settings::resolve_timeout`](crate::Settings::resolve_timeout) for names.
///
/// # Errors
/// `EADDRNOTAVAIL` for text that is no host or port, an unknown name and a
/// wildcard that is not allowed, and a name without an address of an accepted
/// family; `ETIMEDOUT` when no name server answered; `EAGAIN` when too many
/// lookups were under way all the time; `ENOMEM`.
#[inline(never)]
pub fn resolve(request: &Resolution<'_>) -> Result<Vec<SocketAddr>> {
    let policy = &request.policy;
    match Target::parse(request.host, request.port) {
        Ok(Target::Wildcard(port)) if request.passive => {
            let mut list = policy.wildcards(port)?;
            let is_preferred = |addr: &SocketAddr| {
                let preferred = request.preferred;
                preferred.is_some_and(|preferred| same_endpoint(addr, &preferred))
            };
            // The other one, where there are two.
            if list.last().is_some_and(is_preferred) {
                list.reverse();
            }
            Ok(list)
        }
        Ok(Target::Literal(addr)) => {
            let addr = policy.admit(addr).ok_or_else(unknown_host)?;
            Ok(alloc::copy(&[addr])?)
        }
        Ok(Target::Name { name, port }) => {
            let waker = Waker::new()?;
            let queries = Queries::start(name, port, policy.wanted(), None, waker.try_clone()?)?;
            let mut wait = |deadline| await_answer(&waker, deadline);
            let found = collect(queries, policy, &mut wait)?;
            let order = order(*policy, request.kind, request.preferred);
            ordered(&found, &order, &SocketConfig::default())
        }
        Ok(Target::Wildcard(_)) | Err(_) => Err(unknown_host()),
    }
}

/// The order in which sockets of this kind try addresses.
pub(crate) fn order(policy: Policy, kind: Kind, preferred: Option<SocketAddr>) -> Order {
    Order {
        policy,
        kind,
        preferred,
    }
}

/// What is known of addresses, with [`source_of`] of the socket that is to use
/// them.
pub(crate) fn hints<'a>(source_of: &'a dyn Fn(&SocketAddr) -> Source) -> Hints<'a> {
    Hints {
        unresponsive: &is_unresponsive,
        source_of,
    }
}

/// The addresses of a name for a bind or a connect, which shutdown and close end,
/// and which is over at `limit`; in no order.
pub(crate) fn lookup_in_operation(
    operation: &Operation<'_>,
    (name, port): (&str, u16),
    policy: &Policy,
    limit: Option<Instant>,
) -> Result<Vec<SocketAddr>> {
    let waker = operation.waker()?;
    let (families, socket) = (policy.wanted(), Some(operation.socket));
    let mut queries = Queries::start(name, port, families, socket, waker.try_clone()?)?;
    if let Some(limit) = limit {
        queries.deadline = queries.deadline.min(limit);
    }
    collect(queries, policy, &mut |deadline| {
        let waited = await_answer(&waker, deadline);
        operation.check()?;
        waited
    })
}

/// The addresses of a name for a send_to, in no order. It ends when the descriptor
/// is shut down or closed.
#[cold]
pub(crate) fn lookup_for_send(
    socket: &Socket,
    guard: &mut FdGuard<'_>,
    (name, port): (&str, u16),
    policy: &Policy,
) -> Result<Vec<SocketAddr>> {
    if check_not_closed(guard)?.has(Flags::SHUTDOWN) {
        return Err(Errno(libc::EPIPE));
    }
    let waker = Waker::new()?;
    // Both families, whichever the descriptor reaches: a name that has the other
    // one only is known, and a failure of either says that it is not.
    let families = FamilySet::BOTH;
    let queries = Queries::start(name, port, families, Some(socket), waker.try_clone()?)?;
    collect(queries, policy, &mut |deadline| {
        let replaced = socket.replaced_waker()?;
        let replaced = replaced.as_ref().unwrap_or(&waker);
        let mut fds = [
            PollFd::new(waker.as_fd(), libc::POLLIN),
            PollFd::new(replaced.as_fd(), libc::POLLIN),
            PollFd::new(guard.as_fd(), 0),
        ];
        let waited = wait(&mut fds, Some(deadline));
        // An ICMP error is reported by the send to come; until it is taken the
        // descriptor is always ready.
        let hung_up = fds[2].is_hung_up();
        if fds[2].is_ready() && !hung_up {
            let _ = sys::take_error(guard.as_fd());
        }
        note_hang_up(socket, guard, hung_up);
        waker.clear();
        check_open(guard)?;
        waited
    })
    .map_err(|error| socket.count_failure(error))
}

/// In the order in which the socket tries them, those that the policy admits.
pub(crate) fn ordered_for(
    socket: &Socket,
    policy: &Policy,
    found: &[SocketAddr],
) -> Result<Vec<SocketAddr>> {
    ordered(found, &order(*policy, socket.kind, None), &socket.config)
}

/// In this order, for a socket with this configuration.
fn ordered(found: &[SocketAddr], order: &Order, config: &SocketConfig) -> Result<Vec<SocketAddr>> {
    let source_of = |addr: &SocketAddr| source_of(config, addr);
    Ok(order.sorted(found, &hints(&source_of))?)
}

fn await_answer(waker: &Waker, deadline: Instant) -> Result<()> {
    let mut fds = [PollFd::new(waker.as_fd(), libc::POLLIN)];
    let waited = wait(&mut fds, Some(deadline));
    waker.clear();
    waited
}

/// Waits with `wait` for the answers of all families that the policy wants, and
/// for the others while nothing was found. At the deadline, those that came are
/// enough.
fn collect(
    mut queries: Queries<'_>,
    policy: &Policy,
    wait: &mut dyn FnMut(Instant) -> Result<()>,
) -> Result<Vec<SocketAddr>> {
    let mut found = Vec::new();
    loop {
        while let Some((_, addrs)) = queries.next_answer(Instant::now()) {
            found.try_reserve(addrs.len())?;
            found.extend(addrs);
        }
        let is_wanted = queries.open().iter().any(|family| policy.wants(family));
        if queries.open().is_empty() || (!found.is_empty() && !is_wanted) {
            break;
        }
        match wait(queries.deadline) {
            Err(Errno(libc::ETIMEDOUT)) => {}
            waited => waited?,
        }
    }
    // Not only that there is none of another family.
    if !found.iter().any(|addr| policy.admit(*addr).is_some()) {
        return Err(queries.error());
    }
    Ok(found)
}
