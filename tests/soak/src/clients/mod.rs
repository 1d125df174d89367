//! The library's sockets, as programs use them.

pub(crate) mod patient;
pub(crate) mod tcp;
pub(crate) mod udp;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use anjay_net_model::c::{self, Kind, Socket};

use crate::home;
use crate::plan::Plan;

/// The keys of the byte counters.
const SENT: i32 = 6;
const RECEIVED: i32 = 7;

/// What the library's counters say of one client, over all its sockets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

impl Counted {
    /// Adds a socket that is about to be cleaned up.
    fn add(&mut self, socket: &Socket) {
        self.sent += socket.counter(SENT);
        self.received += socket.counter(RECEIVED);
    }
}

/// What a thread of clients has to say in the end.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) clients: Vec<Counted>,
    /// Datagrams or messages that were sent and that came back.
    pub(crate) sent: u64,
    pub(crate) returned: u64,
    pub(crate) reconnects: u64,
    /// Sockets closed with something under way.
    pub(crate) rude: u64,
    /// What is wrong, in words, and how often.
    pub(crate) wrong: BTreeMap<String, u64>,
    /// The longest call of each method.
    pub(crate) longest: BTreeMap<&'static str, Duration>,
}

impl Outcome {
    fn blame(&mut self, what: impl Into<String>) {
        *self.wrong.entry(what.into()).or_default() += 1;
    }

    /// Notes a code that is not the one expected.
    fn expect(&mut self, method: &str, code: u16, expected: u16) -> bool {
        if code != expected {
            self.blame(format!("{method}: {code}, not {expected}"));
        }
        code == expected
    }
}

/// Some clients close without waiting for what is under way: what is lost then
/// can't be known exactly.
pub(crate) fn is_rude(client: usize) -> bool {
    client % 10 == 7
}

/// The byte at a place of what a client sends.
fn byte(client: usize, place: u64) -> u8 {
    (client as u64)
        .wrapping_mul(37)
        .wrapping_add(place ^ (place >> 8)) as u8
}

/// A fresh object with a remembered endpoint, that never waits in receive.
fn create(kind: Kind) -> Socket {
    let mut endpoint = c::no_endpoint();
    let mut config = c::default_configuration();
    config.reuse_addr = u8::from(kind == Kind::Tcp);
    config.preferred_endpoint = &mut endpoint;
    let socket = Socket::create(kind, config).expect("a valid configuration");
    assert_eq!(socket.set_receive_timeout((0, 0)), 0);
    socket
}

/// How a client names the relay: by address, or by name where there are names.
fn host(client: usize, names: bool) -> &'static str {
    match client % 4 {
        0 => "127.0.0.1",
        1 => "::1",
        _ if names => home::NAME,
        _ => home::ADDRESSES[client % home::ADDRESSES.len()],
    }
}

/// When which client wants to do something.
#[derive(Default)]
struct Alarms(BinaryHeap<Reverse<(Instant, usize)>>);

impl Alarms {
    fn set(&mut self, at: Instant, client: usize) {
        self.0.push(Reverse((at, client)));
    }

    /// How long until the next one, at most `limit`.
    fn wait(&self, limit: Duration) -> Duration {
        let next = self.0.peek().map(|Reverse((at, _))| *at);
        let wait = next.map(|at| at.saturating_duration_since(Instant::now()));
        wait.unwrap_or(limit).min(limit)
    }

    fn next_due(&mut self, now: Instant) -> Option<usize> {
        match self.0.peek() {
            Some(Reverse((at, _))) if *at <= now => self.0.pop().map(|Reverse((_, client))| client),
            _ => None,
        }
    }
}

/// Around the average, from half to one and a half.
fn about(average: Duration, rng: &mut fastrand::Rng) -> Duration {
    average.mul_f64(0.5 + rng.f64())
}

/// What the library makes once and keeps, made before anybody counts.
pub(crate) fn warm_up(plan: &Plan) {
    let socket = create(Kind::Udp);
    let connected = socket.connect(Some(host(3, plan.names).as_bytes()), Some(b"9"));
    assert_eq!(connected, 0, "connect");
}
