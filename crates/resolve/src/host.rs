//! Text of a host or port to what it means. No allocation, no system call.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str;

use crate::addr::is_link_local;

/// Longest host text, in bytes: RFC 1035 section 2.3.4 limits names to 255.
pub const HOST_MAX: usize = 255;

/// Longest interface name, in bytes: Linux's `IFNAMSIZ` less the NUL.
pub const INTERFACE_MAX: usize = 15;

/// What a host text stands for. Borrows from the text.
///
/// ```
/// use anjay_net_resolve::{Host, Scope};
///
/// assert_eq!(Host::parse(b""), Ok(Host::Wildcard));
/// assert_eq!(Host::parse(b"lwm2m.example"), Ok(Host::Name("lwm2m.example")));
/// let Ok(Host::Literal(literal)) = Host::parse(b"[fe80::1%25eth0]") else { panic!() };
/// assert_eq!(literal.scope, Scope::Interface("25eth0"));
/// assert_eq!(literal.scope_of_uri, Scope::Interface("eth0"));
///
/// // inet_aton(3) takes these for addresses; they are not meant as names.
/// for text in [&b"127.1"[..], b"0x7f.1", b"2130706433", b"010.0.0.1"] {
///     assert!(Host::parse(text).is_err());
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Host<'a> {
    /// Empty text: any local address when binding, nothing to connect to.
    Wildcard,
    /// An address; never needs the system resolver.
    Literal(Literal<'a>),
    /// A name for the system resolver, 1 to [`HOST_MAX`] bytes.
    Name(&'a str),
}

impl<'a> Host<'a> {
    /// Reads a host text.
    ///
    /// * IPv4: four decimal octets, without leading zeros, as `inet_pton(3)`.
    /// * IPv6: RFC 4291 section 2.2, also with a `%scope` (RFC 4007 section 11),
    ///   also in brackets (RFC 3986). A scope that begins with the `%25` of
    ///   RFC 6874 has two readings, see [`Literal::scope_of_uri`], unless it is
    ///   a number in brackets: `[fe80::1%253]` is scope 3. The scope of an
    ///   address that is not link-local has no meaning and is dropped.
    /// * a name: UTF-8 without ASCII's blanks and control characters and `[ ] % : /`, not
    ///   dots alone, not starting with a sign, and not one of the numeric forms
    ///   of `inet_aton(3)`, which system resolvers take for an address (RFC 6943
    ///   section 3.1.1).
    ///
    /// # Errors
    ///
    /// A [`TextError`] for the rule that was broken, never [`TextError::Port`].
    #[inline]
    pub fn parse(text: &'a [u8]) -> Result<Self, TextError> {
        if text.is_empty() {
            return Ok(Host::Wildcard);
        }
        match ipv4(text) {
            Some(ip) => Ok(Host::Literal(IpAddr::V4(ip).into())),
            None => Host::parse_other(text),
        }
    }

    /// Apart from IPv4, to keep that small.
    #[inline(never)]
    fn parse_other(text: &'a [u8]) -> Result<Self, TextError> {
        let text = str::from_utf8(text).map_err(|_| TextError::NotUtf8)?;
        let inner = text.strip_prefix("[").and_then(|it| it.strip_suffix("]"));
        let in_brackets = inner.is_some();
        let inner = inner.unwrap_or(text);
        let percent = inner.bytes().position(|byte| byte == b'%');
        let (address, zone) = inner.split_at(percent.unwrap_or(inner.len()));
        let zone = zone.strip_prefix("%");
        match ip(address.as_bytes()) {
            Some(IpAddr::V6(ip)) => Literal::scoped(ip, zone, in_brackets).map(Host::Literal),
            _ if in_brackets => Err(TextError::Address),
            _ => name(text).map(Host::Name),
        }
    }
}

/// An address written out, perhaps with a scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Literal<'a> {
    /// The address as written: `::ffff:192.0.2.1` stays IPv6 here.
    pub ip: IpAddr,
    /// What follows the `%` of a link-local address, otherwise [`Scope::None`].
    pub scope: Scope<'a>,
    /// The scope that is meant if the machine has no interface of
    /// [`scope`](Self::scope): `eth0` in `fe80::1%25eth0`, what URI parsers that
    /// do not know RFC 6874 make of `coap://[fe80::1%25eth0]`, and in
    /// `[fe80::1%25eth0]`. Otherwise [`Scope::None`].
    pub scope_of_uri: Scope<'a>,
}

