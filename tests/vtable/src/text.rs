//! Host and port arguments.

use std::ffi::{CStr, CString, c_char};
use std::ptr;

/// What can be passed to C as text: NULL, or bytes up to their NUL.
pub trait Text: Copy {
    /// Makes a call with the text, which lives until the call returns.
    fn pass<R>(self, call: impl FnOnce(*const c_char) -> R) -> R;
}

/// NULL.
pub const NULL: Option<&[u8]> = None;

impl Text for Option<&[u8]> {
    fn pass<R>(self, call: impl FnOnce(*const c_char) -> R) -> R {
        let Some(bytes) = self else {
            return call(ptr::null());
        };
        // C sees nothing of what follows a NUL.
        let end = bytes.iter().position(|&byte| byte == 0);
        let text = CString::new(&bytes[..end.unwrap_or(bytes.len())]);
        call(text.expect("cut at its NUL").as_ptr())
    }
}

impl Text for &str {
    fn pass<R>(self, call: impl FnOnce(*const c_char) -> R) -> R {
        Some(self.as_bytes()).pass(call)
    }
}

/// Allocates nothing.
impl Text for &CStr {
    #[inline]
    fn pass<R>(self, call: impl FnOnce(*const c_char) -> R) -> R {
        call(self.as_ptr())
    }
}
