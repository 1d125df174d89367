//! From text to endpoints: what connect, bind, send_to and the address lists
//! of C all ask.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anjay_net_stats::{Counters, Event, LookupOutcome};
use parking_lot::Mutex;

use anjay_net_resolve::{
    EndpointList, Family, Host, Lookup, LookupError, Order, Policy, Resolver, TextError, Transport,
    Wake, parse_port,
};

use crate::exchange;
use crate::operation::Operation;
use crate::settings::Settings;
use crate::socket::{REGISTRY, Socket};
use crate::sys::{self, Interest, Notifier, PollFd};
use crate::wait::{Deadline, Waits};

/// What a host and a port mean.
pub(crate) enum Target<'a> {
    Wildcard(u16),
    Literal(SocketAddr),
    Name { name: &'a str, port: u16 },
}

impl<'a> Target<'a> {
    /// Reads host and port; a scope of an interface that is not there is bad
    /// text, too.
    #[inline]
    pub(crate) fn parse(host: &'a [u8], port: &[u8]) -> Result<Target<'a>, TextError> {
        let port = parse_port(port)?;
        Ok(match Host::parse(host)? {
            Host::Wildcard => Target::Wildcard(port),
            Host::Literal(literal) => Target::Literal(literal.with_port(port, |interface| {
                sys::interface_index(interface).ok_or(TextError::Scope)
            })?),
            Host::Name(name) => Target::Name { name, port },
        })
    }
}

/// The question behind an address list; see [`resolve`].
#[derive(Clone, Copy, Debug)]
pub struct Resolution<'a> {
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

/// Answers the question: at once for addresses, under
/// [`Settings::resolve_timeout`] for names.
///
/// # Errors
/// `EADDRNOTAVAIL` for text that is no host or port, an unknown name and a
/// wildcard that was not asked for; `EAFNOSUPPORT` when the name has no
/// address of an accepted family; `ETIMEDOUT` when no name server answered;
/// `EAGAIN` when too many lookups were under way all the time.
pub fn resolve(question: &Resolution<'_>) -> io::Result<EndpointList> {
    let policy = &question.policy;
    match Target::parse(question.host, question.port) {
        Ok(Target::Wildcard(port)) if question.passive => {
            Ok(EndpointList::wildcard(port, policy).preferring(question.preferred))
        }
        Ok(Target::Literal(addr)) => EndpointList::literal(addr, policy).ok_or_else(unknown),
        Ok(Target::Name { name, port }) => {
            let waiter = Waiter::alone()?;
            let asker = Asker::NOBODY;
            let questions = Questions::ask(name, port, policy, asker, &waiter.wakeup);
            questions.answer(policy, question.preferred, &waiter, || Ok(()))
        }
        Ok(Target::Wildcard(_)) | Err(_) => Err(unknown()),
    }
}

/// [`resolve`] of a name for a call that may be ended by shutdown or close.
pub(crate) fn lookup_for(
    operation: &Operation<'_>,
    asker: Asker<'_>,
    (name, port): (&str, u16),
    policy: &Policy,
) -> io::Result<EndpointList> {
    let waiter = Waiter {
        wakeup: operation.wakeup()?,
        descriptor: None,
    };
    Questions::ask(name, port, policy, asker, &waiter.wakeup)
        .answer(policy, None, &waiter, || operation.check())
}

/// [`resolve`] of a name for a call that is inside the gate with `descriptor`:
/// it ends when that is shut down. `check` says whether that happened.
pub(crate) fn lookup_with(
    descriptor: RawFd,
    asker: Asker<'_>,
    (name, port): (&str, u16),
    policy: &Policy,
    check: impl FnMut() -> io::Result<()>,
) -> io::Result<EndpointList> {
    let waiter = Waiter {
        wakeup: Arc::new(Notifier::new()?),
        descriptor: Some(descriptor),
    };
    Questions::ask(name, port, policy, asker, &waiter.wakeup).answer(policy, None, &waiter, check)
}

/// The error of a name or an address that does not exist.
pub(crate) fn unknown() -> io::Error {
    sys::errno(libc::EADDRNOTAVAIL)
}

/// Whether a lookup ended with the answer that there is nothing.
pub(crate) fn is_unknown(error: &io::Error) -> bool {
    sys::is(error, libc::EADDRNOTAVAIL) || sys::is(error, libc::EAFNOSUPPORT)
}

/// Tells one caller of answers, until that one hangs up.
///
/// The helper threads let go of what they were given some time after they
/// used it; the caller's descriptor must not stay open that long.
struct Bell(Mutex<Option<Arc<Notifier>>>);

impl Wake for Bell {
    fn wake(&self) {
        if let Some(notifier) = &*self.0.lock() {
            notifier.notify();
        }
    }
}

/// What a lookup's caller waits for.
struct Waiter {
    wakeup: Arc<Notifier>,
    descriptor: Option<RawFd>,
}

impl Waiter {
    fn alone() -> io::Result<Waiter> {
        Ok(Waiter {
            wakeup: Arc::new(Notifier::new()?),
            descriptor: None,
        })
    }