impl From<IpAddr> for Literal<'_> {
    fn from(ip: IpAddr) -> Self {
        Literal {
            ip,
            scope: Scope::None,
            scope_of_uri: Scope::None,
        }
    }
}

impl<'a> Literal<'a> {
    #[inline(never)]
    fn scoped(ip: Ipv6Addr, zone: Option<&'a str>, in_brackets: bool) -> Result<Self, TextError> {
        let without_scope = Literal::from(IpAddr::V6(ip));
        let Some(zone) = zone else {
            return Ok(without_scope);
        };
        // RFC 6874 section 2: inside a URI the '%' before the zone is "%25".
        let unescaped = zone.strip_prefix("25").filter(|zone| !zone.is_empty());
        let (scope, scope_of_uri) = match unescaped.map(Scope::parse).transpose()? {
            Some(index @ Scope::Index(_)) if in_brackets => (index, Scope::None),
            // The escape can make a name too long for an interface.
            Some(unescaped) => (Scope::parse(zone).unwrap_or(unescaped), unescaped),
            None => (Scope::parse(zone)?, Scope::None),
        };
        if !is_link_local(&ip) {
            return Ok(without_scope);
        }
        Ok(Literal {
            scope,
            scope_of_uri,
            ..without_scope
        })
    }

    /// The socket address, with the scope as an interface index.
    ///
    /// `index_of` returns the index of the interface that a scope stands for, if
    /// there is one: `if_nametoindex(3)` for a name, `if_indextoname(3)` to tell
    /// whether an index exists. It is called for names and for the rare texts
    /// that have two readings, so most literals cost no system call. An index
    /// that no interface has is the kernel's to refuse.
    ///
    /// # Errors
    ///
    /// [`TextError::Scope`] if there is no interface of that name.
    ///
    /// ```
    /// use anjay_net_resolve::{Host, Scope};
    ///
    /// let index_of = |scope: Scope<'_>| (scope == Scope::Interface("eth0")).then_some(2);
    /// for text in ["fe80::1%eth0", "[fe80::1%25eth0]", "fe80::1%25eth0"] {
    ///     let Ok(Host::Literal(literal)) = Host::parse(text.as_bytes()) else { panic!() };
    ///     let addr = literal.with_port(5683, index_of);
    ///     assert_eq!(addr, Ok("[fe80::1%2]:5683".parse().unwrap()));
    /// }
    /// ```
    #[inline]
    pub fn with_port(
        &self,
        port: u16,
        index_of: impl Fn(Scope<'a>) -> Option<u32>,
    ) -> Result<SocketAddr, TextError> {
        match self.ip {
            IpAddr::V4(ip) => Ok(SocketAddr::new(ip.into(), port)),
            IpAddr::V6(ip) => self.ipv6_with_port(ip, port, index_of),
        }
    }

    fn ipv6_with_port(
        &self,
        ip: Ipv6Addr,
        port: u16,
        index_of: impl Fn(Scope<'a>) -> Option<u32>,
    ) -> Result<SocketAddr, TextError> {
        let scope_id = match (self.scope, self.scope_of_uri) {
            (Scope::None, _) => Some(0),
            (Scope::Index(index), Scope::None) => Some(index),
            (scope, Scope::None) => index_of(scope),
            (Scope::Index(index), of_uri) => {
                index_of(self.scope).or(index_of(of_uri)).or(Some(index))
            }
            (scope, of_uri) => index_of(scope).or(index_of(of_uri)),
        };
        let scope_id = scope_id.ok_or(TextError::Scope)?;
        Ok(SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope_id)))
    }
}

/// The zone of a scoped IPv6 address (RFC 4007 section 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope<'a> {
    /// No `%` in the text.
    None,
    /// `%3`: an interface index; 0 is the same as none.
    Index(u32),
    /// `%eth0`: an interface name of 1 to [`INTERFACE_MAX`] bytes, not checked to exist.
    Interface(&'a str),
}

