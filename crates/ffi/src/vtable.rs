//! The 20 methods.
//!
//! Each converts its arguments and calls the socket; what it does is documented
//! at the method of [`anjay_net_socket::Socket`] that it calls. What the
//! methods may assume of their arguments is the contract of
//! [`SocketVTable`].

use core::ffi::{c_char, c_int, c_void};
use core::ptr;
use core::time::Duration;
use std::time::Instant;

use anjay_net_resolve::write_port;
use anjay_net_socket::{Received, Result, log_line};

use crate::abi::{
    self, Error, IF_NAMESIZE, Socket, SocketOptKey, SocketOptValue, SocketState, SocketVTable,
};
use crate::call;
use crate::convert::{self, Out, OutText};
use crate::errno::ErrorCode;
use crate::object::Object;
use crate::panic::{catch, not_null};

/// The method table of every socket of this library.
pub static VTABLE: SocketVTable = SocketVTable {
    connect,
    decorate,
    send,
    send_to,
    receive,
    receive_from,
    bind,
    accept,
    close,
    shutdown,
    cleanup,
    get_system_socket,
    get_interface_name,
    get_remote_host,
    get_remote_hostname,
    get_remote_port,
    get_local_host,
    get_local_port,
    get_opt,
    set_opt,
};

/// The object behind a pointer of C; `None` for NULL and for sockets of other
/// libraries.
///
/// # Safety
/// A `socket` that is not NULL points at an object whose first field is a
/// pointer; one of ours is not cleaned up during `'a`.
#[inline(always)]
pub(crate) unsafe fn object<'a>(socket: *const Socket) -> Option<&'a Object> {
    // SAFETY: all objects with our v-table are made by `Object::create`, and
    // cleanup, which destroys them, is not called during `'a`.
    unsafe { Object::from_ptr(socket, &VTABLE) }
}

unsafe extern "C" fn connect(
    socket: *mut Socket,
    host: *const c_char,
    port: *const c_char,
) -> Error {
    // SAFETY: a socket in use and two texts that stay during the call, or NULL.
    let (object, host, port) =
        unsafe { (object(socket), convert::text(host), convert::text(port)) };
    call::rare_method(object, &mut |object| Ok(call::connect(object, host, port)?))
}

/// Sockets of this library wrap no others.
unsafe extern "C" fn decorate(socket: *mut Socket, _backend: *mut Socket) -> Error {
    // SAFETY: a socket in use, or NULL.
    let object = unsafe { object(socket) };
    call::rare_method(object, &mut |_| Err(ErrorCode::ENOTSUP.error()))
}

unsafe extern "C" fn send(socket: *mut Socket, buf: *const c_void, len: usize) -> Error {
    // SAFETY: a socket in use, or NULL; a buffer of that length that stays
    // during the call, or NULL.
    let (object, buf) = unsafe { (object(socket), convert::input(buf, len)) };
    call::method(object, |object| Ok(call::send(object.socket(), buf?)?)).into()
}

unsafe extern "C" fn send_to(
    socket: *mut Socket,
    buf: *const c_void,
    len: usize,
    host: *const c_char,
    port: *const c_char,
) -> Error {
    // SAFETY: a socket in use, a buffer of that length and two texts that stay
    // during the call; each may be NULL.
    let (object, buf, host, port) = unsafe {
        (
            object(socket),
            convert::input(buf, len),
            convert::text(host),
            convert::text(port),
        )
    };
    call::method(object, |object| {
        Ok(call::send_to(object.socket(), buf?, host, port)?)
    })
    .into()
}

unsafe extern "C" fn receive(
    socket: *mut Socket,
    out_len: *mut usize,
    buf: *mut c_void,
    len: usize,
) -> Error {
    // SAFETY: a socket in use, a place for the length and a buffer of that
    // length, both the call's own; each may be NULL.
    let (object, out_len, buf) = unsafe {
        (
            object(socket),
            nothing_yet(Out::new(out_len)),
            convert::output(buf, len),
        )
    };
    call::method(object, |object| {
        let mut out_len = not_null!(out_len);
        let received = call::receive(object.socket(), buf?)?;
        out_len.put(received.len);
        whole(received)
    })
    .into()
}

