//! Who may use the descriptor, and when it goes back to the system.
//!
//! Calls enter and leave; a closer marks the descriptor as retired, wakes who
//! waits for it, and waits for nobody; whoever is the last one out closes it.
//! So a descriptor's number is never given back while a call still uses it,
//! and no call ever touches somebody else's file.
//!
//! Entering and leaving are one atomic operation each on one word:
//!
//! | bits | what |
//! |---|---|
//! | 63..32 | the descriptor, all ones when there is none |
//! | 31..21 | [`Flags`] |
//! | 20..0 | how many calls are inside |
//!
//! A retired descriptor with calls inside moves to a list of the process (rare,
//! under a lock), and the gate is at once free for the next descriptor. A call that
//! leaves finds out which case it is by the number alone: while it is inside,
//! the number can't be given to another descriptor, so a gate that holds the
//! same number holds the same descriptor.

#[cfg(all(test, loom))]
mod loom_model;

use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::AtomicI32;
use std::os::fd::{OwnedFd, RawFd};
use std::time::Instant;

use anjay_net_resolve::Family;

use crate::sync::{AtomicU64, AtomicUsize, Condvar, Mutex, Ordering, process_wide};
use crate::sys;

/// What the gate asks of a descriptor: the real one, or that of a model.
pub(crate) trait Descriptor {
    /// Gives up ownership: the number alone now stands for it.
    fn into_number(self) -> RawFd;
    /// Takes ownership back from a number, once for each that was given.
    fn from_number(number: RawFd) -> Self;
    /// Ends the wait of all calls that wait for it.
    fn wake(number: RawFd);
}

impl Descriptor for OwnedFd {
    #[inline]
    fn into_number(self) -> RawFd {
        sys::disown(self)
    }

    #[inline]
    fn from_number(number: RawFd) -> OwnedFd {
        sys::adopt(number)
    }

    fn wake(number: RawFd) {
        // An error means that there is nobody to wake: nothing is lost.
        drop(sys::shutdown(number));
    }
}

/// What calls must know of a descriptor before they use it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flags(u64);

impl Flags {
    /// Nothing special.
    pub(crate) const NONE: Flags = Flags(0);
    /// It was shut down.
    pub(crate) const SHUT: Flags = Flags(1 << 31);
    /// Its queue may hold datagrams of others than the connected peer.
    pub(crate) const SIFT: Flags = Flags(1 << 30);
    /// It received before it was connected, so that one datagram of the peer
    /// does not prove that none of another follows.
    pub(crate) const QUEUED: Flags = Flags(1 << 29);
    /// It is no datagram socket.
    pub(crate) const STREAM: Flags = Flags(1 << 28);
    /// So many receives had to wait that the next one prepares for [`DWELLS`].
    ///
    /// [`DWELLS`]: Flags::DWELLS
    pub(crate) const PREPARES: Flags = Flags(1 << 27);
    /// The next receive may wait in the kernel's receive.
    pub(crate) const DWELLS: Flags = Flags(1 << 26);
    /// The descriptor is in blocking mode.
    pub(crate) const BLOCKING: Flags = Flags(1 << 25);
    /// The caller knows the descriptor, which therefore stays non-blocking.
    pub(crate) const SHOWN: Flags = Flags(1 << 24);
    /// How many receives had to wait since the receive timeout changed, up to
    /// the largest number that fits here.
    pub(crate) const WAITS: Flags = Flags(0b111 << 21);

    pub(crate) const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    #[inline]
    pub(crate) fn has(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }
}

const FLAGS: u64 = 0x7ff << 21;
const USERS: u64 = (1 << 21) - 1;
const ONE_WAIT: u64 = 1 << 21;
const FD_SHIFT: u32 = 32;
/// No descriptor, no flags, nobody inside.
const EMPTY: u64 = (u32::MAX as u64) << FD_SHIFT;

#[inline]
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // the upper half is an i32
fn fd_of(word: u64) -> RawFd {
    (word >> FD_SHIFT) as u32 as RawFd
}

#[allow(clippy::cast_sign_loss)] // kept bit by bit
fn word_of(fd: RawFd, flags: Flags) -> u64 {
    (u64::from(fd as u32) << FD_SHIFT) | flags.0
}

/// The state of one socket's descriptor; see the module's text.
pub(crate) struct Gate<D: Descriptor = OwnedFd> {
    word: AtomicU64,
    /// The descriptor again, where C may read it: `get_system_socket`.
    slot: AtomicI32,
    /// The errno that ended the stream behind the descriptor, 0 while it is
    /// whole. The kernel tells it once; callers are told each time.
    fault: AtomicI32,
    descriptor: PhantomData<fn() -> D>,
}

