//! The error codes of category 37766, and the one table from errno to code.

use anjay_net_socket::Errno;

use crate::abi::{ERRNO_CATEGORY, Error};

/// A socket error code; each is named after the errno it stands for.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, clippy::upper_case_acronyms)] // the names are POSIX's
pub enum ErrorCode {
    /// Success.
    NoError = 0,
    E2BIG = 1,
    EACCES = 2,
    EADDRINUSE = 3,
    EADDRNOTAVAIL = 4,
    EAFNOSUPPORT = 5,
    EAGAIN = 6,
    EALREADY = 7,
    EBADF = 8,
    EBADMSG = 9,
    EBUSY = 10,
    ECHILD = 11,
    ECONNABORTED = 12,
    ECONNREFUSED = 13,
    ECONNRESET = 14,
    EDEADLK = 15,
    EDESTADDRREQ = 16,
    EDOM = 17,
    EEXIST = 18,
    EFAULT = 19,
    EFBIG = 20,
    EHOSTUNREACH = 21,
    EINPROGRESS = 22,
    EINTR = 23,
    EINVAL = 24,
    EIO = 25,
    EISCONN = 26,
    EISDIR = 27,
    ELOOP = 28,
    EMFILE = 29,
    EMLINK = 30,
    EMSGSIZE = 31,
    ENAMETOOLONG = 32,
    ENETDOWN = 33,
    ENETRESET = 34,
    ENETUNREACH = 35,
    ENFILE = 36,
    ENOBUFS = 37,
    ENODEV = 38,
    ENOENT = 39,
    ENOEXEC = 40,
    ENOLINK = 41,
    ENOMEM = 42,
    ENOMSG = 43,
    ENOPROTOOPT = 44,
    ENOSPC = 45,
    ENOSYS = 46,
    ENOTBLK = 47,
    ENOTCONN = 48,
    ENOTDIR = 49,
    ENOTEMPTY = 50,
    ENOTSOCK = 51,
    ENOTSUP = 52,
    ENOTTY = 53,
    ENXIO = 54,
    EOVERFLOW = 55,
    EPERM = 56,
    EPIPE = 57,
    EPROTO = 58,
    EPROTONOSUPPORT = 59,
    EPROTOTYPE = 60,
    ERANGE = 61,
    EROFS = 62,
    ESPIPE = 63,
    ESRCH = 64,
    ETIMEDOUT = 65,
    ETXTBSY = 66,
    EXDEV = 67,
    /// An errno without an entry, or a defect of this library.
    UnknownError = 65535,
}

impl ErrorCode {
    /// This code in its category.
    pub const fn error(self) -> Error {
        Error {
            category: ERRNO_CATEGORY,
            code: self as u16,
        }
    }
}

impl From<Errno> for Error {
    #[inline(always)]
    fn from(errno: Errno) -> Error {
        code_of_errno(errno.0).error()
    }
}

impl From<Result<(), Error>> for Error {
    #[inline]
    fn from(result: Result<(), Error>) -> Error {
        result.err().unwrap_or(Error::OK)
    }
}

/// What a function of ours that returns an errno returns; 0 is success.
pub(crate) fn errno_of(result: anjay_net_socket::Result<()>) -> Errno {
    result.err().unwrap_or(Errno(0))
}

