//! Addresses to text, without the heap: receive_from writes the source of
//! every datagram.

use std::fmt::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::str;

use crate::addr::{is_link_local, unmap};
use crate::host::INTERFACE_MAX;

/// A short text in place, `N` bytes at most. Borrow it as bytes or `str`, or
/// display it.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    buffer: [u8; N],
    len: usize,
}

/// Text of an IP address: 39 bytes, `%`, and a scope of at most
/// [`INTERFACE_MAX`] bytes.
pub type IpText = Text<{ 39 + 1 + INTERFACE_MAX }>;

/// Text of a port: at most 5 digits.
pub type PortText = Text<5>;

/// The address in its plain form: IPv4, v4-mapped too, as a dotted quad; IPv6
/// as in RFC 5952; a link-local address (unicast or multicast) with `%` and
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
#[must_use]
pub fn write_ip(addr: &SocketAddr) -> IpText {
    write_ip_scoped(addr, None)
}

/// As [`write_ip`], with the scope as an interface name. A name that is empty
/// or longer than [`INTERFACE_MAX`] bytes can't be one: the number is written.
#[must_use]
pub fn write_ip_scoped(addr: &SocketAddr, interface: Option<&str>) -> IpText {
    let mut text = IpText::EMPTY;
    let addr = match unmap(*addr) {
        SocketAddr::V4(addr) => {
            text.push_ipv4(*addr.ip());
            return text;
        }
        SocketAddr::V6(addr) => addr,
    };
    // A write to the text never fails, and std writes IPv6 as RFC 5952 has it.
    let _ = write!(text, "{}", addr.ip());
    if addr.scope_id() != 0 && is_link_local(addr.ip()) {
        let is_name = |name: &&str| (1..=INTERFACE_MAX).contains(&name.len());
        let _ = match interface.filter(is_name) {
            Some(name) => write!(text, "%{name}"),
            None => write!(text, "%{}", addr.scope_id()),
        };
    }
    text
}

/// The port in decimal, without leading zeros.
///
/// ```
/// assert_eq!(anjay_net_resolve::write_port(5683).as_bytes(), b"5683");
/// ```
#[must_use]
pub fn write_port(port: u16) -> PortText {
    let mut text = PortText::EMPTY;
    text.push_decimal(port);
    text
}

impl<const N: usize> Text<N> {
    const EMPTY: Self = Text {
        buffer: [0; N],
        len: 0,
    };

    /// The text, without a terminator.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII and whole strs are ever pushed, so the default is never used.
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// What does not fit is cut off; the types of text are long enough.
    #[inline]
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.buffer.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    // By hand, as IPv4 addresses and ports are what nearly every datagram needs:
    // core::fmt takes several times as long.
    fn push_ipv4(&mut self, ip: Ipv4Addr) {
        let [first, rest @ ..] = ip.octets();
        self.push_decimal(first.into());
        for octet in rest {
            self.push(b'.');
            self.push_decimal(octet.into());
        }
    }

    fn push_decimal(&mut self, value: u16) {
        for unit in [10_000, 1_000, 100, 10] {
            if value >= unit {
                self.push(b'0' + (value / unit % 10) as u8);
            }
        }
        self.push(b'0' + (value % 10) as u8);
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.push(byte));
        Ok(())
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
