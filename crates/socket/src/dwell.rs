//! Receives that wait inside of the kernel's receive.
//!
//! A receive that finds nothing waits in poll(2) and tries again: three system
//! calls, and a timer that is dear to set. Where a socket's receives wait time
//! after time with the same receive timeout, as those of a client that asks and
//! waits for the answer, the descriptor is put into blocking mode with
//! `SO_RCVTIMEO` (socket(7)), and from then on a receive is one system call
//! whether it waits or not. That takes so many waits that who receives only now
//! and then never pays for it.
//!
//! The kernel's timer is coarse: it may end late by an eighth of the time and a
//! tick (kernel/time/timer.c), and a signal that is handled ends the wait. So
//! it gets only a part of the time, and the rest is for poll(2), which ends when
//! it should. `EAGAIN` is never taken for the end of the time, so nothing breaks
//! when somebody makes the descriptor non-blocking.
//!
//! Callers who ask for the descriptor get a non-blocking one, as documented: it
//! is made so again when they ask, and stays so.

use core::sync::atomic::Ordering::{Acquire, Relaxed};
use core::time::Duration;

use crate::gate::{Flags, Pass};
use crate::options::patience_of;
use crate::socket::{Inner, Socket};
use crate::state::State;
use crate::sys;
use crate::wait::{Patience, Waits};

/// Less is not worth it: what the kernel's timer may be late by would be most
/// of it.
const WORTH_IT: Duration = Duration::from_millis(200);

/// Two ticks of the slowest clock that Linux knows (`HZ=100`), and some.
const TICKS: Duration = Duration::from_millis(25);

/// How long the kernel's receive may wait so that it ends before the time does.
/// `None` when the wait has no end, or is too short.
fn share_of(patience: Patience) -> Option<Duration> {
    match patience {
        Patience::For(time) if time >= WORTH_IT => Some(time - time / 4 - TICKS),
        _ => None,
    }
}

fn is_worth_it(patience: Patience) -> bool {
    patience == Patience::Forever || share_of(patience).is_some()
}

/// What is void when the receive timeout changes.
const HABITS: Flags = Flags::WAITS
    .with(Flags::PREPARES)
    .with(Flags::DWELLS)
    .with(Flags::BLOCKING);

/// How a receive begins.
pub(crate) enum Begin {
    /// With a try.
    Try,
    /// With a wait in poll(2).
    Poll,
    /// With a wait in the kernel's receive.
    Dwell(Waits),
}

/// A receive has waited: the seventh with the same receive timeout decides about
/// those that follow.
pub(crate) fn note_wait(pass: &mut Pass<'_>, patience: Patience) {
    let decided = Flags::SHOWN.with(Flags::PREPARES).with(Flags::DWELLS);
    if !sys::MAY_DWELL || pass.flags().has(decided) || !is_worth_it(patience) {
        return;
    }
    if pass.count_wait() {
        pass.raise(if pass.flags().has(Flags::STREAM) {
            Flags::DWELLS
        } else {
            Flags::PREPARES
        });
    }
}

impl Socket {
    /// How a receive begins on a socket that [prepares](Flags::PREPARES) or
    /// [dwells](Flags::DWELLS). Each of the two takes one receive of three system
    /// calls, which is what one that waits takes anyway.
    pub(crate) fn begin_receive(&self, pass: &mut Pass<'_>) -> Begin {
        // Acquire: what the descriptor's mode was before this time was set is
        // no more.
        let patience = patience_of(self.patience.load(Acquire));
        let flags = pass.flags();
        // What was shut down has an end that only a try tells from nothing.
        if flags.has(Flags::SHUT) || !is_worth_it(patience) {
            return Begin::Try;
        }
        if flags.has(Flags::DWELLS) {
            if flags.has(Flags::BLOCKING) || self.settle(pass) {
                return Begin::Dwell(Waits::begun(patience));
            }
        } else if flags.has(Flags::PREPARES) && prepare(pass) {
            return Begin::Poll;
        }
        Begin::Try
    }

