//! System calls, counted by the kernel's own tracing: ptrace(2).

use core::ffi::{c_int, c_long};
use core::mem::MaybeUninit;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use libc::pid_t;

/// The system calls that the first thread of a command makes between its two
/// calls of getppid(2), in order.
///
/// # Errors
/// What fork(2), execve(2), ptrace(2) and waitpid(2) say; `Other` when the
/// process did not end well.
pub fn system_calls(command: &mut Command) -> io::Result<Vec<c_long>> {
    command.stdout(Stdio::null());
    // SAFETY: ptrace(2) may be called between fork and exec.
    unsafe {
        command.pre_exec(|| trace(libc::PTRACE_TRACEME, 0, 0, 0).map(drop));
    }
    #[allow(clippy::zombie_processes)] // it is waited for below
    let child = command.spawn()?;
    let child = child.id() as pid_t;
    // It stops by itself once it has executed the program.
    wait(child)?;
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
    trace(libc::PTRACE_SETOPTIONS, child, 0, options as usize)?;
    let mut marks = 0;
    let mut calls = Vec::new();
    let mut signal = 0;
    loop {
        trace(libc::PTRACE_SYSCALL, child, 0, signal as usize)?;
        let status = wait(child)?;
        if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0 {
            return Ok(calls);
        }
        if !libc::WIFSTOPPED(status) {
            return Err(io::Error::other(format!("ended with status {status:#x}")));
        }
        signal = libc::WSTOPSIG(status);
        // What TRACESYSGOOD turns the signal of a system call into.
        if signal == libc::SIGTRAP | 0x80 {
            signal = 0;
            match entered(child)? {
                Some(libc::SYS_getppid) => marks += 1,
                Some(number) if marks == 1 => calls.push(number),
                _ => {}
            }
        }
    }
}

/// The number of the system call that the process is about to make; `None`
/// when it comes back from one.
fn entered(child: pid_t) -> io::Result<Option<c_long>> {
    let mut info = MaybeUninit::<libc::ptrace_syscall_info>::zeroed();
    trace(
        libc::PTRACE_GET_SYSCALL_INFO,
        child,
        size_of_val(&info),
        info.as_mut_ptr() as usize,
    )?;
    // SAFETY: all zero bytes are valid, and the kernel wrote the member that
    // `op` tells.
    unsafe {
        let info = info.assume_init();
        Ok((info.op == libc::PTRACE_SYSCALL_INFO_ENTRY).then_some(info.u.entry.nr as c_long))
    }
}

fn trace(request: libc::c_uint, child: pid_t, addr: usize, data: usize) -> io::Result<()> {
    // SAFETY: callers pass a buffer of the size they say, or no memory at all.
    match unsafe { libc::ptrace(request, child, addr, data) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn wait(child: pid_t) -> io::Result<c_int> {
    let mut status = 0;
    // SAFETY: the status is writable.
    match unsafe { libc::waitpid(child, &mut status, libc::__WALL) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(status),
    }
}

/// The name of a system call that sockets need; its number otherwise.
pub fn name(number: c_long) -> String {
    macro_rules! known {
        ($($call:ident: $name:literal)*) => {
            match number {
                $(libc::$call => $name.to_owned(),)*
                other => format!("#{other}"),
            }
        };
    }
    known! {
        SYS_socket: "socket"
        SYS_bind: "bind"
        SYS_connect: "connect"
        SYS_setsockopt: "setsockopt"
        SYS_getsockopt: "getsockopt"
        SYS_getsockname: "getsockname"
        SYS_sendto: "sendto"
        SYS_recvfrom: "recvfrom"
        SYS_recvmsg: "recvmsg"
        SYS_ppoll: "ppoll"
        SYS_close: "close"
        SYS_futex: "futex"
    }
}
