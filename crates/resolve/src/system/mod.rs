//! What the system knows of a name, and what can go wrong when it is asked.

use std::fmt;
use std::io;
use std::net::SocketAddr;

mod getaddrinfo;

pub(crate) use getaddrinfo::getaddrinfo;

/// What a lookup found: addresses with port 0 in the order of the system
/// resolver, at least one.
pub(crate) type Found = Result<Vec<SocketAddr>, LookupError>;

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
