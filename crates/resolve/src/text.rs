//! Text of limited length, without the heap, and addresses as text: receive_from
//! writes the source of every datagram.

use std::ffi::CStr;
use std::fmt::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
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

/// Text of an IP address, of a port, or of both: brackets, 39 bytes, `%`, a scope of at
/// most [`INTERFACE_MAX`] bytes, and `:65535`.
pub type AddressText = Text<{ 2 + 39 + 1 + INTERFACE_MAX + 6 + 1 }>;

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
pub fn write_ip(addr: &SocketAddr) -> AddressText {
    write_ip_scoped(addr, None)
}

/// As [`write_ip`], with the scope as an interface name. A name that is empty
/// or longer than [`INTERFACE_MAX`] bytes can't be one: the number is written.
#[must_use]
pub fn write_ip_scoped(addr: &SocketAddr, interface: Option<&str>) -> AddressText {
    let mut text = AddressText::EMPTY;
    text.push_ip(addr, interface);
    text
}

/// Address and port, for people.
///
/// ```
/// use anjay_net_resolve::write_endpoint;
///
/// for text in ["192.0.2.1:5683", "[fe80::1%3]:5684"] {
///     assert_eq!(&*write_endpoint(&text.parse().unwrap()), text);
/// }
/// ```
#[must_use]
pub fn write_endpoint(addr: &SocketAddr) -> AddressText {
    let mut text = AddressText::EMPTY;
    let is_v6 = unmap(*addr).is_ipv6();
    if is_v6 {
        text.push(b'[');
    }
    text.push_ip(addr, None);
    if is_v6 {
        text.push(b']');
    }
    text.push(b':');
    text.push_u16(addr.port());
    text
}

/// The port in decimal, without leading zeros.
///
/// ```
/// assert_eq!(anjay_net_resolve::write_port(5683).as_bytes(), b"5683");
/// ```
#[must_use]
pub fn write_port(port: u16) -> AddressText {
    let mut text = AddressText::EMPTY;
    text.push_u16(port);
    text
}

/// A number in decimal for log lines, of up to 32 bits and a sign. A program that writes
/// all its numbers so is smaller by what core::fmt has for padding, radix and precision.
///
/// ```
/// assert_eq!(anjay_net_resolve::Decimal(-2).to_string(), "-2");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Decimal(pub i64);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = AddressText::EMPTY;
        if self.0 < 0 {
            text.push(b'-');
        }
        text.push_decimal(self.0.unsigned_abs() as u32, &POWERS_OF_TEN);
        f.write_str(&text)
    }
}

const ELLIPSIS: &[u8] = b"...";

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
        // An error means that the rest does not fit, here and below.
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

    /// For what is known to fit.
    #[inline]
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.buffer.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    // By hand, as nearly every datagram needs it: core::fmt takes several times as
    // long, and is as large.
    fn push_ip(&mut self, addr: &SocketAddr, interface: Option<&str>) {
        let v6 = match unmap(*addr) {
            SocketAddr::V4(v4) => return self.push_ipv4(*v4.ip()),
            SocketAddr::V6(v6) => v6,
        };
        self.push_ipv6(*v6.ip());
        if v6.scope_id() == 0 || !is_link_local(v6.ip()) {
            return;
        }
        self.push(b'%');
        match interface {
            Some(name) if (1..=INTERFACE_MAX).contains(&name.len()) => {
                name.bytes().for_each(|byte| self.push(byte));
            }
            _ => self.push_decimal(v6.scope_id(), &POWERS_OF_TEN),
        }
    }

    fn push_ipv4(&mut self, ip: Ipv4Addr) {
        let [first, rest @ ..] = ip.octets();
        self.push_u16(first.into());
        for octet in rest {
            self.push(b'.');
            self.push_u16(octet.into());
        }
    }

    /// RFC 5952 section 4: the first of the longest runs of zeros is left out, unless
    /// it is a single one.
    #[inline(never)]
    fn push_ipv6(&mut self, ip: Ipv6Addr) {
        let segments = ip.segments();
        let mut zeros = 0..0;
        for start in 0..segments.len() {
            let run = segments.iter().skip(start).take_while(|it| **it == 0);
            let len = run.count();
            if len > zeros.len().max(1) {
                zeros = start..start + len;
            }
        }
        for (index, segment) in segments.into_iter().enumerate() {
            if zeros.contains(&index) {
                // One colon before what is left out, one after it.
                if index == zeros.start {
                    self.push(b':');
                }
                if index == segments.len() - 1 {
                    self.push(b':');
                }
                continue;
            }
            if index > 0 {
                self.push(b':');
            }
            for shift in [12, 8, 4, 0] {
                let digits = segment >> shift;
                if digits > 0 || shift == 0 {
                    self.push(b"0123456789abcdef"[usize::from(digits % 16)]);
                }
            }
        }
    }

    /// An octet or a port.
    #[inline]
    fn push_u16(&mut self, value: u16) {
        self.push_decimal(value.into(), &POWERS_OF_TEN[5..]);
    }

    /// `powers` are those that the value may reach, above 1.
    #[inline]
    fn push_decimal(&mut self, value: u32, powers: &[u32]) {
        for power in powers {
            if value >= *power {
                self.push(b'0' + (value / power % 10) as u8);
            }
        }
        self.push(b'0' + (value % 10) as u8);
    }
}

