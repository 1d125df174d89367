//! The log handler and the captures, set from several threads and from inside
//! of the handler.

use core::ffi::{c_char, c_int, c_void};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::{ptr, thread};

use anjay_net::capture::{anjay_net_capture_start, anjay_net_capture_stop};
use anjay_net::logging::{LogHandler, LogLevel, anjay_net_set_log_handler};
use anjay_net_watch::report;

/// The handler belongs to the process, and so to one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn set(handler: LogHandler, arg: *mut c_void, level: LogLevel) {
    // SAFETY: the handlers of this file can be called until another is set.
    let set = unsafe { anjay_net_set_log_handler(handler, arg, level as c_int) };
    assert_eq!(set, 0);
}

fn write_line() {
    log::trace!(target: "anjay_net", "a line");
}

static LINES: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn count(_arg: *mut c_void, _level: c_int, _line: *const c_char) {
    LINES.fetch_add(1, SeqCst);
}

#[test]
fn of_two_who_set_the_handler_at_once_one_has_it_as_it_wants() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..200 {
        let ready = AtomicUsize::new(0);
        let set_when_both_are_ready = |handler: LogHandler, level: LogLevel| {
            ready.fetch_add(1, SeqCst);
            while ready.load(SeqCst) < 2 {}
            for _ in 0..20 {
                set(handler, ptr::null_mut(), level);
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| set_when_both_are_ready(Some(count), LogLevel::Trace));
            set_when_both_are_ready(None, LogLevel::Quiet);
        });
        let before = LINES.load(SeqCst);
        write_line();
        assert_eq!(LINES.load(SeqCst) > before, report::reporter().is_some());
        assert_eq!(
            log::max_level() > log::LevelFilter::Off,
            report::reporter().is_some()
        );
    }
    set(None, ptr::null_mut(), LogLevel::Quiet);
}

static STARTED: AtomicI32 = AtomicI32::new(0);
static STOPPED: AtomicI32 = AtomicI32::new(0);

unsafe extern "C" fn capture(arg: *mut c_void, _level: c_int, _line: *const c_char) {
    // SAFETY: the path is NUL-terminated and outlives the handler.
    STARTED.store(
        unsafe { anjay_net_capture_start(arg.cast(), ptr::null()) },
        SeqCst,
    );
    STOPPED.store(anjay_net_capture_stop(), SeqCst);
}

#[test]
fn a_handler_that_captures_is_told_that_it_must_not() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = std::env::temp_dir().join(format!("log_handler-{}.pcapng", std::process::id()));
    let text = CString::new(path.as_os_str().as_bytes()).unwrap();
    set(
        Some(capture),
        text.as_ptr().cast_mut().cast(),
        LogLevel::Trace,
    );
    write_line();
    set(None, ptr::null_mut(), LogLevel::Quiet);
    assert_eq!(STARTED.load(SeqCst), libc::EDEADLK);
    assert_eq!(STOPPED.load(SeqCst), libc::EDEADLK);
    assert!(!path.exists());
}
