//! The methods while somebody observes the sockets: they do the same, and
//! report it.
//!
//! The v-table's methods come here when [`Object::from_ptr_unobserved`] gives
//! nothing, so also with NULL and what is no socket of ours. They have the same
//! signatures, so that going there takes no more than a jump.

use core::ffi::{c_char, c_void};
use core::slice;
use std::io;
use std::time::SystemTime;

use anjay_net_socket::{Kind, Socket};
use anjay_net_watch::observer::{self, AddressPair, EventKind};

use crate::abi::{self, Error};
use crate::convert;
use crate::errno::ErrorCode;
use crate::object::Object;
use crate::panic::{method, some_or_return};
use crate::vtable::{connect_object, ok_or_return, outcome, outcome_from};

/// Reports a transfer that failed. That nothing came in time is no news.
fn failed(socket: &Socket, what: EventKind, error: &io::Error) {
    if error.raw_os_error() != Some(libc::ETIMEDOUT) {
        observer::changed(socket, what, &AddressPair::of(socket), Some(error));
    }
}

/// Runs a method that may wait, as [`method`] does: cleanup waits for its end,
/// as what became of the call is reported when the wait is over.
///
/// # Safety
/// As [`method`].
unsafe fn waiting(socket: *const abi::Socket, call: impl FnOnce(&Object) -> Error) -> Error {
    // SAFETY: the caller's promise.
    unsafe {
        method(socket, |object| {
            let _guest = object.socket().invite();
            call(object)
        })
    }
}

/// # Safety
/// As the v-table's method.
#[cold]
pub(crate) unsafe extern "C" fn connect(
    socket: *mut abi::Socket,
    host: *const c_char,
    port: *const c_char,
) -> Error {
    // SAFETY: the caller's promise, here and in all functions below.
    unsafe {
        waiting(socket, |object| {
            let connected = connect_object(object, host, port);
            let socket = object.socket();
            let ends =
                AddressPair::of(socket).with_target(convert::text(host), convert::text(port));
            match &connected {
                Ok(()) => observer::changed(socket, EventKind::Connected, &ends, None),
                Err(error) => {
                    observer::changed(socket, EventKind::ConnectFailed, &ends, Some(error))
                }
            }
            connected.into()
        })
    }
}

/// # Safety
/// As the v-table's method.
#[cold]
pub(crate) unsafe extern "C" fn send(
    socket: *mut abi::Socket,
    buf: *const c_void,
    len: usize,
) -> Error {
    // SAFETY: as above.
    unsafe {
        waiting(socket, |object| {
            let buf = ok_or_return!(convert::input(buf, len));
            send_all(object.socket(), buf).into()
        })
    }
}

fn send_all(socket: &Socket, buf: &[u8]) -> io::Result<()> {
    let at = SystemTime::now();
    let before = socket.bytes_sent();
    let sent = socket.send(buf);
    match &sent {
        Ok(()) => observer::sent(socket, at, None, buf),
        Err(error) => {
            // What a stream took before it broke.
            let took = usize::try_from(socket.bytes_sent() - before).unwrap_or(0);
            if took > 0 {
                observer::sent(socket, at, None, &buf[..took.min(buf.len())]);
            }
            failed(socket, EventKind::SendFailed, error);
        }
    }
    sent
}

/// # Safety
/// As the v-table's method.
#[cold]
pub(crate) unsafe extern "C" fn send_to(
    socket: *mut abi::Socket,
    buf: *const c_void,
    len: usize,
    host: *const c_char,
    port: *const c_char,
) -> Error {
    // SAFETY: as above.
    unsafe {
        waiting(socket, |object| {
            let buf = ok_or_return!(convert::input(buf, len));
            let socket = object.socket();
            if socket.kind() == Kind::Tcp {
                return send_all(socket, buf).into();
            }
            let at = SystemTime::now();
            let sent = socket.send_to_which(buf, convert::text(host), convert::text(port));
            match &sent {
                Ok(to) => observer::sent(socket, at, Some(*to), buf),
                Err(error) => failed(socket, EventKind::SendFailed, error),
            }
            sent.map(drop).into()
        })
    }
}

/// # Safety
/// As the v-table's method.
#[cold]
pub(crate) unsafe extern "C" fn receive(
    socket: *mut abi::Socket,
    out_len: *mut usize,
    buf: *mut c_void,
    len: usize,
) -> Error {
    // SAFETY: as above.
    unsafe {
        some_or_return!(convert::put(out_len, 0), ErrorCode::EINVAL.into());
        waiting(socket, |object| {
            let buf = ok_or_return!(convert::output(buf, len));
            let socket = object.socket();
            let received = match socket.kind() {
                Kind::Udp => socket
                    .receive_from_uninit(buf)
                    .map(|(received, from)| (received, Some(from))),
                Kind::Tcp => socket.receive_uninit(buf).map(|received| {
                    // Nothing in an empty buffer is not the end.
                    let peer = socket.remote_addr().ok();
                    (received, peer.filter(|_| !buf.is_empty()))
                }),
            };
            match received {
                Ok((received, from)) => {
                    if let Some(from) = from {
                        // The kernel wrote that many bytes.
                        let payload = slice::from_raw_parts(buf.as_ptr().cast(), received.len);
                        observer::received(socket, from, payload, received.truncated);
                    }
                    outcome(received, out_len)
                }
                Err(error) => {
                    failed(socket, EventKind::ReceiveFailed, &error);
                    error.into()
                }
            }
        })
    }
}

