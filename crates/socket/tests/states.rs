//! What may follow what, and what a call in the wrong state says.

mod common;

use anjay_net_socket::{Kind, Socket, SocketConfig, Status};
use common::*;

/// What a socket is to its callers.
fn seen(socket: &Socket) -> (Status, Option<i32>, Option<String>, Option<String>) {
    let text =
        |addr: anjay_net_socket::Result<std::net::SocketAddr>| addr.ok().map(|a| a.to_string());
    (
        socket.status(),
        socket.descriptor().map(|_| number(socket)),
        text(socket.local_addr()),
        text(socket.remote_addr()),
    )
}

/// A socket of each state that is not closed, with whatever keeps it there.
struct Open {
    name: &'static str,
    socket: Socket,
    _peer: Box<dyn std::any::Any>,
}

fn open(name: &'static str, socket: Socket, peer: impl std::any::Any) -> Open {
    Open {
        name,
        socket,
        _peer: Box::new(peer),
    }
}

fn accepted(kind: Kind) -> Open {
    let (server, to) = bind(sharing(kind), "127.0.0.1");
    let new = sharing(kind);
    let peer: Box<dyn std::any::Any> = match kind {
        Kind::Tcp => Box::new(std::net::TcpStream::connect(to).unwrap()),
        Kind::Udp => {
            let peer = udp_peer("127.0.0.1");
            peer.send_to(b"hi", to).unwrap();
            Box::new(peer)
        }
    };
    server.accept(&new).unwrap();
    open("accepted", new, (server, peer))
}

fn shut(mut of: Open) -> Open {
    of.socket.shutdown().unwrap();
    of.name = "shut down";
    of
}

fn connected(kind: Kind) -> Open {
    match kind {
        Kind::Udp => {
            let (socket, peer) = udp_pair();
            open("connected", socket, peer)
        }
        Kind::Tcp => {
            let (socket, peer) = tcp_pair();
            open("connected", socket, peer)
        }
    }
}

fn bound(kind: Kind) -> Open {
    let socket = match kind {
        Kind::Udp => bound_udp().0,
        Kind::Tcp => listening().0,
    };
    open("bound", socket, ())
}

fn closed(kind: Kind) -> Socket {
    Socket::new(kind, SocketConfig::default()).unwrap()
}

const KINDS: [Kind; 2] = [Kind::Tcp, Kind::Udp];

#[test]
fn each_call_leads_to_its_state() {
    for kind in KINDS {
        assert_eq!(closed(kind).status(), Status::Closed);
        assert_eq!(bound(kind).socket.status(), Status::Bound);
        assert_eq!(connected(kind).socket.status(), Status::Connected);
        assert_eq!(accepted(kind).socket.status(), Status::Accepted);
        assert_eq!(shut(connected(kind)).socket.status(), Status::Shutdown);
    }
}

#[test]
fn bind_and_connect_are_refused_by_sockets_in_use_and_change_nothing() {
    let somewhere = free_port("127.0.0.1");
    for kind in KINDS {
        let mut busy = vec![
            connected(kind),
            accepted(kind),
            shut(connected(kind)),
            shut(accepted(kind)),
            shut(bound(kind)),
        ];
        if kind == Kind::Tcp {
            busy.push(bound(kind));
        }
        for Open { name, socket, .. } in &busy {
            let before = seen(socket);
            assert_eq!(
                errno(socket.bind(b"127.0.0.1", b"")),
                libc::EISCONN,
                "{name}"
            );
            assert_eq!(errno(connect(socket, somewhere)), libc::EISCONN, "{name}");
            let by_name = socket.connect(b"localhost", b"9", None);
            assert_eq!(errno(by_name), libc::EISCONN, "{name}");
            assert_eq!(seen(socket), before, "{name}");
        }
    }
    let bound = bound(Kind::Udp);
    let before = seen(&bound.socket);
    assert_eq!(errno(bound.socket.bind(b"127.0.0.1", b"")), libc::EISCONN);
    assert_eq!(seen(&bound.socket), before);
}

#[test]
fn a_closed_socket_refuses_what_needs_a_descriptor() {
    for kind in KINDS {
        let socket = closed(kind);
        assert_eq!(errno(socket.send(b"x")), libc::EBADF);
        assert_eq!(errno(socket.send(b"")), libc::EBADF);
        assert_eq!(errno(socket.send_to(b"x", b"127.0.0.1", b"9")), libc::EBADF);
        assert_eq!(errno(socket.send_to(b"x", b"localhost", b"9")), libc::EBADF);
        assert_eq!(errno(socket.receive(&mut [0; 9])), libc::EBADF);
        assert_eq!(errno(socket.receive(&mut [])), libc::EBADF);
        assert_eq!(errno(socket.receive(&mut [0; 9])), libc::EBADF);
        assert_eq!(errno(socket.shutdown()), libc::EBADF);
        assert_eq!(errno(socket.local_addr()), libc::EBADF);
        assert_eq!(errno(socket.remote_addr()), libc::EBADF);
        assert_eq!(errno(remote_hostname(&socket)), libc::EBADF);
        assert_eq!(errno(remote_port(&socket)), libc::EBADF);
        assert_eq!(errno(socket.interface_name()), libc::EBADF);
        assert_eq!(errno(socket.mtu()), libc::EBADF);
        assert_eq!(socket.status(), Status::Closed, "shutdown leaves it closed");
    }
}

