//! The library as Rust calls it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anjay_net_resolve::{Families, Family, Policy};
use anjay_net_socket::{InterfaceName, Kind, Resolution, Settings, Socket, SocketConfig};

use crate::meter::longest_stall;
use crate::servers::{PORT, PORT_TEXT};

pub(crate) fn tcp() -> Socket {
    configured(Kind::Tcp, SocketConfig::default())
}

/// With a receive timeout that fits a cable of no length.
pub(crate) fn udp() -> Socket {
    configured(Kind::Udp, SocketConfig::default())
}

pub(crate) fn configured(kind: Kind, config: SocketConfig) -> Socket {
    let socket = Socket::new(kind, config).expect("a valid configuration");
    socket.set_receive_timeout(Duration::from_millis(200).into());
    socket
}

/// A socket of one family only.
pub(crate) fn forced(kind: Kind, family: Family) -> Socket {
    configured(
        kind,
        SocketConfig {
            forced_family: Some(family),
            ..SocketConfig::default()
        },
    )
}

/// A socket that uses one interface only.
pub(crate) fn tied(kind: Kind, interface: &str) -> Socket {
    configured(
        kind,
        SocketConfig {
            interface: InterfaceName::new(interface.as_bytes()),
            ..SocketConfig::default()
        },
    )
}

/// Connects to the servers' port of a host.
pub(crate) fn connect(socket: &Socket, host: &str) -> anjay_net_socket::Result<SocketAddr> {
    socket.connect(host.as_bytes(), PORT_TEXT, None)
}

/// [`connect`] with a preferred address.
pub(crate) fn connect_again(
    socket: &Socket,
    host: &str,
    preferred: IpAddr,
) -> anjay_net_socket::Result<SocketAddr> {
    socket.connect(host.as_bytes(), PORT_TEXT, Some(server(preferred)))
}

/// The servers' port of an address.
pub(crate) fn server(addr: IpAddr) -> SocketAddr {
    SocketAddr::new(addr, PORT)
}

/// Whether one datagram comes back.
pub(crate) fn exchange(socket: &Socket) -> anjay_net_socket::Result<()> {
    socket.send(b"ping")?;
    let mut buf = [0; 16];
    let received = socket.receive(&mut buf)?;
    assert_eq!(&buf[..received.len], b"ping");
    Ok(())
}

/// The addresses of a name, in order.
pub(crate) fn resolve(host: &str) -> anjay_net_socket::Result<Vec<IpAddr>> {
    resolve_of(host, Families::default())
}

/// [`resolve`] of certain families.
pub(crate) fn resolve_of(host: &str, families: Families) -> anjay_net_socket::Result<Vec<IpAddr>> {
    let question = Resolution {
        kind: Kind::Udp,
        host: host.as_bytes(),
        port: PORT_TEXT,
        policy: Policy {
            families,
            ..Policy::default()
        },
        preferred: None,
        passive: false,
    };
    Ok(anjay_net_socket::resolve(&question)?
        .into_iter()
        .map(|addr| addr.ip())
        .collect())
}

/// Changes settings of the process.
pub(crate) fn set(change: impl FnOnce(&mut Settings)) {
    let mut settings = Settings::current();
    change(&mut settings);
    settings.install().expect("settings within their limits");
}

/// That a call failed with this errno.
#[track_caller]
pub(crate) fn assert_errno<T: std::fmt::Debug>(
    result: anjay_net_socket::Result<T>,
    errno: i32,
    what: &str,
) {
    let name = anjay_net_socket::Errno(errno);
    match result {
        Err(error) => assert_eq!(error, name, "{what}: expected {name}, got {error}"),
        Ok(value) => panic!("{what}: expected {name}, got {value:?}"),
    }
}

/// That a time is within a limit, but for what the machine was too busy to do.
#[track_caller]
pub(crate) fn assert_within(time: Duration, limit: Duration, what: &str) {
    let stall = longest_stall();
    assert!(
        time <= limit + stall,
        "{what}: {time:?} is more than {limit:?}, and no thread was woken more than {stall:?} late"
    );
}

/// What takes longer has waited for something. Without a wait it takes a
/// millisecond or less, and the shortest wait of a race is 250 ms.
pub(crate) const AT_ONCE: Duration = ms(150);

pub(crate) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
