//! Which calls use the descriptor, and when it is closed.
//!
//! A call acquires a [`FdGuard`]; close takes the descriptor out of the lock,
//! wakes the calls that wait for it, and waits for none of them; the last guard
//! to be dropped closes it. So a descriptor's number is never given back to the
//! system while a call still uses it, and no call ever touches somebody else's
//! file. (Go's `fdMutex` works the same way.)
//!
//! Acquiring and dropping are one atomic operation each on one word:
//!
//! | bits | what |
//! |---|---|
//! | 63..32 | the descriptor, all ones when there is none |
//! | 31..21 | [`Flags`] |
//! | 20..0 | how many guards there are |
//!
//! The descriptor itself belongs to the [`FdOwner`], which the state of the
//! socket holds. When it leaves the lock with guards outstanding, they are
//! accounted for in a list of the process (rare, under a mutex), and the lock is
//! free for the next descriptor. A guard that is dropped finds out by the number
//! alone where it is counted: while a guard exists the number can't be given to
//! another descriptor, so a lock that holds the same number holds the same
//! descriptor.

#[cfg(all(test, loom))]
mod loom_model;

use core::marker::PhantomData;
use core::mem;
use core::sync::atomic::AtomicI32;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};
use std::time::Instant;

use anjay_net_resolve::{Decimal, Family, unmap};

use crate::log_line;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard};

/// A descriptor, closed when it is dropped: a real one, or that of a model.
pub(crate) trait Descriptor: Sized + 'static {
    /// Its number.
    fn number(&self) -> RawFd;
    /// Ends the wait of all calls that wait for it.
    fn wake(&self);
    /// The list for all locks of such descriptors.
    fn closing_list() -> &'static ClosingList<Self>;
}

/// What calls must know of a descriptor before they use it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flags(u64);

impl Flags {
    /// Nothing special.
    pub(crate) const NONE: Flags = Flags(0);
    /// It was shut down.
    pub(crate) const SHUTDOWN: Flags = Flags(1 << 31);
    /// Its queue may hold datagrams from other sources than the connected peer.
    pub(crate) const FILTER: Flags = Flags(1 << 30);
    /// It received before it was connected: one datagram from the peer does not
    /// prove that none from another source follows.
    pub(crate) const FILTER_UNTIL_EMPTY: Flags = Flags(1 << 29);
    /// Both: the whole queue is filtered.
    pub(crate) const FILTER_QUEUE: Flags = Flags::FILTER.with(Flags::FILTER_UNTIL_EMPTY);
    /// Nothing was received from the peer yet, and whether it answers matters.
    pub(crate) const UNANSWERED: Flags = Flags(1 << 28);
    /// Sends fail for lack of a route.
    pub(crate) const OUTAGE: Flags = Flags(1 << 26);
    /// Its source is an address of this host, and no error may be reported when that is
    /// gone.
    pub(crate) const CHECK_SOURCE: Flags = Flags(1 << 25);
    /// It is a datagram socket with a peer.
    pub(crate) const CONNECTED: Flags = Flags(1 << 24);
    /// It is connected, and its packets are IPv6.
    pub(crate) const V6_PACKETS: Flags = Flags(1 << 23);
    /// It is an IPv6 descriptor.
    pub(crate) const V6: Flags = Flags(1 << 27);

    pub(crate) const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// The flag of a family.
    pub(crate) fn of_family(family: Family) -> Flags {
        match family {
            Family::V4 => Flags::NONE,
            Family::V6 => Flags::V6,
        }
    }

    /// Those of a datagram socket that is connected to `peer`.
    pub(crate) fn of_peer(peer: &SocketAddr) -> Flags {
        let peer = unmap(*peer);
        let mut flags = Flags::CONNECTED;
        if peer.is_ipv6() {
            flags = flags.with(Flags::V6_PACKETS);
        }
        if !peer.ip().is_loopback() {
            flags = flags.with(Flags::CHECK_SOURCE);
        }
        flags
    }

    /// The family of the packets of a connected datagram socket.
    #[inline]
    pub(crate) fn packets(self) -> Family {
        if self.has(Flags::V6_PACKETS) {
            Family::V6
        } else {
            Family::V4
        }
    }

    /// The family of the descriptor.
    #[inline]
    pub(crate) fn family(self) -> Family {
        if self.has(Flags::V6) {
            Family::V6
        } else {
            Family::V4
        }
    }

