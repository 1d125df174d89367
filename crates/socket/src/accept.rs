//! accept.

use core::ptr;
use core::sync::atomic::Ordering::Relaxed;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anjay_net_resolve::{Decimal, Family, Kind};
use anjay_net_stats::Event;
use socket2::SockRef;

use crate::error::{Errno, Result};
use crate::fd_lock::{FdGuard, Flags};
use crate::log_line;
use crate::logging::log_peer_line;
use crate::pending::Operation;
use crate::reconnect::{check_interface, dissolve};
use crate::settings::Settings;
use crate::socket::{Inner, Socket, check_open, note_hang_up};
use crate::socket_config::apply_to_stream;
use crate::state::{From, Link, Peer, State};
use crate::sys::{self, InterfaceName, PollFd, Waker};
use crate::timeout::TimeLimit;

impl Socket {
    /// Waits for a peer and makes `new`, a closed socket of the same kind, its
    /// connection. `new` applies its own configuration.
    ///
    /// TCP waits at most [`Settings::accept_timeout`]. UDP waits at most the
    /// receive timeout, for a datagram that stays unread: `new` takes over the
    /// descriptor, number and all, connected to the sender, and this socket gets
    /// a new one on the same address and port, for which both need `reuse_addr`.
    /// Datagrams of other peers that were queued already are dropped and counted,
    /// as they can't be put back.
    ///
    /// # Errors
    /// `EINVAL` when the kinds differ, or UDP without `reuse_addr` on both;
    /// `EISCONN` when `new` is not closed; `ENETDOWN` when this socket is not
    /// bound; `ETIMEDOUT`; `ECONNABORTED` after shutdown and `EBADF` after
    /// close of either meanwhile. Both sockets are then as before.
    pub fn accept(&self, new: &Socket) -> Result<()> {
        if self.kind != new.kind {
            return Err(Errno(libc::EINVAL));
        }
        // Whatever keeps it from being closed.
        let operation = Operation::begin(new, From::Closed).map_err(|_| Errno(libc::EISCONN))?;
        if ptr::eq(self, new) {
            // It was closed. Once another thread has bound it, its mutex would be
            // taken twice.
            return Err(Errno(libc::ENETDOWN));
        }
        match self.kind {
            Kind::Tcp => self.accept_stream(new, operation),
            Kind::Udp => self.accept_datagram(new, operation),
        }
        .map_err(|error| {
            log_line!(Debug, self.id, "-: accept failed: {error}");
            self.count_failure(error)
        })?;
        new.counters.record(Event::Connected);
        log_peer_line!(Debug, new, "accepted by socket {}", Decimal(self.id.into()));
        Ok(())
    }

