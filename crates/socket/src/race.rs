//! Connecting to a name: lookups and attempts side by side, as the planner of
//! `anjay-net-resolve` says, and one wait over all of them.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use anjay_net_resolve::{PlanSettings, Planner, Step};

use crate::connect::{Attempt, Reached};
use crate::names::{Ask, Questions};
use crate::operation::Operation;
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
    let questions = Questions::ask(name, port, &policy, Ask::Sensible, wakeup.clone());
    let mut planner = Planner::new(
        PlanSettings {
            attempt_delay: settings.attempt_delay,
            resolution_delay: settings.resolution_delay,
            attempt_timeout: settings.connect_timeout,
            ..PlanSettings::default()
        },
        policy,
        preferred,
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
        in_flight: Vec::new(),
        failure: None,
    }
    .run()
}

struct Race<'a> {
    socket: &'a Socket,
    operation: &'a Operation<'a>,
    wakeup: Arc<Notifier>,
    questions: Questions,
    planner: Planner,
    in_flight: Vec<(SocketAddr, OwnedFd)>,
    failure: Option<io::Error>,
}

impl Race<'_> {
    fn run(mut self) -> io::Result<(Reached, SocketAddr)> {
        loop {
            self.operation.check()?;
            let now = Instant::now();
            self.hear_answers(now);
            let until = match self.planner.next(now) {
                Step::Start(addr) => match self.socket.attempt(addr) {
                    Ok(Attempt::Done(reached)) => return Ok((reached, addr)),
                    Ok(Attempt::InFlight(fd)) => {
                        self.in_flight.push((addr, fd));
                        continue;
                    }
                    Err(error) => {
                        self.lose(addr, error);
                        continue;
                    }
                },
                Step::Abandon(addr) => {
                    self.in_flight.retain(|(other, _)| *other != addr);
                    self.failure = Some(sys::errno(libc::ETIMEDOUT));
                    continue;
                }
                Step::Exhausted => {
                    return Err(self.failure.unwrap_or_else(|| self.questions.error()));
                }
                Step::WaitUntil(at) => Some(at),
                Step::Wait => None,
            };
            if let Some(won) = self.wait(until)? {
                return Ok(won);
            }
        }
    }

    /// Tells the planner what the name service said since it was last asked.
    fn hear_answers(&mut self, now: Instant) {
        let planner = &mut self.planner;
        let mut hear = |questions: &mut Questions| {
            questions.collect(|family, addrs| planner.answer(now, family, &addrs));
        };
        hear(&mut self.questions);
        if self.questions.deadline().has_passed(now) {
            let unanswered: Vec<_> = self.questions.open_families().collect();
            self.questions.give_up();
            for family in unanswered {
                self.planner.answer(now, family, &[]);
            }
        }
    }

    fn lose(&mut self, addr: SocketAddr, error: io::Error) {
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
            .map(|(_, fd)| PollFd::new(sys::raw(fd), Interest::Writable))
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
            let (addr, fd) = self.in_flight.swap_remove(index);
            match sys::take_error(sys::raw(&fd)) {
                Ok(()) => return Ok(Some((Reached::Own(fd), addr))),
                Err(error) => self.lose(addr, error),
            }
        }
        Ok(None)
    }
}
