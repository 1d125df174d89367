//! Lookups and attempts side by side (RFC 8305), as the planner of `anjay-net-resolve`
//! decides, and one wait over all of them.

use core::time::Duration;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use anjay_net_resolve::{
    Decimal, Families, Family, IPV4ONLY_ARPA, PlanSettings, Planner, Policy, Step, V4Form, alloc,
    unmap,
};

use super::attempt::{self, Attempt};
use crate::error::{Errno, Result};
use crate::log_line;
use crate::logging::{Escaped, PeerForLog};
use crate::lookup::{
    NO_WAY, Queries, Target, hints, lookup_in_operation, order, source_of, unknown_host,
};
use crate::nat64::{self, Translation, is_unreachable};
use crate::pending::Operation;
use crate::settings::Settings;
use crate::socket::REGISTRY;
use crate::sys::{PollFd, Waker};
use crate::timeout::{milliseconds, wait};

/// What a connect came to.
pub(crate) struct Winner {
    /// A new descriptor, or `None` for the one that the socket was bound with.
    pub(crate) fd: Option<OwnedFd>,
    /// The address that it is connected to.
    pub(crate) addr: SocketAddr,
}

/// Connects to an address, or to whichever address of a name accepts first. The time
/// is observed if the network had to be waited for.
#[inline(never)]
pub(crate) fn connect(
    operation: &Operation<'_>,
    host: &[u8],
    target: &Target<'_>,
    preferred: Option<SocketAddr>,
) -> Result<Winner> {
    let socket = operation.socket;
    let policy = policy(operation)?;
    let settings = Settings::current();
    let now = Instant::now();
    let plan = PlanSettings {
        attempt_delay: settings.attempt_delay,
        resolution_delay: settings.resolution_delay,
    };
    let limit = settings.resolve_timeout + 2 * settings.connect_timeout;
    let mut race = Race {
        attempt_timeout: settings.connect_timeout,
        operation,
        waker: None,
        host,
        queries: None,
        planner: Planner::new(plan, order(policy, socket.kind, preferred)),
        deadline: now + limit,
        in_progress: Vec::new(),
        attempts_failed: 0,
        failure: None,
        unreachable: Vec::new(),
        translation: Translation::default(),
        stale: None,
        is_stale: false,
    };
    let winner = match *target {
        Target::Wildcard(_) => return Err(unknown_host()),
        Target::Literal(addr) => {
            let addr = policy.admit(socket.with_scope(addr));
            race.start(addr.ok_or_else(unknown_host)?, now)?
        }
        Target::Name { name, port } => {
            let families = policy.wanted();
            let waker = operation.waker()?;
            let queries = Queries::start(name, port, families, Some(socket), waker)?;
            // A lookup that this thread had to make itself takes any time.
            race.deadline = Instant::now() + limit;
            for family in queries.open().iter() {
                race.planner.expect(family);
            }
            race.queries = Some(queries);
            let stale = preferred.filter(|_| settings.serve_stale);
            race.stale = stale.and_then(|mut addr| {
                addr.set_port(port);
                policy.admit(unmap(addr))
            });
            None
        }
    };
    let winner = winner.map_or_else(|| race.run(), Ok);
    if race.queries.is_some() || race.waker.is_some() {
        let time = now.elapsed();
        socket.counters.set_last_connect(time);
        REGISTRY.connects.observe(time);
    }
    winner
}

/// The policy for a connect: a bound IPv4 socket takes IPv4 addresses first, which it
/// can reach without being replaced.
fn policy(operation: &Operation<'_>) -> Result<Policy> {
    let mut policy = operation.socket.families.policy(V4Form::Native);
    let base = operation.base()?;
    let is_bound_v4 = base.is_some_and(|base| base.flags().family() == Family::V4);
    if is_bound_v4 && !matches!(policy.families, Families::Only(_)) {
        policy.families = Families::Prefer(Family::V4);
    }
    Ok(policy)
}

