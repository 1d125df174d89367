//! Reaching one address.

use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};

use anjay_net_resolve::{Family, map, unmap};

use crate::destination::Destination;
use crate::names;
use crate::operation::Operation;
use crate::settings::Settings;
use crate::socket::Socket;
use crate::sys::{self, Interest, PollFd, SockAddr};
use crate::wait::{Deadline, wait};

/// What an attempt to reach one address came to at once.
pub(crate) enum Attempt {
    /// It is reached.
    Done(Reached),
    /// A TCP handshake is under way on this descriptor.
    InFlight(OwnedFd),
}

/// How far a new descriptor got at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All the way.
    Connected,
    /// A TCP handshake is under way.
    InFlight,
}

/// A descriptor that is connected.
pub(crate) enum Reached {
    /// A new one.
    Own(OwnedFd),
    /// The one the socket was bound with.
    Base,
}

impl Socket {
    /// Reaches one address; the deadline is its own.
    pub(crate) fn reach(
        &self,
        operation: &Operation<'_>,
        addr: SocketAddr,
    ) -> io::Result<(Reached, SocketAddr)> {
        if !self.families.admit(Family::of(&addr)) {
            return Err(names::unknown());
        }
        let reached = match self.attempt(operation, addr)? {
            Attempt::Done(reached) => reached,
            Attempt::InFlight(fd) => Reached::Own(self.handshake(operation, fd)?),
        };
        Ok((reached, addr))
    }

    /// Begins to reach one address, without waiting.
    pub(crate) fn attempt(
        &self,
        operation: &Operation<'_>,
        addr: SocketAddr,
    ) -> io::Result<Attempt> {
        match operation.base()? {
            Some((base, family)) => self
                .attempt_from(base.fd(), family, addr)
                .map(Attempt::Done),
            None => self
                .attempt_anew(addr)
                .map(|(fd, progress)| match progress {
                    Progress::Connected => Attempt::Done(Reached::Own(fd)),
                    Progress::InFlight => Attempt::InFlight(fd),
                }),
        }
    }

    /// Begins to reach one address with a new descriptor, without waiting.
    #[inline(always)]
    pub(crate) fn attempt_anew(&self, addr: impl Destination) -> io::Result<(OwnedFd, Progress)> {
        let fd = self.config.open(addr.family(), self.is_stream())?;
        if addr.is_v4_mapped() {
            sys::sock_ref(&fd).set_only_v6(false)?;
        }
        match sys::connect(sys::raw(&fd), &addr.raw()) {
            Ok(()) => Ok((fd, Progress::Connected)),
            // EINTR: the attempt goes on all the same (connect(2)).
            Err(error)
                if self.is_stream()
                    && (sys::is(&error, libc::EINPROGRESS) || sys::is(&error, libc::EINTR)) =>
            {
                Ok((fd, Progress::InFlight))
            }
            Err(error) => Err(no_way_out(error, &addr.into())),
        }
    }

    /// Connects a bound UDP socket.
    fn attempt_from(&self, fd: RawFd, family: Family, addr: SocketAddr) -> io::Result<Reached> {
        let own_form = in_family(addr, family);
        if Family::of(&own_form) == family {
            return sys::connect(fd, &SockAddr::from(&own_form))
                .map(|()| Reached::Base)
                .map_err(|error| no_way_out(error, &addr));
        }
        let fd = self.bind_beside(fd)?;
        sys::connect(sys::raw(&fd), &SockAddr::from(&addr))?;
        Ok(Reached::Own(fd))
    }

    /// The outcome of a TCP handshake that is over already, as it is with a peer
    /// on this machine; `None` when it is not.
    #[inline]
    pub(crate) fn outcome_at_once(fd: &OwnedFd) -> Option<io::Result<()>> {
        let mut fds = [PollFd::new(sys::raw(fd), Interest::Writable)];
        match sys::poll(&mut fds, Some(Duration::ZERO)) {
            Ok(1..) => Some(sys::take_error(sys::raw(fd))),
            _ => None,
        }
    }

    /// Waits for the end of a TCP handshake, or of the call.
    pub(crate) fn handshake(&self, operation: &Operation<'_>, fd: OwnedFd) -> io::Result<OwnedFd> {
        let deadline = Deadline::after(Settings::current().connect_timeout);
        let number = sys::raw(&fd);
        let waited = operation.lend(number, || {
            wait(&mut [PollFd::new(number, Interest::Writable)], deadline)
        })?;
        operation.check()?;
        waited?;
        sys::take_error(number)?;
        Ok(fd)
    }
}

/// The address as a socket of this family wants it, if that can be.
pub(crate) fn in_family(addr: SocketAddr, family: Family) -> SocketAddr {
    match family {
        Family::V4 => unmap(addr),
        Family::V6 => map(addr),
    }
}

/// With IPv6 switched off the kernel says `EADDRNOTAVAIL`: it finds no address
/// to send from. Callers take that for an unknown name, and what is missing is
/// a route.
#[cold]
fn no_way_out(error: io::Error, to: &SocketAddr) -> io::Error {
    let has_address = || {
        let family = Family::of(&unmap(*to));
        sys::interface_addrs()
            .is_ok_and(|mut addrs| addrs.any(|entry| Family::of(&entry.addr) == family))
    };
    if sys::is(&error, libc::EADDRNOTAVAIL) && !has_address() {
        return sys::errno(libc::ENETUNREACH);
    }
    error
}
