//! Stored endpoints of any bytes.

use crate::c::abi::{ResolvedEndpoint, SOCKADDR_CAPACITY};
use crate::c::{self, Kind, NULL, Question, Socket};
use crate::code;
use crate::host;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Takes the bytes for a `avs_net_resolved_endpoint_t` and hands it to every
/// function that reads one.
pub fn check(data: &[u8]) {
    let (sizes, bytes) = data.split_at(data.len().min(2));
    let endpoint = endpoint_of(bytes);
    let addr = meaning(&endpoint);
    let size = |index: usize| usize::from(sizes.get(index).copied().unwrap_or(80));
    check_text(&endpoint, addr, size(0), size(1));
    check_as_preferred(&endpoint, addr);
    check_connect(&endpoint);
}

/// The first byte is the size, the others are the data.
fn endpoint_of(bytes: &[u8]) -> ResolvedEndpoint {
    let mut endpoint = c::no_endpoint();
    if let [size, data @ ..] = bytes {
        endpoint.size = *size;
        let mut buf = [0; SOCKADDR_CAPACITY];
        let len = data.len().min(buf.len());
        buf[..len].copy_from_slice(&data[..len]);
        endpoint.data.buf = buf;
    }
    endpoint
}

/// The address in a sockaddr (ip(7), ipv6(7)).
fn meaning(endpoint: &ResolvedEndpoint) -> Option<SocketAddr> {
    let size = usize::from(endpoint.size);
    // SAFETY: any bytes are a buffer, and all of them are initialised.
    let data = unsafe { &endpoint.data.buf };
    // Longer than any address that is stored here.
    if size > size_of::<libc::sockaddr_in6>() {
        return None;
    }
    let family = i32::from(u16::from_ne_bytes([data[0], data[1]]));
    let port = u16::from_be_bytes([data[2], data[3]]);
    let word = |start: usize| <[u8; 4]>::try_from(&data[start..start + 4]).expect("four bytes");
    match family {
        libc::AF_INET if size >= size_of::<libc::sockaddr_in>() => {
            Some((Ipv4Addr::from(word(4)), port).into())
        }
        libc::AF_INET6 if size >= size_of::<libc::sockaddr_in6>() => {
            let ip: [u8; 16] = data[8..24].try_into().expect("sixteen bytes");
            let flow = u32::from_ne_bytes(word(4));
            let scope = u32::from_ne_bytes(word(24));
            Some(SocketAddrV6::new(Ipv6Addr::from(ip), port, flow, scope).into())
        }
        _ => None,
    }
}

fn check_text(
    endpoint: &ResolvedEndpoint,
    addr: Option<SocketAddr>,
    host_size: usize,
    port_size: usize,
) {
    let (whole, host, port) = c::host_port(endpoint, 80, 6);
    let Some(addr) = addr else {
        assert_eq!(whole, code::EINVAL, "no address");
        host.assert_untouched();
        port.assert_untouched();
        return;
    };
    assert_eq!(whole, code::OK, "{addr}");
    let (host, port) = (host.text(), port.text());
    host::assert_plain(&host, addr);
    assert_eq!(port, addr.port().to_string());

    // Buffers of any size.
    let (result, host_out, port_out) = c::host_port(endpoint, host_size, port_size);
    let (host_fits, port_fits) = (host.len() < host_size, port.len() < port_size);
    let expected = if host_fits && port_fits {
        code::OK
    } else {
        code::ERANGE
    };
    assert_eq!(result, expected, "{addr} into {host_size} and {port_size}");
    for (fits, out, text) in [(host_fits, host_out, host), (port_fits, port_out, port)] {
        if fits {
            assert_eq!(out.text(), text);
        } else {
            out.assert_untouched();
        }
    }

    assert_eq!(
        c::addrinfo::no_text(endpoint),
        code::OK,
        "neither is needed"
    );
}

/// A preferred endpoint can change the order of a list, never what is in it.
fn check_as_preferred(endpoint: &ResolvedEndpoint, addr: Option<SocketAddr>) {
    let question = Question {
        socket_type: 1,
        family: 0,
        host: NULL,
        port: Some(b"5683"),
        flags: 1,
        preferred: Some(endpoint),
    };
    let texts = |endpoints: Vec<ResolvedEndpoint>| -> Vec<String> {
        let text = |endpoint| c::host_port(endpoint, 80, 6).1.text();
        endpoints.iter().map(text).collect()
    };
    let list = texts(c::resolve(&question).expect("two wildcards"));
    let prefers_v4 = addr
        .is_some_and(|addr| host::plain(addr.ip()) == Ipv4Addr::UNSPECIFIED && addr.port() == 5683);
    let expected = if prefers_v4 {
        ["0.0.0.0", "::"]
    } else {
        ["::", "0.0.0.0"]
    };
    assert_eq!(list, expected, "preferring {addr:?}");
}

/// connect reads what is stored and stores what it reached.
fn check_connect(endpoint: &ResolvedEndpoint) {
    let mut preferred = *endpoint;
    let mut config = c::default_configuration();
    config.preferred_endpoint = &mut preferred;
    let socket = Socket::create(Kind::Udp, config).expect("any endpoint will do");
    // An address, for which the endpoint does not matter, or a name of it.
    let host: &[u8] = if endpoint.size & 1 == 0 {
        b"127.0.0.1"
    } else {
        b"::1"
    };
    assert_eq!(socket.connect(Some(host), "5683"), code::OK);
    let (result, text, port) = c::host_port(&socket.preferred(), 80, 6);
    assert_eq!(result, code::OK);
    assert_eq!(text.text().as_bytes(), host);
    assert_eq!(port.text(), "5683");
    assert_eq!(socket.close(), code::OK);
    assert_eq!(c::host_port(&socket.preferred(), 80, 6).0, code::OK);
}
