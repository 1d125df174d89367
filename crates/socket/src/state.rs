//! The states of a socket.
//!
//! A state that has a descriptor owns the [`Held`] that proves it, and a
//! transition consumes the state it leaves, so there is no "bound without a
//! descriptor" and no descriptor that two states think is theirs.

use core::mem;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;

use anjay_net_resolve::unmap;
use anjay_net_stats::Counters;

use crate::exchange::{Exchange, Unanswered};
use crate::gate::Held;
use crate::sys::{self, Notifier};

/// What `get_opt` calls the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// No descriptor.
    Closed,
    /// Shut down, not yet closed.
    Shutdown,
    /// Bound; a TCP socket listens.
    Bound,
    /// Made by accept.
    Accepted,
    /// Made by connect.
    Connected,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) enum State {
    Closed,
    Bound(Held),
    /// A call is at work that ends in another state.
    Pending(Pending),
    Connected(Link),
    Accepted(Link),
    /// Shut down; the peer is remembered if there was one.
    Shut(Held, Option<Peer>),
}

/// A descriptor with a peer.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) held: Held,
    pub(crate) peer: Peer,
}

/// The other end.
#[derive(Debug)]
pub(crate) struct Peer {
    /// As the kernel knows it; may be v4-mapped.
    pub(crate) addr: SocketAddr,
    pub(crate) given: Given,
}

impl Peer {
    /// What came of it, when it is a UDP peer that another could replace.
    pub(crate) fn exchange(&mut self) -> Option<&mut Exchange> {
        match &mut self.given {
            Given::Numeric => None,
            Given::Text(text) => text.exchange.as_mut(),
        }
    }

    /// The socket leaves it; tells if it did not answer.
    pub(crate) fn part(self, socket: u32, counters: &Counters) -> Option<Unanswered> {
        match self.given {
            Given::Numeric => None,
            Given::Text(text) => text.exchange?.end(socket, counters, unmap(self.addr)),
        }
    }
}

/// How the caller named the peer.
#[derive(Debug)]
pub(crate) enum Given {
    /// Just as the address prints, or not at all (accept).
    Numeric,
    /// Otherwise: more than fits into every object.
    Text(Box<GivenText>),
}

/// The caller's words, and what came of them.
#[derive(Debug)]
pub(crate) struct GivenText {
    /// `None` when it was too long to be worth it.
    pub(crate) host: Option<Box<str>>,
    pub(crate) port: Box<str>,
    /// Kept where another address could do better: UDP to a name.
    pub(crate) exchange: Option<Exchange>,
}

/// A connect, bind or accept that is under way.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Which one: a call knows its own state again by this.
    serial: u32,
    /// A bound UDP socket that connects stays bound meanwhile.
    pub(crate) base: Option<Held>,
    wakeup: Wakeup,
    /// Somebody called shutdown.
    aborted: bool,
}

/// How a pending call is woken, while it waits.
#[derive(Debug)]
enum Wakeup {
    None,
    /// It waits for this among others.
    Notifier(Arc<Notifier>),
    /// It waits for nothing but this descriptor.
    Handshake(RawFd),
}

/// What a pending call finds when it looks whether it may go on.
pub(crate) enum Standing<'a> {
    /// Nobody interfered.
    Mine(&'a mut Pending),
    /// `ECONNABORTED`: shutdown was called.
    Aborted,
    /// `EBADF`: the socket was closed; what its state is now is not this
    /// call's business.
    Gone,
}

impl State {
    pub(crate) fn status(&self) -> Status {
        match self {
            State::Closed | State::Pending(Pending { base: None, .. }) => Status::Closed,
            State::Bound(_) | State::Pending(_) => Status::Bound,
            State::Connected(_) => Status::Connected,
            State::Accepted(_) => Status::Accepted,
            State::Shut(..) => Status::Shutdown,
        }
    }

    /// The descriptor's proof, where there is one.
    pub(crate) fn held(&self) -> Option<&Held> {
        match self {
            State::Closed => None,
            State::Pending(pending) => pending.base.as_ref(),
            State::Bound(held) | State::Shut(held, _) => Some(held),
            State::Connected(link) | State::Accepted(link) => Some(&link.held),
        }
    }

