//! Connecting to a name: lookups and attempts side by side (RFC 8305), as the
//! planner of `anjay-net-resolve` decides, and one wait over all of them.

use std::collections::TryReserveError;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use anjay_net_resolve::{
    ADDRESSES_MAX, Families, Family, Order, PlanSettings, Planner, Policy, Step, V4Form, unmap,
};

use super::attempt::{self, Attempt};
use crate::error::{Errno, Result};
use crate::lookup::{NO_WAY, Queries, hints, source_of, transport, unknown_host};
use crate::nat64::is_unreachable;
use crate::pending::Operation;
use crate::settings::Settings;
use crate::socket::Socket;
use crate::state::State;
use crate::sys::{Interest, PollFd, Waker};
use crate::timeout::{Deadline, milliseconds, wait};

/// What a connect came to.
pub(crate) struct Winner {
    /// A new descriptor, or `None` for the one that the socket was bound with.
    pub(crate) fd: Option<OwnedFd>,
    /// The address that it is connected to.
    pub(crate) addr: SocketAddr,
}

/// Connects to whichever address of `name` accepts first.
pub(crate) fn connect(
    socket: &Socket,
    operation: &Operation<'_>,
    name: &str,
    port: u16,
    preferred: Option<SocketAddr>,
) -> Result<Winner> {
    let waker = operation.waker()?;
    let policy = policy(socket);
    let settings = Settings::current();
    let queries = Queries::start(
        name,
        port,
        policy.wanted().collect(),
        Some(socket),
        waker.try_clone()?,
    )?;
    let order = Order {
        policy,
        transport: transport(socket.kind),
        preferred,
    };
    let mut planner = Planner::new(
        PlanSettings {
            attempt_delay: settings.attempt_delay,
            resolution_delay: settings.resolution_delay,
            attempt_timeout: settings.connect_timeout,
            max_attempts: 2 * ADDRESSES_MAX,
        },
        order,
    );
    for family in queries.open_families() {
        planner.expect(family);
    }
    let race = Race {
        socket,
        operation,
        waker,
        queries,
        planner,
        name,
        preferred,
        deadline: super::deadline(),
        in_progress: Vec::new(),
        attempts_failed: 0,
        unreachable: Vec::new(),
        failure: None,
    };
    let stale = preferred
        .filter(|_| settings.serve_stale)
        .map(|mut addr| {
            addr.set_port(port);
            unmap(addr)
        })
        .filter(|addr| policy.wants(Family::of(addr)));
    race.run(stale)
}

/// The policy for a connect by name: a bound IPv4 socket takes IPv4 addresses
/// first, which it can reach without being replaced.
fn policy(socket: &Socket) -> Policy {
    let mut policy = socket.families.policy(V4Form::Native);
    let inner = socket.inner.lock();
    let is_bound_v4 = match &inner.state {
        State::Pending(pending) => {
            let base = pending.base.as_ref();
            base.is_some_and(|owner| owner.family() == Family::V4)
        }
        _ => false,
    };
    if is_bound_v4 && !matches!(policy.families, Families::Only(_)) {
        policy.families = Families::Prefer(Family::V4);
    }
    policy
}

/// A TCP handshake under way.
struct InProgress {
    addr: SocketAddr,
    fd: OwnedFd,
    since: Instant,
}

struct Race<'a> {
    socket: &'a Socket,
    operation: &'a Operation<'a>,
    waker: Waker,
    queries: Queries<'a>,
    planner: Planner,
    name: &'a str,
    preferred: Option<SocketAddr>,
    deadline: Deadline,
    in_progress: Vec<InProgress>,
    attempts_failed: usize,
    /// Addresses that there is no route to.
    unreachable: Vec<SocketAddr>,
    failure: Option<Errno>,
}

