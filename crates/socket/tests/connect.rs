//! connect.

mod common;

use std::iter;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Instant;

use anjay_net_resolve::Family;
use anjay_net_socket::stats::Event;
use anjay_net_socket::{Kind, Socket, SocketConfig, Status};
use common::*;

fn forced(kind: Kind, family: Family) -> Socket {
    let config = SocketConfig {
        forced_family: Some(family),
        ..SocketConfig::default()
    };
    Socket::new(kind, config).unwrap()
}

#[test]
fn literals_of_both_families_with_and_without_brackets() {
    for (host, local) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1.2.3", "127.1.2.3"),
        ("::1", "::1"),
        ("[::1]", "::1"),
    ] {
        let peer = udp_peer(local);
        let socket = udp();
        let to = peer.local_addr().unwrap();
        let reached = socket.connect(host.as_bytes(), &port_text(to), None);
        assert_eq!(reached.unwrap(), to);
        assert_eq!(socket.status(), Status::Connected);
        assert_eq!(socket.remote_addr().unwrap(), to);
        let given = remote_hostname(&socket).unwrap();
        assert_eq!(given, host.as_bytes(), "as it was given");
        socket.send(b"hello").unwrap();
        assert_eq!(peer_receive(&peer), b"hello");

        let listener = TcpListener::bind((local, 0)).unwrap();
        let to = listener.local_addr().unwrap();
        let socket = tcp();
        let reached = socket.connect(host.as_bytes(), &port_text(to), None);
        assert_eq!(reached.unwrap(), to);
        assert_eq!(socket.local_addr().unwrap(), listener.accept().unwrap().1);
    }
}

#[test]
fn the_port_is_remembered_as_it_was_given() {
    let peer = udp_peer("127.0.0.1");
    let socket = udp();
    let port = format!("000{}", peer.local_addr().unwrap().port());
    socket.connect(b"127.0.0.1", port.as_bytes(), None).unwrap();
    let given = remote_port(&socket).unwrap();
    assert_eq!(given, port.as_bytes());
}

#[test]
fn a_host_of_more_than_255_bytes_is_not_remembered() {
    let peer = udp_peer("::1");
    let to = peer.local_addr().unwrap();
    for (zeros, remembered) in [(255 - 6, true), (256 - 6, false)] {
        let socket = udp();
        let host = format!("[::1%{}]", "0".repeat(zeros));
        assert_eq!(host.len() <= 255, remembered);
        socket
            .connect(host.as_bytes(), &port_text(to), None)
            .unwrap();
        let given = remote_hostname(&socket);
        if remembered {
            assert_eq!(given.unwrap(), host.as_bytes());
        } else {
            assert_eq!(errno(given), libc::ENOBUFS);
        }
        // All else is known.
        assert_eq!(socket.remote_addr().unwrap(), to);
        let port = remote_port(&socket).unwrap();
        assert_eq!(port, port_text(to));
    }
}

#[test]
fn the_unspecified_address_is_this_host_and_its_answers_are_heard() {
    for (host, local) in [("0.0.0.0", "127.0.0.1"), ("::", "::1")] {
        let peer = udp_peer(local);
        let to = peer.local_addr().unwrap();
        let socket = udp();
        assert_eq!(
            socket
                .connect(host.as_bytes(), &port_text(to), None)
                .unwrap(),
            to
        );
        assert_eq!(socket.remote_addr().unwrap(), to);
        // There before the first receive, when the queue is still sifted.
        peer.send_to(b"here", socket.local_addr().unwrap()).unwrap();
        assert_eq!(receive(&socket).unwrap(), b"here");
    }
}

#[test]
fn a_v4_mapped_literal_is_ipv4_where_only_that_is_used() {
    let peer = udp_peer("127.0.0.1");
    let to = peer.local_addr().unwrap();
    let socket = forced(Kind::Udp, Family::V4);
    let reached = socket.connect(b"::ffff:127.0.0.1", &port_text(to), None);
    assert_eq!(reached.unwrap(), to);
    assert_eq!(socket.descriptor_family(), Some(Family::V4));
}

#[test]
fn a_v4_mapped_literal_needs_no_other_socket_than_the_bound_one() {
    let peer = udp_peer("127.0.0.1");
    let to = peer.local_addr().unwrap();
    let (socket, local) = bound_udp();
    socket
        .connect(b"::ffff:127.0.0.1", &port_text(to), None)
        .unwrap();
    assert_eq!(socket.local_addr().unwrap(), local);
    assert_eq!(socket.remote_addr().unwrap(), to);
    peer.send_to(b"here", local).unwrap();
    assert_eq!(receive(&socket).unwrap(), b"here");
}

