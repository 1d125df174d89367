//! UDP clients: a datagram from time to time, now and then a reconnect on the
//! same port, and receives whenever epoll says so.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anjay_net_model::c::{self, Info, Kind, Socket};
use anjay_net_model::code;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::{Alarms, Counted, Outcome, about, byte, create, host, is_rude};
use crate::home;
use crate::meter::Progress;
use crate::plan::Plan;
use crate::relay::{FRONTS, NUMBER, udp::UnderWay};
use crate::stopwatch::{Activity, Stopwatch};

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
    pub(crate) plan: &'a Plan,
    pub(crate) ports: [u16; FRONTS],
    pub(crate) under_way: UnderWay,
    pub(crate) progress: &'a Progress,
    pub(crate) activity: Activity,
}

struct Worker<'a> {
    setting: &'a UdpClients<'a>,
    rng: fastrand::Rng,
    poll: Poll,
    alarms: Alarms,
    clients: Vec<Client>,
    watch: Stopwatch,
    outcome: Outcome,
}

impl UdpClients<'_> {
    /// Keeps them busy until told to stop; then waits for what is under way,
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
        let count = self.setting.plan.udp_clients;
        self.outcome.clients = vec![Counted::default(); count];
        for index in 0..count {
            self.clients.push(Client {
                socket: create(Kind::Udp),
                port: String::new(),
                // So that they do not all end together.
                end: now + self.setting.plan.udp_life.mul_f64(1.5 * self.rng.f64()),
                leaving: None,
                sent: 0,
            });
            self.open(index);
            let first = self.interval().mul_f64(self.rng.f64());
            self.alarms.set(now + first, index);
        }
    }

    /// Between two datagrams of a client.
    fn interval(&mut self) -> Duration {
        let plan = self.setting.plan;
        let average = Duration::from_secs_f64(plan.udp_clients as f64 / plan.udp_rate);
        about(average, &mut self.rng)
    }

    fn work(&mut self, stop: &AtomicBool) {
        let mut events = Events::with_capacity(512);
        while !stop.load(SeqCst) {
            let wait = self.alarms.wait(IDLE);
            if self.poll.poll(&mut events, Some(wait)).is_err() {
                continue;
            }
            for event in &events {
                self.receive_all(event.token().0);
            }
            let now = Instant::now();
            while let Some(index) = self.alarms.next_due(now) {
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
            self.outcome.rude += 1;
            self.reconnect(index);
            self.interval()
        } else if self.is_waiting(index, now) {
            IDLE
        } else {
            self.reconnect(index);
            self.interval()
        };
        self.alarms.set(now + wait, index);
    }

    /// Whether something is under way that a client which leaves waits for.
    fn is_waiting(&mut self, index: usize, now: Instant) -> bool {
        let since = *self.clients[index].leaving.get_or_insert(now);
        self.setting.under_way[index].load(SeqCst) > 0 && now < since + LINGER
    }

    fn send(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let mut data = vec![0; self.rng.usize(SIZES)];
        client.sent += 1;
        data[..NUMBER].copy_from_slice(&(index as u32).to_le_bytes());
        data[NUMBER..NUMBER + 8].copy_from_slice(&client.sent.to_le_bytes());
        for (place, to) in data.iter_mut().enumerate().skip(NUMBER + 8) {
            *to = byte(index, client.sent + place as u64);
        }
        self.setting.under_way[index].fetch_add(1, SeqCst);
        let code = self.watch.time("send", || client.socket.send(&data));
        if self.outcome.expect("send", code, code::OK) {
            self.outcome.sent += 1;
        } else {
            self.setting.under_way[index].fetch_sub(1, SeqCst);
        }
    }

    /// Whatever there is; ends with the code that says that there is no more.
    fn receive_all(&mut self, index: usize) -> u16 {
        let Some(client) = self.clients.get(index) else {
            return code::EBADF;
        };
        loop {
            let receive = || client.socket.receive(2048);
            let received = self.watch.time("receive", receive);
            if received.code != code::OK {
                return received.code;
            }
            Progress::bump(&self.setting.progress.datagrams);
            self.outcome.returned += 1;
            if !is_intact(index, &received.data, client.sent) {
                self.outcome.blame("a datagram that was not sent");
            }
        }
    }

    /// Gives the socket its port and connects it.
    fn open(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let socket = &client.socket;
        let host = host(index, self.setting.plan.names);
        // By name, whatever family it turns out to have.
        let local = (host != home::NAME).then_some(host.as_bytes());
        let port = client.port.as_bytes();
        let code = self.watch.time("bind", || socket.bind(local, Some(port)));
        if !self.outcome.expect("bind", code, code::OK) {
            return;
        }
        let local_port = socket.info(Info::LocalPort, 6).unwrap_or_default();
        if client.port.is_empty() {
            client.port = local_port;
        } else if client.port != local_port {
            self.outcome.blame("another local port");
        }
        let remembered = remembered(socket);
        let remote = self.setting.ports[index % FRONTS].to_string();
        let connect = || socket.connect(Some(host.as_bytes()), Some(remote.as_bytes()));
        let code = self.watch.time("connect", connect);
        if !self.outcome.expect("connect", code, code::OK) {
            return;
        }
        let reached = socket.info(Info::RemoteHost, 64).ok();
        if remembered.is_some() && reached != remembered {
            self.outcome.blame("another server than the one before");
        }
        let fd = socket.descriptor().expect("it is connected");
        let registry = self.poll.registry();
        registry
            .register(&mut SourceFd(&fd), Token(index), Interest::READABLE)
            .expect("it can be waited for");
    }

    /// Closes, in one of several ways, and opens again.
    fn reconnect(&mut self, index: usize) {
        let is_last_word = self.rng.u8(..) < 51;
        if is_last_word {
            let socket = &self.clients[index].socket;
            let code = self.watch.time("shutdown", || socket.shutdown());
            self.outcome.expect("shutdown", code, code::OK);
        }
        let end = if is_last_word {
            code::ECONNABORTED
        } else {
            code::ETIMEDOUT
        };
        let code = self.receive_all(index);
        self.outcome.expect("receive at the end", code, end);
        self.close(index);
        if self.rng.u8(..) < 26 {
            // A new object instead of the old one.
            let client = &mut self.clients[index];
            self.outcome.clients[index].add(&client.socket);
            let old = std::mem::replace(&mut client.socket, create(Kind::Udp));
            self.watch.time("cleanup", || drop(old));
        }
        let life = about(self.setting.plan.udp_life, &mut self.rng);
        let client = &mut self.clients[index];
        client.end = Instant::now() + life;
        client.leaving = None;
        self.open(index);
        self.outcome.reconnects += 1;
        Progress::bump(&self.setting.progress.reconnects);
    }

    fn close(&mut self, index: usize) {
        let socket = &self.clients[index].socket;
        if let Some(fd) = socket.descriptor() {
            let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
        }
        let code = self.watch.time("close", || socket.close());
        self.outcome.expect("close", code, code::OK);
    }

    /// Waits until nothing is under way, and closes all.
    fn finish(mut self) -> Outcome {
        let limit = Instant::now() + LINGER;
        let is_quiet = || self.setting.under_way.iter().all(|n| n.load(SeqCst) == 0);
        while !is_quiet() && Instant::now() < limit {
            std::thread::sleep(IDLE);
        }
        for index in 0..self.clients.len() {
            let code = self.receive_all(index);
            self.outcome
                .expect("receive at the end", code, code::ETIMEDOUT);
            self.close(index);
            self.outcome.clients[index].add(&self.clients[index].socket);
        }
        self.clients.clear();
        self.outcome.longest = self.watch.longest();
        self.outcome
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
