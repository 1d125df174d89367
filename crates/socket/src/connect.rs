//! connect.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use anjay_net_resolve::{Families, Family, Policy, V4Form, map, same_endpoint, unmap, write_port};
use anjay_net_stats::Event;
use core::sync::atomic::Ordering::Relaxed;

use crate::exchange::Exchange;
use crate::gate::{Flags, Held};
use crate::info::address_text;
use crate::names::{self, Target};
use crate::operation::{From, Operation};
use crate::race;
use crate::settings::Settings;
use crate::socket::Socket;
use crate::state::{Given, GivenText, Link, Peer, State};
use crate::sys::{self, Interest, PollFd, SockAddr};
use crate::wait::{Deadline, wait};

/// What an attempt to reach one address came to at once.
pub(crate) enum Attempt {
    /// It is reached.
    Done(Reached),
    /// A TCP handshake is under way; [`settle`] tells how it ended.
    InFlight(OwnedFd),
}

/// A descriptor that is connected.
pub(crate) enum Reached {
    /// A new one.
    Own(OwnedFd),
    /// The one the socket was bound with.
    Base,
}

impl Socket {
    /// Connects to `host` and `port`, and says to which address.
    ///
    /// `host` is an IP address or a name. Of several addresses of a name, TCP
    /// races as RFC 8305 says, each with [`Settings::connect_timeout`]; UDP
    /// takes the first that the system has a route to. `preferred` comes first
    /// if it is among them: the address that worked the last time. A bound UDP
    /// socket keeps its port, whatever the outcome.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` for text that is no host or port, an unknown name, or
    /// an address that the family policy or a bound address excludes;
    /// `EAFNOSUPPORT` when the name has no address of an accepted family;
    /// `EISCONN`, `EALREADY`; `ECONNABORTED` after shutdown and `EBADF` after
    /// close meanwhile; otherwise the error of the last attempt: `ETIMEDOUT`,
    /// `ECONNREFUSED`, `ENETUNREACH`, `EHOSTUNREACH`...
    pub fn connect(
        &self,
        host: &[u8],
        port: &[u8],
        preferred: Option<SocketAddr>,
    ) -> io::Result<SocketAddr> {
        let target = Target::parse(host, port).map_err(|_bad_text| names::unknown())?;
        let operation = Operation::begin(
            self,
            if self.is_stream() {
                From::Closed
            } else {
                From::ClosedOrBound
            },
        )?;
        let is_name = matches!(target, Target::Name { .. });
        let reached = match target {
            Target::Wildcard(_) => Err(names::unknown()),
            Target::Literal(addr) => self.reach(&operation, addr),
            Target::Name { name, port } => race::run(self, &operation, name, port, preferred),
        };
        let (reached, addr) = match reached {
            Ok(reached) => reached,
            Err(error) => {
                self.account.record(Event::ConnectFailed);
                log::warn!(
                    "socket {}: connect to {} failed: {error}",
                    self.id,
                    names::for_log(host, port)
                );
                return Err(self.failed(error));
            }
        };
        log::debug!(
            "socket {}: connected to {} at {addr}",
            self.id,
            names::for_log(host, port)
        );
        let mut given = given(host, port, &addr);
        if let (Given::Text(text), false, true) = (&mut given, self.is_stream(), is_name) {
            let other = preferred.filter(|preferred| !same_endpoint(preferred, &addr));
            text.exchange = Some(Exchange::begin(&self.account, other));
        }
        let mut replaced = None;
        operation.finish(|base| {
            let (held, addr) = self.settle_in(reached, base, addr, &mut replaced);
            self.fault.store(0, Relaxed);
            State::Connected(Link {
                held,
                peer: Peer { addr, given },
            })
        })?;
        drop(replaced);
        self.account.record(Event::Connected);
        Ok(unmap(addr))
    }