#[test]
fn a_v4_mapped_literal_works_without_a_bound_socket() {
    let peer = udp_peer("127.0.0.1");
    let to = peer.local_addr().unwrap();
    let socket = udp();
    let reached = socket.connect(b"::ffff:127.0.0.1", &port_text(to), None);
    assert_eq!(reached.unwrap(), to, "plain");
    socket.send(b"hello").unwrap();
    assert_eq!(peer_receive(&peer), b"hello");
    peer.send_to(b"here", socket.local_addr().unwrap()).unwrap();
    assert_eq!(receive(&socket).unwrap(), b"here");
}

#[test]
fn text_that_is_no_host_or_port_is_not_available() {
    let long = "a".repeat(256);
    for (host, port) in [
        ("", "5683"),
        ("127.0.0.1", "65536"),
        ("127.0.0.1", "-1"),
        ("127.0.0.1", "+1"),
        ("127.0.0.1", " 1"),
        ("127.0.0.1", "0x1"),
        ("127.0.0.1", "coap"),
        ("127.1", "1"),
        ("0x7f.1", "1"),
        ("2130706433", "1"),
        ("::1::", "1"),
        ("[::1", "1"),
        ("[127.0.0.1]", "1"),
        ("::1%no-such-interface", "1"),
        ("a b", "1"),
        (&long, "1"),
    ] {
        for socket in [udp(), tcp()] {
            let result = socket.connect(host.as_bytes(), port.as_bytes(), None);
            assert_eq!(errno(result), libc::EADDRNOTAVAIL, "{host:?} {port:?}");
            assert_eq!(socket.status(), Status::Closed);
        }
    }
    assert_eq!(
        errno(udp().connect(b"\xff\xfe", b"1", None)),
        libc::EADDRNOTAVAIL
    );
}

#[test]
fn a_family_that_is_not_forced_is_not_available() {
    for kind in [Kind::Udp, Kind::Tcp] {
        let four = forced(kind, Family::V4);
        assert_eq!(errno(four.connect(b"::1", b"9", None)), libc::EADDRNOTAVAIL);
        let six = forced(kind, Family::V6);
        let result = six.connect(b"127.0.0.1", b"9", None);
        assert_eq!(errno(result), libc::EADDRNOTAVAIL);
        // Used at the next resolution.
        six.set_forced_family(None);
        if kind == Kind::Udp {
            six.connect(b"127.0.0.1", b"9", None).unwrap();
        }
    }
}

#[test]
fn a_refused_connect_says_so_and_leaves_the_socket_closed() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let socket = tcp();
    assert_eq!(errno(connect(&socket, nobody)), libc::ECONNREFUSED);
    assert_eq!(socket.status(), Status::Closed);
    assert!(socket.descriptor().is_none());
    let stats = socket.stats();
    assert_eq!(
        (
            stats.count(Event::ConnectFailed),
            stats.count(Event::Refused)
        ),
        (1, 1)
    );

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    connect(&socket, listener.local_addr().unwrap()).unwrap();
    assert_eq!(socket.stats().count(Event::Connected), 1);
}

#[test]
fn a_name_is_reached_by_whichever_family_answers() {
    // localhost is ::1 as well on most machines; nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let socket = tcp();
    let reached = socket.connect(b"localhost", &port_text(to), None).unwrap();
    assert_eq!(reached, to);
    let given = remote_hostname(&socket).unwrap();
    assert_eq!(given, b"localhost");
    assert_eq!(socket.remote_addr().unwrap(), to);
}

#[test]
fn a_bound_udp_socket_keeps_its_port() {
    let peer = udp_peer("127.0.0.1");
    for host in ["127.0.0.1", "0.0.0.0", "::"] {
        let (socket, _) = bind(udp(), host);
        let port = socket.local_addr().unwrap().port();
        connect(&socket, peer.local_addr().unwrap()).unwrap();
        assert_eq!(socket.local_addr().unwrap().port(), port, "{host}");
        socket.send(b"x").unwrap();
        let (_, from) = peer.recv_from(&mut [0; 9]).unwrap();
        assert_eq!(from, socket.local_addr().unwrap());
    }
}

#[test]
fn a_socket_bound_to_the_ipv4_wildcard_reaches_ipv6_on_its_port() {
    let (socket, _) = bind(udp(), "0.0.0.0");
    let port = socket.local_addr().unwrap().port();
    // The kernel may choose the same port in the other family.
    let mut peers = iter::repeat_with(|| udp_peer("::1"));
    let peer = peers.find(|peer| peer.local_addr().unwrap().port() != port);
    let peer = peer.unwrap();
    let stranger = udp_peer("127.0.0.1");
    stranger.send_to(b"lost", ("127.0.0.1", port)).unwrap();
    connect(&socket, peer.local_addr().unwrap()).unwrap();
    assert_eq!(
        socket.local_addr().unwrap(),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port))
    );
    assert_eq!(socket.stats().count(Event::DroppedQueued), 1);
    assert_eq!(socket.descriptor_family(), Some(Family::V6));
}

