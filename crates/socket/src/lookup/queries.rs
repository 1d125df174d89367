//! The lookups of one name.

use std::net::SocketAddr;
use std::time::Instant;

use anjay_net_resolve::{Decimal, Family, FamilySet, Lookup, LookupError};
use anjay_net_stats::{Event, LookupOutcome};

use crate::error::{Errno, Result};
use crate::log_line;
use crate::logging::Escaped;
use crate::resolver::resolver;
use crate::settings::Settings;
use crate::socket::{REGISTRY, Socket};
use crate::sys::{Waker, try_box};
use crate::timeout::milliseconds;

/// The lookups of one name: one for each family, all at once.
pub(crate) struct Queries<'a> {
    /// On whose behalf; `None` for an address list.
    socket: Option<&'a Socket>,
    name: &'a str,
    port: u16,
    lookup: Lookup,
    /// Of all failures the one that says most.
    failure: LookupError,
    started_at: Instant,
    /// Until when answers count.
    pub(crate) deadline: Instant,
}

impl<'a> Queries<'a> {
    /// Starts the lookups, or joins those that are under way. Families without a
    /// route are not left out: that can't be told from the main routing table
    /// (policy rules, VRFs), and an address without one fails at once when it is
    /// tried.
    pub(crate) fn start(
        name: &'a str,
        port: u16,
        families: FamilySet,
        socket: Option<&'a Socket>,
        waker: Waker,
    ) -> Result<Queries<'a>> {
        let started_at = Instant::now();
        let deadline = started_at + Settings::current().resolve_timeout;
        let waker = try_box(waker)?;
        let lookup = resolver().and_then(|resolver| resolver.lookup(name, families, waker));
        Ok(Queries {
            socket,
            name,
            port,
            lookup: lookup.map_err(error_of)?,
            failure: LookupError::NotFound,
            started_at,
            deadline,
        })
    }

    /// The families whose answers are still to come.
    pub(crate) fn open(&self) -> FamilySet {
        self.lookup.open()
    }

    /// The next answer that is there, a failure as no addresses. From the deadline on,
    /// what has not been answered has failed.
    pub(crate) fn next_answer(&mut self, now: Instant) -> Option<(Family, Vec<SocketAddr>)> {
        let answer = self.lookup.poll().or_else(|| {
            let unanswered = self.open().iter().find(|_| now >= self.deadline)?;
            Some((unanswered, Err(self.lookup.give_up(unanswered))))
        });
        let (family, answer) = answer?;
        self.record(
            family,
            match &answer {
                Ok(_) => LookupOutcome::Found,
                Err(error) if error.is_final() => LookupOutcome::NotFound,
                Err(LookupError::TimedOut | LookupError::TryAgain) => LookupOutcome::TimedOut,
                Err(_) => LookupOutcome::Failed,
            },
        );
        let mut addrs = answer.unwrap_or_else(|error| {
            self.failure = weightier(self.failure, error);
            Vec::new()
        });
        for addr in &mut addrs {
            addr.set_port(self.port);
        }
        Some((family, addrs))
    }

    /// Whether the name service knows that there is no address, which is an
    /// answer like any other (RFC 8767 section 4).
    pub(crate) fn is_denied(&self) -> bool {
        self.failure.is_final()
    }

    /// Why there is no address at all. `EADDRNOTAVAIL` is final, so it is only for
    /// names that are known to have none; what may be different later is
    /// `ETIMEDOUT`.
    pub(crate) fn error(&self) -> Errno {
        error_of(self.failure)
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
        log_line!(
            Debug,
            self.socket.map_or(0, |socket| socket.id),
            "lookup of {} ({}): {} after {} ms",
            Escaped(self.name.as_bytes()),
            Escaped(match family {
                Family::V4 => b"IPv4",
                Family::V6 => b"IPv6",
            }),
            Escaped(outcome.name().as_bytes()),
            Decimal(milliseconds(time) as i64),
        );
    }
}

impl Drop for Queries<'_> {
    fn drop(&mut self) {
        for family in self.open().iter() {
            self.record(family, LookupOutcome::Cancelled);
        }
    }
}

fn error_of(failure: LookupError) -> Errno {
    Errno(match failure {
        error if error.is_final() => libc::EADDRNOTAVAIL,
        LookupError::TimedOut | LookupError::TryAgain | LookupError::Failed => libc::ETIMEDOUT,
        LookupError::Busy => libc::EAGAIN,
        LookupError::System(code) => code,
        _ => libc::EIO,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_errno() {
        let failures = [
            (LookupError::NotFound, libc::EADDRNOTAVAIL),
            (LookupError::NoAddress, libc::EADDRNOTAVAIL),
            (LookupError::TimedOut, libc::ETIMEDOUT),
            (LookupError::TryAgain, libc::ETIMEDOUT),
            (LookupError::Failed, libc::ETIMEDOUT),
            (LookupError::Busy, libc::EAGAIN),
            (LookupError::System(libc::EMFILE), libc::EMFILE),
            (LookupError::Other(-6), libc::EIO),
            (LookupError::Panicked, libc::EIO),
        ];
        for (failure, code) in failures {
            assert_eq!(error_of(failure), Errno(code), "{failure:?}");
        }
    }

    #[test]
    fn of_two_failures_the_one_that_says_more_counts() {
        let ascending = [
            LookupError::NotFound,
            LookupError::NoAddress,
            LookupError::TryAgain,
            LookupError::Busy,
            LookupError::TimedOut,
            LookupError::Failed,
        ];
        for (index, less) in ascending.into_iter().enumerate() {
            for more in &ascending[index..] {
                assert_eq!(weightier(less, *more), *more);
                assert_eq!(weightier(*more, less), *more);
            }
        }
    }
}
