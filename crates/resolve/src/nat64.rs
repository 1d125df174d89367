//! IPv4 servers behind a NAT64: finding its prefix (RFC 7050) and writing IPv4
//! addresses with it (RFC 6052).
//!
//! A network that has IPv6 only can reach an IPv4 address through a translator,
//! under an IPv6 address that embeds it. Names get such addresses from the
//! network's DNS64; a literal needs the prefix. It is found in the answer for
//! [`IPV4ONLY_ARPA`], a name that has no IPv6 address but those that a DNS64
//! makes. The prefix belongs to the network and is not kept here: a lookup costs
//! as much as that of the name of a server.
//!
//! ```
//! use anjay_net_resolve::Nat64Prefix;
//!
//! // What a DNS64 answers for ipv4only.arpa.
//! let answer = ["[2001:db8:64::c000:aa]:0", "[2001:db8:64::c000:ab]:0"].map(|it| it.parse().unwrap());
//! let prefix = Nat64Prefix::discover(&answer)[0].unwrap();
//! let server = prefix.embed([198, 51, 100, 7].into());
//! assert_eq!(server, Some("2001:db8:64::198.51.100.7".parse().unwrap()));
//! ```

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// The name whose IPv6 addresses show the prefix (RFC 7050 section 3), to be
/// looked up with [`Resolver::lookup`](crate::Resolver::lookup). With the dot of
/// the root, as no search domain is to be appended.
pub const IPV4ONLY_ARPA: &str = "ipv4only.arpa.";

/// Maximum of prefixes that are used of a network; usually there is one.
pub const PREFIXES_MAX: usize = 4;

/// The IPv4 addresses of [`IPV4ONLY_ARPA`] (RFC 7050 section 8.2).
const WELL_KNOWN_ADDRESSES: [Ipv4Addr; 2] =
    [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

/// The prefix of the translators that serve the whole Internet (RFC 6052 section
/// 2.1).
const WELL_KNOWN_PREFIX: Nat64Prefix = Nat64Prefix {
    prefix: Ipv6Addr::new(0x64, 0xFF9B, 0, 0, 0, 0, 0, 0),
    len: 96,
};

/// In bits (RFC 6052 section 2.2).
const LENGTHS: [u8; 6] = [96, 64, 56, 48, 40, 32];

/// The prefix of a NAT64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nat64Prefix {
    /// All bits after the prefix are zero.
    prefix: Ipv6Addr,
    len: u8,
}

impl Nat64Prefix {
    /// The prefixes in the answer for [`IPV4ONLY_ARPA`], each once, at most
    /// [`PREFIXES_MAX`]; none if the network has no DNS64.
    #[must_use]
    #[inline(never)]
    pub fn discover(answer: &[SocketAddr]) -> [Option<Self>; PREFIXES_MAX] {
        let mut prefixes = [None; PREFIXES_MAX];
        for addr in answer {
            let readings = LENGTHS.map(|len| Self::reading(addr, len));
            let is_only_one = readings.iter().flatten().count() == 1;
            for (prefix, embedded) in readings.into_iter().flatten() {
                // RFC 7050 section 3: a well-known address that is found at
                // several places of an address proves a prefix only if the other
                // one is found with it, too.
                let is_confirmed = is_only_one
                    || answer
                        .iter()
                        .filter_map(|addr| Self::reading(addr, prefix.len))
                        .any(|(other, with)| other == prefix && with != embedded);
                let mut rooms = prefixes.iter_mut();
                let room = rooms.find(|room| room.is_none_or(|known| known == prefix));
                if let (true, Some(room)) = (is_confirmed, room) {
                    *room = Some(prefix);
                }
            }
        }
        prefixes
    }

    /// The prefix of that length with which this would be a well-known address.
    fn reading(addr: &SocketAddr, len: u8) -> Option<(Self, Ipv4Addr)> {
        let SocketAddr::V6(addr) = addr else {
            return None;
        };
        let mut octets = addr.ip().octets();
        let embedded = Ipv4Addr::from(places(len).map(|place| octets[place]));
        // Bits 64 to 71 are zero (RFC 6052 section 2.2).
        let is_valid = len == 96 || octets[8] == 0;
        octets[usize::from(len / 8)..].fill(0);
        let prefix = octets.into();
        (is_valid && WELL_KNOWN_ADDRESSES.contains(&embedded))
            .then_some((Nat64Prefix { prefix, len }, embedded))
    }

    /// The IPv6 address under which the translator is asked for `ip`. None for
    /// addresses that mean something on the host or its link only, and, with the
    /// Well-Known Prefix, for those of private networks (RFC 6052 section 3.1).
    #[must_use]
    #[inline(never)]
    pub fn embed(&self, ip: Ipv4Addr) -> Option<Ipv6Addr> {
        // RFC 6598: 100.64.0.0/10 is private to a provider.
        let is_private = ip.is_private() || matches!(ip.octets(), [100, 64..=127, ..]);
        if !is_translatable(ip) || (is_private && *self == WELL_KNOWN_PREFIX) {
            return None;
        }
        let mut octets = self.prefix.octets();
        for (place, octet) in places(self.len).into_iter().zip(ip.octets()) {
            octets[place] = octet;
        }
        Some(octets.into())
    }
}