    /// Makes what was reached this socket's descriptor, and says how its
    /// kernel sees the peer.
    fn settle_in(
        &self,
        reached: Reached,
        base: Option<Held>,
        addr: SocketAddr,
        replaced: &mut Option<OwnedFd>,
    ) -> (Held, SocketAddr) {
        match (reached, base) {
            (Reached::Base, Some(held)) => {
                self.gate.raise(&held, Flags::SIFT.with(Flags::QUEUED));
                let addr = match held.family() {
                    Family::V4 => addr,
                    Family::V6 => map(addr),
                };
                (held, addr)
            }
            (Reached::Base, None) => unreachable!("a base was reached that is not there"),
            (Reached::Own(fd), base) => {
                let (queued, flags) = match (&base, self.is_stream()) {
                    (_, true) => (false, Flags::NONE),
                    (None, false) => (false, Flags::SIFT),
                    (Some(_), false) => (true, Flags::SIFT),
                };
                *replaced = base.and_then(|held| self.gate.retire(held));
                let flags = if queued {
                    flags.with(Flags::QUEUED)
                } else {
                    flags
                };
                (self.gate.publish(fd, Family::of(&addr), flags), addr)
            }
        }
    }

    /// Reaches one address; the deadline is its own.
    pub(crate) fn reach(
        &self,
        operation: &Operation<'_>,
        addr: SocketAddr,
    ) -> io::Result<(Reached, SocketAddr)> {
        if !self.families.admit(Family::of(&addr)) {
            return Err(names::unknown());
        }
        match self.attempt(operation, addr)? {
            Attempt::Done(reached) => Ok((reached, addr)),
            Attempt::InFlight(fd) => {
                let deadline = Deadline::after(Settings::current().connect_timeout);
                let wakeup = operation.wakeup()?;
                loop {
                    let mut fds = [
                        PollFd::new(sys::raw(&fd), Interest::Writable),
                        PollFd::new(wakeup.fd(), Interest::Readable),
                    ];
                    wait(&mut fds, deadline)?;
                    operation.check()?;
                    if fds[0].is_ready() {
                        sys::take_error(sys::raw(&fd))?;
                        return Ok((Reached::Own(fd), addr));
                    }
                }
            }
        }
    }

    /// Begins to reach one address, without waiting.
    pub(crate) fn attempt(
        &self,
        operation: &Operation<'_>,
        addr: SocketAddr,
    ) -> io::Result<Attempt> {
        if let Some((base, family)) = operation.base()? {
            return self
                .attempt_from(base.fd(), family, addr)
                .map(Attempt::Done);
        }
        let fd = self.config.open(Family::of(&addr), self.is_stream())?;
        if matches!(addr, SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some()) {
            sys::sock_ref(&fd).set_only_v6(false)?;
        }
        match sys::connect(sys::raw(&fd), &SockAddr::from(&addr)) {
            Ok(()) => Ok(Attempt::Done(Reached::Own(fd))),
            // EINTR: the attempt goes on all the same (connect(2)).
            Err(error)
                if self.is_stream()
                    && (sys::is(&error, libc::EINPROGRESS) || sys::is(&error, libc::EINTR)) =>
            {
                Ok(Attempt::InFlight(fd))
            }
            Err(error) => Err(error),
        }
    }

    /// Connects a bound UDP socket.
    fn attempt_from(&self, fd: i32, family: Family, addr: SocketAddr) -> io::Result<Reached> {
        let own_form = match family {
            Family::V4 => addr,
            Family::V6 => map(addr),
        };
        if Family::of(&own_form) == family {
            return sys::connect(fd, &SockAddr::from(&own_form)).map(|()| Reached::Base);
        }
        let fd = self.bind_beside(fd)?;
        sys::connect(sys::raw(&fd), &SockAddr::from(&addr))?;
        Ok(Reached::Own(fd))
    }

    /// The policy for a connect by name: a bound IPv4 socket would rather not
    /// be made anew for IPv6.
    pub(crate) fn connect_policy(&self) -> Policy {
        let mut policy = self.families.policy(V4Form::Native);
        if let (Families::Prefer(_), Some(Family::V4)) = (policy.families, self.descriptor_family())
        {
            policy.families = Families::Prefer(Family::V4);
        }
        policy
    }
}

/// Remembers how the caller named the peer, where that is not how we would.
fn given(host: &[u8], port: &[u8], addr: &SocketAddr) -> Given {
    let plain_host = address_text(&unmap(*addr)).as_bytes() == host;
    let plain_port = port.is_empty() || write_port(addr.port()).as_bytes() == port;
    if plain_host && plain_port {
        return Given::Numeric;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned().into_boxed_str();
    Given::Text(Box::new(GivenText {
        host: text(host),
        port: if port.is_empty() {
            "0".into()
        } else {
            text(port)
        },
        exchange: None,
    }))
}
