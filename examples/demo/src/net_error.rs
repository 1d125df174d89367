//! What the socket methods say when they do not succeed.

use std::fmt;

/// What the codes of category 37766 stand for, in their order from 0.
const NAMES: &str = "OK E2BIG EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF \
    EBADMSG EBUSY ECHILD ECONNABORTED ECONNREFUSED ECONNRESET EDEADLK EDESTADDRREQ \
    EDOM EEXIST EFAULT EFBIG EHOSTUNREACH EINPROGRESS EINTR EINVAL EIO EISCONN \
    EISDIR ELOOP EMFILE EMLINK EMSGSIZE ENAMETOOLONG ENETDOWN ENETRESET \
    ENETUNREACH ENFILE ENOBUFS ENODEV ENOENT ENOEXEC ENOLINK ENOMEM ENOMSG \
    ENOPROTOOPT ENOSPC ENOSYS ENOTBLK ENOTCONN ENOTDIR ENOTEMPTY ENOTSOCK ENOTSUP \
    ENOTTY ENXIO EOVERFLOW EPERM EPIPE EPROTO EPROTONOSUPPORT EPROTOTYPE ERANGE \
    EROFS ESPIPE ESRCH ETIMEDOUT ETXTBSY EXDEV";

/// A method that did not succeed, and its error code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetError {
    call: &'static str,
    code: u16,
}

impl NetError {
    /// The error of this call.
    pub fn new(call: &'static str, code: u16) -> Self {
        Self { call, code }
    }

    /// The errno name of the code.
    pub fn name(&self) -> &'static str {
        NAMES
            .split_whitespace()
            .nth(self.code.into())
            .unwrap_or("an unknown error")
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.name(), self.call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_names_of_the_abi() {
        for (code, name) in [
            (1, "E2BIG"),
            (13, "ECONNREFUSED"),
            (31, "EMSGSIZE"),
            (48, "ENOTCONN"),
            (65, "ETIMEDOUT"),
            (67, "EXDEV"),
            (68, "an unknown error"),
            (65535, "an unknown error"),
        ] {
            assert_eq!(NetError::new("send", code).name(), name);
        }
    }
}
