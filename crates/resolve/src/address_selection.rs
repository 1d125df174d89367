//! Default Address Selection: which destinations are worth trying before others
//! (RFC 6724 section 6).
//!
//! Rules 1, 2, 5, 6 and 8. Rules 3 and 4 are about properties of the source
//! address, and rule 7 about the encapsulation, that no system call returns; rule
//! 9 sorts by common prefix and would send all clients of a site to the same
//! server, where callers rely on a random choice. The policy table is the
//! default one, gai.conf(5) is not read.

use std::net::{IpAddr, SocketAddr};

use crate::addr::unmap;

/// The address from which the kernel would send to a destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The source address.
    Address(IpAddr),
    /// None: there is no route, or no address of the family.
    Unreachable,
    /// Unknown; this does not lower the rank of the destination.
    Unknown,
}

/// What speaks against a destination, the most important first: less is better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Flaws {
    /// Rule 1: there is no address to send from.
    pub(crate) unusable: bool,
    /// Rule 2: the source is of another scope, so answers do not find back.
    pub(crate) other_scope: bool,
    /// Rule 5: the source is of another kind of network.
    pub(crate) other_label: bool,
}

impl Flaws {
    pub(crate) fn new(destination: &SocketAddr, source: Source) -> Self {
        let mut flaws = Flaws::default();
        if let Source::Address(source) = source {
            let (source, destination) = (source.to_canonical(), unmap(*destination).ip());
            flaws.other_scope = scope(destination) != scope(source);
            flaws.other_label = policy(destination).1 != policy(source).1;
        }
        flaws.unusable = source == Source::Unreachable;
        flaws
    }
}

/// Rule 6, the higher precedence, and rule 8, the smaller scope: less is better.
pub(crate) fn preference(destination: &SocketAddr) -> [u8; 2] {
    let destination = unmap(*destination).ip();
    [u8::MAX - policy(destination).0, scope(destination)]
}

/// Precedence and label of the default policy table (RFC 6724 section 2.1).
fn policy(ip: IpAddr) -> (u8, u8) {
    let IpAddr::V6(ip) = ip else {
        return (35, 4); // ::ffff:0:0/96
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => (50, 0),
        [0, 0, 0, 0, 0, 0, ..] => (1, 3),
        [0x2001, 0, ..] => (5, 5),
        [0x2002, ..] => (30, 2),
        [0x3FFE, ..] => (1, 12),
        [0xFEC0..=0xFEFF, ..] => (1, 11),
        [0xFC00..=0xFDFF, ..] => (3, 13),
        _ => (40, 1),
    }
}

const LINK_LOCAL: u8 = 0x2;
const SITE_LOCAL: u8 = 0x5;
const GLOBAL: u8 = 0xE;