    /// The other end, where there is or was one.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        match self {
            State::Connected(link) | State::Accepted(link) => Some(&link.peer),
            State::Shut(_, peer) => peer.as_ref(),
            State::Closed | State::Pending(_) | State::Bound(_) => None,
        }
    }

    /// As [`State::peer`].
    pub(crate) fn peer_mut(&mut self) -> Option<&mut Peer> {
        match self {
            State::Connected(link) | State::Accepted(link) => Some(&mut link.peer),
            State::Shut(_, peer) => peer.as_mut(),
            State::Closed | State::Pending(_) | State::Bound(_) => None,
        }
    }

    /// A call begins that needs a closed socket; `EISCONN` on any other.
    pub(crate) fn begin(self, serial: u32) -> Result<State, (State, io::Error)> {
        match self {
            State::Closed => Ok(State::pending(serial, None)),
            other => Err(other.refuse()),
        }
    }

    /// As [`State::begin`], for a connect that may start from a bound socket.
    pub(crate) fn begin_from_bound(self, serial: u32) -> Result<State, (State, io::Error)> {
        match self {
            State::Bound(held) => Ok(State::pending(serial, Some(held))),
            other => other.begin(serial),
        }
    }

    fn pending(serial: u32, base: Option<Held>) -> State {
        State::Pending(Pending {
            serial,
            base,
            wakeup: Wakeup::None,
            aborted: false,
        })
    }

    fn refuse(self) -> (State, io::Error) {
        let code = match self {
            State::Pending(_) => libc::EALREADY,
            _ => libc::EISCONN,
        };
        (self, sys::errno(code))
    }

    /// Shutdown was called; `Err` gives back a state in which nothing changes.
    pub(crate) fn shut_down(self) -> Result<State, State> {
        match self {
            State::Bound(held) => Ok(State::Shut(held, None)),
            State::Connected(link) | State::Accepted(link) => {
                Ok(State::Shut(link.held, Some(link.peer)))
            }
            State::Pending(mut pending) => {
                pending.aborted = true;
                pending.wake();
                Ok(State::Pending(pending))
            }
            State::Closed | State::Shut(..) => Err(self),
        }
    }

    /// The end of a connection to a numeric peer, without looking at the
    /// others; `None` when it is none, and nothing is changed.
    #[inline]
    pub(crate) fn close_plain(&mut self) -> Option<Held> {
        let State::Connected(Link {
            held,
            peer: Peer {
                given: Given::Numeric,
                ..
            },
        }) = self
        else {
            return None;
        };
        let held = held.take();
        // Nothing in it needs to be dropped, and to move it out would copy it.
        mem::forget(mem::replace(self, State::Closed));
        Some(held)
    }

    /// What the call with this serial may do now.
    pub(crate) fn standing(&mut self, serial: u32) -> Standing<'_> {
        match self {
            State::Pending(pending) if pending.serial == serial => {
                if pending.aborted {
                    Standing::Aborted
                } else {
                    Standing::Mine(pending)
                }
            }
            _ => Standing::Gone,
        }
    }
}

impl Pending {
    /// Ends the call's wait, if it waits, once and for all.
    pub(crate) fn wake(&mut self) {
        match mem::replace(&mut self.wakeup, Wakeup::None) {
            Wakeup::None => {}
            Wakeup::Notifier(notifier) => notifier.notify(),
            // An error means that the handshake has ended by itself.
            Wakeup::Handshake(fd) => drop(sys::shutdown(fd)),
        }
    }

    /// What wakes the call, made when it is first asked for.
    pub(crate) fn wakeup(&mut self) -> io::Result<Arc<Notifier>> {
        if let Wakeup::Notifier(notifier) = &self.wakeup {
            return Ok(Arc::clone(notifier));
        }
        let notifier = Arc::new(Notifier::new()?);
        self.wakeup = Wakeup::Notifier(Arc::clone(&notifier));
        Ok(notifier)
    }

    /// The call waits for this descriptor, and keeps it open until
    /// [`Pending::take_back`].
    pub(crate) fn lend(&mut self, fd: RawFd) {
        self.wakeup = Wakeup::Handshake(fd);
    }

    /// The call no longer waits for the descriptor it lent.
    pub(crate) fn take_back(&mut self) {
        self.wakeup = Wakeup::None;
    }

    /// What the socket is after the call failed.
    pub(crate) fn undone(self) -> State {
        match (self.base, self.aborted) {
            (None, _) => State::Closed,
            (Some(held), false) => State::Bound(held),
            (Some(held), true) => State::Shut(held, None),
        }
    }
}
