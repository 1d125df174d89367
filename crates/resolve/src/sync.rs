//! The mutex and the condition variable of the [`pool`](crate::pool): the real ones
//! or, to explore all interleavings in a test, those of loom.
//!
//! Those of parking_lot take memory for a thread that waits, and end the process
//! when there is none.

pub(crate) use std::sync::PoisonError;
#[cfg(not(loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(loom)]
pub(crate) use model::Condvar;

#[cfg(loom)]
mod model {
    use std::sync::LockResult;
    use std::time::Duration;

    use loom::sync::MutexGuard;
    use loom::sync::atomic::{AtomicBool, Ordering};

    /// loom's, with a time that passes when the model says so.
    pub(crate) struct Condvar {
        inner: loom::sync::Condvar,
        is_over: AtomicBool,
    }

    pub(crate) struct TimedOut(bool);

    impl Condvar {
        pub(crate) fn new() -> Condvar {
            Condvar {
                inner: loom::sync::Condvar::new(),
                is_over: AtomicBool::new(false),
            }
        }

        pub(crate) fn notify_one(&self) {
            self.inner.notify_one();
        }

        pub(crate) fn wait_timeout<'a, T>(
            &self,
            mut guard: MutexGuard<'a, T>,
            _limit: Duration,
        ) -> LockResult<(MutexGuard<'a, T>, TimedOut)> {
            if !self.is_over.load(Ordering::SeqCst) {
                guard = self.inner.wait(guard).expect("loom does not poison");
            }
            // As on a busy machine: a thread that was notified may find out only
            // after its time.
            Ok((guard, TimedOut(self.is_over.load(Ordering::SeqCst))))
        }

        /// The time of all waits is over, now and later. Called with the mutex.
        pub(crate) fn expire(&self) {
            self.is_over.store(true, Ordering::SeqCst);
            self.inner.notify_all();
        }
    }

    impl TimedOut {
        pub(crate) fn timed_out(&self) -> bool {
            self.0
        }
    }
}
