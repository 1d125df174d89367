//! The C side of the demo: the exported symbols and the 20 methods, as safe
//! Rust.
//!
//! Nothing here calls the library's Rust API. The functions are declared as a
//! C program would declare them and resolved by the linker; every socket
//! operation goes through the function pointer in the object's v-table.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use anjay_net::abi::{Error, ResolvedEndpoint, Socket as RawSocket};

use crate::net_error::NetError;

mod socket;

pub use socket::{Received, Socket, State};

unsafe extern "C" {
    fn _avs_net_initialize_global_compat_state() -> Error;
    fn _avs_net_cleanup_global_compat_state();
    fn _avs_net_create_tcp_socket(out: *mut *mut RawSocket, config: *const c_void) -> Error;
    fn _avs_net_create_udp_socket(out: *mut *mut RawSocket, config: *const c_void) -> Error;
    // The list is opaque to a C caller: `c_void` stands for it.
    fn avs_net_addrinfo_resolve_ex(
        socket_type: c_int,
        family: c_int,
        host: *const c_char,
        port: *const c_char,
        flags: c_int,
        preferred: *const ResolvedEndpoint,
    ) -> *mut c_void;
    fn avs_net_addrinfo_next(list: *mut c_void, out: *mut ResolvedEndpoint) -> c_int;
    fn avs_net_addrinfo_delete(list: *mut *mut c_void);
    fn avs_net_resolved_endpoint_get_host_port(
        endpoint: *const ResolvedEndpoint,
        host: *mut c_char,
        host_size: usize,
        port: *mut c_char,
        port_size: usize,
    ) -> Error;
}

/// `AVS_NET_UDP_SOCKET`.
const UDP: c_int = 1;
/// Room for any numeric address with a scope.
const HOST_SIZE: usize = 64;
/// Room for a port and its NUL.
const PORT_SIZE: usize = 6;

/// Whether connect remembers the address it reached and returns to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stickiness {
    /// With a `preferred_endpoint`.
    Sticky,
    /// Without one.
    Free,
}

/// A resolved endpoint.
#[derive(Clone, Copy)]
pub struct Endpoint(ResolvedEndpoint);

impl Endpoint {
    /// Numeric host and port; `None` when no address is stored.
    pub fn text(&self) -> Option<(String, String)> {
        let mut host = [0 as c_char; HOST_SIZE];
        let mut port = [0 as c_char; PORT_SIZE];
        // SAFETY: the endpoint is a whole object, the buffers are as long as
        // the sizes say.
        let error = unsafe {
            avs_net_resolved_endpoint_get_host_port(
                &self.0,
                host.as_mut_ptr(),
                host.len(),
                port.as_mut_ptr(),
                port.len(),
            )
        };
        (error.code == 0).then(|| (text(&host), text(&port)))
    }
}

/// The library's global state; sockets are made from it.
pub struct Library(());

impl Library {
    /// `_avs_net_initialize_global_compat_state`.
    pub fn initialize() -> Result<Self, NetError> {
        // SAFETY: takes nothing; called before any other function.
        let error = unsafe { _avs_net_initialize_global_compat_state() };
        check("_avs_net_initialize_global_compat_state", error)?;
        Ok(Self(()))
    }

    /// A UDP socket, closed.
    pub fn udp(&self, stickiness: Stickiness) -> Result<Socket, NetError> {
        Socket::create(
            "_avs_net_create_udp_socket",
            _avs_net_create_udp_socket,
            stickiness,
        )
    }

    /// A TCP socket, closed.
    pub fn tcp(&self) -> Result<Socket, NetError> {
        Socket::create(
            "_avs_net_create_tcp_socket",
            _avs_net_create_tcp_socket,
            Stickiness::Free,
        )
    }

    /// Every endpoint of a name for UDP, in the order a connect would try
    /// them; empty when it can't be resolved.
    pub fn resolve(&self, host: &str, port: &str, preferred: Option<&Endpoint>) -> Vec<Endpoint> {
        let (host, port) = (c_string(host), c_string(port));
        let preferred = preferred.map_or(ptr::null(), |endpoint| ptr::from_ref(&endpoint.0));
        // SAFETY: both strings are terminated and outlive the call, the
        // preferred endpoint is NULL or a whole object.
        let mut list = unsafe {
            avs_net_addrinfo_resolve_ex(UDP, 0, host.as_ptr(), port.as_ptr(), 0, preferred)
        };
        let mut found = Vec::new();
        let mut endpoint = empty_endpoint();
        // SAFETY: a list that is not NULL lives until it is deleted below;
        // `endpoint` is a whole object that next may write.
        while !list.is_null() && unsafe { avs_net_addrinfo_next(list, &mut endpoint) } == 0 {
            found.push(Endpoint(endpoint));
        }
        // SAFETY: the list is ours or NULL, and is not used again.
        unsafe { avs_net_addrinfo_delete(&mut list) };
        found
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: takes nothing; sockets do not outlive `main`'s library.
        unsafe { _avs_net_cleanup_global_compat_state() }
    }
}

fn check(call: &'static str, error: Error) -> Result<(), NetError> {
    match error.code {
        0 => Ok(()),
        code => Err(NetError::new(call, code)),
    }
}

fn empty_endpoint() -> ResolvedEndpoint {
    // SAFETY: all zero bytes are an endpoint that stores nothing.
    unsafe { std::mem::zeroed() }
}

/// The demo's own texts and the user's arguments; a NUL in one ends it.
fn c_string(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

/// The text in a buffer that was zeroed before a method wrote to it.
fn text(buffer: &[c_char]) -> String {
    let bytes: Vec<u8> = buffer.iter().map(|&byte| byte as u8).collect();
    CStr::from_bytes_until_nul(&bytes).map_or_else(
        |_| String::from("(no NUL)"),
        |text| text.to_string_lossy().into_owned(),
    )
}
