//! How a socket is created, and the options of each of its descriptors.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anjay_net_resolve::{Family, unmap};
use socket2::{SockRef, TcpKeepalive};

use crate::error::{Errno, Result};
use crate::settings::Settings;
use crate::sys::{self, InterfaceName};

/// The parameters of a socket, fixed when it is created. The default changes
/// nothing of what the system does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketConfig {
    /// Differentiated services code point (RFC 2474), 0..=63; 0 leaves the
    /// traffic class alone. The two bits of ECN (RFC 3168) are kept.
    pub dscp: u8,
    /// `SO_PRIORITY` (socket(7)), 0..=7; 0 leaves it alone.
    pub priority: u8,
    /// `SO_REUSEADDR`, set before bind.
    pub reuse_addr: bool,
    /// `IP_TRANSPARENT` (ip(7)), `IPV6_TRANSPARENT`: addresses that are not
    /// ours. Needs `CAP_NET_ADMIN`.
    pub transparent: bool,
    /// `SO_BINDTODEVICE` (socket(7)): the only interface to use.
    pub interface: Option<InterfaceName>,
    /// The only family to use.
    pub forced_family: Option<Family>,
    /// The family to try first; without one, as RFC 6724 orders the addresses.
    pub preferred_family: Option<Family>,
    /// What the MTU options report, in bytes, instead of asking the system.
    pub forced_mtu: Option<u32>,
}

impl SocketConfig {
    /// A new descriptor with these options.
    pub(crate) fn open(&self, family: Family, stream: bool) -> Result<OwnedFd> {
        let fd = sys::socket(family, stream)?;
        self.apply(fd.as_fd(), family)?;
        if stream {
            apply_to_stream(fd.as_fd())?;
        }
        Ok(fd)
    }

    /// [`open`](Self::open) for an address, which may be a v4-mapped one.
    pub(crate) fn open_for(&self, addr: &SocketAddr, stream: bool) -> Result<OwnedFd> {
        let fd = self.open(Family::of(addr), stream)?;
        if unmap(*addr) != *addr {
            SockRef::from(&fd).set_only_v6(false)?;
        }
        Ok(fd)
    }

    /// Sets what is not left alone; the first failure is the error.
    pub(crate) fn apply(&self, fd: BorrowedFd<'_>, family: Family) -> Result<()> {
        let socket = SockRef::from(&fd);
        tie(fd, self.interface)?;
        if self.dscp != 0 {
            apply_dscp(&socket, family, self.dscp)?;
        }
        // After the traffic class, as setting that one changes the priority.
        if self.priority != 0 {
            socket.set_priority(self.priority.into())?;
        }
        if self.transparent {
            match family {
                Family::V4 => socket.set_ip_transparent_v4(true)?,
                Family::V6 => socket.set_ip_transparent_v6(true)?,
            }
        }
        Ok(())
    }

    /// Whether [`apply`](SocketConfig::apply) would set anything.
    pub(crate) fn leaves_alone(&self) -> bool {
        self.interface.is_none() && self.dscp == 0 && self.priority == 0 && !self.transparent
    }

    /// [`open`](Self::open), also with what must be set before bind.
    pub(crate) fn open_to_bind(&self, family: Family, stream: bool) -> Result<OwnedFd> {
        let fd = self.open(family, stream)?;
        let socket = SockRef::from(&fd);
        if self.reuse_addr {
            socket.set_reuse_address(true)?;
        }
        if family == Family::V6 {
            // Whatever the system's default (net.ipv6.bindv6only) says.
            socket.set_only_v6(false)?;
        }
        Ok(fd)
    }
}

/// Ties a descriptor to the interface of this name, if there is one.
pub(crate) fn tie(fd: BorrowedFd<'_>, interface: Option<InterfaceName>) -> Result<()> {
    let Some(name) = interface else {
        return Ok(());
    };
    let tied = SockRef::from(&fd).bind_device(Some(name.as_bytes()));
    match tied.map_err(Errno::from) {
        // Without CAP_NET_RAW the kernel changes no tie, not even to the same
        // interface, which an accepted descriptor may have from its listener.
        Err(Errno(libc::EPERM)) if !is_tie_broken(fd, interface) => Ok(()),
        tied => tied,
    }
}

/// Whether the interface that the descriptor is tied to is no longer the one of
/// this name.
pub(crate) fn is_tie_broken(fd: BorrowedFd<'_>, interface: Option<InterfaceName>) -> bool {
    // ENODEV when there is none of the index any more.
    interface.is_some() && sys::tie(fd) != Ok(interface)
}

/// Sets the TCP options of [`Settings`].
pub(crate) fn apply_to_stream(fd: BorrowedFd<'_>) -> Result<()> {
    let settings = Settings::current();
    let socket = SockRef::from(&fd);
    if settings.tcp_nodelay {
        socket.set_tcp_nodelay(true)?;
    }
    if !settings.tcp_keepalive.is_zero() {
        let keepalive = TcpKeepalive::new()
            .with_time(settings.tcp_keepalive)
            .with_interval(settings.tcp_keepalive);
        socket.set_tcp_keepalive(&keepalive)?;
    }
    if !settings.tcp_user_timeout.is_zero() {
        socket.set_tcp_user_timeout(Some(settings.tcp_user_timeout))?;
    }
    Ok(())
}

/// The lower two bits of a traffic class (RFC 3168).
const ECN: u32 = 0b11;

fn apply_dscp(socket: &SockRef<'_>, family: Family, dscp: u8) -> Result<()> {
    let with_dscp = |class: u32| (u32::from(dscp) << 2) | (class & ECN);
    if family == Family::V6 {
        socket.set_tclass_v6(with_dscp(socket.tclass_v6()?))?;
    }
    // An IPv6 socket may carry v4-mapped traffic, which has its own setting.
    Ok(socket.set_tos_v4(with_dscp(socket.tos_v4()?))?)
}
