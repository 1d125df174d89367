//! Log lines for C: `include/anjay_net.h`.

use core::cell::Cell;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;

use anjay_net_resolve::Text;
use anjay_net_socket::locks::{Mutex, Shared};
use anjay_net_watch::trace;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::panic::catch;
use crate::weak::{self, ShouldLog, WriteLog};

/// The severity of a log line. The values are those of avs_log_level_t.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Every transfer.
    Trace = 0,
    /// The steps of a call: lookups, attempts, connections.
    Debug = 1,
    /// Events that affect later calls.
    Info = 2,
    /// Failures that a call returns as its error.
    Warning = 3,
    /// Failures that no call returns.
    Error = 4,
    /// No lines.
    Quiet = 5,
}

/// Receives the log lines: `arg` as it was set, one of anjay_net_log_level, and a
/// text without a line break, of at most 511 bytes, that is valid during the call only.
///
/// It is called on the thread that the line comes from, helper threads included,
/// possibly on several threads at once. It must not call
/// anjay_net_set_log_handler(), nor start or stop a capture, nor clean up the
/// socket that the line is about. It may use sockets; that produces no log lines.
///
/// anjay_net_set_log_handler(), anjay_net_capture_start() and
/// anjay_net_capture_stop() wait until no handler is running. A handler that
/// waits for a lock therefore deadlocks with a thread that calls one of them
/// while it holds that lock.
pub type LogHandler =
    Option<unsafe extern "C" fn(arg: *mut c_void, level: c_int, line: *const c_char)>;

/// Sets the handler that receives the log lines of `level` and above. Afterwards
/// the handler before is not called any more.
///
/// With ANJAY_NET_LOG_LEVEL_TRACE there is a line for each transfer, and transfers
/// are slower; with ANJAY_NET_LOG_LEVEL_QUIET there are no lines.
///
/// If `handler` is NULL, as at first, the lines go to avs_log where the program
/// has it, and nowhere else. They are lines of the module `anjay_net`, and the
/// level that avs_log is set to decides, not `level`: INFO, unless
/// avs_log_set_level(anjay_net, ...) or avs_log_set_default_level() has set
/// another one. Only the lines for transfers need ANJAY_NET_LOG_LEVEL_TRACE here
/// as well.
///
/// Each line has the number of the socket, the peer and the reason, such as
/// `socket 3: cannot establish connection to [192.0.2.1]:5683: Connection refused
/// (os error 111)`.
///
/// Returns 0, or -1 for a level that does not exist, from inside a handler, without
/// memory, and in a Rust program that has set a logger of the log crate, which
/// receives the lines. May be called from any thread, but not by a thread that
/// holds a lock which a handler waits for.
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
        let handler = handler.map(|call| Handler { call, arg });
        let level = match (&handler, avs_log()) {
            (Some(_), _) => level,
            (None, Some(_)) => level.max(AVS_LOG_LEVEL),
            (None, None) => LevelFilter::Off,
        };
        if trace::set(level == LevelFilter::Trace).is_err() {
            return -1;
        }
        FORWARDER.handler.replace(|_| handler);
        log::set_max_level(level);
        0
    })
}

/// Sends the log lines to avs_log, if the program has it and has not set a
/// handler. Called before anything is done that has lines.
#[inline]
pub(crate) fn start() {
    if avs_log().is_some() {
        is_installed();
    }
}

fn filter(level: c_int) -> Option<LevelFilter> {
    LevelFilter::iter().find(|filter| number(*filter) == level)
}

/// The [`LogLevel`]: it counts down from [`LogLevel::Quiet`], where the log crate counts
/// up from [`LevelFilter::Off`].
fn number(level: LevelFilter) -> c_int {
    LogLevel::Quiet as c_int - level as c_int
}

#[derive(Clone, Copy)]
struct Handler {
    call: unsafe extern "C" fn(*mut c_void, c_int, *const c_char),
    /// What C wants back with each line.
    arg: *mut c_void,
}

// SAFETY: the argument is only handed back. That the handler is called on any thread is
// what its author was told.
unsafe impl Send for Handler {}
// SAFETY: shared, it is only copied.
unsafe impl Sync for Handler {}

/// Held while the handler is set.
static SETTING: Mutex<()> = Mutex::new(());

