//! ICMP errors, as a router sends them.

use std::io;
use std::net::SocketAddrV4;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// What the messages tell: larger than any datagram of a client.
const PATH_MTU: u16 = 1400;

pub(super) struct Router(Socket);

impl Router {
    /// Fails without `CAP_NET_RAW` (raw(7)).
    pub(super) fn open() -> io::Result<Router> {
        Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).map(Router)
    }

    /// "Fragmentation needed" (RFC 792, RFC 1191) about a datagram of a client: the
    /// kernel has an error for its socket, which concerns neither its receives nor
    /// datagrams of this size.
    pub(super) fn report_path_mtu(&self, client: SocketAddrV4, to: SocketAddrV4) -> io::Result<()> {
        let mut message = vec![3, 4, 0, 0, 0, 0];
        message.extend(PATH_MTU.to_be_bytes());
        // The header of the datagram (RFC 791): 20 bytes without options, of UDP.
        message.extend([0x45, 0, 5, 220, 0, 0, 0x40, 0, 64, 17, 0, 0]);
        message.extend(client.ip().octets());
        message.extend(to.ip().octets());
        // And of UDP (RFC 768).
        message.extend(client.port().to_be_bytes());
        message.extend(to.port().to_be_bytes());
        message.extend([5, 200, 0, 0]);
        let checksum = checksum(&message);
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        let client = SockAddr::from(SocketAddrV4::new(*client.ip(), 0));
        self.0.send_to(&message, &client).map(drop)
    }
}

/// RFC 1071, of an even number of bytes.
fn checksum(message: &[u8]) -> u16 {
    let words = message.chunks_exact(2);
    let sum: u32 = words
        .map(|it| u32::from(u16::from_be_bytes([it[0], it[1]])))
        .sum();
    let folded = (sum & 0xFFFF) + (sum >> 16);
    !((folded & 0xFFFF) + (folded >> 16)) as u16
}
