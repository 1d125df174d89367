//! Calls in flight, which cleanup waits for.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Instant;

use anjay_net_socket::is_only_thread;
use anjay_net_socket::locks::{Condvar, Mutex};

/// How many calls are in flight on one object.
#[derive(Default)]
pub(crate) struct Calls(AtomicU32);

/// One call, until it is dropped.
#[must_use = "the call is counted while this lives"]
pub(crate) struct CallGuard<'a>(&'a AtomicU32);

/// Set while a thread waits for the calls of the object.
const WAITING: u32 = 1 << 31;

/// Of all objects: the last call must not touch the memory of its own, which
/// cleanup may free as soon as the count is zero.
static ENDED: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());

impl Calls {
    /// A call begins.
    #[inline(always)]
    pub(crate) fn enter(&self) -> CallGuard<'_> {
        self.0.fetch_add(1, Relaxed);
        CallGuard(&self.0)
    }

    /// Whether calls are in flight that never end: a process that was forked has none
    /// of the threads that were in them, and what they have locked stays so.
    pub(crate) fn are_orphaned(&self) -> bool {
        self.0.load(Relaxed) != 0 && is_only_thread()
    }

    /// Waits until no call is in flight; false when that takes until `deadline`.
    /// No call may begin meanwhile.
    pub(crate) fn wait(&self, deadline: impl FnOnce() -> Instant) -> bool {
        // Acquire, here and below: pairs with the Release in `CallGuard::drop`,
        // so that all use of the object comes before its end.
        if self.0.load(Acquire) == 0 {
            return true;
        }
        let deadline = deadline();
        let (mutex, ended) = &ENDED;
        let mut locked = mutex.lock();
        self.0.fetch_or(WAITING, Relaxed);
        while self.0.load(Acquire) != WAITING {
            match ended.wait_until(locked, deadline) {
                Some(woken) => locked = woken,
                None => return self.0.load(Acquire) == WAITING,
            }
        }
        true
    }
}

impl Drop for CallGuard<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.0.fetch_sub(1, Release) & WAITING != 0 {
            notify();
        }
    }
}

#[cold]
fn notify() {
    let (mutex, ended) = &ENDED;
    // The waiter has either not looked yet or waits.
    drop(mutex.lock());
    ended.notify_all();
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use std::thread;

    #[test]
    fn waits_for_every_call_and_not_beyond_the_deadline() {
        let calls = Calls::default();
        assert!(calls.wait(|| panic!("there is nothing to wait for")));
        let guards = [calls.enter(), calls.enter()];
        assert!(!calls.wait(|| Instant::now() + Duration::from_millis(20)));
        thread::scope(|scope| {
            scope.spawn(|| drop(guards));
            assert!(calls.wait(|| Instant::now() + Duration::from_secs(60)));
        });
    }
}
