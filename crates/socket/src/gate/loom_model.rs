//! The gate's protocol under loom: every interleaving of a few threads, every
//! order in which relaxed stores may be seen, and a kernel that gives the
//! smallest free number away again at once.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p anjay-net-socket --lib --release loom`

use core::cell::RefCell;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::Instant;

use anjay_net_resolve::Family;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::{Descriptor, Flags, Gate, Held};

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

impl Descriptor for Fake {
    fn into_number(self) -> RawFd {
        let number = self.0;
        core::mem::forget(self);
        number
    }

    fn from_number(number: RawFd) -> Fake {
        Fake(number)
    }

    fn wake(number: RawFd) {
        let woken = use_socket(number);
        kernel(|kernel| kernel.woken.push(woken));
    }
}

/// How many of the interleavings are walked through.
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
    builder.check(move || {
        run();
        let kernel = KERNEL.take();
        assert_eq!(kernel.closed, kernel.sockets.len(), "leaked");
        assert!(kernel.table.iter().all(Option::is_none));
    });
}

fn open_gate(flags: Flags) -> (Arc<Gate<Fake>>, Held) {
    let gate = Arc::new(Gate::new());
    let held = gate.publish(Fake::open(), Family::V4, flags);
    (gate, held)
}

/// A call: enters, looks twice at what is behind the number, leaves.
fn call(gate: &Gate<Fake>) {
    let Some(mut pass) = gate.enter() else { return };
    let identity = use_socket(pass.fd());
    // Others may run here.
    pass.look_again();
    assert_eq!(use_socket(pass.fd()), identity, "the number is another's");
    // The second socket of each model has this flag, the first has not.
    assert_eq!(pass.flags().has(Flags::QUEUED), identity == 1);
}

#[test]
fn two_calls_and_a_close() {
    model(Interleavings::All, || {
        let (gate, held) = open_gate(Flags::NONE);
        let callers = [(); 2].map(|()| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                let Some(pass) = gate.enter() else { return };
                use_socket(pass.fd());
            })
        });
        drop(gate.retire(held));
        for caller in callers {
            caller.join().unwrap();
        }
    });
}

#[test]
fn two_calls_a_close_and_a_new_descriptor() {
    model(Interleavings::Bounded, || {
        let (gate, held) = open_gate(Flags::NONE);
        let callers = [(); 2].map(|()| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || call(&gate))
        });
        drop(gate.retire(held));
        let held = gate.publish(Fake::open(), Family::V6, Flags::QUEUED);
        for caller in callers {
            caller.join().unwrap();
        }
        drop(gate.retire(held));
    });
}

#[test]
fn calls_after_the_new_descriptor_are_counted_there() {
    model(Interleavings::Bounded, || {
        let (gate, held) = open_gate(Flags::NONE);
        let caller = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                call(&gate);
                call(&gate);
            })
        };
        drop(gate.retire(held));
        let held = gate.publish(Fake::open(), Family::V6, Flags::QUEUED);
        call(&gate);
        drop(gate.retire(held));
        caller.join().unwrap();
    });
}

#[test]
fn two_gates_share_the_list_of_the_process() {
    model(Interleavings::Bounded, || {
        let (other, held) = open_gate(Flags::NONE);
        let still_inside = other.enter().unwrap();
        drop(other.retire(held));

        let (gate, held) = open_gate(Flags::QUEUED);
        let callers = [(); 2].map(|()| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || call(&gate))
        });
        drop(gate.retire(held));
        assert!(gate.await_leavers(Instant::now), "only its own count");
        drop(still_inside);
        for caller in callers {
            caller.join().unwrap();
        }
    });
}

#[test]
fn whoever_is_inside_is_woken() {
    model(Interleavings::All, || {
        let (gate, held) = open_gate(Flags::NONE);
        let pass = gate.enter().unwrap();
        let closer = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || assert!(gate.retire(held).is_none()))
        };
        closer.join().unwrap();
        assert_eq!(kernel(|kernel| kernel.woken.clone()), [0]);
        drop(pass);
    });
}

#[test]
fn flags_of_one_descriptor_never_touch_the_next() {
    model(Interleavings::All, || {
        let (gate, held) = open_gate(Flags::SIFT);
        let caller = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                let Some(mut pass) = gate.enter() else { return };
                let first = use_socket(pass.fd()) == 0;
                if first {
                    pass.lower(Flags::SIFT);
                    pass.raise(Flags::SHUT);
                }
                if let Some(flags) = pass.look_again() {
                    assert_eq!(flags.has(Flags::SHUT), first);
                    assert_eq!(flags.has(Flags::SIFT), !first);
                }
            })
        };
        drop(gate.retire(held));
        let held = gate.publish(Fake::open(), Family::V4, Flags::SIFT);
        let flags = gate.enter().unwrap().flags();
        assert!(flags.has(Flags::SIFT) && !flags.has(Flags::SHUT));
        drop(gate.retire(held));
        caller.join().unwrap();
    });
}

#[test]
fn a_mark_is_seen_by_who_enters_after_it_and_by_who_looks_again() {
    model(Interleavings::All, || {
        let (gate, held) = open_gate(Flags::NONE);
        let caller = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                let mut pass = gate.enter().unwrap();
                let entered = pass.flags().has(Flags::SHUT);
                let again = pass.look_again().unwrap().has(Flags::SHUT);
                assert!(again || !entered, "a mark went away");
            })
        };
        gate.raise(&held, Flags::SHUT);
        assert!(gate.enter().unwrap().flags().has(Flags::SHUT));
        caller.join().unwrap();
        drop(gate.retire(held));
    });
}

#[test]
fn after_the_leavers_the_descriptor_is_closed() {
    model(Interleavings::Bounded, || {
        let (gate, held) = open_gate(Flags::NONE);
        let callers = [(); 2].map(|()| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || call(&gate))
        });
        drop(gate.retire(held));
        assert!(gate.await_leavers(Instant::now));
        assert_eq!(kernel(|kernel| kernel.closed), 1);
        for caller in callers {
            caller.join().unwrap();
        }
    });
}
