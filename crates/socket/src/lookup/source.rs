//! From which address the kernel would send.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use anjay_net_resolve::{Source, unmap};

use crate::error::Result;
use crate::family::{is_confined, is_wildcard};
use crate::socket_config::SocketConfig;
use crate::sys::{self, InterfaceName};

/// Errors of socket(2) and connect(2) that mean that there is no way: no such
/// family, no route or one that refuses (the last three), no source address.
pub(crate) const NO_WAY: [i32; 7] = [
    libc::EAFNOSUPPORT,
    libc::EADDRNOTAVAIL,
    libc::ENETDOWN,
    libc::ENETUNREACH,
    libc::EHOSTUNREACH,
    libc::EACCES,
    libc::EINVAL,
];

/// The source address of a socket with this configuration that sends to `addr`:
/// a datagram socket is connected to it, which sends nothing.
pub(crate) fn source_of(config: &SocketConfig, addr: &SocketAddr) -> Source {
    match probe(config, addr) {
        Ok(source) if is_usable(config.interface, &source) => Source::Address(source.ip()),
        Ok(_) => Source::Unreachable,
        Err(error) if error.is_any(&NO_WAY) => Source::Unreachable,
        // Out of descriptors, not permitted.
        Err(_) => Source::Unknown,
    }
}

/// The source address that the kernel chooses, or why there is none.
pub(crate) fn probe(config: &SocketConfig, addr: &SocketAddr) -> Result<SocketAddr> {
    let fd = config.open_for(addr, false)?;
    sys::connect(fd.as_fd(), addr)?;
    sys::local_addr(fd.as_fd())
}

/// Whether answers to this source find back to a socket that is tied to this interface,
/// if to any. The kernel takes every IPv4 address for a neighbour there, and without an
/// address of that kind there it sends from one of another interface, or from 0.0.0.0.
pub(crate) fn is_usable(interface: Option<InterfaceName>, source: &SocketAddr) -> bool {
    if is_wildcard(source) {
        return false;
    }
    let source = unmap(*source).ip();
    let has_address = || {
        sys::interface_addrs().map_or(true, |mut addrs| {
            addrs.any(|entry| {
                let ip = entry.addr.ip();
                entry.name == interface
                    && (ip.is_ipv4(), is_confined(ip)) == (source.is_ipv4(), is_confined(source))
            })
        })
    };
    interface.is_none() || has_address()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(addr: &str) -> Source {
        source_of(&SocketConfig::default(), &addr.parse().unwrap())
    }

    #[test]
    fn the_kernel_chooses_or_has_no_way() {
        for loopback in ["127.0.0.1:1", "[::1]:1"] {
            let addr: SocketAddr = loopback.parse().unwrap();
            assert_eq!(source(loopback), Source::Address(addr.ip()));
        }
        // A link-local address without an interface, and the broadcast address.
        assert_eq!(source("[fe80::1]:1"), Source::Unreachable);
        assert_eq!(source("255.255.255.255:1"), Source::Unreachable);
    }

    #[test]
    fn what_the_configuration_forbids_says_nothing_of_the_address() {
        let config = SocketConfig {
            interface: InterfaceName::new(b"no-such-if"),
            ..SocketConfig::default()
        };
        let addr = "127.0.0.1:1".parse().unwrap();
        assert_eq!(source_of(&config, &addr), Source::Unknown);
    }
}
