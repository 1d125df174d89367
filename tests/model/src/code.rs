//! The error codes of category 37766, by their numbers.

#![allow(missing_docs)] // named after the errno they stand for

pub const OK: u16 = 0;
pub const EADDRINUSE: u16 = 3;
pub const EADDRNOTAVAIL: u16 = 4;
pub const EAFNOSUPPORT: u16 = 5;
pub const EADDRINUSE: u16 = 3;
pub const EBADF: u16 = 8;
pub const ECONNABORTED: u16 = 12;
pub const ECONNREFUSED: u16 = 13;
pub const ECONNRESET: u16 = 14;
pub const EDESTADDRREQ: u16 = 16;
pub const EFAULT: u16 = 19;
pub const EINVAL: u16 = 24;
pub const EISCONN: u16 = 26;
pub const EMSGSIZE: u16 = 31;
pub const ENETDOWN: u16 = 33;
pub const ENETUNREACH: u16 = 35;
pub const ENOBUFS: u16 = 37;
pub const ENODEV: u16 = 38;
pub const ENOTCONN: u16 = 48;
pub const ENOTSUP: u16 = 52;
pub const EPERM: u16 = 56;
pub const EPIPE: u16 = 57;
pub const ERANGE: u16 = 61;
pub const ETIMEDOUT: u16 = 65;