impl Race<'_> {
    /// `stale`: the address to use when the name can't be resolved.
    fn run(mut self, stale: Option<SocketAddr>) -> Result<Winner> {
        loop {
            self.operation.check()?;
            let now = Instant::now();
            if self.deadline.has_passed(now) {
                return Err(Errno(libc::ETIMEDOUT));
            }
            self.take_answers(now)?;
            let until = match self.planner.next(now) {
                Step::Start(addr) => {
                    self.in_progress.try_reserve(1)?;
                    self.unreachable.try_reserve(1)?;
                    match attempt::start(self.socket, self.operation, addr) {
                        Ok(Attempt::Connected(fd)) => return Ok(Winner { fd: Some(fd), addr }),
                        Ok(Attempt::BaseConnected) => return Ok(Winner { fd: None, addr }),
                        Ok(Attempt::InProgress(fd)) => self.in_progress.push(InProgress {
                            addr,
                            fd,
                            since: now,
                        }),
                        Err(error) => self.attempt_failed(addr, now, error),
                    }
                    continue;
                }
                Step::Abandon(addr) => {
                    let position = self.in_progress.iter().position(|one| one.addr == addr);
                    if let Some(index) = position {
                        let since = self.in_progress.swap_remove(index).since;
                        self.attempt_failed(addr, since, Errno(libc::ETIMEDOUT));
                    }
                    continue;
                }
                Step::WaitUntil(at) => Some(at),
                Step::Exhausted if !self.queries.is_open() => return self.exhausted(stale),
                Step::Wait | Step::Exhausted => None,
            };
            if let Some(winner) = self.wait(until)? {
                return Ok(winner);
            }
        }
    }

    /// No address of the name is left, or it has none.
    fn exhausted(self, stale: Option<SocketAddr>) -> Result<Winner> {
        if let Some(failure) = self.failure {
            let (socket, unreachable) = (self.socket, &self.unreachable);
            let translated = super::connect_translated(
                socket,
                self.operation,
                unreachable,
                self.preferred,
                failure,
                self.deadline,
            );
            match translated {
                // An address that there is no way to is as none: the name may have one
                // of the family that is not known.
                Err(error) if error.is_any(&NO_WAY) && !self.queries.is_denied() => {}
                done => return done,
            }
        }
        let unresolved = self.queries.error();
        let Some(addr) = stale.filter(|_| !self.queries.is_denied()) else {
            return Err(unresolved);
        };
        // RFC 8767: an old answer is better than none.
        log::warn!(
            "socket {}: {} can't be resolved ({}); using {addr} as before",
            self.socket.id,
            self.name,
            unresolved,
        );
        let connected = super::connect_to(self.socket, self.operation, addr, self.deadline);
        connected.map_err(|_| match self.operation.check() {
            Ok(()) => unresolved,
            Err(ended) => ended,
        })
    }

    /// Tells the planner what the name service answered since the last time.
    fn take_answers(&mut self, now: Instant) -> Result<(), TryReserveError> {
        let (socket, planner) = (self.socket, &mut self.planner);
        let source_of = |addr: &SocketAddr| source_of(&socket.config, addr);
        let hints = hints(&source_of);
        while let Some((family, mut addrs)) = self.queries.next_answer() {
            for addr in &mut addrs {
                *addr = socket.with_scope(*addr);
            }
            planner.answer(now, family, &addrs, &hints)?;
        }
        if self.queries.deadline().has_passed(now) {
            let unanswered = self.queries.open_families();
            self.queries.give_up();
            for family in unanswered {
                planner.answer(now, family, &[], &hints)?;
            }
        }
        Ok(())
    }

    fn attempt_failed(&mut self, addr: SocketAddr, since: Instant, error: Errno) {
        self.attempts_failed += 1;
        log::debug!(
            "socket {}: {}: attempt {} to {addr} failed after {} ms: {}",
            self.socket.id,
            self.name,
            self.attempts_failed,
            milliseconds(since.elapsed()),
            error,
        );
        self.planner.failed(addr);
        if is_unreachable(error) {
            self.unreachable.push(addr);
        }
        // That a bound socket does not reach a family says nothing of the name.
        if error != unknown_host() || self.failure.is_none() {
            self.failure = Some(error);
        }
    }

    /// Waits for an attempt, an answer, the planner's next step or the end of
    /// the call; the first attempt that succeeds is the winner.
    fn wait(&mut self, until: Option<Instant>) -> Result<Option<Winner>> {
        let mut deadline = self.deadline;
        if self.queries.is_open() {
            deadline = deadline.min(self.queries.deadline());
        }
        if let Some(until) = until {
            deadline = deadline.min(Deadline::at(until));
        }
        let mut fds = Vec::new();
        fds.try_reserve_exact(self.in_progress.len() + 1)?;
        for attempt in &self.in_progress {
            fds.push(PollFd::new(attempt.fd.as_fd(), Interest::Writable));
        }
        fds.push(PollFd::new(self.waker.as_fd(), Interest::Readable));
        match wait(&mut fds, deadline) {
            Ok(()) => {}
            // The loop knows what this means.
            Err(error) if error == Errno(libc::ETIMEDOUT) => return Ok(None),
            Err(error) => return Err(error),
        }
        // One for each wait; others are ready at the next one, too.
        let ready = fds.iter().position(PollFd::is_ready);
        let has_error = ready.is_some_and(|index| fds[index].has_error());
        self.waker.clear();
        let Some(index) = ready.filter(|index| *index < self.in_progress.len()) else {
            return Ok(None);
        };
        let InProgress { addr, fd, since } = self.in_progress.swap_remove(index);
        match attempt::finish(fd, &addr, has_error) {
            Ok(fd) => return Ok(Some(Winner { fd: Some(fd), addr })),
            Err(error) => self.attempt_failed(addr, since, error),
        }
        Ok(None)
    }
}
