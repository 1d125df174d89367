//! Errors as text without the heap.

use core::ffi::CStr;
use core::fmt;
use std::io;

/// The same text as that of an error of the system, such as `Connection refused (os error
/// 111)`. The standard library takes memory for it, and ends the process when
/// there is none.
#[derive(Debug)]
pub struct ErrorText<'a>(pub &'a io::Error);

impl fmt::Display for ErrorText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(errno) = self.0.raw_os_error() else {
            return self.0.kind().fmt(f);
        };
        let mut text = [0_u8; 128];
        // SAFETY: writable for its length.
        let found = unsafe { libc::strerror_r(errno, text.as_mut_ptr().cast(), text.len()) };
        let text = CStr::from_bytes_until_nul(&text).unwrap_or_default();
        match (found, text.to_str()) {
            (0, Ok(text)) => write!(f, "{text} (os error {errno})"),
            _ => write!(f, "os error {errno}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_the_standard_library() {
        for errno in [libc::ECONNREFUSED, libc::ENOMEM, libc::EAGAIN] {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(ErrorText(&error).to_string(), error.to_string());
        }
        let other = io::Error::from(io::ErrorKind::WriteZero);
        assert_eq!(ErrorText(&other).to_string(), other.to_string());
    }
}
