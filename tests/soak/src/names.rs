//! A network and a hosts file of the run's own, and an address that changes.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Stdio};

use anjay_net_support::namespace::{ip, own_files, unshare, write_hosts};

/// A name of several addresses, where [`set_up`] could make one.
pub(crate) const NAME: &str = "echo.soak";

/// Its addresses; the relay is at each of them.
pub(crate) const ADDRESSES: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

/// An address of the relay's that is reached from [`Uplink`]'s.
pub(crate) const FAR: &str = "127.0.0.4";

/// Puts this thread and those it starts into namespaces of their own, in which
/// loopback is all there is, [`NAME`] is known and [`FAR`] has a route. Fails for those
/// who are not root; then the run is on the machine's own loopback, without names.
pub(crate) fn set_up() -> io::Result<Uplink> {
    own_files()?;
    let addrs = ADDRESSES.map(|text| text.parse::<IpAddr>().expect("an address"));
    write_hosts(&addrs.map(|addr| (NAME, addr)))?;
    unshare(libc::CLONE_NEWNET)?;
    Uplink::set_up()
}

/// The host's address towards [`FAR`], one of two (RFC 5737).
pub(crate) struct Uplink {
    /// Started once, before there are sockets: a child holds those of its parent until
    /// it runs its program, and with them their ports.
    ip: Child,
    changes: u32,
}

impl Uplink {
    fn set_up() -> io::Result<Uplink> {
        let mut later = Command::new("ip");
        later.args(["-batch", "-"]).stdin(Stdio::piped());
        let uplink = Uplink {
            ip: later.spawn()?,
            changes: 0,
        };
        let script = "link set lo up\n".to_owned() + &uplink.route();
        ip(&mut Command::new("ip"), &script);
        Ok(uplink)
    }

    /// As of a modem that is given another address: first there is the new one and the
    /// route from it, then the former one is gone.
    pub(crate) fn renumber(&mut self) {
        let former = self.address();
        self.changes += 1;
        let script = self.route() + &format!("addr del {former}/32 dev lo\n");
        let stdin = self.ip.stdin.as_mut().expect("a pipe");
        let written = stdin.write_all(script.as_bytes());
        written.expect("ip reads, as nothing has failed");
    }

    fn route(&self) -> String {
        let address = self.address();
        format!(
            "addr add {address}/32 dev lo\n\
             route replace local {FAR} dev lo src {address} table local\n"
        )
    }

    fn address(&self) -> Ipv4Addr {
        match self.changes % 2 {
            0 => Ipv4Addr::new(198, 51, 100, 1),
            _ => Ipv4Addr::new(198, 51, 100, 2),
        }
    }

    /// How many changes there were.
    pub(crate) fn end(mut self) -> u32 {
        // This closes its pipe.
        let status = self.ip.wait().expect("our own child");
        assert!(status.success(), "ip failed: {status}");
        self.changes
    }
}
