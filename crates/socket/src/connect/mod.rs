//! connect.

mod attempt;
mod happy_eyeballs;
mod self_connection;

use core::sync::atomic::Ordering::Relaxed;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anjay_net_resolve::{Family, HOST_MAX, Kind, alloc, same_endpoint, unmap};
use anjay_net_stats::{ConnectOutcome, Event};

use crate::datagram_counters::count_dropped;
use crate::error::{Errno, Result};
use crate::family::{in_family, is_wildcard};
use crate::fd_lock::{FdOwner, Flags};
use crate::log_line;
use crate::logging::{PeerForLog, TextForLog};
use crate::lookup::{Target, unknown_host};
use crate::pending::Operation;
use crate::reachability::Reachability;
use crate::socket::{REGISTRY, Socket};
use crate::state::{From, Given, Link, Peer, State};
use crate::sys::{self, SockAddr};

use happy_eyeballs::Winner;

impl Socket {
    /// Connects to `host` and `port`, and returns the address that it is
    /// connected to.
    ///
    /// `host` is an IP address or a name. Of several addresses of a name, TCP
    /// races as RFC 8305 describes, each with
    /// [`connect_timeout`](crate::Settings::connect_timeout); UDP takes the first
    /// that the system has a route to. `preferred` comes first if it is among them:
    /// the address that worked the last time. However many addresses there are, the
    /// call ends after [`resolve_timeout`](crate::Settings::resolve_timeout) and
    /// twice `connect_timeout`. A bound UDP socket keeps its port, whatever the
    /// outcome.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` for text that is no host or port, an unknown name, or an
    /// address that the family options or a bound address exclude; `EISCONN`,
    /// `EALREADY`; `ECONNABORTED` after shutdown and `EBADF` after close
    /// meanwhile; otherwise the error of the last attempt: `ETIMEDOUT`,
    /// `ECONNREFUSED`, `ENETUNREACH`, `EHOSTUNREACH`...
    #[inline(never)]
    pub fn connect(
        &self,
        host: &[u8],
        port: &[u8],
        preferred: Option<SocketAddr>,
    ) -> Result<SocketAddr> {
        let connected = self.connect_uncounted(host, port, preferred);
        let target = TextForLog(host, port);
        match &connected {
            Ok(addr) => {
                self.counters.record(Event::Connected);
                REGISTRY.connects.record(ConnectOutcome::Succeeded);
                let peer = PeerForLog(Some(*addr));
                log_line!(Debug, self.id, "{target}: connected to {peer}");
            }
            Err(error) => {
                self.counters.record(Event::ConnectFailed);
                REGISTRY.connects.record(outcome(*error));
                log_line!(
                    Warn,
                    self.id,
                    "cannot establish connection to {target}: {error}"
                );
            }
        }
        connected
    }

    #[inline(never)]
    fn connect_uncounted(
        &self,
        host: &[u8],
        port: &[u8],
        preferred: Option<SocketAddr>,
    ) -> Result<SocketAddr> {
        let target = Target::parse(host, port).map_err(|_bad_text| unknown_host())?;
        // First, as a connected descriptor can't be had back as it was.
        let given = Given {
            host: match host.len() {
                0..=HOST_MAX => Some(alloc::copy(host)?.into()),
                _ => None,
            },
            // None at all is port 0.
            port: alloc::copy(if port.is_empty() { b"0" } else { port })?.into(),
        };
        let from = if self.is_stream() {
            From::Closed
        } else {
            From::ClosedOrBound
        };
        let operation = Operation::begin(self, from)?;
        let Winner { fd, mut addr } = happy_eyeballs::connect(&operation, host, &target, preferred)
            .map_err(|error| self.count_failure(error))?;
        // TCP has found out whether the peer answers.
        let is_name = matches!(target, Target::Name { .. });
        let reachability = (is_name && !self.is_stream()).then(|| {
            let other = |preferred: &_| !same_endpoint(preferred, &addr);
            Reachability::new(preferred.filter(other))
        });
        let (mut inner, base) = operation.finish()?;
        let flags = match (self.kind, &reachability) {
            (Kind::Tcp, _) => Flags::NONE,
            (Kind::Udp, None) => Flags::of_peer(&addr),
            (Kind::Udp, Some(_)) => Flags::of_peer(&addr).with(Flags::UNANSWERED),
        };
        let (owner, replaced) = self.connected_owner(fd, base, flags, &mut addr);
        let peer = Peer {
            addr,
            given: Some(given),
            interface: None,
            reachability,
        };
        inner.state = State::Connected(Link { owner, peer });
        drop(inner);
        if let Some(replaced) = replaced {
            // What is lost with its queue.
            let mut from = SockAddr::empty();
            while let Ok(datagram) = sys::receive_datagram(replaced.as_fd(), &mut [], &mut from) {
                count_dropped(self, Event::DroppedQueued, &datagram, &from);
            }
        }
        Ok(unmap(addr))
    }

