//! getaddrinfo(3).

use core::cell::Cell;
use core::ffi::CStr;
use core::{mem, ptr};

use anjay_net_resolve::{Family, Found, HOST_MAX, LookupError, alloc};
use libc::{addrinfo, c_int};

use super::SockAddr;
use crate::error::Errno;

/// `getaddrinfo(3)` for one family: /etc/hosts, nsswitch.conf, mDNS and the rest
/// work as for every other program. Blocks for as long as resolv.conf allows.
///
/// Two flags are left out: `AI_ADDRCONFIG`, which rejects everything on a machine
/// whose only interface is loopback (an address without a route fails at once
/// when it is tried), and `AI_V4MAPPED`, as the policy of the socket maps.
pub(crate) fn getaddrinfo(name: &str, family: Family) -> Found {
    let mut text = [0u8; HOST_MAX + 1];
    let room = text.get_mut(..name.len()).ok_or(LookupError::NotFound)?;
    room.copy_from_slice(name.as_bytes());
    let text = CStr::from_bytes_until_nul(&text).unwrap_or_default();
    // Too long, or the resolver would look for what is before a NUL in it.
    if text.count_bytes() != name.len() {
        return Err(LookupError::NotFound);
    }
    // SAFETY: all zero bytes are an addrinfo without pointers.
    let mut hints: addrinfo = unsafe { mem::zeroed() };
    hints.ai_family = match family {
        Family::V4 => libc::AF_INET,
        Family::V6 => libc::AF_INET6,
    };
    // Any one type: without it each address comes once for every type.
    hints.ai_socktype = libc::SOCK_DGRAM;
    let mut list = List(ptr::null_mut());
    // SAFETY: it is the thread's own, and there as long as the thread.
    let h_errno: &Cell<c_int> = unsafe { &*__h_errno_location().cast() };
    h_errno.set(0);
    // SAFETY: the text is NUL-terminated, the hints are initialised, and the out
    // pointer is writable.
    let code = unsafe { libc::getaddrinfo(text.as_ptr(), ptr::null(), &hints, &mut list.0) };
    if code != 0 {
        return Err(error_of(code, super::last_errno(), h_errno.get()));
    }
    let mut found = Vec::new();
    let mut next = list.0;
    // SAFETY: NULL at the end of the list, else an entry that is valid until
    // freeaddrinfo, which only drop calls.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: getaddrinfo(3) stores an address as long as its family says.
        if let Some(addr) = unsafe { SockAddr::read(entry.ai_addr) } {
            alloc::push(&mut found, addr)?;
        }
        next = entry.ai_next;
    }
    Ok(found)
}

/// What getaddrinfo(3) returned, or NULL.
struct List(*mut addrinfo);

impl Drop for List {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: getaddrinfo made the list, and nothing uses it after this.
            unsafe { libc::freeaddrinfo(self.0) };
        }
    }
}

unsafe extern "C" {
    /// Where `h_errno` of netdb.h is.
    fn __h_errno_location() -> *mut c_int;
}

/// Values of `h_errno`, of netdb.h.
const TRY_AGAIN: c_int = 2;
const NO_RECOVERY: c_int = 3;

/// `EAI_ADDRFAMILY` of glibc and musl.
const EAI_ADDRFAMILY: c_int = -9;

fn error_of(code: c_int, errno: Errno, h_errno: c_int) -> LookupError {
    match code {
        // glibc returns this also where a name server has failed: with FORMERR and rare
        // codes, and, asked for IPv4 alone, with any code if it denies the name below a
        // search domain (try_simple_gethostbyname in sysdeps/posix/getaddrinfo.c).
        libc::EAI_NONAME if matches!(h_errno, TRY_AGAIN | NO_RECOVERY) => LookupError::TryAgain,
        libc::EAI_NONAME => LookupError::NotFound,
        libc::EAI_NODATA | EAI_ADDRFAMILY => LookupError::NoAddress,
        libc::EAI_AGAIN => LookupError::TryAgain,
        libc::EAI_FAIL => LookupError::Failed,
        libc::EAI_MEMORY => LookupError::System(libc::ENOMEM),
        // What the resolver needed to reach a name server is missing (a route, the
        // socket of a local daemon), or this process is out of something.
        libc::EAI_SYSTEM => match errno.0 {
            libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS => {
                LookupError::System(errno.0)
            }
            _ => LookupError::TryAgain,
        },
        _ => LookupError::Other(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_needs_no_network() {
        let found = getaddrinfo("localhost", Family::V4).unwrap();
        assert_eq!(found, ["127.0.0.1:0".parse().unwrap()]);
    }

    #[test]
    fn what_is_in_no_name() {
        let too_long = "x".repeat(HOST_MAX + 1);
        for name in ["local\0host", "localhost\0", &too_long] {
            assert_eq!(getaddrinfo(name, Family::V4), Err(LookupError::NotFound));
        }
    }

    #[test]
    fn codes() {
        let no_errno = Errno(0);
        // Values of glibc's and musl's netdb.h.
        for (code, expected) in [
            (-1, LookupError::Other(-1)),
            (-2, LookupError::NotFound),
            (-3, LookupError::TryAgain),
            (-4, LookupError::Failed),
            (-5, LookupError::NoAddress),
            (-6, LookupError::Other(-6)),
            (-9, LookupError::NoAddress),
            (-10, LookupError::System(libc::ENOMEM)),
        ] {
            assert_eq!(error_of(code, no_errno, 0), expected, "{code}");
        }
        for h_errno in [TRY_AGAIN, NO_RECOVERY] {
            let failed = error_of(libc::EAI_NONAME, no_errno, h_errno);
            assert_eq!(failed, LookupError::TryAgain);
        }
    }

    #[test]
    fn an_unreachable_server_is_temporary() {
        for errno in [
            libc::ENETUNREACH,
            libc::ENETDOWN,
            libc::EHOSTUNREACH,
            libc::ECONNREFUSED,
            libc::EADDRNOTAVAIL,
            libc::ENOENT,
        ] {
            let error = error_of(libc::EAI_SYSTEM, Errno(errno), 0);
            assert_eq!(error, LookupError::TryAgain, "{errno}");
            assert!(!error.is_final());
        }
        for errno in [libc::EMFILE, libc::ENOMEM] {
            let error = error_of(libc::EAI_SYSTEM, Errno(errno), 0);
            assert_eq!(error, LookupError::System(errno));
            assert!(!error.is_final());
        }
        assert!(LookupError::NotFound.is_final() && LookupError::NoAddress.is_final());
        assert!(!LookupError::Failed.is_final() && !LookupError::TimedOut.is_final());
    }
}