impl<'a> Scope<'a> {
    fn parse(zone: &'a str) -> Result<Self, TextError> {
        if !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_digit()) {
            // Only a value beyond 32 bits can still be wrong.
            let index = number(zone.as_bytes(), 10).ok_or(TextError::Scope);
            return index.map(Scope::Index);
        }
        // What the kernel allows (dev_valid_name in net/core/dev.c), less '%',
        // which would make "%25" ambiguous, and less what no text form quotes.
        if zone.is_empty() || zone.len() > INTERFACE_MAX || zone.bytes().any(is_odd) {
            return Err(TextError::Scope);
        }
        Ok(Scope::Interface(zone))
    }
}

/// Four decimal octets without leading zeros. By hand, as send_to reads one with
/// every datagram: std's parser wants a `str`, and the two take three times as
/// long.
#[inline]
fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    /// No digit of this octet was read.
    const NONE: u32 = u32::MAX;
    let (mut bits, mut dots, mut octet) = (0u32, 0, NONE);
    for &byte in text {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        if digit <= 9 {
            octet = match octet {
                NONE => digit,
                0 => return None,
                value => value * 10 + digit,
            };
            if octet > 255 {
                return None;
            }
        } else if byte == b'.' && octet != NONE {
            bits = bits << 8 | octet;
            dots += 1;
            octet = NONE;
        } else {
            return None;
        }
    }
    (dots == 3 && octet != NONE).then(|| Ipv4Addr::from_bits(bits << 8 | octet))
}

/// An address without a scope, as `inet_pton(3)` reads it: RFC 4291 section 2.2, or
/// IPv4. By hand, as send_to reads one with every datagram, and std's parser is several
/// times as large.
pub(crate) fn ip(text: &[u8]) -> Option<IpAddr> {
    let mut rest = match text {
        [b':', rest @ ..] if rest.starts_with(b":") => rest,
        [b':', ..] => return None,
        text => text,
    };
    let (mut groups, mut len, mut gap) = ([[0; 2]; 8], 0, None);
    let (mut field, mut value, mut digits) = (rest, 0_u16, 0);
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b':' if digits > 0 && !rest.is_empty() => {
                *groups.get_mut(len)? = value.to_be_bytes();
                len += 1;
            }
            b':' if digits == 0 && gap.is_none() => gap = Some(len),
            b'.' => {
                let quad = ipv4(field)?;
                if field.len() == text.len() {
                    return Some(quad.into());
                }
                let [first, second, last @ ..] = quad.octets();
                *groups.get_mut(len)? = [first, second];
                len += 1;
                (value, digits) = (u16::from_be_bytes(last), 1);
                break;
            }
            digit if digits < 4 => {
                value = value << 4 | char::from(*digit).to_digit(16)? as u16;
                digits += 1;
                continue;
            }
            _ => return None,
        }
        (field, value, digits) = (rest, 0, 0);
    }
    if digits > 0 {
        *groups.get_mut(len)? = value.to_be_bytes();
        len += 1;
    }
    // A gap stands for one group at least.
    let left = groups.len() - len;
    if gap.is_some() != (left > 0) {
        return None;
    }
    for index in (gap.unwrap_or(len)..len).rev() {
        groups.swap(index, index + left);
    }
    let octets = <[u8; 16]>::try_from(groups.as_flattened());
    octets.ok().map(IpAddr::from)
}

fn name(name: &str) -> Result<&str, TextError> {
    if name.len() > HOST_MAX {
        return Err(TextError::TooLong);
    }
    // No name has a colon, a malformed IPv6 address has.
    if name.as_bytes().contains(&b':') || is_inet_aton(name) {
        return Err(TextError::Address);
    }
    // RFC 952 and RFC 1123 section 2.1 start a name with a letter or digit; a
    // sign is more likely a mangled number. '_' and others do occur in practice.
    let only_dots = name.bytes().all(|byte| byte == b'.');
    if only_dots || matches!(name.as_bytes(), [b'-' | b'+', ..]) || name.bytes().any(is_odd) {
        return Err(TextError::Name);
    }
    Ok(name)
}

/// Whether this is in no name of a host or an interface: a blank, a control character,
/// or what delimits names in URIs.
fn is_odd(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, 0x7F | b'/' | b':' | b'%' | b'[' | b']')
}

