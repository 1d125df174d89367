//! Addresses as the bytes of a `sockaddr`, for those who store them.

use std::net::SocketAddr;

use crate::sys::SockAddr;

/// The longest encoded endpoint, in bytes (`sockaddr_in6`).
pub const ENDPOINT_MAX: usize = 28;

/// Writes `addr` as a `sockaddr_in` or `sockaddr_in6`, then zeros, and says how
/// many bytes the address took.
///
/// ```
/// use anjay_net_socket::{ENDPOINT_MAX, decode_endpoint, encode_endpoint};
///
/// let addr = "[fe80::1%2]:5683".parse().unwrap();
/// let mut bytes = [0; ENDPOINT_MAX];
/// let len = encode_endpoint(&addr, &mut bytes);
/// assert_eq!(decode_endpoint(&bytes[..len]), Some(addr));
/// ```
#[inline]
pub fn encode_endpoint(addr: &SocketAddr, out: &mut [u8; ENDPOINT_MAX]) -> usize {
    let raw = SockAddr::from(addr);
    *out = *raw.as_padded();
    raw.len() as usize
}

/// Reads the bytes of a `sockaddr`, of any alignment; `None` when they are no
/// complete IPv4 or IPv6 address.
#[inline]
pub fn decode_endpoint(bytes: &[u8]) -> Option<SocketAddr> {
    SockAddr::from_bytes(bytes).decode()
}
