//! The texts that nearly all calls pass: an IPv4 address and a port, as this
//! library itself would write them.
//!
//! They are read right where C has them: what ends a number is whatever is no
//! digit, the NUL too, so that nothing need be known of the length. That takes
//! a third of the instructions of `strlen` and the parsers for text of any
//! kind, which are asked about everything else.

use core::ffi::c_char;
use core::marker::PhantomData;
use std::net::{Ipv4Addr, SocketAddrV4};

/// A place in a C string, never after its NUL.
struct Cursor<'a> {
    place: *const u8,
    text: PhantomData<&'a u8>,
}

impl Cursor<'_> {
    /// # Safety
    /// `text` is NUL-terminated and stays as it is for `'a`.
    #[inline]
    unsafe fn new(text: *const c_char) -> Self {
        Cursor {
            place: text.cast(),
            text: PhantomData,
        }
    }

    #[inline]
    fn byte(&self) -> u8 {
        // SAFETY: the place is a byte of the string.
        unsafe { *self.place }
    }

    /// Goes on over a byte, which the caller knows not to be the NUL.
    #[inline]
    fn advance(&mut self) {
        debug_assert_ne!(self.byte(), 0);
        // SAFETY: after a byte that is not the NUL there is another one.
        self.place = unsafe { self.place.add(1) };
    }

    /// Takes a digit if there is one.
    #[inline]
    fn digit(&mut self) -> Option<u32> {
        let digit = u32::from(self.byte()).wrapping_sub(b'0'.into());
        if digit > 9 {
            return None;
        }
        self.advance();
        Some(digit)
    }

    /// Takes a number of at most `digits` digits, without leading zeros.
    #[inline(always)]
    fn number(&mut self, digits: u32, limit: u32) -> Option<u32> {
        let mut number = self.digit()?;
        for _ in 1..digits {
            match self.digit() {
                // Only what is longer can begin with a zero.
                Some(_) if number == 0 => return None,
                Some(digit) => number = number * 10 + digit,
                None => return Some(number),
            }
        }
        (number <= limit).then_some(number)
    }

    #[inline]
    fn octet(&mut self) -> Option<u32> {
        self.number(3, 255)
    }

    #[inline]
    fn dot(&mut self) -> Option<()> {
        if self.byte() != b'.' {
            return None;
        }
        self.advance();
        Some(())
    }

    #[inline]
    fn end(&self) -> Option<()> {
        (self.byte() == 0).then_some(())
    }
}

/// [`plain_ipv4`], once for all that are not called for each datagram.
///
/// # Safety
/// As there.
#[inline(never)]
pub(crate) unsafe fn plain_ipv4_apart(
    host: *const c_char,
    port: *const c_char,
) -> Option<SocketAddrV4> {
    // SAFETY: the caller's promise.
    unsafe { plain_ipv4(host, port) }
}

/// The endpoint, or `None` for all other texts, good and bad.
///
/// # Safety
/// `host` and `port` are NULL or NUL-terminated.
#[inline(always)]
pub(crate) unsafe fn plain_ipv4(host: *const c_char, port: *const c_char) -> Option<SocketAddrV4> {
    if host.is_null() || port.is_null() {
        return None;
    }
    // SAFETY: not NULL, and the caller's promise.
    let (mut host, mut port) = unsafe { (Cursor::new(host), Cursor::new(port)) };
    let mut bits = host.octet()?;
    for _ in 0..3 {
        host.dot()?;
        bits = bits << 8 | host.octet()?;
    }
    host.end()?;
    let number = port.number(5, u16::MAX.into())?;
    port.end()?;
    // At most 65535.
    #[allow(clippy::cast_possible_truncation)]
    Some(SocketAddrV4::new(Ipv4Addr::from_bits(bits), number as u16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    fn parse(host: &str, port: &str) -> Option<SocketAddrV4> {
        let text = |text: &str| CString::new(text).unwrap();
        let (host, port) = (text(host), text(port));
        // SAFETY: both are NUL-terminated.
        unsafe { plain_ipv4(host.as_ptr(), port.as_ptr()) }
    }

    #[test]
    fn agrees_with_std_on_addresses() {
        const OCTETS: [&str; 17] = [
            "", "0", "00", "1", "01", "9", "10", "99", "100", "199", "255", "256", "300", "1000",
            "x", " 1", "1x",
        ];
        for a in OCTETS {
            for b in OCTETS {
                for c in OCTETS {
                    for d in OCTETS {
                        let host = format!("{a}.{b}.{c}.{d}");
                        let expected: Option<Ipv4Addr> = host.parse().ok();
                        let parsed = parse(&host, "1").map(|addr| *addr.ip());
                        assert_eq!(parsed, expected, "{host:?}");
                    }
                }
            }
        }
        for host in ["", "1", "1.2.3", "1.2.3.", "1.2.3.4.", "1.2.3.4.5", "::1"] {
            assert_eq!(parse(host, "1"), None, "{host:?}");
        }
    }

    #[test]
    fn takes_every_port_as_it_is_written_and_nothing_else() {
        for port in 0..=u16::MAX {
            let parsed = parse("192.0.2.1", &port.to_string());
            assert_eq!(parsed.map(|addr| addr.port()), Some(port));
        }
        for port in [
            "", "00", "01", "65536", "99999", "100000", "1 ", "+1", "a", "1a",
        ] {
            assert_eq!(parse("192.0.2.1", port), None, "{port:?}");
        }
    }

    #[test]
    fn null_is_for_others() {
        // SAFETY: NULL is fine.
        unsafe {
            assert_eq!(plain_ipv4(core::ptr::null(), c"1".as_ptr()), None);
            assert_eq!(plain_ipv4(c"192.0.2.1".as_ptr(), core::ptr::null()), None);
        }
    }
}
