//! The lookups of one name.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anjay_net_resolve::{Family, Lookup, LookupError, Wake};
use anjay_net_stats::{Event, LookupOutcome};
use parking_lot::Mutex;

use crate::error::errno;
use crate::resolver::resolver;
use crate::settings::Settings;
use crate::socket::{REGISTRY, Socket};
use crate::sys::Waker;
use crate::timeout::{Deadline, milliseconds};

/// The lookups of one name: one for each family, all at once.
pub(crate) struct Queries<'a> {
    /// On whose behalf; `None` for an address list.
    socket: Option<&'a Socket>,
    name: &'a str,
    port: u16,
    waker: Arc<AnswerWaker>,
    open: Vec<Lookup>,
    failure: Option<LookupError>,
    started_at: Instant,
    deadline: Deadline,
}

/// Tells the caller of answers until it is detached.
///
/// The helper threads drop what they were given some time after they used it;
/// the caller's descriptor must not stay open that long.
struct AnswerWaker(Mutex<Option<Waker>>);

impl Wake for AnswerWaker {
    fn wake(&self) {
        if let Some(waker) = &*self.0.lock() {
            waker.wake();
        }
    }
}

impl<'a> Queries<'a> {
    /// Starts the lookups, or joins those that are under way. Families without a
    /// route are not left out: that can't be told from the main routing table
    /// (policy rules, VRFs), and an address without one fails at once when it is
    /// tried.
    pub(crate) fn start(
        name: &'a str,
        port: u16,
        families: &mut dyn Iterator<Item = Family>,
        socket: Option<&'a Socket>,
        waker: Waker,
    ) -> Queries<'a> {
        let deadline = Deadline::after(Settings::current().resolve_timeout);
        let waker = Arc::new(AnswerWaker(Mutex::new(Some(waker))));
        let open = resolver().lookup(name, families, waker.clone());
        Queries {
            socket,
            name,
            port,
            waker,
            open,
            failure: None,
            started_at: Instant::now(),
            deadline,
        }
    }

    /// The families whose answers are still to come.
    pub(crate) fn open_families(&self) -> impl Iterator<Item = Family> {
        self.open.iter().map(Lookup::family)
    }

    /// Whether any answer is still to come.
    pub(crate) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Until when answers count.
    pub(crate) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Passes on what has been answered since the last call, a failure as no
    /// addresses.
    pub(crate) fn collect(&mut self, answered: &mut dyn FnMut(Family, Vec<SocketAddr>)) {
        let mut index = 0;
        while let Some(lookup) = self.open.get(index) {
            let Some(answer) = lookup.poll() else {
                index += 1;
                continue;
            };
            let family = lookup.family();
            self.open.remove(index);
            let addrs = match answer {
                Ok(addrs) => {
                    self.record(family, LookupOutcome::Found);
                    let with_port = |addr: &SocketAddr| {
                        let mut addr = *addr;
                        addr.set_port(self.port);
                        addr
                    };
                    addrs.iter().map(with_port).collect()
                }
                Err(error) => {
                    self.fail(family, error);
                    Vec::new()
                }
            };
            answered(family, addrs);
        }
    }

    /// Time is up: what has not been answered will not be.
    pub(crate) fn give_up(&mut self) {
        for lookup in core::mem::take(&mut self.open) {
            self.fail(lookup.family(), lookup.overdue());
        }
    }

    fn fail(&mut self, family: Family, error: LookupError) {
        self.record(
            family,
            match error {
                error if error.is_final() => LookupOutcome::NotFound,
                LookupError::TimedOut | LookupError::TryAgain => LookupOutcome::TimedOut,
                _ => LookupOutcome::Failed,
            },
        );
        self.failure = Some(match self.failure.take() {
            Some(other) => weightier(other, error),
            None => error,
        });
    }

    /// Whether the name service knows that there is no address, which is an
    /// answer like any other (RFC 8767 section 4).
    pub(crate) fn is_denied(&self) -> bool {
        self.failure.is_none_or(|failure| failure.is_final())
    }

    /// Why there is no address at all. `EADDRNOTAVAIL` is final, so it is only for
    /// names that are known to have none; what may be different later is
    /// `ETIMEDOUT`.
    pub(crate) fn error(&self) -> io::Error {
        let Some(failure) = self.failure.filter(|failure| !failure.is_final()) else {
            return errno(libc::EADDRNOTAVAIL);
        };
        errno(match failure {
            LookupError::TimedOut | LookupError::TryAgain | LookupError::Failed => libc::ETIMEDOUT,
            LookupError::Busy => libc::EAGAIN,
            LookupError::System(Some(code)) => code,
            _ => libc::EIO,
        })
    }

    /// Counts and logs how a lookup ended.
    fn record(&self, family: Family, outcome: LookupOutcome) {
        let time = self.started_at.elapsed();
        REGISTRY.lookups.record(outcome, time);
        let event = match outcome {
            LookupOutcome::Found => Some(Event::LookupFound),
            LookupOutcome::Cancelled => None,
            _ => Some(Event::LookupFailed),
        };
        if let (Some(socket), Some(event)) = (self.socket, event) {
            socket.counters.record(event);
        }
        log::debug!(
            "socket {}: lookup of {} ({family:?}): {} after {} ms",
            self.socket.map_or(0, |socket| socket.id),
            self.name.as_bytes().escape_ascii(),
            outcome.name(),
            milliseconds(time),
        );
    }
}

impl Drop for Queries<'_> {
    fn drop(&mut self) {
        for family in self.open_families() {
            self.record(family, LookupOutcome::Cancelled);
        }
        *self.waker.0.lock() = None;
    }
}

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
