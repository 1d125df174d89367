//! Error codes of category 37766, under the names of the errnos that they
//! stand for.

use std::fmt;

use anjay_net::abi::{ERRNO_CATEGORY, Error};
use anjay_net::errno::{ErrorCode, code_of_errno};

/// 0 or the code of an error.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub struct Code(pub u16);

impl Code {
    /// The code of an error, whose category must be that of sockets.
    #[inline]
    pub fn of(error: Error) -> Code {
        let is_known = error.category == ERRNO_CATEGORY || error == Error::OK;
        assert!(is_known, "{error:?} has another category");
        Code(error.code)
    }

    /// The code that stands for an errno.
    pub fn of_errno(errno: i32) -> Code {
        Code(code_of_errno(errno) as u16)
    }

    /// An error unless it is 0.
    pub fn ok(self) -> Result<(), Code> {
        self.and(())
    }

    /// The value, or an error unless it is 0.
    pub fn and<T>(self, value: T) -> Result<T, Code> {
        if self == OK { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Errnos of Linux end at 133.
        let known = (1..=133).map(code_of_errno);
        match known.into_iter().find(|&code| code as u16 == self.0) {
            Some(code) => write!(f, "{code:?}"),
            None if *self == OK => f.write_str("OK"),
            None => write!(f, "code {}", self.0),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Success.
pub const OK: Code = Code(0);

macro_rules! codes {
    ($($name:ident)*) => {
        $(#[doc = stringify!($name)]
        pub const $name: Code = Code(ErrorCode::$name as u16);)*
    };
}

codes! {
    EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EALREADY EBADF ECONNABORTED ECONNREFUSED ECONNRESET
    EDESTADDRREQ EFAULT EINVAL EISCONN EMSGSIZE ENETDOWN ENETUNREACH ENOBUFS ENODEV
    ENOTCONN ENOTSUP EPERM EPIPE ERANGE ETIMEDOUT
}
