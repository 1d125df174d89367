//! The library as C calls it, in the scenarios' words.

use std::ffi::c_int;

use anjay_net_resolve::Family;
use anjay_net_vtable::abi::{AddressFamily, ResolvedEndpoint, SocketType};
use anjay_net_vtable::addrinfo::{self, Question};
use anjay_net_vtable::{Info, Kind, Socket};

pub(crate) fn tcp() -> Socket {
    Socket::new(Kind::Tcp)
}

pub(crate) fn udp() -> Socket {
    Socket::new(Kind::Udp)
}

/// The host of an endpoint.
pub(crate) fn host(endpoint: &ResolvedEndpoint) -> Option<String> {
    addrinfo::text_of(endpoint).map(|(host, _)| host)
}

/// The address that a socket is connected to.
pub(crate) fn remote_host(socket: &Socket) -> Option<String> {
    socket.info(Info::RemoteHost, 64).ok()
}

/// The list for UDP and the servers' port; `None` for its NULL.
pub(crate) fn resolve(
    host: &str,
    family: Option<Family>,
    preferred: Option<&ResolvedEndpoint>,
) -> Option<Vec<ResolvedEndpoint>> {
    addrinfo::resolve(&Question {
        socket_type: SocketType::Udp as c_int,
        family: family_value(family),
        host,
        port: "5683",
        flags: 0,
        preferred,
    })
}

/// The value of `AVS_NET_AF_*`.
pub(crate) fn family_value(family: Option<Family>) -> c_int {
    (match family {
        None => AddressFamily::Unspec,
        Some(Family::V4) => AddressFamily::Inet4,
        Some(Family::V6) => AddressFamily::Inet6,
    }) as c_int
}