    /// Whether any of `other` is set.
    #[inline]
    pub(crate) fn has(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }
}

const FLAGS: u64 = 0x7ff << 21;
const USERS: u64 = (1 << 21) - 1;
const FD_SHIFT: u32 = 32;
/// No descriptor, no flags, no guards.
const EMPTY: u64 = (u32::MAX as u64) << FD_SHIFT;

#[inline]
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // the upper half is an i32
fn number_in(word: u64) -> RawFd {
    (word >> FD_SHIFT) as u32 as RawFd
}

#[allow(clippy::cast_sign_loss)] // kept bit by bit
fn word_of(number: RawFd, flags: Flags) -> u64 {
    (u64::from(number as u32) << FD_SHIFT) | flags.0
}

/// The descriptor of one socket as its calls see it.
#[derive(Debug)]
pub(crate) struct FdLock {
    word: AtomicU64,
    /// The number again, where C may read it: `get_system_socket`.
    number: AtomicI32,
    /// How often a descriptor was closed, not counting those that were replaced.
    closes: AtomicU32,
}

/// Descriptors that left their lock while there were guards for them. The
/// number tells them apart, as it is not given back before the last guard.
pub(crate) struct ClosingList<D> {
    entries: Mutex<Vec<Closing<D>>>,
    /// How many there are: lets callers skip the mutex when there are none.
    len: AtomicUsize,
    /// Notified when a descriptor of the list was closed.
    closed: Condvar,
}

struct Closing<D> {
    number: RawFd,
    users: u64,
    /// `None` while the descriptor lives on in another lock.
    fd: Option<D>,
}

/// Owns the descriptor of a lock. Only its holder can take it out.
pub(crate) struct FdOwner<D = OwnedFd>(D);

impl<D> FdOwner<D> {
    /// The descriptor, for callers that hold the mutex.
    pub(crate) fn fd(&self) -> &D {
        &self.0
    }
}

/// The right to use the descriptor, until dropped.
pub(crate) struct FdGuard<'a, D: Descriptor = OwnedFd> {
    lock: &'a FdLock,
    /// The lock's word as this call last saw it, with the call counted.
    word: u64,
    /// [`FdLock::closes`] before that.
    closes: u32,
    list: PhantomData<fn() -> D>,
}

impl FdLock {
    /// A lock without a descriptor.
    pub(crate) fn new() -> FdLock {
        FdLock {
            word: AtomicU64::new(EMPTY),
            number: AtomicI32::new(-1),
            closes: AtomicU32::new(0),
        }
    }

