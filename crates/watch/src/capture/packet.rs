//! The headers that a packet would have had: IP with UDP or TCP.
//!
//! What passes through a socket is payload; these are made for it so that
//! programs that read captures can make sense of it.

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
pub(super) const SEGMENT: usize = 32 * 1024;

/// A UDP datagram in an IP packet.
pub(super) fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(8 + payload.len());
    datagram.extend(from.port().to_be_bytes());
    datagram.extend(to.port().to_be_bytes());
    datagram.extend(length(8 + payload.len()));
    datagram.extend([0, 0]);
    datagram.extend(payload);
    let sum = match checksum(&[&pseudo_header(from, to, UDP, datagram.len()), &datagram]) {
        // 0 would mean that there is none (RFC 768).
        0 => 0xffff,
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    ip(from, to, UDP, &datagram)
}

/// What a TCP segment says besides its payload.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    pub(super) sequence: u32,
    pub(super) acknowledged: u32,
    pub(super) flags: u8,
}

/// A TCP segment in an IP packet.
pub(super) fn tcp(from: SocketAddr, to: SocketAddr, segment: Segment, payload: &[u8]) -> Vec<u8> {
    const WORDS: u8 = 5;
    const WINDOW: u16 = 0xffff;
    let mut bytes = Vec::with_capacity(20 + payload.len());
    bytes.extend(from.port().to_be_bytes());
    bytes.extend(to.port().to_be_bytes());
    bytes.extend(segment.sequence.to_be_bytes());
    bytes.extend(segment.acknowledged.to_be_bytes());
    bytes.extend([WORDS << 4, segment.flags]);
    bytes.extend(WINDOW.to_be_bytes());
    // Checksum and urgent pointer.
    bytes.extend([0; 4]);
    bytes.extend(payload);
    let sum = checksum(&[&pseudo_header(from, to, TCP, bytes.len()), &bytes]);
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    ip(from, to, TCP, &bytes)
}

fn ip(from: SocketAddr, to: SocketAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(40 + payload.len());
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            packet.extend([0x45, 0]);
            packet.extend(length(20 + payload.len()));
            // No identification, "don't fragment".
            packet.extend([0, 0, 0x40, 0, HOP_LIMIT, protocol, 0, 0]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            let sum = checksum(&[&packet]);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (from, to) => {
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(length(payload.len()));
            packet.extend([protocol, HOP_LIMIT]);
            packet.extend(v6_octets(from));
            packet.extend(v6_octets(to));
        }
    }
    packet.extend(payload);
    packet
}

fn v6_octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// A length as the header has it. None is longer: datagrams come from the
/// kernel, and pieces of a stream are cut to [`SEGMENT`].
fn length(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
}

/// What the checksums of UDP and TCP cover besides themselves: RFC 9293
/// section 3.1, RFC 8200 section 8.1.
fn pseudo_header(from: SocketAddr, to: SocketAddr, protocol: u8, len: usize) -> Vec<u8> {
    let mut header = Vec::with_capacity(40);
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.extend(from.octets());
            header.extend(to.octets());
        }
        (from, to) => {
            header.extend(v6_octets(from));
            header.extend(v6_octets(to));
        }
    }
    // The sum is the same with the wider fields of IPv6.
    header.extend([0, protocol]);
    header.extend(length(len));
    header
}

/// RFC 1071. All parts but the last have an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    for part in parts {
        for pair in part.chunks(2) {
            let pair = [pair[0], pair.get(1).copied().unwrap_or(0)];
            sum += u64::from(u16::from_be_bytes(pair));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // At most 16 bits are left.
    #[allow(clippy::cast_possible_truncation)]
    let sum = sum as u16;
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1071 section 3's example.
    #[test]
    fn the_sum_is_that_of_the_rfc() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&[&bytes]), !0xddf2);
    }

    /// A receiver adds all of it, checksum included, and gets all ones.
    #[test]
    fn every_checksum_is_what_a_receiver_expects() {
        let v4 = ["192.0.2.1:5683", "198.51.100.7:49152"];
        let v6 = ["[2001:db8::1]:5683", "[2001:db8::2]:49152"];
        for ends in [v4, v6] {
            let [from, to] = ends.map(|end| end.parse().unwrap());
            for payload in [&b""[..], b"odd", b"even", &[0xff; 1001]] {
                let segment = Segment {
                    sequence: u32::MAX,
                    acknowledged: 7,
                    flags: PSH | ACK,
                };
                for (protocol, packet) in [
                    (UDP, udp(from, to, payload)),
                    (TCP, tcp(from, to, segment, payload)),
                ] {
                    let header = if from.is_ipv4() { 20 } else { 40 };
                    let (ip, inner) = packet.split_at(header);
                    if from.is_ipv4() {
                        assert_eq!(checksum(&[ip]), 0);
                    }
                    let pseudo = pseudo_header(from, to, protocol, inner.len());
                    assert_eq!(checksum(&[&pseudo, inner]), 0);
                    assert!(inner.ends_with(payload));
                }
            }
        }
    }
}
