//! The atomics and mutexes of [`fd_lock`](crate::fd_lock): the real ones or, to
//! explore all interleavings in a test, those of loom.

#[cfg(not(loom))]
pub(crate) use crate::locks::{Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
#[cfg(loom)]
pub(crate) use model::{Condvar, Mutex, MutexGuard};

/// loom's locks with the methods of [`locks`](crate::locks).
#[cfg(loom)]
mod model {
    use std::time::Instant;

    pub(crate) use loom::sync::MutexGuard;

    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    pub(crate) struct Condvar(loom::sync::Condvar);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("loom does not poison")
        }
    }

    impl Condvar {
        pub(crate) fn new() -> Condvar {
            Condvar(loom::sync::Condvar::new())
        }

        /// There is no time in the model: a wait that is never ended is reported
        /// as a deadlock.
        pub(crate) fn wait_until<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            _deadline: Instant,
        ) -> Option<MutexGuard<'a, T>> {
            Some(self.0.wait(guard).expect("loom does not poison"))
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
