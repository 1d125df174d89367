//! Text of a host or port to what it means. No allocation, no system call.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str;

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
/// assert_eq!(literal.scope, Scope::Interface("eth0"));
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
    ///   also in brackets (RFC 3986), there also with the `%25` of RFC 6874.
    ///   `[fe80::1%253]` therefore is scope 3; `[fe80::1%25]`, where RFC 6874
    ///   would leave nothing, is scope 25.
    /// * a name: UTF-8 without blanks, control characters and `[ ] % : /`, not
    ///   starting with a sign, and not one of the numeric forms of
    ///   `inet_aton(3)`, which system resolvers take for an address.
    ///
    /// # Errors
    ///
    /// A [`TextError`] for the rule that was broken, never [`TextError::Port`].
    pub fn parse(text: &'a [u8]) -> Result<Self, TextError> {
        if text.is_empty() {
            return Ok(Host::Wildcard);
        }
        let text = str::from_utf8(text).map_err(|_| TextError::NotUtf8)?;
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            let (ip, scope) = (ip.into(), Scope::None);
            return Ok(Host::Literal(Literal { ip, scope }));
        }
        if let Some(inner) = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
        {
            return Literal::v6(inner, unescape)
                .ok_or(TextError::Address)?
                .map(Host::Literal);
        }
        match Literal::v6(text, |zone| zone) {
            Some(literal) => literal.map(Host::Literal),
            None => name(text).map(Host::Name),
        }
    }
}

/// An address written out, perhaps with a scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Literal<'a> {
    /// The address as written: `::ffff:192.0.2.1` stays IPv6 here.
    pub ip: IpAddr,
    /// What follows the `%`; always [`Scope::None`] for IPv4.
    pub scope: Scope<'a>,
}

impl<'a> Literal<'a> {
    /// None if what precedes the zone is no address. `zone_of` returns the zone
    /// written after the `%`.
    fn v6(text: &'a str, zone_of: fn(&str) -> &str) -> Option<Result<Self, TextError>> {
        let (ip, zone) = match text.split_once('%') {
            Some((ip, zone)) => (ip, Some(zone_of(zone))),
            None => (text, None),
        };
        let ip = IpAddr::V6(ip.parse::<Ipv6Addr>().ok()?);
        let scope = zone.map_or(Ok(Scope::None), Scope::parse);
        Some(scope.map(|scope| Literal { ip, scope }))
    }

    /// The socket address, with the scope as an interface index.
    ///
    /// `index_of` turns an interface name into its index (`if_nametoindex(3)`);
    /// it is called for [`Scope::Interface`] only, so most literals cost no
    /// system call.
    ///
    /// # Errors
    ///
    /// The error of `index_of`.
    ///
    /// ```
    /// use anjay_net_resolve::Host;
    ///
    /// let Ok(Host::Literal(literal)) = Host::parse(b"fe80::1%eth0") else { panic!() };
    /// let addr = literal.with_port(5683, |name| (name == "eth0").then_some(2).ok_or("no such interface"));
    /// assert_eq!(addr, Ok("[fe80::1%2]:5683".parse().unwrap()));
    /// ```
    pub fn with_port<E>(
        &self,
        port: u16,
        index_of: impl FnOnce(&'a str) -> Result<u32, E>,
    ) -> Result<SocketAddr, E> {
        let ip = match self.ip {
            IpAddr::V4(_) => return Ok(SocketAddr::new(self.ip, port)),
            IpAddr::V6(ip) => ip,
        };
        let scope_id = match self.scope {
            Scope::None => 0,
            Scope::Index(index) => index,
            Scope::Interface(name) => index_of(name)?,
        };
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
            return zone.parse().map(Scope::Index).map_err(|_| TextError::Scope);
        }
        // What the kernel allows (dev_valid_name in net/core/dev.c), less '%',
        // which would make "%25" ambiguous, and less what no text form quotes.
        let odd = |c: char| c.is_whitespace() || c.is_control() || "/:%[]".contains(c);
        if zone.is_empty() || zone.len() > INTERFACE_MAX || zone.contains(odd) {
            return Err(TextError::Scope);
        }
        Ok(Scope::Interface(zone))
    }
}

/// RFC 6874 section 2: inside a URI the `%` before the zone is written `%25`.
fn unescape(zone: &str) -> &str {
    match zone.strip_prefix("25") {
        Some(zone) if !zone.is_empty() => zone,
        _ => zone,
    }
}

fn name(name: &str) -> Result<&str, TextError> {
    if name.len() > HOST_MAX {
        return Err(TextError::TooLong);
    }
    // No name has a colon, a malformed IPv6 address has.
    if name.contains(':') || is_inet_aton(name) {
        return Err(TextError::Address);
    }
    // RFC 952 and RFC 1123 section 2.1 start a name with a letter or digit; a
    // sign is more likely a mangled number. '_' and others do occur in practice.
    let odd = |c: char| c.is_whitespace() || c.is_control() || "[]%/".contains(c);
    if name.starts_with(['-', '+']) || name.contains(odd) {
        return Err(TextError::Name);
    }
    Ok(name)
}

/// Only numbers between the dots, in the bases that inet_aton(3) knows.
fn is_inet_aton(text: &str) -> bool {
    text.split('.').all(|label| match label.as_bytes() {
        [b'0', b'x' | b'X', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        digits => digits.iter().all(u8::is_ascii_digit),
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
    /// A character that no name has: a blank, a control character, a bracket...
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
            TextError::Name => "character not allowed in a host name",
            TextError::Port => "port is not a decimal number from 0 to 65535",
        })
    }
}

impl std::error::Error for TextError {}
