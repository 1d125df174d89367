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
                Some(zone) => scope(zone, bracketed.is_some(), is_scoped(ip)),
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

/// Addresses that are unique on one link only.
fn is_scoped(ip: Ipv6Addr) -> bool {
    // Node-local and link-local groups have a scope as well.
    let is_local_group = ip.is_multicast() && matches!(ip.segments()[0] & 0xf, 1 | 2);
    ip.is_unicast_link_local() || is_local_group
}

/// The number of a zone: inside brackets it may follow a `25` (RFC 6874), outside
/// it may do so if there is no interface of the whole zone. Without meaning for
/// the address it is 0.
fn scope(zone: &str, bracketed: bool, scoped: bool) -> Option<u32> {
    let unescaped = zone.strip_prefix("25").filter(|rest| !rest.is_empty());
    let last = unescaped.unwrap_or(zone);
    let first = if bracketed { last } else { zone };
    if !is_zone(last) {
        return None;
    }
    if !scoped {
        return Some(0);
    }
    if first == last && number(first).is_some() {
        return number(first);
    }
    interface(first)
        .or_else(|| interface(last))
        .or_else(|| number(first))
        .or_else(|| number(last))
}

/// Whether the scope of a plain text is the number of no interface and can be read
/// as that of another one, as 251 for an escaped 1.
pub fn is_escape(text: &str) -> bool {
    let zone = text.split_once('%').map(|(_, zone)| zone);
    zone.is_some_and(|zone| number(zone).is_some() && scope(zone, false, true) != number(zone))
}

/// What can be the number or the name of an interface.
fn is_zone(text: &str) -> bool {
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) {
        return number(text).is_some();
    }
    let foreign = |c: char| c.is_ascii_whitespace() || c.is_ascii_control() || "[]%/:".contains(c);
    (1..libc::IF_NAMESIZE).contains(&text.len()) && !text.contains(foreign)
}

fn number(text: &str) -> Option<u32> {
    let is_number = text.chars().all(|c| c.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// The index of the interface with this number or name.
fn interface(text: &str) -> Option<u32> {
    let name = CString::new(text).ok()?;
    // SAFETY: NUL-terminated.
    let by_name = || unsafe { libc::if_nametoindex(name.as_ptr()) };
    let index = number(text).unwrap_or_else(by_name);
    let mut own = [0; libc::IF_NAMESIZE];
    // SAFETY: of the size that the function expects.
    let found = unsafe { libc::if_indextoname(index, own.as_mut_ptr()) };
    // The kernel takes "lo:x" for "lo"; that is no interface's name.
    // SAFETY: the function has written a terminated name.
    let is_it =
        || number(text).is_some() || unsafe { CStr::from_ptr(own.as_ptr()) } == name.as_c_str();
    (!found.is_null() && is_it()).then_some(index)
}

/// What could be a name: not over-long, without blanks and what belongs to
/// addresses, not dots alone, and nothing that inet_aton(3) reads as an IPv4
/// address.
fn is_name(text: &str) -> bool {
    let foreign = |c: char| c.is_ascii_whitespace() || c.is_ascii_control() || "[]%/:".contains(c);
    text.len() <= NAME_MAX
        && !text.contains(foreign)
        && !text.starts_with(['+', '-'])
        && text.contains(|c| c != '.')
        && !is_inet_aton(text)
}

/// As the C library judges.
fn is_inet_aton(text: &str) -> bool {
    let Ok(text) = CString::new(text) else {
        return false;
    };
    let mut address = libc::in_addr { s_addr: 0 };
    // SAFETY: a NUL-terminated text, and room for an address.
    unsafe { inet_aton(text.as_ptr(), &mut address) == 1 }
}

unsafe extern "C" {
    fn inet_aton(text: *const libc::c_char, address: *mut libc::in_addr) -> libc::c_int;
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
    let is_scoped = is_scoped(v6);
    match zone {
        Some(zone) => {
            assert!(is_scoped, "{text:?} for {addr}");
            let index = number(zone).or_else(|| interface(zone));
            assert_eq!(index, Some(expected), "{text:?} for {addr}");
        }
        None => assert!(!is_scoped || expected == 0, "{text:?} for {addr}"),
    }
}
