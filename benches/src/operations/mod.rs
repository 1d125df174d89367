//! What is measured, and the goals.

mod datagram;
mod exchange;
mod lifecycle;
mod stream;

use core::ffi::CStr;
use core::iter;
use std::net::SocketAddr;

use crate::{Layer, Raw};

/// The transport of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A stream.
    Tcp,
    /// Datagrams.
    Udp,
}

/// How long receives of a socket wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Not at all.
    None,
    /// A second: longer than anything here takes.
    Second,
}

/// What both contenders can do, so that the loops around it are the same.
/// Everything panics on errors.
pub trait Transport: Send + Sized + 'static {
    /// An address, as far prepared as the contender's callers can do it.
    type Address: Send;

    /// Prepares an address.
    fn address(addr: SocketAddr) -> Self::Address;
    /// A connected UDP socket.
    fn udp_to(peer: SocketAddr, patience: Patience) -> Self;
    /// A UDP socket bound to the loopback address, and where.
    fn udp_bound(patience: Patience) -> (Self, SocketAddr);
    /// Connects what [`Transport::udp_bound`] made.
    fn connect_udp(&self, peer: SocketAddr);
    /// Where the socket is bound.
    fn local_addr(&self) -> SocketAddr;
    /// A connected TCP socket.
    fn tcp_to(peer: SocketAddr) -> Self;
    /// Both ends of a TCP connection.
    fn tcp_pair() -> (Self, Self);

    /// Sends all of it.
    fn send(&self, data: &[u8]);
    /// Sends a datagram to somebody.
    fn send_to(&self, data: &[u8], to: &Self::Address);
    /// Receives a datagram; `None` when there is none.
    fn receive(&self, buf: &mut [u8]) -> Option<usize>;
    /// Receives what a stream has, waiting for it; 0 at its end.
    fn receive_stream(&self, buf: &mut [u8]) -> usize;
    /// Receives a datagram and writes its sender's host and port as text.
    fn receive_from(&self, buf: &mut [u8]);
    /// A socket's whole life: create, connect, close, cleanup.
    fn connect_and_close(kind: Kind, to: &Self::Address);
    /// The same with a bind before the connect.
    fn bind_connect_and_close(to: &Self::Address);
    /// A numeric address from text to an endpoint.
    fn resolve(host: &CStr, port: &CStr);
}

/// One loop over one transport.
pub trait Contender {
    /// Makes everything ready for `n` operations; not measured.
    fn prepare(&mut self, n: u64) {
        let _ = n;
    }

    /// Does `n` operations.
    fn run(&mut self, n: u64);
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
    /// Both, in the order of the tables.
    pub const BOTH: [Who; 2] = [Who::Raw, Who::Layer];

    /// As it is called on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Who::Raw => "raw",
            Who::Layer => "layer",
        }
    }
}

/// What the library must reach; `None` where there is no goal.
#[derive(Clone, Copy, Debug)]
pub struct Goals {
    /// Time, as a multiple of the raw contender's: at most.
    pub ratio: Option<f64>,
    /// System calls of one operation: at most.
    pub system_calls: Option<u32>,
    /// Instructions outside of the kernel for one operation: at most.
    pub instructions: Option<u64>,
    /// Heap allocations of one operation: at most.
    pub allocations: Option<u64>,
}

/// One line of the tables.
pub struct Operation {
    /// What it does, for people.
    pub title: &'static str,
    /// The same for command lines and file names.
    pub key: &'static str,
    /// What the library must reach.
    pub goals: Goals,
    /// Exactly so many system calls the library makes for the first operation
    /// after one to warm up, the second and so on; the last number is for all
    /// that follow.
    pub system_calls: &'static [u32],
    /// How many operations fit between two preparations.
    pub batch: u64,
    make: fn(Who) -> Box<dyn Contender>,
}

impl Operation {
    /// How many system calls the library makes for the first `n` operations.
    pub fn system_calls(&self, n: usize) -> u32 {
        let last = self.system_calls.last().copied();
        let each = self.system_calls.iter().copied().map(Some);
        each.chain(iter::repeat(last))
            .map_while(|calls| calls)
            .take(n)
            .sum()
    }

    /// A contender, set up.
    pub fn contender(&self, who: Who) -> Box<dyn Contender> {
        (self.make)(who)
    }

    /// The operation of that key.
    pub fn find(key: &str) -> Option<&'static Operation> {
        OPERATIONS.iter().find(|operation| operation.key == key)
    }
}

