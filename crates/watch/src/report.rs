//! What calls of C did, as reports to the observers.
//!
//! Callers find a [`Reporter`] only when there is an observer, so a program that never
//! adds one is not linked with what makes reports.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anjay_net_socket::{Received, Result, Socket};

/// What happened to a socket, or, in an event with an error, did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It has a local address.
    Bound,
    /// It has a peer.
    Connected,
    /// It was made for a peer that a server accepted.
    Accepted,
    /// Both directions were shut down.
    ShutDown,
    /// It was closed.
    Closed,
    /// It sent. Only failures are events; see [`Transfer`](crate::observer::Transfer).
    Sent,
    /// It received, as [`Sent`](Self::Sent).
    Received,
}

/// Reports one call.
pub trait Reporter: Sync {
    /// A change of state, or why there was none.
    fn changed(&self, socket: &Socket, kind: EventKind, outcome: Result<()>);

    /// A connect that ended.
    fn connected(&self, socket: &Socket, host: &[u8], port: &[u8], outcome: Result<()>);

    /// Closes, and reports it unless the socket was closed already.
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

/// Whether there is an observer. Relaxed, as the list itself has a lock.
static ACTIVE: AtomicBool = AtomicBool::new(false);

/// Whether there can be observers: not with the feature `without-observers`.
pub const ARE_SUPPORTED: bool = cfg!(not(feature = "without-observers"));

/// Who makes reports, while there is an observer: at the cost of one load where there is
/// none.
#[inline]
pub fn reporter() -> Option<&'static dyn Reporter> {
    if ARE_SUPPORTED && ACTIVE.load(Relaxed) {
        return REPORTER.get().copied();
    }
    None
}

/// Reports a change of state where there is an observer, and returns its outcome.
///
/// # Errors
/// That of the outcome.
pub fn changed(socket: &Socket, kind: EventKind, outcome: Result<()>) -> Result<()> {
    if let Some(reporter) = reporter() {
        reporter.changed(socket, kind, outcome);
    }
    outcome
}

/// Has callers find the reporter.
pub(crate) fn begin(reporter: &'static dyn Reporter) {
    REPORTER.get_or_init(|| reporter);
    ACTIVE.store(true, Relaxed);
}

/// Has them find none.
pub(crate) fn end() {
    ACTIVE.store(false, Relaxed);
}
