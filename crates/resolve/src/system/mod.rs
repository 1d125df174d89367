//! What the system knows of a name, and what can go wrong when it is asked.

use std::collections::TryReserveError;
use std::ffi::CStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::addr::{Family, FamilySet};
use crate::text::Decimal;

mod files;
mod resolv_conf;

pub use files::lookup as local;
pub use resolv_conf::identity as configuration;

/// What a query found: addresses with port 0, in the order of the system
/// resolver.
pub type Found = Result<Vec<SocketAddr>, LookupError>;

/// Identifies a configuration: it changes whenever that does.
pub type Configuration = u64;

/// Opens a file for reading. [`File::open`] has error texts, of no use here, that add
/// 4 kB to a program.
pub type OpenFile = fn(&CStr) -> io::Result<File>;

/// Limits of a [`Resolver`](crate::Resolver).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LookupSettings {
    /// Maximum of helper threads, and so of unfinished lookups; 0 counts as 1.
    /// Default 8: four names, each asked for both families.
    pub max_threads: usize,
    /// How long a thread waits for more work before it ends. Default 1 s: a
    /// thread is cheap compared with a lookup.
    pub idle: Duration,
    /// Maximum age of a query that a further lookup of the same name joins. An older
    /// one may be stuck at a server that does not answer, so a new one is sent.
    /// Default 2 s.
    pub join_within: Duration,
}

impl Default for LookupSettings {
    fn default() -> Self {
        LookupSettings {
            max_threads: 8,
            idle: Duration::from_secs(1),
            join_within: Duration::from_secs(2),
        }
    }
}

/// What a [`Resolver`](crate::Resolver) asks. Closures that answer
/// [`query`](Self::query) are name services, too.
pub trait NameService: Sync {
    /// The addresses of a name of this machine, or none if it has to be queried.
    /// Called by the thread that asks, so it must not wait for anything.
    ///
    /// A name that is found for one of the families is not queried for the
    /// others: it has no address of them.
    ///
    /// # Errors
    /// Memory has run out.
    fn local(&self, name: &str, families: FamilySet) -> Result<Vec<SocketAddr>, TryReserveError> {
        let _ = (name, families);
        Ok(Vec::new())
    }

    /// Queries the name. Called on a helper thread, or, where none can be started, on that
    /// of a caller; may block.
    fn query(&self, name: &str, family: Family) -> Found;

    /// The limits that are in force now. Lookups under way are left alone, even if
    /// they are more than that. Called with the lock of the resolver.
    fn settings(&self) -> LookupSettings {
        LookupSettings::default()
    }

    /// Identifies the configuration by which a query goes that begins now. A
    /// query that began under another one is not joined.
    fn configuration(&self) -> Configuration {
        Configuration::default()
    }
}

impl<F: Fn(&str, Family) -> Found + Sync> NameService for F {
    fn query(&self, name: &str, family: Family) -> Found {
        self(name, family)
    }
}

/// Why there are no addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LookupError {
    /// The name is unknown (`EAI_NONAME`). Resolvers also return this for a name
    /// that has addresses of the other family only, so conclude that a name does
    /// not exist from two such answers, one for each family.
    NotFound,
    /// The name exists, but has no address of this family (`EAI_NODATA`,
    /// `EAI_ADDRFAMILY`).
    NoAddress,
    /// No name server is configured or reachable, none answered, or one answered
    /// SERVFAIL (`EAI_AGAIN`, `EAI_SYSTEM`).
    TryAgain,
    /// The name servers refuse to answer (`EAI_FAIL`).
    Failed,
    /// The deadline passed while all helper threads were busy with others.
    Busy,
    /// The deadline passed while the system resolver was being asked.
    TimedOut,
    /// Memory or descriptors have run out; with the errno.
    System(i32),
    /// The resolver gave up for another reason, with its `EAI_*` code.
    Other(i32),
    /// The [`NameService`] panicked.
    Panicked,
}

impl LookupError {
    /// Whether this is an answer: the name is known not to exist, or to have no
    /// address of the family. All other errors are temporary.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, LookupError::NotFound | LookupError::NoAddress)
    }
}

impl From<TryReserveError> for LookupError {
    fn from(_: TryReserveError) -> Self {
        LookupError::System(libc::ENOMEM)
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, code) = match self {
            LookupError::NotFound => ("name unknown", None),
            LookupError::NoAddress => ("name has no address of this family", None),
            LookupError::TryAgain => ("no answer from the name servers", None),
            LookupError::Failed => ("name servers refuse to answer", None),
            LookupError::Busy => ("too many unfinished lookups, this one never started", None),
            LookupError::TimedOut => ("lookup took too long", None),
            LookupError::System(errno) => ("lookup failed: os error ", Some(*errno)),
            LookupError::Other(code) => ("lookup failed: resolver error ", Some(*code)),
            LookupError::Panicked => ("lookup failed: resolver panicked", None),
        };
        f.write_str(text)?;
        code.map_or(Ok(()), |code| Decimal(code.into()).fmt(f))
    }
}

impl std::error::Error for LookupError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    pub(super) fn open(path: &CStr) -> io::Result<File> {
        File::open(OsStr::from_bytes(path.to_bytes()))
    }

    #[test]
    fn every_error_has_a_text_of_its_own() {
        let errors = [
            (LookupError::NotFound, "name unknown"),
            (LookupError::NoAddress, "no address of this family"),
            (LookupError::TryAgain, "no answer"),
            (LookupError::Failed, "refuse"),
            (LookupError::Busy, "never started"),
            (LookupError::TimedOut, "took too long"),
            (LookupError::System(libc::ENOMEM), "os error 12"),
            (LookupError::Other(-3), "error -3"),
            (LookupError::Panicked, "panicked"),
        ];
        for (error, text) in errors {
            assert!(error.to_string().contains(text), "{error:?}: {error}");
        }
    }
}
