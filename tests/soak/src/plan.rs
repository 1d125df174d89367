//! How many, how often, how long.

use std::time::Duration;

use anjay_net_support::process::raise_descriptor_limit;

/// What a run does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// UDP sockets at any time.
    pub udp_clients: usize,
    /// TCP sockets at any time.
    pub tcp_clients: usize,
    /// How long they are kept busy; setting up and closing come on top.
    pub duration: Duration,
    /// Datagrams of all clients, in a second.
    pub udp_rate: f64,
    /// Messages of all TCP clients, in a second.
    pub tcp_rate: f64,
    /// How long a UDP socket stays connected, on average.
    pub udp_life: Duration,
    /// How long a TCP socket stays connected, on average.
    pub tcp_life: Duration,
    /// Whether there are names of several addresses.
    pub names: bool,
    /// Of everything that is left to chance.
    pub seed: u64,
}

/// A run that is not longer has everybody reconnect a few times.
const SHORT: Duration = Duration::from_secs(120);

/// Descriptors of a TCP client: its own, and the relay's.
const PER_TCP_CLIENT: usize = 2;

/// Descriptors of all else.
const SPARE: usize = 200;

impl Plan {
    /// 10,000 UDP and 1,000 TCP sockets, or what the limit of descriptors
    /// allows.
    pub fn new(duration: Duration) -> Plan {
        let is_short = duration <= SHORT;
        let life = |usual| match is_short {
            true => duration / 4,
            false => Duration::from_secs(usual),
        };
        let (udp, tcp) = (10_000, 1_000);
        let wanted = udp + tcp * PER_TCP_CLIENT;
        let available = raise_descriptor_limit().saturating_sub(SPARE).min(wanted);
        Plan {
            udp_clients: udp * available / wanted,
            tcp_clients: tcp * available / wanted,
            duration,
            udp_rate: if is_short { 3_000.0 } else { 1_500.0 },
            tcp_rate: 200.0,
            udp_life: life(60),
            tcp_life: life(30),
            names: false,
            seed: 1,
        }
    }
}
