//! Configuration structs of any bytes.

use std::ffi::c_int;
use std::net::{Ipv4Addr, Ipv6Addr};

use socket2::{Domain, Protocol, Type};

use crate::c::abi::{ResolvedEndpoint, SocketConfiguration};
use crate::c::{self, Code, Kind, NULL, Socket};
use crate::{code, kernel};

/// Takes the bytes for a kind of socket and a
/// `avs_net_socket_configuration_t`, and compares what comes of it with what
/// the fields say.
pub fn check(data: &[u8]) {
    let [choices, bytes @ ..] = data else {
        return;
    };
    let kind = if choices & 1 == 0 {
        Kind::Udp
    } else {
        Kind::Tcp
    };
    let mut endpoint = c::no_endpoint();
    let preferred = (choices & 2 != 0).then_some(&mut endpoint);
    let config = configuration_of(bytes, preferred);
    let created = Socket::create(kind, config);
    let socket = match (is_valid(&config), created) {
        (Some(true), Ok(socket)) | (None, Ok(socket)) => socket,
        (Some(false), Err(code)) | (None, Err(code)) => {
            assert_eq!(code, code::EINVAL);
            return;
        }
        (Some(valid), created) => {
            let code = created.err();
            panic!("valid: {valid}, and creating it gave {code:?}");
        }
    };
    check_closed(&socket, &config);
    match socket.bind(NULL, NULL) {
        code::OK => check_bound(&socket, kind, &config),
        error => {
            assert_eq!(Some(error), first_refusal(kind, &config), "bind");
            check_closed(&socket, &config);
        }
    }
    assert_eq!(socket.close(), code::OK);
    check_closed(&socket, &config);
}

/// The bytes as they are, but for the pointer, which C promises to be valid.
fn configuration_of(bytes: &[u8], preferred: Option<&mut ResolvedEndpoint>) -> SocketConfiguration {
    let mut config = c::default_configuration();
    let len = bytes.len().min(size_of::<SocketConfiguration>());
    // SAFETY: both are valid for `len` bytes; any bytes are a configuration.
    unsafe {
        (&raw mut config)
            .cast::<u8>()
            .copy_from_nonoverlapping(bytes.as_ptr(), len);
    }
    config.preferred_endpoint = preferred.map_or(std::ptr::null_mut(), std::ptr::from_mut);
    config
}

/// The name's bytes up to the NUL; `None` without one.
fn interface(config: &SocketConfiguration) -> Option<Vec<u8>> {
    let bytes = config.interface_name.map(|byte| byte as u8);
    let end = bytes.iter().position(|&byte| byte == 0)?;
    Some(bytes[..end].to_vec())
}

/// Whether a socket can be made with it; `None` where that is left open.
fn is_valid(config: &SocketConfiguration) -> Option<bool> {
    let is_family = |family| (0..=2).contains(&family);
    let in_limits = config.dscp <= 63
        && config.priority <= 7
        && config.reuse_addr <= 1
        && config.transparent <= 1
        && is_family(config.address_family)
        && is_family(config.preferred_family);
    match interface(config) {
        Some(name) if in_limits && std::str::from_utf8(&name).is_err() => None,
        Some(_) => Some(in_limits),
        None => Some(false),
    }
}

/// What is true whenever the socket has no descriptor.
fn check_closed(socket: &Socket, config: &SocketConfiguration) {
    const STATE: c_int = 1;
    const FAMILY: c_int = 2;
    const MTU: c_int = 3;
    const PREFERRED: c_int = 12;
    const FORCED: c_int = 13;
    assert_eq!(socket.int_option(STATE), Ok(0));
    assert_eq!(socket.int_option(FAMILY), Ok(0));
    assert_eq!(socket.int_option(PREFERRED), Ok(config.preferred_family));
    assert_eq!(socket.int_option(FORCED), Ok(config.address_family));
    assert_eq!(socket.descriptor(), None);
    let mtu = match config.forced_mtu {
        mtu @ 1.. => Ok(mtu),
        _ => Err(code::EBADF),
    };
    assert_eq!(socket.int_option(MTU), mtu);
    let interface = interface(config).expect("it was valid");
    let name = match String::from_utf8(interface) {
        Ok(name) if !name.is_empty() => Ok(name),
        _ => Err(code::EBADF),
    };
    assert_eq!(socket.interface_name(), name);
}

