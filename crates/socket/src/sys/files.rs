//! open(2), stat(2).

use core::ffi::CStr;
use core::mem::MaybeUninit;
use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use super::check;

use crate::error::Result;

/// A file for reading: [`File::open`] in a hundredth of the code.
///
/// # Errors
/// Those of open(2).
pub(crate) fn open(path: &CStr) -> io::Result<File> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the path is NUL-terminated.
    let fd = check(unsafe { libc::open(path.as_ptr(), flags) } as isize)?;
    // SAFETY: open(2) has just returned this descriptor, and only to us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) }.into())
}

/// What the file system knows of a file, in 64 bits on every processor.
///
/// # Errors
/// Those of stat(2).
pub(crate) fn stat(path: &CStr) -> Result<libc::stat64> {
    let mut stat = MaybeUninit::uninit();
    // SAFETY: the path is NUL-terminated, the out pointer writable.
    check(unsafe { libc::stat64(path.as_ptr(), stat.as_mut_ptr()) } as isize)?;
    // SAFETY: stat(2) has filled it.
    Ok(unsafe { stat.assume_init() })
}