/// The descriptors of all gates that were retired with calls still inside: so
/// few and so rare that they need no place in each gate. The number tells them
/// apart, as it is not given away before they are closed.
struct Leaving {
    retired: Mutex<Vec<Retired>>,
    /// How many there are, for who hopes for none.
    count: AtomicUsize,
    /// One of them was closed.
    closed: Condvar,
}

process_wide!(static LEAVING: Leaving = Leaving {
    retired: Mutex::new(Vec::new()),
    count: AtomicUsize::new(0),
    closed: Condvar::new(),
});

struct Retired {
    fd: RawFd,
    users: u64,
    /// The address of the gate it was in.
    gate: usize,
}

/// Proof that the gate holds a descriptor. There is one for each descriptor;
/// who has it alone may retire it.
#[derive(Debug)]
pub(crate) struct Held {
    family: Family,
}

impl Held {
    /// The descriptor's family.
    pub(crate) fn family(&self) -> Family {
        self.family
    }

    /// The same proof, from a state that is thrown away next.
    pub(crate) fn take(&mut self) -> Held {
        Held {
            family: self.family,
        }
    }
}

/// The right to use the descriptor, until dropped.
pub(crate) struct Pass<'a, D: Descriptor = OwnedFd> {
    gate: &'a Gate<D>,
    /// The gate's word as this call last saw it, with the call inside.
    word: u64,
}

impl<D: Descriptor> Gate<D> {
    /// A gate without a descriptor.
    pub(crate) fn new() -> Gate<D> {
        Gate {
            word: AtomicU64::new(EMPTY),
            slot: AtomicI32::new(-1),
            fault: AtomicI32::new(0),
            descriptor: PhantomData,
        }
    }

    /// Enters; `None` when there is no descriptor.
    #[inline]
    pub(crate) fn enter(&self) -> Option<Pass<'_, D>> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if fd_of(word) < 0 {
                return None;
            }
            // Acquire: what was done to the descriptor before it was put here
            // is seen by whoever uses it.
            match self.word.compare_exchange_weak(
                word,
                word + 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    return Some(Pass {
                        gate: self,
                        word: word + 1,
                    });
                }
                Err(now) => word = now,
            }
        }
    }

    /// Puts a descriptor in. The gate must be without one: whoever calls this
    /// holds the lock under which all descriptors come and go.
    #[inline]
    pub(crate) fn publish(&self, fd: D, family: Family, flags: Flags) -> Held {
        let fd = fd.into_number();
        self.slot.store(fd, Ordering::Relaxed);
        self.fault.store(0, Ordering::Relaxed);
        let before = self.word.swap(word_of(fd, flags), Ordering::Release);
        debug_assert_eq!(before, EMPTY, "published over another descriptor");
        Held { family }
    }

    /// Takes the descriptor out. It comes back to the caller when nobody is
    /// inside; otherwise those inside are woken, and the last one out closes
    /// it.
    pub(crate) fn retire(&self, held: Held) -> Option<D> {
        match self.retire_if_idle(held) {
            Ok(fd) => Some(fd),
            Err(_held) => {
                self.retire_in_use();
                None
            }
        }
    }

    /// Takes the descriptor out if nobody is inside.
    fn retire_if_idle(&self, held: Held) -> Result<D, Held> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & USERS != 0 {
                return Err(held);
            }
            match self
                .word
                .compare_exchange_weak(word, EMPTY, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => {
                    self.slot.store(-1, Ordering::Relaxed);
                    return Ok(D::from_number(fd_of(word)));
                }
                Err(now) => word = now,
            }
        }
    }

    #[cold]
    fn retire_in_use(&self) {
        let mut retired = LEAVING.retired.lock();
        // From here on who leaves comes to the list, and waits for the entry.
        let word = self.word.swap(EMPTY, Ordering::AcqRel);
        self.slot.store(-1, Ordering::Relaxed);
        let (fd, users) = (fd_of(word), word & USERS);
        if users == 0 {
            // The last one left a moment ago.
            drop(retired);
            drop(D::from_number(fd));
            return;
        }
        retired.push(Retired {
            fd,
            users,
            gate: self.address(),
        });
        LEAVING.count.store(retired.len(), Ordering::Relaxed);
        // Under the lock, so that the last one out can't close it meanwhile.
        D::wake(fd);
    }

    /// Waits until every descriptor that was retired is closed, its number and
    /// its port free again. Calls that are still inside have been woken, so
    /// this does not take long; false when it takes until `deadline`.
    #[inline]
    pub(crate) fn await_leavers(&self, deadline: impl FnOnce() -> Instant) -> bool {
        LEAVING.count.load(Ordering::Acquire) == 0 || self.await_own_leavers(deadline())
    }

    #[cold]
    fn await_own_leavers(&self, deadline: Instant) -> bool {
        let is_own = |entry: &Retired| entry.gate == self.address();
        let mut retired = LEAVING.retired.lock();
        while retired.iter().any(is_own) {
            let waited = LEAVING.closed.wait_until(&mut retired, deadline);
            if waited.timed_out() {
                return !retired.iter().any(is_own);
            }
        }
        true
    }

    /// What tells it from other gates while it lives.
    fn address(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    /// Adds flags to the descriptor that is there.
    pub(crate) fn raise(&self, _held: &Held, flags: Flags) {
        self.word.fetch_or(flags.0, Ordering::AcqRel);
    }

    /// Remembers what ended the stream.
    pub(crate) fn break_stream(&self, errno: i32) {
        self.fault.store(errno, Ordering::Relaxed);
    }

    /// What ended the stream, 0 if nothing did.
    pub(crate) fn fault(&self) -> i32 {
        self.fault.load(Ordering::Relaxed)
    }

    /// The flags of the descriptor that is there.
    #[inline]
    pub(crate) fn flags(&self) -> Flags {
        Flags(self.word.load(Ordering::Relaxed) & FLAGS)
    }

    /// Where C finds the descriptor; `None` when there is none.
    #[inline]
    pub(crate) fn slot(&self) -> Option<&AtomicI32> {
        (self.slot.load(Ordering::Relaxed) >= 0).then_some(&self.slot)
    }

    /// The end of a call when the gate has changed since the call looked at it.
    #[inline(never)]
    fn leave_changed(&self, fd: RawFd) {
        let mut word = self.word.load(Ordering::Relaxed);
        while fd_of(word) == fd {
            match self.word.compare_exchange_weak(
                word,
                word - 1,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
        leave_retired::<D>(fd);
    }
}

/// The end of a call whose descriptor was retired meanwhile.
#[cold]
fn leave_retired<D: Descriptor>(fd: RawFd) {
    let mut retired = LEAVING.retired.lock();
    let index = retired
        .iter()
        .position(|entry| entry.fd == fd)
        .expect("a descriptor with a call inside is in the gate or in the list");
    retired[index].users -= 1;
    if retired[index].users == 0 {
        // Closed while it is in the list, for who waits until it is not.
        drop(D::from_number(fd));
        retired.swap_remove(index);
        // Release: all use of the gate comes before who finds nobody.
        LEAVING.count.store(retired.len(), Ordering::Release);
        LEAVING.closed.notify_all();
    }
}

impl<D: Descriptor> fmt::Debug for Gate<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word.load(Ordering::Relaxed);
        f.debug_struct("Gate")
            .field("fd", &fd_of(word))
            .field("users", &(word & USERS))
            .finish()
    }
}

