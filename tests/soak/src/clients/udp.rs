//! UDP clients: a datagram from time to time, now and then a reconnect on the
//! same port, and receives whenever epoll says so.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use anjay_net_vtable::{self as c, Code, Info, Kind, Socket, code};
use mio::Events;

use super::{Desk, Orders, Outcome, byte, create, host, is_rude};
use crate::home;
use crate::meter::Progress;
use crate::relay::{FRONTS, NUMBER, udp::UnderWay};

/// Datagrams are of this many bytes.
const SIZES: std::ops::RangeInclusive<usize> = 16..=512;

/// How long a thread sleeps when nothing happens.
const IDLE: Duration = Duration::from_millis(20);

/// How long to wait for what is under way before a close.
const LINGER: Duration = Duration::from_secs(5);

/// One socket, or one after the other.
struct Client {
    socket: Socket,
    /// The local port, which stays the same for good.
    port: String,
    /// When this connection ends.
    end: Instant,
    /// Since when it waits for what is under way.
    leaving: Option<Instant>,
    sent: u64,
}

/// All of them.
pub(crate) struct UdpClients<'a> {
    pub(crate) orders: Orders<'a>,
    pub(crate) under_way: UnderWay,
}

struct Worker<'a> {
    under_way: &'a UnderWay,
    desk: Desk<'a>,
    clients: Vec<Client>,
}