#[test]
fn a_bound_socket_has_no_peer() {
    for kind in KINDS {
        let Open { socket, .. } = bound(kind);
        assert_eq!(errno(socket.remote_addr()), libc::ENOTCONN);
        assert_eq!(errno(remote_hostname(&socket)), libc::ENOBUFS);
        assert_eq!(errno(remote_port(&socket)), libc::ENOBUFS);
        socket.shutdown().unwrap();
        assert_eq!(errno(socket.remote_addr()), libc::ENOTCONN);
    }
}

#[test]
fn send_on_a_listening_socket_fails_at_once() {
    let (socket, _) = listening();
    let start = std::time::Instant::now();
    assert_eq!(errno(socket.send(b"x")), libc::ENOTCONN);
    assert_eq!(
        errno(socket.send_to(b"x", b"127.0.0.1", b"9")),
        libc::ENOTCONN
    );
    assert_eq!(errno(socket.receive(&mut [0; 9])), libc::ENOTCONN);
    assert!(start.elapsed() < AT_ONCE);
    assert_eq!(socket.status(), Status::Bound);
}

#[test]
fn send_on_a_udp_socket_that_is_only_bound_wants_an_address() {
    for host in [&b"127.0.0.1"[..], b"::1", b"::"] {
        let (socket, _) = bind(udp(), host);
        assert_eq!(errno(socket.send(b"x")), libc::EDESTADDRREQ);
    }
}

#[test]
fn accept_needs_a_bound_socket() {
    for kind in KINDS {
        for Open { name, socket, .. } in [connected(kind), accepted(kind), shut(bound(kind))] {
            let new = closed(kind);
            assert_eq!(errno(socket.accept(&new)), libc::ENETDOWN, "{name}");
            assert_eq!(new.status(), Status::Closed);
        }
        assert_eq!(errno(closed(kind).accept(&closed(kind))), libc::ENETDOWN);
    }
}

#[test]
fn accept_needs_a_closed_target_of_the_same_kind() {
    for kind in KINDS {
        let (server, _) = bind(sharing(kind), "127.0.0.1");
        for Open { name, socket, .. } in [
            connected(kind),
            accepted(kind),
            bound(kind),
            shut(bound(kind)),
        ] {
            let before = seen(&socket);
            assert_eq!(errno(server.accept(&socket)), libc::EISCONN, "{name}");
            assert_eq!(seen(&socket), before);
        }
        assert_eq!(errno(server.accept(&server)), libc::EISCONN, "itself");
        let [one, other] = KINDS;
        let stranger = closed(if kind == one { other } else { one });
        assert_eq!(errno(server.accept(&stranger)), libc::EINVAL);
        assert_eq!(server.status(), Status::Bound);
    }
    let lone = closed(Kind::Tcp);
    assert_eq!(errno(lone.accept(&lone)), libc::ENETDOWN, "itself, closed");
}

#[test]
fn a_closed_object_can_be_used_again() {
    for kind in KINDS {
        for Open { socket, .. } in [
            bound(kind),
            connected(kind),
            accepted(kind),
            shut(connected(kind)),
        ] {
            socket.close();
            socket.bind(b"127.0.0.1", b"").unwrap();
            assert_eq!(socket.status(), Status::Bound);
            socket.close();
            assert_eq!(socket.status(), Status::Closed);
        }
    }
}

#[test]
fn counters_belong_to_the_object() {
    let (socket, peer) = udp_pair();
    socket.send(b"12345").unwrap();
    peer.send(b"123").unwrap();
    receive(&socket).unwrap();
    let counted = (socket.bytes_sent(), socket.bytes_received());
    assert_eq!(counted, (5, 3));
    socket.shutdown().unwrap();
    socket.close();
    assert_eq!((socket.bytes_sent(), socket.bytes_received()), counted);
    let other = udp_peer("127.0.0.1");
    connect(&socket, other.local_addr().unwrap()).unwrap();
    socket.send(b"1").unwrap();
    assert_eq!((socket.bytes_sent(), socket.bytes_received()), (6, 3));
}

#[test]
fn a_second_connect_at_the_same_time_is_refused() {
    let hole = Blackhole::new();
    let socket = tcp();
    let ended = interrupt(
        || connect(&socket, hole.addr),
        || {
            assert_eq!(errno(connect(&socket, hole.addr)), libc::EALREADY);
            assert_eq!(errno(socket.bind(b"127.0.0.1", b"")), libc::EALREADY);
            assert_eq!(socket.status(), Status::Closed);
            socket.close();
        },
    );
    assert_eq!(errno(ended.result), libc::EBADF);
}

#[test]
fn a_connect_that_was_closed_leaves_the_next_one_alone() {
    let hole = Blackhole::new();
    let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = tcp();
    let ended = interrupt(
        || connect(&socket, hole.addr),
        || {
            socket.close();
            connect(&socket, peer.local_addr().unwrap()).unwrap();
        },
    );
    assert_eq!(errno(ended.result), libc::EBADF);
    assert_eq!(socket.status(), Status::Connected);
    assert_eq!(socket.remote_addr().unwrap(), peer.local_addr().unwrap());
    socket.send(b"x").unwrap();
}
