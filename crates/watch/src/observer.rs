//! Reports of what passes through sockets, and the observers that receive them.

use core::ptr;
use std::net::SocketAddr;
use std::time::SystemTime;

use anjay_net_socket::locks::Shared;
use anjay_net_socket::logging::Escaped;
use anjay_net_socket::{Errno, Kind, Received, Result, Socket, Text};

use crate::report::{self, EventKind, Reporter};

/// The direction of a transfer.
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
    /// When it was passed to the kernel, or was received from it.
    pub at: SystemTime,
    /// [`Socket::id`].
    pub socket: u32,
    /// UDP or TCP.
    pub transport: Kind,
    /// Sent or received.
    pub direction: Direction,
    /// The address of the socket.
    pub local: SocketAddr,
    /// The address of the peer.
    pub remote: SocketAddr,
    /// The payload. Nothing received on a stream is the end of the stream.
    pub payload: &'a [u8],
    /// The datagram was longer than the caller's buffer.
    pub truncated: bool,
}

/// A change of a socket's state, or a call that failed.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// When.
    pub at: SystemTime,
    /// [`Socket::id`].
    pub socket: u32,
    /// UDP or TCP.
    pub transport: Kind,
    /// What happened.
    pub kind: EventKind,
    /// The addresses of both ends, as far as they are known.
    pub addresses: &'a AddressPair,
    /// Why the call failed, if it did.
    pub error: Option<Errno>,
}

impl Event<'_> {
    /// What happened, in words.
    #[must_use]
    pub fn text(&self) -> &'static str {
        let (done, failed) = match self.kind {
            EventKind::Bound => ("bound", "bind failed"),
            EventKind::Connected => ("connected", "connect failed"),
            EventKind::Accepted => ("accepted", "accept failed"),
            EventKind::ShutDown => ("shut down", "shutdown failed"),
            EventKind::Closed => ("closed", "close failed"),
            EventKind::Sent => ("sent", "send failed"),
            EventKind::Received => ("received", "receive failed"),
        };
        if self.error.is_some() { failed } else { done }
    }
}