    /// `None` when there is no descriptor.
    #[inline]
    pub(crate) fn acquire<D: Descriptor>(&self) -> Option<FdGuard<'_, D>> {
        let closes = self.closes.load(Acquire);
        let mut word = self.word.load(Relaxed);
        while number_in(word) >= 0 {
            // Acquire: pairs with the Release in `install`, so that the call sees
            // what was done to the descriptor before it came here.
            match self
                .word
                .compare_exchange_weak(word, word + 1, Acquire, Relaxed)
            {
                Ok(_) => {
                    return Some(FdGuard {
                        lock: self,
                        word: word + 1,
                        closes,
                        list: PhantomData,
                    });
                }
                Err(now) => word = now,
            }
        }
        None
    }

    /// Puts a descriptor in. The lock must be without one: callers hold the
    /// mutex under which all descriptors come and go.
    pub(crate) fn install<D: Descriptor>(&self, fd: D, flags: Flags) -> FdOwner<D> {
        self.number.store(fd.number(), Relaxed);
        let before = self.word.swap(word_of(fd.number(), flags), Release);
        debug_assert_eq!(before, EMPTY, "installed over another descriptor");
        FdOwner(fd)
    }

    /// Takes the descriptor out, to be closed. It comes back to the caller when
    /// there are no guards; otherwise their calls are woken, and the last guard
    /// closes it.
    pub(crate) fn close<D: Descriptor>(&self, owner: FdOwner<D>) -> Option<D> {
        self.number.store(-1, Relaxed);
        let fd = self.take_out(owner.0, EMPTY);
        // Release: pairs with the Acquire in `acquire`. Counted after the descriptor is
        // gone, so that no call enters with the new count and the old descriptor.
        self.closes.fetch_add(1, Release);
        fd
    }

    /// Puts another descriptor in the place of one that is to be closed, as
    /// [`close`](FdLock::close) does; calls that were waiting go on with the new
    /// one.
    pub(crate) fn replace<D: Descriptor>(
        &self,
        owner: &mut FdOwner<D>,
        fd: D,
        flags: Flags,
    ) -> Option<D> {
        let next = word_of(fd.number(), flags);
        self.number.store(fd.number(), Relaxed);
        self.take_out(mem::replace(&mut owner.0, fd), next)
    }

    /// Puts another descriptor in the place of one that becomes another lock's.
    /// Calls that wait for the old one must be woken by the caller; they go on
    /// with the new one.
    pub(crate) fn hand_over<D: Descriptor>(
        &self,
        owner: &mut FdOwner<D>,
        fd: D,
        flags: Flags,
    ) -> D {
        let list = D::closing_list();
        // From here on a guard that is dropped waits for its entry.
        let entries = list.entries.lock();
        self.number.store(fd.number(), Relaxed);
        let users = USERS & self.word.swap(word_of(fd.number(), flags), AcqRel);
        let old = mem::replace(&mut owner.0, fd);
        if users != 0 {
            list.add(entries, old.number(), users, None);
        }
        old
    }

    /// Puts `next` in the place of `fd`.
    fn take_out<D: Descriptor>(&self, fd: D, next: u64) -> Option<D> {
        let list = D::closing_list();
        // Acquire for the word: pairs with the Release in `FdGuard::drop`. Acquire
        // for the list: pairs with the Release in `ClosingList::release`, so that
        // the use by calls of another lock comes before the end, too. An entry
        // about this descriptor can't be missed: it was made before the descriptor
        // came here.
        let idle = word_of(fd.number(), Flags::NONE);
        let end = |word| (word & !FLAGS == idle && list.len.load(Acquire) == 0).then_some(next);
        match self.word.fetch_update(AcqRel, Relaxed, end) {
            Ok(_) => Some(fd),
            Err(_) => self.take_out_in_use(fd, next),
        }
    }

    #[cold]
    fn take_out_in_use<D: Descriptor>(&self, fd: D, next: u64) -> Option<D> {
        let list = D::closing_list();
        // From here on a guard that is dropped waits for its entry.
        let mut entries = list.entries.lock();
        let users = self.word.swap(next, AcqRel) & USERS;
        let earlier = entries.iter().position(|entry| entry.number == fd.number());
        if users == 0 && earlier.is_none() {
            return Some(fd);
        }
        // Under the mutex, so that the last guard can't close it meanwhile.
        fd.wake();
        match earlier {
            Some(index) => {
                entries[index].users += users;
                entries[index].fd = Some(fd);
            }
            None => list.add(entries, fd.number(), users, Some(fd)),
        }
        None
    }

    /// Adds flags to the descriptor that is there.
    pub(crate) fn set<D>(&self, _owner: &FdOwner<D>, flags: Flags) {
        self.word.fetch_or(flags.0, AcqRel);
    }

    /// The descriptor's family. For callers that hold the mutex.
    pub(crate) fn family(&self) -> Family {
        Flags(self.word.load(Relaxed)).family()
    }

    /// Where C finds the descriptor's number; `None` when there is none.
    #[inline]
    pub(crate) fn number(&self) -> Option<&AtomicI32> {
        (self.number.load(Relaxed) >= 0).then_some(&self.number)
    }
}

impl<D: Descriptor> ClosingList<D> {
    /// Entries are rare: with room for this many, adding one takes no memory.
    const ROOM: usize = 16;

