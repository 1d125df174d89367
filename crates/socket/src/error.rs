//! Every error of this crate is an errno.

use std::collections::TryReserveError;
use std::io;

/// An errno (errno(3)). Its text is that of the C library, and takes no memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

/// What may fail with an [`Errno`].
pub type Result<T, E = Errno> = core::result::Result<T, E>;

impl Errno {
    /// Whether it is one of these.
    pub(crate) fn is_any(self, codes: &[i32]) -> bool {
        codes.contains(&self.0)
    }
}

impl core::error::Error for Errno {}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.0)
    }
}

impl From<TryReserveError> for Errno {
    fn from(_: TryReserveError) -> Errno {
        Errno(libc::ENOMEM)
    }
}

/// `EIO` for an error that is not the system's.
impl From<io::Error> for Errno {
    #[inline]
    fn from(error: io::Error) -> Errno {
        Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }
}
