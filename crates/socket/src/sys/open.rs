//! open(2).

use core::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use super::check;

/// A file or a directory, for reading: [`File::open`] in a hundredth of the code.
///
/// # Errors
/// Those of open(2).
pub(crate) fn open(path: &CStr) -> io::Result<File> {
    // SAFETY: the path is NUL-terminated.
    let opened =
        check(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) } as isize);
    // SAFETY: open(2) has just returned this descriptor, and only to us.
    Ok(unsafe { OwnedFd::from_raw_fd(opened? as i32) }.into())
}
