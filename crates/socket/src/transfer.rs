//! send, send_to, receive and receive_from: which transport does the work.

use core::mem::MaybeUninit;
use std::net::SocketAddr;

use anjay_net_resolve::Kind;

use crate::error::{Errno, Result};
use crate::socket::{Received, Socket};
use crate::sys::{self, SockAddr};
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
    pub fn send(&self, buf: &[u8]) -> Result<()> {
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
    pub fn send_to(&self, buf: &[u8], host: &[u8], port: &[u8]) -> Result<SocketAddr> {
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
    pub fn receive(&self, buf: &mut [u8]) -> Result<Received> {
        self.receive_uninit(sys::as_uninit(buf))
    }

    /// [`Socket::receive`] into memory that need not be initialised; the first
    /// [`Received::len`] bytes are initialised after it.
    ///
    /// # Errors
    /// As [`Socket::receive`].
    #[inline]
    pub fn receive_uninit(&self, buf: &mut [MaybeUninit<u8>]) -> Result<Received> {
        match self.kind {
            Kind::Udp => udp::receive(self, buf, &mut SockAddr::empty()),
            Kind::Tcp => tcp::receive(self, buf),
        }
    }

    /// [`Socket::receive`], and the sender of the datagram, as the kernel reports
    /// it: IPv4 is v4-mapped on an IPv6 socket. On a TCP socket it is the
    /// connected peer.
    ///
    /// # Errors
    /// As [`Socket::receive`].
    pub fn receive_from(&self, buf: &mut [u8]) -> Result<(Received, SocketAddr)> {
        self.receive_from_uninit(sys::as_uninit(buf))
    }

    /// [`Socket::receive_from`] into memory that need not be initialised.
    ///
    /// # Errors
    /// As [`Socket::receive`].
    #[inline]
    pub fn receive_from_uninit(
        &self,
        buf: &mut [MaybeUninit<u8>],
    ) -> Result<(Received, SocketAddr)> {
        match self.kind {
            Kind::Udp => {
                let mut from = SockAddr::empty();
                let received = udp::receive(self, buf, &mut from)?;
                let from = from.decode().ok_or(Errno(libc::EAFNOSUPPORT))?;
                Ok((received, from))
            }
            Kind::Tcp => {
                // First: the socket may be closed after the receive.
                let peer = self.remote_addr();
                let received = tcp::receive(self, buf)?;
                Ok((received, peer?))
            }
        }
    }
}
