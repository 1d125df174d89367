//! The relay and the echo peers behind it, which are not the library's.

pub(crate) mod tcp;
pub(crate) mod udp;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};

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

/// The addresses of each port; the IPv4 ones have a name, too.
const HOSTS: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3)),
];

/// Sockets of all ports and addresses.
pub(crate) const DOORS: usize = FRONTS * HOSTS.len();

/// So many bytes at the start of what a client sends are its number.
pub(crate) const NUMBER: usize = 4;

/// The client's number.
pub(crate) fn number_of(data: &[u8]) -> Option<usize> {
    let (number, _) = data.split_first_chunk::<NUMBER>()?;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}

/// Binds all addresses of a port that is free at each of them.
fn bind_all<T>(
    bind: impl Fn(SocketAddr) -> io::Result<T>,
    port_of: impl Fn(&T) -> u16,
) -> (u16, Vec<T>) {
    loop {
        let [first, others @ ..] = HOSTS;
        let first = bind((first, 0).into()).expect("a port");
        let port = port_of(&first);
        let others = others.into_iter().map(|host| bind((host, port).into()));
        // Taken at one of them: another port.
        if let Ok(mut all) = others.collect::<io::Result<Vec<T>>>() {
            all.push(first);
            return (port, all);
        }
    }
}