/// Whether `inet_aton(3)` takes this for an IPv4 address: one to four numbers,
/// as C writes them, the last of which fills the octets that are left.
fn is_inet_aton(text: &str) -> bool {
    let mut numbers = text.as_bytes().split(|byte| *byte == b'.').map(c_number);
    let octets_left = 4 - text.bytes().filter(|byte| *byte == b'.').count().min(4);
    let Some(Some(last)) = numbers.next_back() else {
        return false;
    };
    octets_left > 0
        && last >> (8 * octets_left) == 0
        && numbers.all(|number| number.is_some_and(|number| number <= 0xFF))
}

/// A number of up to 32 bits as C writes it: hexadecimal after "0x", octal after
/// "0", otherwise decimal.
fn c_number(text: &[u8]) -> Option<u64> {
    let (digits, radix) = match text {
        [b'0', b'x' | b'X', digits @ ..] => (digits, 16),
        [b'0', _, ..] => (text, 8),
        _ => (text, 10),
    };
    number(digits, radix).map(u64::from)
}

/// The value of these digits, of up to 32 bits.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let (first, rest) = digits.split_first()?;
    let digit = |byte: &u8| char::from(*byte).to_digit(radix);
    rest.iter().try_fold(digit(first)?, |number, byte| {
        number.checked_mul(radix)?.checked_add(digit(byte)?)
    })
}

/// Reads a port: decimal digits only, any number of leading zeros, empty = 0.
///
/// # Errors
///
/// [`TextError::Port`] for anything else and for values above 65535.
///
/// ```
/// use anjay_net_resolve::{TextError, parse_port};
///
/// assert_eq!(parse_port(b"05683"), Ok(5683));
/// assert_eq!(parse_port(b""), Ok(0));
/// assert_eq!(parse_port(b"65536"), Err(TextError::Port));
/// assert_eq!(parse_port(b"coap"), Err(TextError::Port));
/// ```
#[inline]
pub fn parse_port(text: &[u8]) -> Result<u16, TextError> {
    let mut port = 0u32;
    for &byte in text {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        port = port * 10 + digit;
        if digit > 9 || port > u32::from(u16::MAX) {
            return Err(TextError::Port);
        }
    }
    Ok(port as u16)
}

/// Why a text is neither an address, nor a name, nor a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TextError {
    /// More than [`HOST_MAX`] bytes.
    TooLong,
    /// The bytes are not UTF-8.
    NotUtf8,
    /// Meant as an address, by its colons, brackets or lack of letters, but not
    /// a valid one.
    Address,
    /// The address is fine, what follows its `%` is not.
    Scope,
    /// A character that no name has (a blank, a control character, a bracket),
    /// or dots alone.
    Name,
    /// Not a decimal number between 0 and 65535.
    Port,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TextError::TooLong => "host is longer than 255 bytes",
            TextError::NotUtf8 => "host is not UTF-8",
            TextError::Address => "not a valid numeric address",
            TextError::Scope => "not a valid scope after '%'",
            TextError::Name => "not a valid host name",
            TextError::Port => "port is not a decimal number from 0 to 65535",
        })
    }
}

impl std::error::Error for TextError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The standard library is the reference.
    #[test]
    fn addresses_are_read_as_the_standard_library_does() {
        let check = |text: &str| {
            assert_eq!(ip(text.as_bytes()), text.parse().ok(), "{text}");
        };
        let kinds = ["", "0", "fF09", "12345", "g1", "192.0.2.1", "1.2.3"];
        let mut texts: Vec<String> = kinds.map(String::from).into();
        while texts[0].len() < 5 {
            texts.iter().for_each(|text| check(text));
            let longer = |text: &String| kinds.map(|kind| format!("{text}:{kind}"));
            texts = texts.iter().flat_map(longer).collect();
        }
        // What has eight groups, one less and one more.
        for before in 0..=9 {
            for after in 0..=9 - before {
                for end in ["a", "::", "::b", ":192.0.2.1", ":::", ":", ""] {
                    for gap in ["::", ":", ":::", "::2::"] {
                        let groups = |count| vec!["c"; count].join(":");
                        check(&(groups(before) + gap + &groups(after) + end));
                    }
                }
            }
        }
    }
}
