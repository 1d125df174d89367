//! The embedded LwM2M server on ordinary sockets: it listens on several
//! addresses, can die and come back, and counts every byte.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use coap_lite::{CoapOption, Packet, RequestType, ResponseType};

use crate::message;
use crate::report::{OrFail, Stop};

/// How long the demo waits for something that must have happened already.
const LIMIT: Duration = Duration::from_secs(2);

/// Where the firmware is: 96 blocks of 1024 bytes and a last one that is not
/// full.
pub const FIRMWARE_PATH: &str = "/fw";
const FIRMWARE_SIZE: usize = 96 * 1024 + 321;
const BLOCK_SIZE: usize = 1024;

/// What the server saw.
#[derive(Debug)]
pub struct Event {
    /// The server's address.
    pub at: SocketAddr,
    /// The client's.
    pub from: SocketAddr,
    pub what: What,
}

/// What it was about.
#[derive(Debug, PartialEq, Eq)]
pub enum What {
    /// A registration that was made.
    Registered,
    /// An update of one that was found.
    Updated,
    /// No request: the answer to one of the server's own.
    Answered(Vec<u8>),
}

/// The server: one socket and thread for each address.
pub struct Server {
    /// The addresses it listens on, all with the same port.
    pub addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    sockets: Vec<Arc<UdpSocket>>,
    threads: Vec<JoinHandle<()>>,
    events: Receiver<Event>,
    tell: Sender<Event>,
}

struct Shared {
    registrations: Mutex<Registrations>,
    firmware: Vec<u8>,
    received: AtomicU64,
    sent: AtomicU64,
    is_stopping: AtomicBool,
}

#[derive(Default)]
struct Registrations {
    known: HashSet<String>,
    count: u32,
}

impl Server {
    /// Starts on one port of all these addresses.
    pub fn start(addresses: &[Ipv4Addr]) -> io::Result<Server> {
        let (tell, events) = channel();
        let first = UdpSocket::bind((addresses[0], 0))?.local_addr()?;
        let mut server = Server {
            addresses: addresses
                .iter()
                .map(|&ip| (ip, first.port()).into())
                .collect(),
            shared: Arc::new(Shared {
                registrations: Mutex::default(),
                firmware: message::content(FIRMWARE_SIZE),
                received: AtomicU64::new(0),
                sent: AtomicU64::new(0),
                is_stopping: AtomicBool::new(false),
            }),
            sockets: Vec::new(),
            threads: Vec::new(),
            events,
            tell,
        };
        server.revive()?;
        Ok(server)
    }

    /// Payload bytes of all datagrams received and sent, over all deaths.
    pub fn traffic(&self) -> (u64, u64) {
        let Shared { received, sent, .. } = &*self.shared;
        (received.load(SeqCst), sent.load(SeqCst))
    }

    /// Sends a datagram to a client from the address with that text.
    pub fn send(&self, at: &str, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let index = self
            .addresses
            .iter()
            .position(|it| it.ip().to_string() == at);
        let index = index.ok_or(io::ErrorKind::AddrNotAvailable)?;
        self.shared.send(&self.sockets[index], to, bytes)
    }

    /// Waits for an event that `pick` takes; others are dropped.
    pub fn wait<T>(&self, what: &str, pick: impl Fn(Event) -> Option<T>) -> Result<T, Stop> {
        loop {
            let event = self.events.recv_timeout(LIMIT);
            let event = event.or_fail(&format!("the server sees {what}"))?;
            if let Some(found) = pick(event) {
                return Ok(found);
            }
        }
    }

    /// Dies: closes every socket and forgets every registration.
    pub fn kill(&mut self) -> io::Result<()> {
        self.shared.is_stopping.store(true, SeqCst);
        let waker = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        for (thread, address) in self.threads.drain(..).zip(&self.addresses) {
            // A thread that was told to stop counts nothing any more.
            waker.send_to(&[], address)?;
            let _ = thread.join();
        }
        self.sockets.clear();
        self.shared.is_stopping.store(false, SeqCst);
        self.shared.registrations().known.clear();
        Ok(())
    }

