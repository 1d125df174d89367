//! Code that must get along without certain system calls.

use std::mem::offset_of;
use std::panic::{self, AssertUnwindSafe};
use std::process;

/// The status of a sealed process that did its work.
const DONE: i32 = 0;

/// What a sealed process must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    /// Any system call.
    NoCalls,
    /// Make a socket of netlink(7).
    NoNetlink,
}

/// How a sealed process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As it should.
    Done,
    /// At the first call that the seal forbids.
    Caught,
}

/// Runs `work` in a child process that the kernel ends at its first system
/// call of a certain kind (seccomp(2)). This process must have no other thread.
///
/// `warm_up` runs before, unsealed: memory allocators ask the system for
/// memory now and then, and a thread's first random number comes from it.
pub(crate) fn run(seal: Seal, warm_up: impl FnOnce(), work: impl FnOnce()) -> End {
    // SAFETY: no other thread holds a lock that the child would need.
    match unsafe { libc::fork() } {
        -1 => panic!("no child process"),
        0 => {
            warm_up();
            seal.apply();
            // Panics have no say in a child that was forked.
            let status = match panic::catch_unwind(AssertUnwindSafe(work)) {
                Ok(()) => DONE,
                Err(_) => !DONE,
            };
            // SAFETY: ends the process, and is the one call that is allowed.
            unsafe { libc::_exit(status) }
        }
        child => await_end(child),
    }
}

fn await_end(child: libc::pid_t) -> End {
    let mut status = 0;
    // SAFETY: our own child, and `status` may be written.
    let waited = unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(waited, child);
    if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == DONE {
        return End::Done;
    }
    let caught = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSYS;
    assert!(caught, "the sealed process ended with status {status:#x}");
    End::Caught
}

impl Seal {
    fn apply(self) {
        let mut no_calls = [
            load(offset_of!(libc::seccomp_data, nr)),
            unless(libc::SYS_exit_group, 1),
            give(libc::SECCOMP_RET_ALLOW),
            give(libc::SECCOMP_RET_KILL_PROCESS),
        ];
        let mut no_netlink = [
            load(offset_of!(libc::seccomp_data, nr)),
            unless(libc::SYS_socket, 3),
            // The lower half of the first argument.
            load(offset_of!(libc::seccomp_data, args) + LOWER_HALF),
            unless(libc::AF_NETLINK as libc::c_long, 1),
            give(libc::SECCOMP_RET_KILL_PROCESS),
            give(libc::SECCOMP_RET_ALLOW),
        ];
        let filter = match self {
            Seal::NoCalls => &mut no_calls[..],
            Seal::NoNetlink => &mut no_netlink[..],
        };
        let program = libc::sock_fprog {
            len: filter.len() as u16,
            filter: filter.as_mut_ptr(),
        };
        // SAFETY: the program points at its statements, which outlive the calls.
        let sealed = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
        };
        if !sealed {
            eprintln!("this kernel has no seccomp filters");
            process::abort();
        }
    }
}

const LOWER_HALF: usize = if cfg!(target_endian = "big") { 4 } else { 0 };

const fn load(offset: usize) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset as u32, 0)
}

/// Skips statements unless the value that was loaded is this.
const fn unless(value: libc::c_long, skip: u8) -> libc::sock_filter {
    statement(
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
        value as u32,
        skip,
    )
}

const fn give(verdict: u32) -> libc::sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, verdict, 0)
}

const fn statement(code: u32, k: u32, jf: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf,
        k,
    }
}
