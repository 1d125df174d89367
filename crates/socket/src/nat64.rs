//! IPv4 servers on a host that has IPv6 only: the addresses that a translator
//! has for them (RFC 8305 section 7.1). The format of the addresses is known to
//! `anjay_net_resolve::nat64`.

use core::mem;
use core::time::Duration;
use std::hash::{Hash, Hasher};
use std::net::{SocketAddr, SocketAddrV4};
use std::time::Instant;

use anjay_net_resolve::{
    Families, Family, Nat64Prefix, PREFIXES_MAX, Policy, SplitMix64, V4Form, alloc, configuration,
    is_translatable, unmap,
};

use crate::error::{Errno, Result};
use crate::family::is_confined;
use crate::locks::Mutex;
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

/// The prefixes of the network that the host was last in.
static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

struct Known {
    prefixes: Prefixes,
    network: u64,
    since: Instant,
}

type Prefixes = [Option<Nat64Prefix>; PREFIXES_MAX];

/// Whether an error means that there is no route.
pub(crate) fn is_unreachable(error: Errno) -> bool {
    error.is_any(&[libc::ENETUNREACH, libc::EHOSTUNREACH])
}

/// How far the addresses of translators were tried for servers without a route.
#[derive(Default)]
pub(crate) enum Translation {
    #[default]
    Untried,
    /// With the prefixes that were known.
    Known(Prefixes),
    Done,
}

impl Translation {
    /// The next IPv6 addresses of translators for `addrs`, which can't be used because
    /// of `error`: those with the prefixes that are known of this network, then with
    /// those that it has by now. None where the first error does not mean that there is
    /// no route, the socket must not use IPv6, the host has IPv4 or no IPv6 network, or
    /// the network has no other translator.
    ///
    /// `ask` looks up the addresses of `ipv4only.arpa`. Its error is returned unless the
    /// name service knows that there are none.
    #[cold]
    pub(crate) fn next(
        &mut self,
        socket: &Socket,
        addrs: &[SocketAddr],
        error: Errno,
        ask: &mut dyn FnMut() -> Result<Vec<SocketAddr>>,
    ) -> Result<Vec<SocketAddr>> {
        let last = mem::replace(self, Translation::Done);
        let is_over = match last {
            Translation::Untried => !is_unreachable(error),
            Translation::Known(_) => false,
            Translation::Done => true,
        };
        let servers = || addrs.iter().filter_map(translatable);
        if is_over || !socket.families.admit(Family::V6) || servers().next().is_none() {
            return Ok(Vec::new());
        }
        let Some(network) = ipv6_only_network() else {
            return Ok(Vec::new());
        };
        let embed_all = |prefixes: &Prefixes, tried: &Prefixes| -> Result<Vec<SocketAddr>> {
            let mut found = Vec::new();
            for server in servers() {
                for prefix in prefixes.iter().filter(|it| !tried.contains(it)).flatten() {
                    if let Some(ip) = prefix.embed(*server.ip()) {
                        alloc::push(&mut found, (ip, server.port()).into())?;
                    }
                }
            }
            Ok(found)
        };
        let tried = match last {
            Translation::Known(tried) => tried,
            _ => {
                let known = known(network);
                let found = embed_all(&known, &Prefixes::default())?;
                if !found.is_empty() {
                    *self = Translation::Known(known);
                    return Ok(found);
                }
                known
            }
        };
        embed_all(&discover(network, ask)?, &tried)
    }
}

fn discover(network: u64, ask: &mut dyn FnMut() -> Result<Vec<SocketAddr>>) -> Result<Prefixes> {
    let prefixes = match ask() {
        Ok(answer) => Nat64Prefix::discover(&answer),
        Err(Errno(libc::EADDRNOTAVAIL)) => Prefixes::default(),
        Err(error) => return Err(error),
    };
    *KNOWN.lock() = Some(Known {
        prefixes,
        network,
        since: Instant::now(),
    });
    Ok(prefixes)
}

fn translatable(addr: &SocketAddr) -> Option<SocketAddrV4> {
    match unmap(*addr) {
        SocketAddr::V4(v4) if is_translatable(*v4.ip()) => Some(v4),
        _ => None,
    }
}

fn known(network: u64) -> Prefixes {
    let known = KNOWN.lock();
    let valid = known
        .as_ref()
        .filter(|known| known.network == network && known.since.elapsed() < LIFETIME);
    valid.map_or_else(Prefixes::default, |known| known.prefixes)
}

/// Identifies the network by what another one would have given the host
/// otherwise: its addresses and its resolver. `None` if the host has an IPv4
/// address that leads further than its link, or no such IPv6 address, or its
/// addresses can't be read.
#[inline(never)]
fn ipv6_only_network() -> Option<u64> {
    let mut identity = SplitMix64::default();
    let mut has_ipv6 = false;
    for entry in sys::interface_addrs().ok()? {
        match entry.addr {
            // RFC 3927: that a host gives itself where no DHCP server answers.
            SocketAddr::V4(v4) if v4.ip().is_loopback() || v4.ip().is_link_local() => {}
            SocketAddr::V4(_) => return None,
            SocketAddr::V6(_) if is_confined(entry.addr.ip()) => {}
            SocketAddr::V6(v6) => {
                v6.ip().hash(&mut identity);
                has_ipv6 = true;
            }
        }
    }
    configuration(sys::open).hash(&mut identity);
    has_ipv6.then(|| identity.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ipv4_of_other_networks_is_translated() {
        let translated = |addr: &str| translatable(&addr.parse().unwrap()).is_some();
        assert!(translated("203.0.114.1:1") && translated("[::ffff:203.0.114.1]:1"));
        assert!(!translated("127.0.0.1:1") && !translated("[2001:db8::1]:1"));
    }

    #[test]
    fn a_refusal_is_no_missing_route() {
        assert!(
            is_unreachable(Errno(libc::ENETUNREACH)) && is_unreachable(Errno(libc::EHOSTUNREACH))
        );
        assert!(!is_unreachable(Errno(libc::ECONNREFUSED)));
    }
}
