//! The protocol under loom: every interleaving of a few threads, every order in
//! which relaxed stores may be seen, and a kernel that reuses the smallest free
//! number at once.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p anjay-net-socket --lib --release loom`

use core::cell::RefCell;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc as StdArc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::{ClosingList, Descriptor, FdGuard, FdLock, FdOwner, Flags};

/// What stands behind each number: which of all sockets ever opened.
#[derive(Default)]
struct Kernel {
    table: Vec<Option<usize>>,
    /// Every socket that was opened. loom complains when its use by calls is not
    /// ordered after it was opened and before it is closed.
    sockets: Vec<Rc<UnsafeCell<()>>>,
    closed: usize,
    woken: Vec<usize>,
}

impl Kernel {
    fn behind(&self, number: RawFd) -> Option<usize> {
        self.table[usize::try_from(number).unwrap()]
    }
}

thread_local! {
    // loom runs all threads of a model on the thread of the test.
    static KERNEL: RefCell<Kernel> = RefCell::default();
}

fn kernel<T>(call: impl FnOnce(&mut Kernel) -> T) -> T {
    KERNEL.with_borrow_mut(call)
}

fn socket_behind(number: RawFd) -> (usize, Rc<UnsafeCell<()>>) {
    kernel(|kernel| {
        let identity = kernel.behind(number).expect("it is open");
        (identity, Rc::clone(&kernel.sockets[identity]))
    })
}

/// What a system call does; says which socket it was.
fn use_socket(number: RawFd) -> usize {
    let (identity, socket) = socket_behind(number);
    socket.with(|_| ());
    identity
}

/// What close(2) does.
fn use_exclusively(number: RawFd) {
    socket_behind(number).1.with_mut(|_| ());
}

/// Owns a number of the model's kernel.
struct Fake(RawFd);

impl Fake {
    fn open() -> Fake {
        let socket = Rc::new(UnsafeCell::new(()));
        socket.with_mut(|_| ());
        kernel(|kernel| {
            let identity = Some(kernel.sockets.len());
            kernel.sockets.push(socket);
            let free = kernel.table.iter().position(Option::is_none);
            let number = free.unwrap_or_else(|| {
                kernel.table.push(None);
                kernel.table.len() - 1
            });
            kernel.table[number] = identity;
            Fake(RawFd::try_from(number).unwrap())
        })
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        // close(2) may take its time.
        thread::yield_now();
        use_exclusively(self.0);
        kernel(|kernel| {
            kernel.table[usize::try_from(self.0).unwrap()] = None;
            kernel.closed += 1;
        });
    }
}

loom::lazy_static! {
    static ref CLOSING: ClosingList<Fake> = ClosingList::new();
}

impl Descriptor for Fake {
    fn number(&self) -> RawFd {
        self.0
    }

    fn wake(&self) {
        let woken = use_socket(self.0);
        kernel(|kernel| kernel.woken.push(woken));
    }

    fn closing_list() -> &'static ClosingList<Fake> {
        // loom's statics live as long as one run of the model.
        &CLOSING
    }
}

/// How many of the interleavings are explored.
enum Interleavings {
    All,
    /// Those with so many switches away from a thread that could go on: for
    /// models that would take hours otherwise. `LOOM_MAX_PREEMPTIONS` says how
    /// many, 3 unless it is set.
    Bounded,
}

/// Runs the model; in the end every socket must have been closed.
fn model(interleavings: Interleavings, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    match interleavings {
        Interleavings::All => builder.preemption_bound = None,
        Interleavings::Bounded => _ = builder.preemption_bound.get_or_insert(3),
    }
    let explored = StdArc::new(AtomicUsize::new(0));
    let count = StdArc::clone(&explored);
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        run();
        let kernel = KERNEL.take();
        assert_eq!(kernel.closed, kernel.sockets.len(), "leaked");
        assert!(kernel.table.iter().all(Option::is_none));
    });
    println!("{} interleavings", explored.load(Relaxed));
}

fn open_lock(flags: Flags) -> (Arc<FdLock>, FdOwner<Fake>) {
    let lock = Arc::new(FdLock::new());
    let owner = lock.install(Fake::open(), flags);
    (lock, owner)
}

fn enter(lock: &FdLock) -> Option<FdGuard<'_, Fake>> {
    lock.acquire()
}

/// A thread that makes this call, if there is a descriptor for it.
fn caller(
    lock: &Arc<FdLock>,
    call: impl FnOnce(FdGuard<'_, Fake>) + 'static,
) -> thread::JoinHandle<()> {
    let lock = Arc::clone(lock);
    thread::spawn(move || {
        if let Some(guard) = enter(&lock) {
            call(guard);
        }
    })
}

/// A call: enters, looks twice at what is behind the number, leaves.
fn call(lock: &FdLock) {
    let Some(mut guard) = enter(lock) else { return };
    let identity = use_socket(guard.number());
    // Others may run here.
    guard.revalidate();
    assert_eq!(
        use_socket(guard.number()),
        identity,
        "the number is another's"
    );
    // The second socket of each model has this flag, the first has not.
    assert_eq!(guard.flags().has(Flags::FILTER_UNTIL_EMPTY), identity == 1);
}

#[test]
fn two_calls_and_a_close() {
    model(Interleavings::All, || {
        let (lock, owner) = open_lock(Flags::NONE);
        let callers = [(); 2].map(|()| caller(&lock, |guard| _ = use_socket(guard.number())));
        drop(lock.close(owner));
        for caller in callers {
            caller.join().unwrap();
        }
    });
}

#[test]
fn two_calls_a_close_and_a_new_descriptor() {
    model(Interleavings::Bounded, || {
        let (lock, owner) = open_lock(Flags::NONE);
        let callers = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || call(&lock))
        });
        drop(lock.close(owner));
        let owner = lock.install(Fake::open(), Flags::FILTER_UNTIL_EMPTY);
        for caller in callers {
            caller.join().unwrap();
        }
        drop(lock.close(owner));
    });
}

