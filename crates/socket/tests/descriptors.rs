//! Descriptors: what they are, and that none is left over. One test, as it
//! counts the descriptors of the process.

mod common;

use std::net::{TcpListener, TcpStream};

use anjay_net_socket::{InterfaceName, Kind, Socket, SocketConfig};
use common::*;

fn flags_of(socket: &Socket) -> (bool, bool) {
    // SAFETY: no memory is passed.
    let (fd, fl) = unsafe {
        (
            libc::fcntl(number(socket), libc::F_GETFD),
            libc::fcntl(number(socket), libc::F_GETFL),
        )
    };
    (fd & libc::FD_CLOEXEC != 0, fl & libc::O_NONBLOCK != 0)
}

/// One socket for each way to get a descriptor.
fn one_of_each() -> Vec<Socket> {
    let mut sockets = Vec::new();
    for kind in [Kind::Udp, Kind::Tcp] {
        let (server, to) = bind(sharing(kind), "127.0.0.1");
        let client = sharing(kind);
        connect(&client, to).unwrap();
        if kind == Kind::Udp {
            client.send(b"hi").unwrap();
        }
        let accepted = sharing(kind);
        server.accept(&accepted).unwrap();
        sockets.extend([server, client, accepted]);
    }
    // Made anew for the other family.
    let (moved, _) = bind(udp(), "0.0.0.0");
    connect(&moved, sockets[0].local_addr().unwrap()).unwrap();
    sockets.push(moved);
    sockets
}

fn failures() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    assert_eq!(errno(connect(&tcp(), nobody)), libc::ECONNREFUSED);
    let port = nobody.port().to_string();
    assert!(tcp().connect(b"localhost", port.as_bytes(), None).is_err());
    assert!(udp().bind(b"192.0.2.77", b"").is_err());
    assert!(tcp().bind(b"nosuchif%", b"").is_err());
    for kind in [Kind::Udp, Kind::Tcp] {
        let config = SocketConfig {
            interface: InterfaceName::new(b"nosuchif0"),
            reuse_addr: true,
            ..SocketConfig::default()
        };
        let socket = Socket::new(kind, config).unwrap();
        assert!(socket.bind(b"127.0.0.1", b"").is_err());
        assert!(socket.connect(b"127.0.0.1", b"9", None).is_err());
        let (server, to) = bind(sharing(kind), "127.0.0.1");
        let _peer: Box<dyn std::any::Any> = match kind {
            Kind::Tcp => Box::new(TcpStream::connect(to).unwrap()),
            Kind::Udp => {
                let peer = udp_peer("127.0.0.1");
                peer.send_to(b"hi", to).unwrap();
                Box::new(peer)
            }
        };
        assert_eq!(errno(server.accept(&socket)), libc::ENODEV);
        // The server still has what it could not hand over.
        if kind == Kind::Udp {
            server.accept(&sharing(Kind::Udp)).unwrap();
        }
    }
    let (four, _) = bind(udp(), "127.0.0.1");
    assert!(four.connect(b"::1", b"9", None).is_err());
    assert!(four.send_to(b"x", b"::1", b"9").is_err());

    // Ended by close while they wait.
    let hole = Blackhole::new();
    let socket = tcp();
    interrupt(
        || connect(&socket, hole.addr),
        || {
            socket.close();
        },
    )
    .result
    .unwrap_err();
    let (listener, _) = listening();
    interrupt(
        || listener.accept(&tcp()),
        || {
            listener.close();
        },
    )
    .result
    .unwrap_err();
}

#[test]
fn descriptors_are_private_do_not_block_and_are_all_given_back() {
    for socket in one_of_each() {
        assert_eq!(flags_of(&socket), (true, true), "{socket:?}");
    }
    // Whatever is made once for the process.
    failures();
    let before = open_descriptors();
    for _ in 0..10 {
        drop(one_of_each());
        failures();
        let closed_and_used_again = one_of_each();
        for socket in &closed_and_used_again {
            socket.close();
            socket.bind(b"127.0.0.1", b"").unwrap();
        }
    }
    // A helper thread of a lookup may still be on its way out.
    until("all descriptors are back", || open_descriptors() == before);
    let closed: Vec<_> = (0..10).map(|_| udp()).collect();
    assert_eq!(open_descriptors(), before, "a closed socket has none");
    drop(closed);

    zero_is_a_descriptor();
}

/// The last, as it takes away standard input.
fn zero_is_a_descriptor() {
    let (socket, peer) = (udp(), udp_peer("127.0.0.1"));
    // SAFETY: nobody in this program reads standard input.
    unsafe { libc::close(0) };
    connect(&socket, peer.local_addr().unwrap()).unwrap();
    assert_eq!(number(&socket), 0);
    peer.connect(socket.local_addr().unwrap()).unwrap();
    socket.send(b"from zero").unwrap();
    assert_eq!(peer_receive(&peer), b"from zero");
    peer.send(b"to zero").unwrap();
    assert_eq!(receive(&socket).unwrap(), b"to zero");
    let ended = interrupt(
        || receive(&socket),
        || {
            socket.close();
        },
    );
    assert_eq!(errno(ended.result), libc::EBADF);
    assert!(socket.descriptor().is_none());
}
