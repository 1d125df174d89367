//! What is known of a datagram socket's own port.

use core::ops::RangeInclusive;
use core::sync::atomic::AtomicU16;
use core::sync::atomic::Ordering::Relaxed;
use std::fs::File;
use std::io::Read;
use std::str;
use std::sync::OnceLock;

/// The port that a datagram socket is known to have: the one it was bound to, or
/// that it was asked for. A port that the kernel chose and nobody knows is 0.
///
/// It saves a system call for each connect: nobody asks for a peer on a port that
/// nobody knows, except by chance.
pub(crate) struct OwnPort(AtomicU16);

impl OwnPort {
    pub(crate) const fn unknown() -> OwnPort {
        OwnPort(AtomicU16::new(0))
    }

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
    static RANGE: OnceLock<Option<RangeInclusive<u16>>> = OnceLock::new();
    let range = RANGE.get_or_init(|| {
        // Without any allocation: two numbers of five digits.
        let mut text = [0; 16];
        let mut file = File::open("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
        let len = file.read(&mut text).ok()?;
        parse_range(str::from_utf8(&text[..len]).ok()?)
    });
    range
        .as_ref()
        .is_some_and(|range| range.end() - range.start() < FEW_PORTS && range.contains(&port))
}

/// Two numbers, the first not above the second.
fn parse_range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut numbers = text.split_whitespace().map(str::parse);
    let (first, last) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("32768\t60999\n", Some(32768..=60999)),
            ("45000 45000", Some(45000..=45000)),
            ("2 1", None),
            ("1", None),
            ("1 65536", None),
            ("", None),
        ] {
            assert_eq!(parse_range(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_known_port_is_told_from_others() {
        let port = OwnPort::unknown();
        port.set(5683);
        assert!(port.may_be(5683) && !port.may_be(5684));
    }
}
