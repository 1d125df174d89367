//! Datagrams: both ways through the weather.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Poll};

use super::icmp::Router;
use super::{EMPTY, FRONTS, ICMP_ERROR, Relay, Weather, number_of, open_doors};
use crate::alarms;
use crate::clients::is_renumbered;

/// What a receive buffer of the relay should hold, in bytes.
const ROOM: usize = 4 << 20;

/// After so long a datagram that was sent is in the queue of its socket.
const IN_QUEUE: Duration = Duration::from_millis(50);

/// What passed one client's side of the relay.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) datagrams: u64,
    pub(crate) from_client: u64,
    pub(crate) to_client: u64,
}

/// What passed in all, in datagrams.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) clients: Vec<Tally>,
    pub(crate) passed: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    /// Those that overtook one that came before them.
    pub(crate) overtaking: u64,
    /// Empty ones, beside all others.
    pub(crate) empty: u64,
    /// ICMP errors about what a client has sent.
    pub(crate) icmp_errors: u64,
    /// The first of a client from another address than the one before.
    pub(crate) moved: u64,
    /// Those to an address that the host had.
    pub(crate) to_former_address: u64,
    /// Those that the kernel threw away for want of room.
    pub(crate) overflows: u64,
    /// Those that could not be sent, or were nobody's.
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
    /// Sent to the client.
    InQueue,
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
    /// Needs a right that root has.
    router: Option<Router>,
    doors: Vec<UdpSocket>,
    weather: Weather,
    /// Where each client was heard last, and at which door.
    addresses: Vec<Option<(SocketAddr, usize)>>,
    parcels: BinaryHeap<Reverse<Parcel>>,
    serial: u64,
    last_serial: u64,
    under_way: UnderWay,
    totals: Totals,
}

fn roomy(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(addr)?;
    socket2::SockRef::from(&socket).set_recv_buffer_size(ROOM)?;
    Ok(socket)
}

impl Road {
    fn build(clients: usize, seed: u64, under_way: UnderWay) -> ([u16; FRONTS], Road) {
        let (ports, doors, poll) = open_doors(roomy, UdpSocket::local_addr);
        let road = Road {
            poll,
            router: Router::open().ok(),
            doors,
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
        (ports, road)
    }

    fn run(&mut self, stop: &AtomicBool) -> Totals {
        let mut events = Events::with_capacity(64);
        while !(stop.load(SeqCst) && self.parcels.is_empty() && events.is_empty()) {
            let wait = alarms::until(self.parcels.peek().map(|it| it.0.due));
            if self.poll.poll(&mut events, Some(wait)).is_ok() {
                for event in &events {
                    self.drain(event.token().0);
                }
            }
            self.move_what_is_due();
        }
        self.totals.overflows = self.doors.iter().map(overflows).sum();
        std::mem::take(&mut self.totals)
    }

    fn drain(&mut self, door: usize) {
        let mut buf = [0; 2048];
        while let Ok((len, addr)) = self.doors[door].recv_from(&mut buf) {
            let data = &buf[..len];
            let Some(client) = number_of(data, self.addresses.len()) else {
                self.totals.failures += 1;
                continue;
            };
            let former = self.addresses[client].replace((addr, door));
            let has_moved = former.is_some_and(|(former, _)| former.ip() != addr.ip());
            self.totals.moved += u64::from(has_moved);
            let tally = &mut self.totals.clients[client];
            tally.datagrams += 1;
            tally.from_client += len as u64;
            self.send_icmp_error(client, addr, door);
            self.hand_over(Way::ToEcho, client, data);
        }
    }

    /// Now and then, about what came from a client over IPv4.
    fn send_icmp_error(&mut self, client: usize, addr: SocketAddr, door: usize) {
        let (Some(router), SocketAddr::V4(addr)) = (&self.router, addr) else {
            return;
        };
        if !self.weather.happens(ICMP_ERROR) {
            return;
        }
        if let Ok(SocketAddr::V4(door)) = self.doors[door].local_addr() {
            let sent = router.report_path_mtu(addr, door);
            self.totals.icmp_errors += u64::from(sent.is_ok());
            self.totals.failures += u64::from(sent.is_err() && !is_renumbered(client));
        }
    }

    /// Into the weather.
    fn hand_over(&mut self, way: Way, client: usize, data: &[u8]) {
        self.totals.passed += 1;
        let copies = self.weather.copies();
        match copies {
            0 => {
                self.totals.lost += 1;
                self.under_way[client].fetch_sub(1, SeqCst);
            }
            1 => {}
            _ => {
                self.totals.doubled += 1;
                self.under_way[client].fetch_add(1, SeqCst);
            }
        }
        let now = Instant::now();
        for _ in 0..copies {
            let due = now + self.weather.delay();
            self.serial += 1;
            self.push(due, way, client, data.to_vec());
        }
    }

    fn push(&mut self, due: Instant, way: Way, client: usize, data: Vec<u8>) {
        self.parcels.push(Reverse(Parcel {
            due,
            serial: self.serial,
            way,
            client,
            data,
        }));
    }

    fn move_what_is_due(&mut self) {
        let now = Instant::now();
        let is_due = |next: &Reverse<Parcel>| next.0.due <= now;
        while self.parcels.peek().is_some_and(is_due) {
            let Some(Reverse(parcel)) = self.parcels.pop() else {
                return;
            };
            if parcel.way == Way::InQueue {
                self.under_way[parcel.client].fetch_sub(1, SeqCst);
                continue;
            }
            self.totals.overtaking += u64::from(parcel.serial < self.last_serial);
            self.last_serial = parcel.serial;
            match parcel.way {
                // The echo: back it goes.
                Way::ToEcho => self.hand_over(Way::ToClient, parcel.client, &parcel.data),
                _ => self.deliver(&parcel),
            }
        }
    }

    fn deliver(&mut self, parcel: &Parcel) {
        let (addr, door) = self.addresses[parcel.client].expect("it was heard");
        if self.weather.happens(EMPTY) {
            let sent = self.doors[door].send_to(&[], addr);
            self.totals.empty += u64::from(sent.is_ok());
        }
        match self.doors[door].send_to(&parcel.data, addr) {
            Ok(_) => {
                self.totals.clients[parcel.client].to_client += parcel.data.len() as u64;
            }
            Err(_) if is_renumbered(parcel.client) => self.totals.to_former_address += 1,
            Err(_) => self.totals.failures += 1,
        }
        // Over loopback it is in the client's queue by now, or soon: a kernel with much
        // to deliver leaves the rest to a thread.
        self.push(
            Instant::now() + IN_QUEUE,
            Way::InQueue,
            parcel.client,
            Vec::new(),
        );
    }
}

/// How many datagrams the kernel dropped at a socket (`SO_MEMINFO`, the last
/// number: sk_get_meminfo in net/core/sock.c).
fn overflows(socket: &UdpSocket) -> u64 {
    const SO_MEMINFO: libc::c_int = 55;
    const DROPS: usize = 8;
    let mut numbers = [0u32; 9];
    let mut len = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: `len` is the size of the nine numbers.
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
