//! The interface by which the kernel sends, asked through rtnetlink(7).

use std::io::Read;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use crate::error::{Errno, Result};

/// Sizes of `struct nlmsghdr`, `struct rtmsg` and `struct rtattr`.
const HEADER: usize = 16;
const ROUTE: usize = 12;
const ATTRIBUTE: usize = 4;

const ADDRESS_MAX: usize = 16;
const REQUEST_MAX: usize = HEADER + ROUTE + 2 * (ATTRIBUTE + ADDRESS_MAX);

/// The index of the interface by which packets from `local` to `peer` leave;
/// both are of one family.
///
/// # Errors
/// What socket(2) says where netlink is not allowed; `ENETUNREACH` without a
/// route.
#[inline(never)]
pub(crate) fn outgoing_interface(local: &SocketAddr, peer: &SocketAddr) -> Result<u32> {
    let socket = Socket::new(
        Domain::from(libc::AF_NETLINK),
        Type::RAW.cloexec().nonblocking(),
        Some(Protocol::from(libc::NETLINK_ROUTE)),
    )?;
    // An unconnected netlink socket sends to the kernel, which has answered when
    // send returns.
    let (request, len) = request(local.ip(), peer.ip());
    socket.send(&request[..len])?;
    let mut answer = [0; 1024];
    let len = (&socket).read(&mut answer)?;
    read_interface(answer.get(..len).unwrap_or_default()).ok_or(Errno(libc::ENETUNREACH))
}

/// A message and its length.
fn request(from: IpAddr, to: IpAddr) -> ([u8; REQUEST_MAX], usize) {
    let mut message = [0; REQUEST_MAX];
    let mut len = 0;
    let mut put = |bytes: &[u8]| {
        message[len..][..bytes.len()].copy_from_slice(bytes);
        len += bytes.len();
    };
    let (family, octets) = match to {
        IpAddr::V4(_) => (libc::AF_INET, 4),
        IpAddr::V6(_) => (libc::AF_INET6, ADDRESS_MAX),
    };
    let bits = 8 * octets as u8;
    let attribute = ATTRIBUTE + octets;
    put(&((HEADER + ROUTE + 2 * attribute) as u32).to_ne_bytes());
    put(&libc::RTM_GETROUTE.to_ne_bytes());
    put(&(libc::NLM_F_REQUEST as u16).to_ne_bytes());
    // Sequence number and port: one question, one answer.
    put(&[0; 8]);
    put(&[family as u8, bits, bits]);
    put(&[0; ROUTE - 3]);
    for (kind, ip) in [(libc::RTA_DST, to), (libc::RTA_SRC, from)] {
        put(&(attribute as u16).to_ne_bytes());
        put(&kind.to_ne_bytes());
        match ip {
            IpAddr::V4(v4) => put(&v4.octets()),
            IpAddr::V6(v6) => put(&v6.octets()),
        }
    }
    (message, len)
}

/// `RTA_OIF` of a route; `None` for an error.
#[inline(never)]
fn read_interface(message: &[u8]) -> Option<u32> {
    if u16_at(message, 4)? != libc::RTM_NEWROUTE {
        return None;
    }
    let mut rest = message.get(HEADER + ROUTE..)?;
    loop {
        let len = usize::from(u16_at(rest, 0)?);
        if u16_at(rest, 2)? == libc::RTA_OIF {
            let index = rest.get(ATTRIBUTE..ATTRIBUTE + 4)?;
            return Some(u32::from_ne_bytes(index.try_into().ok()?));
        }
        // Attributes are aligned; one without its own header would have no end.
        rest = rest.get(len.max(ATTRIBUTE).next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at + 2)?;
    Some(u16::from_ne_bytes(two.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_leaves_by_its_interface() {
        for addr in ["127.0.0.1:1", "[::1]:1"] {
            let addr = addr.parse().unwrap();
            let index = outgoing_interface(&addr, &addr).unwrap();
            assert_eq!(&*crate::sys::interface_name(index).unwrap(), "lo");
        }
    }

    #[test]
    fn errors_and_cut_messages_have_no_interface() {
        assert_eq!(read_interface(&[]), None);
        assert_eq!(read_interface(&[0; HEADER]), None);
        let mut route = vec![0; HEADER + ROUTE];
        route[4..6].copy_from_slice(&libc::RTM_NEWROUTE.to_ne_bytes());
        assert_eq!(read_interface(&route), None);
        route.extend([0; 6]);
        assert_eq!(read_interface(&route), None);
    }
}
