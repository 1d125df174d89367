//! Helper threads. [`std::thread`] ends the process when memory runs out.

use core::ffi::{CStr, c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anjay_net_resolve::HELPER_STACK;

use super::try_box;

use crate::error::{Errno, Result};

/// A thread that was started with [`spawn`]. It goes on when this is dropped.
#[derive(Debug)]
pub struct Thread(libc::pthread_t);

// SAFETY: a thread may be joined from any thread (pthread_join(3)).
unsafe impl Send for Thread {}

/// Runs `body` on a new thread, which takes no signals; a panic ends only that
/// thread. `name` has at most 15 bytes.
///
/// # Errors
/// `ENOMEM`; `EAGAIN` when no thread can be created.
pub fn spawn<F>(name: &'static CStr, body: F) -> Result<Thread>
where
    F: FnOnce() + Send + 'static,
{
    let start = Box::into_raw(try_box(Start { name, body })?);
    let mut thread = MaybeUninit::uninit();
    // SAFETY: the attributes are used between their making and their end;
    // `run::<F>` takes what `start` points at, which may go to any thread.
    let errno = with_signals_blocked(|| unsafe {
        let mut attributes = MaybeUninit::uninit();
        let mut errno = libc::pthread_attr_init(attributes.as_mut_ptr());
        if errno == 0 {
            // A multiple of all page sizes, so never refused.
            libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), HELPER_STACK);
            errno = libc::pthread_create(
                thread.as_mut_ptr(),
                attributes.as_ptr(),
                run::<F>,
                start.cast(),
            );
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
        }
        errno
    });
    if errno != 0 {
        // SAFETY: made of a box above, and no thread has it.
        drop(unsafe { Box::from_raw(start) });
        return Err(Errno(errno));
    }
    // SAFETY: pthread_create has stored it.
    Ok(Thread(unsafe { thread.assume_init() }))
}

/// Whether the process has no other thread than the calling one, so that a call in
/// flight is one of a process that it was forked from. False where /proc is missing, and
/// before Linux 4.11.
pub fn is_only_thread() -> bool {
    // By statx(2), which needs no descriptor, and whose times go beyond 2038.
    let path = c"/proc/self/task".as_ptr();
    let mut found = [0_u32; STATX_SIZE / 4];
    // SAFETY: the path is NUL-terminated, and the buffer as large as what is stored.
    let failed = unsafe {
        libc::syscall(
            libc::SYS_statx,
            libc::AT_FDCWD,
            path,
            0,
            STATX_NLINK,
            found.as_mut_ptr(),
        )
    };
    // A directory has a link for each directory in it, and two of its own.
    failed == 0 && found[STX_NLINK] == 3
}

/// Of linux/stat.h: the size of `struct statx`, the bit of the number of links, and where
/// that is, in words.
const STATX_SIZE: usize = 256;
const STATX_NLINK: u32 = 4;
const STX_NLINK: usize = 4;

/// Runs `start` with every signal blocked that may be blocked. A thread that it
/// starts inherits the mask (pthread_create(3)) and so never takes a signal
/// that was meant for the program's own threads (signal(7)).
fn with_signals_blocked(start: impl FnOnce() -> c_int) -> c_int {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are writable; sigfillset initialises the one that
    // pthread_sigmask reads, and pthread_sigmask the one that it stores.
    let blocked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) == 0
    };
    let errno = start();
    if blocked {
        // SAFETY: pthread_sigmask has initialised the set; a NULL old set is not written.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    }
    errno
}

struct Start<F> {
    name: &'static CStr,
    body: F,
}

extern "C" fn run<F: FnOnce()>(start: *mut c_void) -> *mut c_void {
    // SAFETY: the box that spawn made for this thread alone.
    let start = unsafe { Box::from_raw(start.cast::<Start<F>>()) };
    // SAFETY: NUL-terminated; the call changes nothing but the thread's name.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, start.name.as_ptr());
    }
    // What a panic carries is text, which is dropped without another.
    drop(catch_unwind(AssertUnwindSafe(start.body)));
    ptr::null_mut()
}

impl Thread {
    /// Waits for the end of the thread.
    pub fn join(self) {
        // SAFETY: started joinable, and consumed here.
        unsafe { libc::pthread_join(self.0, ptr::null_mut()) };
    }

    /// Has the system free the thread's memory at its end.
    pub fn detach(self) {
        // SAFETY: started joinable, and consumed here.
        unsafe { libc::pthread_detach(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_thread_has_its_name_and_takes_no_signals() {
        let (told, asked) = mpsc::channel();
        let thread = spawn(c"anjay-net-test", move || {
            let name = std::fs::read_to_string("/proc/thread-self/comm");
            let status = std::fs::read_to_string("/proc/thread-self/status");
            told.send((name, status)).unwrap();
        })
        .unwrap();
        let (name, status) = asked.recv().unwrap();
        thread.join();
        assert_eq!(name.unwrap(), "anjay-net-test\n");
        let status = status.unwrap();
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
        let blocked = u64::from_str_radix(blocked.unwrap().trim(), 16).unwrap();
        let bit = |signal: i32| 1 << (signal - 1);
        assert_ne!(blocked & bit(libc::SIGTERM), 0);
        assert_ne!(blocked & bit(libc::SIGUSR1), 0);
    }

    #[test]
    fn a_panic_ends_only_the_thread() {
        spawn(c"anjay-net-test", || panic!("on purpose"))
            .unwrap()
            .join();
    }
}