#[test]
fn calls_after_the_new_descriptor_are_counted_there() {
    model(Interleavings::Bounded, || {
        let (lock, owner) = open_lock(Flags::NONE);
        let caller = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                call(&lock);
                call(&lock);
            })
        };
        drop(lock.close(owner));
        let owner = lock.install(Fake::open(), Flags::FILTER_UNTIL_EMPTY);
        call(&lock);
        drop(lock.close(owner));
        caller.join().unwrap();
    });
}

#[test]
fn two_locks_share_the_list_of_the_process() {
    model(Interleavings::Bounded, || {
        let (other, owner) = open_lock(Flags::NONE);
        let still_inside = enter(&other).unwrap();
        drop(other.close(owner));

        let (lock, owner) = open_lock(Flags::FILTER_UNTIL_EMPTY);
        let callers = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || call(&lock))
        });
        drop(lock.close(owner));
        drop(still_inside);
        for caller in callers {
            caller.join().unwrap();
        }
    });
}

#[test]
fn whoever_is_inside_is_woken() {
    model(Interleavings::All, || {
        let (lock, owner) = open_lock(Flags::NONE);
        let guard = enter(&lock).unwrap();
        let closer = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || assert!(lock.close(owner).is_none()))
        };
        closer.join().unwrap();
        assert_eq!(kernel(|kernel| kernel.woken.clone()), [0]);
        drop(guard);
    });
}

#[test]
fn flags_of_one_descriptor_never_touch_the_next() {
    model(Interleavings::All, || {
        let (lock, owner) = open_lock(Flags::FILTER);
        let caller = caller(&lock, |mut guard| {
            let first = use_socket(guard.number()) == 0;
            if first {
                guard.clear(Flags::FILTER);
                guard.set(Flags::SHUTDOWN);
            }
            if let Some(flags) = guard.revalidate() {
                assert_eq!(flags.has(Flags::SHUTDOWN), first);
                assert_eq!(flags.has(Flags::FILTER), !first);
            }
        });
        drop(lock.close(owner));
        let owner = lock.install(Fake::open(), Flags::FILTER);
        let flags = enter(&lock).unwrap().flags();
        assert!(flags.has(Flags::FILTER) && !flags.has(Flags::SHUTDOWN));
        drop(lock.close(owner));
        caller.join().unwrap();
    });
}

#[test]
fn a_mark_is_seen_by_who_enters_after_it_and_by_who_looks_again() {
    model(Interleavings::All, || {
        let (lock, owner) = open_lock(Flags::NONE);
        let caller = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                let mut guard = enter(&lock).unwrap();
                let entered = guard.flags().has(Flags::SHUTDOWN);
                let again = guard.revalidate().unwrap().has(Flags::SHUTDOWN);
                assert!(again || !entered, "a mark went away");
            })
        };
        lock.set(&owner, Flags::SHUTDOWN);
        assert!(enter(&lock).unwrap().flags().has(Flags::SHUTDOWN));
        caller.join().unwrap();
        drop(lock.close(owner));
    });
}

#[test]
fn a_descriptor_that_was_handed_over_is_closed_after_the_calls_of_both_locks() {
    model(Interleavings::Bounded, || {
        let (server, mut owner) = open_lock(Flags::NONE);
        let of_server = caller(&server, |mut guard| {
            let identity = use_socket(guard.number());
            assert_eq!(use_socket(guard.number()), identity);
            // The call goes on with the descriptor that the server has now.
            if guard.follow().is_some() {
                use_socket(guard.number());
            }
        });
        let accepted = Arc::new(FdLock::new());
        let fd = server.hand_over(&mut owner, Fake::open(), Flags::NONE);
        let accepted_owner = accepted.install(fd, Flags::NONE);
        let of_accepted = caller(&accepted, |guard| {
            assert_eq!(use_socket(guard.number()), 0);
        });
        drop(accepted.close(accepted_owner));
        drop(server.close(owner));
        of_server.join().unwrap();
        of_accepted.join().unwrap();
    });
}

#[test]
fn a_call_follows_a_descriptor_that_was_replaced_and_closed() {
    model(Interleavings::Bounded, || {
        let (lock, mut owner) = open_lock(Flags::NONE);
        let caller = caller(&lock, |mut guard| {
            let first = use_socket(guard.number());
            guard.follow();
            assert!(use_socket(guard.number()) >= first);
        });
        drop(lock.replace(&mut owner, Fake::open(), Flags::NONE));
        drop(lock.close(owner));
        caller.join().unwrap();
    });
}

#[test]
fn a_call_follows_no_descriptor_that_came_after_a_close() {
    model(Interleavings::All, || {
        let (lock, owner) = open_lock(Flags::NONE);
        let caller = caller(&lock, |mut guard| {
            let first = use_socket(guard.number());
            if guard.follow().is_some() {
                assert_eq!(use_socket(guard.number()), first);
            }
        });
        drop(lock.close(owner));
        let owner = lock.install(Fake::open(), Flags::NONE);
        caller.join().unwrap();
        drop(lock.close(owner));
    });
}

#[test]
fn when_the_list_is_empty_the_descriptor_is_closed() {
    model(Interleavings::Bounded, || {
        let (lock, owner) = open_lock(Flags::NONE);
        let callers = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || call(&lock))
        });
        drop(lock.close(owner));
        assert!(Fake::closing_list().wait_until_empty(Instant::now()));
        assert_eq!(kernel(|kernel| kernel.closed), 1);
        for caller in callers {
            caller.join().unwrap();
        }
    });
}
