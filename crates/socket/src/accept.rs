//! accept.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use anjay_net_resolve::Family;
use anjay_net_stats::Event;
use core::sync::atomic::Ordering::Relaxed;

use crate::config::Configuration;
use crate::gate::{Flags, Pass};
use crate::operation::{From, Operation};
use crate::options::patience_of;
use crate::settings::Settings;
use crate::socket::{Kind, Socket};
use crate::state::{Given, Link, Peer, State};
use crate::sys::{self, Notifier, SockAddr};
use crate::wait::{Patience, Waits};

impl Socket {
    /// Waits for a peer and makes `new`, a closed socket of the same kind, its
    /// connection. `new` applies its own configuration.
    ///
    /// TCP waits at most [`Settings::accept_timeout`]. UDP waits at most the
    /// receive timeout, for a datagram that stays unread: `new` takes over the
    /// descriptor, connected to the sender, and this socket is bound anew on
    /// the same address and port, for which both need `reuse_addr`; the number
    /// of its descriptor stays. Datagrams of other peers that were queued
    /// already are thrown away and counted, as they can't be put back.
    ///
    /// # Errors
    /// `EINVAL` when the kinds differ, or UDP without `reuse_addr` on both;
    /// `EISCONN` when `new` is not closed; `ENETDOWN` when this socket is not
    /// bound; `ETIMEDOUT`; `ECONNABORTED` after shutdown and `EBADF` after
    /// close of either meanwhile. Both sockets are then as before.
    pub fn accept(&self, new: &Socket) -> io::Result<()> {
        if self.kind != new.kind {
            return Err(sys::errno(libc::EINVAL));
        }
        let operation = Operation::begin(new, From::Closed).map_err(|_busy| {
            // Whatever keeps it from being closed.
            sys::errno(libc::EISCONN)
        })?;
        match self.kind {
            Kind::Tcp => self.accept_stream(new, operation),
            Kind::Udp => self.accept_datagram(new, operation),
        }
        .map_err(|error| {
            log::debug!("socket {}: -: accept failed: {error}", self.id);
            self.failed(error)
        })?;
        new.counters.record(Event::Connected);
        log::debug!(
            "socket {}: {}: accepted by socket {}",
            new.id,
            new.peer_for_log(),
            self.id
        );
        Ok(())
    }

