//! `getaddrinfo(3)`.

use std::io;

use dns_lookup::{AddrFamily, AddrInfoHints, LookupErrorKind, SockType};

use super::{Found, LookupError};
use crate::addr::Family;

/// `getaddrinfo(3)` for one family: /etc/hosts, nsswitch.conf, mDNS and the rest
/// work as for every other program. Blocks for as long as resolv.conf allows.
///
/// Two flags are left out: `AI_ADDRCONFIG`, which rejects everything on a machine
/// whose only interface is loopback (an address without a route fails at once
/// when it is tried), and `AI_V4MAPPED`, as [`Policy`](crate::Policy) maps.
pub(super) fn getaddrinfo(name: &str, family: Family) -> Found {
    let family = match family {
        Family::V4 => AddrFamily::Inet,
        Family::V6 => AddrFamily::Inet6,
    };
    let hints = AddrInfoHints {
        address: family.into(),
        // Any one type: without it each address comes once for every type.
        socktype: SockType::DGram.into(),
        ..AddrInfoHints::default()
    };
    let found = dns_lookup::getaddrinfo(Some(name), None, Some(hints))?;
    // An entry that is no socket address is of no use, the others still are.
    let addrs: Vec<_> = found.flatten().map(|info| info.sockaddr).collect();
    if addrs.is_empty() {
        return Err(LookupError::NoAddress);
    }
    Ok(addrs)
}

/// `EAI_ADDRFAMILY` of netdb.h, which dns-lookup leaves unnamed: that of glibc
/// and musl, and that of macOS and FreeBSD.
const EAI_ADDRFAMILY: i32 = if cfg!(target_os = "linux") { -9 } else { 1 };

impl From<dns_lookup::LookupError> for LookupError {
    fn from(error: dns_lookup::LookupError) -> Self {
        match error.kind() {
            LookupErrorKind::NoName => LookupError::NotFound,
            LookupErrorKind::NoData => LookupError::NoAddress,
            LookupErrorKind::Again => LookupError::TryAgain,
            LookupErrorKind::Fail => LookupError::Failed,
            LookupErrorKind::Memory => LookupError::System(Some(libc::ENOMEM)),
            LookupErrorKind::System => of_system(&error.into()),
            _ if error.error_num() == EAI_ADDRFAMILY => LookupError::NoAddress,
            // Not a code of the resolver: the name can't be given to it, as it
            // holds a NUL, which is in no name.
            _ if error.error_num() == 0 => LookupError::NotFound,
            _ => LookupError::Other(error.error_num()),
        }
    }
}

/// `EAI_SYSTEM`: what the resolver needed to reach a name server is missing (a
/// route, the socket of a local daemon), or this process is out of something.
fn of_system(error: &io::Error) -> LookupError {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS) => {
            LookupError::System(error.raw_os_error())
        }
        _ => LookupError::TryAgain,
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
    fn a_nul_is_in_no_name() {
        assert_eq!(
            getaddrinfo("local\0host", Family::V4),
            Err(LookupError::NotFound)
        );
    }

    #[cfg(target_env = "gnu")]
    #[test]
    fn codes_of_glibc() {
        // Values of netdb.h.
        for (code, expected) in [
            (-1, LookupError::Other(-1)),
            (-2, LookupError::NotFound),
            (-3, LookupError::TryAgain),
            (-4, LookupError::Failed),
            (-5, LookupError::NoAddress),
            (-6, LookupError::Other(-6)),
            (-9, LookupError::NoAddress),
            (-10, LookupError::System(Some(libc::ENOMEM))),
        ] {
            assert_eq!(
                LookupError::from(dns_lookup::LookupError::new(code)),
                expected,
                "{code}"
            );
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
            let error = of_system(&io::Error::from_raw_os_error(errno));
            assert_eq!(error, LookupError::TryAgain, "{errno}");
            assert!(!error.is_final());
        }
        for errno in [libc::EMFILE, libc::ENOMEM] {
            let error = of_system(&io::Error::from_raw_os_error(errno));
            assert_eq!(error, LookupError::System(Some(errno)));
            assert!(!error.is_final());
        }
        assert!(LookupError::NotFound.is_final() && LookupError::NoAddress.is_final());
        assert!(!LookupError::Failed.is_final() && !LookupError::TimedOut.is_final());
    }
}