impl UdpClients<'_> {
    /// Keeps them busy until told to stop; then waits for what is under way,
    /// and closes.
    pub(crate) fn run(&self, ready: &AtomicBool, stop: &AtomicBool) -> Outcome {
        let mut worker = Worker {
            under_way: &self.under_way,
            desk: Desk::new(&self.orders, self.orders.plan.udp_clients),
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
        for index in 0..plan.udp_clients {
            self.clients.push(Client {
                socket: create(Kind::Udp),
                port: String::new(),
                end: self.desk.first_end(plan.udp_life),
                leaving: None,
                sent: 0,
            });
            self.open(index);
            let first = self.interval().mul_f64(self.desk.rng.f64());
            self.desk.alarms.set(Instant::now() + first, index);
        }
    }

    /// Between two datagrams of a client.
    fn interval(&mut self) -> Duration {
        let plan = self.desk.orders.plan;
        let average = plan.udp_clients as f64 / plan.udp_rate;
        self.desk.about(Duration::from_secs_f64(average))
    }

    fn work(&mut self, stop: &AtomicBool) {
        let mut events = Events::with_capacity(512);
        while !stop.load(SeqCst) {
            let wait = self.desk.alarms.wait(IDLE);
            if self.desk.poll.poll(&mut events, Some(wait)).is_err() {
                continue;
            }
            for event in &events {
                let _no_more = self.receive_all(event.token().0);
            }
            let now = Instant::now();
            while let Some(index) = self.desk.alarms.next_due(now) {
                self.act(index, now);
            }
        }
    }

    fn act(&mut self, index: usize, now: Instant) {
        let wait = if now < self.clients[index].end {
            self.send(index);
            self.interval()
        } else if is_rude(index) {
            // Asks something and does not wait.
            self.send(index);
            self.desk.outcome.rude += 1;
            self.reconnect(index);
            self.interval()
        } else if self.is_waiting(index, now) {
            IDLE
        } else {
            self.reconnect(index);
            self.interval()
        };
        self.desk.alarms.set(now + wait, index);
    }

    /// Whether something is under way that a client which leaves waits for.
    fn is_waiting(&mut self, index: usize, now: Instant) -> bool {
        let since = *self.clients[index].leaving.get_or_insert(now);
        self.under_way[index].load(SeqCst) > 0 && now < since + LINGER
    }

    fn send(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let mut data = vec![0; self.desk.rng.usize(SIZES)];
        client.sent += 1;
        data[..NUMBER].copy_from_slice(&(index as u32).to_le_bytes());
        data[NUMBER..NUMBER + 8].copy_from_slice(&client.sent.to_le_bytes());
        for (place, to) in data.iter_mut().enumerate().skip(NUMBER + 8) {
            *to = byte(index, client.sent + place as u64);
        }
        self.under_way[index].fetch_add(1, SeqCst);
        let code = self.desk.watch.time("send", || client.socket.send(&data));
        if self.desk.outcome.expect("send", code, code::OK) {
            self.desk.outcome.sent += 1;
        } else {
            self.under_way[index].fetch_sub(1, SeqCst);
        }
    }

    /// Whatever there is; ends with the code that says that there is no more.
    fn receive_all(&mut self, index: usize) -> Code {
        let Some(client) = self.clients.get(index) else {
            return code::EBADF;
        };
        loop {
            let receive = || client.socket.receive(2048);
            let received = self.desk.watch.time("receive", receive);
            if received.code != code::OK {
                return received.code;
            }
            Progress::bump(&self.desk.orders.progress.datagrams);
            self.desk.outcome.returned += 1;
            if !is_intact(index, &received.data, client.sent) {
                self.desk.outcome.blame("a datagram that was not sent");
            }
        }
    }

    /// Gives the socket its port and connects it.
    fn open(&mut self, index: usize) {
        let Client { socket, port, .. } = &mut self.clients[index];
        let desk = &mut self.desk;
        let host = host(index, desk.orders.plan.names);
        // By name, whatever family it turns out to have.
        let local = (host != home::NAME).then_some(host.as_bytes());
        let bind = || socket.bind(local, Some(port.as_bytes()));
        let mut code = desk.watch.time("bind", bind);
        // getaddrinfo(3) connects UDP sockets of its own to sort addresses, and
        // the kernel gives one of them, for a moment, any port that is free.
        for _ in 0..1000 {
            if code != code::EADDRINUSE {
                break;
            }
            desk.outcome.ports_taken += 1;
            thread::yield_now();
            code = desk.watch.time("bind", bind);
        }
        if !desk.outcome.expect("bind", code, code::OK) {
            return;
        }
        let local_port = socket.info(Info::LocalPort, 6).unwrap_or_default();
        if port.is_empty() {
            *port = local_port;
        } else if *port != local_port {
            desk.outcome.blame("another local port");
        }
        let remembered = remembered(socket);
        let relay = desk.orders.ports[index % FRONTS];
        if !desk.connect("connect", socket, index, relay) {
            return;
        }
        let reached = socket.info(Info::RemoteHost, 64).ok();
        if remembered.is_some() && reached != remembered {
            desk.outcome.blame("another server than the one before");
        }
        desk.listen_to(socket, index);
    }

    /// Closes, in one of several ways, and opens again.
    fn reconnect(&mut self, index: usize) {
        let is_last_word = self.desk.rng.u8(..) < 51;
        let end = if is_last_word {
            let socket = &self.clients[index].socket;
            let code = self.desk.watch.time("shutdown", || socket.shutdown());
            self.desk.outcome.expect("shutdown", code, code::OK);
            code::ECONNABORTED
        } else {
            code::ETIMEDOUT
        };
        let code = self.receive_all(index);
        self.desk.outcome.expect("receive at the end", code, end);
        let desk = &mut self.desk;
        let client = &mut self.clients[index];
        desk.close("close", &client.socket);
        desk.renew("cleanup", index, Kind::Udp, &mut client.socket);
        client.end = Instant::now() + desk.about(desk.orders.plan.udp_life);
        client.leaving = None;
        self.open(index);
        self.desk.reconnected();
    }

    /// Waits until nothing is under way, and closes all.
    fn finish(mut self) -> Outcome {
        let limit = Instant::now() + LINGER;
        let is_quiet = || self.under_way.iter().all(|n| n.load(SeqCst) == 0);
        while !is_quiet() && Instant::now() < limit {
            thread::sleep(IDLE);
        }
        for index in 0..self.clients.len() {
            let code = self.receive_all(index);
            let desk = &mut self.desk;
            desk.outcome
                .expect("receive at the end", code, code::ETIMEDOUT);
            let socket = &self.clients[index].socket;
            desk.close("close", socket);
            desk.outcome.clients[index].add(socket);
        }
        self.clients.clear();
        self.desk.finish()
    }
}

/// The host of the endpoint that a socket remembers.
fn remembered(socket: &Socket) -> Option<String> {
    let (code, host, _) = c::host_port(&socket.preferred(), 64, 6);
    (code == code::OK).then(|| host.text())
}

/// Whether it is what the client once sent.
fn is_intact(index: usize, data: &[u8], sent: u64) -> bool {
    let Some((number, rest)) = data.split_at_checked(NUMBER) else {
        return false;
    };
    let Some((serial, filling)) = rest.split_first_chunk::<8>() else {
        return false;
    };
    let serial = u64::from_le_bytes(*serial);
    let start = serial.wrapping_add(NUMBER as u64 + 8);
    number == (index as u32).to_le_bytes()
        && (1..=sent).contains(&serial)
        && filling
            .iter()
            .zip(start..)
            .all(|(&is, place)| is == byte(index, place))
}
