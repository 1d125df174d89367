//! Errors as text.

use core::ffi::CStr;
use core::fmt;

use anjay_net_resolve::Decimal;

use crate::error::Errno;

/// The text of the C library, such as `Connection refused (os error 111)`. The
/// standard library takes memory for it, and ends the process when there is none.
impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = Decimal(self.0.into());
        let mut text = [0_u8; 128];
        // SAFETY: writable for its length.
        let found = unsafe { libc::strerror_r(self.0, text.as_mut_ptr().cast(), text.len()) };
        let text = CStr::from_bytes_until_nul(&text).unwrap_or_default();
        match (found, text.to_str()) {
            (0, Ok(text)) => {
                f.write_str(text)?;
                write!(f, " (os error {code})")
            }
            _ => write!(f, "os error {code}"),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_text_is_that_of_the_standard_library() {
        for code in [libc::ECONNREFUSED, libc::ENOMEM, libc::EAGAIN] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(Errno(code).to_string(), error.to_string());
        }
        // Which the C library does not know.
        assert!(Errno(9999).to_string().contains("os error 9999"));
    }
}
