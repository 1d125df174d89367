//! Who is at which end.

mod common;

use anjay_net_socket::{Kind, Socket, Status, address_text};
use common::*;

fn hostname(socket: &Socket) -> String {
    let bytes = remote_hostname(socket).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn port(socket: &Socket) -> String {
    let bytes = remote_port(socket).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_connected_socket_knows_both_ends() {
    let (socket, peer) = udp_pair();
    let to = peer.local_addr().unwrap();
    assert_eq!(socket.remote_addr().unwrap(), to);
    assert_eq!(hostname(&socket), to.ip().to_string());
    assert_eq!(port(&socket), to.port().to_string());
    assert_eq!(socket.local_addr().unwrap(), peer.peer_addr().unwrap());
}

#[test]
fn a_link_local_address_has_the_name_of_its_interface() {
    let text = |addr: &str| address_text(&addr.parse().unwrap()).to_string();
    assert_eq!(text("[fe80::1%1]:5683"), "fe80::1%lo");
    assert_eq!(text("[fe80::1%2147483647]:5683"), "fe80::1%2147483647");
    assert_eq!(text("[fe80::1]:5683"), "fe80::1");
}

#[test]
fn an_accepted_socket_knows_its_peer_by_number() {
    for kind in [Kind::Udp, Kind::Tcp] {
        for host in ["127.0.0.1", "::1"] {
            let server = sharing(kind);
            // Both families through one socket.
            server.bind(b"::", b"").unwrap();
            let to = (host, server.local_addr().unwrap().port());
            let (from, _peer): (_, Box<dyn std::any::Any>) = match kind {
                Kind::Tcp => {
                    let peer = std::net::TcpStream::connect(to).unwrap();
                    (peer.local_addr().unwrap(), Box::new(peer))
                }
                Kind::Udp => {
                    let peer = udp_peer(host);
                    peer.send_to(b"hi", to).unwrap();
                    (peer.local_addr().unwrap(), Box::new(peer))
                }
            };
            let new = sharing(kind);
            server.accept(&new).unwrap();
            assert_eq!(new.status(), Status::Accepted);
            assert_eq!(new.remote_addr().unwrap(), from);
            assert_eq!(hostname(&new), from.ip().to_string());
            assert_eq!(port(&new), from.port().to_string());
            assert_eq!(new.local_addr().unwrap().ip().to_string(), host);
        }
    }
}

#[test]
fn what_was_given_is_forgotten_by_close() {
    let peer = udp_peer("127.0.0.1");
    let to = peer.local_addr().unwrap().port().to_string();
    let socket = udp();
    socket.connect(b"localhost", to.as_bytes(), None).unwrap();
    assert_eq!(hostname(&socket), "localhost");
    socket.close();
    assert_eq!(errno(remote_hostname(&socket)), libc::EBADF);
    socket.connect(b"127.0.0.1", to.as_bytes(), None).unwrap();
    assert_eq!(hostname(&socket), "127.0.0.1");
}

#[test]
fn addresses_print_in_plain_form() {
    let peer = udp_peer("127.0.0.1");
    let (socket, _) = bind(udp(), "::");
    connect(&socket, peer.local_addr().unwrap()).unwrap();
    for addr in [socket.remote_addr().unwrap(), socket.local_addr().unwrap()] {
        assert_eq!(&*address_text(&addr), "127.0.0.1");
    }
    // The interface is found although the socket's own form is v4-mapped.
    assert_eq!(&*socket.interface_name().unwrap(), "lo");
}

#[test]
fn the_interface_owns_the_local_address() {
    for host in [&b"127.0.0.1"[..], b"::1"] {
        let (socket, _) = bind(udp(), host);
        assert_eq!(&*socket.interface_name().unwrap(), "lo");
    }
    let (wildcard, _) = bind(udp(), "");
    assert_eq!(errno(wildcard.interface_name()), libc::ENODEV);
}

#[test]
fn the_pointer_to_the_descriptor_stays_until_close() {
    let socket = udp();
    assert!(socket.descriptor().is_none());
    socket.bind(b"127.0.0.1", b"").unwrap();
    let place = std::ptr::from_ref(socket.descriptor().unwrap());
    let before = number(&socket);
    let peer = udp_peer("127.0.0.1");
    connect(&socket, peer.local_addr().unwrap()).unwrap();
    socket.shutdown().unwrap();
    assert_eq!(std::ptr::from_ref(socket.descriptor().unwrap()), place);
    assert_eq!(number(&socket), before);
    socket.close();
    assert!(socket.descriptor().is_none());
    // The same place for the next one.
    socket.bind(b"127.0.0.1", b"").unwrap();
    assert_eq!(std::ptr::from_ref(socket.descriptor().unwrap()), place);
}