/// The scope of an address, by the values of multicast scopes (RFC 6724 sections
/// 3.1 and 3.2).
fn scope(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(ip) if ip.is_loopback() || ip.is_link_local() => LINK_LOCAL,
        IpAddr::V4(_) => GLOBAL,
        IpAddr::V6(ip) => match ip.segments()[0] {
            _ if ip.is_loopback() || ip.is_unicast_link_local() => LINK_LOCAL,
            0xFEC0..=0xFEFF => SITE_LOCAL,
            first @ 0xFF00.. => (first & 0xF) as u8,
            _ => GLOBAL,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn addr(text: &str) -> SocketAddr {
        SocketAddr::new(ip(text), 5683)
    }

    #[test]
    fn the_policy_table() {
        for (text, expected) in [
            ("::1", (50, 0)),
            ("2606:4700::1", (40, 1)),
            ("64:ff9b::192.0.2.1", (40, 1)),
            ("fe80::1", (40, 1)),
            ("ff02::1", (40, 1)),
            ("192.0.2.1", (35, 4)),
            ("127.0.0.1", (35, 4)),
            ("2002:c000:201::1", (30, 2)),
            ("2001:0:1::1", (5, 5)),
            ("2001:1::1", (40, 1)),
            ("2001:db8::1", (40, 1)),
            ("fc00::1", (3, 13)),
            ("fdff::1", (3, 13)),
            ("::192.0.2.1", (1, 3)),
            ("::", (1, 3)),
            ("fec0::1", (1, 11)),
            ("3ffe::1", (1, 12)),
        ] {
            assert_eq!(policy(ip(text)), expected, "{text}");
        }
    }

    #[test]
    fn scopes() {
        for (text, expected) in [
            ("::1", 0x2),
            ("fe80::1", 0x2),
            ("febf::1", 0x2),
            ("fec0::1", 0x5),
            ("fd00::1", 0xE),
            ("2001:db8::1", 0xE),
            ("ff02::1", 0x2),
            ("ff05::1", 0x5),
            ("ff0e::1", 0xE),
            ("127.0.0.1", 0x2),
            ("169.254.1.1", 0x2),
            ("10.0.0.1", 0xE),
            ("192.168.0.1", 0xE),
            ("198.51.100.1", 0xE),
        ] {
            assert_eq!(scope(ip(text)), expected, "{text}");
        }
    }

    /// The examples of RFC 6724 section 10.2 that these rules decide: the first
    /// destination is the better one.
    #[test]
    fn examples_of_the_rfc() {
        let key = |(destination, source): (&str, &str)| {
            let destination = addr(destination);
            let source = Source::Address(ip(source));
            (Flaws::new(&destination, source), preference(&destination))
        };
        for (first, second) in [
            // Prefer matching scope.
            (
                ("2001:db8:1::1", "2001:db8:1::2"),
                ("198.51.100.121", "169.254.13.78"),
            ),
            (
                ("198.51.100.121", "198.51.100.117"),
                ("2001:db8:1::1", "fe80::1"),
            ),
            // Prefer higher precedence.
            (("2001:db8:1::1", "2001:db8:1::2"), ("10.1.2.3", "10.1.2.4")),
            // Prefer smaller scope.
            (("fe80::1", "fe80::2"), ("2001:db8:1::1", "2001:db8:1::2")),
            // Prefer matching label.
            (
                ("2002:c633:6401::1", "2002:c633:6401::2"),
                ("2001:db8:1::1", "2002:c633:6401::2"),
            ),
            // Prefer higher precedence.
            (
                ("2001:db8:1::1", "2001:db8:1::2"),
                ("2002:c633:6401::1", "2002:c633:6401::2"),
            ),
        ] {
            assert!(key(first) < key(second), "{first:?} {second:?}");
        }
    }

    #[test]
    fn sources_that_do_not_fit() {
        let flaws = |unusable, other_scope, other_label| Flaws {
            unusable,
            other_scope,
            other_label,
        };
        let none = Flaws::default();
        for (destination, source, expected) in [
            ("2001:db8::1", "2001:db8::2", none),
            ("2001:db8::1", "fe80::2", flaws(false, true, false)),
            ("2001:db8::1", "fd00::2", flaws(false, false, true)),
            ("2001:db8::1", "2001:0:1::2", flaws(false, false, true)),
            ("fd00::1", "fd00::2", none),
            ("fd00::1", "2001:db8::2", flaws(false, false, true)),
            ("192.0.2.1", "10.0.0.1", none),
            ("192.0.2.1", "169.254.0.1", flaws(false, true, false)),
            ("::ffff:192.0.2.1", "::ffff:10.0.0.1", none),
            ("::ffff:192.0.2.1", "10.0.0.1", none),
            ("::1", "::1", none),
            ("127.0.0.1", "127.0.0.1", none),
        ] {
            let found = Flaws::new(&addr(destination), Source::Address(ip(source)));
            assert_eq!(found, expected, "{destination} from {source}");
        }
        let unreachable = Flaws::new(&addr("192.0.2.1"), Source::Unreachable);
        assert_eq!(unreachable, flaws(true, false, false));
        assert_eq!(Flaws::new(&addr("192.0.2.1"), Source::Unknown), none);
        assert!(unreachable > flaws(false, true, true));
        assert!(flaws(false, true, false) > flaws(false, false, true));
    }
}
