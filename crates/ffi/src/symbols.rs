//! The symbols that avs_commons expects from a socket implementation.
//!
//! Their names are avs_commons'. All may be called from any thread.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;
use std::alloc::{Layout, alloc, dealloc};

use anjay_net_resolve::{EndpointList, Families, Policy, V4Form};
use anjay_net_socket::{Kind, Resolution, resolve};

use crate::abi::{
    ADDRINFO_END, ADDRINFO_RESOLVE_F_PASSIVE, ADDRINFO_RESOLVE_F_V4MAPPED, AddrInfo, Error,
    ResolvedEndpoint, Socket, SocketType,
};
use crate::errno::ErrorCode;
use crate::literal::plain_ipv4_apart;
use crate::object::Object;
use crate::panic::{function, some_or_return};
use crate::{abi_check, convert};

/// Prepares the process; there is nothing to prepare.
///
/// Errors: ENOEXEC for a program whose avs_commons passes option values in the
/// other way, which a sentence on standard error explains once.
#[unsafe(no_mangle)]
pub extern "C" fn _avs_net_initialize_global_compat_state() -> Error {
    function(ErrorCode::UnknownError.into(), abi_check::check)
}

/// Undoes _avs_net_initialize_global_compat_state().
#[unsafe(no_mangle)]
pub extern "C" fn _avs_net_cleanup_global_compat_state() {}

/// Makes a closed TCP socket. `config` is an
/// `anjay_net_socket_configuration_t`, or NULL for the default.
///
/// Errors: EINVAL for NULL and for a configuration out of its limits; ENOMEM;
/// ENOEXEC as _avs_net_initialize_global_compat_state().
///
/// # Safety
/// `out` is NULL or writable; `config` is NULL or a configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _avs_net_create_tcp_socket(
    out: *mut *mut Socket,
    config: *const c_void,
) -> Error {
    function(ErrorCode::UnknownError.into(), || {
        // SAFETY: the caller's promise.
        unsafe { Object::create(Kind::Tcp, out, config) }
    })
}

/// Makes a closed UDP socket; as _avs_net_create_tcp_socket().
///
/// # Safety
/// As _avs_net_create_tcp_socket().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _avs_net_create_udp_socket(
    out: *mut *mut Socket,
    config: *const c_void,
) -> Error {
    function(ErrorCode::UnknownError.into(), || {
        // SAFETY: the caller's promise.
        unsafe { Object::create(Kind::Udp, out, config) }
    })
}

/// Resolves a host and a port to a list of endpoints, in the order in which a
/// socket would try them. NULL on any error.
///
/// `preferred` comes first if it is among them; it may be NULL.
///
/// # Safety
/// `host` and `port` are NULL or NUL-terminated, `preferred` is NULL or an
/// endpoint.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn avs_net_addrinfo_resolve_ex(
    socket_type: c_int,
    family: c_int,
    host: *const c_char,
    port: *const c_char,
    flags: c_int,
    preferred: *const ResolvedEndpoint,
) -> *mut AddrInfo {
    const KNOWN_TYPES: core::ops::RangeInclusive<c_int> =
        SocketType::Tcp as c_int..=SocketType::Dtls as c_int;
    function(ptr::null_mut(), || {
        if !KNOWN_TYPES.contains(&socket_type) {
            return ptr::null_mut();
        }
        let families = match convert::family(family) {
            Ok(Some(family)) => Families::Only(family),
            Ok(None) => Families::default(),
            Err(_) => return ptr::null_mut(),
        };
        let policy = Policy {
            families,
            v4: if flags & ADDRINFO_RESOLVE_F_V4MAPPED != 0 {
                V4Form::Mapped
            } else {
                V4Form::Native
            },
        };
        // SAFETY: the caller's promise.
        if let Some(addr) = unsafe { plain_ipv4_apart(host, port) } {
            return EndpointList::literal(addr.into(), &policy).map_or(ptr::null_mut(), list_to_c);
        }
        // SAFETY: the caller's promise.
        let (host, port, preferred) = unsafe {
            (
                convert::text(host),
                convert::text(port),
                convert::endpoint(preferred),
            )
        };
        let question = Resolution {
            host,
            port,
            policy,
            preferred,
            passive: flags & ADDRINFO_RESOLVE_F_PASSIVE != 0,
        };
        match resolve(&question) {
            Ok(list) => list_to_c(list),
            Err(_) => ptr::null_mut(),
        }
    })
}