impl<D: Descriptor> Pass<'_, D> {
    /// The descriptor, valid while the pass lives.
    #[inline]
    pub(crate) fn fd(&self) -> RawFd {
        fd_of(self.word)
    }

    /// The flags when the call entered, or when it looked again.
    #[inline]
    pub(crate) fn flags(&self) -> Flags {
        Flags(self.word & FLAGS)
    }

    /// What has become of the descriptor since: its flags, or `None` when it
    /// was retired.
    pub(crate) fn look_again(&mut self) -> Option<Flags> {
        let word = self.gate.word.load(Ordering::Acquire);
        if fd_of(word) != self.fd() {
            return None;
        }
        self.word = word;
        Some(self.flags())
    }

    /// Takes flags away, unless the descriptor was retired meanwhile.
    pub(crate) fn lower(&mut self, flags: Flags) {
        self.change(|word| word & !flags.0);
    }

    /// Adds flags, unless the descriptor was retired meanwhile.
    pub(crate) fn raise(&mut self, flags: Flags) {
        self.change(|word| word | flags.0);
    }

    /// Counts a receive that had to wait; whether there were so many that no
    /// more can be counted.
    pub(crate) fn count_wait(&mut self) -> bool {
        let all = Flags::WAITS.0;
        self.change(|word| {
            if word & all == all {
                word
            } else {
                word + ONE_WAIT
            }
        });
        self.word & all == all
    }

    fn change(&mut self, change: impl Fn(u64) -> u64) {
        let mut word = self.gate.word.load(Ordering::Relaxed);
        while fd_of(word) == self.fd() {
            let changed = change(word);
            match self.gate.word.compare_exchange_weak(
                word,
                changed,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    self.word = changed;
                    return;
                }
                Err(now) => word = now,
            }
        }
    }
}

impl<D: Descriptor> Drop for Pass<'_, D> {
    #[inline]
    fn drop(&mut self) {
        // Mostly nobody else came or went meanwhile. Release: all use of the
        // descriptor comes before its end.
        let left = self.gate.word.compare_exchange(
            self.word,
            self.word - 1,
            Ordering::Release,
            Ordering::Relaxed,
        );
        if left.is_err() {
            self.gate.leave_changed(self.fd());
        }
    }
}
