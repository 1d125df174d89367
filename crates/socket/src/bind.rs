//! bind.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{OwnedFd, RawFd};
use std::time::{Duration, Instant};

use anjay_net_resolve::{EndpointList, Family, V4Form};

use crate::connect::TextForLog;
use crate::names::{self, Target};
use crate::operation::{From, Operation};
use crate::socket::Socket;
use crate::state::State;
use crate::sys::{self, SockAddr};

/// How many connections the kernel keeps for accept.
const BACKLOG: i32 = 1024;

/// How long a thread that was woken may take to leave a closed descriptor.
const LEAVING: Duration = Duration::from_secs(1);

impl Socket {
    /// Gives the socket a local address; TCP also listens.
    ///
    /// `address` is an IP address or a name; empty is the wildcard of the
    /// family policy: `::`, which also hears IPv4, else `0.0.0.0`. `port` is
    /// decimal; empty or 0 picks one, which [`Socket::local_addr`] tells.
    ///
    /// # Errors
    /// `EINVAL` for text that is neither, `EISCONN` when the socket is not
    /// closed, and what socket(2), setsockopt(2), bind(2) and listen(2) say.
    /// The socket stays closed on error.
    pub fn bind(&self, address: &[u8], port: &[u8]) -> io::Result<()> {
        let bound = self.bind_unlogged(address, port);
        let local = TextForLog(address, port);
        match &bound {
            Ok(()) => log::debug!("socket {}: -: bound to {local}", self.id),
            Err(error) => log::warn!("socket {}: -: bind to {local} failed: {error}", self.id),
        }
        bound
    }

    fn bind_unlogged(&self, address: &[u8], port: &[u8]) -> io::Result<()> {
        let target = Target::parse(address, port).map_err(|_bad_text| sys::errno(libc::EINVAL))?;
        let operation = Operation::begin(self, From::Closed)?;
        let policy = self.families.policy(V4Form::Native);
        let endpoints = match target {
            Target::Wildcard(port) => Some(EndpointList::wildcard(port, &policy)),
            Target::Literal(addr) => EndpointList::literal(addr, &policy),
            Target::Name { name, port } => {
                let found = names::lookup_for(&operation, self.asker(), (name, port), &policy);
                // Text that names nothing is bad text; a lookup that did not
                // end is not.
                match found {
                    Err(error) if names::is_unknown(&error) => None,
                    found => Some(found?),
                }
            }
        };
        let Some(mut endpoints) = endpoints else {
            return Err(sys::errno(libc::EINVAL));
        };
        let mut failure = None;
        let bound = endpoints.find_map(|endpoint| match self.bind_anew(&endpoint) {
            Ok(fd) => Some((fd, Family::of(&endpoint))),
            Err(error) => {
                failure = worse(failure.take(), error);
                None
            }
        });
        let Some((fd, family)) = bound else {
            return Err(failure.unwrap_or_else(|| sys::errno(libc::EINVAL)));
        };
        operation.finish(|_closed| State::Bound(self.gate.publish(fd, family, self.kind.flags())))
    }

    /// [`Socket::bind_to`], also when the address is still that of a descriptor
    /// which was closed, but which calls that close has woken have not left.
    fn bind_anew(&self, endpoint: &SocketAddr) -> io::Result<OwnedFd> {
        let bound = self.bind_to(endpoint);
        match &bound {
            Err(error)
                if sys::is(error, libc::EADDRINUSE)
                    && self.gate.await_leavers(|| Instant::now() + LEAVING) =>
            {
                self.bind_to(endpoint)
            }
            _ => bound,
        }
    }

    /// A descriptor of this socket's kind and configuration with a local
    /// address.
    pub(crate) fn bind_to(&self, endpoint: &SocketAddr) -> io::Result<OwnedFd> {
        let family = Family::of(endpoint);
        let fd = self.config.open(family, self.is_stream())?;
        self.config.prepare_bind(&fd, family)?;
        sys::bind(sys::raw(&fd), &SockAddr::from(endpoint))?;
        if self.is_stream() {
            sys::sock_ref(&fd).listen(BACKLOG)?;
        }
        Ok(fd)
    }

    /// A dual-stack socket on the port of `v4`, an IPv4 UDP socket that is
    /// bound to the wildcard and stays as it is; `EADDRNOTAVAIL` when it is
    /// bound to an address.
    pub(crate) fn bind_beside(&self, v4: RawFd) -> io::Result<OwnedFd> {
        let local = sys::local_addr(v4)?;
        if !local.ip().is_unspecified() {
            return Err(names::unknown());
        }
        let fd = self.config.open(Family::V6, false)?;
        self.config.prepare_bind(&fd, Family::V6)?;
        // The two may share the port only while both say so. The one that is
        // in use last: it must not keep what the other could not have.
        let both = [sys::raw(&fd), v4];
        for fd in both {
            sys::set_reuse_addr(fd, true)?;
        }
        let wildcard = SocketAddr::from((Ipv6Addr::UNSPECIFIED, local.port()));
        let bound = sys::bind(sys::raw(&fd), &SockAddr::from(&wildcard));
        let restored = both.map(|fd| sys::set_reuse_addr(fd, self.config.reuse_addr));
        for result in restored {
            result?;
        }
        bound.map(|()| fd)
    }
}

/// Which of two failures to report: that a machine has no IPv6 says nothing
/// about why the other address could not be had.
fn worse(first: Option<io::Error>, second: io::Error) -> Option<io::Error> {
    match first {
        Some(first)
            if !sys::is(&first, libc::EAFNOSUPPORT) && !sys::is(&first, libc::EADDRNOTAVAIL) =>
        {
            Some(first)
        }
        _ => Some(second),
    }
}
