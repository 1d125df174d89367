//! A network and a hosts file of the run's own.

use std::io;
use std::net::IpAddr;
use std::process::Command;

use anjay_net_support::namespace::{ip, own_files, unshare, write_hosts};

/// A name of several addresses, where [`set_up`] could make one.
pub(crate) const NAME: &str = "echo.soak";

/// Its addresses; the relay is at each of them.
pub(crate) const ADDRESSES: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

/// Puts this thread and those it starts into namespaces of their own, in which
/// loopback is all there is and [`NAME`] is known. Fails for those who are not
/// root; then the run is on the machine's own loopback, without names.
pub(crate) fn set_up() -> io::Result<()> {
    own_files()?;
    let addrs = ADDRESSES.map(|text| text.parse::<IpAddr>().expect("an address"));
    write_hosts(&addrs.map(|addr| (NAME, addr)))?;
    unshare(libc::CLONE_NEWNET)?;
    ip(&mut Command::new("ip"), "link set lo up");
    Ok(())
}
