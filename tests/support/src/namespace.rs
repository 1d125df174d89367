//! Networks and files of a process's own.

use std::ffi::CStr;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::ptr;

fn check(result: libc::c_int) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// unshare(2).
///
/// # Errors
/// The kernel's.
pub fn unshare(what: libc::c_int) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::unshare(what) })
}

/// A mount namespace of this thread's own, in which nothing shows outside.
///
/// # Errors
/// The kernel's.
pub fn unshare_mounts() -> io::Result<()> {
    unshare(libc::CLONE_NEWNS)?;
    mount(None, c"/", libc::MS_REC | libc::MS_PRIVATE)
}

/// An empty tmpfs in the place of a directory.
///
/// # Errors
/// The kernel's.
pub fn mount_tmpfs(place: &CStr) -> io::Result<()> {
    mount(Some(c"tmpfs"), place, 0)
}

fn mount(kind: Option<&CStr>, place: &CStr, flags: libc::c_ulong) -> io::Result<()> {
    let kind = kind.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: the texts are terminated or NULL, and tmpfs takes no data.
    check(unsafe { libc::mount(kind, place.as_ptr(), kind, flags, ptr::null()) })
}

/// setns(2) to a network namespace.
///
/// # Errors
/// The kernel's.
pub fn enter_network(namespace: libc::c_int) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::setns(namespace, libc::CLONE_NEWNET) })
}

/// Has this process end when its parent does.
///
/// # Errors
/// The kernel's.
pub fn die_with_parent() -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })
}

/// Has `ip -batch` of iproute2 carry out these lines; `command` says where.
///
/// # Panics
/// When one of them fails.
pub fn ip(command: &mut Command, script: &str) {
    let mut child = command
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("ip, of iproute2");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(script.as_bytes()).expect("ip reads");
    drop(stdin);
    let status = child.wait().expect("our own child");
    assert!(status.success(), "ip failed at: {script}");
}