    /// The owner of the connected descriptor, and the one that it replaces, for the
    /// caller to close. `addr` becomes what the kernel took it for.
    #[inline(never)]
    fn connected_owner(
        &self,
        fd: Option<OwnedFd>,
        base: Option<FdOwner>,
        flags: Flags,
        addr: &mut SocketAddr,
    ) -> (FdOwner, Option<OwnedFd>) {
        let is_v6 = Flags::of_family(Family::of(addr));
        if fd.is_some() {
            self.has_own_address.store(false, Relaxed);
        }
        let (owner, replaced) = match (fd, base) {
            (None, None) => unreachable!("connected without a descriptor"),
            (None, Some(owner)) => {
                *addr = in_family(*addr, self.lock.family());
                self.lock
                    .set(&owner, flags.with(filter(owner.fd().as_fd())));
                (owner, None)
            }
            (Some(fd), Some(mut owner)) => {
                let flags = flags.with(filter(fd.as_fd())).with(is_v6);
                let replaced = self.lock.replace(&mut owner, fd, flags);
                (owner, replaced)
            }
            // In the moment between the kernel's own bind and its connect, a
            // datagram from another source may have come; streams ignore the flag.
            (Some(fd), None) => {
                let flags = flags.with(Flags::FILTER).with(is_v6);
                (self.install(fd, flags), None)
            }
        };
        // 0.0.0.0 and ::, which the kernel takes for this host.
        if is_wildcard(addr) {
            *addr = sys::remote_addr(owner.fd().as_fd()).unwrap_or(*addr);
        }
        (owner, replaced)
    }

    /// A link-local address with the interface of this socket, if it was given
    /// without one and the socket knows its own.
    fn with_scope(&self, mut addr: SocketAddr) -> SocketAddr {
        if let SocketAddr::V6(v6) = &mut addr {
            if v6.scope_id() == 0 && v6.ip().is_unicast_link_local() {
                v6.set_scope_id(self.own_scope().unwrap_or(0));
            }
        }
        addr
    }

    /// The interface that the socket is tied to, or bound to an address of.
    fn own_scope(&self) -> Option<u32> {
        if let Some(interface) = &self.config.interface {
            return sys::interface_index(interface);
        }
        match self.local_addr() {
            Ok(SocketAddr::V6(local)) => Some(local.scope_id()),
            _ => None,
        }
    }
}

/// The filter that a socket needs which was bound before it was connected: it
/// may have received from other sources, and connect(2) leaves that in the
/// queue. With an empty queue it needs none.
fn filter(fd: BorrowedFd<'_>) -> Flags {
    match sys::peek_sender(fd) {
        Err(Errno(libc::EAGAIN)) => Flags::NONE,
        _ => Flags::FILTER_QUEUE,
    }
}

/// How a failed connect is counted.
fn outcome(error: Errno) -> ConnectOutcome {
    match error.0 {
        libc::ECONNREFUSED => ConnectOutcome::Refused,
        libc::ETIMEDOUT => ConnectOutcome::TimedOut,
        libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN => ConnectOutcome::Unreachable,
        libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT => ConnectOutcome::Unresolved,
        libc::ECONNABORTED | libc::EBADF => ConnectOutcome::Cancelled,
        _ => ConnectOutcome::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_outcome() {
        for (codes, expected) in [
            (&[libc::ECONNREFUSED][..], ConnectOutcome::Refused),
            (&[libc::ETIMEDOUT], ConnectOutcome::TimedOut),
            (
                &[libc::ENETUNREACH, libc::EHOSTUNREACH, libc::ENETDOWN],
                ConnectOutcome::Unreachable,
            ),
            (
                &[libc::EADDRNOTAVAIL, libc::EAFNOSUPPORT],
                ConnectOutcome::Unresolved,
            ),
            (
                &[libc::ECONNABORTED, libc::EBADF],
                ConnectOutcome::Cancelled,
            ),
            (&[libc::EMFILE], ConnectOutcome::Failed),
        ] {
            for code in codes {
                assert_eq!(outcome(Errno(*code)), expected, "{code}");
            }
        }
    }
}
