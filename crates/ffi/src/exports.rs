use crate::abi::*;
use core::ffi::{c_char,c_int,c_void};
#[unsafe(no_mangle)]
pub extern "C" fn _avs_net_initialize_global_compat_state() -> Error { Error::OK }
#[unsafe(no_mangle)]
pub extern "C" fn _avs_net_cleanup_global_compat_state() {}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _avs_net_create_tcp_socket(out: *mut *mut Socket, config: *const c_void) -> Error { Error::OK }
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _avs_net_create_udp_socket(out: *mut *mut Socket, config: *const c_void) -> Error { Error::OK }
#[unsafe(no_mangle)]
pub unsafe extern "C" fn avs_net_addrinfo_resolve_ex(socket_type: c_int, family: c_int, host: *const c_char, port: *const c_char, flags: c_int, preferred: *const ResolvedEndpoint) -> *mut AddrInfo { loop{} }
#[unsafe(no_mangle)]
pub unsafe extern "C" fn avs_net_addrinfo_next(ctx: *mut AddrInfo, out: *mut ResolvedEndpoint) -> c_int { 0 }
#[unsafe(no_mangle)]
pub unsafe extern "C" fn avs_net_addrinfo_rewind(ctx: *mut AddrInfo) {}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn avs_net_addrinfo_delete(ctx: *mut *mut AddrInfo) {}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn avs_net_resolved_endpoint_get_host_port(endpoint: *const ResolvedEndpoint, host: *mut c_char, host_size: usize, port: *mut c_char, port_size: usize) -> Error { Error::OK }
