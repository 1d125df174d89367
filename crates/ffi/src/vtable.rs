//! The 20 methods.
//!
//! Each converts its arguments, calls the socket and converts the outcome;
//! what it does is documented at the method of [`anjay_net_socket::Socket`]
//! that it calls.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

use anjay_net_resolve::write_port;
use anjay_net_socket::{AtOnce, Received, address_text};
use std::io;
use std::net::SocketAddr;

use crate::abi::{
    self, Error, IF_NAMESIZE, Socket, SocketOptKey, SocketOptValue, SocketState, SocketVTable,
};
use crate::errno::ErrorCode;
use crate::literal::{plain_ipv4, plain_ipv4_apart};
use crate::object::Object;
use crate::panic::{method, run, some_or_return};
use crate::{convert, observed};

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

/// Unwraps, or returns the error as C knows it.
macro_rules! ok_or_return {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return error.into(),
        }
    };
}
pub(crate) use ok_or_return;

unsafe extern "C" fn connect(
    socket: *mut Socket,
    host: *const c_char,
    port: *const c_char,
) -> Error {
    // SAFETY: the v-table's contract, here and in all methods below.
    unsafe {
        let object = some_or_return!(
            Object::from_ptr_unobserved(socket),
            observed::connect(socket, host, port)
        );
        run(object, |object| {
            ok_or_return!(connect_object(object, host, port));
            Error::OK
        })
    }
}

/// # Safety
/// `host` and `port` are NULL or NUL-terminated.
#[inline(always)]
pub(crate) unsafe fn connect_object(
    object: &Object,
    host: *const c_char,
    port: *const c_char,
) -> io::Result<()> {
    let _guest = object.socket().invite();
    // SAFETY: the caller's promise.
    unsafe {
        match plain_ipv4_apart(host, port) {
            Some(addr) => {
                let reached = object.socket().connect_v4(addr)?;
                object.remember_endpoint(|| reached.into());
                Ok(())
            }
            None => connect_text(object, host, port),
        }
    }
}

/// # Safety
/// As [`connect_object`].
#[inline(never)]
unsafe fn connect_text(
    object: &Object,
    host: *const c_char,
    port: *const c_char,
) -> io::Result<()> {
    // SAFETY: the caller's promise.
    let (host, port) = unsafe { (convert::text(host), convert::text(port)) };
    let preferred = object.preferred_endpoint();
    let reached = object.socket().connect(host, port, preferred)?;
    object.remember_endpoint(|| reached);
    Ok(())
}

/// Sockets of this library wrap no others.
unsafe extern "C" fn decorate(socket: *mut Socket, _backend: *mut Socket) -> Error {
    // SAFETY: as above.
    unsafe { method(socket, |_| ErrorCode::ENOTSUP.into()) }
}

unsafe extern "C" fn send(socket: *mut Socket, buf: *const c_void, len: usize) -> Error {
    // SAFETY: as above.
    unsafe {
        let object = some_or_return!(
            Object::from_ptr_unobserved(socket),
            observed::send(socket, buf, len)
        );
        run(object, |object| {
            let buf = ok_or_return!(convert::input(buf, len));
            object.socket().send(buf).into()
        })
    }
}

unsafe extern "C" fn send_to(
    socket: *mut Socket,
    buf: *const c_void,
    len: usize,
    host: *const c_char,
    port: *const c_char,
) -> Error {
    // SAFETY: as above.
    unsafe {
        let object = some_or_return!(
            Object::from_ptr_unobserved(socket),
            observed::send_to(socket, buf, len, host, port)
        );
        run(object, |object| {
            let buf = ok_or_return!(convert::input(buf, len));
            if let Some(addr) = plain_ipv4(host, port) {
                return object.socket().send_to_addr(buf, addr.into()).into();
            }
            let (host, port) = (convert::text(host), convert::text(port));
            object.socket().send_to(buf, host, port).into()
        })
    }
}

unsafe extern "C" fn receive(
    socket: *mut Socket,
    out_len: *mut usize,
    buf: *mut c_void,
    len: usize,
) -> Error {
    // SAFETY: as above.
    unsafe {
        let object = some_or_return!(
            Object::from_ptr_unobserved(socket),
            observed::receive(socket, out_len, buf, len)
        );
        run(object, |object| {
            some_or_return!(convert::put(out_len, 0), ErrorCode::EINVAL.into());
            let buf = ok_or_return!(convert::output(buf, len));
            match ok_or_return!(object.socket().receive_at_once(buf)) {
                AtOnce::Received(received) => outcome(received, out_len),
                AtOnce::Nothing => ErrorCode::ETIMEDOUT.into(),
                AtOnce::Later(later) => outcome(ok_or_return!(later.receive(buf)), out_len),
            }
        })
    }
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
    // SAFETY: as above.
    unsafe {
        let object = some_or_return!(
            Object::from_ptr_unobserved(socket),
            observed::receive_from(socket, out_len, buf, len, host, host_size, port, port_size)
        );
        run(object, |object| {
            some_or_return!(convert::put(out_len, 0), ErrorCode::EINVAL.into());
            if host.is_null() || port.is_null() {
                return ErrorCode::EINVAL.into();
            }
            let buf = ok_or_return!(convert::output(buf, len));
            let (received, from) = ok_or_return!(object.socket().receive_from_uninit(buf));
            let (host, port) = ((host, host_size), (port, port_size));
            outcome_from(received, &from, out_len, host, port)
        })
    }
}

