//! The headers that a packet would have had: IP with UDP or TCP.
//!
//! What passes through a socket is payload. Programs that read captures expect
//! packets, so headers are made up for it.

use std::net::{IpAddr, SocketAddr};

/// TCP's flags, RFC 9293 section 3.1.
pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;

const TCP: u8 = 6;
const UDP: u8 = 17;

const HOP_LIMIT: u8 = 64;

/// The longest piece of a stream in one packet, far from what IP can hold.
pub(super) const SEGMENT_MAX: usize = 32 * 1024;

/// The longest payload of a packet.
pub(super) const PAYLOAD_MAX: usize = 65_535;

/// Room for any packet: IPv6 and TCP have the longest headers.
pub(super) const PACKET_MAX: usize = 40 + 20 + PAYLOAD_MAX;

/// Makes a UDP datagram in an IP packet.
pub(super) fn udp(packet: &mut Vec<u8>, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
    let len = 8 + payload.len();
    let sum = begin(packet, from, to, UDP, len);
    let start = packet.len();
    packet.extend(from.port().to_be_bytes());
    packet.extend(to.port().to_be_bytes());
    packet.extend(field(len));
    packet.extend([0, 0]);
    packet.extend(payload);
    let sum = match sum.add(&packet[start..]).finish() {
        // 0 would mean that there is none (RFC 768).
        0 => 0xffff,
        sum => sum,
    };
    packet[start + 6..start + 8].copy_from_slice(&sum.to_be_bytes());
}

/// The fields of a TCP segment.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) sequence: u32,
    pub(super) acknowledged: u32,
    pub(super) flags: u8,
}

/// Makes a TCP segment in an IP packet.
pub(super) fn tcp(packet: &mut Vec<u8>, segment: Segment, payload: &[u8]) {
    const WORDS: u8 = 5;
    const WINDOW: u16 = 0xffff;
    let sum = begin(packet, segment.from, segment.to, TCP, 20 + payload.len());
    let start = packet.len();
    packet.extend(segment.from.port().to_be_bytes());
    packet.extend(segment.to.port().to_be_bytes());
    packet.extend(segment.sequence.to_be_bytes());
    packet.extend(segment.acknowledged.to_be_bytes());
    packet.extend([WORDS << 4, segment.flags]);
    packet.extend(WINDOW.to_be_bytes());
    // Checksum and urgent pointer.
    packet.extend([0; 4]);
    packet.extend(payload);
    let sum = sum.add(&packet[start..]).finish();
    packet[start + 16..start + 18].copy_from_slice(&sum.to_be_bytes());
}

/// Makes an IP header for `len` bytes, and begins their checksum with the
/// pseudo-header: RFC 9293 section 3.1, RFC 8200 section 8.1. It has the same
/// sum with the wider fields of IPv6.
fn begin(
    packet: &mut Vec<u8>,
    from: SocketAddr,
    to: SocketAddr,
    protocol: u8,
    len: usize,
) -> Checksum {
    packet.clear();
    let addresses = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            packet.extend([0x45, 0]);
            packet.extend(field(20 + len));
            // No identification, "don't fragment".
            packet.extend([0, 0, 0x40, 0, HOP_LIMIT, protocol, 0, 0]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            let sum = Checksum(0).add(packet).finish();
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            12
        }
        (from, to) => {
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(field(len));
            packet.extend([protocol, HOP_LIMIT]);
            packet.extend(v6_octets(from));
            packet.extend(v6_octets(to));
            8
        }
    };
    Checksum(0)
        .add(&packet[addresses..])
        .add(&[0, protocol])
        .add(&field(len))
}

fn v6_octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// A length as headers have it. None is longer: datagrams come from the kernel,
/// and pieces of a stream are cut to [`SEGMENT_MAX`].
fn field(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
}

/// RFC 1071.
struct Checksum(u64);

impl Checksum {
    /// All parts but the last have an even length.
    fn add(mut self, part: &[u8]) -> Checksum {
        for pair in part.chunks(2) {
            let pair = [pair[0], pair.get(1).copied().unwrap_or(0)];
            self.0 += u64::from(u16::from_be_bytes(pair));
        }
        self
    }

    fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        // At most 16 bits are left.
        !(sum as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(part: &[u8]) -> u16 {
        Checksum(0).add(part).finish()
    }

    /// RFC 768: all ones stand for a sum of zero, which would mean that there is none.
    #[test]
    fn a_datagram_always_has_a_sum() {
        let address = |text: &str| text.parse().unwrap();
        let sum_with = |payload: u16| {
            let mut packet = Vec::new();
            let (from, to) = (address("192.0.2.1:1"), address("192.0.2.2:2"));
            udp(&mut packet, from, to, &payload.to_be_bytes());
            u16::from_be_bytes([packet[26], packet[27]])
        };
        // What is added to the payload makes the sum that of zero.
        assert_eq!(sum_with(sum_with(0)), 0xffff);
    }

    #[test]
    fn addresses_of_both_families_make_an_ipv6_packet() {
        let (v4, v6) = (
            "192.0.2.1:1".parse().unwrap(),
            "[2001:db8::1]:2".parse().unwrap(),
        );
        let mut packet = Vec::new();
        udp(&mut packet, v4, v6, b"");
        let source = "::ffff:192.0.2.1".parse::<std::net::Ipv6Addr>().unwrap();
        assert_eq!(packet[0] >> 4, 6);
        assert_eq!(packet[8..24], source.octets());
    }

    /// RFC 1071 section 3's example.
    #[test]
    fn the_sum_is_that_of_the_rfc() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&bytes), !0xddf2);
    }

    /// The sum of all of it, checksum included, is all ones.
    fn is_valid(packet: &[u8]) -> bool {
        let (header, addresses, protocol) = match packet[0] >> 4 {
            4 => (20, 12, packet[9]),
            _ => (40, 8, packet[6]),
        };
        let (ip, inner) = packet.split_at(header);
        let sum = Checksum(0)
            .add(&ip[addresses..])
            .add(&[0, protocol])
            .add(&field(inner.len()))
            .add(inner)
            .finish();
        sum == 0 && (header == 40 || checksum(ip) == 0)
    }

    #[test]
    fn every_checksum_is_what_a_receiver_expects() {
        let v4 = ["192.0.2.1:5683", "198.51.100.7:49152"];
        let v6 = ["[2001:db8::1]:5683", "[2001:db8::2]:49152"];
        let mut packet = Vec::new();
        for ends in [v4, v6] {
            let [from, to] = ends.map(|end| end.parse().unwrap());
            for payload in [&b""[..], b"odd", b"even", &[0xff; 1001]] {
                udp(&mut packet, from, to, payload);
                assert!(is_valid(&packet) && packet.ends_with(payload));
                let segment = Segment {
                    from,
                    to,
                    sequence: u32::MAX,
                    acknowledged: 7,
                    flags: PSH | ACK,
                };
                tcp(&mut packet, segment, payload);
                assert!(is_valid(&packet) && packet.ends_with(payload));
            }
        }
    }
}
