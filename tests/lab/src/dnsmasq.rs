//! dnsmasq, a name server as devices really have it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;
use std::process::{Child, ChildStderr, Command, Stdio};

use crate::world::{NAME_SERVER, World};

/// The names it knows; nobody else reads the file.
const HOSTS: &str = "/etc/dnsmasq.hosts";

/// dnsmasq at [`NAME_SERVER`], authoritative for `.test`.
pub(crate) struct Dnsmasq {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Dnsmasq {
    /// Starts it; when this returns it answers.
    pub(crate) fn start(world: &World, names: &[(&str, IpAddr)]) -> Dnsmasq {
        world.add_away(&[NAME_SERVER]);
        write(names);
        let mut command = Command::new("dnsmasq");
        command
            .args(["--keep-in-foreground", "--conf-file=/dev/null"])
            .args(["--user=root", "--pid-file=", "--log-facility=-"])
            .args(["--no-resolv", "--no-hosts", "--local=/test/"])
            .args([format!("--addn-hosts={HOSTS}")])
            .args([
                format!("--listen-address={NAME_SERVER}"),
                "--bind-interfaces".into(),
            ])
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = world.send_away(&mut command).spawn().expect("dnsmasq");
        let log = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut dnsmasq = Dnsmasq { child, log };
        dnsmasq.await_line("read /etc/dnsmasq.hosts");
        dnsmasq
    }

    /// Changes the names; when this returns it answers with these.
    pub(crate) fn change(&mut self, names: &[(&str, IpAddr)]) {
        write(names);
        let pid = libc::pid_t::try_from(self.child.id()).expect("a process id");
        // SAFETY: no memory is passed, and the child has not been waited for.
        let signalled = unsafe { libc::kill(pid, libc::SIGHUP) };
        assert_eq!(signalled, 0, "dnsmasq is gone");
        self.await_line("read /etc/dnsmasq.hosts");
    }

    fn await_line(&mut self, part: &str) {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            let len = self.log.read_line(&mut line).expect("text");
            assert_ne!(len, 0, "dnsmasq ended early");
        }
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write(names: &[(&str, IpAddr)]) {
    let lines: String = names
        .iter()
        .map(|(name, addr)| format!("{addr} {name}\n"))
        .collect();
    fs::write(HOSTS, lines).expect("a file of ours");
}
