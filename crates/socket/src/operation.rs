//! A connect, bind or accept while it is at work.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use anjay_net_resolve::Family;

use crate::gate::{Held, Pass};
use crate::socket::{Inner, Socket};
use crate::state::{Pending, Standing, State};
use crate::sys::{self, Notifier};

/// A call that turns a socket into another state and may have to wait for it.
/// Dropped without [`Operation::finish`], it leaves the socket as it was.
pub(crate) struct Operation<'a> {
    socket: &'a Socket,
    serial: u32,
}

/// From which states a call may start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Closed,
    ClosedOrBound,
}

impl<'a> Operation<'a> {
    /// `EISCONN` when the socket's state forbids it, `EALREADY` when another
    /// such call is at work.
    pub(crate) fn begin(socket: &'a Socket, from: From) -> io::Result<Operation<'a>> {
        Operation::begin_locked(socket, &mut socket.inner.lock(), from)
    }

    /// As [`Operation::begin`], for who has the lock.
    pub(crate) fn begin_locked(
        socket: &'a Socket,
        inner: &mut Inner,
        from: From,
    ) -> io::Result<Operation<'a>> {
        let serial = inner.serial.wrapping_add(1);
        let state = core::mem::replace(&mut inner.state, State::Closed);
        let begun = match from {
            From::Closed => state.begin(serial),
            From::ClosedOrBound => state.begin_from_bound(serial),
        };
        match begun {
            Ok(state) => {
                inner.state = state;
                inner.serial = serial;
                Ok(Operation { socket, serial })
            }
            Err((state, error)) => {
                inner.state = state;
                Err(error)
            }
        }
    }

    /// The descriptor that the call started from, if the socket was bound, and
    /// its family.
    pub(crate) fn base(&self) -> io::Result<Option<(Pass<'a>, Family)>> {
        let socket = self.socket;
        // Entered under the lock: it is this call's descriptor, and not one
        // that others bound after a close.
        self.with_pending(|pending| match &pending.base {
            Some(held) => Ok(Some((socket.enter()?, held.family()))),
            None => Ok(None),
        })
    }

    /// `ECONNABORTED` after shutdown, `EBADF` after close.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.with_pending(|_| Ok(()))
    }

    /// What ends a wait of this call: shutdown and close notify it, and others
    /// who have news for the call may.
    pub(crate) fn wakeup(&self) -> io::Result<Arc<Notifier>> {
        self.with_pending(|pending| pending.wakeup())
    }

    /// Waits for a descriptor of this call, which shutdown and close end by
    /// shutting the descriptor down.
    pub(crate) fn lend<T>(&self, fd: RawFd, wait: impl FnOnce() -> T) -> io::Result<T> {
        self.with_pending(|pending| {
            pending.lend(fd);
            Ok(())
        })?;
        let waited = wait();
        // Whoever took the call's state away is done with the descriptor.
        let _ = self.with_pending(|pending| {
            pending.take_back();
            Ok(())
        });
        Ok(waited)
    }

    fn with_pending<T>(&self, act: impl FnOnce(&mut Pending) -> io::Result<T>) -> io::Result<T> {
        match self.socket.inner.lock().state.standing(self.serial) {
            Standing::Mine(pending) => act(pending),
            Standing::Aborted => Err(sys::errno(libc::ECONNABORTED)),
            Standing::Gone => Err(sys::errno(libc::EBADF)),
        }
    }

    /// The call did its work: `next` makes the new state of what the socket
    /// was bound to, under the lock. It fails when the socket was closed or
    /// shut down in the last moment.
    pub(crate) fn finish(self, next: impl FnOnce(Option<Held>) -> State) -> io::Result<()> {
        let mut inner = self.socket.inner.lock();
        match inner.state.standing(self.serial) {
            Standing::Mine(_) => {}
            Standing::Aborted => return Err(sys::errno(libc::ECONNABORTED)),
            Standing::Gone => return Err(sys::errno(libc::EBADF)),
        }
        if let State::Pending(pending) = core::mem::replace(&mut inner.state, State::Closed) {
            inner.state = next(pending.base);
        }
        Ok(())
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        let mut inner = self.socket.inner.lock();
        if let Standing::Gone = inner.state.standing(self.serial) {
            return;
        }
        if let State::Pending(pending) = core::mem::replace(&mut inner.state, State::Closed) {
            inner.state = pending.undone();
        }
    }
}
