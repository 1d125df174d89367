//! TCP clients: a message from time to time, and the next one when all of it
//! has come back; now and then a reconnect.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anjay_net_model::c::{Kind, Socket};
use anjay_net_model::code;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::{Alarms, Counted, Outcome, about, byte, create, host, is_rude};
use crate::meter::Progress;
use crate::plan::Plan;
use crate::relay::{FRONTS, NUMBER};
use crate::stopwatch::{Activity, Stopwatch};

/// Messages are of this many bytes.
const SIZES: std::ops::RangeInclusive<usize> = 16..=4096;

/// How long a thread sleeps when nothing happens.
const IDLE: Duration = Duration::from_millis(20);

/// How long the answer to a message may take at most.
const PATIENCE: Duration = Duration::from_secs(10);

struct Client {
    socket: Socket,
    connects: usize,
    end: Instant,
    /// Bytes of this connection.
    sent: u64,
    returned: u64,
    /// Of the last message.
    since: Instant,
}

/// All of them.
pub(crate) struct TcpClients<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) ports: [u16; FRONTS],
    pub(crate) progress: &'a Progress,
    pub(crate) activity: Activity,
}

struct Worker<'a> {
    setting: &'a TcpClients<'a>,
    rng: fastrand::Rng,
    poll: Poll,
    alarms: Alarms,
    clients: Vec<Client>,
    watch: Stopwatch,
    outcome: Outcome,
}

impl TcpClients<'_> {
    /// Keeps them busy until told to stop; then waits for the last answers,
    /// and closes.
    pub(crate) fn run(&self, ready: &AtomicBool, stop: &AtomicBool) -> Outcome {
        let mut worker = Worker {
            setting: self,
            rng: fastrand::Rng::with_seed(self.plan.seed),
            poll: Poll::new().expect("an epoll descriptor"),
            alarms: Alarms::default(),
            clients: Vec::new(),
            watch: Stopwatch::new(self.activity.clone()),
            outcome: Outcome::default(),
        };
        worker.populate();
        ready.store(true, SeqCst);
        worker.work(stop);
        worker.finish()
    }
}