    /// Waits for news. An ICMP error is one too: the send to come would say it,
    /// and until somebody takes it the descriptor is ready without end.
    fn wait(&self, waits: &mut Waits, deadline: Deadline) -> io::Result<()> {
        let mut fds = [
            PollFd::of_notifier(Some(&self.wakeup)),
            // poll(2) ignores negative numbers.
            PollFd::new(self.descriptor.unwrap_or(-1), Interest::HangUp),
        ];
        waits.wait_until(&mut fds, deadline)?;
        self.wakeup.clear();
        match self.descriptor {
            Some(fd) if fds[1].is_ready() && !fds[1].is_hung_up() => sys::take_error(fd),
            _ => Ok(()),
        }
    }
}

impl Socket {
    /// This socket as the one that asks.
    pub(crate) fn asker(&self) -> Asker<'_> {
        Asker {
            socket: self.id,
            counters: Some(&self.counters),
        }
    }
}

/// On whose behalf a name is looked up.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// The socket's number in log lines, 0 for none.
    socket: u32,
    counters: Option<&'a Counters>,
}

impl Asker<'_> {
    /// No socket.
    const NOBODY: Asker<'static> = Asker {
        socket: 0,
        counters: None,
    };

    /// Counts and logs how a lookup ended; `None` when its answer was not needed
    /// any more.
    #[cold]
    #[inline(never)]
    fn conclude(
        &self,
        name: &str,
        family: Family,
        answer: Option<Result<(), LookupError>>,
        since: Instant,
    ) {
        let time = since.elapsed();
        let (outcome, event) = match answer {
            Some(Ok(())) => (LookupOutcome::Found, Some(Event::LookupFound)),
            Some(Err(error)) => (outcome_of(error, time), Some(Event::LookupFailed)),
            None => (LookupOutcome::Cancelled, None),
        };
        REGISTRY.lookups.record(outcome, time);
        if let (Some(counters), Some(event)) = (self.counters, event) {
            counters.record(event);
        }
        log::debug!(
            "socket {}: lookup of {} ({family:?}): {} after {} ms",
            self.socket,
            name.as_bytes().escape_ascii(),
            outcome.name(),
            time.as_millis(),
        );
    }
}

/// As what a lookup counts that failed after `time`.
fn outcome_of(error: LookupError, time: Duration) -> LookupOutcome {
    match error {
        LookupError::NotFound | LookupError::NoAddress => LookupOutcome::NotFound,
        LookupError::TimedOut => LookupOutcome::TimedOut,
        LookupError::TryAgain if time > SERVER_ANSWERS => LookupOutcome::TimedOut,
        _ => LookupOutcome::Failed,
    }
}

