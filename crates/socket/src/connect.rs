//! connect.

use core::{fmt, mem};
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::Instant;

use anjay_net_resolve::{Families, Family, HOST_MAX, Policy, V4Form, same_endpoint, unmap};
use anjay_net_stats::{ConnectOutcome, Event};
use parking_lot::MutexGuard;

use crate::destination::Destination;
use crate::exchange::Exchange;
use crate::gate::{Flags, Held};
use crate::info::address_text;
use crate::names::{self, Target};
use crate::operation::{From, Operation};
use crate::race;
use crate::reach::{Progress, Reached, in_family};
use crate::socket::{Inner, REGISTRY, Socket};
use crate::state::{Given, GivenText, Link, Peer, State};
use crate::sys::{self, memory};

impl Socket {
    /// Connects to `host` and `port`, and says to which address.
    ///
    /// `host` is an IP address or a name. Of several addresses of a name, TCP
    /// races as RFC 8305 says, each with
    /// [`Settings::connect_timeout`](crate::Settings::connect_timeout); UDP
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
        let connected = match Target::parse(host, port) {
            Ok(Target::Literal(addr)) => {
                let addr = self.families.in_form(self.scoped(addr));
                self.connect_literal(addr, || given_literal(host, port, &addr))
            }
            Ok(Target::Name { name, port: number }) => {
                self.timed(|| self.connect_name(host, port, (name, number), preferred))
            }
            Ok(Target::Wildcard(_)) | Err(_) => Err(names::unknown()),
        };
        self.conclude(connected, || TextForLog(host, port))
    }

    /// [`Socket::connect`] where the text is an IPv4 address as this library
    /// would write it.
    ///
    /// # Errors
    /// As [`Socket::connect`].
    pub fn connect_v4(&self, addr: SocketAddrV4) -> io::Result<SocketAddrV4> {
        let connected = self.connect_literal(addr, || Ok(Given::Numeric));
        self.conclude(connected, || addr)
    }

    /// Counts and logs how a connect ended; `to` is what it was asked for.
    #[inline]
    fn conclude<A: Destination + fmt::Display, T: fmt::Display>(
        &self,
        connected: io::Result<A>,
        to: impl FnOnce() -> T,
    ) -> io::Result<A> {
        match &connected {
            Ok(addr) => {
                self.counters.record(Event::Connected);
                REGISTRY.connects.record(ConnectOutcome::Succeeded);
                if log::log_enabled!(log::Level::Debug) {
                    self.log_connect(&to(), addr);
                }
            }
            Err(error) => {
                self.counters.record(Event::ConnectFailed);
                REGISTRY.connects.record(failure(error));
                if log::log_enabled!(log::Level::Warn) {
                    self.log_failed_connect(&to(), error);
                }
            }
        }
        connected
    }

    #[cold]
    #[inline(never)]
    fn log_connect(&self, to: &dyn fmt::Display, addr: &dyn fmt::Display) {
        log::debug!("socket {}: {to}: connected to {addr}", self.id);
    }

    #[cold]
    #[inline(never)]
    fn log_failed_connect(&self, to: &dyn fmt::Display, error: &io::Error) {
        log::warn!("socket {}: {to}: connect failed: {error}", self.id);
    }

    /// Counts how long a connect takes that waits for the network.
    fn timed<T>(&self, connect: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let since = Instant::now();
        let connected = connect();
        let time = since.elapsed();
        self.counters.set_last_connect(time);
        REGISTRY.connects.observe(time);
        connected
    }

    #[inline(always)]
    fn connect_literal<A: Destination>(
        &self,
        addr: A,
        given: impl FnOnce() -> io::Result<Given>,
    ) -> io::Result<A> {
        let inner = self.inner.lock();
        if matches!(inner.state, State::Closed)
            && self.families.admit(addr.family())
            && !addr.is_unspecified()
        {
            return self.connect_closed(inner, addr, given);
        }
        drop(inner);
        // First, as a connected descriptor can't be had back as it was.
        let given = given()?;
        self.connect_otherwise(addr.into(), given).map(A::reached)
    }

    /// From a bound socket, or to whoever the kernel takes the address for, or
    /// not at all.
    #[inline(never)]
    fn connect_otherwise(&self, addr: SocketAddr, given: Given) -> io::Result<SocketAddr> {
        let operation = Operation::begin(self, self.connectable())?;
        let (reached, addr) = self
            .reach(&operation, addr)
            .map_err(|error| self.failed(error))?;
        self.become_connected(operation, reached, addr, given)
    }

    /// The usual case: nothing bound, one address. Nothing here waits but a
    /// TCP handshake, and that one without the lock.
    #[inline(always)]
    fn connect_closed<A: Destination>(
        &self,
        mut inner: MutexGuard<'_, Inner>,
        addr: A,
        given: impl FnOnce() -> io::Result<Given>,
    ) -> io::Result<A> {
        let (fd, progress) = self
            .attempt_anew(addr)
            .map_err(|error| self.failed(error))?;
        if progress == Progress::InFlight {
            match Socket::outcome_at_once(&fd) {
                Some(outcome) => outcome.map_err(|error| self.failed(error))?,
                None => {
                    let given = given()?;
                    let connected =
                        self.timed(|| self.connect_waiting(inner, fd, addr.into(), given));
                    return connected.map(A::reached);
                }
            }
        }
        let given = given()?;
        let held = self.publish_anew(fd, addr.family());
        let peer = Peer {
            addr: addr.into(),
            given,
        };
        // Nothing to drop in the state before: it was Closed.
        mem::forget(mem::replace(
            &mut inner.state,
            State::Connected(Link { held, peer }),
        ));
        Ok(A::reached(addr.into()))
    }

    /// Goes on with a TCP handshake.
    #[inline(never)]
    fn connect_waiting(
        &self,
        mut inner: MutexGuard<'_, Inner>,
        fd: OwnedFd,
        addr: SocketAddr,
        given: Given,
    ) -> io::Result<SocketAddr> {
        let operation = Operation::begin_locked(self, &mut inner, From::Closed)?;
        drop(inner);
        let fd = self
            .handshake(&operation, fd)
            .map_err(|error| self.failed(error))?;
        self.become_connected(operation, Reached::Own(fd), addr, given)
    }

    fn connect_name(
        &self,
        host: &[u8],
        port: &[u8],
        (name, number): (&str, u16),
        preferred: Option<SocketAddr>,
    ) -> io::Result<SocketAddr> {
        // First, as above.
        let mut given = given_text(host, port)?;
        let operation = Operation::begin(self, self.connectable())?;
        let (reached, addr) = race::run(self, &operation, name, number, preferred)
            .map_err(|error| self.failed(error))?;
        // TCP has found out who answers.
        given.exchange = (!self.is_stream()).then(|| {
            let other = preferred.filter(|preferred| !same_endpoint(preferred, &addr));
            Exchange::begin(&self.counters, other)
        });
        self.become_connected(operation, reached, addr, Given::Text(given))
    }

    /// The states from which a connect may start.
    fn connectable(&self) -> From {
        if self.is_stream() {
            From::Closed
        } else {
            From::ClosedOrBound
        }
    }

    fn become_connected(
        &self,
        operation: Operation<'_>,
        reached: Reached,
        mut addr: SocketAddr,
        given: Given,
    ) -> io::Result<SocketAddr> {
        let mut replaced = None;
        operation.finish(|base| self.connected(reached, base, &mut addr, given, &mut replaced))?;
        // Outside the lock.
        drop(replaced);
        Ok(unmap(addr))
    }

    /// The state with what was reached as the descriptor; the one it replaces
    /// is left for the caller to close. `addr` becomes what the kernel took it
    /// for.
    fn connected(
        &self,
        reached: Reached,
        base: Option<Held>,
        addr: &mut SocketAddr,
        given: Given,
        replaced: &mut Option<OwnedFd>,
    ) -> State {
        // Datagrams of others that came before the peer was known: from the
        // moment of bind on, or in the moment between the kernel's own bind
        // and its connect.
        let was_bound = Flags::SIFT.with(Flags::QUEUED);
        let held = match (reached, base) {
            (Reached::Base, Some(held)) => {
                self.gate.raise(&held, was_bound);
                *addr = in_family(*addr, held.family());
                held
            }
            (Reached::Base, None) => unreachable!("reached from a base that is not there"),
            (Reached::Own(fd), None) => self.publish_anew(fd, Family::of(addr)),
            (Reached::Own(fd), Some(base)) => {
                // Who knows where the number stands reads the new one there.
                let flags = if self.gate.flags().has(Flags::SHOWN) {
                    was_bound.with(Flags::SHOWN)
                } else {
                    was_bound
                };
                *replaced = self.gate.retire(base);
                self.gate.publish(fd, Family::of(addr), flags)
            }
        };
        if addr.is_unspecified() {
            *addr = self.raw_remote_addr().unwrap_or(*addr);
        }
        let peer = Peer { addr: *addr, given };
        State::Connected(Link { held, peer })
    }

    /// The descriptor of a socket that was closed.
    #[inline]
    fn publish_anew(&self, fd: OwnedFd, family: Family) -> Held {
        let flags = if self.is_stream() {
            Flags::STREAM
        } else {
            Flags::SIFT
        };
        self.gate.publish(fd, family, flags)
    }

    /// A link-local address with the link of this socket, if it was given
    /// without one and the socket knows its own.
    pub(crate) fn scoped(&self, mut addr: SocketAddr) -> SocketAddr {
        if let SocketAddr::V6(v6) = &mut addr {
            if v6.scope_id() == 0 && v6.ip().is_unicast_link_local() {
                v6.set_scope_id(self.link().unwrap_or(0));
            }
        }
        addr
    }

    /// The link that the socket is tied to, or bound to an address of.
    fn link(&self) -> Option<u32> {
        if let Some(interface) = &self.config.interface {
            return sys::interface_index(interface);
        }
        match self.local_addr() {
            Ok(SocketAddr::V6(local)) => Some(local.scope_id()),
            _ => None,
        }
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

/// As what a failed connect counts.
#[cold]
fn failure(error: &io::Error) -> ConnectOutcome {
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => ConnectOutcome::Refused,
        Some(libc::ETIMEDOUT) => ConnectOutcome::TimedOut,
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN) => {
            ConnectOutcome::Unreachable
        }
        Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT) => ConnectOutcome::Unresolved,
        Some(libc::ECONNABORTED | libc::EBADF) => ConnectOutcome::Cancelled,
        _ => ConnectOutcome::Failed,
    }
}

