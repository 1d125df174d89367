//! A connect, bind or accept that is under way.

use core::mem;

use crate::error::Result;
use crate::fd_lock::{FdGuard, FdOwner};
use crate::locks::MutexGuard;
use crate::socket::{Inner, Socket};
use crate::state::{From, Pending, State};
use crate::sys::Waker;

/// A call that changes a socket's state and may have to wait for it. Dropped
/// without [`Operation::finish`], it leaves the socket as it was.
pub(crate) struct Operation<'a> {
    pub(crate) socket: &'a Socket,
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

    /// The descriptor that the call started from, if the socket was bound.
    pub(crate) fn base(&self) -> Result<Option<FdGuard<'a>>> {
        let socket = self.socket;
        // Acquired under the mutex: it is this call's descriptor, and not one
        // that was bound after a close.
        self.with_pending(|pending| pending.base.as_ref().map(|_| socket.fd()).transpose())
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

    /// The call did its work: the mutex, under which the caller stores the new state,
    /// and what the socket was bound with. It fails when the socket was closed or shut
    /// down in the last moment.
    pub(crate) fn finish(self) -> Result<(MutexGuard<'a, Inner>, Option<FdOwner>)> {
        let mut inner = self.socket.inner.lock();
        let base = inner.state.pending_of(self.generation)?.base.take();
        inner.state = State::Closed;
        // There is nothing left to undo.
        mem::forget(self);
        Ok((inner, base))
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        self.socket.inner.lock().state.undo(self.generation);
    }
}