/// A list on the heap of C's making; NULL when memory runs out.
#[inline]
fn list_to_c(list: EndpointList) -> *mut AddrInfo {
    // Not a Box: that one ends the program when memory runs out.
    // SAFETY: the layout is not empty.
    let place: *mut EndpointList = unsafe { alloc(Layout::new::<EndpointList>()) }.cast();
    if !place.is_null() {
        // SAFETY: just allocated, with this layout.
        unsafe { place.write(list) };
    }
    place.cast()
}

/// The list behind a pointer of C; `None` for NULL and what is misaligned.
///
/// # Safety
/// `list` is NULL or made by `list_to_c`, not deleted, and used by no other
/// thread.
unsafe fn list_from_c<'a>(list: *mut AddrInfo) -> Option<&'a mut EndpointList> {
    let list: *mut EndpointList = list.cast();
    if !list.is_aligned() {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe { list.as_mut() }
}

/// Stores the next endpoint of a list.
///
/// 0 when there was one, 1 at the end of the list, -1 for NULL.
///
/// # Safety
/// `ctx` is NULL or a list that no other thread uses; `out` is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn avs_net_addrinfo_next(
    ctx: *mut AddrInfo,
    out: *mut ResolvedEndpoint,
) -> c_int {
    function(-1, || {
        if out.is_null() {
            return -1;
        }
        // SAFETY: the caller's promise.
        let list = some_or_return!(unsafe { list_from_c(ctx) }, -1);
        let addr = some_or_return!(list.next(), ADDRINFO_END);
        // SAFETY: the caller's promise.
        some_or_return!(unsafe { convert::put_endpoint(out, &addr) }, -1);
        0
    })
}

/// Starts a list over from its first endpoint.
///
/// # Safety
/// `ctx` is NULL or a list that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn avs_net_addrinfo_rewind(ctx: *mut AddrInfo) {
    // SAFETY: the caller's promise.
    if let Some(list) = unsafe { list_from_c(ctx) } {
        list.rewind();
    }
}

/// Frees a list and sets the pointer to NULL; NULL and a pointer to NULL are
/// fine.
///
/// # Safety
/// `ctx` is NULL or points at NULL or at a list that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn avs_net_addrinfo_delete(ctx: *mut *mut AddrInfo) {
    function((), || {
        if ctx.is_null() {
            return;
        }
        // SAFETY: not NULL, and the caller's promise.
        let list: *mut EndpointList = unsafe { ctx.read_unaligned() }.cast();
        // SAFETY: as above.
        unsafe { ctx.write_unaligned(ptr::null_mut()) };
        if !list.is_null() && list.is_aligned() {
            // SAFETY: made by `list_to_c` with this layout, and nobody else's.
            unsafe {
                list.drop_in_place();
                dealloc(list.cast(), Layout::new::<EndpointList>());
            }
        }
    });
}

/// Writes the numeric host and port of an endpoint; either output may be NULL.
///
/// Errors: EINVAL for an endpoint that is NULL or holds no address; ERANGE for
/// a buffer that is too small, and then nothing is written to it.
///
/// # Safety
/// `endpoint` is NULL or readable; buffers are NULL or writable for their size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn avs_net_resolved_endpoint_get_host_port(
    endpoint: *const ResolvedEndpoint,
    host: *mut c_char,
    host_size: usize,
    port: *mut c_char,
    port_size: usize,
) -> Error {
    function(ErrorCode::UnknownError.into(), || {
        // SAFETY: the caller's promise.
        unsafe {
            let addr = some_or_return!(convert::endpoint(endpoint), ErrorCode::EINVAL.into());
            convert::put_host_port(&addr, (host, host_size), (port, port_size))
        }
    })
}
