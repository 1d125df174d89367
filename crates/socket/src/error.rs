//! Every error of this crate is an errno.

use std::io;

/// An errno as an error.
#[inline]
pub(crate) fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

/// Whether `error` is errno `code`.
#[inline]
pub(crate) fn is(error: &io::Error, code: i32) -> bool {
    error.raw_os_error() == Some(code)
}

/// Whether `error` is one of these errnos.
pub(crate) fn is_any(error: &io::Error, codes: &[i32]) -> bool {
    error
        .raw_os_error()
        .is_some_and(|code| codes.contains(&code))
}