/// That the kernel knows what the configuration says.
fn check_bound(socket: &Socket, kind: Kind, config: &SocketConfiguration) {
    const INNER_MTU: c_int = 4;
    assert_eq!(first_refusal(kind, config), None, "bind succeeded");
    let fd = socket.descriptor().expect("a bound socket has one");
    let family = kernel::family(fd);
    match config.address_family {
        1 => assert_eq!(family, libc::AF_INET),
        2 => assert_eq!(family, libc::AF_INET6),
        _ => {}
    }
    let option = |level, name| kernel::int_option(fd, level, name).expect("an option of sockets");
    let (class, transparent) = if family == libc::AF_INET6 {
        let class = option(libc::IPPROTO_IPV6, libc::IPV6_TCLASS);
        // A dual-stack socket sends IPv4 as well.
        assert_eq!(option(libc::IPPROTO_IP, libc::IP_TOS), class);
        (class, option(libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT))
    } else {
        let class = option(libc::IPPROTO_IP, libc::IP_TOS);
        (class, option(libc::IPPROTO_IP, libc::IP_TRANSPARENT))
    };
    assert_eq!(class, i32::from(config.dscp) << 2, "the traffic class");
    assert_eq!(transparent, i32::from(config.transparent));
    let reuse = option(libc::SOL_SOCKET, libc::SO_REUSEADDR);
    assert_eq!(reuse, i32::from(config.reuse_addr));
    if config.priority != 0 {
        let priority = option(libc::SOL_SOCKET, libc::SO_PRIORITY);
        assert_eq!(priority, i32::from(config.priority));
    }
    let device = kernel::device(fd).expect("an option of sockets");
    assert_eq!(Some(device), interface(config));

    let overhead = if family == libc::AF_INET6 { 48 } else { 28 };
    let inner_mtu = match (kind, config.forced_mtu) {
        (Kind::Tcp, _) => Err(code::ENOTSUP),
        (Kind::Udp, mtu @ 1..) => Ok((mtu - overhead).max(0)),
        (Kind::Udp, _) if family == libc::AF_INET6 => Ok(1232),
        (Kind::Udp, _) => Ok(548),
    };
    assert_eq!(socket.int_option(INNER_MTU), inner_mtu);
}

/// The code of what the kernel does not let this process have, as it tells us
/// ourselves.
fn first_refusal(kind: Kind, config: &SocketConfiguration) -> Option<Code> {
    let (domain, any) = match config.address_family {
        1 => (Domain::IPV4, (Ipv4Addr::UNSPECIFIED, 0).into()),
        _ => (Domain::IPV6, (Ipv6Addr::UNSPECIFIED, 0).into()),
    };
    let (stream, protocol) = match kind {
        Kind::Tcp => (Type::STREAM, Protocol::TCP),
        Kind::Udp => (Type::DGRAM, Protocol::UDP),
    };
    let socket = socket2::Socket::new(domain, stream, Some(protocol)).expect("a socket");
    let interface = interface(config).expect("it was valid");
    let tie = || match interface.is_empty() {
        true => Ok(()),
        false => socket.bind_device(Some(&interface)),
    };
    let prioritise = || match config.priority {
        0 => Ok(()),
        priority => socket.set_priority(priority.into()),
    };
    let see_through = || match config.transparent {
        0 => Ok(()),
        _ => socket.set_ip_transparent_v4(true),
    };
    let address: std::net::SocketAddr = any;
    let refusal = tie()
        .and_then(|()| prioritise())
        .and_then(|()| see_through())
        .and_then(|()| socket.bind(&address.into()))
        .err()?;
    Some(match refusal.raw_os_error() {
        Some(libc::ENODEV) => code::ENODEV,
        Some(libc::EPERM) => code::EPERM,
        Some(libc::EINVAL) => code::EINVAL,
        _ => panic!("the kernel says {refusal}"),
    })
}