    /// Enters if this socket is bound.
    fn enter_bound(&self) -> io::Result<Pass<'_>> {
        let inner = self.inner.lock();
        match inner.state {
            State::Bound(_) => self.enter(),
            _ => Err(sys::errno(libc::ENETDOWN)),
        }
    }

    fn accept_stream(&self, new: &Socket, operation: Operation<'_>) -> io::Result<()> {
        let mut pass = self.enter_bound()?;
        let mut waiting = Waiting::new();
        let (fd, peer) = loop {
            match sys::accept(pass.fd()) {
                Ok((fd, Some(peer))) => break (fd, peer),
                Ok((_, None)) => return Err(sys::errno(libc::EAFNOSUPPORT)),
                Err(error) if !says_nothing_of_us(&error) => {
                    // A listener that was shut down says EINVAL.
                    still_open(&mut pass)?;
                    return Err(error);
                }
                Err(_nobody) => waiting.wait(self, &mut pass, &operation, || {
                    Patience::For(Settings::current().accept_timeout)
                })?,
            }
        };
        drop(pass);
        let family = Family::of(&peer);
        new.config.apply(&fd, family)?;
        operation.finish(|_closed| {
            State::Accepted(Link {
                held: new.gate.publish(fd, family, Flags::STREAM),
                peer: Peer {
                    addr: peer,
                    given: Given::Numeric,
                },
            })
        })
    }

    fn accept_datagram(&self, new: &Socket, operation: Operation<'_>) -> io::Result<()> {
        let mut pass = self.enter_bound()?;
        if !(self.config.reuse_addr && new.config.reuse_addr) {
            return Err(sys::errno(libc::EINVAL));
        }
        let patience = patience_of(self.patience.load(Relaxed));
        let mut waiting = Waiting::new();
        let accepted = loop {
            if let Some(accepted) = self.split_off(&mut pass, &new.config)? {
                break accepted;
            }
            if patience == Patience::None {
                return Err(sys::errno(libc::ETIMEDOUT));
            }
            waiting.wait(self, &mut pass, &operation, || patience)?;
        };
        drop(pass);
        operation.finish(|_closed| {
            let flags = Flags::SIFT.with(Flags::QUEUED);
            State::Accepted(Link {
                held: new.gate.publish(accepted.fd, accepted.family, flags),
                peer: Peer {
                    addr: accepted.peer,
                    given: Given::Numeric,
                },
            })
        })
    }

    /// Hands out what is behind the descriptor, connected to who sent the first
    /// datagram in its queue and configured as `config` says; a new socket on
    /// the same address takes over the number. `None` when the queue is empty.
    ///
    /// The number stays, so that no call on this socket finds itself without a
    /// descriptor or takes what is the new socket's.
    fn split_off(
        &self,
        pass: &mut Pass<'_>,
        config: &Configuration,
    ) -> io::Result<Option<Accepted>> {
        // Under the lock nobody else closes, connects or splits this socket.
        let mut inner = self.inner.lock();
        still_open(pass)?;
        let State::Bound(held) = &inner.state else {
            return Err(sys::errno(libc::ENETDOWN));
        };
        let (number, family) = (pass.fd(), held.family());
        let peer = match sys::peek_sender(number) {
            Ok(Some(peer)) => peer,
            Ok(None) => return Err(sys::errno(libc::EAFNOSUPPORT)),
            Err(error) if is_nobody(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        config.rehearse(family, self.is_stream())?;
        // The successor first: while both are bound the kernel gives new peers
        // to it, and none of them is turned away in between.
        let successor = self.bind_to(&sys::local_addr(number)?)?;
        let fd = sys::duplicate(number)?;
        sys::replace(number, &successor)?;
        inner.ring_bell();
        let ready = config
            .apply(&fd, family)
            .and_then(|()| sys::connect(sys::raw(&fd), &SockAddr::from(&peer)));
        if let Err(error) = ready {
            sys::replace(number, &fd)?;
            return Err(error);
        }
        Ok(Some(Accepted { fd, family, peer }))
    }
}

/// What a UDP socket hands over to the one that accepts.
struct Accepted {
    fd: OwnedFd,
    family: Family,
    peer: SocketAddr,
}

/// Nothing in the queue, or nothing was looked at.
fn is_nobody(error: &io::Error) -> bool {
    sys::is(error, libc::EAGAIN) || sys::is(error, libc::EINTR)
}

/// Errors of accept4(2) that concern a peer that gave up, not the listener
/// (accept(2), "Error handling").
fn says_nothing_of_us(error: &io::Error) -> bool {
    const PASSING: [i32; 11] = [
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
    error
        .raw_os_error()
        .is_some_and(|code| PASSING.contains(&code))
}

/// `EBADF` when the descriptor was taken out meanwhile, `ECONNABORTED` when it
/// was shut down.
fn still_open(pass: &mut Pass<'_>) -> io::Result<()> {
    match pass.look_again() {
        None => Err(sys::errno(libc::EBADF)),
        Some(flags) if flags.has(Flags::SHUT) => Err(sys::errno(libc::ECONNABORTED)),
        Some(_) => Ok(()),
    }
}

/// The waits of an accept, and what ends them, made when it has to wait.
struct Waiting {
    waits: Waits,
    wakeup: Option<Arc<Notifier>>,
}

impl Waiting {
    fn new() -> Waiting {
        Waiting {
            waits: Waits::NONE,
            wakeup: None,
        }
    }

    /// Waits for a peer of `listener`, or the end of either socket.
    fn wait(
        &mut self,
        listener: &Socket,
        pass: &mut Pass<'_>,
        operation: &Operation<'_>,
        patience: impl FnOnce() -> Patience,
    ) -> io::Result<()> {
        still_open(pass)?;
        let wakeup = match &mut self.wakeup {
            Some(wakeup) => wakeup,
            None => self.wakeup.insert(operation.wakeup()?),
        };
        let woken = listener.await_arrival(pass, Some(wakeup), &mut self.waits, patience);
        still_open(pass)?;
        operation.check()?;
        woken
    }
}
