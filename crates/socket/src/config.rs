//! How a socket is made.

use std::io;
use std::os::fd::OwnedFd;

use anjay_net_resolve::Family;

use crate::sys;

/// The parameters of a socket, fixed when it is created. The default changes
/// nothing of what the system does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
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
    /// `SO_BINDTODEVICE` (socket(7)): the only interface to use, at most 15
    /// bytes.
    pub interface: Option<Box<str>>,
    /// The only family to use.
    pub forced_family: Option<Family>,
    /// The family to try first; without one, IPv6.
    pub preferred_family: Option<Family>,
    /// What the MTU options report, in bytes, instead of asking the system.
    pub forced_mtu: Option<u32>,
}

impl Configuration {
    /// Whether every value is within its limits.
    ///
    /// # Errors
    /// `EINVAL`.
    #[inline]
    pub(crate) fn validate(&self) -> io::Result<()> {
        let interface_fits = self.interface.as_deref().is_none_or(fits);
        if self.dscp <= 63 && self.priority <= 7 && interface_fits {
            Ok(())
        } else {
            Err(sys::errno(libc::EINVAL))
        }
    }

    /// Makes a descriptor that is configured.
    #[inline]
    pub(crate) fn open(&self, family: Family, stream: bool) -> io::Result<OwnedFd> {
        let fd = sys::socket(family, stream)?;
        self.apply(&fd, family)?;
        Ok(fd)
    }

    /// Applies what is not left alone; the first failure is the error.
    #[inline]
    pub(crate) fn apply(&self, fd: &OwnedFd, family: Family) -> io::Result<()> {
        let leaves_alone =
            self.interface.is_none() && self.dscp == 0 && self.priority == 0 && !self.transparent;
        if leaves_alone {
            return Ok(());
        }
        self.apply_some(fd, family)
    }

    #[cold]
    fn apply_some(&self, fd: &OwnedFd, family: Family) -> io::Result<()> {
        let number = sys::raw(fd);
        if let Some(interface) = &self.interface {
            sys::bind_device(fd, family, interface)?;
        }
        if self.dscp != 0 {
            apply_dscp(number, family, self.dscp)?;
        }
        // After the traffic class, as setting that one changes the priority.
        if self.priority != 0 {
            sys::set_priority(number, self.priority)?;
        }
        if self.transparent {
            sys::set_transparent(number, family)?;
        }
        Ok(())
    }

    /// Whether [`apply`](Configuration::apply) succeeds on descriptors of this
    /// kind, found out on one that nobody needs.
    pub(crate) fn rehearse(&self, family: Family, stream: bool) -> io::Result<()> {
        let leaves_alone =
            self.interface.is_none() && self.dscp == 0 && self.priority == 0 && !self.transparent;
        if leaves_alone {
            return Ok(());
        }
        self.open(family, stream).map(drop)
    }

    /// Applies what must be there before bind.
    pub(crate) fn prepare_bind(&self, fd: &OwnedFd, family: Family) -> io::Result<()> {
        let socket = sys::sock_ref(fd);
        if self.reuse_addr {
            socket.set_reuse_address(true)?;
        }
        if family == Family::V6 {
            // Whatever the system's default (net.ipv6.bindv6only) says.
            socket.set_only_v6(false)?;
        }
        Ok(())
    }
}

/// Whether it can be the name of an interface.
fn fits(name: &str) -> bool {
    !name.is_empty() && name.len() < libc::IF_NAMESIZE && !name.contains('\0')
}

/// The lower two bits of a traffic class.
const ECN: i32 = 0b11;

fn apply_dscp(fd: i32, family: Family, dscp: u8) -> io::Result<()> {
    let with_dscp = |class: i32| (i32::from(dscp) << 2) | (class & ECN);
    if family == Family::V6 {
        sys::set_v6_traffic_class(fd, with_dscp(sys::v6_traffic_class(fd)?))?;
        if !sys::V6_SOCKETS_HAVE_V4_CLASS {
            return Ok(());
        }
    }
    // An IPv6 socket may carry v4-mapped traffic, which has its own setting.
    sys::set_v4_traffic_class(fd, with_dscp(sys::v4_traffic_class(fd)?))
}