    /// Puts the descriptor into blocking mode, unless it is shown or may still
    /// be replaced by another: such a wait could not be ended.
    #[cold]
    fn settle(&self, pass: &mut Pass<'_>) -> bool {
        // Under the lock, as all who change the mode or the receive timeout.
        let inner = self.inner.lock();
        let stays = matches!(inner.state, State::Connected(_) | State::Accepted(_));
        let allowed = pass
            .look_again()
            .is_some_and(|flags| !flags.has(Flags::SHOWN));
        let patience = patience_of(self.patience.load(Relaxed));
        if stays && allowed && is_worth_it(patience) {
            let fd = pass.fd();
            let settled = sys::set_receive_timeout(fd, share_of(patience))
                .and_then(|()| sys::set_blocking(fd, true));
            if settled.is_ok() {
                pass.raise(Flags::BLOCKING);
                return true;
            }
        }
        pass.lower(HABITS);
        false
    }

    /// The receive timeout changes: what was found out about it is void.
    pub(crate) fn forget_waits(&self, _inner: &Inner) {
        if !self.gate.flags().has(HABITS) {
            return;
        }
        let Some(mut pass) = self.gate.enter() else {
            return;
        };
        if pass.flags().has(Flags::BLOCKING) {
            // It can't fail on a socket.
            let _ = sys::set_blocking(pass.fd(), false);
        }
        pass.lower(HABITS);
    }

    /// The caller gets to know the descriptor.
    #[cold]
    pub(crate) fn show(&self) {
        let inner = self.inner.lock();
        self.forget_waits(&inner);
        if let Some(held) = inner.state.held() {
            self.gate.raise(held, Flags::SHOWN);
        }
    }
}

/// A datagram whose checksum is wrong would begin the kernel's wait anew: the
/// checksum is looked at when the datagram is taken from the queue, and then the
/// kernel waits for another (udp_recvmsg in net/ipv4/udp.c). Where there is a
/// filter it is looked at before.
#[cold]
fn prepare(pass: &mut Pass<'_>) -> bool {
    let filtered = sys::filter_nothing(pass.fd()).is_ok();
    pass.lower(Flags::PREPARES);
    pass.raise(if filtered {
        Flags::DWELLS
    } else {
        // It will not be tried again.
        Flags::SHOWN
    });
    filtered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::options::TimeSpan;
    use core::ops::RangeInclusive;
    use core::sync::atomic::AtomicI64;
    use core::sync::atomic::Ordering::Release;
    use std::net::UdpSocket;
    use std::thread;

    /// Seconds of a receive timeout.
    fn seconds(seconds: i64) -> TimeSpan {
        TimeSpan {
            seconds,
            nanoseconds: 0,
        }
    }

    const ROUNDS: RangeInclusive<i64> = 2..=1000;

    #[test]
    fn who_sees_a_new_timeout_finds_the_descriptor_non_blocking() {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = peer.local_addr().unwrap().port().to_string();
        let socket = Socket::new(Kind::Udp, crate::Configuration::default()).unwrap();
        socket.connect(b"127.0.0.1", port.as_bytes(), None).unwrap();
        let mut pass = socket.gate.enter().unwrap();
        let fd = pass.fd();
        let (begun, seen) = (AtomicI64::new(0), AtomicI64::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in ROUNDS {
                    begun.store(round, Release);
                    let new = seconds(round).as_patience();
                    while socket.patience.load(Acquire) != new {}
                    let blocking = sys::is_blocking(fd);
                    seen.store(if blocking { -1 } else { round }, Release);
                    assert!(!blocking, "round {round}");
                }
            });
            for round in ROUNDS {
                pass.raise(Flags::DWELLS);
                assert!(matches!(socket.begin_receive(&mut pass), Begin::Dwell(_)));
                while begun.load(Acquire) != round {
                    thread::yield_now();
                }
                socket.set_receive_timeout(seconds(round)).unwrap();
                while seen.load(Acquire) != round {
                    if seen.load(Acquire) == -1 {
                        return;
                    }
                    thread::yield_now();
                }
            }
        });
    }
}
