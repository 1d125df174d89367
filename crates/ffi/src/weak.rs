//! Symbols of Anjay, avs_commons and the C library that the program may have.
//!
//! They are weak references: NULL when the program does not have the symbol, and
//! they pull nothing out of an archive. Rust has no stable way to write one, but
//! the assembler's directives are the same for every processor.

use core::ffi::{c_char, c_int, c_uint, c_void};
use core::sync::atomic::AtomicU8;
use core::sync::atomic::Ordering::Relaxed;

/// What the linker found.
#[repr(C)]
pub(crate) struct Symbols {
    /// Anjay has it in the same object file as `anjay_new`.
    pub(crate) anjay_get_version: Option<unsafe extern "C" fn() -> *const c_char>,
    /// `AVS_NET_SOCKET_DEFAULT_DTLS_HANDSHAKE_TIMEOUTS`, a public constant of
    /// avs_commons 5.1 and newer, where it has DTLS.
    pub(crate) handshake_timeouts: *const c_void,
    /// `avs_log_should_log__`: not there when levels are checked at compile time
    /// only.
    pub(crate) should_log: Option<ShouldLog>,
    /// `avs_log_internal_forced_l__`: writes a line whatever the level.
    pub(crate) write_log: Option<WriteLog>,
    /// `__libc_single_threaded` of glibc 2.32 and newer: not 0 while the process
    /// has one thread.
    single_threaded: *const AtomicU8,
}

/// Of a level and a module: whether there should be a line. The same in the
/// public headers of avs_commons 4.1 to 5.8.
pub(crate) type ShouldLog = unsafe extern "C" fn(c_int, *const c_char) -> c_int;

/// Of a level, a module, a file, its line, a format and its arguments. The same
/// in the public headers of avs_commons 4.1 to 5.8.
pub(crate) type WriteLog =
    unsafe extern "C" fn(c_int, *const c_char, *const c_char, c_uint, *const c_char, ...);

/// Whether the process is known to have one thread.
#[inline(always)]
pub(crate) fn is_single_threaded() -> bool {
    // SAFETY: NULL, or a byte that the C library keeps and never frees.
    let flag = unsafe { symbols().single_threaded.as_ref() };
    flag.is_some_and(|flag| flag.load(Relaxed) != 0)
}

core::arch::global_asm!(
    ".weak anjay_get_version",
    ".weak AVS_NET_SOCKET_DEFAULT_DTLS_HANDSHAKE_TIMEOUTS",
    ".weak avs_log_should_log__",
    ".weak avs_log_internal_forced_l__",
    ".weak __libc_single_threaded",
    ".pushsection .data.rel.ro.anjay_net_weak, \"aw\", %progbits",
    ".balign 8",
    ".globl anjay_net_weak_symbols",
    ".hidden anjay_net_weak_symbols",
    ".type anjay_net_weak_symbols, %object",
    "anjay_net_weak_symbols:",
    // Each as wide as a pointer.
    ".dc.a anjay_get_version",
    ".dc.a AVS_NET_SOCKET_DEFAULT_DTLS_HANDSHAKE_TIMEOUTS",
    ".dc.a avs_log_should_log__",
    ".dc.a avs_log_internal_forced_l__",
    ".dc.a __libc_single_threaded",
    ".size anjay_net_weak_symbols, . - anjay_net_weak_symbols",
    ".popsection",
);

/// The symbols that the program has.
pub(crate) fn symbols() -> &'static Symbols {
    unsafe extern "C" {
        /// The table above.
        #[link_name = "anjay_net_weak_symbols"]
        static SYMBOLS: Symbols;
    }
    // SAFETY: defined above, with this layout, and never written.
    unsafe { &SYMBOLS }
}