std::thread_local! {
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// This thread is inside a handler while it lives.
struct Inside;

impl Inside {
    /// `None` when it is already.
    fn enter() -> Option<Inside> {
        (!IS_INSIDE.replace(true)).then_some(Inside)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        IS_INSIDE.set(false);
    }
}

/// Whether the caller is a handler, which holds what must not change meanwhile.
pub(crate) fn is_inside_handler() -> bool {
    IS_INSIDE.get()
}

/// Whether the log crate gives its lines to [`Forwarder`]; asks it to, the first
/// time.
fn is_installed() -> bool {
    if log::set_logger(&FORWARDER).is_err() {
        return ptr::addr_eq(log::logger(), &FORWARDER);
    }
    if avs_log().is_some() {
        log::set_max_level(AVS_LOG_LEVEL);
    }
    true
}

/// The logger of the log crate that passes lines on to C.
struct Forwarder {
    handler: Shared<Option<Handler>>,
}

static FORWARDER: Forwarder = Forwarder {
    handler: Shared::new(None),
};

impl Log for Forwarder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let level = metadata.level();
        level <= log::max_level()
            && metadata.target().starts_with("anjay_net")
            && (self.handler.get().is_some() || avs_log_wants(weak::symbols().should_log, level))
    }

    fn log(&self, record: &Record<'_>) {
        // A handler that uses a socket would have no end of lines.
        let Some(_inside) = Inside::enter() else {
            return;
        };
        if !self.enabled(record.metadata()) {
            return;
        }
        // A handler that uses a socket may wait for a lookup, whose thread's lines
        // must not wait for another handler to be set.
        self.handler.with(|handler| match handler {
            Some(handler) => handler.write(record),
            None => write_to_avs_log(record),
        });
    }

    fn flush(&self) {}
}

/// The longest line with its NUL, in bytes.
const LINE: usize = 512;

impl Handler {
    fn write(&self, record: &Record<'_>) {
        let line = Text::<LINE>::of(record.args());
        let (level, line) = (number(record.level().to_level_filter()), line.as_c_str());
        // SAFETY: anjay_net_set_log_handler() takes only handlers that can be
        // called until another is set, which waits for the lock that this one
        // was read under; the line is NUL-terminated.
        unsafe { (self.call)(self.arg, level, line.as_ptr()) };
    }
}

/// What lines are called in avs_log.
const AVS_LOG_MODULE: &CStr = c"anjay_net";

/// The lines that avs_log decides about. Those of level trace are not among them:
/// observers cost something whether their lines are wanted or not.
const AVS_LOG_LEVEL: LevelFilter = LevelFilter::Debug;

/// avs_log of the program, if it has it.
fn avs_log() -> Option<WriteLog> {
    weak::symbols().write_log
}

/// Writes a line to avs_log, which [`avs_log_wants`].
fn write_to_avs_log(record: &Record<'_>) {
    let Some(write) = avs_log() else {
        return;
    };
    let file = Text::<LINE>::from(record.file().unwrap_or("-"));
    let line = Text::<LINE>::of(record.args());
    // SAFETY: any thread may write a line; all texts are NUL-terminated, and the
    // format takes one.
    unsafe {
        write(
            number(record.level().to_level_filter()),
            AVS_LOG_MODULE.as_ptr(),
            file.as_c_str().as_ptr(),
            record.line().unwrap_or(0),
            c"%s".as_ptr(),
            line.as_c_str().as_ptr(),
        );
    }
}

/// Whether avs_log has lines of this level. `should_log` is not there when levels
/// are checked at compile time only.
fn avs_log_wants(should_log: Option<ShouldLog>, level: Level) -> bool {
    match should_log {
        // SAFETY: any thread may ask; the name is NUL-terminated.
        Some(should_log) => unsafe {
            should_log(number(level.to_level_filter()), AVS_LOG_MODULE.as_ptr()) != 0
        },
        // The level at which avs_log starts.
        None => level <= Level::Info,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn avs_log_without_levels_has_lines_of_its_default_level() {
        assert!(avs_log_wants(None, Level::Warn));
        assert!(avs_log_wants(None, Level::Info));
        assert!(!avs_log_wants(None, Level::Debug));
    }

    #[test]
    fn levels_are_those_of_avs_log() {
        assert_eq!(filter(0), Some(LevelFilter::Trace));
        assert_eq!(filter(3), Some(LevelFilter::Warn));
        assert_eq!(filter(5), Some(LevelFilter::Off));
        assert_eq!(filter(6), None);
        assert_eq!(filter(-1), None);
        assert_eq!(number(LevelFilter::Error), 4);
    }
}
