//! The embedded LwM2M server on ordinary sockets: it listens on several
//! addresses, can die and come back, and counts every byte.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::coap;
use crate::lwm2m::{Event, Lwm2m};
use crate::outcome::Failure;

/// How long the demo waits for something that must have happened already.
const PATIENCE: Duration = Duration::from_secs(2);
/// Tries to find a port that is free on every address.
const PORT_TRIES: usize = 32;

/// The server: one socket and thread for each address.
pub struct Server {
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    listeners: Vec<Listener>,
    events: Receiver<Event>,
    /// Kept for the threads of the next life.
    sender: Sender<Event>,
}

struct Listener {
    socket: Arc<UdpSocket>,
    thread: JoinHandle<()>,
}

struct Shared {
    lwm2m: Mutex<Lwm2m>,
    received: AtomicU64,
    sent: AtomicU64,
    stopping: AtomicBool,
}

impl Server {
    /// Starts on one port of all these addresses.
    pub fn start(addresses: &[Ipv4Addr]) -> io::Result<Self> {
        let (sender, events) = channel();
        let shared = Arc::new(Shared {
            lwm2m: Mutex::new(Lwm2m::new()),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        });
        let sockets = bind_one_port(addresses)?;
        let addresses = sockets
            .iter()
            .map(UdpSocket::local_addr)
            .collect::<io::Result<_>>()?;
        let mut server = Self {
            addresses,
            shared,
            listeners: Vec::new(),
            events,
            sender,
        };
        sockets.into_iter().for_each(|socket| server.listen(socket));
        Ok(server)
    }

    /// The addresses it listens on, all with the same port.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// SHA-256 of the firmware.
    pub fn firmware_checksum(&self) -> String {
        self.shared.lwm2m().firmware_checksum().to_owned()
    }

    /// Payload bytes of all datagrams received, over all deaths.
    pub fn received(&self) -> u64 {
        self.shared.received.load(Ordering::SeqCst)
    }

    /// Payload bytes of all datagrams sent.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// Sends a datagram to a client from one of the addresses.
    pub fn send(&self, at: SocketAddr, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let listener = self
            .listeners
            .iter()
            .find(|listener| {
                listener
                    .socket
                    .local_addr()
                    .is_ok_and(|address| address == at)
            })
            .ok_or(io::ErrorKind::AddrNotAvailable)?;
        self.shared.send(&listener.socket, to, bytes)
    }

    /// Waits for an event that `pick` takes; others are dropped.
    pub fn wait<T>(
        &self,
        what: &str,
        mut pick: impl FnMut(Event) -> Option<T>,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left).map_err(|_| {
                Failure::new(
                    format!("the server sees {what}"),
                    format!("nothing in {PATIENCE:?}"),
                )
            })?;
            if let Some(found) = pick(event) {
                return Ok(found);
            }
        }
    }

    /// Dies: closes every socket and forgets every registration.
    pub fn kill(&mut self) -> io::Result<()> {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let waker = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        for (listener, address) in self.listeners.drain(..).zip(&self.addresses) {
            // A thread that was told to stop counts nothing any more.
            waker.send_to(&[], address)?;
            let _ = listener.thread.join();
        }
        self.shared.stopping.store(false, Ordering::SeqCst);
        self.shared.lwm2m().forget();
        Ok(())
    }

    /// Comes back on the same addresses and port.
    pub fn revive(&mut self) -> io::Result<()> {
        for address in self.addresses.clone() {
            self.listen(UdpSocket::bind(address)?);
        }
        Ok(())
    }

    fn listen(&mut self, socket: UdpSocket) {
        let socket = Arc::new(socket);
        let (thread_socket, shared) = (Arc::clone(&socket), Arc::clone(&self.shared));
        let events = self.sender.clone();
        let thread = thread::spawn(move || serve(&thread_socket, &shared, &events));
        self.listeners.push(Listener { socket, thread });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process ends anyway if a thread can't be woken.
        let _ = self.kill();
    }
}

impl Shared {
    fn lwm2m(&self) -> MutexGuard<'_, Lwm2m> {
        self.lwm2m.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts before it sends: the client may compare as soon as it is sent.
    fn send(&self, socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        self.sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        socket.send_to(bytes, to).map(drop).inspect_err(|_| {
            self.sent.fetch_sub(bytes.len() as u64, Ordering::SeqCst);
        })
    }
}

fn serve(socket: &UdpSocket, shared: &Shared, events: &Sender<Event>) {
    let Ok(at) = socket.local_addr() else { return };
    let mut buffer = [0; coap::MAX_DATAGRAM];
    loop {
        let received = socket.recv_from(&mut buffer);
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        // An error is an ICMP message about a client that went away.
        let Ok((length, from)) = received else {
            continue;
        };
        shared.received.fetch_add(length as u64, Ordering::SeqCst);
        let reaction = shared.lwm2m().handle(at, from, &buffer[..length]);
        if let Some(bytes) = reaction.reply.and_then(|reply| reply.to_bytes().ok()) {
            let _ = shared.send(socket, from, &bytes);
        }
        // After the reply: who waits for the event may rely on it being sent.
        if let Some(event) = reaction.event {
            let _ = events.send(event);
        }
    }
}

/// A socket on each address, all with one port that the system picked.
pub fn bind_one_port(addresses: &[Ipv4Addr]) -> io::Result<Vec<UdpSocket>> {
    let (first, others) = addresses.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut outcome = Err(io::ErrorKind::AddrInUse.into());
    for _ in 0..PORT_TRIES {
        let socket = UdpSocket::bind((*first, 0))?;
        let port = socket.local_addr()?.port();
        let rest: io::Result<Vec<_>> = others
            .iter()
            .map(|address| UdpSocket::bind((*address, port)))
            .collect();
        outcome = rest.map(|mut sockets| {
            sockets.insert(0, socket);
            sockets
        });
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}
