//! Who is told of what passes through sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use anjay_net_socket::{Kind, Socket};
use parking_lot::RwLock;

/// Which way data went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the peer.
    Sent,
    /// From the peer.
    Received,
}

/// A datagram, or a piece of a stream, that passed through a socket.
#[derive(Clone, Copy, Debug)]
pub struct Transfer<'a> {
    /// When.
    pub at: SystemTime,
    /// [`Socket::id`].
    pub socket: u32,
    /// The transport.
    pub kind: Kind,
    /// Which way.
    pub direction: Direction,
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// What it was; nothing received on a stream is its end.
    pub payload: &'a [u8],
    /// The datagram was longer than the caller's buffer.
    pub truncated: bool,
}

/// What became of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It has a local address.
    Bound,
    /// It has a peer.
    Connected,
    /// A peer came to it.
    Accepted,
    /// Both directions ended.
    Shut,
    /// It gave its descriptor back.
    Closed,
    /// A bind failed.
    BindFailed,
    /// A connect failed.
    ConnectFailed,
    /// An accept failed.
    AcceptFailed,
    /// A send failed.
    SendFailed,
    /// A receive failed.
    ReceiveFailed,
}

impl What {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            What::Bound => "bound",
            What::Connected => "connected",
            What::Accepted => "accepted",
            What::Shut => "shut down",
            What::Closed => "closed",
            What::BindFailed => "bind failed",
            What::ConnectFailed => "connect failed",
            What::AcceptFailed => "accept failed",
            What::SendFailed => "send failed",
            What::ReceiveFailed => "receive failed",
        }
    }
}

/// A change of a socket's state, or a failure.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// When.
    pub at: SystemTime,
    /// [`Socket::id`].
    pub socket: u32,
    /// The transport.
    pub kind: Kind,
    /// What.
    pub what: What,
    /// This end, if it is known.
    pub local: Option<SocketAddr>,
    /// The other end, if it is known.
    pub remote: Option<SocketAddr>,
    /// Host and port that a connect was asked for.
    pub asked: Option<&'a str>,
    /// Why it failed, if it did.
    pub error: Option<&'a io::Error>,
}

/// Somebody who is told, on the thread that makes the call: it must be quick,
/// and must not use the socket.
pub trait Observer: Send + Sync {
    /// Data passed.
    fn transfer(&self, transfer: &Transfer<'_>);
    /// A state changed, or something failed.
    fn change(&self, change: &Change<'_>);
}

struct Registry {
    observers: Vec<Arc<dyn Observer>>,
    /// Told when there begin and cease to be observers.
    switch: fn(bool),
}

static REGISTRY: RwLock<Registry> = RwLock::new(Registry {
    observers: Vec::new(),
    switch: |_| {},
});

/// Adds an observer. `switch` is told now, and again when the last one is
/// gone, whether there are any: how who makes the calls knows when to report.
pub fn add(observer: Arc<dyn Observer>, switch: fn(bool)) {
    let mut registry = REGISTRY.write();
    registry.observers.push(observer);
    registry.switch = switch;
    switch(true);
}

/// Removes an observer. After this it is told nothing any more.
pub fn remove<T: Observer>(observer: &Arc<T>) {
    let mut registry = REGISTRY.write();
    let address = Arc::as_ptr(observer).addr();
    registry
        .observers
        .retain(|other| Arc::as_ptr(other).addr() != address);
    if registry.observers.is_empty() {
        (registry.switch)(false);
    }
}

/// Whether anybody is told.
pub fn any() -> bool {
    !REGISTRY.read().observers.is_empty()
}

fn tell(report: impl Fn(&dyn Observer)) {
    // Recursive: an observer that logs may have a log handler that sends.
    for observer in &REGISTRY.read_recursive().observers {
        report(&**observer);
    }
}

/// IPv4 as such, not mapped.
fn plain(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, addr.port())),
        IpAddr::V6(_) => addr,
    }
}

/// Reports a send that began at `at`. `to` is the receiver where it is not the
/// connected peer.
pub fn sent(socket: &Socket, at: SystemTime, to: Option<SocketAddr>, payload: &[u8]) {
    let remote = to.map_or_else(|| socket.remote_addr(), Ok);
    if let (Ok(local), Ok(remote)) = (socket.local_addr(), remote) {
        tell(|observer| {
            observer.transfer(&Transfer {
                at,
                socket: socket.id(),
                kind: socket.kind(),
                direction: Direction::Sent,
                local,
                remote: plain(remote),
                payload,
                truncated: false,
            });
        });
    }
}

/// Reports a receive.
pub fn received(socket: &Socket, from: SocketAddr, payload: &[u8], truncated: bool) {
    let at = SystemTime::now();
    if let Ok(local) = socket.local_addr() {
        tell(|observer| {
            observer.transfer(&Transfer {
                at,
                socket: socket.id(),
                kind: socket.kind(),
                direction: Direction::Received,
                local,
                remote: plain(from),
                payload,
                truncated,
            });
        });
    }
}

/// Both ends of a socket, as far as they are known; for
/// [`What::Closed`] they must be asked for before.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    asked: Option<String>,
}

impl Ends {
    /// Those of a socket.
    pub fn of(socket: &Socket) -> Ends {
        Ends {
            local: socket.local_addr().ok(),
            remote: socket.remote_addr().ok(),
            asked: None,
        }
    }

    /// These, and what a connect was asked for.
    #[must_use]
    pub fn asked(mut self, host: &[u8], port: &[u8]) -> Ends {
        self.asked = Some(format!("{}:{}", host.escape_ascii(), port.escape_ascii()));
        self
    }

    /// None at all: the socket is closed.
    pub fn are_unknown(&self) -> bool {
        self.local.is_none() && self.remote.is_none()
    }
}

/// Reports a change or a failure.
pub fn changed(socket: &Socket, what: What, ends: &Ends, error: Option<&io::Error>) {
    let at = SystemTime::now();
    tell(|observer| {
        observer.change(&Change {
            at,
            socket: socket.id(),
            kind: socket.kind(),
            what,
            local: ends.local,
            remote: ends.remote,
            asked: ends.asked.as_deref(),
            error,
        });
    });
}
