//! The network of one scenario.
//!
//! ```text
//!  home                                                     away
//!  veth0  192.0.2.1/24, 2001:db8::1/64  <----->  veth1  192.0.2.2/24, 2001:db8::2/64
//!         fe80::1                                        fe80::2
//!                                                        name server: 192.0.2.53
//! ```

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{self, Command};
use std::ptr;
use std::thread;
use std::time::Duration;

use anjay_net_support::namespace::{
    die_with_parent, enter_network, ip, own_files, unshare, write_hosts,
};
use anjay_net_support::time::{eventually, timed};

/// Where a name server is, when there is one.
pub(crate) const NAME_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53));

/// An IPv4 address on the cable: 192.0.2.`host`. 1 is home, 2 away.
pub(crate) const fn v4(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, host))
}

/// An IPv6 address on the cable: 2001:db8::`host`. 1 is home, 2 away.
pub(crate) const fn v6(host: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host))
}

/// Two network namespaces, and the files that name lookups read.
///
/// The threads of this process are at home unless they [`World::away`].
pub(crate) struct World {
    away: OwnedFd,
}

impl World {
    /// A world in which home has its loopback interface and nothing else.
    ///
    /// Call it while the process has one thread only: others would stay where
    /// they are, with the files of the machine.
    pub(crate) fn lonely() -> World {
        own_files().expect("files of our own");
        unshare(libc::CLONE_NEWNET).expect("a network of our own");
        let away = namespace();
        unshare(libc::CLONE_NEWNET).expect("a network of our own");
        let world = World { away };
        prepare();
        world.away(prepare);
        world
    }

    /// A world with a cable from home to away; both speak IPv4 and IPv6.
    pub(crate) fn cabled() -> World {
        let world = World::lonely();
        world.plug_in();
        world
    }

    /// Plugs in the cable of a cabled world, anew if it was taken away.
    pub(crate) fn plug_in(&self) {
        self.plug("veth0", "veth1");
        let addresses = |host, interface| {
            format!(
                "address add 192.0.2.{host}/24 dev {interface}
                 address add 2001:db8::{host}/64 dev {interface}
                 address add fe80::{host}/64 dev {interface}"
            )
        };
        self.home(&addresses(1, "veth0"));
        self.ip_away(&addresses(2, "veth1"));
        self.settle();
    }

    /// Another cable from home to away, without addresses, both ends up.
    pub(crate) fn plug(&self, home: &str, away: &str) {
        let place = format!("/proc/{}/fd/{}", process::id(), self.away.as_raw_fd());
        self.home(&format!(
            "link add {home} type veth peer name {away}
             link set {away} netns {place}
             link set {home} addrgenmode none
             link set {home} up"
        ));
        self.ip_away(&format!(
            "link set {away} addrgenmode none
             link set {away} up"
        ));
    }

    /// Waits until all IPv6 addresses are in use, on both sides: the kernel
    /// sees to that a moment after they were given.
    pub(crate) fn settle(&self) {
        const TENTATIVE: u32 = 0x40;
        let settled = || {
            let text = fs::read_to_string("/proc/thread-self/net/if_inet6").expect("procfs");
            text.lines().all(|line| {
                let flags = line.split_whitespace().nth(4).expect("flags");
                u32::from_str_radix(flags, 16).expect("a number") & TENTATIVE == 0
            })
        };
        let patience = Duration::from_secs(10);
        assert!(eventually(patience, settled), "home is not ready");
        let away = || eventually(patience, settled);
        assert!(self.away(away), "away is not ready");
    }

    /// Waits until the kernel is done with links that were plugged or unplugged,
    /// in this world or another: the one lock (rtnl) that such work holds for
    /// many milliseconds is what asking for addresses waits for.
    pub(crate) fn calm(&self) {
        const ENOUGH: u32 = 300;
        let mut prompt = 0;
        let calm = || {
            let ((), time) = timed(ask_for_addresses);
            prompt = if time < Duration::from_millis(2) {
                prompt + 1
            } else {
                0
            };
            prompt == ENOUGH
        };
        assert!(eventually(Duration::from_secs(20), calm), "no calm moment");
    }