#[test]
fn a_socket_bound_to_an_address_does_not_reach_the_other_family_and_stays_bound() {
    let (four, local) = bound_udp();
    assert_eq!(errno(four.connect(b"::1", b"9", None)), libc::EADDRNOTAVAIL);
    assert_eq!(four.status(), Status::Bound);
    assert_eq!(four.local_addr().unwrap(), local);

    let (six, local) = bind(udp(), "::1");
    assert_eq!(
        errno(six.connect(b"127.0.0.1", b"9", None)),
        libc::ENETUNREACH
    );
    assert_eq!(six.status(), Status::Bound);
    assert_eq!(six.local_addr().unwrap(), local);
    // And works.
    let peer = udp_peer("::1");
    peer.send_to(b"still here", local).unwrap();
    assert_eq!(receive(&six).unwrap(), b"still here");
}

#[test]
fn what_others_sent_before_the_connect_is_never_delivered() {
    let (peer, stranger) = (udp_peer("127.0.0.1"), udp_peer("127.0.0.1"));
    for host in [&b"127.0.0.1"[..], b"0.0.0.0", b"::"] {
        let (socket, _) = bind(udp(), host);
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, socket.local_addr().unwrap().port()));
        for piece in 0..3u8 {
            stranger.send_to(b"strange", local).unwrap();
            peer.send_to(&[piece], local).unwrap();
        }
        connect(&socket, peer.local_addr().unwrap()).unwrap();
        stranger.send_to(b"too late", local).unwrap();
        for piece in 0..3u8 {
            assert_eq!(receive(&socket).unwrap(), [piece]);
        }
        patience(&socket, std::time::Duration::ZERO);
        assert_eq!(errno(receive(&socket)), libc::ETIMEDOUT);
        let stats = socket.stats();
        assert_eq!(
            (stats.count(Event::UnexpectedSource), stats.bytes_received),
            (3, 3)
        );
    }
}

#[test]
fn a_datagram_of_a_stranger_does_not_prolong_the_wait() {
    let (peer, stranger) = (udp_peer("127.0.0.1"), udp_peer("127.0.0.1"));
    let (socket, local) = bound_udp();
    stranger.send_to(b"strange", local).unwrap();
    connect(&socket, peer.local_addr().unwrap()).unwrap();
    patience(&socket, SHORT);
    let start = Instant::now();
    assert_eq!(errno(receive(&socket)), libc::ETIMEDOUT);
    assert!(start.elapsed() >= SHORT);
    assert!(start.elapsed() < SHORT + AT_ONCE);
}

#[test]
fn a_closed_socket_can_be_connected_again_from_the_same_port() {
    let peer = udp_peer("127.0.0.1");
    let (socket, local) = bind(udp(), "127.0.0.1");
    for round in 0..20u8 {
        connect(&socket, peer.local_addr().unwrap()).unwrap();
        socket.send(&[round]).unwrap();
        let mut buf = [0; 9];
        assert_eq!(peer.recv_from(&mut buf).unwrap(), (1, local));
        socket.close();
        socket.bind(b"127.0.0.1", &port_text(local)).unwrap();
    }
    assert_eq!(socket.bytes_sent(), 20, "counters survive");
}

#[test]
fn source_ports_are_random() {
    let peer = udp_peer("127.0.0.1");
    let ports: Vec<u16> = (0..20)
        .map(|_| {
            let socket = udp();
            connect(&socket, peer.local_addr().unwrap()).unwrap();
            socket.local_addr().unwrap().port()
        })
        .collect();
    let steps = ports.windows(2).filter(|pair| {
        let step = i32::from(pair[1]) - i32::from(pair[0]);
        (1..=4).contains(&step)
    });
    assert!(steps.count() < 10, "{ports:?}");
}

#[test]
fn a_connected_socket_hears_nobody_else() {
    let (socket, peer) = udp_pair();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let _refused = stranger.send_to(b"strange", socket.local_addr().unwrap());
    peer.send(b"peer").unwrap();
    assert_eq!(receive(&socket).unwrap(), b"peer");
}

#[test]
fn this_host_by_the_unspecified_address_from_a_dual_stack_socket() {
    let peer = udp_peer("127.0.0.1");
    let to = peer.local_addr().unwrap();
    let socket = udp();
    socket.bind(b"::", b"0").unwrap();
    let reached = socket.connect(b"0.0.0.0", &port_text(to), None);
    assert_eq!(reached.unwrap(), to);
}
