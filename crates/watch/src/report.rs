//! What calls of C did, as reports to the observers.
//!
//! Callers find a [`Reporter`] only when there is an observer, so a program that never
//! adds one is not linked with what makes reports.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::SystemTime;

use anjay_net_socket::{Errno, Received, Result, Socket};

use crate::observer::{self, AddressPair, EventKind};

/// Reports one call.
pub trait Reporter: Sync {
    /// A change of state, or, with an error, that it failed.
    fn changed(&self, socket: &Socket, kind: EventKind, error: Option<Errno>);

    /// A connect that ended.
    fn connected(&self, socket: &Socket, host: &[u8], port: &[u8], error: Option<Errno>);

    /// Closes, and reports it unless the socket was closed.
    fn close(&self, socket: &Socket, close: &mut dyn FnMut());

    /// Sends, and reports it. `send` returns the receiver where it may be another one
    /// than the connected peer.
    ///
    /// # Errors
    /// Those of `send`.
    fn send(
        &self,
        socket: &Socket,
        buf: &[u8],
        send: &mut dyn FnMut() -> Result<Option<SocketAddr>>,
    ) -> Result<()>;

    /// A receive, with the bytes that came.
    fn received(&self, socket: &Socket, payload: &[u8], received: &Result<(Received, SocketAddr)>);
}

static REPORTER: OnceLock<&'static dyn Reporter> = OnceLock::new();

/// Who makes reports, while there is an observer.
#[inline]
pub fn reporter() -> Option<&'static dyn Reporter> {
    if !observer::is_active() {
        return None;
    }
    REPORTER.get().copied()
}

/// Has callers find it.
pub(crate) fn link() {
    REPORTER.get_or_init(|| &ToObservers);
}

struct ToObservers;

impl Reporter for ToObservers {
    fn changed(&self, socket: &Socket, kind: EventKind, error: Option<Errno>) {
        // A call that only waited in vain.
        if error != Some(Errno(libc::ETIMEDOUT)) {
            observer::changed(socket, kind, &AddressPair::of(socket), error);
        }
    }

    fn connected(&self, socket: &Socket, host: &[u8], port: &[u8], error: Option<Errno>) {
        let kind = match error {
            None => EventKind::Connected,
            Some(_) => EventKind::ConnectFailed,
        };
        let addresses = AddressPair::of(socket).with_target(host, port);
        observer::changed(socket, kind, &addresses, error);
    }

    fn close(&self, socket: &Socket, close: &mut dyn FnMut()) {
        let addresses = AddressPair::of(socket);
        close();
        if !addresses.is_empty() {
            observer::changed(socket, EventKind::Closed, &addresses, None);
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
        let sent = send();
        match &sent {
            Ok(to) => observer::sent(socket, at, *to, buf),
            Err(error) => {
                // What a stream took before it broke.
                let took = usize::try_from(socket.bytes_sent() - before).unwrap_or(0);
                if took > 0 {
                    observer::sent(socket, at, None, &buf[..took.min(buf.len())]);
                }
                self.changed(socket, EventKind::SendFailed, Some(*error));
            }
        }
        sent.map(drop)
    }

    fn received(&self, socket: &Socket, payload: &[u8], received: &Result<(Received, SocketAddr)>) {
        match received {
            Ok((received, from)) => {
                observer::received(socket, *from, payload, received.truncated);
            }
            Err(error) => self.changed(socket, EventKind::ReceiveFailed, Some(*error)),
        }
    }
}