    #[cfg(not(loom))]
    pub(crate) const fn new() -> ClosingList<D> {
        ClosingList {
            entries: Mutex::new(Vec::new()),
            len: AtomicUsize::new(0),
            closed: Condvar::new(),
        }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> ClosingList<D> {
        ClosingList {
            entries: Mutex::new(Vec::new()),
            len: AtomicUsize::new(0),
            closed: Condvar::new(),
        }
    }

    /// Reserves the room, while memory can still run out without harm.
    ///
    /// Returns false when it has run out.
    pub(crate) fn reserve(&self) -> bool {
        self.entries.lock().try_reserve(Self::ROOM).is_ok()
    }

    fn add(
        &self,
        mut entries: MutexGuard<'_, Vec<Closing<D>>>,
        number: RawFd,
        users: u64,
        fd: Option<D>,
    ) {
        if entries.try_reserve(1).is_err() {
            // Open for good, so that no call ever uses another file.
            mem::forget(fd);
            // A log handler may use sockets.
            drop(entries);
            log_line!(
                Error,
                0,
                "no memory to close descriptor {} after its last use",
                Decimal(number.into())
            );
            return;
        }
        entries.push(Closing { number, users, fd });
        self.len.store(entries.len(), Relaxed);
    }

    /// Waits until the list is empty: every descriptor that was closed has given
    /// its number and its port back. The calls that are left were woken, so this
    /// does not take long. Returns false when it takes until `deadline`.
    pub(crate) fn wait_until_empty(&self, deadline: Instant) -> bool {
        let mut entries = self.entries.lock();
        while entries.iter().any(|entry| entry.fd.is_some()) {
            match self.closed.wait_until(entries, deadline) {
                Some(woken) => entries = woken,
                None => return false,
            }
        }
        true
    }

    /// A guard is dropped whose descriptor has left its lock.
    #[cold]
    fn release(&self, number: RawFd) {
        let mut entries = self.entries.lock();
        let Some(index) = entries.iter().position(|entry| entry.number == number) else {
            // `add` had no memory for it.
            return;
        };
        entries[index].users -= 1;
        if entries[index].users == 0 {
            // Closed while it is in the list, for those who wait until it is not.
            drop(entries[index].fd.take());
            entries.swap_remove(index);
            self.len.store(entries.len(), Release);
            self.closed.notify_all();
        }
    }
}

impl<D: Descriptor> FdGuard<'_, D> {
    /// The descriptor's number, which stands for the same file while the guard
    /// lives.
    #[inline]
    pub(crate) fn number(&self) -> RawFd {
        number_in(self.word)
    }

    /// The flags when the guard was made, or last revalidated.
    #[inline]
    pub(crate) fn flags(&self) -> Flags {
        Flags(self.word & FLAGS)
    }

    /// Whether other calls used the descriptor when the guard was last revalidated.
    pub(crate) fn is_shared(&self) -> bool {
        self.word & USERS > 1
    }

    /// Whether any of these is set now, or was then.
    #[inline]
    pub(crate) fn has_got(&self, flags: Flags) -> bool {
        // Acquire: pairs with the AcqRel in `update`.
        Flags(self.word | self.lock.word.load(Acquire)).has(flags)
    }

    /// The flags now, or `None` when the descriptor has left the lock.
    pub(crate) fn revalidate(&mut self) -> Option<Flags> {
        // Acquire: pairs with the AcqRel in `FdLock::set`.
        let word = self.lock.word.load(Acquire);
        if number_in(word) != self.number() {
            return None;
        }
        self.word = word;
        Some(self.flags())
    }

    /// The flags of the descriptor that the lock has now, which the guard is for
    /// from here on; `None` when its own was closed.
    pub(crate) fn follow(&mut self) -> Option<Flags> {
        while self.revalidate().is_none() {
            let next = self.lock.acquire()?;
            // A close that came before this descriptor is seen by now.
            if self.lock.closes.load(Relaxed) != self.closes {
                return None;
            }
            *self = next;
        }
        Some(self.flags())
    }

    /// Clears flags, unless the descriptor has left the lock.
    pub(crate) fn clear(&mut self, flags: Flags) {
        self.change(|word| word & !flags.0);
    }

    /// Sets flags, unless the descriptor has left the lock.
    pub(crate) fn set(&mut self, flags: Flags) {
        self.change(|word| word | flags.0);
    }

    fn change(&mut self, change: impl Fn(u64) -> u64) {
        if let Ok(before) = self.update(&change) {
            self.word = change(before);
        }
    }

    /// Changes the lock's word, and returns the one before; an error when the descriptor
    /// has left the lock.
    fn update(&self, change: impl Fn(u64) -> u64) -> Result<u64, u64> {
        let number = self.number();
        self.lock.word.fetch_update(AcqRel, Relaxed, |word| {
            (number_in(word) == number).then(|| change(word))
        })
    }

    /// Drops the guard when the lock has changed since the call looked at it.
    #[inline(never)]
    fn release_changed(&self) {
        if self.update(|word| word - 1).is_err() {
            D::closing_list().release(self.number());
        }
    }
}

impl<D: Descriptor> Drop for FdGuard<'_, D> {
    #[inline(always)]
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `take_out`, so that all use of the
        // descriptor comes before its end.
        let released = self
            .lock
            .word
            .compare_exchange(self.word, self.word - 1, Release, Relaxed);
        if released.is_err() {
            self.release_changed();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
