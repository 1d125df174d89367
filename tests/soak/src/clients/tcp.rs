//! TCP clients: a message from time to time, and the next one when all of it
//! has come back; now and then a reconnect.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anjay_net_vtable::{Code, Kind, Socket, code};
use mio::Events;

use super::{Desk, Load, Orders, Outcome, byte, create, host, is_rude};
use crate::relay::NUMBER;
use crate::watch::bump;

/// Messages are of this many bytes.
const SIZES: std::ops::RangeInclusive<usize> = 16..=4096;

/// How long the answer to a message may take at most.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

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

impl Client {
    fn is_waiting(&self) -> bool {
        self.returned < self.sent
    }
}

struct Worker<'a> {
    desk: Desk<'a>,
    clients: Vec<Client>,
}

/// Keeps them busy until told to stop; then waits for the last answers, and
/// closes.
pub(crate) fn run(orders: &Orders<'_>, ready: &AtomicBool, stop: &AtomicBool) -> Outcome {
    let load = Load {
        clients: orders.plan.tcp_clients,
        rate: orders.plan.tcp_rate,
        life: orders.plan.tcp_life,
    };
    let mut worker = Worker {
        desk: Desk::new(orders, load),
        clients: Vec::new(),
    };
    for index in 0..orders.plan.tcp_clients {
        worker.clients.push(Client {
            socket: create(Kind::Tcp),
            connects: 0,
            end: worker.desk.end(true),
            sent: 0,
            returned: 0,
            since: Instant::now(),
        });
        worker.open(index);
        worker.desk.begin(index);
    }
    ready.store(true, SeqCst);
    let mut events = Events::with_capacity(512);
    while !stop.load(SeqCst) {
        worker.serve(&mut events);
        let now = Instant::now();
        while let Some(index) = worker.desk.alarms.next_due(now) {
            worker.act(index, now);
            let next = now + worker.desk.interval();
            worker.desk.alarms.set(next, index);
        }
    }
    worker.finish(&mut events)
}

impl Worker<'_> {
    fn serve(&mut self, events: &mut Events) {
        for index in self.desk.ready(events) {
            let end = self.receive_all(index);
            if end != Err(code::ETIMEDOUT) {
                self.desk.outcome.blame(format!("TCP receive: {end:?}"));
            }
        }
    }

    fn act(&mut self, index: usize, now: Instant) {
        let client = &self.clients[index];
        if client.is_waiting() {
            if now > client.since + ANSWER_LIMIT {
                self.desk.outcome.blame("an answer that does not come");
            }
        } else if now < client.end {
            self.send(index, now);
        } else {
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
        let places = (client.sent..).take(len);
        let data: Vec<u8> = places.map(|place| at(index, place)).collect();
        let send = || client.socket.send(&data);
        let code = self.desk.watch.time("TCP send", send);
        if self.desk.outcome.expect("TCP send", code, code::OK) {
            client.sent += len as u64;
            client.since = now;
            self.desk.outcome.sent += 1;
        }
    }

    /// Whatever there is, up to the code that says that there is no more, or
    /// the end of the stream.
    fn receive_all(&mut self, index: usize) -> Result<(), Code> {
        let client = &mut self.clients[index];
        loop {
            let receive = || client.socket.receive(4096);
            let received = self.desk.watch.time("TCP receive", receive);
            received.code.ok()?;
            if received.data.is_empty() {
                return Ok(());
            }
            let mut expected = (client.returned..).map(|place| at(index, place));
            if !received.data.iter().all(|&is| Some(is) == expected.next()) {
                self.desk.outcome.blame("bytes that were not sent");
            }
            client.returned += received.data.len() as u64;
            if !client.is_waiting() {
                self.desk.outcome.returned += 1;
                bump(&self.desk.orders.progress.messages);
            }
        }
    }

    fn open(&mut self, index: usize) {
        let client = &mut self.clients[index];
        // Each time another port, as a connection that has ended keeps its
        // pair of ports for a while.
        client.connects += 1;
        let host = host(index, self.desk.orders.plan.names);
        self.desk
            .connect("TCP connect", &client.socket, host, index, client.connects);
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
        client.end = desk.end(false);
        client.sent = 0;
        client.returned = 0;
        self.open(index);
        self.desk.reconnected();
    }

    fn finish(mut self, events: &mut Events) -> Outcome {
        let limit = Instant::now() + ANSWER_LIMIT;
        while self.clients.iter().any(Client::is_waiting) && Instant::now() < limit {
            self.serve(events);
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
