//! One question to the system resolver, and what can go wrong with it.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use dns_lookup::{AddrFamily, AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};

use crate::policy::Family;

/// What a lookup found: addresses with port 0 in the order of the system
/// resolver, at least one.
pub(crate) type Found = Result<Vec<SocketAddr>, LookupError>;

/// `getaddrinfo(3)` for one family: /etc/hosts, nsswitch.conf, mDNS and the rest
/// work as for every other program. Blocks for as long as resolv.conf says.
///
/// Not asked for: `AI_ADDRCONFIG`, which rejects everything on a machine whose
/// only interface is loopback (an address without a route fails at once when it
/// is tried), and `AI_V4MAPPED`, which [`Policy`](crate::Policy) does.
pub(crate) fn system(name: &str, family: Family) -> Found {
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
    let found = getaddrinfo(Some(name), None, Some(hints))?;
    // An entry that is no socket address is of no use, the others still are.
    let addrs: Vec<_> = found.flatten().map(|info| info.sockaddr).collect();
    if addrs.is_empty() {
        return Err(LookupError::NoAddress);
    }
    Ok(addrs)
}

/// Why there are no addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LookupError {
    /// The name is unknown (`EAI_NONAME`). Resolvers also say so of a name that
    /// has addresses of the other family only, so conclude that a name does not
    /// exist from two such answers, one for each family.
    NotFound,
    /// The name exists, but has no address of this family (`EAI_NODATA`,
    /// `EAI_ADDRFAMILY`).
    NoAddress,
    /// No name server answered, or one said SERVFAIL (`EAI_AGAIN`).
    TryAgain,
    /// The name servers refuse to answer (`EAI_FAIL`).
    Failed,
    /// The deadline passed while all helper threads were busy with others.
    Busy,
    /// The deadline passed while the system resolver was being asked.
    TimedOut,
    /// A system call failed (`EAI_SYSTEM`), or no helper thread could be
    /// started; with the errno if there is one.
    System(Option<i32>),
    /// The resolver gave up for another reason, with its `EAI_*` code.
    Other(i32),
    /// The resolver panicked, which only one given to
    /// [`Resolver::with_query`](crate::Resolver::with_query) can.
    Panicked,
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
            LookupErrorKind::System => io::Error::from(error).into(),
            _ if error.error_num() == EAI_ADDRFAMILY => LookupError::NoAddress,
            // Not a code of the resolver: the name can't be given to it, as it
            // holds a NUL, which is in no name.
            _ if error.error_num() == 0 => LookupError::NotFound,
            _ => LookupError::Other(error.error_num()),
        }
    }
}

impl From<io::Error> for LookupError {
    fn from(error: io::Error) -> Self {
        LookupError::System(error.raw_os_error())
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LookupError::NotFound => f.write_str("name unknown"),
            LookupError::NoAddress => f.write_str("name has no address of this family"),
            LookupError::TryAgain => f.write_str("no answer from the name servers"),
            LookupError::Failed => f.write_str("name servers refuse to answer"),
            LookupError::Busy => f.write_str("too many unfinished lookups, this one never started"),
            LookupError::TimedOut => f.write_str("lookup took too long"),
            LookupError::System(Some(errno)) => {
                write!(f, "lookup failed: {}", io::Error::from_raw_os_error(*errno))
            }
            LookupError::System(None) => f.write_str("lookup failed: system error"),
            LookupError::Other(code) => write!(f, "lookup failed: resolver error {code}"),
            LookupError::Panicked => f.write_str("lookup failed: resolver panicked"),
        }
    }
}

impl std::error::Error for LookupError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_needs_no_network() {
        let found = system("localhost", Family::V4).unwrap();
        assert_eq!(found, ["127.0.0.1:0".parse().unwrap()]);
    }

    #[test]
    fn a_nul_is_in_no_name() {
        assert_eq!(
            system("local\0host", Family::V4),
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
            (-10, LookupError::Other(-10)),
        ] {
            assert_eq!(
                LookupError::from(dns_lookup::LookupError::new(code)),
                expected,
                "{code}"
            );
        }
        let system = LookupError::from(dns_lookup::LookupError::new(-11));
        assert!(matches!(system, LookupError::System(Some(_))), "{system:?}");
    }
}
