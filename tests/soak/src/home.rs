//! A network and a hosts file of the run's own.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::process::Command;
use std::ptr;

/// A name of several addresses, where [`move_in`] could make one.
pub(crate) const NAME: &str = "echo.soak";

/// Its addresses; the relay is at each of them.
pub(crate) const ADDRESSES: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

/// Puts this thread and those it starts into namespaces of their own, in which
/// loopback is all there is and [`NAME`] is known. Fails for those who are not
/// root; then the run is on the machine's own loopback, without names.
pub(crate) fn move_in() -> io::Result<()> {
    unshare(libc::CLONE_NEWNS)?;
    mount(c"none", c"/", libc::MS_REC | libc::MS_PRIVATE)?;
    let hosts = ADDRESSES
        .map(|address| format!("{address} {NAME}\n"))
        .concat();
    put(&hosts, c"/etc/hosts")?;
    // No name server: what is not in the hosts file does not exist.
    put("", c"/etc/resolv.conf")?;
    // Last, as there is no way back from it.
    unshare(libc::CLONE_NEWNET)?;
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    assert!(up.is_ok_and(|up| up.success()), "ip link set lo up");
    Ok(())
}

fn unshare(what: libc::c_int) -> io::Result<()> {
    // SAFETY: takes flags only.
    check(unsafe { libc::unshare(what) })
}

/// Makes a file look different, for this namespace.
fn put(content: &str, place: &CStr) -> io::Result<()> {
    let own = std::env::temp_dir().join(format!("anjay-net-soak-{}", std::process::id()));
    fs::write(&own, content)?;
    let path = own.to_string_lossy().into_owned();
    let outcome = CString::new(path)
        .map_err(io::Error::other)
        .and_then(|own| mount(&own, place, libc::MS_BIND));
    // The mount keeps it.
    fs::remove_file(&own)?;
    outcome
}

fn mount(from: &CStr, to: &CStr, flags: libc::c_ulong) -> io::Result<()> {
    let (kind, data) = (ptr::null(), ptr::null());
    // SAFETY: terminated texts, and no data.
    check(unsafe { libc::mount(from.as_ptr(), to.as_ptr(), kind, flags, data) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