/// The code of an errno value; [`ErrorCode::UnknownError`] for one without an
/// entry.
#[inline(always)]
pub fn code_of_errno(errno: i32) -> ErrorCode {
    // EWOULDBLOCK is EAGAIN on every Linux; a system where it is not needs an
    // arm of its own.
    const _: () = assert!(libc::EWOULDBLOCK == libc::EAGAIN);
    match errno {
        0 => ErrorCode::NoError,
        libc::E2BIG => ErrorCode::E2BIG,
        libc::EACCES => ErrorCode::EACCES,
        libc::EADDRINUSE => ErrorCode::EADDRINUSE,
        libc::EADDRNOTAVAIL => ErrorCode::EADDRNOTAVAIL,
        libc::EAFNOSUPPORT => ErrorCode::EAFNOSUPPORT,
        libc::EAGAIN => ErrorCode::EAGAIN,
        libc::EALREADY => ErrorCode::EALREADY,
        libc::EBADF => ErrorCode::EBADF,
        libc::EBADMSG => ErrorCode::EBADMSG,
        libc::EBUSY => ErrorCode::EBUSY,
        libc::ECHILD => ErrorCode::ECHILD,
        libc::ECONNABORTED => ErrorCode::ECONNABORTED,
        libc::ECONNREFUSED => ErrorCode::ECONNREFUSED,
        libc::ECONNRESET => ErrorCode::ECONNRESET,
        libc::EDEADLK => ErrorCode::EDEADLK,
        libc::EDESTADDRREQ => ErrorCode::EDESTADDRREQ,
        libc::EDOM => ErrorCode::EDOM,
        libc::EEXIST => ErrorCode::EEXIST,
        libc::EFAULT => ErrorCode::EFAULT,
        libc::EFBIG => ErrorCode::EFBIG,
        libc::EHOSTUNREACH => ErrorCode::EHOSTUNREACH,
        libc::EINPROGRESS => ErrorCode::EINPROGRESS,
        libc::EINTR => ErrorCode::EINTR,
        libc::EINVAL => ErrorCode::EINVAL,
        libc::EIO => ErrorCode::EIO,
        libc::EISCONN => ErrorCode::EISCONN,
        libc::EISDIR => ErrorCode::EISDIR,
        libc::ELOOP => ErrorCode::ELOOP,
        libc::EMFILE => ErrorCode::EMFILE,
        libc::EMLINK => ErrorCode::EMLINK,
        libc::EMSGSIZE => ErrorCode::EMSGSIZE,
        libc::ENAMETOOLONG => ErrorCode::ENAMETOOLONG,
        libc::ENETDOWN => ErrorCode::ENETDOWN,
        libc::ENETRESET => ErrorCode::ENETRESET,
        libc::ENETUNREACH => ErrorCode::ENETUNREACH,
        libc::ENFILE => ErrorCode::ENFILE,
        libc::ENOBUFS => ErrorCode::ENOBUFS,
        libc::ENODEV => ErrorCode::ENODEV,
        libc::ENOENT => ErrorCode::ENOENT,
        libc::ENOEXEC => ErrorCode::ENOEXEC,
        libc::ENOLINK => ErrorCode::ENOLINK,
        libc::ENOMEM => ErrorCode::ENOMEM,
        libc::ENOMSG => ErrorCode::ENOMSG,
        libc::ENOPROTOOPT => ErrorCode::ENOPROTOOPT,
        libc::ENOSPC => ErrorCode::ENOSPC,
        libc::ENOSYS => ErrorCode::ENOSYS,
        libc::ENOTBLK => ErrorCode::ENOTBLK,
        libc::ENOTCONN => ErrorCode::ENOTCONN,
        libc::ENOTDIR => ErrorCode::ENOTDIR,
        libc::ENOTEMPTY => ErrorCode::ENOTEMPTY,
        libc::ENOTSOCK => ErrorCode::ENOTSOCK,
        libc::ENOTSUP => ErrorCode::ENOTSUP,
        libc::ENOTTY => ErrorCode::ENOTTY,
        libc::ENXIO => ErrorCode::ENXIO,
        libc::EOVERFLOW => ErrorCode::EOVERFLOW,
        libc::EPERM => ErrorCode::EPERM,
        libc::EPIPE => ErrorCode::EPIPE,
        libc::EPROTO => ErrorCode::EPROTO,
        libc::EPROTONOSUPPORT => ErrorCode::EPROTONOSUPPORT,
        libc::EPROTOTYPE => ErrorCode::EPROTOTYPE,
        libc::ERANGE => ErrorCode::ERANGE,
        libc::EROFS => ErrorCode::EROFS,
        libc::ESPIPE => ErrorCode::ESPIPE,
        libc::ESRCH => ErrorCode::ESRCH,
        libc::ETIMEDOUT => ErrorCode::ETIMEDOUT,
        libc::ETXTBSY => ErrorCode::ETXTBSY,
        libc::EXDEV => ErrorCode::EXDEV,
        _ => ErrorCode::UnknownError,
    }
}
