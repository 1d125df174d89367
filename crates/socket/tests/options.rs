//! Options and configuration.

mod common;

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use anjay_net_resolve::Family;
use anjay_net_socket::{InterfaceName, Kind, Socket, SocketConfig, Timeout};
use common::*;
use socket2::SockRef;

fn configured(
    kind: Kind,
    change: impl FnOnce(&mut SocketConfig),
) -> anjay_net_socket::Result<Socket> {
    let mut config = SocketConfig::default();
    change(&mut config);
    Socket::new(kind, config)
}

/// Looks at the descriptor itself.
fn inspect<T>(socket: &Socket, look: impl FnOnce(SockRef<'_>) -> T) -> T {
    // SAFETY: open as long as the socket is borrowed.
    let fd = unsafe { BorrowedFd::borrow_raw(number(socket)) };
    look(SockRef::from(&fd))
}

fn int_option(socket: &Socket, level: i32, name: i32) -> i32 {
    let (mut value, mut len) = (0i32, 4);
    // SAFETY: pointer and length describe the integer.
    let result = unsafe {
        libc::getsockopt(
            number(socket),
            level,
            name,
            (&raw mut value).cast(),
            &mut len,
        )
    };
    assert_eq!(result, 0);
    value
}

#[test]
fn the_receive_timeout_is_kept_as_given() {
    let socket = udp();
    let span = |seconds, nanoseconds| Timeout {
        seconds,
        nanoseconds,
    };
    assert_eq!(socket.receive_timeout(), span(30, 0));
    for timeout in [
        span(0, 0),
        span(-1, 0),
        span(-1, 999_999_999),
        span(0, -1),
        span(5, 1_000_000_000),
        span(i64::MIN, i32::MIN),
        span(i64::MAX, i32::MAX),
        span(i64::MAX, 999_999_999),
        span(0, 1),
    ] {
        socket.set_receive_timeout(timeout);
        assert_eq!(socket.receive_timeout(), timeout);
        socket.close();
        assert_eq!(socket.receive_timeout(), timeout, "survives close");
    }
}

#[test]
fn timeouts_mean_what_they_say() {
    let (socket, _peer) = udp_pair();
    for timeout in [
        Timeout::from(Duration::ZERO),
        Timeout {
            seconds: -1,
            nanoseconds: 0,
        },
        Timeout {
            seconds: i64::MIN,
            nanoseconds: 999_999_999,
        },
    ] {
        socket.set_receive_timeout(timeout);
        let start = Instant::now();
        assert_eq!(errno(receive(&socket)), libc::ETIMEDOUT);
        assert!(start.elapsed() < AT_ONCE, "{timeout:?}");
    }
    for wait in [
        Duration::from_micros(1),
        Duration::from_micros(500),
        Duration::from_micros(999),
        Duration::from_millis(1),
        Duration::from_millis(20),
    ] {
        patience(&socket, wait);
        for _ in 0..20 {
            let start = Instant::now();
            assert_eq!(errno(receive(&socket)), libc::ETIMEDOUT);
            assert!(start.elapsed() >= wait, "{wait:?} came early");
        }
    }
}

#[test]
fn endless_timeouts_wait_until_something_comes() {
    let (socket, peer) = udp_pair();
    for timeout in [
        FOREVER,
        Timeout {
            seconds: i64::MAX,
            nanoseconds: 999_999_999,
        },
        Timeout {
            seconds: 0,
            nanoseconds: 1_000_000_000,
        },
    ] {
        socket.set_receive_timeout(timeout);
        let ended = interrupt(
            || receive(&socket),
            || assert_eq!(peer.send(b"x").unwrap(), 1),
        );
        assert_eq!(ended.result.unwrap(), b"x");
        assert!(ended.took < AT_ONCE);
    }
}

#[test]
fn options_do_not_wait_for_a_receive_that_does() {
    let (socket, _peer) = udp_pair();
    socket.set_receive_timeout(FOREVER);
    let ended = interrupt(
        || receive(&socket),
        || {
            let start = Instant::now();
            socket.set_receive_timeout(Timeout::from(Duration::from_millis(1)));
            socket.set_preferred_family(Some(Family::V4));
            socket.mtu().unwrap();
            socket.inner_mtu().unwrap();
            socket.local_addr().unwrap();
            socket.remote_addr().unwrap();
            socket.status();
            socket.bytes_received();
            assert!(start.elapsed() < AT_ONCE);
            socket.close();
        },
    );
    assert_eq!(errno(ended.result), libc::EBADF, "it kept its own timeout");
}

#[test]
fn the_family_is_that_of_the_descriptor() {
    let socket = udp();
    assert_eq!(socket.descriptor_family(), None);
    for (host, family) in [(&b"127.0.0.1"[..], Family::V4), (b"::1", Family::V6)] {
        socket.bind(host, b"").unwrap();
        assert_eq!(socket.descriptor_family(), Some(family));
        socket.close();
        assert_eq!(socket.descriptor_family(), None);
    }
}

#[test]
fn families_are_kept() {
    let socket = configured(Kind::Udp, |config| {
        config.forced_family = Some(Family::V4);
        config.preferred_family = Some(Family::V6);
    })
    .unwrap();
    assert_eq!(socket.forced_family(), Some(Family::V4));
    assert_eq!(socket.preferred_family(), Some(Family::V6));
    socket.set_forced_family(None);
    socket.set_preferred_family(Some(Family::V4));
    assert_eq!(socket.forced_family(), None);
    assert_eq!(socket.preferred_family(), Some(Family::V4));
}

#[test]
fn the_mtu_is_that_of_the_path() {
    for (host, overhead) in [("127.0.0.1", 28), ("::1", 48)] {
        let peer = udp_peer(host);
        let socket = udp();
        connect(&socket, peer.local_addr().unwrap()).unwrap();
        let mtu = socket.mtu().unwrap();
        assert!(mtu >= 1280, "{mtu}");
        assert_eq!(socket.inner_mtu().unwrap(), mtu - overhead);
    }
    let (socket, _peer) = tcp_pair();
    assert!(socket.mtu().unwrap() >= 1280);
    assert_eq!(errno(socket.inner_mtu()), libc::ENOTSUP);
    assert_eq!(errno(tcp().inner_mtu()), libc::ENOTSUP);
}

#[test]
fn the_mtu_of_a_v4_mapped_peer_is_that_of_ipv4() {
    let peer = udp_peer("127.0.0.1");
    let (socket, _) = bind(udp(), "::");
    assert_eq!(socket.inner_mtu().unwrap(), 1280 - 48);
    connect(&socket, peer.local_addr().unwrap()).unwrap();
    assert_eq!(socket.descriptor_family(), Some(Family::V6));
    assert_eq!(socket.inner_mtu().unwrap(), socket.mtu().unwrap() - 28);
}

#[test]
fn without_a_path_the_mtu_is_unknown_and_payload_is_what_must_work() {
    for (host, least) in [(&b"127.0.0.1"[..], 548), (b"::1", 1232)] {
        let socket = udp();
        assert_eq!(errno(socket.mtu()), libc::EBADF);
        assert_eq!(errno(socket.inner_mtu()), libc::EBADF);
        socket.bind(host, b"").unwrap();
        assert_eq!(errno(socket.mtu()), libc::ENOTCONN);
        assert_eq!(socket.inner_mtu().unwrap(), least);
    }
}

#[test]
fn a_forced_mtu_counts_more_than_the_path() {
    for (forced, inner) in [(1000, 972), (28, 0), (1, 0)] {
        let socket = configured(Kind::Udp, |config| config.forced_mtu = Some(forced)).unwrap();
        assert_eq!(socket.mtu().unwrap(), forced);
        assert_eq!(errno(socket.inner_mtu()), libc::EBADF);
        socket.bind(b"127.0.0.1", b"").unwrap();
        assert_eq!(socket.mtu().unwrap(), forced);
        assert_eq!(socket.inner_mtu().unwrap(), inner, "never negative");
    }
}

#[test]
fn values_out_of_their_limits_make_no_socket() {
    let refused = |change: fn(&mut SocketConfig)| errno(configured(Kind::Udp, change));
    assert_eq!(refused(|config| config.dscp = 64), libc::EINVAL);
    assert_eq!(refused(|config| config.dscp = 255), libc::EINVAL);
    assert_eq!(refused(|config| config.priority = 8), libc::EINVAL);
    for name in ["".as_bytes(), b"sixteen-letters!", b"l\0o", b"\xff"] {
        assert_eq!(InterfaceName::new(name), None);
    }
    configured(Kind::Udp, |config| {
        config.dscp = 63;
        config.priority = 7;
        config.interface = InterfaceName::new(b"fifteen-letters");
    })
    .unwrap();
}

/// A socket of each way to get a descriptor, with this configuration.
fn every_way(kind: Kind, host: &str, change: fn(&mut SocketConfig)) -> Vec<Socket> {
    let make = || {
        configured(kind, |config| {
            change(config);
            config.reuse_addr = true;
        })
        .unwrap()
    };
    let (bound, _) = bind(make(), host);

    let (server, to) = bind(sharing(kind), host);
    let connected = make();
    connect(&connected, to).unwrap();
    if kind == Kind::Udp {
        connected.send(b"hi").unwrap();
    }
    let accepted = make();
    server.accept(&accepted).unwrap();
    vec![bound, connected, accepted]
}

#[test]
fn dscp_and_priority_are_applied_to_every_descriptor() {
    for kind in [Kind::Udp, Kind::Tcp] {
        let change = |config: &mut SocketConfig| {
            config.dscp = 46;
            config.priority = 5;
        };
        for socket in every_way(kind, "127.0.0.1", change) {
            assert_eq!(int_option(&socket, libc::IPPROTO_IP, libc::IP_TOS), 46 << 2);
            assert_eq!(
                int_option(&socket, libc::SOL_SOCKET, libc::SO_PRIORITY),
                5,
                "although the traffic class changes it"
            );
        }
        for socket in every_way(kind, "::1", change) {
            let class = int_option(&socket, libc::IPPROTO_IPV6, libc::IPV6_TCLASS);
            assert_eq!(class, 46 << 2);
            // What v4-mapped traffic has.
            assert_eq!(int_option(&socket, libc::IPPROTO_IP, libc::IP_TOS), 46 << 2);
        }
    }
}

#[test]
fn an_interface_is_applied_to_every_descriptor() {
    for kind in [Kind::Udp, Kind::Tcp] {
        for socket in every_way(kind, "127.0.0.1", |c| {
            c.interface = InterfaceName::new(b"lo")
        }) {
            let device = inspect(&socket, |socket| socket.device()).unwrap();
            assert_eq!(device.as_deref(), Some(&b"lo"[..]));
            assert_eq!(&*socket.interface_name().unwrap(), "lo");
        }
    }
}

#[test]
fn nothing_is_applied_unless_asked_for() {
    for socket in every_way(Kind::Udp, "127.0.0.1", |_| ()) {
        assert_eq!(int_option(&socket, libc::IPPROTO_IP, libc::IP_TOS), 0);
        assert_eq!(int_option(&socket, libc::SOL_SOCKET, libc::SO_PRIORITY), 0);
        assert_eq!(inspect(&socket, |socket| socket.device()).unwrap(), None);
    }
}

#[test]
fn what_cannot_be_applied_is_the_error_of_the_call() {
    let make = || {
        configured(Kind::Tcp, |config| {
            config.interface = InterfaceName::new(b"nosuchif0");
        })
        .unwrap()
    };
    let (listener, addr) = listening();
    assert_eq!(errno(make().bind(b"127.0.0.1", b"")), libc::ENODEV);
    assert_eq!(errno(connect(&make(), addr)), libc::ENODEV);
    let client = std::net::TcpStream::connect(addr).unwrap();
    let new = make();
    assert_eq!(errno(listener.accept(&new)), libc::ENODEV);
    assert_eq!(new.status(), anjay_net_socket::Status::Closed);
    drop(client);
}