/// Tells C what a receive put into its buffer, and from whom.
///
/// # Safety
/// `out_len` is writable, and so are the buffers, for their size.
#[inline(always)]
pub(crate) unsafe fn outcome_from(
    received: Received,
    from: &SocketAddr,
    out_len: *mut usize,
    host: (*mut c_char, usize),
    port: (*mut c_char, usize),
) -> Error {
    // SAFETY: the caller's promise.
    let (outcome, written) = unsafe {
        (
            outcome(received, out_len),
            convert::put_host_port(from, host, port),
        )
    };
    // That the datagram was cut is said first: it can't be asked again.
    match outcome {
        Error::OK => written,
        truncated => truncated,
    }
}

/// Tells C what a receive put into its buffer.
///
/// # Safety
/// `out_len` is writable.
#[inline]
pub(crate) unsafe fn outcome(received: Received, out_len: *mut usize) -> Error {
    // SAFETY: the caller's promise.
    unsafe { convert::put(out_len, received.len) };
    if received.truncated {
        return truncated();
    }
    Error::OK
}

#[cold]
fn truncated() -> Error {
    ErrorCode::EMSGSIZE.into()
}

unsafe extern "C" fn bind(
    socket: *mut Socket,
    address: *const c_char,
    port: *const c_char,
) -> Error {
    // SAFETY: as above.
    unsafe {
        let object = some_or_return!(
            Object::from_ptr_unobserved(socket),
            observed::bind(socket, address, port)
        );
        run(object, |object| {
            let _guest = object.socket().invite();
            let (address, port) = (convert::text(address), convert::text(port));
            object.socket().bind(address, port).into()
        })
    }
}

unsafe extern "C" fn accept(socket: *mut Socket, new_socket: *mut Socket) -> Error {
    // SAFETY: as above.
    unsafe {
        let new = some_or_return!(Object::from_ptr(new_socket), ErrorCode::EINVAL.into());
        let _new_guest = new.socket().invite();
        let object = some_or_return!(
            Object::from_ptr_unobserved(socket),
            observed::accept(socket, new_socket)
        );
        run(object, |object| {
            let _guest = object.socket().invite();
            object.socket().accept(new.socket()).into()
        })
    }
}

unsafe extern "C" fn close(socket: *mut Socket) -> Error {
    // SAFETY: as above.
    unsafe {
        let object = some_or_return!(Object::from_ptr_unobserved(socket), observed::close(socket));
        run(object, |object| {
            object.close();
            Error::OK
        })
    }
}

unsafe extern "C" fn shutdown(socket: *mut Socket) -> Error {
    // SAFETY: as above.
    unsafe {
        let object = some_or_return!(
            Object::from_ptr_unobserved(socket),
            observed::shutdown(socket)
        );
        run(object, |object| object.socket().shutdown().into())
    }
}

unsafe extern "C" fn cleanup(socket: *mut *mut Socket) -> Error {
    crate::panic::function(ErrorCode::UnknownError.into(), || {
        // SAFETY: as above.
        unsafe { Object::cleanup(socket) }
    })
}

unsafe extern "C" fn get_system_socket(socket: *mut Socket) -> *const c_void {
    // SAFETY: as above.
    let object = some_or_return!(unsafe { Object::from_ptr(socket) }, ptr::null());
    // An atomic integer has the layout of the integer that C reads.
    object
        .socket()
        .descriptor_slot()
        .map_or(ptr::null(), |slot| slot.as_ptr().cast_const().cast())
}

unsafe extern "C" fn get_interface_name(socket: *mut Socket, out: *mut c_char) -> Error {
    // SAFETY: as above.
    unsafe {
        method(socket, |object| {
            if out.is_null() {
                return ErrorCode::EINVAL.into();
            }
            let name = ok_or_return!(object.socket().interface_name());
            convert::put_text(out, IF_NAMESIZE, name.as_bytes())
        })
    }
}

