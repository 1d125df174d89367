//! What the methods share: calls are counted, panics end here, and observers are
//! told of what a call did.
//!
//! Whether anything observes is one load; the call itself is the same then.

use core::mem::MaybeUninit;
use core::slice;
use std::net::SocketAddr;
use std::time::SystemTime;

use anjay_net_socket::{Errno, Kind, Received, Result, Socket};
use anjay_net_watch::observer::{self, AddressPair, EventKind};

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
    let _call = object.calls().enter();
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
    let reached = socket.connect(host, port, object.preferred_endpoint());
    if let Ok(addr) = &reached {
        object.remember_endpoint(addr);
    }
    if observer::is_active() {
        let addresses = AddressPair::of(socket).with_target(host, port);
        let event = match reached {
            Ok(_) => EventKind::Connected,
            Err(_) => EventKind::ConnectFailed,
        };
        observer::changed(socket, event, &addresses, reached.err());
    }
    reached.map(drop)
}

#[inline(always)]
pub(crate) fn send(socket: &Socket, buf: &[u8]) -> Result<()> {
    if observer::is_active() {
        return observe_send(socket, buf, &mut || socket.send(buf).map(|()| None));
    }
    socket.send(buf)
}

#[inline]
pub(crate) fn send_to(socket: &Socket, buf: &[u8], host: &[u8], port: &[u8]) -> Result<()> {
    if observer::is_active() {
        return observe_send(socket, buf, &mut || {
            socket.send_to(buf, host, port).map(Some)
        });
    }
    socket.send_to(buf, host, port).map(drop)
}

/// Sends, and reports it. `send` returns the receiver where it may be another
/// one than the connected peer.
#[cold]
fn observe_send(
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
            failed(socket, EventKind::SendFailed, *error);
        }
    }
    sent.map(drop)
}

#[inline(always)]
pub(crate) fn receive(socket: &Socket, buf: &mut [MaybeUninit<u8>]) -> Result<Received> {
    if observer::is_active() {
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
    if observer::is_active() {
        observe_receive(socket, buf, &received);
    }
    received
}

/// Reports a receive.
#[cold]
fn observe_receive(
    socket: &Socket,
    buf: &[MaybeUninit<u8>],
    received: &Result<(Received, SocketAddr)>,
) {
    match received {
        // Nothing in an empty buffer is not the end of a stream.
        Ok(_) if socket.kind() == Kind::Tcp && buf.is_empty() => {}
        Ok((received, from)) => {
            // SAFETY: the kernel wrote that many bytes of the buffer.
            let payload = unsafe { slice::from_raw_parts(buf.as_ptr().cast::<u8>(), received.len) };
            observer::received(socket, *from, payload, received.truncated);
        }
        Err(error) => failed(socket, EventKind::ReceiveFailed, *error),
    }
}

pub(crate) fn bind(socket: &Socket, address: &[u8], port: &[u8]) -> Result<()> {
    let bound = socket.bind(address, port);
    if observer::is_active() {
        match &bound {
            Ok(()) => observer::changed(socket, EventKind::Bound, &AddressPair::of(socket), None),
            Err(error) => failed(socket, EventKind::BindFailed, *error),
        }
    }
    bound
}

/// Fills `new` with a peer of the listening socket, or of the bound datagram
/// socket.
pub(crate) fn accept(socket: &Socket, new: &Socket) -> Result<()> {
    let accepted = socket.accept(new);
    if observer::is_active() {
        match &accepted {
            Ok(()) => observer::changed(new, EventKind::Accepted, &AddressPair::of(new), None),
            Err(error) => failed(socket, EventKind::AcceptFailed, *error),
        }
    }
    accepted
}

pub(crate) fn close(object: &Object) {
    if !observer::is_active() {
        return object.close();
    }
    let addresses = AddressPair::of(object.socket());
    object.close();
    if !addresses.is_empty() {
        observer::changed(object.socket(), EventKind::Closed, &addresses, None);
    }
}

pub(crate) fn shutdown(socket: &Socket) -> Result<()> {
    socket.shutdown()?;
    if observer::is_active() {
        observer::changed(socket, EventKind::ShutDown, &AddressPair::of(socket), None);
    }
    Ok(())
}

/// Reports a failure, except of a call that only waited in vain.
#[cold]
fn failed(socket: &Socket, event: EventKind, error: Errno) {
    if error != Errno(libc::ETIMEDOUT) {
        observer::changed(socket, event, &AddressPair::of(socket), Some(error));
    }
}