/// Whether a translator may reach `ip`: not if it means something on the host or
/// its link only. See [`Nat64Prefix::embed`].
#[must_use]
pub fn is_translatable(ip: Ipv4Addr) -> bool {
    !(ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_broadcast()
        || ip.octets()[0] == 0)
}

/// Where the octets of the IPv4 address are: right after the prefix, but for
/// octet 8, which is left out.
fn places(len: u8) -> [usize; 4] {
    let first = usize::from(len / 8);
    [0, 1, 2, 3].map(|index| {
        let place = first + index;
        place + usize::from(first <= 8 && place >= 8)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    fn discover(answer: &[&str]) -> Vec<String> {
        let answer: Vec<_> = answer
            .iter()
            .map(|text| SocketAddr::new(text.parse().unwrap(), 0))
            .collect();
        Nat64Prefix::discover(&answer)
            .iter()
            .flatten()
            .map(|it| format!("{}/{}", it.prefix, it.len))
            .collect()
    }

    /// The table of RFC 6052 section 2.4, for 192.0.2.33.
    #[test]
    fn addresses_of_all_prefix_lengths() {
        for (prefix, len, expected) in [
            ("2001:db8::", 32, "2001:db8:c000:221::"),
            ("2001:db8:100::", 40, "2001:db8:1c0:2:21::"),
            ("2001:db8:122::", 48, "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::", 56, "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::", 64, "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::", 96, "2001:db8:122:344::192.0.2.33"),
            ("64:ff9b::", 96, "64:ff9b::192.0.2.33"),
        ] {
            let nat64 = Nat64Prefix {
                prefix: ip(prefix),
                len,
            };
            let embedded = nat64.embed([192, 0, 2, 33].into());
            assert_eq!(embedded, Some(ip(expected)), "{prefix}/{len}");
        }
    }

    #[test]
    fn every_prefix_is_found_again() {
        for len in LENGTHS {
            let nat64 = Nat64Prefix {
                prefix: ip(["2001:db8:122:344::", "2001:db8::"][usize::from(len < 64)]),
                len,
            };
            let answer =
                WELL_KNOWN_ADDRESSES.map(|ip| SocketAddr::new(nat64.embed(ip).unwrap().into(), 0));
            let expected = [Some(nat64), None, None, None];
            assert_eq!(Nat64Prefix::discover(&answer), expected, "/{len}");
            assert_eq!(Nat64Prefix::discover(&answer[1..]), expected, "/{len}");
        }
    }

    #[test]
    fn prefixes_are_told_once() {
        let wkp = ["64:ff9b::192.0.0.170", "64:ff9b::192.0.0.171"];
        assert_eq!(discover(&wkp), ["64:ff9b::/96"]);
        let two = [
            "64:ff9b::192.0.0.170",
            "2001:db8:c000:aa::",
            "64:ff9b::192.0.0.171",
            "2001:db8:c000:ab::",
        ];
        assert_eq!(discover(&two), ["64:ff9b::/96", "2001:db8::/32"]);
    }

    #[test]
    fn other_answers_show_no_prefix() {
        assert_eq!(discover(&[]), [""; 0]);
        for text in [
            "192.0.0.170",
            "2001:db8::1",
            "64:ff9b::192.0.0.172",
            // Between the allowed places.
            "2001:db8:0:0:0:c000:aa::",
            // Bits 64 to 71 are not zero.
            "2001:db8:1c0:0:ffaa::",
        ] {
            assert_eq!(discover(&[text]), [""; 0], "{text}");
        }
    }

    #[test]
    fn two_places_in_one_address_need_the_other_well_known_address() {
        // 192.0.0.170 is part of a /96 prefix that could be a /32, too.
        let (first, second) = (
            "2001:db8:c000:aa::192.0.0.170",
            "2001:db8:c000:aa::192.0.0.171",
        );
        assert_eq!(discover(&[first]), [""; 0]);
        assert_eq!(discover(&[first, second]), ["2001:db8:c000:aa::/96"]);
        assert_eq!(discover(&[second, first]), ["2001:db8:c000:aa::/96"]);
    }

    #[test]
    fn what_a_translator_is_not_asked_for() {
        let other = Nat64Prefix {
            prefix: ip("2001:db8::"),
            len: 32,
        };
        for octets in [
            [0, 0, 0, 0],
            [127, 0, 0, 1],
            [169, 254, 1, 1],
            [224, 0, 1, 187],
            [255, 255, 255, 255],
        ] {
            assert_eq!(WELL_KNOWN_PREFIX.embed(octets.into()), None);
            assert_eq!(other.embed(octets.into()), None);
        }
        for octets in [
            [10, 0, 0, 1],
            [172, 16, 0, 1],
            [192, 168, 0, 1],
            [100, 64, 0, 1],
        ] {
            assert_eq!(WELL_KNOWN_PREFIX.embed(octets.into()), None);
            assert!(other.embed(octets.into()).is_some());
        }
        for octets in [[198, 51, 100, 7], [100, 128, 0, 1], [8, 8, 8, 8]] {
            assert!(WELL_KNOWN_PREFIX.embed(octets.into()).is_some());
        }
    }
}