/// # Safety
/// As the v-table's method.
#[cold]
pub(crate) unsafe extern "C" fn receive_from(
    socket: *mut abi::Socket,
    out_len: *mut usize,
    buf: *mut c_void,
    len: usize,
    host: *mut c_char,
    host_size: usize,
    port: *mut c_char,
    port_size: usize,
) -> Error {
    // SAFETY: as above.
    unsafe {
        some_or_return!(convert::put(out_len, 0), ErrorCode::EINVAL.into());
        if host.is_null() || port.is_null() {
            return ErrorCode::EINVAL.into();
        }
        waiting(socket, |object| {
            let buf = ok_or_return!(convert::output(buf, len));
            let socket = object.socket();
            match socket.receive_from_uninit(buf) {
                Ok((received, from)) => {
                    // Nothing in an empty buffer is not the end of a stream.
                    if socket.kind() == Kind::Udp || !buf.is_empty() {
                        // The kernel wrote that many bytes.
                        let payload = slice::from_raw_parts(buf.as_ptr().cast(), received.len);
                        observer::received(socket, from, payload, received.truncated);
                    }
                    let (host, port) = ((host, host_size), (port, port_size));
                    outcome_from(received, &from, out_len, host, port)
                }
                Err(error) => {
                    failed(socket, EventKind::ReceiveFailed, &error);
                    error.into()
                }
            }
        })
    }
}

/// # Safety
/// As the v-table's method.
#[cold]
pub(crate) unsafe extern "C" fn bind(
    socket: *mut abi::Socket,
    address: *const c_char,
    port: *const c_char,
) -> Error {
    // SAFETY: as above.
    unsafe {
        waiting(socket, |object| {
            let socket = object.socket();
            let bound = socket.bind(convert::text(address), convert::text(port));
            match &bound {
                Ok(()) => {
                    observer::changed(socket, EventKind::Bound, &AddressPair::of(socket), None)
                }
                Err(error) => failed(socket, EventKind::BindFailed, error),
            }
            bound.into()
        })
    }
}

/// # Safety
/// As the v-table's method.
#[cold]
pub(crate) unsafe extern "C" fn accept(
    socket: *mut abi::Socket,
    new_socket: *mut abi::Socket,
) -> Error {
    // SAFETY: as above.
    unsafe {
        let new = some_or_return!(Object::from_ptr(new_socket), ErrorCode::EINVAL.into());
        let new = new.socket();
        let _new_guest = new.invite();
        waiting(socket, |object| {
            let listener = object.socket();
            let accepted = listener.accept(new);
            match &accepted {
                Ok(()) => observer::changed(new, EventKind::Accepted, &AddressPair::of(new), None),
                Err(error) => failed(listener, EventKind::AcceptFailed, error),
            }
            accepted.into()
        })
    }
}

/// # Safety
/// As the v-table's method.
#[cold]
pub(crate) unsafe extern "C" fn close(socket: *mut abi::Socket) -> Error {
    // SAFETY: as above.
    unsafe {
        method(socket, |object| {
            close_object(object);
            Error::OK
        })
    }
}

fn close_object(object: &Object) {
    let ends = AddressPair::of(object.socket());
    object.close();
    if !ends.is_empty() {
        observer::changed(object.socket(), EventKind::Closed, &ends, None);
    }
}

/// The object behind a pointer of C, closed; `None` for what is none of ours.
///
/// # Safety
/// As [`Object::from_ptr`].
#[cold]
pub(crate) unsafe fn closed<'a>(socket: *const abi::Socket) -> Option<&'a Object> {
    // SAFETY: the caller's promise.
    let object = unsafe { Object::from_ptr(socket) }?;
    close_object(object);
    Some(object)
}

/// # Safety
/// As the v-table's method.
#[cold]
pub(crate) unsafe extern "C" fn shutdown(socket: *mut abi::Socket) -> Error {
    // SAFETY: as above.
    unsafe {
        method(socket, |object| {
            let socket = object.socket();
            let shut = socket.shutdown();
            if shut.is_ok() {
                observer::changed(socket, EventKind::ShutDown, &AddressPair::of(socket), None);
            }
            shut.into()
        })
    }
}
