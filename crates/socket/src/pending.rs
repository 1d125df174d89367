//! A connect, bind or accept that is under way.

use anjay_net_resolve::Family;

use crate::error::Result;
use crate::fd_lock::{FdGuard, FdOwner};
use crate::socket::Socket;
use crate::state::{From, Pending, State};
use crate::sys::Waker;

/// A call that changes a socket's state and may have to wait for it. Dropped
/// without [`Operation::finish`], it leaves the socket as it was.
pub(crate) struct Operation<'a> {
    socket: &'a Socket,
    generation: u32,
}

impl<'a> Operation<'a> {
    /// `EISCONN` when the socket's state forbids it, `EALREADY` when another
    /// such call is at work.
    pub(crate) fn begin(socket: &'a Socket, from: From) -> Result<Operation<'a>> {
        let mut inner = socket.inner.lock();
        let generation = inner.generation.wrapping_add(1);
        inner.state.begin(from, generation)?;
        inner.generation = generation;
        Ok(Operation { socket, generation })
    }

    /// The descriptor that the call started from, if the socket was bound, and
    /// its family.
    pub(crate) fn base(&self) -> Result<Option<(FdGuard<'a>, Family)>> {
        let socket = self.socket;
        // Acquired under the mutex: it is this call's descriptor, and not one
        // that was bound after a close.
        self.with_pending(|pending| match &pending.base {
            Some(owner) => Ok(Some((socket.fd()?, owner.family()))),
            None => Ok(None),
        })
    }

    /// `ECONNABORTED` after shutdown, `EBADF` after close.
    pub(crate) fn check(&self) -> Result<()> {
        self.with_pending(|_| Ok(()))
    }

    /// What ends a wait of this call: shutdown, close, and the answers that it
    /// waits for.
    pub(crate) fn waker(&self) -> Result<Waker> {
        self.with_pending(|pending| match &pending.waker {
            Some(waker) => waker.try_clone(),
            None => pending.waker.insert(Waker::new()?).try_clone(),
        })
    }

    fn with_pending<T>(&self, act: impl FnOnce(&mut Pending) -> Result<T>) -> Result<T> {
        act(self.socket.inner.lock().state.pending_of(self.generation)?)
    }

    /// The call did its work: `next` makes the new state from the descriptor that
    /// the socket was bound with, under the mutex. It fails when the socket was
    /// closed or shut down in the last moment.
    pub(crate) fn finish(self, next: impl FnOnce(Option<FdOwner>) -> State) -> Result<()> {
        let mut inner = self.socket.inner.lock();
        let base = inner.state.pending_of(self.generation)?.base.take();
        inner.state = next(base);
        Ok(())
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        self.socket.inner.lock().state.undo(self.generation);
    }
}