unsafe extern "C" fn receive_from(
    socket: *mut Socket,
    out_len: *mut usize,
    buf: *mut c_void,
    len: usize,
    host: *mut c_char,
    host_size: usize,
    port: *mut c_char,
    port_size: usize,
) -> Error {
    // SAFETY: a socket in use, a place for the length and buffers of those
    // lengths, all the call's own; each may be NULL.
    let (object, out_len, buf, host, port) = unsafe {
        (
            object(socket),
            nothing_yet(Out::new(out_len)),
            convert::output(buf, len),
            OutText::new(host, host_size),
            OutText::new(port, port_size),
        )
    };
    call::method(object, |object| {
        let (mut out_len, host, port) = (not_null!(out_len), not_null!(host), not_null!(port));
        let (received, from) = call::receive_from(object.socket(), buf?)?;
        out_len.put(received.len);
        let written = convert::put_host_port(&from, Some(host), Some(port));
        // A cut datagram is reported first: it can't be received again.
        whole(received).and(written)
    })
    .into()
}

/// Sets the length to 0, in case the receive fails.
#[inline(always)]
fn nothing_yet(mut out_len: Option<Out<'_, usize>>) -> Option<Out<'_, usize>> {
    if let Some(out_len) = &mut out_len {
        out_len.put(0);
    }
    out_len
}

/// `EMSGSIZE` for a datagram that was cut.
#[inline(always)]
fn whole(received: Received) -> Result<(), Error> {
    if received.truncated {
        return Err(ErrorCode::EMSGSIZE.error());
    }
    Ok(())
}

unsafe extern "C" fn bind(
    socket: *mut Socket,
    address: *const c_char,
    port: *const c_char,
) -> Error {
    // SAFETY: a socket in use and two texts that stay during the call, or NULL.
    let (object, address, port) =
        unsafe { (object(socket), convert::text(address), convert::text(port)) };
    call::rare_method(object, &mut |object| {
        Ok(call::bind(object.socket(), address, port)?)
    })
}

unsafe extern "C" fn accept(socket: *mut Socket, new_socket: *mut Socket) -> Error {
    // SAFETY: two sockets in use, of any library, or NULL.
    let (object, new) = unsafe { (object(socket), object(new_socket)) };
    call::rare_method(object, &mut |object| {
        let new = not_null!(new);
        let _call = new.calls.enter();
        Ok(call::accept(object.socket(), new.socket())?)
    })
}

unsafe extern "C" fn close(socket: *mut Socket) -> Error {
    // SAFETY: a socket in use, or NULL.
    let object = unsafe { object(socket) };
    call::rare_method(object, &mut |object| {
        call::close(object);
        Ok(())
    })
}

unsafe extern "C" fn shutdown(socket: *mut Socket) -> Error {
    // SAFETY: a socket in use, or NULL.
    let object = unsafe { object(socket) };
    call::rare_method(object, &mut |object| Ok(call::shutdown(object.socket())?))
}

/// How long cleanup waits for calls of other threads. close has woken them, so they end
/// at once, unless a log handler or an observer holds one up, or the C library's
/// resolver where no thread can be started.
const CALLS_END_WITHIN: Duration = Duration::from_secs(30);

/// Closes and frees the object and sets C's pointer to NULL. Calls that wait on
/// other threads end before that.
unsafe extern "C" fn cleanup(socket: *mut *mut Socket) -> Error {
    // SAFETY: NULL, or a pointer of C that is the call's own.
    let place = unsafe { convert::pointer(socket) };
    let Some((socket, mut place)) = place.filter(|(socket, _)| !socket.is_null()) else {
        return Error::OK;
    };
    // SAFETY: a socket of any library that other threads use only in calls that
    // wait; the reference is gone before it is freed.
    let object = unsafe { object(socket) };
    catch(|| {
        let object = not_null!(object);
        if object.calls.are_orphaned() {
            place.put(ptr::null_mut());
            return Ok(());
        }
        // Not counted as a call itself. A panic leaves the object as it is.
        call::close(object);
        let ended = object.calls.wait(|| Instant::now() + CALLS_END_WITHIN);
        place.put(ptr::null_mut());
        if !ended {
            // Leaked: freeing it would pull the memory from under the call.
            let id = object.socket().id();
            log_line!(Error, id, "a call does not end; not freed");
            return Ok(());
        }
        // SAFETY: one of ours; no call is in flight any more, the reference is not
        // used after this, and C has no pointer to it.
        unsafe { Object::destroy(socket) };
        Ok(())
    })
    .into()
}

unsafe extern "C" fn get_system_socket(socket: *mut Socket) -> *const c_void {
    // SAFETY: a socket in use, or NULL.
    let object = unsafe { object(socket) };
    call::method(object, |object| {
        // An atomic integer has the layout of the integer that C reads.
        let number = object.socket().descriptor();
        number.map_or(ptr::null(), |number| number.as_ptr().cast_const().cast())
    })
}

unsafe extern "C" fn get_interface_name(socket: *mut Socket, out: *mut c_char) -> Error {
    // SAFETY: a socket in use, or NULL; the v-table's buffer for an interface
    // name has that size.
    unsafe {
        text_method(socket, out, IF_NAMESIZE, |socket, out| {
            Ok(out.put(socket.interface_name()?.as_bytes()))
        })
    }
}

unsafe extern "C" fn get_remote_host(socket: *mut Socket, out: *mut c_char, size: usize) -> Error {
    // SAFETY: a socket in use and a buffer of that size, or NULL.
    unsafe {
        text_method(socket, out, size, |socket, out| {
            Ok(out.put_host(&socket.remote_addr()?))
        })
    }
}

unsafe extern "C" fn get_remote_hostname(
    socket: *mut Socket,
    out: *mut c_char,
    size: usize,
) -> Error {
    // SAFETY: a socket in use and a buffer of that size, or NULL.
    unsafe {
        text_method(socket, out, size, |socket, out| {
            let mut written = Err(ErrorCode::ENOBUFS.error());
            socket.with_remote_texts(&mut |host, _| {
                if let Some(host) = host {
                    written = out.put(host);
                }
            })?;
            Ok(written)
        })
    }
}

unsafe extern "C" fn get_remote_port(socket: *mut Socket, out: *mut c_char, size: usize) -> Error {
    // SAFETY: a socket in use and a buffer of that size, or NULL.
    unsafe {
        text_method(socket, out, size, |socket, out| {
            let mut written = Ok(());
            socket.with_remote_texts(&mut |_, port| written = out.put(port))?;
            Ok(written)
        })
    }
}

unsafe extern "C" fn get_local_host(socket: *mut Socket, out: *mut c_char, size: usize) -> Error {
    // SAFETY: a socket in use and a buffer of that size, or NULL.
    unsafe {
        text_method(socket, out, size, |socket, out| {
            Ok(out.put_host(&socket.local_addr()?))
        })
    }
}

unsafe extern "C" fn get_local_port(socket: *mut Socket, out: *mut c_char, size: usize) -> Error {
    // SAFETY: a socket in use and a buffer of that size, or NULL.
    unsafe {
        text_method(socket, out, size, |socket, out| {
            Ok(out.put(write_port(socket.local_addr()?.port()).as_bytes()))
        })
    }
}

/// The methods that write one text: `EINVAL` without a buffer for it.
///
/// # Safety
/// `socket` as for [`object`]; an `out` that is not NULL is writable for `size`
/// bytes, and nothing else uses it during the call.
unsafe fn text_method(
    socket: *mut Socket,
    out: *mut c_char,
    size: usize,
    write: fn(&anjay_net_socket::Socket, &mut OutText<'_>) -> Result<Result<(), Error>>,
) -> Error {
    // SAFETY: a socket in use and a buffer of that size, or NULL, as required.
    let (object, mut out) = unsafe { (object(socket), OutText::new(out, size)) };
    call::rare_method(object, &mut |object| {
        write(object.socket(), not_null!(&mut out))?
    })
}

/// Option keys as C passes them.
mod key {
    use super::{SocketOptKey, c_int};

    pub(super) const RECV_TIMEOUT: c_int = SocketOptKey::RecvTimeout as c_int;
    pub(super) const STATE: c_int = SocketOptKey::State as c_int;
    pub(super) const ADDR_FAMILY: c_int = SocketOptKey::AddrFamily as c_int;
    pub(super) const MTU: c_int = SocketOptKey::Mtu as c_int;
    pub(super) const INNER_MTU: c_int = SocketOptKey::InnerMtu as c_int;
    pub(super) const BYTES_SENT: c_int = SocketOptKey::BytesSent as c_int;
    pub(super) const BYTES_RECEIVED: c_int = SocketOptKey::BytesReceived as c_int;
    pub(super) const HAS_BUFFERED_DATA: c_int = SocketOptKey::HasBufferedData as c_int;
    #[cfg(not(feature = "avs-commons-4"))]
    pub(super) const PREFERRED_FAMILY: c_int = SocketOptKey::PreferredAddrFamily as c_int;
    #[cfg(not(feature = "avs-commons-4"))]
    pub(super) const FORCED_FAMILY: c_int = SocketOptKey::ForcedAddrFamily as c_int;
}

unsafe extern "C" fn get_opt(socket: *mut Socket, key: c_int, out: *mut SocketOptValue) -> Error {
    // SAFETY: a socket in use and a place for a value, the call's own, or NULL.
    let (object, mut out) = unsafe { (object(socket), Out::new(out)) };
    call::rare_method(object, &mut |object| {
        let (out, socket) = (not_null!(&mut out), object.socket());
        match key {
            key::RECV_TIMEOUT => out.put_field(abi::Duration::from(socket.receive_timeout())),
            key::STATE => out.put_field(SocketState::from(socket.status()) as c_int),
            key::ADDR_FAMILY => out.put_field(convert::family_value(socket.descriptor_family())),
            key::MTU => out.put_field(bytes(socket.mtu()?)),
            key::INNER_MTU => out.put_field(bytes(socket.inner_mtu()?)),
            key::BYTES_SENT => out.put_field(socket.bytes_sent()),
            key::BYTES_RECEIVED => out.put_field(socket.bytes_received()),
            key::HAS_BUFFERED_DATA => out.put_field(false),
            #[cfg(not(feature = "avs-commons-4"))]
            key::PREFERRED_FAMILY => {
                out.put_field(convert::family_value(socket.preferred_family()))
            }
            #[cfg(not(feature = "avs-commons-4"))]
            key::FORCED_FAMILY => out.put_field(convert::family_value(socket.forced_family())),
            // A key that TCP and UDP sockets do not have.
            _ => return Err(ErrorCode::EINVAL.error()),
        }
        Ok(())
    })
}

/// An MTU as a C `int`, limited to the largest one.
fn bytes(mtu: u32) -> c_int {
    c_int::try_from(mtu).unwrap_or(c_int::MAX)
}

unsafe extern "C" fn set_opt(socket: *mut Socket, key: c_int, value: SocketOptValue) -> Error {
    // SAFETY: a socket in use, or NULL.
    let object = unsafe { object(socket) };
    call::rare_method(object, &mut |object| {
        let socket = object.socket();
        match key {
            key::RECV_TIMEOUT => socket.set_receive_timeout(convert::recv_timeout(&value)),
            #[cfg(not(feature = "avs-commons-4"))]
            key::PREFERRED_FAMILY => socket.set_preferred_family(convert::addr_family(&value)?),
            #[cfg(not(feature = "avs-commons-4"))]
            key::FORCED_FAMILY => socket.set_forced_family(convert::addr_family(&value)?),
            // What can only be read, and keys that such sockets lack.
            _ => return Err(ErrorCode::EINVAL.error()),
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use anjay_net_socket::{Kind, Status};

    use super::*;

    #[test]
    fn a_panic_inside_a_method_closes_the_socket() {
        // SAFETY: no configuration is the default one.
        let created = unsafe { Object::create(&VTABLE, Kind::Udp, ptr::null()) };
        let mut socket = created.unwrap();
        // SAFETY: made above, and cleaned up below.
        let object = unsafe { object(socket) };
        let bind = |object: &Object| Ok(object.socket().bind(b"127.0.0.1", b"")?);
        assert_eq!(call::method(object, bind), Ok(()));

        let panicked = call::method(object, |_| -> Result<(), Error> { panic!("on purpose") });
        assert_eq!(panicked, Err(ErrorCode::UnknownError.error()));
        assert_eq!(object.unwrap().socket().status(), Status::Closed);

        // And it can be used again.
        assert_eq!(call::method(object, bind), Ok(()));
        // SAFETY: a socket that nothing uses any more.
        assert_eq!(unsafe { cleanup(&mut socket) }, Error::OK);
        assert!(socket.is_null());
    }
}
