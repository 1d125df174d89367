//! Stored endpoints and address lists.

use std::ffi::c_int;
use std::mem;
use std::ptr;

use anjay_net::abi::{AddrInfo, ResolvedEndpoint, SOCKADDR_CAPACITY};
use anjay_net::symbols;

use crate::{Buffer, Code, Text, code};

/// An endpoint that stores nothing.
pub fn no_endpoint() -> ResolvedEndpoint {
    // SAFETY: integers and a union of them, for which zero bytes are valid.
    unsafe { mem::zeroed() }
}

/// `avs_net_resolved_endpoint_get_host_port` with buffers of those sizes.
pub fn host_port(
    endpoint: &ResolvedEndpoint,
    host_size: usize,
    port_size: usize,
) -> (Code, Buffer, Buffer) {
    let (mut host, mut port) = (Buffer::new(host_size), Buffer::new(port_size));
    // SAFETY: the endpoint is a whole struct, and the buffers have these sizes.
    let error = unsafe {
        symbols::avs_net_resolved_endpoint_get_host_port(
            endpoint,
            host.space().as_mut_ptr().cast(),
            host_size,
            port.space().as_mut_ptr().cast(),
            port_size,
        )
    };
    (Code::of(error), host, port)
}

/// The same with NULL in the place of both buffers.
pub fn no_text(endpoint: &ResolvedEndpoint) -> Code {
    let null = ptr::null_mut();
    // SAFETY: the endpoint is a whole struct, and either text may be left out.
    Code::of(unsafe {
        symbols::avs_net_resolved_endpoint_get_host_port(endpoint, null, 80, null, 80)
    })
}

/// Host and port of an endpoint; `None` when nothing is stored.
pub fn text_of(endpoint: &ResolvedEndpoint) -> Option<(String, String)> {
    let (outcome, host, port) = host_port(endpoint, 64, 6);
    (outcome == code::OK).then(|| (host.text(), port.text()))
}

/// The bytes of the sockaddr that count.
pub fn stored(endpoint: &ResolvedEndpoint) -> &[u8] {
    // SAFETY: any bytes are a buffer, and all of them are initialised.
    let data: &[u8; SOCKADDR_CAPACITY] = unsafe { &endpoint.data.buf };
    &data[..usize::from(endpoint.size)]
}

/// Arguments of `avs_net_addrinfo_resolve_ex`.
#[derive(Clone, Copy)]
#[allow(missing_docs)] // the names are the ABI's
pub struct Question<'a, T> {
    pub socket_type: c_int,
    pub family: c_int,
    pub host: T,
    pub port: T,
    pub flags: c_int,
    pub preferred: Option<&'a ResolvedEndpoint>,
}

fn start<T: Text>(question: &Question<'_, T>) -> *mut AddrInfo {
    let (host, port) = (question.host, question.port);
    host.pass(|host| {
        // SAFETY: the texts are NULL or terminated and outlive the call, and
        // the endpoint is NULL or a whole struct.
        port.pass(|port| unsafe {
            symbols::avs_net_addrinfo_resolve_ex(
                question.socket_type,
                question.family,
                host,
                port,
                question.flags,
                question.preferred.map_or(ptr::null(), ptr::from_ref),
            )
        })
    })
}

/// The first of the list alone, with nothing verified.
#[inline]
pub fn first<T: Text>(question: &Question<'_, T>) -> Option<ResolvedEndpoint> {
    let mut list = start(question);
    let mut endpoint = no_endpoint();
    // SAFETY: NULL or a list, which is deleted once; a whole struct to write to.
    let found = unsafe {
        let found = symbols::avs_net_addrinfo_next(list, &mut endpoint);
        symbols::avs_net_addrinfo_delete(&mut list);
        found
    };
    (found == 0).then_some(endpoint)
}

/// The whole list; `None` for NULL. Rewinding it must give it again.
pub fn resolve<T: Text>(question: &Question<'_, T>) -> Option<Vec<ResolvedEndpoint>> {
    let mut list = start(question);
    if list.is_null() {
        return None;
    }
    let all = || {
        let mut found = Vec::new();
        let mut next = no_endpoint();
        loop {
            // SAFETY: the list is deleted below, and the endpoint is a whole
            // struct to write to.
            match unsafe { symbols::avs_net_addrinfo_next(list, &mut next) } {
                0 => found.push(next),
                1 => return found,
                other => panic!("avs_net_addrinfo_next: {other}"),
            }
        }
    };
    let found = all();
    // SAFETY: the list is deleted below.
    unsafe { symbols::avs_net_addrinfo_rewind(list) };
    let again = all();
    assert!(
        found.iter().map(stored).eq(again.iter().map(stored)),
        "rewinding starts the same list over"
    );
    // SAFETY: the list is not used again.
    unsafe { symbols::avs_net_addrinfo_delete(&mut list) };
    assert!(list.is_null());
    Some(found)
}
