//! How many, how often, how long.

use std::time::Duration;

/// What a run does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// UDP sockets at any time.
    pub udp_clients: usize,
    /// TCP sockets at any time.
    pub tcp_clients: usize,
    /// How long they are kept busy; setting up and closing come on top.
    pub duration: Duration,
    /// Datagrams to the echo peer, of all clients, in a second.
    pub udp_rate: f64,
    /// Messages to the TCP echo peer, of all clients, in a second.
    pub tcp_rate: f64,
    /// How long a UDP socket stays connected, on the average.
    pub udp_life: Duration,
    /// How long a TCP socket stays connected, on the average.
    pub tcp_life: Duration,
    /// Between two looks at memory and descriptors.
    pub sampling: Duration,
    /// Whether there are names of several addresses.
    pub names: bool,
    /// Of all decisions by chance.
    pub seed: u64,
}

/// Descriptors for each client: a UDP client has its own; of a TCP client
/// there are its own, two of the relay and one of the echo peer.
const PER_TCP_CLIENT: usize = 4;

/// Descriptors of all else.
const SPARE: usize = 200;

impl Plan {
    /// As the issue of this program was stated: 10,000 and 1,000, or what the
    /// limit of descriptors allows.
    pub fn new(duration: Duration) -> Plan {
        Plan {
            udp_clients: 10_000,
            tcp_clients: 1_000,
            duration,
            udp_rate: 1_500.0,
            tcp_rate: 200.0,
            udp_life: Duration::from_secs(60),
            tcp_life: Duration::from_secs(30),
            sampling: Duration::from_secs(1),
            names: false,
            seed: 1,
        }
        .within(descriptor_limit())
    }

    /// A run of a minute or less: everybody reconnects a few times.
    pub fn short(duration: Duration) -> Plan {
        Plan {
            udp_rate: 3_000.0,
            udp_life: duration / 4,
            tcp_life: duration / 4,
            ..Plan::new(duration)
        }
    }

    /// As much of it as so many descriptors allow.
    pub fn within(mut self, descriptors: usize) -> Plan {
        let available = descriptors.saturating_sub(SPARE);
        let wanted = self.udp_clients + self.tcp_clients * PER_TCP_CLIENT;
        if wanted > available {
            self.udp_clients = self.udp_clients * available / wanted;
            self.tcp_clients = self.tcp_clients * available / wanted;
        }
        self
    }
}

/// Raises this process's limit as far as it goes, and says how far that is.
fn descriptor_limit() -> usize {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a limit to read from and write to.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}
