//! What the methods share: calls are counted, panics end here, and observers are
//! told of what a call did.
//!
//! Whether anything observes is one load; the call itself is the same then.

use core::mem::MaybeUninit;
use core::slice;
use std::net::SocketAddr;

use anjay_net_socket::{Kind, Received, Result, Socket};
use anjay_net_watch::report::{EventKind, changed, reporter};

use crate::abi::Error;
use crate::object::Object;
use crate::panic::{ReturnValue, catch_with, not_null};

/// Runs the body of a method: NULL when `object` is none of ours; after a panic
/// the socket is closed.
#[inline(always)]
pub(crate) fn method<R: ReturnValue>(
    object: Option<&Object>,
    body: impl FnOnce(&Object) -> R,
) -> R {
    let object = not_null!(object);
    let _call = object.calls.enter();
    catch_with(|| body(object), || object.close())
}

/// As [`method`], for all but transfers, which need not be fast: one copy for all of
/// them.
pub(crate) fn rare_method(
    object: Option<&Object>,
    body: &mut dyn FnMut(&Object) -> Result<(), Error>,
) -> Error {
    method(object, body).into()
}

/// Connects, and stores the endpoint that was reached.
pub(crate) fn connect(object: &Object, host: &[u8], port: &[u8]) -> Result<()> {
    let socket = object.socket();
    let reached = socket.connect(host, port, object.preferred_endpoint.get());
    if let Ok(addr) = &reached {
        object.preferred_endpoint.set(Some(addr));
    }
    let outcome = reached.map(drop);
    if let Some(reporter) = reporter() {
        reporter.connected(socket, host, port, outcome);
    }
    outcome
}

#[inline(always)]
pub(crate) fn send(socket: &Socket, buf: &[u8]) -> Result<()> {
    if let Some(reporter) = reporter() {
        return reporter.send(socket, buf, &mut || socket.send(buf).map(|()| None));
    }
    socket.send(buf)
}

#[inline]
pub(crate) fn send_to(socket: &Socket, buf: &[u8], host: &[u8], port: &[u8]) -> Result<()> {
    if let Some(reporter) = reporter() {
        return reporter.send(socket, buf, &mut || {
            socket.send_to(buf, host, port).map(Some)
        });
    }
    socket.send_to(buf, host, port).map(drop)
}

#[inline(always)]
pub(crate) fn receive(socket: &Socket, buf: &mut [MaybeUninit<u8>]) -> Result<Received> {
    if reporter().is_some() {
        return receive_from(socket, buf).map(|(received, _from)| received);
    }
    socket.receive_uninit(buf)
}

#[inline]
pub(crate) fn receive_from(
    socket: &Socket,
    buf: &mut [MaybeUninit<u8>],
) -> Result<(Received, SocketAddr)> {
    let received = socket.receive_from_uninit(buf);
    if let Some(reporter) = reporter() {
        let len = received.map_or(0, |(received, _from)| received.len);
        // SAFETY: the kernel wrote that many bytes of the buffer.
        let payload = unsafe { slice::from_raw_parts(buf.as_ptr().cast::<u8>(), len) };
        // Nothing in an empty buffer is not the end of a stream.
        if received.is_err() || !buf.is_empty() || socket.kind() == Kind::Udp {
            reporter.received(socket, payload, &received);
        }
    }
    received
}

pub(crate) fn bind(socket: &Socket, address: &[u8], port: &[u8]) -> Result<()> {
    changed(socket, EventKind::Bound, socket.bind(address, port))
}

/// Fills `new` with a peer of the listening socket, or of the bound datagram
/// socket.
pub(crate) fn accept(socket: &Socket, new: &Socket) -> Result<()> {
    let accepted = socket.accept(new);
    let socket = if accepted.is_ok() { new } else { socket };
    changed(socket, EventKind::Accepted, accepted)
}

pub(crate) fn close(object: &Object) {
    match reporter() {
        Some(reporter) => reporter.close(object.socket(), &mut || object.close()),
        None => object.close(),
    }
}

pub(crate) fn shutdown(socket: &Socket) -> Result<()> {
    changed(socket, EventKind::ShutDown, socket.shutdown())
}
