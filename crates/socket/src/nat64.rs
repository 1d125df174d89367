//! IPv4 servers on a host that has IPv6 only: the addresses that a translator
//! has for them (RFC 8305 section 7.1). The format of the addresses is known to
//! `anjay_net_resolve::nat64`.

use core::time::Duration;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4};
use std::time::Instant;

use anjay_net_resolve::{
    EndpointList, Families, Family, Nat64Prefix, Policy, V4Form, is_translatable, unmap,
};
use parking_lot::Mutex;

use crate::error::is_any;
use crate::socket::Socket;
use crate::sys;

/// What to look [`IPV4ONLY_ARPA`](anjay_net_resolve::IPV4ONLY_ARPA) up with.
pub(crate) const IPV6_ONLY: Policy = Policy {
    families: Families::Only(Family::V6),
    v4: V4Form::Native,
};

/// Longest use of prefixes without asking again; a DNS64 gives no time to live
/// that getaddrinfo(3) would tell.
const LIFETIME: Duration = Duration::from_secs(600);

/// The prefixes of the network that the host was in the last time.
static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

struct Known {
    prefixes: Vec<Nat64Prefix>,
    /// The addresses of the host: other ones mean another network.
    host: Vec<Ipv6Addr>,
    since: Instant,
}

/// Whether an error means that there is no route.
pub(crate) fn is_unreachable(error: &io::Error) -> bool {
    is_any(error, &[libc::ENETUNREACH, libc::EHOSTUNREACH])
}

/// Makes `attempt` with the IPv6 addresses of translators for `addrs`, until one
/// succeeds. `error`, because of which `addrs` can't be used, is returned where
/// there is nothing to attempt: it does not mean that there is no route, the
/// socket must not use IPv6, the host has IPv4, or the network has no translator.
///
/// `ask` looks up the addresses of `ipv4only.arpa`. It is called if the prefixes
/// of this network are not known, or with those that are no attempt succeeds.
#[cold]
pub(crate) fn translate<T>(
    socket: &Socket,
    addrs: &[SocketAddr],
    error: io::Error,
    ask: impl FnOnce() -> io::Result<EndpointList>,
    mut attempt: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    if !is_unreachable(&error) || !socket.families.admit(Family::V6) {
        return Err(error);
    }
    let servers: Vec<SocketAddrV4> = addrs.iter().filter_map(translatable).collect();
    if servers.is_empty() {
        return Err(error);
    }
    let Some(host) = addresses_without_ipv4() else {
        return Err(error);
    };
    let mut failure = error;
    let mut attempt_all = |prefixes: &[Nat64Prefix]| {
        for server in &servers {
            for prefix in prefixes {
                let Some(ip) = prefix.embed(*server.ip()) else {
                    continue;
                };
                match attempt((ip, server.port()).into()) {
                    Ok(done) => return Some(done),
                    Err(error) => failure = error,
                }
            }
        }
        None
    };
    let known = known(&host);
    if let Some(done) = attempt_all(&known) {
        return Ok(done);
    }
    let answer: Vec<_> = ask().into_iter().flatten().collect();
    let mut prefixes = Nat64Prefix::discover(&answer);
    learn(host, &prefixes);
    prefixes.retain(|prefix| !known.contains(prefix));
    attempt_all(&prefixes).ok_or(failure)
}

fn translatable(addr: &SocketAddr) -> Option<SocketAddrV4> {
    match unmap(*addr) {
        SocketAddr::V4(v4) if is_translatable(*v4.ip()) => Some(v4),
        _ => None,
    }
}

/// The prefixes of a network that gave the host these addresses.
fn known(host: &[Ipv6Addr]) -> Vec<Nat64Prefix> {
    let known = KNOWN.lock();
    let valid = known
        .as_ref()
        .filter(|known| known.host == host && known.since.elapsed() < LIFETIME);
    valid.map_or_else(Vec::new, |known| known.prefixes.clone())
}

fn learn(host: Vec<Ipv6Addr>, prefixes: &[Nat64Prefix]) {
    *KNOWN.lock() = Some(Known {
        prefixes: prefixes.to_vec(),
        host,
        since: Instant::now(),
    });
}

/// The IPv6 addresses of the host; `None` if it has an IPv4 address other than
/// loopback, or none is known.
fn addresses_without_ipv4() -> Option<Vec<Ipv6Addr>> {
    let mut addresses = Vec::new();
    for entry in sys::interface_addrs().ok()? {
        match entry.addr {
            SocketAddr::V4(v4) if v4.ip().is_loopback() => {}
            SocketAddr::V4(_) => return None,
            SocketAddr::V6(v6) => addresses.push(*v6.ip()),
        }
    }
    Some(addresses)
}
