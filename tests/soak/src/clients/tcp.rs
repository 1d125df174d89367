//! TCP clients: a message from time to time, and the next one when all of it
//! has come back; now and then a reconnect.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anjay_net_vtable::{Code, Kind, Socket, code};
use mio::Events;

use super::{Desk, Orders, Outcome, byte, create, is_rude};
use crate::meter::Progress;
use crate::relay::{FRONTS, NUMBER};

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
pub(crate) struct TcpClients<'a>(pub(crate) Orders<'a>);

struct Worker<'a> {
    desk: Desk<'a>,
    clients: Vec<Client>,
}

impl TcpClients<'_> {
    /// Keeps them busy until told to stop; then waits for the last answers,
    /// and closes.
    pub(crate) fn run(&self, ready: &AtomicBool, stop: &AtomicBool) -> Outcome {
        let mut worker = Worker {
            desk: Desk::new(&self.0, self.0.plan.tcp_clients),
            clients: Vec::new(),
        };
        worker.populate();
        ready.store(true, SeqCst);
        worker.work(stop);
        worker.finish()
    }
}

impl Worker<'_> {
    fn populate(&mut self) {
        let plan = self.desk.orders.plan;
        for index in 0..plan.tcp_clients {
            let now = Instant::now();
            self.clients.push(Client {
                socket: create(Kind::Tcp),
                connects: 0,
                end: self.desk.first_end(plan.tcp_life),
                sent: 0,
                returned: 0,
                since: now,
            });
            self.open(index);
            let first = self.interval().mul_f64(self.desk.rng.f64());
            self.desk.alarms.set(now + first, index);
        }
    }

    /// Between two messages of a client.
    fn interval(&mut self) -> Duration {
        let plan = self.desk.orders.plan;
        let average = plan.tcp_clients as f64 / plan.tcp_rate;
        self.desk.about(Duration::from_secs_f64(average))
    }

    fn work(&mut self, stop: &AtomicBool) {
        let mut events = Events::with_capacity(512);
        while !stop.load(SeqCst) {
            self.serve(&mut events);
            let now = Instant::now();
            while let Some(index) = self.desk.alarms.next_due(now) {
                self.act(index, now);
                let next = now + self.interval();
                self.desk.alarms.set(next, index);
            }
        }
    }

    fn serve(&mut self, events: &mut Events) {
        let wait = self.desk.alarms.wait(IDLE);
        if self.desk.poll.poll(events, Some(wait)).is_ok() {
            for event in &*events {
                let end = self.receive_all(event.token().0);
                if end != Err(code::ETIMEDOUT) {
                    self.desk.outcome.blame(format!("TCP receive: {end:?}"));
                }
            }
        }
    }

    fn act(&mut self, index: usize, now: Instant) {
        let client = &self.clients[index];
        let is_waiting = client.returned < client.sent;
        if is_waiting && now > client.since + PATIENCE {
            self.desk.outcome.blame("an answer that does not come");
        }
        if now < client.end {
            if !is_waiting {
                self.send(index, now);
            }
        } else if !is_waiting {
            // The rude ones ask something and do not wait.
            if is_rude(index) {
                self.desk.outcome.rude += 1;
                self.send(index, now);
            }
            self.reconnect(index);
        }
    }

    fn send(&mut self, index: usize, now: Instant) {
        let client = &mut self.clients[index];
        let len = self.desk.rng.usize(SIZES);
        let data: Vec<u8> = (client.sent..)
            .take(len)
            .map(|place| at(index, place))
            .collect();
        let code = self
            .desk
            .watch
            .time("TCP send", || client.socket.send(&data));
        if self.desk.outcome.expect("TCP send", code, code::OK) {
            client.sent += len as u64;
            client.since = now;
            self.desk.outcome.sent += 1;
        }
    }

    /// Whatever there is, up to the code that says that there is no more, or
    /// the end of the stream.
    fn receive_all(&mut self, index: usize) -> Result<(), Code> {
        let Some(client) = self.clients.get_mut(index) else {
            return Err(code::EBADF);
        };
        loop {
            let receive = || client.socket.receive(4096);
            let received = self.desk.watch.time("TCP receive", receive);
            if received.code != code::OK {
                return Err(received.code);
            }
            if received.data.is_empty() {
                return Ok(());
            }
            let mut expected = (client.returned..).map(|place| at(index, place));
            if !received.data.iter().all(|&is| Some(is) == expected.next()) {
                self.desk.outcome.blame("bytes that were not sent");
            }
            client.returned += received.data.len() as u64;
            if client.returned == client.sent {
                self.desk.outcome.returned += 1;
                Progress::bump(&self.desk.orders.progress.messages);
            }
        }
    }

    fn open(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let desk = &mut self.desk;
        // Each time another port, as a connection that has ended keeps its
        // pair of ports for a while.
        let relay = desk.orders.ports[client.connects % FRONTS];
        client.connects += 1;
        if desk.connect("TCP connect", &client.socket, index, relay) {
            desk.listen_to(&client.socket, index);
        }
    }

    fn reconnect(&mut self, index: usize) {
        let socket = &self.clients[index].socket;
        if !is_rude(index) && self.desk.rng.bool() {
            let code = self.desk.watch.time("TCP shutdown", || socket.shutdown());
            self.desk.outcome.expect("TCP shutdown", code, code::OK);
            let end = self.receive_all(index);
            if end != Ok(()) {
                let what = format!("TCP receive after shutdown: {end:?}");
                self.desk.outcome.blame(what);
            }
        }
        let desk = &mut self.desk;
        let client = &mut self.clients[index];
        desk.close("TCP close", &client.socket);
        desk.renew("TCP cleanup", index, Kind::Tcp, &mut client.socket);
        client.end = Instant::now() + desk.about(desk.orders.plan.tcp_life);
        client.sent = 0;
        client.returned = 0;
        self.open(index);
        self.desk.reconnected();
    }

    fn finish(mut self) -> Outcome {
        let limit = Instant::now() + PATIENCE;
        let mut events = Events::with_capacity(512);
        let is_waiting = |client: &Client| client.returned < client.sent;
        while self.clients.iter().any(is_waiting) && Instant::now() < limit {
            self.serve(&mut events);
        }
        for (index, Client { socket, .. }) in self.clients.drain(..).enumerate() {
            self.desk.close("TCP close", &socket);
            self.desk.outcome.clients[index].add(&socket);
        }
        self.desk.finish()
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
