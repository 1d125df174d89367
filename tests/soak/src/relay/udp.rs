//! Datagrams: both ways through the weather.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use super::{DOORS, FRONTS, Relay, bind_all, number_of};
use crate::weather::Weather;

/// What a receive buffer of the relay should hold, in bytes.
const ROOM: usize = 4 << 20;

/// How long to sleep when nothing is due.
const IDLE: Duration = Duration::from_millis(20);

/// Datagrams and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) datagrams: u64,
    pub(crate) bytes: u64,
}

impl Load {
    fn add(&mut self, bytes: usize) {
        self.datagrams += 1;
        self.bytes += bytes as u64;
    }
}

/// What passed one client's side of the relay.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) from_client: Load,
    pub(crate) to_client: Load,
}

/// What passed in all.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) clients: Vec<Tally>,
    /// To and from the echo peer, as the relay counts.
    pub(crate) to_echo: Load,
    pub(crate) from_echo: Load,
    /// To and from the relay, as the echo peer counts.
    pub(crate) echo_received: Load,
    pub(crate) echo_sent: Load,
    pub(crate) lost: Load,
    pub(crate) doubled: Load,
    /// Datagrams that overtook one that was sent before them.
    pub(crate) overtaking: u64,
    /// What the kernel threw away for want of room.
    pub(crate) overflows: u64,
    pub(crate) failures: u64,
}

/// For each client, how many of its datagrams are under way, and of its echoes
/// that its socket did not get yet.
pub(crate) type UnderWay = Arc<Vec<AtomicU32>>;

/// Starts the thread for so many clients.
pub(crate) fn start(clients: usize, seed: u64) -> (Relay<Totals>, UnderWay) {
    let under_way: UnderWay = Arc::new((0..clients).map(|_| AtomicU32::new(0)).collect());
    let (ports, mut road) = Road::build(clients, seed, under_way.clone());
    (Relay::start(ports, move |stop| road.run(stop)), under_way)
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    ToEcho,
    ToClient,
}

/// A datagram under way, ordered by when it goes on.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Parcel {
    due: Instant,
    serial: u64,
    way: Way,
    client: usize,
    data: Vec<u8>,
}

struct Road {
    poll: Poll,
    fronts: Vec<UdpSocket>,
    upstream: UdpSocket,
    echo: UdpSocket,
    weather: Weather,
    /// Where each client was heard last.
    addresses: Vec<Option<(SocketAddr, usize)>>,
    parcels: BinaryHeap<Reverse<Parcel>>,
    serial: u64,
    last_serial: u64,
    under_way: UnderWay,
    totals: Totals,
}

const UPSTREAM: Token = Token(DOORS);
const ECHO: Token = Token(DOORS + 1);

fn roomy(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(addr)?;
    socket2::SockRef::from(&socket).set_recv_buffer_size(ROOM)?;
    Ok(socket)
}

impl Road {
    fn build(clients: usize, seed: u64, under_way: UnderWay) -> ([u16; FRONTS], Road) {
        let port_of = |socket: &UdpSocket| socket.local_addr().expect("it is bound").port();
        let mut fronts = Vec::new();
        let ports = [(); FRONTS].map(|()| {
            let (port, all) = bind_all(roomy, port_of);
            fronts.extend(all);
            port
        });
        let own = || roomy((Ipv4Addr::LOCALHOST, 0).into()).expect("a UDP socket");
        let (upstream, echo) = (own(), own());
        let join = |one: &UdpSocket, other: &UdpSocket| {
            one.connect(other.local_addr().expect("it is bound"))
                .expect("it is there");
        };
        join(&upstream, &echo);
        join(&echo, &upstream);
        let mut road = Road {
            poll: Poll::new().expect("an epoll descriptor"),
            fronts,
            upstream,
            echo,
            weather: Weather::new(seed),
            addresses: vec![None; clients],
            parcels: BinaryHeap::new(),
            serial: 0,
            last_serial: 0,
            under_way,
            totals: Totals {
                clients: vec![Tally::default(); clients],
                ..Totals::default()
            },
        };
        let registry = road.poll.registry();
        let register = |socket: &mut UdpSocket, token| {
            registry
                .register(socket, token, Interest::READABLE)
                .expect("it can be waited for");
        };
        for (index, front) in road.fronts.iter_mut().enumerate() {
            register(front, Token(index));
        }
        register(&mut road.upstream, UPSTREAM);
        register(&mut road.echo, ECHO);
        (ports, road)
    }

