//! Our own C API: `include/anjay_net.h`.

use core::ffi::{c_char, c_int};
use core::time::Duration;

use anjay_net_socket::{Settings as Core, SettingsError};

use crate::convert;
use crate::panic::function;

/// The library's version, such as `0.1.0`, as a NUL-terminated string that
/// lives as long as the program. May be called from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn anjay_net_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Limits that hold for all sockets of the process. Times in milliseconds.
///
/// Get the settings in force, change some, configure:
///
/// ```c
/// anjay_net_settings_t settings = { .size = sizeof(settings) };
/// anjay_net_get_settings(&settings);
/// settings.resolve_timeout_ms = 3000;
/// anjay_net_configure(&settings, NULL);
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// sizeof(anjay_net_settings_t), so that the struct can grow.
    pub size: usize,
    /// How long the names of one call may take to resolve, in total. 1 ms to
    /// 1 h, default 10 s.
    pub resolve_timeout_ms: u32,
    /// How long one address may take to answer a TCP connect. 1 ms to 1 h,
    /// default 10 s.
    pub connect_timeout_ms: u32,
    /// How long one address has the race to itself before the next one starts
    /// (RFC 8305 section 5). 10 ms to 2 s, default 250 ms.
    pub attempt_delay_ms: u32,
    /// How long addresses of the other family wait for the answer about the
    /// preferred one (RFC 8305 section 3). 0 to 2 s, default 50 ms.
    pub resolution_delay_ms: u32,
    /// How long a UDP address that did not answer is tried after all others of
    /// its name. 0 to 1 day, default 5 min.
    pub udp_penalty_ms: u32,
    /// How long a send may go on without any progress. 1 ms to 1 h, default
    /// 30 s.
    pub send_timeout_ms: u32,
    /// How long a TCP accept waits for a peer. 1 ms to 1 h, default 5 s.
    pub accept_timeout_ms: u32,
    /// How many lookups may be with the system resolver at once. 1 to 64,
    /// default 8.
    pub max_lookups: u32,
    /// 1: when a name can't be resolved, connect to the preferred endpoint as
    /// if it had been found (RFC 8767). That there is no such name is an
    /// answer. Default 0.
    pub serve_stale: u32,
}

/// Stores the settings in force, as much of them as `settings->size` says that
/// there is room for.
///
/// 0, or -1 for NULL and a size that holds not even itself. May be called from
/// any thread.
///
/// # Safety
/// `settings` is NULL or writable for `settings->size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anjay_net_get_settings(settings: *mut Settings) -> c_int {
    function(-1, || {
        // SAFETY: the caller's promise.
        unsafe { convert::put_sized(settings, Settings::from(Core::current())) }.map_or(-1, |()| 0)
    })
}

/// Makes these the settings in force, for operations that begin later. What a
/// shorter struct does not have stays as it is.
///
/// 0, or -1 when something is wrong; then nothing changes, and `problem`, if it
/// is not NULL, points at a sentence that says what, which lives as long as
/// the program. May be called from any thread.
///
/// # Safety
/// `settings` is NULL or readable for `settings->size` bytes; `problem` is NULL
/// or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anjay_net_configure(
    settings: *const Settings,
    problem: *mut *const c_char,
) -> c_int {
    function(-1, || {
        // SAFETY: the caller's promise.
        let sized = unsafe { convert::sized(settings, Settings::from(Core::current())) };
        let outcome = match sized {
            None => Err(c"settings: NULL, or of a size that this version does not know"),
            Some(settings) => settings.install(),
        };
        match outcome {
            Ok(()) => 0,
            Err(sentence) => {
                // SAFETY: the caller's promise; NULL is fine.
                unsafe { convert::put(problem, sentence.as_ptr()) };
                -1
            }
        }
    })
}

impl Settings {
    fn install(self) -> Result<(), &'static core::ffi::CStr> {
        let millis = |value: u32| Duration::from_millis(value.into());
        let mut core = Core::current();
        core.resolve_timeout = millis(self.resolve_timeout_ms);
        core.connect_timeout = millis(self.connect_timeout_ms);
        core.attempt_delay = millis(self.attempt_delay_ms);
        core.resolution_delay = millis(self.resolution_delay_ms);
        core.udp_penalty = millis(self.udp_penalty_ms);
        core.send_timeout = millis(self.send_timeout_ms);
        core.accept_timeout = millis(self.accept_timeout_ms);
        core.max_lookups = self.max_lookups;
        core.serve_stale = match self.serve_stale {
            0 => false,
            1 => true,
            _ => return Err(c"serve_stale must be 0 or 1"),
        };
        core.install().map_err(sentence)
    }
}

/// What is wrong, as text that C may keep.
fn sentence(error: SettingsError) -> &'static core::ffi::CStr {
    match error.setting {
        "resolve_timeout" => c"resolve_timeout_ms must be 1 to 3600000",
        "connect_timeout" => c"connect_timeout_ms must be 1 to 3600000",
        "send_timeout" => c"send_timeout_ms must be 1 to 3600000",
        "accept_timeout" => c"accept_timeout_ms must be 1 to 3600000",
        "attempt_delay" => c"attempt_delay_ms must be 10 to 2000",
        "resolution_delay" => c"resolution_delay_ms must be 0 to 2000",
        "udp_penalty" => c"udp_penalty_ms must be 0 to 86400000",
        "max_lookups" => c"max_lookups must be 1 to 64",
        _ => c"a setting is out of its limits",
    }
}

impl From<Core> for Settings {
    fn from(core: Core) -> Settings {
        let millis = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        Settings {
            size: size_of::<Settings>(),
            resolve_timeout_ms: millis(core.resolve_timeout),
            connect_timeout_ms: millis(core.connect_timeout),
            attempt_delay_ms: millis(core.attempt_delay),
            resolution_delay_ms: millis(core.resolution_delay),
            udp_penalty_ms: millis(core.udp_penalty),
            send_timeout_ms: millis(core.send_timeout),
            accept_timeout_ms: millis(core.accept_timeout),
            max_lookups: core.max_lookups,
            serve_stale: core.serve_stale.into(),
        }
    }
}
