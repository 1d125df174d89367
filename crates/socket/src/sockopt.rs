//! The values of a socket's options; the keys are in the v-table of `ffi`.

use std::os::fd::AsFd;

use anjay_net_resolve::{Family, Kind, unmap};

use crate::error::{Errno, Result};
use crate::socket::Socket;
use crate::sys;
use crate::timeout::Timeout;

/// Bytes of an IPv4 header without options, and of a UDP header (RFC 791,
/// RFC 768).
const V4_UDP_OVERHEAD: u32 = 20 + 8;
/// Bytes of an IPv6 header without extensions, and of a UDP header (RFC 8200).
const V6_UDP_OVERHEAD: u32 = 40 + 8;
/// What every IPv4 host must be able to receive (RFC 791 section 3.1).
const V4_MIN_MTU: u32 = 576;
/// What every IPv6 link must carry (RFC 8200 section 5).
const V6_MIN_MTU: u32 = 1280;

impl Socket {
    /// How long a receive may wait, as it was set.
    pub fn receive_timeout(&self) -> Timeout {
        self.inner.lock().receive_timeout
    }

    /// Sets how long a receive may wait: zero and negative durations do not wait,
    /// an invalid one waits without a limit. Calls that wait already keep theirs.
    pub fn set_receive_timeout(&self, timeout: Timeout) {
        let mut inner = self.inner.lock();
        inner.receive_timeout = timeout;
        self.receive_timeout.set(timeout.duration());
    }

    /// The family of the descriptor; `None` when there is none.
    pub fn descriptor_family(&self) -> Option<Family> {
        let inner = self.inner.lock();
        inner.state.owner().map(|_| self.lock.family())
    }

    /// The family that is tried first.
    pub fn preferred_family(&self) -> Option<Family> {
        self.families.preferred.get()
    }

    /// Sets the family that is tried first, from the next resolution on.
    pub fn set_preferred_family(&self, family: Option<Family>) {
        self.families.preferred.set(family);
    }

    /// The only family that is used.
    pub fn forced_family(&self) -> Option<Family> {
        self.families.forced.get()
    }

    /// Sets the only family to use, from the next resolution on.
    pub fn set_forced_family(&self, family: Option<Family>) {
        self.families.forced.set(family);
    }

    /// The MTU in bytes: the configured one, else the path MTU to
    /// the connected peer.
    ///
    /// # Errors
    /// `EBADF` closed, `ENOTCONN` not connected, or what getsockopt(2) returns.
    #[inline(never)]
    pub fn mtu(&self) -> Result<u32> {
        if let Some(forced) = self.config.forced_mtu {
            return Ok(forced);
        }
        let family = self.packet_family()?;
        let mut mtu = sys::path_mtu(self.fd()?.as_fd(), family);
        if self.kind == Kind::Udp && is_of_no_route(&mtu, family) {
            mtu = self.current_path_mtu(family);
        }
        u32::try_from(mtu?).map_err(|_negative| Errno(libc::EINVAL))
    }

    /// The path MTU of the route that a new socket would take.
    fn current_path_mtu(&self, family: Family) -> Result<i32> {
        let peer = self.remote_addr()?;
        let fd = self.config.open(family, false)?;
        sys::connect(fd.as_fd(), &peer)?;
        sys::path_mtu(fd.as_fd(), family)
    }

    /// How many bytes of payload a datagram may have: the MTU less the IP and
    /// UDP headers. While the MTU is not known, what every path must carry.
    ///
    /// # Errors
    /// `ENOTSUP` on a TCP socket, `EBADF` closed.
    #[inline(never)]
    pub fn inner_mtu(&self) -> Result<u32> {
        if self.kind == Kind::Tcp {
            return Err(Errno(libc::ENOTSUP));
        }
        let (overhead, least) = match self.packet_family()? {
            Family::V4 => (V4_UDP_OVERHEAD, V4_MIN_MTU),
            Family::V6 => (V6_UDP_OVERHEAD, V6_MIN_MTU),
        };
        Ok(self.mtu().unwrap_or(least).saturating_sub(overhead))
    }

    /// The family of the packets that really travel: IPv4 for a v4-mapped
    /// peer of an IPv6 socket.
    fn packet_family(&self) -> Result<Family> {
        let inner = self.inner.lock();
        match (inner.state.peer(), inner.state.owner()) {
            (Some(peer), _) => Ok(Family::of(&unmap(peer.addr))),
            (None, Some(_)) => Ok(self.lock.family()),
            (None, None) => Err(Errno(libc::EBADF)),
        }
    }
}

/// Whether the descriptor's route is gone. In its place the kernel puts one with the
/// least MTU that IPv4 allows, and less than IPv6 does (blackhole_netdev in
/// drivers/net/loopback.c), and after the next send none at all.
fn is_of_no_route(mtu: &Result<i32>, family: Family) -> bool {
    match (mtu, family) {
        (Err(error), _) => *error == Errno(libc::ENOTCONN),
        (Ok(mtu), Family::V4) => *mtu <= 68,
        (Ok(mtu), Family::V6) => *mtu < V6_MIN_MTU as i32,
    }
}
