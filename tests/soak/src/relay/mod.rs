//! The relay, which is not the library's. What passes it is lost, doubled and
//! delayed on its way to the echo and again on the way back.

mod icmp;
pub(crate) mod tcp;
pub(crate) mod udp;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::event::Source;
use mio::{Interest, Poll, Token};

/// Of a hundred datagrams, those that are lost on each way.
const LOST: f64 = 0.05;

/// Those that come twice.
const DOUBLED: f64 = 0.02;

/// Those that an empty one comes before on the way to the client, and those about
/// which an ICMP error comes back.
const EMPTY: f64 = 0.01;
const ICMP_ERROR: f64 = 0.01;

/// The longest delay of a way. Each copy has its own, so they overtake one
/// another.
const DELAY_MAX: Duration = Duration::from_millis(40);

/// What becomes of what passes, from a seed.
struct Weather(fastrand::Rng);

impl Weather {
    fn new(seed: u64) -> Weather {
        Weather(fastrand::Rng::with_seed(seed))
    }

    /// How many copies of a datagram go on.
    fn copies(&mut self) -> usize {
        match self.0.f64() {
            chance if chance < LOST => 0,
            chance if chance < LOST + DOUBLED => 2,
            _ => 1,
        }
    }

    /// Whether something happens that does so in this share of cases.
    fn happens(&mut self, share: f64) -> bool {
        self.0.f64() < share
    }

    /// How long something is under way.
    fn delay(&mut self) -> Duration {
        DELAY_MAX.mul_f64(self.0.f64())
    }

    /// How much of a stream goes on in one piece, at most.
    fn piece(&mut self) -> usize {
        self.0.usize(1..=2048)
    }
}

/// A thread that relays until it is stopped, and then tells what it has seen.
pub(crate) struct Relay<T> {
    pub(crate) ports: [u16; FRONTS],
    stop: Arc<AtomicBool>,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Relay<T> {
    fn start(
        ports: [u16; FRONTS],
        work: impl FnOnce(&AtomicBool) -> T + Send + 'static,
    ) -> Relay<T> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || work(&stopped));
        Relay {
            ports,
            stop,
            thread,
        }
    }

    /// Ends it, when nothing is under way any more.
    pub(crate) fn stop(self) -> T {
        self.stop.store(true, SeqCst);
        self.thread.join().expect("a relay does not panic")
    }
}

/// How many ports the relay has; a client that connects again takes the next.
pub(crate) const FRONTS: usize = 4;

/// The addresses of each port; the first three of IPv4 have a name, too.
const HOSTS: [IpAddr; 5] = [
    IpAddr::V6(Ipv6Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3)),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 4)),
];

/// Sockets of all ports and addresses.
const DOORS: usize = FRONTS * HOSTS.len();

/// So many bytes at the start of what a client sends are its number.
pub(crate) const NUMBER: usize = 4;

/// The number of one of so many clients.
fn number_of(data: &[u8], clients: usize) -> Option<usize> {
    let (number, _) = data.split_first_chunk::<NUMBER>()?;
    let number = usize::try_from(u32::from_le_bytes(*number)).ok()?;
    (number < clients).then_some(number)
}

/// Binds ports that are free at all addresses, and waits for what comes there.
fn open_doors<T: Source>(
    bind: impl Fn(SocketAddr) -> io::Result<T>,
    addr_of: impl Fn(&T) -> io::Result<SocketAddr>,
) -> ([u16; FRONTS], Vec<T>, Poll) {
    let mut doors = Vec::new();
    let ports = [(); FRONTS].map(|()| {
        loop {
            let [first, others @ ..] = HOSTS;
            let first = bind((first, 0).into()).expect("a port");
            let port = addr_of(&first).expect("it is bound").port();
            let others = others.into_iter().map(|host| bind((host, port).into()));
            // Taken at one of them: another port.
            if let Ok(others) = others.collect::<io::Result<Vec<T>>>() {
                doors.push(first);
                doors.extend(others);
                return port;
            }
        }
    });
    let poll = Poll::new().expect("an epoll descriptor");
    for (index, door) in doors.iter_mut().enumerate() {
        poll.registry()
            .register(door, Token(index), Interest::READABLE)
            .expect("it can be waited for");
    }
    (ports, doors, poll)
}
