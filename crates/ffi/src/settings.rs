//! Our own C API: `include/anjay_net.h`.

use core::ffi::{CStr, c_char, c_int};
use core::time::Duration;
use std::sync::OnceLock;

use anjay_net_resolve::Text;
use anjay_net_socket::{Settings as Core, SettingsError};

use crate::convert::{self, Growing, Out, OutGrowing};
use crate::panic::{catch, not_null};

/// The library's version, such as `0.1.0`, as a NUL-terminated string that
/// lives as long as the program. May be called from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn anjay_net_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Settings of all sockets of the process. Times are in milliseconds.
///
/// Get the current settings, change some, and configure them:
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
    /// The time limit for the lookups of one name, for all families together. 1 ms
    /// to 1 h, default 10 s.
    pub resolve_timeout_ms: u32,
    /// The time limit for a TCP connect to one address. 1 ms to 1 h, default
    /// 10 s.
    pub connect_timeout_ms: u32,
    /// The delay between the starts of two connection attempts (RFC 8305
    /// section 5). 10 ms to 2 s, default 250 ms.
    pub attempt_delay_ms: u32,
    /// How long a connect that has addresses of the other family waits for those
    /// of the preferred one (RFC 8305 section 3). 0 to 2 s, default 50 ms.
    pub resolution_delay_ms: u32,
    /// How long a UDP server that did not answer is tried last of the addresses
    /// of its name. 0 to 1 day, default 5 min.
    pub udp_penalty_ms: u32,
    /// The time limit for a send that makes no progress. 1 ms to 1 h, default
    /// 30 s.
    pub send_timeout_ms: u32,
    /// The time limit for a TCP accept. 1 ms to 1 h, default 5 s.
    pub accept_timeout_ms: u32,
    /// The maximum number of lookups that run in the system resolver at one time.
    /// 1 to 64, default 8.
    pub max_lookups: u32,
    /// 1: if a lookup fails, connect to the preferred endpoint (RFC 8767), unless
    /// the name is known not to exist. Default 0.
    pub serve_stale: u32,
    /// For how long a connected UDP socket without a route reports its datagrams
    /// as sent, so that retransmissions bridge the outage, before it returns the
    /// error. 0 to 1 day, 0 = return it at once, default 60 s.
    pub udp_outage_ms: u32,
    /// TCP_KEEPIDLE and TCP_KEEPINTVL of every connection, in seconds: how soon a
    /// peer that is gone is noticed while nothing is sent. 0 to 32767, 0 = off, the
    /// default.
    pub tcp_keepalive_s: u32,
    /// TCP_USER_TIMEOUT of every connection (RFC 5482): for how long data that was
    /// sent may stay unacknowledged before the connection ends. 0 to 1 day, 0 = as
    /// the system has it, about 15 min, the default.
    pub tcp_user_timeout_ms: u32,
    /// 1: TCP_NODELAY, small messages leave at once. Default 1.
    pub tcp_nodelay: u32,
    /// 1: connected UDP sockets deliver empty datagrams, which TLS libraries take
    /// for the end of the connection. Default 0.
    pub deliver_empty_datagrams: u32,
}

/// Stores the current settings in the first `settings->size` bytes of
/// `*settings`.
///
/// Returns 0, or -1 if `settings` is NULL or `settings->size` is smaller than the
/// field itself. May be called from any thread.
///
/// # Safety
/// `settings` is NULL or writable for `settings->size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anjay_net_get_settings(settings: *mut Settings) -> c_int {
    // SAFETY: a struct that begins with its size, the call's own, or NULL.
    let settings = unsafe { OutGrowing::new(settings) };
    catch(|| {
        not_null!(settings).put(Settings::from(Core::current()));
        0
    })
}

/// Makes these the current settings, for calls that begin later. Settings beyond
/// the end of a shorter struct do not change.
///
/// Returns 0, or -1 if a setting is out of its limits, `settings` is NULL or its
/// size is not supported. On error no setting changes, and `*problem` is set to a
/// message that stays valid forever, unless `problem` is NULL. May be called from
/// any thread.
///
/// # Safety
/// `settings` is NULL or readable for `settings->size` bytes; `problem` is NULL
/// or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anjay_net_configure(
    settings: *const Settings,
    problem: *mut *const c_char,
) -> c_int {
    // SAFETY: a struct that begins with its size, and a place for the message,
    // the call's own, or NULL.
    let (settings, problem) = unsafe {
        (
            convert::growing(settings, Settings::from(Core::current())),
            Out::new(problem),
        )
    };
    catch(|| {
        let installed = settings
            .ok_or(c"settings: NULL, or of a size that this version does not know")
            .and_then(Settings::install);
        let Err(message) = installed else {
            return 0;
        };
        if let Some(mut problem) = problem {
            problem.put(message.as_ptr());
        }
        -1
    })
}

// SAFETY: `repr(C)`, all integers, and the first one is the size.
unsafe impl Growing for Settings {}

// What a `uint32_t` of C is in the core: of each there is a `to_core`, whose `Err` is
// what the number must be, and a `from_core`.

/// A duration in units of so many milliseconds.
struct Time<const UNIT: u32>;
type Milliseconds = Time<1>;
type Seconds = Time<1000>;

impl<const UNIT: u32> Time<UNIT> {
    fn to_core(value: u32) -> Result<Duration, &'static str> {
        Ok(Duration::from_millis(u64::from(value) * u64::from(UNIT)))
    }

    fn from_core(value: Duration) -> u32 {
        let units = value.as_millis() as u64 / u64::from(UNIT);
        units.try_into().unwrap_or(u32::MAX)
    }
}

/// A number of things.
struct Count;