/// The lookups of one name: one for each family, all at once.
pub(crate) struct Questions<'a> {
    asker: Asker<'a>,
    name: &'a str,
    port: u16,
    bell: Arc<Bell>,
    open: Vec<(Family, Lookup)>,
    /// A family that is not wanted, and was not asked for yet.
    unwanted: Option<Family>,
    /// Whether the name exists in that family at least.
    doubt: Option<Lookup>,
    failure: Option<LookupError>,
    asked_at: Instant,
    deadline: Deadline,
}

impl<'a> Questions<'a> {
    /// Starts the lookups, or joins those that are under way.
    pub(crate) fn ask(
        name: &'a str,
        port: u16,
        policy: &Policy,
        asker: Asker<'a>,
        wakeup: &Arc<Notifier>,
    ) -> Questions<'a> {
        let deadline = Deadline::after(Settings::current().resolve_timeout);
        let bell = Arc::new(Bell(Mutex::new(Some(Arc::clone(wakeup)))));
        // Every family that the policy admits: which of them has a route can't be
        // told from the main routing table (policy rules, VRFs), and an address
        // without one fails at once when it is tried.
        let open: Vec<_> = policy
            .wanted()
            .map(|family| {
                let lookup = ask_system(name, family, &bell);
                (family, lookup)
            })
            .collect();
        // Who joins a lookup hears of it that the system resolver gave up after
        // less than its own deadline.
        let asked_at = open
            .iter()
            .map(|(_, lookup): &(_, Lookup)| lookup.asked_at())
            .min()
            .unwrap_or_else(Instant::now);
        let unwanted = match open[..] {
            [(family, _)] => Some(family.other()),
            _ => None,
        };
        Questions {
            asker,
            name,
            port,
            bell,
            open,
            unwanted,
            doubt: None,
            failure: None,
            asked_at,
            deadline,
        }
    }

    /// The families whose answers are still to come.
    pub(crate) fn open_families(&self) -> impl Iterator<Item = Family> {
        self.open.iter().map(|(family, _)| *family)
    }

    /// Whether any answer is still to come.
    pub(crate) fn is_open(&self) -> bool {
        !self.open.is_empty() || self.doubt.is_some()
    }

    /// Until when answers count.
    pub(crate) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Hands over what has been answered since the last call, a failure as no
    /// addresses.
    pub(crate) fn collect(&mut self, mut answered: impl FnMut(Family, Vec<SocketAddr>)) {
        let (port, failure) = (self.port, &mut self.failure);
        let (asker, name, asked_at) = (self.asker, self.name, self.asked_at);
        self.open.retain(|(family, lookup)| {
            let Some(answer) = lookup.poll() else {
                return true;
            };
            let end = answer.as_ref().map(drop).map_err(|error| *error);
            asker.conclude(name, *family, Some(end), asked_at);
            let addrs = match answer {
                Ok(addrs) => addrs
                    .iter()
                    .map(|addr| {
                        let mut addr = *addr;
                        addr.set_port(port);
                        addr
                    })
                    .collect(),
                Err(error) => {
                    *failure = Some(match failure.take() {
                        Some(other) => weightier(other, error),
                        None => error,
                    });
                    Vec::new()
                }
            };
            answered(*family, addrs);
            false
        });
        self.doubt_unknown();
    }

    /// That there is no such name may be the answer, too, where it has
    /// addresses of the other family only: [`LookupError::NotFound`].
    fn doubt_unknown(&mut self) {
        if self.open.is_empty() && self.failure == Some(LookupError::NotFound) {
            if let Some(family) = self.unwanted.take() {
                self.doubt = Some(ask_system(self.name, family, &self.bell));
            }
        }
        if let Some(answer) = self.doubt.as_ref().and_then(Lookup::poll) {
            self.doubt = None;
            if answer.is_ok() {
                self.failure = Some(LookupError::NoAddress);
            }
        }
    }

    /// Time is up: what has not been answered will not be.
    pub(crate) fn give_up(&mut self) {
        self.unwanted = None;
        self.doubt = None;
        for (family, lookup) in self.open.drain(..) {
            let overdue = lookup.overdue();
            self.asker
                .conclude(self.name, family, Some(Err(overdue)), self.asked_at);
            self.failure = Some(match self.failure.take() {
                Some(other) => weightier(other, overdue),
                None => overdue,
            });
        }
    }

    /// Whether the name service knows that there is no address, which is an
    /// answer like any other (RFC 8767 section 4).
    pub(crate) fn is_denied(&self) -> bool {
        matches!(
            self.failure,
            None | Some(LookupError::NotFound | LookupError::NoAddress)
        )
    }

    /// Why there is no address at all.
    pub(crate) fn error(&self) -> io::Error {
        sys::errno(match self.failure {
            None | Some(LookupError::NoAddress) => libc::EAFNOSUPPORT,
            Some(LookupError::NotFound) => libc::EADDRNOTAVAIL,
            Some(LookupError::TimedOut) => libc::ETIMEDOUT,
            // After a while this is the system resolver's own deadline; at
            // once it is a server's failure, or that there is no server.
            Some(LookupError::TryAgain) if self.asked_at.elapsed() > SERVER_ANSWERS => {
                libc::ETIMEDOUT
            }
            Some(LookupError::TryAgain | LookupError::Failed) => libc::EADDRNOTAVAIL,
            Some(LookupError::Busy) => libc::EAGAIN,
            Some(LookupError::System(Some(code))) => code,
            Some(_) => libc::EIO,
        })
    }

    /// Waits for all answers and puts them in order. With the deadline over,
    /// those that came are enough.
    fn answer(
        mut self,
        policy: &Policy,
        preferred: Option<SocketAddr>,
        waiter: &Waiter,
        mut check: impl FnMut() -> io::Result<()>,
    ) -> io::Result<EndpointList> {
        let mut found = Vec::new();
        let mut waits = Waits::NONE;
        loop {
            check()?;
            self.collect(|_, mut addrs| found.append(&mut addrs));
            if !self.is_open() {
                break;
            }
            match waiter.wait(&mut waits, self.deadline) {
                Ok(()) => {}
                Err(error) if sys::is(&error, libc::ETIMEDOUT) => self.give_up(),
                Err(error) => return Err(error),
            }
        }
        if found.is_empty() {
            return Err(self.error());
        }
        let order = Order {
            policy: *policy,
            transport: Transport::Datagram,
            preferred,
        };
        Ok(EndpointList::ordered(&found, &order, &|addr| {
            exchange::is_demoted(addr)
        }))
    }
}

/// Asks the system resolver. The helper thread that this may start takes none
/// of the program's signals.
fn ask_system(name: &str, family: Family, bell: &Arc<Bell>) -> Lookup {
    sys::with_signals_blocked(|| Resolver::global().lookup(name, family, bell.clone()))
}

impl Drop for Questions<'_> {
    fn drop(&mut self) {
        for (family, _) in &self.open {
            self.asker.conclude(self.name, *family, None, self.asked_at);
        }
        *self.bell.0.lock() = None;
    }
}

/// A name server that fails says so within this time.
const SERVER_ANSWERS: Duration = Duration::from_secs(1);

/// Of two families' failures the one that says more: that a server did not
/// answer matters more than that there is nothing of the other family.
fn weightier(a: LookupError, b: LookupError) -> LookupError {
    let weight = |error: &LookupError| match error {
        LookupError::NotFound => 0,
        LookupError::NoAddress => 1,
        LookupError::TryAgain => 2,
        LookupError::Busy => 3,
        LookupError::TimedOut => 4,
        _ => 5,
    };
    if weight(&b) > weight(&a) { b } else { a }
}
