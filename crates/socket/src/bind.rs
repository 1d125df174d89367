//! bind.

use core::sync::atomic::Ordering::Relaxed;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use anjay_net_resolve::{Family, V4Form, alloc};
use socket2::SockRef;

use crate::error::{Errno, Result};
use crate::family::is_wildcard;
use crate::fd_lock::{Descriptor, Flags};
use crate::log_line;
use crate::logging::TextForLog;
use crate::lookup::{Target, lookup_in_operation, ordered_for, unknown_host};
use crate::pending::Operation;
use crate::socket::Socket;
use crate::state::{From, State};
use crate::sys;

/// How many connections the kernel keeps for accept.
const BACKLOG: i32 = 1024;

/// How long a call that close has woken may take to return.
const CLOSING: Duration = Duration::from_secs(1);

impl Socket {
    /// Gives the socket a local address; TCP also listens.
    ///
    /// `address` is an IP address or a name; empty is the wildcard of the
    /// family policy: `::`, which also hears IPv4, else `0.0.0.0`. `port` is
    /// decimal; empty or 0 picks one, which [`Socket::local_addr`] returns.
    ///
    /// # Errors
    /// `EINVAL` for text that is neither, `EISCONN` when the socket is not
    /// closed, and what socket(2), setsockopt(2), bind(2) and listen(2) return.
    /// The socket stays closed on error.
    #[inline(never)]
    pub fn bind(&self, address: &[u8], port: &[u8]) -> Result<()> {
        let bound = self.bind_anywhere(address, port);
        let local = TextForLog(address, port);
        match &bound {
            Ok(()) => log_line!(Debug, self.id, "-: bound to {local}"),
            Err(error) => log_line!(Warn, self.id, "-: bind to {local} failed: {error}"),
        }
        bound
    }

    #[inline(never)]
    fn bind_anywhere(&self, address: &[u8], port: &[u8]) -> Result<()> {
        let target = Target::parse(address, port).map_err(|_bad_text| Errno(libc::EINVAL))?;
        let operation = Operation::begin(self, From::Closed)?;
        let policy = self.families.policy(V4Form::Native);
        let endpoints = match target {
            Target::Wildcard(port) => policy.wildcards(port)?,
            Target::Literal(addr) => alloc::copy(policy.admit(addr).as_slice())?,
            Target::Name { name, port } => {
                // Text that names nothing is bad text; a lookup that did not end
                // is not.
                match lookup_in_operation(&operation, (name, port), &policy, None) {
                    Err(Errno(libc::EADDRNOTAVAIL)) => Vec::new(),
                    found => ordered_for(self, &policy, &found?)?,
                }
            }
        };
        let mut failure = None;
        for endpoint in endpoints {
            match self.bind_when_closed(&endpoint) {
                Ok(fd) => {
                    self.own_port.set(endpoint.port());
                    self.has_own_address.store(!is_wildcard(&endpoint), Relaxed);
                    let flags = Flags::of_family(Family::of(&endpoint));
                    let (mut inner, _closed) = operation.finish()?;
                    inner.state = State::Bound(self.install(fd, flags));
                    return Ok(());
                }
                Err(error) => failure = more_telling(failure, error),
            }
        }
        Err(failure.unwrap_or(Errno(libc::EINVAL)))
    }

    /// [`Socket::bind_to`], also when the address is still that of a descriptor
    /// which was closed, but which the calls that close has woken still use.
    #[inline(never)]
    fn bind_when_closed(&self, endpoint: &SocketAddr) -> Result<OwnedFd> {
        match self.bind_to(endpoint) {
            Err(Errno(libc::EADDRINUSE))
                if OwnedFd::closing_list().wait_until_empty(Instant::now() + CLOSING) =>
            {
                self.bind_to(endpoint)
            }
            bound => bound,
        }
    }

    /// A descriptor of this socket's kind and configuration with a local
    /// address.
    pub(crate) fn bind_to(&self, endpoint: &SocketAddr) -> Result<OwnedFd> {
        let family = Family::of(endpoint);
        let fd = self.config.open_to_bind(family, self.is_stream())?;
        sys::bind(fd.as_fd(), endpoint)?;
        if self.is_stream() {
            SockRef::from(&fd).listen(BACKLOG)?;
        }
        Ok(fd)
    }

    /// An IPv6 descriptor on the port of `v4`, an IPv4 one that is bound to the
    /// wildcard and stays as it is; `EADDRNOTAVAIL` when it is bound to an
    /// address.
    pub(crate) fn bind_in_other_family(&self, v4: BorrowedFd<'_>) -> Result<OwnedFd> {
        let local = sys::local_addr(v4)?;
        if !is_wildcard(&local) {
            return Err(unknown_host());
        }
        let fd = self.config.open_to_bind(Family::V6, false)?;
        // The two may share the port only while both allow it. The one that is
        // in use last: it must not keep what the other could not have.
        let both = [fd.as_fd(), v4];
        for fd in &both {
            SockRef::from(fd).set_reuse_address(true)?;
        }
        let wildcard = SocketAddr::from((Ipv6Addr::UNSPECIFIED, local.port()));
        let bound = sys::bind(fd.as_fd(), &wildcard);
        let restored = both.map(|fd| SockRef::from(&fd).set_reuse_address(self.config.reuse_addr));
        for result in restored {
            result?;
        }
        bound.map(|()| fd)
    }
}

/// Which of two failures to report: that a machine has no IPv6 says nothing
/// about why the other address could not be had.
fn more_telling(first: Option<Errno>, second: Errno) -> Option<Errno> {
    match first {
        Some(first) if !first.is_any(&[libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL]) => Some(first),
        _ => Some(second),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_a_family_is_missing_says_least() {
        let [missing, none, taken] =
            [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL, libc::EADDRINUSE].map(Errno);
        for (first, second, expected) in [
            (Some(missing), taken, taken),
            (Some(none), taken, taken),
            (Some(taken), missing, taken),
            (Some(missing), none, none),
            (None, missing, missing),
        ] {
            assert_eq!(more_telling(first, second), Some(expected));
        }
    }
}