/// A TCP handshake under way.
struct InProgress {
    addr: SocketAddr,
    fd: OwnedFd,
    since: Instant,
}

struct Race<'a> {
    operation: &'a Operation<'a>,
    /// Made by the first wait.
    waker: Option<Waker>,
    host: &'a [u8],
    /// The lookups of a name.
    queries: Option<Queries<'a>>,
    planner: Planner,
    deadline: Instant,
    attempt_timeout: Duration,
    in_progress: Vec<InProgress>,
    attempts_failed: usize,
    failure: Option<Errno>,
    /// Addresses that there is no route to.
    unreachable: Vec<SocketAddr>,
    translation: Translation,
    /// The address to use when the name can't be resolved.
    stale: Option<SocketAddr>,
    is_stale: bool,
}

impl Race<'_> {
    #[inline(never)]
    fn run(&mut self) -> Result<Winner> {
        loop {
            self.operation.check()?;
            let now = Instant::now();
            if now >= self.deadline {
                return Err(Errno(libc::ETIMEDOUT));
            }
            self.take_answers(now)?;
            self.abandon_overdue(now)?;
            let winner = match self.planner.next(now) {
                Step::Start(addr) => self.start(addr, now)?,
                Step::WaitUntil(at) => self.wait(at)?,
                Step::Exhausted if self.in_progress.is_empty() => {
                    self.add_last_resort(now)?;
                    None
                }
                Step::Wait | Step::Exhausted => self.wait(self.deadline)?,
            };
            if let Some(winner) = winner {
                return Ok(winner);
            }
        }
    }

    /// Begins an attempt, which may end at once.
    fn start(&mut self, addr: SocketAddr, since: Instant) -> Result<Option<Winner>> {
        match attempt::start(self.operation, addr) {
            Ok(Attempt::Connected(fd)) => return Ok(Some(Winner { fd, addr })),
            Ok(Attempt::InProgress(fd)) => {
                alloc::push(&mut self.in_progress, InProgress { addr, fd, since })?;
            }
            Err(error) => self.attempt_failed(addr, since, error)?,
        }
        Ok(None)
    }

    /// Ends the attempts whose time is over.
    #[inline(never)]
    fn abandon_overdue(&mut self, now: Instant) -> Result<()> {
        let timeout = self.attempt_timeout;
        let is_overdue = |attempt: &InProgress| now >= attempt.since + timeout;
        while let Some(index) = self.in_progress.iter().position(is_overdue) {
            let InProgress { addr, since, .. } = self.in_progress.swap_remove(index);
            self.attempt_failed(addr, since, Errno(libc::ETIMEDOUT))?;
        }
        Ok(())
    }

    /// Adds what is left when no address of the host works, or it has none: those of
    /// translators, then one that worked before. The error where nothing is left.
    #[inline(never)]
    fn add_last_resort(&mut self, now: Instant) -> Result<()> {
        let (operation, deadline) = (self.operation, self.deadline);
        let mut failure = self.failure;
        if let Some(error) = failure {
            let prefixes = (IPV4ONLY_ARPA, 0);
            let mut ask =
                || lookup_in_operation(operation, prefixes, &nat64::IPV6_ONLY, Some(deadline));
            let (socket, unreachable) = (operation.socket, &self.unreachable);
            match self.translation.next(socket, unreachable, error, &mut ask) {
                Ok(addrs) if addrs.is_empty() => {}
                Ok(mut addrs) => return self.add(now, Family::V6, &mut addrs),
                Err(error) => {
                    operation.check()?;
                    failure = Some(error);
                }
            }
        }
        let Some(queries) = &self.queries else {
            return Err(failure.unwrap_or_else(unknown_host));
        };
        let is_denied = queries.is_denied();
        // An unreachable address counts as none: the name may have one of the family
        // that is not known.
        if let Some(error) = failure.filter(|error| is_denied || !error.is_any(&NO_WAY)) {
            return Err(error);
        }
        let unresolved = queries.error();
        let Some(addr) = self.stale.take().filter(|_| !is_denied) else {
            return Err(unresolved);
        };
        // RFC 8767: an old answer is better than none.
        log_line!(
            Warn,
            self.operation.socket.id,
            "{} can't be resolved ({}); using {} as before",
            Escaped(self.host),
            unresolved,
            PeerForLog(Some(addr)),
        );
        self.is_stale = true;
        self.add(now, Family::of(&addr), &mut [addr])
    }

    /// Has the planner take addresses of one family, which are all that there are.
    fn add(&mut self, now: Instant, family: Family, addrs: &mut [SocketAddr]) -> Result<()> {
        let socket = self.operation.socket;
        for addr in &mut *addrs {
            *addr = socket.with_scope(*addr);
        }
        let source_of = |addr: &SocketAddr| source_of(&socket.config, addr);
        Ok(self
            .planner
            .answer(now, family, addrs, &hints(&source_of))?)
    }

    /// Tells the planner what the name service answered since the last time.
    fn take_answers(&mut self, now: Instant) -> Result<()> {
        while let Some((family, mut addrs)) = self
            .queries
            .as_mut()
            .and_then(|queries| queries.next_answer(now))
        {
            self.add(now, family, &mut addrs)?;
        }
        Ok(())
    }

    fn attempt_failed(&mut self, addr: SocketAddr, since: Instant, error: Errno) -> Result<()> {
        self.attempts_failed += 1;
        log_line!(
            Debug,
            self.operation.socket.id,
            "{}: attempt {} to {} failed after {} ms: {}",
            Escaped(self.host),
            Decimal(self.attempts_failed as i64),
            PeerForLog(Some(addr)),
            Decimal(milliseconds(since.elapsed()) as i64),
            error,
        );
        self.planner.failed();
        if is_unreachable(error) {
            alloc::push(&mut self.unreachable, addr)?;
        }
        // That a bound socket does not reach a family says nothing of the name, and an
        // address that is not the name's any more says nothing at all.
        if !self.is_stale && (error != unknown_host() || self.failure.is_none()) {
            self.failure = Some(error);
        }
        Ok(())
    }

    /// Waits for an attempt, an answer, the planner's next step or the end of
    /// the call; the first attempt that succeeds is the winner.
    #[inline(never)]
    fn wait(&mut self, until: Instant) -> Result<Option<Winner>> {
        let mut deadline = until.min(self.deadline);
        if let Some(queries) = self.queries.as_ref().filter(|it| !it.open().is_empty()) {
            deadline = deadline.min(queries.deadline);
        }
        let waker = match &mut self.waker {
            Some(waker) => waker,
            none => none.insert(self.operation.waker()?),
        };
        let mut fds = Vec::new();
        fds.try_reserve_exact(self.in_progress.len() + 1)?;
        for attempt in &self.in_progress {
            deadline = deadline.min(attempt.since + self.attempt_timeout);
            fds.push(PollFd::new(attempt.fd.as_fd(), libc::POLLOUT));
        }
        fds.push(PollFd::new(waker.as_fd(), libc::POLLIN));
        match wait(&mut fds, Some(deadline)) {
            // The loop knows what this means.
            Err(Errno(libc::ETIMEDOUT)) => return Ok(None),
            waited => waited?,
        }
        // One for each wait; others are ready at the next one, too.
        let ready = fds.iter().position(PollFd::is_ready);
        let has_error = ready.is_some_and(|index| fds[index].has_error());
        waker.clear();
        let Some(index) = ready.filter(|index| *index < self.in_progress.len()) else {
            return Ok(None);
        };
        let InProgress { addr, fd, since } = self.in_progress.swap_remove(index);
        match attempt::finish(fd, &addr, has_error) {
            Ok(fd) => return Ok(Some(Winner { fd: Some(fd), addr })),
            Err(error) => self.attempt_failed(addr, since, error)?,
        }
        Ok(None)
    }
}
