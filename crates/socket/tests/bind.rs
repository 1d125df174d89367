//! bind and the local port.

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};

use anjay_net_resolve::{Family, unmap};
use anjay_net_socket::{InterfaceName, Kind, Socket, SocketConfig, Status};
use common::*;

fn configured(kind: Kind, change: impl FnOnce(&mut SocketConfig)) -> Socket {
    let mut config = SocketConfig::default();
    change(&mut config);
    Socket::new(kind, config).unwrap()
}

#[test]
fn port_0_picks_a_port_and_tells_it() {
    for port in [&b""[..], b"0", b"000"] {
        for socket in [udp(), tcp()] {
            socket.bind(b"127.0.0.1", port).unwrap();
            assert_ne!(socket.local_addr().unwrap().port(), 0);
        }
    }
}

#[test]
fn a_port_that_is_given_is_taken() {
    for socket in [udp(), tcp()] {
        let port = free_port("127.0.0.1").port();
        let text = format!("0{port}");
        socket.bind(b"127.0.0.1", text.as_bytes()).unwrap();
        let expected = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        assert_eq!(socket.local_addr().unwrap(), expected);
    }
}

#[test]
fn no_address_is_the_dual_stack_wildcard() {
    let (socket, _) = bind(udp(), "");
    assert_eq!(socket.descriptor_family(), Some(Family::V6));
    let local = socket.local_addr().unwrap();
    assert_eq!(local.ip(), IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    for host in ["127.0.0.1", "::1"] {
        let peer = udp_peer(host);
        peer.send_to(host.as_bytes(), (host, local.port())).unwrap();
        let (received, from) = socket.receive_from(&mut [0; 99]).unwrap();
        let from = unmap(from);
        assert_eq!(
            (received.len, from),
            (host.len(), peer.local_addr().unwrap())
        );
        send_to(&socket, b"back", from).unwrap();
        assert_eq!(peer_receive(&peer), b"back");
    }
}

#[test]
fn the_wildcard_follows_the_family_policy() {
    let four = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let six = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    for (forced, preferred, expected) in [
        (None, None, six),
        (None, Some(Family::V4), four),
        (None, Some(Family::V6), six),
        (Some(Family::V4), Some(Family::V6), four),
        (Some(Family::V6), Some(Family::V4), six),
    ] {
        let socket = configured(Kind::Udp, |config| {
            config.forced_family = forced;
            config.preferred_family = preferred;
        });
        socket.bind(b"", b"").unwrap();
        assert_eq!(socket.local_addr().unwrap().ip(), expected);
    }
}

#[test]
fn literals_and_names_can_be_bound() {
    for (host, expected) in [
        ("127.0.0.9", "127.0.0.9"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
    ] {
        for socket in [udp(), tcp()] {
            socket.bind(host.as_bytes(), b"").unwrap();
            assert_eq!(socket.local_addr().unwrap().ip().to_string(), expected);
        }
    }
    let (socket, _) = bind(udp(), "localhost");
    assert!(socket.local_addr().unwrap().ip().is_loopback());
}

#[test]
fn bad_text_is_an_invalid_argument() {
    for (host, port) in [
        (&b"127.0.0.1"[..], &b"65536"[..]),
        (b"127.0.0.1", b"x"),
        (b"127.0.0.1", b"-1"),
        (b"127.0.0.1", b" 1"),
        (b"127.1", b""),
        (b"[::1", b""),
        (b"a b", b""),
        (b"\xff", b""),
    ] {
        for socket in [udp(), tcp()] {
            assert_eq!(
                errno(socket.bind(host, port)),
                libc::EINVAL,
                "{host:?} {port:?}"
            );
            assert_eq!(socket.status(), Status::Closed);
        }
    }
    let four = configured(Kind::Udp, |config| config.forced_family = Some(Family::V4));
    assert_eq!(errno(four.bind(b"::1", b"")), libc::EINVAL);
}

#[test]
fn a_failed_bind_says_why_and_leaves_the_socket_closed() {
    for kind in [Kind::Udp, Kind::Tcp] {
        for host in [&b"127.0.0.1"[..], b"::1"] {
            let taken = configured(kind, |_| ());
            taken.bind(host, b"").unwrap();
            let port = taken.local_addr().unwrap().port().to_string();
            let socket = configured(kind, |_| ());
            let result = socket.bind(host, port.as_bytes());
            assert_eq!(errno(result), libc::EADDRINUSE);
            assert_eq!(socket.status(), Status::Closed);
            assert!(socket.descriptor().is_none());
            // And works later.
            taken.close();
            socket.bind(host, port.as_bytes()).unwrap();
        }
        for foreign in [&b"192.0.2.77"[..], b"2001:db8::77"] {
            let socket = configured(kind, |_| ());
            assert_eq!(errno(socket.bind(foreign, b"")), libc::EADDRNOTAVAIL);
            assert_eq!(socket.status(), Status::Closed);
        }
        let socket = configured(kind, |config| {
            config.interface = InterfaceName::new(b"nosuchif0")
        });
        assert_eq!(errno(socket.bind(b"::1", b"")), libc::ENODEV);
        assert_eq!(socket.status(), Status::Closed);
    }
}

#[test]
fn tcp_listens_with_a_long_queue() {
    let (listener, addr) = listening();
    let clients: Vec<_> = (0..200)
        .map(|_| TcpStream::connect(addr).unwrap())
        .collect();
    for _ in &clients {
        listener.accept(&tcp()).unwrap();
    }
}

#[test]
fn a_released_udp_port_can_be_bound_again_at_once() {
    let (socket, _) = bind(udp(), "");
    let port = socket.local_addr().unwrap().port().to_string();
    for _ in 0..50 {
        socket.close();
        socket.bind(b"", port.as_bytes()).unwrap();
    }
}

#[test]
fn a_released_tcp_port_can_be_bound_again_with_reuse_addr() {
    let (server, addr) = bind(sharing(Kind::Tcp), "127.0.0.1");
    for _ in 0..3 {
        let client = TcpStream::connect(addr).unwrap();
        let accepted = sharing(Kind::Tcp);
        server.accept(&accepted).unwrap();
        // Closed here first: the port stays in TIME_WAIT.
        accepted.close();
        drop(client);
        server.close();
        server.bind(b"127.0.0.1", &port_text(addr)).unwrap();
    }
    // Without it the port is taken for a while.
    server.close();
    let other = tcp();
    let result = other.bind(b"127.0.0.1", &port_text(addr));
    assert_eq!(errno(result), libc::EADDRINUSE);
}

#[test]
fn reuse_addr_is_off_unless_asked_for() {
    let (one, _) = bind(udp(), "127.0.0.1");
    let port = one.local_addr().unwrap().port().to_string();
    let two = sharing(Kind::Udp);
    let result = two.bind(b"127.0.0.1", port.as_bytes());
    assert_eq!(errno(result), libc::EADDRINUSE);

    let (one, _) = bind(sharing(Kind::Udp), "127.0.0.1");
    let port = one.local_addr().unwrap().port().to_string();
    two.bind(b"127.0.0.1", port.as_bytes()).unwrap();
}

#[test]
fn the_error_of_the_ipv6_wildcard_is_its_own() {
    // Both families of the port are taken.
    let six = std::net::UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
    let port = six.local_addr().unwrap().port().to_string();
    let socket = udp();
    assert_eq!(errno(socket.bind(b"", port.as_bytes())), libc::EADDRINUSE);
    assert_eq!(socket.status(), Status::Closed);
}

#[test]
fn a_listener_of_both_families_accepts_both() {
    let (server, _) = bind(tcp(), "");
    let port = server.local_addr().unwrap().port();
    for host in ["127.0.0.1", "::1"] {
        let client = TcpStream::connect((host, port)).unwrap();
        let new = tcp();
        server.accept(&new).unwrap();
        assert_eq!(new.remote_addr().unwrap(), client.local_addr().unwrap());
        assert_eq!(new.local_addr().unwrap(), client.peer_addr().unwrap());
    }
}
