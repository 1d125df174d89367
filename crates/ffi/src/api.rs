//! Our own C API: `include/anjay_net.h`.

use core::ffi::c_char;

/// The library's version, such as `0.1.0`, as a NUL-terminated string that
/// lives as long as the program. May be called from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn anjay_net_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}