/// The methods that write one text into a buffer.
///
/// # Safety
/// The v-table's contract.
unsafe fn text_method(
    socket: *mut Socket,
    out: *mut c_char,
    size: usize,
    write: impl FnOnce(&Object, &mut dyn FnMut(&[u8]) -> Error) -> io::Result<Error>,
) -> Error {
    // SAFETY: the caller's promise.
    unsafe {
        method(socket, |object| {
            if out.is_null() {
                return ErrorCode::EINVAL.into();
            }
            ok_or_return!(write(object, &mut |text| convert::put_text(
                out, size, text
            )))
        })
    }
}

unsafe extern "C" fn get_remote_host(socket: *mut Socket, out: *mut c_char, size: usize) -> Error {
    // SAFETY: as above.
    unsafe {
        text_method(socket, out, size, |object, put| {
            let addr = object.socket().remote_addr()?;
            Ok(put(address_text(&addr).as_bytes()))
        })
    }
}

unsafe extern "C" fn get_remote_hostname(
    socket: *mut Socket,
    out: *mut c_char,
    size: usize,
) -> Error {
    // SAFETY: as above.
    unsafe {
        text_method(socket, out, size, |object, put| {
            object.socket().with_remote_hostname(put)
        })
    }
}

unsafe extern "C" fn get_remote_port(socket: *mut Socket, out: *mut c_char, size: usize) -> Error {
    // SAFETY: as above.
    unsafe {
        text_method(socket, out, size, |object, put| {
            object.socket().with_remote_port(put)
        })
    }
}

unsafe extern "C" fn get_local_host(socket: *mut Socket, out: *mut c_char, size: usize) -> Error {
    // SAFETY: as above.
    unsafe {
        text_method(socket, out, size, |object, put| {
            let addr = object.socket().local_addr()?;
            Ok(put(address_text(&addr).as_bytes()))
        })
    }
}

unsafe extern "C" fn get_local_port(socket: *mut Socket, out: *mut c_char, size: usize) -> Error {
    // SAFETY: as above.
    unsafe {
        text_method(socket, out, size, |object, put| {
            let addr = object.socket().local_addr()?;
            Ok(put(write_port(addr.port()).as_bytes()))
        })
    }
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
    // SAFETY: as above; each arm writes only the field that belongs to the key.
    unsafe {
        method(socket, |object| {
            if out.is_null() {
                return ErrorCode::EINVAL.into();
            }
            let socket = object.socket();
            let written = match key {
                key::RECV_TIMEOUT => {
                    convert::put(out.cast(), abi::Duration::from(socket.receive_timeout()))
                }
                key::STATE => convert::put(out.cast(), SocketState::from(socket.status()) as c_int),
                key::ADDR_FAMILY => convert::put(
                    out.cast(),
                    convert::family_value(socket.descriptor_family()),
                ),
                key::MTU => convert::put(out.cast(), bytes(ok_or_return!(socket.mtu()))),
                key::INNER_MTU => {
                    convert::put(out.cast(), bytes(ok_or_return!(socket.inner_mtu())))
                }
                key::BYTES_SENT => convert::put(out.cast(), socket.bytes_sent()),
                key::BYTES_RECEIVED => convert::put(out.cast(), socket.bytes_received()),
                key::HAS_BUFFERED_DATA => convert::put(out.cast(), false),
                #[cfg(not(feature = "avs-commons-4"))]
                key::PREFERRED_FAMILY => {
                    convert::put(out.cast(), convert::family_value(socket.preferred_family()))
                }
                #[cfg(not(feature = "avs-commons-4"))]
                key::FORCED_FAMILY => {
                    convert::put(out.cast(), convert::family_value(socket.forced_family()))
                }
                _ => None,
            };
            // A key that TCP and UDP sockets do not have.
            some_or_return!(written, ErrorCode::EINVAL.into());
            Error::OK
        })
    }
}

/// An MTU as a C `int`; one that does not fit is as good as the largest.
fn bytes(mtu: u32) -> c_int {
    c_int::try_from(mtu).unwrap_or(c_int::MAX)
}

unsafe extern "C" fn set_opt(socket: *mut Socket, key: c_int, value: SocketOptValue) -> Error {
    // SAFETY: as above; each arm reads only the field that belongs to the key,
    // and of these any bytes are valid.
    unsafe {
        method(socket, |object| {
            let socket = object.socket();
            match key {
                key::RECV_TIMEOUT => socket.set_receive_timeout(value.recv_timeout.into()).into(),
                #[cfg(not(feature = "avs-commons-4"))]
                key::PREFERRED_FAMILY | key::FORCED_FAMILY => {
                    let Ok(family) = convert::family(value.addr_family) else {
                        return ErrorCode::EINVAL.into();
                    };
                    if key == key::FORCED_FAMILY {
                        socket.set_forced_family(family);
                    } else {
                        socket.set_preferred_family(family);
                    }
                    Error::OK
                }
                // What can only be read, and keys that such sockets lack.
                _ => ErrorCode::EINVAL.into(),
            }
        })
    }
}
