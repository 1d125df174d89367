//! The states of a socket, and what may begin in each. `docs/methods.md` has what
//! each method returns in each state.
//!
//! A state that has a descriptor holds its [`FdOwner`], and a transition
//! consumes the state it leaves, so there is no "bound without a descriptor" and
//! no descriptor that two states think is theirs.

use core::mem;
use std::net::SocketAddr;

use crate::error::{Errno, Result};
use crate::fd_lock::FdOwner;
use crate::reachability::Reachability;
use crate::sys::{InterfaceName, Waker};

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

/// The state of a socket.
pub(crate) enum State {
    Closed,
    Bound(FdOwner),
    /// A call is at work that ends in another state.
    Pending(Pending),
    Connected(Link),
    Accepted(Link),
    /// Shut down when it was bound.
    BoundShutdown(FdOwner),
    /// Shut down when it had a peer, which is remembered.
    Shutdown(Link),
}

/// A descriptor with a peer.
pub(crate) struct Link {
    pub(crate) owner: FdOwner,
    pub(crate) peer: Peer,
}

/// The other end.
pub(crate) struct Peer {
    /// As the kernel knows it; may be v4-mapped.
    pub(crate) addr: SocketAddr,
    /// Host and port as the caller of connect wrote them; `None` after accept.
    pub(crate) given: Option<Given>,
    /// The interface that an accepted datagram socket is tied to as its server was.
    pub(crate) interface: Option<Box<InterfaceName>>,
    /// Where another address could do better: UDP to a name.
    pub(crate) reachability: Option<Reachability>,
}

/// The arguments of connect.
pub(crate) struct Given {
    /// `None` when it was longer than a host name can be.
    pub(crate) host: Option<Box<[u8]>>,
    pub(crate) port: Box<[u8]>,
}

/// A connect, bind or accept that is under way.
pub(crate) struct Pending {
    /// A call recognises its own state by this.
    generation: u32,
    /// A bound UDP socket that connects stays bound meanwhile.
    pub(crate) base: Option<FdOwner>,
    /// Ends the waits of the call.
    pub(crate) waker: Option<Waker>,
    /// shutdown was called.
    aborted: bool,
}

/// From which states a call may start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Closed,
    ClosedOrBound,
}

impl State {
    pub(crate) fn status(&self) -> Status {
        match self {
            State::Closed | State::Pending(Pending { base: None, .. }) => Status::Closed,
            State::Bound(_) | State::Pending(_) => Status::Bound,
            State::Connected(_) => Status::Connected,
            State::Accepted(_) => Status::Accepted,
            State::BoundShutdown(_) | State::Shutdown(_) => Status::Shutdown,
        }
    }

    /// The owner of the descriptor, where there is one.
    pub(crate) fn owner(&self) -> Option<&FdOwner> {
        match self {
            State::Closed => None,
            State::Pending(pending) => pending.base.as_ref(),
            State::Bound(owner) | State::BoundShutdown(owner) => Some(owner),
            State::Connected(link) | State::Accepted(link) | State::Shutdown(link) => {
                Some(&link.owner)
            }
        }
    }

    /// The other end, where there is or was one.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        match self {
            State::Connected(link) | State::Accepted(link) | State::Shutdown(link) => {
                Some(&link.peer)
            }
            _ => None,
        }
    }

    /// [`State::peer`]; `EBADF` without a descriptor, and `without` when it has no peer.
    pub(crate) fn require_peer(&self, without: Errno) -> Result<&Peer> {
        let error = self.owner().map_or(Errno(libc::EBADF), |_| without);
        self.peer().ok_or(error)
    }

    /// As [`State::peer`].
    pub(crate) fn peer_mut(&mut self) -> Option<&mut Peer> {
        match self {
            State::Connected(link) | State::Accepted(link) | State::Shutdown(link) => {
                Some(&mut link.peer)
            }
            _ => None,
        }
    }

    /// Begins the call of this generation: `EALREADY` while another one is at
    /// work, `EISCONN` in a state that it can't start from.
    pub(crate) fn begin(&mut self, from: From, generation: u32) -> Result<()> {
        let base = match (mem::replace(self, State::Closed), from) {
            (State::Closed, _) => None,
            (State::Bound(owner), From::ClosedOrBound) => Some(owner),
            (other, _) => {
                *self = other;
                return Err(Errno(match self {
                    State::Pending(_) => libc::EALREADY,
                    _ => libc::EISCONN,
                }));
            }
        };
        *self = State::Pending(Pending {
            generation,
            base,
            waker: None,
            aborted: false,
        });
        Ok(())
    }

    /// Shuts down: nothing changes in a state that is closed or was shut down
    /// before.
    #[inline(never)]
    pub(crate) fn shut_down(&mut self) {
        if let State::Pending(pending) = self {
            pending.aborted = true;
            pending.wake();
            return;
        }
        *self = match mem::replace(self, State::Closed) {
            State::Bound(owner) => State::BoundShutdown(owner),
            State::Connected(link) | State::Accepted(link) => State::Shutdown(link),
            same => same,
        };
    }

    /// What is pending, for the call of this generation: `ECONNABORTED` after
    /// shutdown, `EBADF` after close.
    pub(crate) fn pending_of(&mut self, generation: u32) -> Result<&mut Pending> {
        match self {
            State::Pending(pending) if pending.generation == generation => {
                if pending.aborted {
                    Err(Errno(libc::ECONNABORTED))
                } else {
                    Ok(pending)
                }
            }
            _ => Err(Errno(libc::EBADF)),
        }
    }

    /// The call of this generation failed: the state before it, or what
    /// shutdown makes of that.
    pub(crate) fn undo(&mut self, generation: u32) {
        match mem::replace(self, State::Closed) {
            State::Pending(pending) if pending.generation == generation => {
                *self = match (pending.base, pending.aborted) {
                    (None, _) => State::Closed,
                    (Some(owner), false) => State::Bound(owner),
                    (Some(owner), true) => State::BoundShutdown(owner),
                };
            }
            other => *self = other,
        }
    }
}

impl Pending {
    /// Ends the call's wait, if it waits.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake();
        }
    }
}
