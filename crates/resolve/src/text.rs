//! Text of limited length, without the heap, and addresses as text: receive_from
//! writes the source of every datagram.

use std::ffi::CStr;
use std::fmt::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::str;

use crate::addr::{is_link_local, unmap};
use crate::host::INTERFACE_MAX;

/// A text of less than `N` bytes in place. What does not fit is cut off between two
/// characters, and `...` takes its place.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    /// NUL from `len` on.
    buffer: [u8; N],
    len: usize,
    is_cut: bool,
}

/// Text of an IP address: 39 bytes, `%`, and a scope of at most
/// [`INTERFACE_MAX`] bytes.
pub type IpText = Text<{ 39 + 1 + INTERFACE_MAX + 1 }>;

/// Text of a port: at most 5 digits.
pub type PortText = Text<{ 5 + 1 }>;

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

const ELLIPSIS: &str = "...";

impl<const N: usize> Text<N> {
    const EMPTY: Self = {
        assert!(N > ELLIPSIS.len());
        Text {
            buffer: [0; N],
            len: 0,
            is_cut: false,
        }
    };

    /// The text of a value.
    #[must_use]
    pub fn of(value: impl fmt::Display) -> Self {
        let mut text = Self::EMPTY;
        // An error means that the rest does not fit.
        let _ = write!(text, "{value}");
        text
    }

    /// The bytes of the text.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// The text up to the first NUL in it.
    #[must_use]
    pub fn as_c_str(&self) -> &CStr {
        // There is one in the buffer at least.
        CStr::from_bytes_until_nul(&self.buffer).unwrap_or_default()
    }

    /// The longest beginning of `text` that has at most `room` bytes.
    fn beginning(text: &str, room: usize) -> &str {
        let fitting = (0..=room.min(text.len()))
            .rev()
            .find(|&end| text.is_char_boundary(end));
        text.get(..fitting.unwrap_or(0)).unwrap_or_default()
    }

    /// For what is known to fit.
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
        if self.is_cut {
            return Err(fmt::Error);
        }
        let fitting = Self::beginning(text, N - 1 - self.len);
        fitting.bytes().for_each(|byte| self.push(byte));
        if fitting.len() == text.len() {
            return Ok(());
        }
        let len = Self::beginning(self, N - 1 - ELLIPSIS.len()).len();
        self.buffer[len..].fill(0);
        self.len = len;
        ELLIPSIS.bytes().for_each(|byte| self.push(byte));
        self.is_cut = true;
        Err(fmt::Error)
    }
}

impl<const N: usize> Deref for Text<N> {
    type Target = str;

    fn deref(&self) -> &str {
        // Made of whole characters, so it is always valid.
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_eight(text: &str) -> String {
        Text::<9>::of(text).to_string()
    }

    #[test]
    fn what_does_not_fit_is_cut_between_characters() {
        assert_eq!(in_eight(""), "");
        assert_eq!(in_eight("12345678"), "12345678");
        assert_eq!(in_eight("123456789"), "12345...");
        assert_eq!(in_eight("1234é6789"), "1234...");
        assert_eq!(in_eight(&"é".repeat(100)), "éé...");
    }

    #[test]
    fn a_text_for_c_ends_with_nul() {
        assert_eq!(Text::<9>::of("12345678").as_c_str(), c"12345678");
        assert_eq!(Text::<9>::of("12345é789").as_c_str(), c"12345...");
        assert_eq!(Text::<9>::of("1\x002").as_c_str(), c"1");
    }

    /// A value that goes on when a part of it does not fit.
    struct Stubborn;

    impl fmt::Display for Stubborn {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let _ = f.write_str("0123456789");
            f.write_str("x")
        }
    }

    #[test]
    fn nothing_follows_a_cut() {
        assert_eq!(in_eight(&Text::<9>::of(Stubborn)), "01234...");
        assert_eq!(
            &*Text::<9>::of(format_args!("{}{}", "0123456789", "x")),
            "01234..."
        );
        assert_eq!(
            &*Text::<9>::of(format_args!("{}{}", "01234567", "x")),
            "01234..."
        );
        assert_eq!(
            &*Text::<9>::of(format_args!("{}{}", "0123456", "x")),
            "0123456x"
        );
    }
}
