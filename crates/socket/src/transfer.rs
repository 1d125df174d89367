//! send, send_to, receive and receive_from: which transport does the work.

use core::mem::MaybeUninit;
use std::io;
use std::net::SocketAddr;

use crate::received::Received;
use crate::socket::{Kind, Socket};
use crate::sys;
use crate::{tcp, udp};

impl Socket {
    /// Sends to the connected peer: a datagram (an empty one, too), or all of
    /// `buf` on a stream.
    ///
    /// # Errors
    /// `ETIMEDOUT` after [`Settings::send_timeout`](crate::Settings::send_timeout)
    /// without any progress; `EBADF` closed, `EDESTADDRREQ` bound only,
    /// `ENOTCONN` listening; otherwise what send(2) returns. What was written
    /// before an error is counted.
    #[inline]
    pub fn send(&self, buf: &[u8]) -> io::Result<()> {
        match self.kind {
            Kind::Udp => udp::send(self, buf),
            Kind::Tcp => tcp::send(self, buf),
        }
    }

    /// Sends one datagram to `host` and `port`, and returns the address that it
    /// was sent to. Of several addresses of a name the next one is tried where
    /// there is no route. On a TCP socket it is [`Socket::send`]: the connected
    /// peer is the only one there is.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` for text that is no host or port, an unknown name, or an
    /// address of a family that the socket does not reach; `ETIMEDOUT`; `EBADF`;
    /// otherwise what sendto(2) returns.
    #[inline]
    pub fn send_to(&self, buf: &[u8], host: &[u8], port: &[u8]) -> io::Result<SocketAddr> {
        match self.kind {
            Kind::Udp => udp::send_to(self, buf, host, port),
            Kind::Tcp => {
                // First: the socket may be closed after the send.
                let peer = self.remote_addr();
                tcp::send(self, buf).and(peer)
            }
        }
    }

    /// Receives one datagram, or what a stream has, into `buf`, waiting at most
    /// the receive timeout. On a stream, 0 bytes are its end.
    ///
    /// # Errors
    /// `ETIMEDOUT` when nothing came; `EBADF` closed, also while waiting;
    /// `ECONNABORTED` on a UDP socket that was shut down, when nothing is left;
    /// otherwise what recvmsg(2) returns: an ICMP error of an earlier datagram
    /// once, `ECONNRESET` each time for a stream that broke.
    pub fn receive(&self, buf: &mut [u8]) -> io::Result<Received> {
        self.receive_uninit(sys::as_uninit(buf))
    }

    /// [`Socket::receive`] into memory that need not be initialised; the first
    /// [`Received::len`] bytes are initialised after it.
    ///
    /// # Errors
    /// As [`Socket::receive`].
    #[inline]
    pub fn receive_uninit(&self, buf: &mut [MaybeUninit<u8>]) -> io::Result<Received> {
        match self.kind {
            Kind::Udp => udp::receive(self, buf),
            Kind::Tcp => tcp::receive(self, buf),
        }
    }
}
