//! Locks of the standard library: those of parking_lot take memory for a thread
//! that waits, and end the process when there is none. A panic of the thread that
//! has a lock is not told to others: it leaves nothing half done here.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{self, PoisonError};
use std::time::Instant;

pub use std::sync::MutexGuard;

/// Mutual exclusion.
#[derive(Debug, Default)]
pub struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A mutex that is free.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex(sync::Mutex::new(value))
    }

    /// Waits until it is free.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes threads that wait for a change of what a [`Mutex`] protects.
#[derive(Debug, Default)]
pub struct Condvar(sync::Condvar);

impl Condvar {
    /// Nobody waits.
    pub const fn new() -> Condvar {
        Condvar(sync::Condvar::new())
    }

    /// Waits, with the mutex free meanwhile; `None` at the deadline.
    pub fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Instant,
    ) -> Option<MutexGuard<'a, T>> {
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.0.wait_timeout(guard, left);
        let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        (!timeout.timed_out()).then_some(guard)
    }

    /// Waits, with the mutex free meanwhile.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let woken = self.0.wait(guard);
        woken.unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all that wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A value that is used while it is replaced: no lock is held meanwhile, so those
/// that use it may wait for each other.
#[derive(Debug)]
pub struct Shared<T> {
    /// Read by a forked process, too, while another thread of its parent reads.
    value: sync::RwLock<Versioned<T>>,
    /// How many use a version that is even, and one that is odd; and [`WAITING`].
    users: [AtomicU32; 2],
    /// Held while the value is replaced.
    replacing: Mutex<()>,
    waiting: Mutex<()>,
    unused: Condvar,
}

#[derive(Clone, Copy, Debug)]
struct Versioned<T> {
    value: T,
    is_odd: bool,
}

/// Set while a thread waits for the users.
const WAITING: u32 = 1 << 31;

impl<T: Copy> Shared<T> {
    /// Nobody uses it.
    pub const fn new(value: T) -> Shared<T> {
        Shared {
            value: sync::RwLock::new(Versioned {
                value,
                is_odd: false,
            }),
            users: [AtomicU32::new(0), AtomicU32::new(0)],
            replacing: Mutex::new(()),
            waiting: Mutex::new(()),
            unused: Condvar::new(),
        }
    }

    /// The value now.
    pub fn get(&self) -> T {
        let now = self.value.read().unwrap_or_else(PoisonError::into_inner);
        now.value
    }

    /// Calls `work` with the value.
    pub fn with<R>(&self, work: impl FnOnce(T) -> R) -> R {
        let now = self.value.read().unwrap_or_else(PoisonError::into_inner);
        let (value, users) = (now.value, &self.users[usize::from(now.is_odd)]);
        // Under the lock: see `replace`.
        users.fetch_add(1, SeqCst);
        drop(now);
        let _user = User(self, users);
        work(value)
    }

    /// Replaces the value, and waits until nobody uses the one before. Not for those
    /// that use it.
    pub fn replace(&self, change: impl FnOnce(T) -> T) {
        let _replacing = self.replacing.lock();
        let mut now = self.value.write().unwrap_or_else(PoisonError::into_inner);
        let before = *now;
        *now = Versioned {
            value: change(before.value),
            is_odd: !before.is_odd,
        };
        drop(now);
        // None of them is new: those count for the other one.
        let users = &self.users[usize::from(before.is_odd)];
        let mut waiting = self.waiting.lock();
        while users.fetch_or(WAITING, SeqCst) & !WAITING != 0 {
            waiting = self.unused.wait(waiting);
        }
        users.store(0, SeqCst);
    }
}

/// A use of a [`Shared`] value, until it is dropped.
struct User<'a, T>(&'a Shared<T>, &'a AtomicU32);

impl<T> Drop for User<'_, T> {
    fn drop(&mut self) {
        let User(shared, users) = self;
        if users.fetch_sub(1, SeqCst) & WAITING != 0 {
            // The waiter has either not looked yet or waits.
            drop(shared.waiting.lock());
            shared.unused.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    #[test]
    fn a_value_is_used_by_nobody_once_it_was_replaced() {
        static IN_USE: [AtomicU32; 2] = [AtomicU32::new(0), AtomicU32::new(0)];
        let (shared, over) = (Shared::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(SeqCst) {
                        shared.with(|index: usize| {
                            IN_USE[index].fetch_add(1, SeqCst);
                            // Users may wait for each other.
                            shared.with(|_| thread::yield_now());
                            IN_USE[index].fetch_sub(1, SeqCst);
                        });
                        thread::yield_now();
                    }
                });
            }
            let replacers = [0, 1].map(|_| {
                scope.spawn(|| {
                    for _ in 0..200 {
                        shared.replace(|index| 1 - index);
                    }
                })
            });
            for replacer in replacers {
                replacer.join().unwrap();
            }
            shared.replace(|_| 0);
            assert_eq!(IN_USE[1].load(SeqCst), 0);
            over.store(true, SeqCst);
        });
    }
}
