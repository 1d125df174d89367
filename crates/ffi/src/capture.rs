//! Packet captures from C: `include/anjay_net.h`.

use core::ffi::{c_char, c_int};

use anjay_net_watch::capture::{self, Limits};

use crate::convert::{self, Growing};
use crate::errno::Errno;
use crate::logging::is_inside_handler;
use crate::panic::{catch, not_null};

/// How much a capture may take.
///
/// ```c
/// anjay_net_capture_limits_t limits = { .size = sizeof(limits) };
/// limits.max_bytes = 1 << 20;
/// anjay_net_capture_start("/tmp/client.pcapng", &limits);
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureLimits {
    /// sizeof(anjay_net_capture_limits_t), so that the struct can grow.
    pub size: usize,
    /// Bytes that the files may have, at least 4096. 0 is the default, 10 MiB.
    pub max_bytes: u64,
    /// Bytes of one packet, with its headers, that are kept, at least 64. 0 is
    /// the default, all of them.
    pub snaplen: u32,
}

// SAFETY: `repr(C)`, all integers, and the first one is the size.
unsafe impl Growing for CaptureLimits {}

/// Begins to write what passes through all sockets of the process, those that
/// are open already, too, to a pcapng file that Wireshark and tshark read.
///
/// The packets have the sockets' addresses and ports, and headers made up to
/// fit. State changes are frames of an interface named "sockets", with the text
/// as their comment. A file that is there is overwritten; a new one is for its
/// owner only (0600). When the file has half of the bytes that are allowed it
/// becomes `path`.1, in the place of the one before, so that the newest packets
/// are always kept. A thread of its own writes; what it can't keep up with is
/// left out and counted in the file. When writing fails, as on a full disk, the
/// capture ends and the sockets go on.
///
/// `limits` may be NULL for the defaults. 0, or an errno: EALREADY when a
/// capture is running, EINVAL for NULL, limits that are too small and a path
/// that is a pipe, a socket or a device; EAGAIN when there can't be another
/// thread; EDEADLK from a log handler; what the file system says. May be called
/// from any thread.
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
        capture::start(not_null!(path), not_null!(limits).into()).into()
    })
    .0
}

/// Ends the capture. The file is complete when this returns, which may take as
/// long as the disk.
///
/// 0, or an errno: ENOENT when there is no capture, EDEADLK from a log handler, or
/// what ended it earlier, such as ENOSPC. May be called from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn anjay_net_capture_stop() -> c_int {
    catch(|| match is_inside_handler() {
        true => Errno(libc::EDEADLK),
        false => capture::stop().into(),
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