impl Count {
    fn to_core(value: u32) -> Result<u32, &'static str> {
        Ok(value)
    }

    fn from_core(value: u32) -> u32 {
        value
    }
}

/// Off or on.
struct Switch;

impl Switch {
    fn to_core(value: u32) -> Result<bool, &'static str> {
        match value {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err("0 or 1"),
        }
    }

    fn from_core(value: bool) -> u32 {
        value.into()
    }
}

/// Makes everything between [`Settings`] and [`Core`] of a row for each setting:
/// its name for C, its name in the core, which has its limits, and its unit.
macro_rules! settings {
    ($($field:ident: $core:ident $unit:ident,)*) => {
        impl From<Core> for Settings {
            fn from(core: Core) -> Settings {
                Settings {
                    size: size_of::<Settings>(),
                    $($field: $unit::from_core(core.$core),)*
                }
            }
        }

        impl Settings {
            fn install(self) -> Result<(), &'static CStr> {
                let mut core = Core::current();
                $(
                    core.$core = $unit::to_core(self.$field).map_err(|limits| {
                        message(SettingsError { setting: stringify!($core), limits })
                    })?;
                )*
                core.install().map_err(message)
            }
        }

        /// What is wrong, such as "max_lookups must be 1 to 64".
        fn message(error: SettingsError) -> &'static CStr {
            $(
                if error.setting == stringify!($core) {
                    // Made once for each setting, so that C may keep it.
                    static MESSAGE: OnceLock<Text<128>> = OnceLock::new();
                    let message = MESSAGE.get_or_init(|| {
                        let name = stringify!($field);
                        Text::of(format_args!("{name} must be {}", error.limits))
                    });
                    return message.as_c_str();
                }
            )*
            c"a setting is out of its limits"
        }
    };
}

settings! {
    resolve_timeout_ms: resolve_timeout Milliseconds,
    connect_timeout_ms: connect_timeout Milliseconds,
    attempt_delay_ms: attempt_delay Milliseconds,
    resolution_delay_ms: resolution_delay Milliseconds,
    udp_penalty_ms: udp_penalty Milliseconds,
    send_timeout_ms: send_timeout Milliseconds,
    accept_timeout_ms: accept_timeout Milliseconds,
    max_lookups: max_lookups Count,
    serve_stale: serve_stale Switch,
    udp_outage_ms: udp_outage Milliseconds,
    tcp_keepalive_s: tcp_keepalive Seconds,
    tcp_user_timeout_ms: tcp_user_timeout Milliseconds,
    tcp_nodelay: tcp_nodelay Switch,
    deliver_empty_datagrams: deliver_empty_datagrams Switch,
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr;

    /// The message about the settings in force with one change.
    fn refused(change: impl FnOnce(&mut Settings)) -> &'static str {
        let mut settings = Settings::from(Core::current());
        change(&mut settings);
        settings.install().unwrap_err().to_str().unwrap()
    }

    #[test]
    fn a_message_names_the_field_and_its_limits() {
        let before = Core::current();
        let message = refused(|settings| settings.resolve_timeout_ms = 0);
        assert_eq!(message, "resolve_timeout_ms must be 1 ms to 1 h");
        let message = refused(|settings| settings.max_lookups = 65);
        assert_eq!(message, "max_lookups must be 1 to 64");
        let message = refused(|settings| settings.serve_stale = 2);
        assert_eq!(message, "serve_stale must be 0 or 1");
        type Change = fn(&mut Settings);
        let changes: [(&str, Change); 13] = [
            ("connect_timeout_ms", |it| it.connect_timeout_ms = 0),
            ("attempt_delay_ms", |it| it.attempt_delay_ms = 9),
            ("resolution_delay_ms", |it| it.resolution_delay_ms = 2001),
            ("udp_penalty_ms", |it| it.udp_penalty_ms = 86_400_001),
            ("send_timeout_ms", |it| it.send_timeout_ms = 3_600_001),
            ("accept_timeout_ms", |it| it.accept_timeout_ms = 0),
            ("max_lookups", |it| it.max_lookups = 0),
            ("serve_stale", |it| it.serve_stale = u32::MAX),
            ("udp_outage_ms", |it| it.udp_outage_ms = 86_400_001),
            ("tcp_keepalive_s", |it| it.tcp_keepalive_s = 32_768),
            ("tcp_user_timeout_ms", |it| {
                it.tcp_user_timeout_ms = 86_400_001
            }),
            ("tcp_nodelay", |it| it.tcp_nodelay = 2),
            ("deliver_empty_datagrams", |it| {
                it.deliver_empty_datagrams = 2
            }),
        ];
        for (field, change) in changes {
            let message = refused(change);
            assert!(
                message.starts_with(&format!("{field} must be ")),
                "{message}"
            );
        }
        assert_eq!(Core::current(), before);
    }

    #[test]
    fn additions_of_a_newer_header_must_be_unused() {
        #[repr(C)]
        struct Newer {
            settings: Settings,
            // Of the same alignment: padding may hold anything.
            addition: usize,
        }
        let configure = |addition| {
            let mut newer = Newer {
                settings: Settings::from(Core::current()),
                addition,
            };
            newer.settings.size = size_of::<Newer>();
            // SAFETY: as long as its size says, and no place for a message.
            unsafe { anjay_net_configure((&raw const newer).cast(), ptr::null_mut()) }
        };
        assert_eq!(configure(0), 0);
        assert_eq!(configure(1), -1);
    }

    #[test]
    fn settings_survive_the_way_to_the_core_and_back() {
        let defaults = Settings::from(Core::DEFAULT);
        assert_eq!(defaults.udp_penalty_ms, 300_000);
        assert_eq!(defaults.install(), Ok(()));
        assert_eq!(Core::current(), Core::DEFAULT);
    }
}