/// Host and port for a log line. They come from the caller: nothing in them
/// must look like a line of its own.
pub(crate) struct TextForLog<'a>(pub(crate) &'a [u8], pub(crate) &'a [u8]);

impl fmt::Display for TextForLog<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.escape_ascii(), self.1.escape_ascii())
    }
}

/// How the caller wrote an address, where that is not how we would.
fn given_literal(host: &[u8], port: &[u8], addr: &SocketAddr) -> io::Result<Given> {
    // Without leading zeros there is but one way to write a number.
    let plain_port = match port {
        [] | [b'0'] => true,
        [first, ..] => *first != b'0',
    };
    // Nor is there another way to write an IPv4 address.
    if plain_port && (addr.is_ipv4() || address_text(&unmap(*addr)).as_bytes() == host) {
        Ok(Given::Numeric)
    } else {
        given_text(host, port).map(Given::Text)
    }
}

fn given_text(host: &[u8], port: &[u8]) -> io::Result<Box<GivenText>> {
    let host = match host.len() {
        0..=HOST_MAX => Some(memory::text(host)?),
        _ => None,
    };
    // None at all is port 0.
    let port = memory::text(if port.is_empty() { b"0" } else { port })?;
    memory::boxed(GivenText {
        host,
        port,
        exchange: None,
    })
}