    /// The descriptor of a bound socket.
    fn bound_fd(&self) -> Result<FdGuard<'_>> {
        match self.inner.lock().state {
            State::Bound(_) => self.fd(),
            _ => Err(Errno(libc::ENETDOWN)),
        }
    }

    #[inline(never)]
    fn accept_stream(&self, new: &Socket, operation: Operation<'_>) -> Result<()> {
        let mut guard = self.bound_fd()?;
        let mut limit = TimeLimit::new(Some(Settings::current().accept_timeout));
        let mut waker = None;
        // The program may have made it blocking, and accept4(2) has no MSG_DONTWAIT.
        SockRef::from(&guard.as_fd()).set_nonblocking(true)?;
        let (fd, peer) = loop {
            match sys::accept(guard.as_fd()) {
                Ok(accepted) => break accepted,
                Err(error) if error.is_any(&PEER_GAVE_UP) => {
                    self.await_peer(&mut guard, &operation, &mut limit, &mut waker)?;
                }
                Err(error) => {
                    // A listener that was shut down returns EINVAL.
                    check_open(&mut guard)?;
                    return Err(error);
                }
            }
        };
        drop(guard);
        let family = Family::of(&peer);
        new.config.apply(fd.as_fd(), family)?;
        apply_to_stream(fd.as_fd())?;
        let (mut accepted, _closed) = operation.finish()?;
        accepted.state = State::Accepted(Link {
            owner: new.install(fd, Flags::of_family(family)),
            peer: accepted_peer(peer, None),
        });
        Ok(())
    }

    /// Waits for a peer, or the end of either socket; `waker` is made by the first wait.
    fn await_peer(
        &self,
        guard: &mut FdGuard<'_>,
        operation: &Operation<'_>,
        limit: &mut TimeLimit,
        waker: &mut Option<Waker>,
    ) -> Result<()> {
        check_open(guard)?;
        let waker = match waker {
            Some(waker) => waker,
            none => none.insert(operation.waker()?),
        };
        let replaced = self.replaced_waker()?;
        let replaced = replaced.as_ref().unwrap_or(waker);
        let mut fds = [
            PollFd::new(guard.as_fd(), libc::POLLIN),
            PollFd::new(waker.as_fd(), libc::POLLIN),
            PollFd::new(replaced.as_fd(), libc::POLLIN),
        ];
        let waited = limit.wait(&mut fds);
        note_hang_up(self, guard, fds[0].is_hung_up());
        check_open(guard)?;
        operation.check()?;
        if waited.is_err() {
            check_interface(self, guard);
        }
        waited
    }

    #[inline(never)]
    fn accept_datagram(&self, new: &Socket, operation: Operation<'_>) -> Result<()> {
        let mut guard = self.bound_fd()?;
        if !(self.config.reuse_addr && new.config.reuse_addr) {
            return Err(Errno(libc::EINVAL));
        }
        let mut limit = TimeLimit::new(self.receive_timeout.get());
        let mut waker = None;
        loop {
            check_open(&mut guard)?;
            {
                // Under the mutex nobody else closes, connects or hands over.
                let mut inner = self.inner.lock();
                let State::Bound(owner) = &inner.state else {
                    return Err(Errno(libc::ENETDOWN));
                };
                match sys::peek_sender(owner.fd().as_fd()) {
                    Ok(peer) => {
                        drop(guard);
                        return self.hand_over(&mut inner, new, operation, peer);
                    }
                    Err(error) if error.is_any(&[libc::EAGAIN, libc::EINTR]) => {}
                    Err(error) => return Err(error),
                }
            }
            self.await_peer(&mut guard, &operation, &mut limit, &mut waker)?;
        }
    }

    /// Makes the descriptor that of `new`, connected to `peer` and with the
    /// options of `new`; this socket gets a new one on the same address. After an
    /// error the descriptor and its queue are still this socket's.
    #[inline(never)]
    fn hand_over(
        &self,
        inner: &mut Inner,
        new: &Socket,
        operation: Operation<'_>,
        peer: SocketAddr,
    ) -> Result<()> {
        let State::Bound(owner) = &mut inner.state else {
            return Err(Errno(libc::ENETDOWN));
        };
        let (successor, peer) = self.prepare_hand_over(owner.fd().as_fd(), new, peer)?;
        let flags = Flags::of_family(self.lock.family());
        let finished = match operation.finish() {
            Ok((mut accepted, _closed)) => {
                let fd = self.lock.hand_over(owner, successor, flags);
                let has_own_address = self.has_own_address.load(Relaxed);
                new.has_own_address.store(has_own_address, Relaxed);
                // The queue holds the datagram of the peer at least.
                let flags = flags.with(Flags::FILTER_QUEUE);
                let owner = new.install(fd, flags.with(Flags::of_peer(&peer.addr)));
                accepted.state = State::Accepted(Link { owner, peer });
                Ok(())
            }
            Err(error) => {
                let _ = dissolve(owner.fd().as_fd(), self.config.interface);
                Err(error)
            }
        };
        inner.wake_receives();
        finished
    }

    /// Everything of [`Socket::hand_over`] that may fail; returns the descriptor
    /// that this socket is to have, and the peer of `new`. While both are bound the
    /// kernel gives new peers to that one, so none of them is turned away in between.
    fn prepare_hand_over(
        &self,
        fd: BorrowedFd<'_>,
        new: &Socket,
        peer: SocketAddr,
    ) -> Result<(OwnedFd, Peer)> {
        let interface = match (self.config.interface, new.config.interface) {
            (Some(inherited), None) => Some(sys::try_box(inherited)?),
            _ => None,
        };
        if !new.config.leaves_alone() {
            // Whether the options can be set, and lead to the peer, found out on a
            // spare descriptor: this one would keep them.
            let spare = new.config.open_for(&peer, false)?;
            sys::connect(spare.as_fd(), &peer)?;
        }
        let successor = self.bind_to(&sys::local_addr(fd)?)?;
        new.config.apply(fd, self.lock.family())?;
        sys::connect(fd, &peer)?;
        Ok((successor, accepted_peer(peer, interface)))
    }
}

fn accepted_peer(addr: SocketAddr, interface: Option<Box<InterfaceName>>) -> Peer {
    Peer {
        addr,
        given: None,
        interface,
        reachability: None,
    }
}

/// Errors of accept4(2) that concern a peer that gave up, not the listener
/// (accept(2), "Error handling"), or that nobody is there.
const PEER_GAVE_UP: [i32; 11] = [
    libc::EAGAIN,
    libc::EINTR,
    libc::ECONNABORTED,
    libc::EPROTO,
    libc::ENOPROTOOPT,
    libc::ENETDOWN,
    libc::ENETUNREACH,
    libc::EHOSTDOWN,
    libc::EHOSTUNREACH,
    libc::EOPNOTSUPP,
    libc::EPERM,
];
