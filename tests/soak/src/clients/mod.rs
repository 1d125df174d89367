//! The library's sockets, as programs use them.

pub(crate) mod blocking;
pub(crate) mod tcp;
pub(crate) mod udp;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anjay_net_vtable::{Code, Kind, Socket, code, default_configuration, no_endpoint};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::alarms::Alarms;
use crate::names;
use crate::plan::Plan;
use crate::relay::FRONTS;
use crate::relay::udp::UnderWay;
use crate::watch::{Activity, Progress, Stopwatch, bump};

/// What a thread of clients is told.
pub(crate) struct Orders<'a> {
    pub(crate) plan: &'a Plan,
    /// The relay's.
    pub(crate) ports: [u16; FRONTS],
    pub(crate) progress: &'a Progress,
    pub(crate) activity: Activity,
    pub(crate) under_way: UnderWay,
}

/// How many clients, how busy, and how long they stay connected.
struct Load {
    clients: usize,
    rate: f64,
    life: Duration,
}

/// What a thread of clients works with, whatever the protocol.
struct Desk<'a> {
    orders: &'a Orders<'a>,
    load: Load,
    rng: fastrand::Rng,
    poll: Poll,
    alarms: Alarms,
    watch: Stopwatch,
    outcome: Outcome,
}

impl Desk<'_> {
    fn new<'a>(orders: &'a Orders<'a>, load: Load) -> Desk<'a> {
        Desk {
            orders,
            rng: fastrand::Rng::with_seed(orders.plan.seed),
            poll: Poll::new().expect("an epoll descriptor"),
            alarms: Alarms::default(),
            watch: Stopwatch::new(orders.activity.clone()),
            outcome: Outcome {
                clients: vec![Counted::default(); load.clients],
                ..Outcome::default()
            },
            load,
        }
    }

    /// Waits for what epoll has to tell until the next alarm; whose it is.
    fn ready(&mut self, events: &mut Events) -> Vec<usize> {
        let wait = self.alarms.wait();
        match self.poll.poll(events, Some(wait)) {
            Ok(()) => events.iter().map(|event| event.token().0).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Connects to the relay, by address or by name, and has epoll tell when
    /// the socket has something.
    fn connect(
        &mut self,
        method: &'static str,
        socket: &Socket,
        host: &str,
        client: usize,
        front: usize,
    ) {
        let port = self.orders.ports[front % FRONTS].to_string();
        let connect = || socket.connect(host, &*port);
        let code = self.watch.time(method, connect);
        if !self.outcome.expect(method, code, code::OK) {
            return;
        }
        let fd = socket.descriptor().expect("it is connected");
        self.poll
            .registry()
            .register(&mut SourceFd(&fd), Token(client), Interest::READABLE)
            .expect("it can be waited for");
    }

    fn close(&mut self, method: &'static str, socket: &Socket) {
        if let Some(fd) = socket.descriptor() {
            // Fails when it was never connected.
            let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
        }
        let code = self.watch.time(method, || socket.close());
        self.outcome.expect(method, code, code::OK);
    }

    /// One time in ten a new object instead of the closed one.
    fn renew(&mut self, method: &'static str, client: usize, kind: Kind, socket: &mut Socket) {
        if self.rng.u8(..) < 26 {
            self.outcome.clients[client].add(socket);
            let old = std::mem::replace(socket, create(kind));
            self.watch.time(method, || drop(old));
        }
    }

    /// Around that time, from half to one and a half.
    fn about(&mut self, average: Duration) -> Duration {
        average.mul_f64(0.5 + self.rng.f64())
    }

    /// Between two messages of a client.
    fn interval(&mut self) -> Duration {
        let average = self.load.clients as f64 / self.load.rate;
        self.about(Duration::from_secs_f64(average))
    }

    /// The first message of a client: not all together.
    fn begin(&mut self, client: usize) {
        let first = self.interval().mul_f64(self.rng.f64());
        self.alarms.set(Instant::now() + first, client);
    }

    /// The end of a connection; the first ones not all together.
    fn end(&mut self, is_first: bool) -> Instant {
        let life = self.load.life;
        Instant::now()
            + match is_first {
                true => life.mul_f64(1.5 * self.rng.f64()),
                false => self.about(life),
            }
    }

    fn reconnected(&mut self) {
        self.outcome.reconnects += 1;
        bump(&self.orders.progress.reconnects);
    }

    fn finish(mut self) -> Outcome {
        self.outcome.longest = self.watch.longest;
        self.outcome
    }
}

/// What the library's counters say of one client, over all its sockets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

impl Counted {
    /// Adds a socket that is about to be cleaned up.
    fn add(&mut self, socket: &Socket) {
        self.sent += socket.bytes_sent();
        self.received += socket.bytes_received();
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
    /// Binds that had to be repeated.
    pub(crate) ports_taken: u64,
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
    fn expect(&mut self, method: &str, code: Code, expected: Code) -> bool {
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

/// Some UDP clients are where the host's address changes: what is on its way to the
/// former one then is lost.
pub(crate) fn is_renumbered(client: usize) -> bool {
    client % 8 == 2
}

/// The byte at a place of what a client sends.
fn byte(client: usize, place: u64) -> u8 {
    (client as u64)
        .wrapping_mul(37)
        .wrapping_add(place ^ (place >> 8)) as u8
}

/// A fresh object with a remembered endpoint, that never waits in receive.
fn create(kind: Kind) -> Socket {
    let mut endpoint = no_endpoint();
    let mut config = default_configuration();
    config.reuse_addr = u8::from(kind == Kind::Tcp);
    config.preferred_endpoint = &mut endpoint;
    let socket = Socket::create(kind, config).expect("a valid configuration");
    assert_eq!(socket.set_receive_timeout((0, 0)), code::OK);
    socket
}

/// How a client names the relay: by address, or by name where there are names.
fn host(client: usize, names: bool) -> &'static str {
    match client % 4 {
        0 => "127.0.0.1",
        1 => "::1",
        _ if names => names::NAME,
        _ => names::ADDRESSES[client % names::ADDRESSES.len()],
    }
}

/// What the library makes once and keeps, made before anybody counts.
pub(crate) fn warm_up(plan: &Plan) {
    let socket = create(Kind::Udp);
    let connected = socket.connect(host(3, plan.names), "9");
    assert_eq!(connected, code::OK, "connect");
}