/// `$contender` over the transport that is asked for.
macro_rules! over_both {
    ($contender:ident::$new:ident($($argument:expr),*)) => {
        |who| match who {
            Who::Raw => Box::new($contender::<Raw>::$new($($argument),*)),
            Who::Layer => Box::new($contender::<Layer>::$new($($argument),*)),
        }
    };
}

const fn goals(
    ratio: Option<f64>,
    system_calls: u32,
    instructions: Option<u64>,
    allocations: Option<u64>,
) -> Goals {
    Goals {
        ratio,
        system_calls: Some(system_calls),
        instructions,
        allocations,
    }
}

use datagram::{Receive, ReceiveFrom, ReceiveNothing, Send as UdpSend, SendTo};
use exchange::{PingPong, Wait};
use lifecycle::{BindAndConnect, Connect, Resolve};
use stream::{Bulk, Send as TcpSend};

/// All lines.
pub static OPERATIONS: &[Operation] = &[
    Operation {
        title: "UDP send, 100 B",
        key: "udp-send",
        goals: goals(Some(1.05), 1, Some(90), Some(0)),
        system_calls: &[1],
        batch: 64,
        make: over_both!(UdpSend::new()),
    },
    Operation {
        title: "UDP receive, ready",
        key: "udp-receive",
        goals: goals(Some(1.10), 1, Some(120), Some(0)),
        system_calls: &[1],
        batch: 64,
        make: over_both!(Receive::new()),
    },
    Operation {
        title: "UDP receive, nothing there",
        key: "udp-receive-nothing",
        goals: goals(Some(1.10), 1, Some(120), Some(0)),
        system_calls: &[1],
        batch: 64,
        make: over_both!(ReceiveNothing::new()),
    },
    Operation {
        title: "UDP receive that waits",
        key: "udp-wait",
        goals: goals(None, 3, None, Some(0)),
        // After seven waits, the first of them not counted, two more prepare
        // those in recvmsg.
        system_calls: &[3, 3, 3, 3, 3, 3, 3, 3, 1],
        batch: 1,
        make: over_both!(Wait::new()),
    },
    Operation {
        title: "UDP ping-pong, one core",
        key: "udp-ping-pong",
        goals: Goals {
            ratio: Some(1.15),
            system_calls: None,
            instructions: None,
            allocations: Some(0),
        },
        system_calls: &[4],
        batch: 200,
        make: over_both!(PingPong::new()),
    },
    Operation {
        title: "TCP send, 64 B",
        key: "tcp-send",
        goals: goals(Some(1.10), 1, Some(110), Some(0)),
        system_calls: &[1],
        batch: 64,
        make: over_both!(TcpSend::new()),
    },
    Operation {
        title: "TCP bulk, 64 KiB",
        key: "tcp-bulk",
        goals: Goals {
            ratio: Some(1.03),
            system_calls: None,
            instructions: None,
            allocations: Some(0),
        },
        system_calls: &[0],
        batch: 1024,
        make: over_both!(Bulk::new()),
    },
    Operation {
        title: "UDP send_to, numeric",
        key: "udp-send-to",
        goals: goals(Some(1.10), 1, Some(250), Some(0)),
        system_calls: &[1],
        batch: 64,
        make: over_both!(SendTo::new()),
    },
    Operation {
        title: "UDP receive_from",
        key: "udp-receive-from",
        goals: goals(Some(1.15), 1, Some(450), Some(0)),
        system_calls: &[1],
        batch: 64,
        make: over_both!(ReceiveFrom::new()),
    },
    Operation {
        title: "UDP create, connect, close",
        key: "udp-connect",
        goals: goals(Some(1.08), 3, Some(700), None),
        system_calls: &[3],
        batch: 64,
        make: over_both!(Connect::new(Kind::Udp)),
    },
    Operation {
        title: "UDP create, bind, connect, close",
        key: "udp-bind-connect",
        goals: goals(None, 4, None, None),
        system_calls: &[4],
        batch: 64,
        make: over_both!(BindAndConnect::new()),
    },
    Operation {
        title: "TCP create, connect, close",
        key: "tcp-connect",
        goals: goals(Some(1.05), 5, Some(1100), None),
        system_calls: &[5],
        batch: 64,
        make: over_both!(Connect::new(Kind::Tcp)),
    },
    Operation {
        title: "resolve a numeric address",
        key: "resolve",
        goals: goals(Some(5.0), 0, Some(500), None),
        system_calls: &[0],
        batch: 1000,
        make: over_both!(Resolve::new()),
    },
];
