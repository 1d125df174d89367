//! What is measured, and the budgets.

mod lifecycle;
mod many;
mod transfer;

use crate::{Layer, Raw};

/// One loop over one transport.
pub struct Contender {
    prepare: Box<dyn FnMut(u64)>,
    run: Box<dyn FnMut(u64)>,
}

impl Contender {
    /// Does `n` operations.
    fn new(run: impl FnMut(u64) + 'static) -> Contender {
        Contender {
            prepare: Box::new(|_| {}),
            run: Box::new(run),
        }
    }

    /// With something that makes everything ready for `n` operations.
    fn prepared(self, prepare: impl FnMut(u64) + 'static) -> Contender {
        Contender {
            prepare: Box::new(prepare),
            ..self
        }
    }

    /// Makes everything ready for `n` operations; not measured.
    pub fn prepare(&mut self, n: u64) {
        (self.prepare)(n);
    }

    /// Does `n` operations.
    pub fn run(&mut self, n: u64) {
        (self.run)(n);
    }
}

/// Which transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Plain system calls.
    Raw,
    /// The library.
    Layer,
}

impl Who {
    /// Both, in the order of the table.
    pub const BOTH: [Who; 2] = [Who::Raw, Who::Layer];

    /// As it is called on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Who::Raw => "raw",
            Who::Layer => "layer",
        }
    }
}

/// How many system calls one operation makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// As many.
    Exactly(u64),
    /// As many or fewer.
    AtMost(u64),
    /// It depends on the other thread.
    Varying,
}

/// What the library may cost.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Time, as a multiple of the raw contender's, at most.
    pub ratio: Option<f64>,
    /// System calls of one operation.
    pub calls: Calls,
    /// Instructions outside of the kernel for one operation, at most.
    pub instructions: Option<u64>,
    /// Whether it may allocate memory.
    pub allocates: bool,
}

/// One line of the table.
pub struct Operation {
    /// What it does, for people.
    pub title: &'static str,
    /// The same for command lines.
    pub key: &'static str,
    /// How many operations fit between two preparations.
    pub batch: u64,
    /// What the library may cost.
    pub budget: Budget,
    make: fn(Who) -> Contender,
}

impl Operation {
    /// A contender, set up.
    pub fn contender(&self, who: Who) -> Contender {
        (self.make)(who)
    }

    /// The operation of that key.
    pub fn find(key: &str) -> Option<&'static Operation> {
        OPERATIONS.iter().find(|operation| operation.key == key)
    }
}

/// An operation, over the transport that is asked for.
macro_rules! operation {
    ($title:literal, $key:literal, $batch:literal, $budget:expr,
     $module:ident::$function:ident($($argument:expr),*)) => {
        Operation {
            title: $title,
            key: $key,
            batch: $batch,
            budget: $budget,
            make: |who| match who {
                Who::Raw => $module::$function::<Raw>($($argument),*),
                Who::Layer => $module::$function::<Layer>($($argument),*),
            },
        }
    };
}

/// A transfer: no allocation.
const fn transfer(ratio: Option<f64>, calls: Calls, instructions: Option<u64>) -> Budget {
    Budget {
        ratio,
        calls,
        instructions,
        allocates: false,
    }
}

/// What makes a socket or an address list allocates, and may take its
/// instructions.
const fn life(ratio: Option<f64>, calls: Calls) -> Budget {
    Budget {
        ratio,
        calls,
        instructions: None,
        allocates: true,
    }
}

use Calls::{AtMost, Exactly, Varying};
use anjay_net_vtable::Kind;

/// All lines. The last three must cost what a send costs, and 10 % at most.
#[rustfmt::skip] // one a line is a table
pub static OPERATIONS: &[Operation] = &[
    operation!("UDP send, 100 B", "udp-send", 64,
        transfer(Some(1.05), Exactly(1), Some(150)), transfer::send()),
    operation!("UDP receive, ready", "udp-receive", 64,
        transfer(Some(1.10), Exactly(1), Some(200)), transfer::receive()),
    operation!("UDP receive, ready, bound before", "udp-receive-bound", 64,
        transfer(Some(1.10), Exactly(1), Some(200)), transfer::receive_bound()),
    operation!("UDP receive, nothing there", "udp-receive-nothing", 64,
        transfer(Some(1.10), Exactly(1), Some(200)), transfer::receive_nothing()),
    operation!("UDP receive that waits", "udp-wait", 1,
        transfer(None, AtMost(3), None), transfer::wait()),
    operation!("UDP ping-pong, one core", "udp-ping-pong", 200,
        transfer(Some(1.30), Varying, None), transfer::ping_pong()),
    operation!("TCP send, 64 B", "tcp-send", 64,
        transfer(Some(1.10), Exactly(1), Some(210)), transfer::send_stream()),
    operation!("TCP bulk, 64 KiB", "tcp-bulk", 1024,
        transfer(Some(1.05), Varying, None), transfer::bulk()),
    operation!("UDP send_to, numeric", "udp-send-to", 64,
        transfer(Some(1.15), Exactly(1), Some(500)), transfer::send_to()),
    operation!("UDP receive_from", "udp-receive-from", 64,
        transfer(Some(1.15), Exactly(1), Some(700)), transfer::receive_from()),
    operation!("UDP create, connect, close", "udp-connect", 64,
        life(Some(1.15), Exactly(3)), lifecycle::connect(Kind::Udp)),
    operation!("UDP create, bind, connect, close", "udp-bind-connect", 64,
        life(None, AtMost(6)), lifecycle::bind_and_connect()),
    operation!("TCP create, connect, close", "tcp-connect", 64,
        life(Some(1.15), AtMost(7)), lifecycle::connect(Kind::Tcp)),
    operation!("resolve a numeric address", "resolve", 1000,
        life(Some(20.0), Exactly(0)), lifecycle::resolve()),
    operation!("UDP send, 1,000 sockets", "udp-send-1000", 64,
        life(Some(1.15), Exactly(1)), many::send_in_turn(1_000)),
    operation!("UDP send, as many sockets as may be", "udp-send-most", 64,
        life(Some(1.15), Exactly(1)), many::send_in_turn(100_000)),
    operation!("UDP send, two threads", "udp-send-threads", 256,
        life(Some(1.15), Varying), many::send_on_two_threads()),
];
