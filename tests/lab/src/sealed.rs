//! Code that must get along without system calls.

use std::mem::offset_of;
use std::process;

/// The status of a sealed process that did its work.
const DONE: i32 = 0;

/// How a sealed process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Without a single system call.
    Done,
    /// At its first system call.
    Caught,
}

/// Runs `work` in a child process that the kernel ends at its first system
/// call (seccomp(2)). This process must have no other thread.
///
/// `warm_up` runs before, unsealed: memory allocators ask the system for
/// memory now and then, and a thread's first random number comes from it.
pub(crate) fn run(warm_up: impl FnOnce(), work: impl FnOnce()) -> End {
    // SAFETY: no other thread holds a lock that the child would need.
    match unsafe { libc::fork() } {
        -1 => panic!("no child process"),
        0 => {
            warm_up();
            seal();
            work();
            // SAFETY: ends the process, and is the one call that is allowed.
            unsafe { libc::_exit(DONE) }
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

fn seal() {
    const fn statement(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter {
            code: code as u16,
            jt,
            jf,
            k,
        }
    }
    const NUMBER: u32 = offset_of!(libc::seccomp_data, nr) as u32;
    const EXIT: u32 = libc::SYS_exit_group as u32;
    let mut filter = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, NUMBER),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, EXIT),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        statement(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_KILL_PROCESS,
        ),
    ];
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
