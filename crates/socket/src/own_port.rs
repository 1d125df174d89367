//! What is known of a datagram socket's own port.

use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU16, AtomicU32};
use std::io::Read;

use anjay_net_resolve::parse_port;

use crate::sys;

/// The port that a datagram socket is known to have: the one it was bound to, or
/// that it was asked for. A port that the kernel chose and nobody knows is 0.
///
/// It saves a system call for each connect: nobody asks for a peer on a port that
/// nobody knows, except by chance.
#[derive(Default)]
pub(crate) struct OwnPort(AtomicU16);

impl OwnPort {
    pub(crate) fn set(&self, port: u16) {
        self.0.store(port, Relaxed);
    }

    /// Whether it is this one, or likely to be.
    pub(crate) fn may_be(&self, port: u16) -> bool {
        match self.0.load(Relaxed) {
            0 => is_likely_choice(port),
            own => own == port,
        }
    }
}

/// Below so many ports, the same one is chosen often enough to look.
const FEW_PORTS: u16 = 1024;

/// Whether the kernel has few ports to choose from, this one among them.
pub(crate) fn is_likely_choice(port: u16) -> bool {
    /// The first port and the last, as halves; 0 until they are known.
    static RANGE: AtomicU32 = AtomicU32::new(0);
    let mut range = RANGE.load(Relaxed);
    if range == 0 {
        let (first, last) = read_range().unwrap_or((0, u16::MAX));
        range = u32::from(first) << 16 | u32::from(last);
        RANGE.store(range, Relaxed);
    }
    is_one_of_few(((range >> 16) as u16, range as u16), port)
}

fn is_one_of_few((first, last): (u16, u16), port: u16) -> bool {
    last - first < FEW_PORTS && (first..=last).contains(&port)
}

fn read_range() -> Option<(u16, u16)> {
    // Without any allocation: two numbers of five digits.
    let mut text = [0; 16];
    let mut file = sys::open(c"/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let len = file.read(&mut text).ok()?;
    parse_range(&text[..len])
}

/// Two numbers, the first not above the second.
fn parse_range(text: &[u8]) -> Option<(u16, u16)> {
    let mut numbers = text
        .split(u8::is_ascii_whitespace)
        .filter(|number| !number.is_empty())
        .map(|number| parse_port(number).ok());
    let (first, last) = (numbers.next()??, numbers.next()??);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("32768\t60999\n", Some((32768, 60999))),
            (" 45000 \t45000", Some((45000, 45000))),
            ("2 1", None),
            ("1", None),
            ("1 65536", None),
            ("", None),
        ] {
            assert_eq!(parse_range(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn few_ports_are_likely() {
        for (range, port, expected) in [
            ((5000, 5000), 5000, true),
            ((5000, 5000), 5001, false),
            ((5000, 6023), 6023, true),
            ((5000, 6024), 6024, false),
            ((0, u16::MAX), 5000, false),
        ] {
            assert_eq!(is_one_of_few(range, port), expected, "{range:?}, {port}");
        }
    }

    #[test]
    fn a_known_port_is_told_from_others() {
        let port = OwnPort::default();
        port.set(5683);
        assert!(port.may_be(5683) && !port.may_be(5684));
    }
}
