//! Packet captures for C: `include/anjay_net.h`.

use core::ffi::{c_char, c_int};

use anjay_net_socket::Errno;
use anjay_net_watch::capture::{self, Limits};

use crate::convert::{self, Growing};
use crate::errno::errno_of;
use crate::logging::is_inside_handler;
use crate::panic::{catch, not_null};

/// Limits of a capture.
///
/// ```c
/// anjay_net_capture_limits_t limits = { .size = sizeof(limits) };
/// limits.max_bytes = 1 << 20;
/// anjay_net_capture_start("/run/my-client/client.pcapng", &limits);
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureLimits {
    /// sizeof(anjay_net_capture_limits_t), so that the struct can grow.
    pub size: usize,
    /// Maximum size of both files together, in bytes, at least 4096. 0 selects
    /// the default, 10 MiB.
    pub max_bytes: u64,
    /// Maximum number of bytes kept of each packet, headers included, at least
    /// 64. 0 selects the default, 65535. A packet longer than half of
    /// `max_bytes` is cut as well.
    pub snaplen: u32,
}

// SAFETY: `repr(C)`, all integers, and the first one is the size.
unsafe impl Growing for CaptureLimits {}

/// Starts to capture what all sockets of the process send and receive, including
/// those that are open already, in a pcapng file for Wireshark and tshark.
///
/// The packets have the addresses and ports of the sockets; the other
/// header fields are synthesized. Changes of state and failures are frames of an
/// interface named "sockets", with the text as their comment.
///
/// The file is a new one that only its owner can read (0600). When it reaches
/// half of `max_bytes`, it is renamed to `path`.1 and the next one is begun, so that
/// the newest packets are always kept. What is at `path` and `path`.1 is
/// replaced if it is a regular file of the effective user, and is an error
/// otherwise: links are not followed, pipes are not waited for. Choose a
/// directory in which no other user can create files, not /tmp.
///
/// A thread of the library writes the file. Packets that it can't keep up with
/// are left out and counted in the file. When writing fails, for example because
/// the disk is full, the capture ends and the sockets go on.
///
/// `limits` may be NULL for the defaults. Returns 0, or an errno: EALREADY if a
/// capture is running; EINVAL if `path` is NULL or names a pipe, a socket or a
/// device, or a limit is too small; ELOOP for a symbolic link; EISDIR; EPERM for
/// a file of another user; ENOMEM; EAGAIN if no thread can be created; EDEADLK
/// from a log handler; ENOTSUP if the library was built without captures; otherwise
/// the error of the file system.
///
/// May be called from any thread. Waits for log handlers that are running: the
/// caller must not hold a lock that a log handler takes.
///
/// # Safety
/// `path` is NULL or NUL-terminated; `limits` is NULL or readable for
/// `limits->size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anjay_net_capture_start(
    path: *const c_char,
    limits: *const CaptureLimits,
) -> c_int {
    let defaults = CaptureLimits {
        size: size_of::<CaptureLimits>(),
        max_bytes: 0,
        snaplen: 0,
    };
    // SAFETY: a path, or NULL.
    let path = unsafe { convert::path(path) };
    let limits = if limits.is_null() {
        Some(defaults)
    } else {
        // SAFETY: limits that begin with their size.
        unsafe { convert::growing(limits, defaults) }
    };
    catch(|| {
        if is_inside_handler() {
            return Errno(libc::EDEADLK);
        }
        errno_of(capture::start(not_null!(path), not_null!(limits).into()))
    })
    .0
}

/// Ends the capture. The file is complete when this returns, which may take as
/// long as the disk does.
///
/// Returns 0, or an errno: ENOENT if no capture was started; EDEADLK from a log
/// handler; or the error that ended the capture earlier, such as ENOSPC.
///
/// May be called from any thread. Waits for log handlers that are running: the
/// caller must not hold a lock that a log handler takes.
#[unsafe(no_mangle)]
pub extern "C" fn anjay_net_capture_stop() -> c_int {
    catch(|| match is_inside_handler() {
        true => Errno(libc::EDEADLK),
        false => errno_of(capture::stop()),
    })
    .0
}

impl From<CaptureLimits> for Limits {
    fn from(limits: CaptureLimits) -> Limits {
        let mut result = Limits::DEFAULT;
        if limits.max_bytes != 0 {
            result.max_bytes = limits.max_bytes;
        }
        if limits.snaplen != 0 {
            result.snaplen = limits.snaplen;
        }
        result
    }
}
