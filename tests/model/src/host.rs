//! What a host or a port text means, by the rules of the documents and the
//! parsers of the standard library.

use std::ffi::{CStr, CString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The meaning of a host text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// NULL or empty.
    Wildcard,
    /// An address, with the number of its scope or 0.
    Literal(IpAddr, u32),
    /// For the system's resolver.
    Name,
    /// Neither.
    Bad,
}

/// Longest name, in bytes.
const NAME_MAX: usize = 255;

impl Host {
    /// Judges a text; `None` is NULL.
    pub fn of(text: Option<&[u8]>) -> Host {
        let bytes = text.unwrap_or_default();
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Host::Bad;
        };
        if text.is_empty() {
            return Host::Wildcard;
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Host::Literal(ip.into(), 0);
        }
        let bracketed = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        let inner = bracketed.unwrap_or(text);
        let (address, zone) = match inner.split_once('%') {
            Some((address, zone)) => (address, Some(zone)),
            None => (inner, None),
        };
        if let Ok(ip) = address.parse::<Ipv6Addr>() {
            let scope = match zone {
                None => Some(0),
                Some(zone) => scope(zone, bracketed.is_some()),
            };
            return scope.map_or(Host::Bad, |scope| Host::Literal(ip.into(), scope));
        }
        if is_name(text) { Host::Name } else { Host::Bad }
    }

    /// The address with a port, if it is one.
    pub fn with_port(self, port: u16) -> Option<SocketAddr> {
        match self {
            Host::Literal(IpAddr::V4(ip), _) => Some((ip, port).into()),
            Host::Literal(IpAddr::V6(ip), scope) => {
                Some(SocketAddrV6::new(ip, port, 0, scope).into())
            }
            _ => None,
        }
    }
}

/// The number of a zone, which is that number or the name of an interface;
/// inside brackets it may follow a `25` (RFC 6874).
fn scope(zone: &str, bracketed: bool) -> Option<u32> {
    let zone = match zone.strip_prefix("25") {
        Some(rest) if bracketed && !rest.is_empty() => rest,
        _ => zone,
    };
    if !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_digit()) {
        return zone.parse().ok();
    }
    let name = CString::new(zone).ok()?;
    // SAFETY: NUL-terminated.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    let mut own = [0; libc::IF_NAMESIZE];
    // SAFETY: of the size that the function expects.
    let found = unsafe { libc::if_indextoname(index, own.as_mut_ptr()) };
    // The kernel takes "lo:x" for "lo"; that is no interface's name.
    // SAFETY: the function has written a terminated name.
    (!found.is_null() && unsafe { CStr::from_ptr(found) } == name.as_c_str()).then_some(index)
}

/// What could be a name: not over-long, without blanks and what belongs to
/// addresses, and no number in one of the forms that resolvers would take for
/// an IPv4 address.
fn is_name(text: &str) -> bool {
    let foreign = |c: char| c.is_whitespace() || c.is_control() || "[]%/:".contains(c);
    let is_number = |label: &str| {
        let hexadecimal = label.strip_prefix("0x").or(label.strip_prefix("0X"));
        match hexadecimal {
            Some(digits) => digits.chars().all(|c| c.is_ascii_hexdigit()),
            None => label.chars().all(|c| c.is_ascii_digit()),
        }
    };
    text.len() <= NAME_MAX
        && !text.contains(foreign)
        && !text.starts_with(['+', '-'])
        && !text.split('.').all(is_number)
}

/// The number of a port text; `None` when it is none.
pub fn port(text: Option<&[u8]>) -> Option<u16> {
    let digits = text.unwrap_or_default();
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let text = std::str::from_utf8(digits).expect("digits");
    match text.trim_start_matches('0') {
        "" => Some(0),
        number => number.parse().ok(),
    }
}

/// The address as text must say it: IPv4 where it is v4-mapped.
pub fn plain(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

/// That `text` is the plain form of an address, with the scope where it is
/// link-local.
#[track_caller]
pub fn assert_plain(text: &str, addr: SocketAddr) {
    let ip = plain(addr.ip());
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    assert_eq!(address, ip.to_string(), "the plain form of {addr}");
    let expected = match addr {
        SocketAddr::V6(v6) if ip.is_ipv6() => v6.scope_id(),
        _ => 0,
    };
    let IpAddr::V6(v6) = ip else {
        assert_eq!(zone, None, "{text:?} for {addr}");
        return;
    };
    // Node-local and link-local groups have a scope as well.
    let is_local_group = v6.is_multicast() && matches!(v6.segments()[0] & 0xf, 1 | 2);
    let is_scoped = v6.is_unicast_link_local() || is_local_group;
    match zone {
        Some(zone) => {
            assert!(is_scoped, "{text:?} for {addr}");
            assert_eq!(scope(zone, false), Some(expected), "{text:?} for {addr}");
        }
        None => assert!(!is_scoped || expected == 0, "{text:?} for {addr}"),
    }
}
