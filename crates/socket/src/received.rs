//! What a receive put into the buffer.

use core::fmt;
use std::net::SocketAddr;

use crate::sys::{Datagram, SockAddr};

/// What a receive put into the buffer.
#[derive(Clone, Copy)]
pub struct Received {
    /// Bytes in the buffer.
    pub len: usize,
    /// The datagram was longer than the buffer, and its rest is lost. C
    /// callers get `EMSGSIZE`.
    pub truncated: bool,
    /// In the kernel's form: most callers do not ask for it.
    sender: Option<SockAddr>,
}

impl Received {
    /// A piece of a stream.
    #[inline]
    pub(crate) fn of_stream(len: usize) -> Received {
        Received {
            len,
            truncated: false,
            sender: None,
        }
    }

    /// A datagram.
    #[inline]
    pub(crate) fn of_datagram(datagram: &Datagram) -> Received {
        Received {
            len: datagram.len,
            truncated: datagram.truncated,
            sender: Some(datagram.from),
        }
    }

    /// The sender of a datagram, as the kernel reports it: IPv4 is v4-mapped on
    /// an IPv6 socket. `None` on a TCP socket, whose peer is
    /// [`Socket::remote_addr`](crate::Socket::remote_addr).
    pub fn from(&self) -> Option<SocketAddr> {
        self.sender.as_ref()?.decode()
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("len", &self.len)
            .field("truncated", &self.truncated)
            .field("from", &self.from())
            .finish()
    }
}