    /// Comes back on the same addresses and port.
    pub fn revive(&mut self) -> io::Result<()> {
        for &address in &self.addresses {
            let socket = Arc::new(UdpSocket::bind(address)?);
            self.sockets.push(Arc::clone(&socket));
            let (shared, tell) = (Arc::clone(&self.shared), self.tell.clone());
            self.threads
                .push(thread::spawn(move || shared.serve(&socket, &tell)));
        }
        Ok(())
    }
}

impl Shared {
    fn registrations(&self) -> std::sync::MutexGuard<'_, Registrations> {
        let lock = self.registrations.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts before it sends: the client may compare as soon as it is sent.
    fn send(&self, socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        self.sent.fetch_add(bytes.len() as u64, SeqCst);
        socket.send_to(bytes, to).map(drop)
    }

    fn serve(&self, socket: &UdpSocket, tell: &Sender<Event>) {
        let Ok(at) = socket.local_addr() else { return };
        let mut buffer = [0; message::MAX_DATAGRAM];
        loop {
            let received = socket.recv_from(&mut buffer);
            if self.is_stopping.load(SeqCst) {
                return;
            }
            // An error is an ICMP message about a client that went away.
            let Ok((length, from)) = received else {
                continue;
            };
            self.received.fetch_add(length as u64, SeqCst);
            let Ok(request) = Packet::from_bytes(&buffer[..length]) else {
                continue;
            };
            let (reply, what) = self.handle(&request, &buffer[..length]);
            if let Some(bytes) = reply.and_then(|reply| reply.to_bytes().ok()) {
                let _ = self.send(socket, from, &bytes);
            }
            // After the reply: the demo relies on it being sent.
            if let Some(what) = what {
                let _ = tell.send(Event { at, from, what });
            }
        }
    }

    /// The reply to a message, and what to tell the demo.
    fn handle(&self, request: &Packet, bytes: &[u8]) -> (Option<Packet>, Option<What>) {
        let path = message::path(request, CoapOption::UriPath);
        let status = |code| message::reply(request, code, Vec::new());
        let mut registrations = self.registrations();
        match (message::method(request), path.as_str()) {
            (None, _) => (None, Some(What::Answered(bytes.to_vec()))),
            (Some(RequestType::Post), "/rd") if request.payload.is_empty() => {
                (status(ResponseType::BadRequest), None)
            }
            (Some(RequestType::Post), "/rd") => {
                registrations.count += 1;
                let id = registrations.count.to_string();
                registrations.known.insert(format!("/rd/{id}"));
                let mut reply = status(ResponseType::Created);
                if let Some(reply) = &mut reply {
                    for segment in ["rd", &id] {
                        reply.add_option(CoapOption::LocationPath, segment.into());
                    }
                }
                (reply, Some(What::Registered))
            }
            (Some(RequestType::Post), location) if registrations.known.contains(location) => {
                (status(ResponseType::Changed), Some(What::Updated))
            }
            (Some(RequestType::Delete), location) if registrations.known.remove(location) => {
                (status(ResponseType::Deleted), None)
            }
            (Some(RequestType::Get), "/.well-known/core") => {
                let links = b"</rd>;rt=core.rd,</fw>".to_vec();
                (message::reply(request, ResponseType::Content, links), None)
            }
            (Some(RequestType::Get), FIRMWARE_PATH) => (self.firmware_block(request), None),
            _ => (status(ResponseType::NotFound), None),
        }
    }

    fn firmware_block(&self, request: &Packet) -> Option<Packet> {
        let (number, size) = message::block2(request).map_or((0, BLOCK_SIZE), |block| {
            (block.num.into(), block.size().min(BLOCK_SIZE))
        });
        let rest = self.firmware.get(number * size..).unwrap_or_default();
        if rest.is_empty() {
            return message::reply(request, ResponseType::BadOption, Vec::new());
        }
        let block = rest[..rest.len().min(size)].to_vec();
        let mut reply = message::reply(request, ResponseType::Content, block)?;
        message::set_block2(&mut reply, number, rest.len() > size, size);
        Some(reply)
    }
}
