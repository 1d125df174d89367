//! Networks and files of a process's own.

use std::ffi::CStr;
use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
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

/// Gives this thread, and those it starts, an `/etc` and a `/run` of their own,
/// with what name lookups read: a hosts file that knows localhost, and no name
/// server. Needs root.
///
/// All of `/etc`: resolv.conf may be a link to a file that a daemon writes, and
/// hosts, gai.conf and nsswitch.conf count, too. `/run`: the sockets of caches
/// and resolvers of the machine.
///
/// # Errors
/// The kernel's.
pub fn own_files() -> io::Result<()> {
    let linker_cache = fs::read("/etc/ld.so.cache").unwrap_or_default();
    unshare(libc::CLONE_NEWNS)?;
    // What is mounted here must not show outside.
    mount(None, c"/", libc::MS_REC | libc::MS_PRIVATE)?;
    for place in [c"/etc", c"/run"] {
        mount(Some(c"tmpfs"), place, 0)?;
    }
    for (file, text) in [
        ("/etc/ld.so.cache", linker_cache.as_slice()),
        ("/etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
        ("/etc/group", b"root:x:0:\n"),
        // As distributions have it: all lines of /etc/hosts count.
        ("/etc/host.conf", b"multi on\n"),
        ("/etc/nsswitch.conf", b"hosts: files dns\n"),
        ("/etc/resolv.conf", b""),
    ] {
        fs::write(file, text)?;
    }
    write_hosts(&[])
}

/// Writes the hosts file of [`own_files`].
///
/// # Errors
/// The kernel's.
pub fn write_hosts(names: &[(&str, IpAddr)]) -> io::Result<()> {
    let localhost = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
    let text = names.iter().fold(localhost, |text, (name, addr)| {
        text + &format!("{addr} {name}\n")
    });
    fs::write("/etc/hosts", text)
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