    /// Lines for `ip -batch`, at home.
    pub(crate) fn home(&self, script: &str) {
        let mut command = Command::new("ip");
        ip(&mut command, script);
    }

    /// Lines for `ip -batch`, away.
    pub(crate) fn ip_away(&self, script: &str) {
        let mut command = Command::new("ip");
        self.send_away(&mut command);
        ip(&mut command, script);
    }

    /// Runs `work` on a thread that is away, and waits for it.
    pub(crate) fn away<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let away = self.away.as_raw_fd();
        thread::scope(|scope| {
            let thread = scope.spawn(move || {
                enter_network(away).expect("a network namespace of ours");
                work()
            });
            thread.join().expect("the work ends well")
        })
    }

    /// The command will run away, and not outlive this process.
    pub(crate) fn send_away<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let away = self.away.as_raw_fd();
        // SAFETY: between fork and exec only setns(2) and prctl(2) are called.
        unsafe {
            command.pre_exec(move || {
                enter_network(away)?;
                die_with_parent()
            })
        }
    }

    /// Gives these addresses to away, too.
    pub(crate) fn add_away(&self, addrs: &[IpAddr]) {
        let script: String = addrs
            .iter()
            .map(|addr| match addr {
                IpAddr::V4(addr) => format!("address add {addr}/24 dev veth1\n"),
                IpAddr::V6(addr) => format!("address add {addr}/64 dev veth1\n"),
            })
            .collect();
        self.ip_away(&script);
        self.settle();
    }

    /// Makes black holes of these addresses: what is sent there goes to a
    /// station that does not exist, and nobody says so.
    pub(crate) fn swallow(&self, addrs: &[IpAddr]) {
        let script: String = addrs
            .iter()
            .map(|addr| {
                format!(
                    "neighbour replace {addr} lladdr 02:00:00:00:00:99 dev veth0 nud permanent\n"
                )
            })
            .collect();
        self.home(&script);
    }

    /// Writes a file of `net` under `/proc/sys`, at home.
    pub(crate) fn set(&self, name: &str, value: &str) {
        sysctl(name, value);
    }

    /// Writes /etc/hosts.
    pub(crate) fn set_hosts(&self, names: &[(&str, IpAddr)]) {
        write_hosts(names).expect("a file of ours");
    }

    /// Writes /etc/resolv.conf: one name server, asked `attempts` times with
    /// `timeout` seconds each.
    pub(crate) fn set_name_server(&self, server: IpAddr, timeout: u32, attempts: u32) {
        let text = format!("nameserver {server}\noptions timeout:{timeout} attempts:{attempts}\n");
        fs::write("/etc/resolv.conf", text).expect("a file of ours");
    }
}

/// What both sides need: loopback, and no delays that real networks have for
/// reasons that do not exist here.
fn prepare() {
    for (name, value) in [
        // Addresses that are nobody else's need not be asked for first.
        ("ipv6/conf/all/accept_dad", "0"),
        ("ipv6/conf/default/accept_dad", "0"),
        ("ipv6/conf/default/dad_transmits", "0"),
        ("ipv6/conf/default/router_solicitations", "0"),
        // Every ICMP error is sent, also the hundredth of the same second.
        ("ipv4/icmp_ratemask", "0"),
        ("ipv6/icmp/ratelimit", "0"),
    ] {
        sysctl(name, value);
    }
    ip(&mut Command::new("ip"), "link set lo up");
}

pub(crate) fn sysctl(name: &str, value: &str) {
    let file = format!("/proc/sys/net/{name}");
    fs::write(&file, value).unwrap_or_else(|error| panic!("{file}: {error}"));
}

/// getifaddrs(3).
pub(crate) fn ask_for_addresses() {
    let mut list = ptr::null_mut();
    // SAFETY: `list` may be written; it is freed once, if there is one.
    unsafe {
        if libc::getifaddrs(&mut list) == 0 {
            libc::freeifaddrs(list);
        }
    }
}

/// The network namespace of this thread.
fn namespace() -> OwnedFd {
    File::open("/proc/thread-self/ns/net")
        .expect("procfs")
        .into()
}
