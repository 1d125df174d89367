//! Log lines for C: `include/anjay_net.h`.

use core::cell::Cell;
use core::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;

use anjay_net_watch::trace;
use log::{Level, LevelFilter, Log, Metadata, Record};
use parking_lot::{Mutex, RwLock};

use crate::convert::CText;
use crate::panic::catch;

/// How much a log line matters. The values are those of avs_log_level_t.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Every transfer.
    Trace = 0,
    /// What the library does for a call: lookups, attempts, connections.
    Debug = 1,
    /// What changes how later calls go.
    Info = 2,
    /// What failed, and the caller is told.
    Warning = 3,
    /// What failed, and nobody else is told.
    Error = 4,
    /// No line at all.
    Quiet = 5,
}

/// Gets each line: `arg` as it was set, one of anjay_net_log_level, and a text
/// without a line break, of at most 511 bytes, that is gone after the call.
///
/// It is called on the thread that something happens on, the helper threads
/// included, also on several at once. It must not call
/// anjay_net_set_log_handler(), nor start or stop a capture, nor clean up the
/// socket that the line is about. Sockets may be used; what they do then has no
/// lines.
///
/// anjay_net_set_log_handler(), anjay_net_capture_start() and
/// anjay_net_capture_stop() wait until no handler is running. A handler that
/// waits for a lock therefore deadlocks with a thread that calls one of them
/// while it holds that lock.
pub type LogHandler =
    Option<unsafe extern "C" fn(arg: *mut c_void, level: c_int, line: *const c_char)>;

/// Sets who gets the log lines of `level` and above. NULL or
/// ANJAY_NET_LOG_LEVEL_QUIET: nobody, as it is at first; then a line costs one
/// comparison. With ANJAY_NET_LOG_LEVEL_TRACE there is a line for each transfer,
/// and transfers are slower.
///
/// Each line has the number of the socket, the peer and the reason, such as
/// `socket 3: 192.0.2.1:5683: connect failed: Connection refused (os error
/// 111)`. After this the handler before is not called any more.
///
/// To have the lines among those of avs_commons:
///
/// ```c
/// static void to_avs_log(void *arg, int level, const char *line) {
///     avs_log_internal_l__((avs_log_level_t) level, "anjay_net", __FILE__, __LINE__, "%s", line);
/// }
/// anjay_net_set_log_handler(to_avs_log, NULL, ANJAY_NET_LOG_LEVEL_DEBUG);
/// ```
///
/// avs_log leaves out debug lines until avs_log_set_level(anjay_net,
/// AVS_LOG_DEBUG).
///
/// 0, or -1 for a level that is none, without memory, and where a Rust program
/// has set a logger of the log crate, which gets the lines already. May be called from any
/// thread, but not from a handler, nor by a thread that holds a lock which a
/// handler waits for.
///
/// # Safety
/// `handler` is NULL or can be called until another is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anjay_net_set_log_handler(
    handler: LogHandler,
    arg: *mut c_void,
    level: c_int,
) -> c_int {
    catch(|| {
        let Some(level) = filter(level) else {
            return -1;
        };
        if is_inside_handler() || !is_installed() {
            return -1;
        }
        // Handler, level and tracing are those of one call, not some of each.
        let _alone = SETTING.lock();
        if trace::set(level == LevelFilter::Trace && handler.is_some()).is_err() {
            return -1;
        }
        let level = if handler.is_some() {
            level
        } else {
            LevelFilter::Off
        };
        *HANDLER.write() = handler.map(|call| Handler {
            call,
            arg: SharedArgument(arg),
        });
        log::set_max_level(level);
        0
    })
}

fn filter(level: c_int) -> Option<LevelFilter> {
    const LEVELS: [(LogLevel, LevelFilter); 6] = [
        (LogLevel::Trace, LevelFilter::Trace),
        (LogLevel::Debug, LevelFilter::Debug),
        (LogLevel::Info, LevelFilter::Info),
        (LogLevel::Warning, LevelFilter::Warn),
        (LogLevel::Error, LevelFilter::Error),
        (LogLevel::Quiet, LevelFilter::Off),
    ];
    let found = LEVELS
        .iter()
        .find(|(number, _)| *number as c_int == level)?;
    Some(found.1)
}

fn number(level: Level) -> c_int {
    (match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warning,
        Level::Error => LogLevel::Error,
    }) as c_int
}

struct Handler {
    call: unsafe extern "C" fn(*mut c_void, c_int, *const c_char),
    arg: SharedArgument,
}

/// What C wants back with each line.
struct SharedArgument(*mut c_void);

// SAFETY: it is only handed back. That the handler is called on any thread is
// what its author was told.
unsafe impl Send for SharedArgument {}
// SAFETY: shared, it is only copied.
unsafe impl Sync for SharedArgument {}

static HANDLER: RwLock<Option<Handler>> = RwLock::new(None);

/// Held by who sets the handler.
static SETTING: Mutex<()> = Mutex::new(());

std::thread_local! {
    /// This thread is inside the handler.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether the caller is a handler, which holds what must not change meanwhile.
pub(crate) fn is_inside_handler() -> bool {
    INSIDE.with(Cell::get)
}

/// Whether the log crate gives its lines to [`HANDLER`].
fn is_installed() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| log::set_logger(&Forwarder).is_ok())
}

/// The logger of the log crate that passes lines on to C.
struct Forwarder;

impl Log for Forwarder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level() && metadata.target().starts_with("anjay_net")
    }

    fn log(&self, record: &Record<'_>) {
        // A handler that uses a socket would have no end of lines.
        if !self.enabled(record.metadata()) || INSIDE.with(|inside| inside.replace(true)) {
            return;
        }
        // Recursive: a handler that uses a socket may wait for a lookup, whose
        // thread's lines must not wait for who sets another handler.
        if let Some(handler) = &*HANDLER.read_recursive() {
            let line = CText::<512>::format(*record.args());
            let line = line.as_c_str().as_ptr();
            // SAFETY: anjay_net_set_log_handler() takes only handlers that can be
            // called until another is set, which waits for this lock; the line
            // is NUL-terminated.
            unsafe { (handler.call)(handler.arg.0, number(record.level()), line) };
        }
        INSIDE.with(|inside| inside.set(false));
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_avs_log() {
        assert_eq!(filter(0), Some(LevelFilter::Trace));
        assert_eq!(filter(3), Some(LevelFilter::Warn));
        assert_eq!(filter(5), Some(LevelFilter::Off));
        assert_eq!(filter(6), None);
        assert_eq!(filter(-1), None);
        assert_eq!(number(Level::Error), 4);
    }
}
