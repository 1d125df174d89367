//! open(2).

use core::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use super::check;

use crate::error::Errno;

/// A file for reading. [`File::open`] has error texts that add 4 kB to a program.
///
/// # Errors
/// Those of open(2).
pub(crate) fn open(path: &CStr) -> io::Result<File> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the path is NUL-terminated.
    let open = || check(unsafe { libc::open(path.as_ptr(), flags) } as isize);
    let mut fd = open();
    while fd == Err(Errno(libc::EINTR)) {
        fd = open();
    }
    // SAFETY: open(2) has just returned this descriptor, and only to us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd? as i32) }.into())
}