impl Worker<'_> {
    fn populate(&mut self) {
        let now = Instant::now();
        let count = self.setting.plan.tcp_clients;
        self.outcome.clients = vec![Counted::default(); count];
        for index in 0..count {
            self.clients.push(Client {
                socket: create(Kind::Tcp),
                connects: 0,
                end: now + self.setting.plan.tcp_life.mul_f64(1.5 * self.rng.f64()),
                sent: 0,
                returned: 0,
                since: now,
            });
            self.open(index);
            let first = self.interval().mul_f64(self.rng.f64());
            self.alarms.set(now + first, index);
        }
    }

    fn interval(&mut self) -> Duration {
        let plan = self.setting.plan;
        let average = Duration::from_secs_f64(plan.tcp_clients as f64 / plan.tcp_rate);
        about(average, &mut self.rng)
    }

    fn work(&mut self, stop: &AtomicBool) {
        let mut events = Events::with_capacity(512);
        while !stop.load(SeqCst) {
            self.serve(&mut events);
            let now = Instant::now();
            while let Some(index) = self.alarms.next_due(now) {
                self.act(index, now);
                let next = now + self.interval();
                self.alarms.set(next, index);
            }
        }
    }

    fn serve(&mut self, events: &mut Events) {
        let wait = self.alarms.wait(IDLE);
        if self.poll.poll(events, Some(wait)).is_ok() {
            for event in &*events {
                let end = self.receive_all(event.token().0);
                if end != Err(code::ETIMEDOUT) {
                    self.outcome.blame(format!("TCP receive: {end:?}"));
                }
            }
        }
    }

    fn act(&mut self, index: usize, now: Instant) {
        let client = &self.clients[index];
        let is_waiting = client.returned < client.sent;
        if is_waiting && now > client.since + PATIENCE {
            self.outcome.blame("an answer that does not come");
        }
        if now < client.end {
            if !is_waiting {
                self.send(index, now);
            }
        } else if !is_waiting {
            // The rude ones ask something and do not wait.
            if is_rude(index) {
                self.outcome.rude += 1;
                self.send(index, now);
            }
            self.reconnect(index);
        }
    }

    fn send(&mut self, index: usize, now: Instant) {
        let client = &mut self.clients[index];
        let len = self.rng.usize(SIZES);
        let data: Vec<u8> = (client.sent..)
            .take(len)
            .map(|place| at(index, place))
            .collect();
        let code = self.watch.time("TCP send", || client.socket.send(&data));
        if self.outcome.expect("TCP send", code, code::OK) {
            client.sent += len as u64;
            client.since = now;
            self.outcome.sent += 1;
        }
    }

    /// Whatever there is, up to the code that says that there is no more, or
    /// the end of the stream.
    fn receive_all(&mut self, index: usize) -> Result<(), u16> {
        let Some(client) = self.clients.get_mut(index) else {
            return Err(code::EBADF);
        };
        loop {
            let receive = || client.socket.receive(4096);
            let received = self.watch.time("TCP receive", receive);
            if received.code != code::OK {
                return Err(received.code);
            }
            if received.data.is_empty() {
                return Ok(());
            }
            let mut expected = (client.returned..).map(|place| at(index, place));
            if !received.data.iter().all(|&is| Some(is) == expected.next()) {
                self.outcome.blame("bytes that were not sent");
            }
            client.returned += received.data.len() as u64;
            if client.returned == client.sent {
                self.outcome.returned += 1;
                Progress::bump(&self.setting.progress.messages);
            }
        }
    }

    fn open(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let socket = &client.socket;
        let host = host(index, self.setting.plan.names);
        // Each time another port, as a connection that has ended keeps its
        // pair of ports for a while.
        let remote = self.setting.ports[client.connects % FRONTS].to_string();
        client.connects += 1;
        let connect = || socket.connect(Some(host.as_bytes()), Some(remote.as_bytes()));
        let code = self.watch.time("TCP connect", connect);
        if !self.outcome.expect("TCP connect", code, code::OK) {
            return;
        }
        let fd = socket.descriptor().expect("it is connected");
        let registry = self.poll.registry();
        registry
            .register(&mut SourceFd(&fd), Token(index), Interest::READABLE)
            .expect("it can be waited for");
    }

    fn reconnect(&mut self, index: usize) {
        let socket = &self.clients[index].socket;
        if !is_rude(index) && self.rng.bool() {
            let code = self.watch.time("TCP shutdown", || socket.shutdown());
            self.outcome.expect("TCP shutdown", code, code::OK);
            let end = self.receive_all(index);
            if end != Ok(()) {
                self.outcome
                    .blame(format!("TCP receive after shutdown: {end:?}"));
            }
        }
        self.close(index);
        if self.rng.u8(..) < 26 {
            let client = &mut self.clients[index];
            self.outcome.clients[index].add(&client.socket);
            let old = std::mem::replace(&mut client.socket, create(Kind::Tcp));
            self.watch.time("TCP cleanup", || drop(old));
        }
        let life = about(self.setting.plan.tcp_life, &mut self.rng);
        let client = &mut self.clients[index];
        client.end = Instant::now() + life;
        client.sent = 0;
        client.returned = 0;
        self.open(index);
        self.outcome.reconnects += 1;
        Progress::bump(&self.setting.progress.reconnects);
    }

    fn close(&mut self, index: usize) {
        let socket = &self.clients[index].socket;
        if let Some(fd) = socket.descriptor() {
            let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
        }
        let code = self.watch.time("TCP close", || socket.close());
        self.outcome.expect("TCP close", code, code::OK);
    }

    fn finish(mut self) -> Outcome {
        let limit = Instant::now() + PATIENCE;
        let mut events = Events::with_capacity(512);
        let is_waiting = |client: &Client| client.returned < client.sent;
        while self.clients.iter().any(is_waiting) && Instant::now() < limit {
            self.serve(&mut events);
        }
        for index in 0..self.clients.len() {
            self.close(index);
            self.outcome.clients[index].add(&self.clients[index].socket);
        }
        self.clients.clear();
        self.outcome.longest = self.watch.longest();
        self.outcome
    }
}

/// The byte at a place of a connection: first the client's number.
fn at(client: usize, place: u64) -> u8 {
    let number = (client as u32).to_le_bytes();
    match usize::try_from(place) {
        Ok(place) if place < NUMBER => number[place],
        _ => byte(client, place),
    }
}