    fn run(&mut self, stop: &AtomicBool) -> Totals {
        let mut events = Events::with_capacity(64);
        loop {
            let now = Instant::now();
            let next = self.parcels.peek().map(|Reverse(parcel)| parcel.due);
            let wait = next.map_or(IDLE, |due| due.saturating_duration_since(now).min(IDLE));
            if self.poll.poll(&mut events, Some(wait)).is_err() {
                continue;
            }
            for event in &events {
                match event.token() {
                    UPSTREAM => self.drain_upstream(),
                    ECHO => self.drain_echo(),
                    Token(front) => self.drain_front(front),
                }
            }
            self.send_what_is_due();
            if stop.load(SeqCst) && self.parcels.is_empty() && events.is_empty() {
                break;
            }
        }
        let sockets = self.fronts.iter().chain([&self.upstream, &self.echo]);
        self.totals.overflows = sockets.map(overflows).sum();
        std::mem::take(&mut self.totals)
    }

    fn drain_front(&mut self, front: usize) {
        let mut buf = [0; 2048];
        while let Ok((len, addr)) = self.fronts[front].recv_from(&mut buf) {
            let data = &buf[..len];
            let client = number_of(data).filter(|&client| client < self.addresses.len());
            let Some(client) = client else {
                self.totals.failures += 1;
                continue;
            };
            self.addresses[client] = Some((addr, front));
            self.totals.clients[client].from_client.add(len);
            self.hand_over(Way::ToEcho, client, data);
        }
    }

    fn drain_upstream(&mut self) {
        let mut buf = [0; 2048];
        while let Ok(len) = self.upstream.recv(&mut buf) {
            let data = &buf[..len];
            self.totals.from_echo.add(len);
            match number_of(data) {
                Some(client) => self.hand_over(Way::ToClient, client, data),
                None => self.totals.failures += 1,
            }
        }
    }

    fn drain_echo(&mut self) {
        let mut buf = [0; 2048];
        while let Ok(len) = self.echo.recv(&mut buf) {
            self.totals.echo_received.add(len);
            match self.echo.send(&buf[..len]) {
                Ok(_) => self.totals.echo_sent.add(len),
                Err(_) => self.totals.failures += 1,
            }
        }
    }

    /// Into the weather.
    fn hand_over(&mut self, way: Way, client: usize, data: &[u8]) {
        let copies = self.weather.copies();
        let under_way = &self.under_way[client];
        match copies {
            0 => {
                self.totals.lost.add(data.len());
                under_way.fetch_sub(1, SeqCst);
            }
            1 => {}
            _ => {
                self.totals.doubled.add(data.len());
                under_way.fetch_add(1, SeqCst);
            }
        }
        let now = Instant::now();
        for _ in 0..copies {
            self.serial += 1;
            self.parcels.push(Reverse(Parcel {
                due: now + self.weather.delay(),
                serial: self.serial,
                way,
                client,
                data: data.to_vec(),
            }));
        }
    }

    fn send_what_is_due(&mut self) {
        let now = Instant::now();
        while let Some(Reverse(parcel)) = self.parcels.peek() {
            if parcel.due > now {
                return;
            }
            let Some(Reverse(parcel)) = self.parcels.pop() else {
                return;
            };
            if parcel.serial < self.last_serial {
                self.totals.overtaking += 1;
            }
            self.last_serial = parcel.serial;
            self.send(&parcel);
        }
    }

    fn send(&mut self, parcel: &Parcel) {
        let (len, client) = (parcel.data.len(), parcel.client);
        let sent = match parcel.way {
            Way::ToEcho => {
                self.totals.to_echo.add(len);
                self.upstream.send(&parcel.data)
            }
            Way::ToClient => {
                let (addr, front) = self.addresses[client].expect("it was heard");
                self.totals.clients[client].to_client.add(len);
                let sent = self.fronts[front].send_to(&parcel.data, addr);
                // Over loopback it is in the client's queue by now.
                self.under_way[client].fetch_sub(1, SeqCst);
                sent
            }
        };
        if sent.is_err() {
            self.totals.failures += 1;
        }
    }
}

/// How many datagrams the kernel dropped at a socket (`SO_MEMINFO`, the last
/// number: sk_get_meminfo in net/core/sock.c).
fn overflows(socket: &UdpSocket) -> u64 {
    const SO_MEMINFO: libc::c_int = 55;
    const DROPS: usize = 8;
    let mut numbers = [0u32; 9];
    let mut len = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: nine numbers, and `len` says so.
    unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &mut len,
        );
    }
    numbers[DROPS].into()
}
