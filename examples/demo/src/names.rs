//! A host name with several addresses, for this process only and without
//! root.
//!
//! Stickiness shows only when a name has several addresses, and no name on an
//! ordinary machine has several that a test server can listen on. So the demo
//! defines the C library's `getaddrinfo` itself, as nss_wrapper does: the
//! library's lookups of [`NAME`] get [`ADDRESSES`], every other lookup goes
//! on to the system's resolver. The library under test can't tell.

use std::ffi::{CStr, CString, c_char, c_int};
use std::net::Ipv4Addr;
use std::ptr;

use libc::addrinfo;

/// The name; `.test` is reserved (RFC 6761), so no resolver answers it.
pub const NAME: &str = "lwm2m.demo.test";

/// What the name stands for: every address of 127/8 is this machine.
pub const ADDRESSES: [Ipv4Addr; 4] = [
    Ipv4Addr::new(127, 0, 0, 1),
    Ipv4Addr::new(127, 0, 0, 2),
    Ipv4Addr::new(127, 0, 0, 3),
    Ipv4Addr::new(127, 0, 0, 4),
];

type GetAddrInfo = unsafe extern "C" fn(
    *const c_char,
    *const c_char,
    *const addrinfo,
    *mut *mut addrinfo,
) -> c_int;

/// The process's `getaddrinfo`.
///
/// # Safety
///
/// As POSIX says: strings and hints are NULL or valid, `result` may be
/// written.
#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    result: *mut *mut addrinfo,
) -> c_int {
    // SAFETY: the name is terminated, and the next definition of it is the C
    // library's, which has this type.
    let system: GetAddrInfo =
        unsafe { std::mem::transmute(libc::dlsym(libc::RTLD_NEXT, c"getaddrinfo".as_ptr())) };
    // SAFETY: a node that is not NULL is a terminated string.
    if node.is_null() || unsafe { CStr::from_ptr(node) }.to_bytes() != NAME.as_bytes() {
        // SAFETY: the arguments are the caller's own.
        return unsafe { system(node, service, hints, result) };
    }
    // SAFETY: hints are NULL or valid; zero bytes are no hints.
    let mut numeric = unsafe { hints.as_ref().map_or(std::mem::zeroed(), |hints| *hints) };
    numeric.ai_flags = (numeric.ai_flags & !libc::AI_ADDRCONFIG) | libc::AI_NUMERICHOST;
    let mut first = ptr::null_mut::<addrinfo>();
    for address in ADDRESSES {
        let text = CString::new(address.to_string()).unwrap_or_default();
        let mut found = ptr::null_mut::<addrinfo>();
        // SAFETY: the text is terminated, the hints are a whole struct, and
        // `found` may be written.
        let code = unsafe { system(text.as_ptr(), service, &numeric, &mut found) };
        if code != 0 {
            // Such as a question for IPv6 only.
            return code;
        }
        let mut last = found;
        // SAFETY: success gives a list that is not empty and ends in NULL;
        // glibc frees each entry on its own, so joined lists are freed as one.
        unsafe {
            while !(*last).ai_next.is_null() {
                last = (*last).ai_next;
            }
            (*last).ai_next = first;
        }
        first = found;
    }
    // SAFETY: `result` may be written.
    unsafe { *result = first };
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, ToSocketAddrs};

    /// std asks the same `getaddrinfo`.
    #[test]
    fn the_name_has_its_addresses_and_other_names_theirs() {
        let found = (NAME, 5683).to_socket_addrs().expect("our own name");
        let mut found: Vec<IpAddr> = found.map(|addr| addr.ip()).collect();
        found.sort();
        found.dedup();
        assert_eq!(found, ADDRESSES.map(IpAddr::from));
        assert!(("127.0.0.9", 1).to_socket_addrs().is_ok());
        assert!(("no.such.name.invalid", 1).to_socket_addrs().is_err());
    }
}