/// Each method above is one critical section of the socket's mutex, so the orders of
/// the methods are all the interleavings that threads can have.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::fd_lock::Flags;
    use crate::socket_config::SocketConfig;
    use crate::state::Status;
    use crate::sys::{self, PollFd};
    use crate::timeout::wait;
    use anjay_net_resolve::{Family, Kind};
    use std::os::fd::AsFd;
    use std::time::Instant;

    /// The steps of two calls, of a close and of a shutdown.
    const STEPS: [usize; 4] = [4, 4, 1, 1];

    /// What the socket must be: a description of its own.
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Model {
        Closed,
        Bound,
        Pending {
            call: usize,
            is_bound: bool,
            is_aborted: bool,
        },
        Shutdown,
    }

    impl Model {
        fn begin(&mut self, call: usize) -> Result<(), i32> {
            let is_bound = match *self {
                Model::Closed => false,
                Model::Bound => true,
                Model::Pending { .. } => return Err(libc::EALREADY),
                Model::Shutdown => return Err(libc::EISCONN),
            };
            *self = Model::Pending {
                call,
                is_bound,
                is_aborted: false,
            };
            Ok(())
        }

        fn check(self, by: usize) -> Result<(), i32> {
            match self {
                Model::Pending {
                    call,
                    is_aborted: false,
                    ..
                } if call == by => Ok(()),
                Model::Pending { call, .. } if call == by => Err(libc::ECONNABORTED),
                _ => Err(libc::EBADF),
            }
        }

        fn end(&mut self, by: usize, does_finish: bool) {
            let result = self.check(by);
            match *self {
                Model::Pending { call, .. } if call != by => {}
                Model::Pending {
                    is_bound,
                    is_aborted,
                    ..
                } => {
                    *self = match (does_finish && result.is_ok(), is_bound, is_aborted) {
                        (true, ..) | (false, true, false) => Model::Bound,
                        (false, true, true) => Model::Shutdown,
                        (false, false, _) => Model::Closed,
                    }
                }
                _ => {}
            }
        }

        fn status(self) -> Status {
            match self {
                Model::Closed => Status::Closed,
                Model::Pending { is_bound, .. } if !is_bound => Status::Closed,
                Model::Bound | Model::Pending { .. } => Status::Bound,
                Model::Shutdown => Status::Shutdown,
            }
        }
    }

    struct Call<'a> {
        operation: Option<Operation<'a>>,
        waker: Option<Waker>,
        must_be_woken: bool,
    }

    fn code<T>(result: Result<T>) -> Result<(), i32> {
        result.map(drop).map_err(|error| error.0)
    }

    fn bound(socket: &Socket) -> State {
        let fd = sys::socket(Family::V4, false).unwrap();
        State::Bound(socket.lock.install(fd, Flags::NONE))
    }

    fn run(order: &[usize], is_bound: bool, does_first_finish: bool) {
        let socket = Socket::new(Kind::Udp, SocketConfig::default()).unwrap();
        let mut model = Model::Closed;
        if is_bound {
            let state = bound(&socket);
            socket.inner.lock().state = state;
            model = Model::Bound;
        }
        let mut calls = [(); 2].map(|()| Call {
            operation: None,
            waker: None,
            must_be_woken: false,
        });
        let mut next = [0; STEPS.len()];
        for &thread in order {
            let step = next[thread];
            next[thread] += 1;
            if thread >= calls.len() {
                let expected = match (thread, model) {
                    (3, Model::Closed) => Err(libc::EBADF),
                    _ => Ok(()),
                };
                if let Model::Pending { call, .. } = model {
                    calls[call].must_be_woken = calls[call].waker.is_some();
                }
                model = match (thread, model) {
                    (2, _) | (_, Model::Closed) => Model::Closed,
                    (_, Model::Pending { call, is_bound, .. }) => Model::Pending {
                        call,
                        is_bound,
                        is_aborted: true,
                    },
                    _ => Model::Shutdown,
                };
                match thread {
                    2 => _ = socket.close(),
                    _ => assert_eq!(code(socket.shutdown()), expected),
                }
            } else if step == 0 {
                let begun = Operation::begin(&socket, From::ClosedOrBound);
                let expected = model.begin(thread);
                match begun {
                    Ok(operation) => {
                        assert_eq!(expected, Ok(()));
                        calls[thread].operation = Some(operation);
                    }
                    Err(error) => assert_eq!(code::<()>(Err(error)), expected),
                }
            } else if let Some(operation) = calls[thread].operation.take() {
                let expected = model.check(thread);
                match step {
                    1 => {
                        let waker = operation.waker();
                        assert_eq!(code(waker.as_ref().map_err(|error| *error)), expected);
                        calls[thread].waker = waker.ok();
                        calls[thread].operation = Some(operation);
                    }
                    2 => {
                        assert_eq!(code(operation.check()), expected);
                        calls[thread].operation = Some(operation);
                    }
                    _ => {
                        let does_finish = thread == 1 || does_first_finish;
                        if does_finish {
                            let finished = operation.finish().map(|(mut inner, base)| {
                                inner.state = base.map_or_else(|| bound(&socket), State::Bound);
                            });
                            assert_eq!(code(finished), expected);
                        } else {
                            drop(operation);
                        }
                        model.end(thread, does_finish);
                    }
                }
            }
            assert_eq!(socket.status(), model.status(), "{order:?}");
            assert_eq!(
                socket.lock.number().is_some(),
                model.status() != Status::Closed
            );
            for call in &calls {
                if let Some(waker) = &call.waker {
                    let mut fds = [PollFd::new(waker.as_fd(), libc::POLLIN)];
                    let is_woken = wait(&mut fds, Some(Instant::now())).is_ok();
                    assert_eq!(is_woken, call.must_be_woken, "{order:?}");
                }
            }
        }
    }

    /// Calls `run` with every order of the steps that are left.
    fn every_order(
        left: &mut [usize; STEPS.len()],
        order: &mut Vec<usize>,
        run: &mut impl FnMut(&[usize]),
    ) {
        if left.iter().all(|&steps| steps == 0) {
            run(order);
        }
        for thread in 0..left.len() {
            if left[thread] > 0 {
                left[thread] -= 1;
                order.push(thread);
                every_order(left, order, run);
                order.pop();
                left[thread] += 1;
            }
        }
    }

    #[test]
    fn calls_close_and_shutdown_in_every_order() {
        let mut orders = 0;
        every_order(&mut STEPS.clone(), &mut Vec::new(), &mut |order| {
            for (is_bound, does_first_finish) in
                [(false, false), (false, true), (true, false), (true, true)]
            {
                run(order, is_bound, does_first_finish);
                orders += 1;
            }
        });
        // Of ten steps, those of each thread in their own order.
        assert_eq!(orders, 4 * 6300);
        println!("{orders} interleavings");
    }
}