const POWERS_OF_TEN: [u32; 9] = [
    1_000_000_000,
    100_000_000,
    10_000_000,
    1_000_000,
    100_000,
    10_000,
    1_000,
    100,
    10,
];

impl<const N: usize> From<&str> for Text<N> {
    fn from(text: &str) -> Self {
        let mut whole = Self::EMPTY;
        let _ = whole.write_str(text);
        whole
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.is_cut = self.is_cut || !append(&mut self.buffer, &mut self.len, text);
        if self.is_cut { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Appends a text to the one in `buffer`; false if it was cut off. One function for all
/// lengths.
fn append(buffer: &mut [u8], len: &mut usize, text: &str) -> bool {
    let most = buffer.len() - 1;
    let fitting = beginning(text.as_bytes(), most - *len);
    buffer[*len..][..fitting.len()].copy_from_slice(fitting);
    *len += fitting.len();
    if fitting.len() == text.len() {
        return true;
    }
    *len = beginning(&buffer[..*len], most - ELLIPSIS.len()).len();
    buffer[*len..].fill(0);
    buffer[*len..][..ELLIPSIS.len()].copy_from_slice(ELLIPSIS);
    *len += ELLIPSIS.len();
    false
}

/// The longest beginning that has at most `room` bytes and only whole characters.
fn beginning(text: &[u8], room: usize) -> &[u8] {
    let mut end = room.min(text.len());
    // The bytes of a character but its first: RFC 3629 section 3.
    while text.get(end).is_some_and(|byte| byte & 0xC0 == 0x80) {
        end -= 1;
    }
    &text[..end]
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

    /// The standard library is the reference, but for the forms of RFC 5952 section 5.
    #[test]
    fn ipv6_is_written_as_the_standard_library_does() {
        let others = [2_u16, 1, 0xa, 0xb0, 0xc00, 0xd000, 0xffff, 0x10];
        for pattern in 0_u32..1 << 8 {
            let segments = std::array::from_fn(|index| match pattern >> index & 1 {
                0 => 0,
                _ => others[index],
            });
            let addr = SocketAddr::new(Ipv6Addr::from(segments).into(), 0);
            assert_eq!(&*write_ip(&addr), addr.ip().to_string());
        }
    }

    #[test]
    fn numbers_are_written_without_leading_zeros() {
        let mut text = AddressText::EMPTY;
        for value in [0, 9, 10, 65_535, 100_000, u32::MAX] {
            text.push_decimal(value, &POWERS_OF_TEN);
            text.push(b' ');
        }
        assert_eq!(&*text, "0 9 10 65535 100000 4294967295 ");
    }

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
