//! Errors as an errno.

use std::collections::TryReserveError;
use std::io;

pub(crate) fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

pub(crate) fn no_memory(_: TryReserveError) -> io::Error {
    errno(libc::ENOMEM)
}
