//! if_nametoindex(3), if_indextoname(3), getifaddrs(3).

use core::ffi::CStr;
use core::ops::Deref;
use core::{ptr, str};
use std::net::SocketAddr;

use super::{SockAddr, check};

use crate::error::Result;

/// The name of an interface: a text of at most 15 bytes, in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceName {
    /// Padded with NUL, at least one.
    text: [u8; libc::IF_NAMESIZE],
}

impl InterfaceName {
    /// `None` for what can't be one: no text, an empty one, or one that is longer
    /// or has a NUL.
    #[must_use]
    pub fn new(name: &[u8]) -> Option<InterfaceName> {
        let mut text = [0; libc::IF_NAMESIZE];
        text[..libc::IF_NAMESIZE - 1]
            .get_mut(..name.len())?
            .copy_from_slice(name);
        let is_name = !name.is_empty() && !name.contains(&0) && str::from_utf8(name).is_ok();
        is_name.then_some(InterfaceName { text })
    }

    /// As system calls write it: up to the first NUL.
    pub(super) fn from_padded(text: &[u8; libc::IF_NAMESIZE]) -> Option<InterfaceName> {
        InterfaceName::new(CStr::from_bytes_until_nul(text).ok()?.to_bytes())
    }
}

impl Deref for InterfaceName {
    type Target = str;

    fn deref(&self) -> &str {
        let name = CStr::from_bytes_until_nul(&self.text).unwrap_or_default();
        // Looked at when it was made.
        name.to_str().unwrap_or_default()
    }
}

/// if_nametoindex(3); `None` for an interface that does not exist.
pub(crate) fn interface_index(name: &str) -> Option<u32> {
    let InterfaceName { text } = InterfaceName::new(name.as_bytes())?;
    // SAFETY: the text is NUL-terminated.
    match unsafe { libc::if_nametoindex(text.as_ptr().cast()) } {
        0 => None,
        index => Some(index),
    }
}

/// if_indextoname(3); `None` for an interface that does not exist.
pub(crate) fn interface_name(index: u32) -> Option<InterfaceName> {
    let mut text = [0u8; libc::IF_NAMESIZE];
    // SAFETY: the buffer has IF_NAMESIZE bytes, as the call requires.
    let found = unsafe { libc::if_indextoname(index, text.as_mut_ptr().cast()) };
    if found.is_null() {
        return None;
    }
    InterfaceName::from_padded(&text)
}

/// One address of one interface.
pub(crate) struct InterfaceAddr {
    /// Its name; `None` when that is no text.
    pub(crate) name: Option<InterfaceName>,
    /// Its address; the port is 0.
    pub(crate) addr: SocketAddr,
}

impl InterfaceAddr {
    /// `None` when the interface is down, or it is no IP address.
    ///
    /// # Safety
    /// An entry of getifaddrs(3), not freed yet.
    unsafe fn read(entry: &libc::ifaddrs) -> Option<InterfaceAddr> {
        if entry.ifa_addr.is_null() || entry.ifa_flags & libc::IFF_UP as u32 == 0 {
            return None;
        }
        // SAFETY: getifaddrs(3) stores an address as long as its family says,
        // and it is not NULL.
        let addr = unsafe { SockAddr::read(entry.ifa_addr) }?;
        // SAFETY: getifaddrs(3) stores a NUL-terminated name in every entry.
        let label = unsafe { CStr::from_ptr(entry.ifa_name) }.to_bytes();
        // An IPv4 address may be labelled "eth0:1" (ip-address(8)); no
        // interface has a colon in its name.
        let text = label.split(|&byte| byte == b':').next().unwrap_or(label);
        let name = InterfaceName::new(text);
        Some(InterfaceAddr { name, addr })
    }
}

/// getifaddrs(3): the IP addresses of all interfaces that are up.
pub(crate) struct InterfaceAddrs {
    first: *mut libc::ifaddrs,
    next: *mut libc::ifaddrs,
}

/// # Errors
/// What getifaddrs(3) returns: `EAFNOSUPPORT` or `EACCES` where netlink is not
/// allowed.
pub(crate) fn interface_addrs() -> Result<InterfaceAddrs> {
    let mut first: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: the out pointer is writable.
    check(unsafe { libc::getifaddrs(&mut first) } as isize)?;
    Ok(InterfaceAddrs { first, next: first })
}

impl Iterator for InterfaceAddrs {
    type Item = InterfaceAddr;

    fn next(&mut self) -> Option<InterfaceAddr> {
        loop {
            // SAFETY: NULL at the end of the list, else an entry that is valid
            // until freeifaddrs, which only drop calls.
            let entry = unsafe { self.next.as_ref() }?;
            self.next = entry.ifa_next;
            // SAFETY: an entry of the list, which is freed by drop only.
            if let Some(addr) = unsafe { InterfaceAddr::read(entry) } {
                return Some(addr);
            }
        }
    }
}

impl Drop for InterfaceAddrs {
    fn drop(&mut self) {
        // SAFETY: getifaddrs made the list, and nothing uses it after this.
        unsafe { libc::freeifaddrs(self.first) };
    }
}