/// Receives reports, on the thread that made the call: it must be quick, and
/// must not use the socket.
pub trait Observer: Send + Sync {
    /// Data was sent or received.
    fn transfer(&self, transfer: &Transfer<'_>);
    /// A state changed, or a call failed.
    fn event(&self, event: &Event<'_>);
}

/// Most observers at once; the library itself has two.
const OBSERVERS_MAX: usize = 8;

static OBSERVERS: Shared<[Option<&'static dyn Observer>; OBSERVERS_MAX]> =
    Shared::new([None; OBSERVERS_MAX]);

/// Adds an observer.
///
/// # Errors
/// `ENOBUFS` when there are eight already; `ENOTSUP` with the feature
/// `without-observers`.
pub fn add(observer: &'static dyn Observer) -> Result<()> {
    if !report::ARE_SUPPORTED {
        return Err(Errno(libc::ENOTSUP));
    }
    let mut is_full = false;
    OBSERVERS.replace(|mut observers| {
        match observers.iter_mut().find(|room| room.is_none()) {
            Some(room) => *room = Some(observer),
            None => is_full = true,
        }
        observers
    });
    if is_full {
        return Err(Errno(libc::ENOBUFS));
    }
    report::begin(&ToObservers);
    Ok(())
}

/// Removes an observer. It receives nothing after this has returned.
pub fn remove(observer: &'static dyn Observer) {
    OBSERVERS.replace(|observers| {
        let left = observers.map(|one| one.filter(|other| !ptr::addr_eq(*other, observer)));
        if left.iter().all(Option::is_none) {
            report::end();
        }
        left
    });
}

fn tell_all(to: impl Fn(&dyn Observer)) {
    // The log handler that an observer's line reaches may send.
    OBSERVERS.with(|observers| observers.into_iter().flatten().for_each(&to));
}

/// Reports a send that began at `at`. `to` is the receiver if it is not the
/// connected peer.
#[cold]
pub fn sent(socket: &Socket, at: SystemTime, to: Option<SocketAddr>, payload: &[u8]) {
    let remote = to.map_or_else(|| socket.remote_addr(), Ok);
    if let (Ok(local), Ok(remote)) = (socket.local_addr(), remote) {
        transferred(Transfer {
            at,
            socket: socket.id(),
            transport: socket.kind(),
            direction: Direction::Sent,
            local,
            remote,
            payload,
            truncated: false,
        });
    }
}

/// Reports a receive.
#[cold]
pub fn received(socket: &Socket, from: SocketAddr, payload: &[u8], truncated: bool) {
    let at = SystemTime::now();
    if let Ok(local) = socket.local_addr() {
        transferred(Transfer {
            at,
            socket: socket.id(),
            transport: socket.kind(),
            direction: Direction::Received,
            local,
            remote: from,
            payload,
            truncated,
        });
    }
}

fn transferred(mut transfer: Transfer<'_>) {
    // A v4-mapped peer as the IPv4 address that packets have.
    transfer.remote.set_ip(transfer.remote.ip().to_canonical());
    tell_all(|observer| observer.transfer(&transfer));
}

/// Room for a host name, a port and some escaped bytes.
const TARGET_MAX: usize = 300;

/// The addresses of both ends of a socket, as far as they are known.
#[derive(Clone, Debug, Default)]
pub struct AddressPair {
    /// The address of the socket.
    pub local: Option<SocketAddr>,
    /// The address of the peer.
    pub remote: Option<SocketAddr>,
    /// Host and port that the caller passed to connect, which may be of any
    /// length: cut.
    pub target: Option<Text<TARGET_MAX>>,
}

impl AddressPair {
    /// The current addresses of a socket. For [`EventKind::Closed`] they must be
    /// read before the socket is closed.
    pub fn of(socket: &Socket) -> AddressPair {
        AddressPair {
            local: socket.local_addr().ok(),
            remote: socket.remote_addr().ok(),
            target: None,
        }
    }
}

/// Reports an event of a socket, with the error of the call if it failed.
#[cold]
pub fn changed(socket: &Socket, kind: EventKind, addresses: &AddressPair, error: Option<Errno>) {
    let event = Event {
        at: SystemTime::now(),
        socket: socket.id(),
        transport: socket.kind(),
        kind,
        addresses,
        error,
    };
    tell_all(|observer| observer.event(&event));
}

/// Makes the reports of calls.
struct ToObservers;

impl Reporter for ToObservers {
    fn changed(&self, socket: &Socket, kind: EventKind, outcome: Result<()>) {
        // A call that only waited in vain.
        if outcome != Err(Errno(libc::ETIMEDOUT)) {
            changed(socket, kind, &AddressPair::of(socket), outcome.err());
        }
    }

    fn connected(&self, socket: &Socket, host: &[u8], port: &[u8], outcome: Result<()>) {
        let mut addresses = AddressPair::of(socket);
        let (host, port) = (Escaped(host), Escaped(port));
        addresses.target = Some(Text::of(format_args!("{host}:{port}")));
        changed(socket, EventKind::Connected, &addresses, outcome.err());
    }

    fn close(&self, socket: &Socket, close: &mut dyn FnMut()) {
        let addresses = AddressPair::of(socket);
        close();
        // As is so for one that was open.
        if addresses.local.is_some() || addresses.remote.is_some() {
            changed(socket, EventKind::Closed, &addresses, None);
        }
    }

    fn send(
        &self,
        socket: &Socket,
        buf: &[u8],
        send: &mut dyn FnMut() -> Result<Option<SocketAddr>>,
    ) -> Result<()> {
        let at = SystemTime::now();
        let before = socket.bytes_sent();
        let outcome = send();
        match &outcome {
            Ok(to) => sent(socket, at, *to, buf),
            Err(error) => {
                // What a stream took before it broke.
                let took = usize::try_from(socket.bytes_sent() - before).unwrap_or(0);
                if took > 0 {
                    sent(socket, at, None, &buf[..took.min(buf.len())]);
                }
                self.changed(socket, EventKind::Sent, Err(*error));
            }
        }
        outcome.map(drop)
    }

    fn received(&self, socket: &Socket, payload: &[u8], outcome: &Result<(Received, SocketAddr)>) {
        match outcome {
            Ok((datagram, from)) => {
                received(socket, *from, payload, datagram.truncated);
            }
            Err(error) => self.changed(socket, EventKind::Received, Err(*error)),
        }
    }
}
