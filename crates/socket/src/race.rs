//! Connecting to a name: lookups and attempts side by side, as the planner of
//! `anjay-net-resolve` says, and one wait over all of them.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use anjay_net_resolve::{Family, Order, PlanSettings, Planner, Step, Transport, unmap};

use crate::exchange;
use crate::names::Questions;
use crate::operation::Operation;
use crate::reach::{Attempt, Reached};
use crate::settings::Settings;
use crate::socket::Socket;
use crate::sys::{self, Interest, Notifier, PollFd};
use crate::wait::{Deadline, wait};

/// Connects to whichever address of `name` is reached first.
pub(crate) fn run(
    socket: &Socket,
    operation: &Operation<'_>,
    name: &str,
    port: u16,
    preferred: Option<SocketAddr>,
) -> io::Result<(Reached, SocketAddr)> {
    let wakeup = operation.wakeup()?;
    let policy = socket.connect_policy();
    let settings = Settings::current();
    let questions = Questions::ask(name, port, &policy, socket.asker(), &wakeup);
    let mut planner = Planner::new(
        PlanSettings {
            attempt_delay: settings.attempt_delay,
            resolution_delay: settings.resolution_delay,
            attempt_timeout: settings.connect_timeout,
            ..PlanSettings::default()
        },
        Order {
            policy,
            transport: if socket.is_stream() {
                Transport::Stream
            } else {
                Transport::Datagram
            },
            preferred,
        },
    );
    for family in questions.open_families() {
        planner.expect(family);
    }
    Race {
        socket,
        operation,
        wakeup,
        questions,
        planner,
        name,
        in_flight: Vec::new(),
        attempts_lost: 0,
        failure: None,
        stale: preferred
            .filter(|_| settings.serve_stale)
            .map(|mut addr| {
                addr.set_port(port);
                unmap(addr)
            })
            .filter(|addr| policy.wants(Family::of(addr))),
    }
    .run()
}

/// A TCP handshake under way.
struct InFlight {
    addr: SocketAddr,
    fd: OwnedFd,
    since: Instant,
}

struct Race<'a> {
    socket: &'a Socket,
    operation: &'a Operation<'a>,
    wakeup: Arc<Notifier>,
    questions: Questions<'a>,
    planner: Planner,
    name: &'a str,
    in_flight: Vec<InFlight>,
    attempts_lost: usize,
    failure: Option<io::Error>,
    /// The address to use when the name can't be resolved.
    stale: Option<SocketAddr>,
}

impl Race<'_> {
    fn run(mut self) -> io::Result<(Reached, SocketAddr)> {
        loop {
            self.operation.check()?;
            let now = Instant::now();
            self.hear_answers(now);
            let until = match self.planner.next(now) {
                Step::Start(addr) => match self.socket.attempt(self.operation, addr) {
                    Ok(Attempt::Done(reached)) => return Ok((reached, addr)),
                    Ok(Attempt::InFlight(fd)) => {
                        self.in_flight.push(InFlight {
                            addr,
                            fd,
                            since: now,
                        });
                        continue;
                    }
                    Err(error) => {
                        self.lose(addr, now, error);
                        continue;
                    }
                },
                Step::Abandon(addr) => {
                    if let Some(index) = self.position(addr) {
                        let attempt = self.in_flight.swap_remove(index);
                        self.lose(addr, attempt.since, sys::errno(libc::ETIMEDOUT));
                    }
                    continue;
                }
                Step::WaitUntil(at) => Some(at),
                Step::Exhausted if !self.questions.is_open() => return self.exhausted(),
                Step::Wait | Step::Exhausted => None,
            };
            if let Some(won) = self.wait(until)? {
                return Ok(won);
            }
        }
    }

    /// No address of the name is left, or it has none.
    fn exhausted(self) -> io::Result<(Reached, SocketAddr)> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let unresolved = self.questions.error();
        let Some(addr) = self.stale.filter(|_| !self.questions.is_denied()) else {
            return Err(unresolved);
        };
        // RFC 8767: an old answer is better than none.
        log::warn!(
            "socket {}: {} can't be resolved ({unresolved}); using {addr} as before",
            self.socket.id,
            self.name,
        );
        self.socket
            .reach(self.operation, addr)
            .map_err(|_| match self.operation.check() {
                Ok(()) => unresolved,
                Err(ended) => ended,
            })
    }

    /// Tells the planner what the name service said since it was last asked.
    fn hear_answers(&mut self, now: Instant) {
        let (socket, planner) = (self.socket, &mut self.planner);
        // TCP finds out for itself who answers.
        let demotes = !socket.is_stream();
        let mut hear = |questions: &mut Questions<'_>| {
            questions.collect(|family, mut addrs| {
                addrs
                    .iter_mut()
                    .for_each(|addr| *addr = socket.scoped(*addr));
                planner.answer(now, family, &addrs, &|addr| {
                    demotes && exchange::is_demoted(addr)
                });
            });
        };
        hear(&mut self.questions);
        if self.questions.deadline().has_passed(now) {
            let unanswered: Vec<_> = self.questions.open_families().collect();
            self.questions.give_up();
            for family in unanswered {
                self.planner.answer(now, family, &[], &|_| false);
            }
        }
    }

    fn position(&self, addr: SocketAddr) -> Option<usize> {
        self.in_flight
            .iter()
            .position(|attempt| attempt.addr == addr)
    }

    fn lose(&mut self, addr: SocketAddr, since: Instant, error: io::Error) {
        self.attempts_lost += 1;
        log::debug!(
            "socket {}: {}: attempt {} to {addr} failed after {} ms: {error}",
            self.socket.id,
            self.name,
            self.attempts_lost,
            since.elapsed().as_millis(),
        );
        self.planner.failed(addr);
        self.failure = Some(error);
    }

    /// Waits for an attempt, an answer, the planner's next step or the end of
    /// the call; an attempt that succeeded has won.
    fn wait(&mut self, until: Option<Instant>) -> io::Result<Option<(Reached, SocketAddr)>> {
        let mut deadline = if self.questions.is_open() {
            self.questions.deadline()
        } else {
            Deadline::NEVER
        };
        if let Some(until) = until {
            deadline = deadline.or_at(until);
        }
        let mut fds: Vec<PollFd> = self
            .in_flight
            .iter()
            .map(|attempt| PollFd::new(sys::raw(&attempt.fd), Interest::Writable))
            .collect();
        fds.push(PollFd::new(self.wakeup.fd(), Interest::Readable));
        match wait(&mut fds, deadline) {
            Ok(()) => {}
            // The planner knows what this means.
            Err(error) if sys::is(&error, libc::ETIMEDOUT) => return Ok(None),
            Err(error) => return Err(error),
        }
        self.wakeup.clear();
        // From the back, so that removing one does not move those to come.
        for index in (0..self.in_flight.len()).rev() {
            if !fds[index].is_ready() {
                continue;
            }
            let InFlight { addr, fd, since } = self.in_flight.swap_remove(index);
            match sys::take_error(sys::raw(&fd)) {
                Ok(()) => return Ok(Some((Reached::Own(fd), addr))),
                Err(error) => self.lose(addr, since, error),
            }
        }
        Ok(None)
    }
}
