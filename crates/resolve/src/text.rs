//! Addresses to text without `core::fmt` and without the heap, for the path
//! that tells the sender of every datagram.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str;

use crate::host::INTERFACE_MAX;
use crate::policy::mapped_ipv4;

/// A short text in place, `N` bytes at most. Borrow it as bytes or `str`, or
/// display it.
///
/// `N` is a power of two so that an index can be masked where it would have to
/// be checked.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    buffer: [u8; N],
    len: usize,
}

/// Text of an IP address: 39 bytes, `%`, and a scope of at most
/// [`INTERFACE_MAX`] make 55.
pub type IpText = Text<IP_BUFFER>;

const IP_BUFFER: usize = 64;

/// Text of a port: at most 5 digits.
pub type PortText = Text<8>;

/// The address in its plain form: IPv4, v4-mapped too, as a dotted quad; IPv6
/// as RFC 5952 says; a link-local address (unicast or multicast) with `%` and
/// the number of its scope unless that is 0.
///
/// ```
/// use anjay_net_resolve::write_ip;
///
/// let plain = |text: &str| write_ip(&text.parse().unwrap()).to_string();
/// assert_eq!(plain("[::ffff:192.0.2.1]:5683"), "192.0.2.1");
/// assert_eq!(plain("[2001:db8:0:0:1::]:5683"), "2001:db8:0:0:1::");
/// assert_eq!(plain("[fe80::1%3]:5683"), "fe80::1%3");
/// ```
#[inline]
#[must_use]
pub fn write_ip(addr: &SocketAddr) -> IpText {
    write_ip_scoped(addr, None)
}

/// As [`write_ip`], with the scope as an interface name. A name that is empty
/// or longer than [`INTERFACE_MAX`] bytes can't be one: the number is written.
#[inline]
#[must_use]
pub fn write_ip_scoped(addr: &SocketAddr, interface: Option<&str>) -> IpText {
    let mut text = IpText::EMPTY;
    match addr {
        SocketAddr::V4(addr) => text.ipv4(*addr.ip()),
        SocketAddr::V6(addr) => match mapped_ipv4(addr.ip()) {
            Some(ip) => text.ipv4(ip),
            None => {
                text.ipv6(addr.ip());
                if addr.scope_id() != 0 && is_link_local(addr.ip()) {
                    text.scope(addr.scope_id(), interface);
                }
            }
        },
    }
    text
}

/// Scopes that leave an interface open (RFC 4007 section 4, RFC 4291 section 2.7).
fn is_link_local(ip: &Ipv6Addr) -> bool {
    let interface_or_link = matches!(ip.segments()[0] & 0xFF0F, 0xFF01 | 0xFF02);
    ip.is_unicast_link_local() || interface_or_link
}

impl IpText {
    #[inline]
    fn ipv4(&mut self, ip: Ipv4Addr) {
        let [a, b, c, d] = ip.octets();
        self.octet(a);
        self.push(b'.');
        self.octet(b);
        self.push(b'.');
        self.octet(c);
        self.push(b'.');
        self.octet(d);
    }

    /// Writes a whole entry in one store; the next one overwrites its excess.
    #[inline]
    fn octet(&mut self, value: u8) {
        let entry = OCTETS[usize::from(value)];
        if let Some(room) = self.buffer[self.len % IP_BUFFER..].first_chunk_mut() {
            *room = entry;
        }
        self.len += usize::from(entry[3]);
    }

    fn ipv6(&mut self, ip: &Ipv6Addr) {
        let groups = ip.segments();
        let zeros = longest_zeros(&groups);
        let mut index = 0;
        while let Some(&group) = groups.get(index) {
            if index == zeros.start && !zeros.is_empty() {
                self.push(b':');
                self.push(b':');
                index = zeros.end;
                continue;
            }
            if index != 0 && index != zeros.end {
                self.push(b':');
            }
            self.group(group);
            index += 1;
        }
    }

    /// Lower case, no leading zeros: RFC 5952 sections 4.1 and 4.3.
    fn group(&mut self, group: u16) {
        let digits = (4 - group.leading_zeros() / 4).max(1);
        for digit in (0..digits).rev() {
            let nibble = group >> (4 * digit) & 0xF;
            self.push(b"0123456789abcdef"[usize::from(nibble)]);
        }
    }

    fn scope(&mut self, id: u32, interface: Option<&str>) {
        self.push(b'%');
        match interface.filter(|name| (1..=INTERFACE_MAX).contains(&name.len())) {
            Some(name) => name.bytes().for_each(|byte| self.push(byte)),
            None => self.decimal(id),
        }
    }
}

/// The run that `::` replaces: the longest of at least two zero groups, the
/// first of equals (RFC 5952 sections 4.2.2 and 4.2.3).
fn longest_zeros(groups: &[u16; 8]) -> std::ops::Range<usize> {
    let mut longest = 0..0;
    let mut start = 0;
    for (index, &group) in groups.iter().enumerate() {
        if group != 0 {
            start = index + 1;
        } else if index + 1 - start > longest.len().max(1) {
            longest = start..index + 1;
        }
    }
    longest
}

/// The port in decimal, without leading zeros.
///
/// ```
/// assert_eq!(anjay_net_resolve::write_port(5683).as_bytes(), b"5683");
/// ```
#[inline]
#[must_use]
pub fn write_port(port: u16) -> PortText {
    // All five digits side by side in one word, the first in its lowest byte.
    // Dropping the leading zeros is a shift then, not a loop.
    let digit = |unit| (port / unit % 10) as u8;
    let digits = [
        digit(10_000),
        digit(1_000),
        digit(100),
        digit(10),
        digit(1),
        0,
        0,
        0,
    ];
    let word = u64::from_le_bytes(digits);
    let zeros = (word.trailing_zeros() / 8).min(4);
    let ascii = (word | 0x30_3030_3030) >> (8 * zeros);
    Text {
        buffer: ascii.to_le_bytes(),
        len: 5 - zeros as usize,
    }
}

/// For each octet its digits, padded to three, and how many they are.
const OCTETS: [[u8; 4]; 256] = {
    let mut octets = [[0; 4]; 256];
    let mut value = 0;
    while value < 256 {
        let (a, b, c) = (value / 100, value / 10 % 10, value % 10);
        let (a, b, c) = (b'0' + a as u8, b'0' + b as u8, b'0' + c as u8);
        octets[value] = match value {
            0..10 => [c, 0, 0, 1],
            10..100 => [b, c, 0, 2],
            _ => [a, b, c, 3],
        };
        value += 1;
    }
    octets
};

impl<const N: usize> Text<N> {
    const EMPTY: Self = {
        assert!(N.is_power_of_two());
        Text {
            buffer: [0; N],
            len: 0,
        }
    };

    /// The text, without a terminator.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer[..self.len % N]
    }

    /// The text.
    #[inline]
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII and whole strs are ever pushed, so the default is never used.
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The mask never wraps, the types of text being long enough: it keeps a
    /// bounds check, and the panic behind it, out of every character.
    #[inline]
    fn push(&mut self, byte: u8) {
        self.buffer[self.len % N] = byte;
        self.len += 1;
    }

    fn decimal(&mut self, value: u32) {
        if value >= 10 {
            self.decimal(value / 10);
        }
        self.push(b'0' + (value % 10) as u8);
    }
}

impl<const N: usize> AsRef<[u8]> for Text<N> {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
