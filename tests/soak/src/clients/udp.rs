//! UDP clients: a datagram from time to time, now and then a reconnect on the
//! same port, and receives whenever epoll says so.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use anjay_net_support::time::eventually;
use anjay_net_vtable::{Code, Info, Kind, Socket, addrinfo, code};
use mio::Events;

use super::{Desk, Load, Orders, Outcome, byte, create, host, is_renumbered, is_rude};
use crate::alarms::IDLE;
use crate::names;
use crate::plan::Plan;
use crate::relay::NUMBER;
use crate::watch::bump;

/// Datagrams are of this many bytes.
const SIZES: std::ops::RangeInclusive<usize> = 16..=512;

/// How long to wait for what is under way before a close.
const LINGER: Duration = Duration::from_secs(5);

/// The first of the local ports towards [`names::FAR`]: below those that the kernel
/// gives sockets at other addresses.
const FAR_PORTS: usize = 10_000;

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

struct Worker<'a> {
    desk: Desk<'a>,
    clients: Vec<Client>,
}

/// Keeps them busy until told to stop; then waits for what is under way, and
/// closes.
pub(crate) fn run(orders: &Orders<'_>, ready: &AtomicBool, stop: &AtomicBool) -> Outcome {
    let load = Load {
        clients: orders.plan.udp_clients,
        rate: orders.plan.udp_rate,
        life: orders.plan.udp_life,
    };
    let mut worker = Worker {
        desk: Desk::new(orders, load),
        clients: Vec::new(),
    };
    for index in 0..orders.plan.udp_clients {
        worker.clients.push(Client {
            socket: create(Kind::Udp),
            port: match host_of(index, orders.plan) {
                names::FAR => (FAR_PORTS + index).to_string(),
                _ => String::new(),
            },
            end: worker.desk.end(true),
            leaving: None,
            sent: 0,
        });
        worker.open(index);
        worker.desk.begin(index);
    }
    ready.store(true, SeqCst);
    let mut events = Events::with_capacity(512);
    while !stop.load(SeqCst) {
        for index in worker.desk.ready(&mut events) {
            let _no_more = worker.receive_all(index);
        }
        let now = Instant::now();
        while let Some(index) = worker.desk.alarms.next_due(now) {
            let wait = worker.act(index, now);
            worker.desk.alarms.set(now + wait, index);
        }
    }
    worker.finish()
}

impl Worker<'_> {
    /// What a client does now, and how long until it does the next.
    fn act(&mut self, index: usize, now: Instant) -> Duration {
        if now < self.clients[index].end {
            self.send(index);
        } else if is_rude(index) {
            // Asks something and does not wait.
            self.send(index);
            self.desk.outcome.rude += 1;
            self.reconnect(index);
        } else if self.is_waiting(index, now) {
            return IDLE;
        } else {
            self.reconnect(index);
        }
        self.desk.interval()
    }

    /// Whether something is under way that a client which leaves waits for.
    fn is_waiting(&mut self, index: usize, now: Instant) -> bool {
        let since = *self.clients[index].leaving.get_or_insert(now);
        self.desk.orders.under_way[index].load(SeqCst) > 0 && now < since + LINGER
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
        let under_way = &self.desk.orders.under_way[index];
        under_way.fetch_add(1, SeqCst);
        let code = self.desk.watch.time("send", || client.socket.send(&data));
        if self.desk.outcome.expect("send", code, code::OK) {
            self.desk.outcome.sent += 1;
        } else {
            under_way.fetch_sub(1, SeqCst);
        }
    }

    /// Whatever there is; ends with the code that says that there is no more.
    fn receive_all(&mut self, index: usize) -> Code {
        let client = &self.clients[index];
        loop {
            let receive = || client.socket.receive(2048);
            let received = self.desk.watch.time("receive", receive);
            if received.code != code::OK {
                return received.code;
            }
            bump(&self.desk.orders.progress.datagrams);
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
        let host = host_of(index, desk.orders.plan);
        // By name, whatever family it turns out to have; and from an address that
        // changes, whatever it is.
        let is_free = [names::NAME, names::FAR].contains(&host);
        let local = (!is_free).then_some(host.as_bytes());
        let bind = || socket.bind(local, &**port);
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
        let remembered = addrinfo::text_of(&socket.preferred()).map(|(host, _)| host);
        desk.connect("connect", socket, host, index, index);
        let reached = socket.info(Info::RemoteHost, 64).ok();
        if remembered.is_some() && reached != remembered {
            desk.outcome.blame("another server than the one before");
        }
    }

    /// Closes, in one of several ways, and opens again.
    fn reconnect(&mut self, index: usize) {
        let is_shut_down = self.desk.rng.u8(..) < 51;
        let end = if is_shut_down {
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
        client.end = desk.end(false);
        client.leaving = None;
        self.open(index);
        self.desk.reconnected();
    }

    /// Waits until nothing is under way, and closes all.
    fn finish(mut self) -> Outcome {
        let under_way = &self.desk.orders.under_way;
        eventually(LINGER, || under_way.iter().all(|n| n.load(SeqCst) == 0));
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

/// How a client names the relay.
fn host_of(index: usize, plan: &Plan) -> &'static str {
    match plan.names && is_renumbered(index) {
        true => names::FAR,
        false => host(index, plan.names),
    }
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
    let places = serial.wrapping_add(NUMBER as u64 + 8)..;
    number == (index as u32).to_le_bytes()
        && (1..=sent).contains(&serial)
        && filling
            .iter()
            .zip(places)
            .all(|(&is, place)| is == byte(index, place))
}
