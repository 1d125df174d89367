//! This process, as the kernel sees it.

use std::fs;
use std::mem;
use std::time::Duration;

fn entries(directory: &str) -> usize {
    fs::read_dir(directory).expect("/proc is mounted").count()
}

/// Open descriptors, less the one that reads their list.
pub fn descriptors() -> usize {
    entries("/proc/self/fd") - 1
}

/// Threads.
pub fn threads() -> usize {
    entries("/proc/self/task")
}

/// Resident memory in bytes (proc(5), statm).
pub fn resident_memory() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
    let pages = text.split_whitespace().nth(1).and_then(|n| n.parse().ok());
    // SAFETY: no memory is passed.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages.unwrap_or(0) * u64::try_from(page).unwrap_or(0)
}

/// A clock of time on the processor.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// Of all threads of this process.
    Process,
    /// Of this thread.
    Thread,
}

impl Clock {
    /// The time now.
    pub fn now(self) -> Duration {
        let clock = match self {
            Clock::Process => libc::CLOCK_PROCESS_CPUTIME_ID,
            Clock::Thread => libc::CLOCK_THREAD_CPUTIME_ID,
        };
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: `time` is writable.
        assert_eq!(unsafe { libc::clock_gettime(clock, &mut time) }, 0);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

/// Raises the limit of open descriptors as far as it goes; gives the limit.
pub fn raise_descriptor_limit() -> usize {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is writable, then readable.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

/// The processors that this thread may run on.
pub fn processors() -> Vec<usize> {
    // SAFETY: an array of integers, for which zero bytes are valid, of the size
    // that is passed.
    let allowed = unsafe {
        let mut allowed: libc::cpu_set_t = mem::zeroed();
        libc::sched_getaffinity(0, size_of_val(&allowed), &mut allowed);
        allowed
    };
    (0..libc::CPU_SETSIZE as usize)
        // SAFETY: below the size of the set.
        .filter(|&core| unsafe { libc::CPU_ISSET(core, &allowed) })
        .collect()
}

/// Binds this thread, and those it starts, to one processor.
pub fn pin_to(core: usize) -> bool {
    // SAFETY: as in `processors`; the set has room for every processor's number.
    unsafe {
        let mut one: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(core, &mut one);
        libc::sched_setaffinity(0, size_of_val(&one), &one) == 0
    }
}

/// Binds this thread, and those it starts, to the processor that it runs on.
pub fn pin() -> bool {
    // SAFETY: no memory is passed.
    usize::try_from(unsafe { libc::sched_getcpu() }).is_ok_and(pin_to)
}
