//! The symbols that avs_commons expects from a socket implementation.
//!
//! Their names are avs_commons'. All may be called from any thread.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;
use std::net::SocketAddr;

use anjay_net_resolve::{Families, Policy, V4Form};
use anjay_net_socket::{Kind, Resolution, resolve, try_box};

use crate::abi::{
    ADDRINFO_END, ADDRINFO_RESOLVE_F_PASSIVE, ADDRINFO_RESOLVE_F_V4MAPPED, AddrInfo, Error,
    ResolvedEndpoint, Socket,
};
use crate::convert::{self, Out, OutText};
use crate::object::Object;
use crate::panic::{catch, not_null};
use crate::vtable::VTABLE;
use crate::{abi_check, logging};

/// Prepares the process, which creating a socket does as well.
///
/// Errors: ENOEXEC if the program was built for the other layout of option values;
/// a message on standard error says what to do.
#[unsafe(no_mangle)]
pub extern "C" fn _avs_net_initialize_global_compat_state() -> Error {
    catch(prepare).into()
}

/// What comes before the first socket.
fn prepare() -> Result<(), Error> {
    logging::start();
    abi_check::check()
}

/// Does nothing: there is nothing to clean up.
#[unsafe(no_mangle)]
pub extern "C" fn _avs_net_cleanup_global_compat_state() {}

/// Creates a closed TCP socket. `config` is an
/// `anjay_net_socket_configuration_t`, or NULL for the default.
///
/// Errors: EINVAL if `out` is NULL or a value is out of its limits; ENOMEM;
/// ENOEXEC as _avs_net_initialize_global_compat_state().
///
/// # Safety
/// `out` is NULL or writable; `config` is NULL or a configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _avs_net_create_tcp_socket(
    out: *mut *mut Socket,
    config: *const c_void,
) -> Error {
    // SAFETY: a place for the socket and a configuration, or NULL.
    unsafe { create(Kind::Tcp, out, config) }
}

/// Creates a closed UDP socket; as _avs_net_create_tcp_socket().
///
/// # Safety
/// As _avs_net_create_tcp_socket().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _avs_net_create_udp_socket(
    out: *mut *mut Socket,
    config: *const c_void,
) -> Error {
    // SAFETY: a place for the socket and a configuration, or NULL.
    unsafe { create(Kind::Udp, out, config) }
}

/// # Safety
/// An `out` that is not NULL is writable, and nothing else uses it during the
/// call; `config` is NULL or a configuration, whose preferred endpoint is NULL
/// or outlives the socket.
unsafe fn create(kind: Kind, out: *mut *mut Socket, config: *const c_void) -> Error {
    // SAFETY: NULL or writable, and the call's own.
    let out = unsafe { Out::new(out) };
    catch(|| {
        let mut out = not_null!(out);
        out.put(ptr::null_mut());
        prepare()?;
        // SAFETY: NULL or a configuration whose endpoint outlives the socket.
        out.put(unsafe { Object::create(&VTABLE, kind, config.cast()) }?);
        Ok(())
    })
    .into()
}

/// Resolves a host and a port to a list of endpoints, in the order in which a
/// socket would try them. Returns NULL on any error.
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
    // SAFETY: two texts and an endpoint, or NULL.
    let (host, port, preferred) = unsafe {
        (
            convert::text(host),
            convert::text(port),
            convert::endpoint(preferred),
        )
    };
    catch(|| {
        logging::start();
        let kind = not_null!(convert::kind(socket_type));
        let family = not_null!(convert::family(family).ok());
        let families = family.map_or_else(Families::default, Families::Only);
        let v4 = match flags & ADDRINFO_RESOLVE_F_V4MAPPED {
            0 => V4Form::Native,
            _ => V4Form::Mapped,
        };
        let request = Resolution {
            kind,
            host,
            port,
            policy: Policy { families, v4 },
            preferred,
            passive: flags & ADDRINFO_RESOLVE_F_PASSIVE != 0,
        };
        let list = resolve(&request).and_then(|endpoints| try_box(List { endpoints, next: 0 }));
        list.map_or(ptr::null_mut(), |list| Box::into_raw(list).cast())
    })
}

/// What C calls an address list.
struct List {
    endpoints: Vec<SocketAddr>,
    next: usize,
}

/// The list behind a pointer of C; `None` for NULL and what is misaligned.
///
/// # Safety
/// A `list` that is neither is made by [`avs_net_addrinfo_resolve_ex`], not
/// deleted during `'a`, and nothing else uses it during that.
unsafe fn list<'a>(list: *mut AddrInfo) -> Option<&'a mut List> {
    let list: *mut List = list.cast();
    if !list.is_aligned() {
        return None;
    }
    // SAFETY: NULL, or a list that is there and used by nothing else.
    unsafe { list.as_mut() }
}

/// Stores the next endpoint of a list.
///
/// Returns 0, 1 at the end of the list, or -1 if an argument is NULL.
///
/// # Safety
/// `ctx` is NULL or a list that no other thread uses; `out` is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn avs_net_addrinfo_next(
    ctx: *mut AddrInfo,
    out: *mut ResolvedEndpoint,
) -> c_int {
    // SAFETY: a list that no other thread uses, and a place for an endpoint, or
    // NULL.
    let (list, out) = unsafe { (list(ctx), Out::new(out)) };
    catch(|| {
        let (list, mut out) = (not_null!(list), not_null!(out));
        let Some(addr) = list.endpoints.get(list.next) else {
            return ADDRINFO_END;
        };
        list.next += 1;
        out.put_endpoint(addr);
        0
    })
}

/// Goes back to the first endpoint of a list.
///
/// # Safety
/// `ctx` is NULL or a list that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn avs_net_addrinfo_rewind(ctx: *mut AddrInfo) {
    // SAFETY: a list that no other thread uses, or NULL.
    let list = unsafe { list(ctx) };
    catch(|| not_null!(list).next = 0);
}

/// Frees a list and sets the pointer to NULL; does nothing for NULL and for a
/// pointer to NULL.
///
/// # Safety
/// `ctx` is NULL or points at NULL or at a list that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn avs_net_addrinfo_delete(ctx: *mut *mut AddrInfo) {
    // SAFETY: NULL, or a pointer of C that is the call's own.
    let place = unsafe { convert::pointer(ctx) };
    catch(|| {
        let (ctx, mut place) = not_null!(place);
        place.put(ptr::null_mut());
        // SAFETY: a list that no other thread uses, or NULL.
        let list: *mut List = not_null!(unsafe { list(ctx) });
        // SAFETY: avs_net_addrinfo_resolve_ex made it from a box of this type,
        // and C has no pointer to it any more.
        drop(unsafe { Box::from_raw(list) });
    });
}

/// Writes the numeric host and port of an endpoint; either output may be NULL.
///
/// Errors: EINVAL if `endpoint` is NULL or stores no address; ERANGE if a buffer is
/// too small, which then is not written to.
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
    // SAFETY: an endpoint and buffers of those sizes, the call's own, or NULL.
    let (addr, host, port) = unsafe {
        (
            convert::endpoint(endpoint),
            OutText::new(host, host_size),
            OutText::new(port, port_size),
        )
    };
    catch(|| convert::put_host_port(&not_null!(addr), host, port)).into()
}
