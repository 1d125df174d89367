//! accept.

mod common;

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use anjay_net_socket::{Kind, Socket, Status};
use common::*;

/// A UDP server that may accept, and where it is.
fn udp_server(host: &[u8]) -> Socket {
    let server = sharing(Kind::Udp);
    server.bind(host, b"").unwrap();
    patience(&server, Duration::from_secs(5));
    server
}

/// A peer connected to the server that has sent it something.
fn knocking(server: &Socket, host: &str, data: &[u8]) -> UdpSocket {
    let peer = udp_peer(host);
    let mut to = server.local_addr().unwrap();
    to.set_ip(host.parse().unwrap());
    peer.connect(to).unwrap();
    peer.send(data).unwrap();
    peer
}

#[test]
fn a_udp_server_keeps_its_descriptor() {
    let server = udp_server(b"127.0.0.1");
    let before = (number(&server), server.local_addr().unwrap());
    let _peer = knocking(&server, "127.0.0.1", b"hi");
    let new = sharing(Kind::Udp);
    server.accept(&new).unwrap();
    assert_eq!((number(&server), server.local_addr().unwrap()), before);
    assert_ne!(number(&new), number(&server));
}

#[test]
fn a_receive_on_the_udp_server_does_not_take_what_is_the_new_sockets() {
    let server = udp_server(b"127.0.0.1");
    let new = sharing(Kind::Udp);
    server.set_receive_timeout(FOREVER);
    let waiter = Waiter::default();
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            waiter.is_me();
            receive(&server)
        });
        waiter.await_poll();
        // One of the two gets the first datagram; if it is the receive, the
        // next one is for accept.
        let acceptor = scope.spawn(|| server.accept(&new));
        let peer = udp_peer("127.0.0.1");
        peer.connect(server.local_addr().unwrap()).unwrap();
        until("accept is done", || {
            peer.send(b"to the new one").unwrap();
            acceptor.is_finished()
        });
        acceptor.join().unwrap().unwrap();
        patience(&new, Duration::ZERO);
        while receive(&new).is_ok() {}
        peer.send(b"last").unwrap();
        patience(&new, Duration::from_secs(5));
        assert_eq!(receive(&new).unwrap(), b"last");
        // Whoever is still waiting waits at the server.
        knocking(&server, "127.0.0.1", b"to the server");
        let got = receiver.join().unwrap().unwrap();
        assert!([&b"to the new one"[..], b"to the server"].contains(&&got[..]));
    });
}

#[test]
fn the_udp_server_can_be_used_while_it_accepts() {
    let server = udp_server(b"127.0.0.1");
    let other = udp_peer("127.0.0.1");
    let to = other.local_addr().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            while !done.load(SeqCst) {
                send_to(&server, b"x", to)?;
                server.local_addr()?;
            }
            std::io::Result::Ok(())
        });
        for _ in 0..200 {
            let _peer = knocking(&server, "127.0.0.1", b"hi");
            let new = sharing(Kind::Udp);
            server.accept(&new).unwrap();
            assert_eq!(server.status(), Status::Bound);
        }
        done.store(true, SeqCst);
        sender
            .join()
            .unwrap()
            .expect("the server has a descriptor all the time");
    });
}

#[test]
fn two_threads_never_accept_the_same_udp_peer() {
    let server = udp_server(b"127.0.0.1");
    let (first, second) = (sharing(Kind::Udp), sharing(Kind::Udp));
    thread::scope(|scope| {
        let one = scope.spawn(|| server.accept(&first));
        let two = scope.spawn(|| server.accept(&second));
        let peers = [
            knocking(&server, "127.0.0.1", b"1"),
            knocking(&server, "127.0.0.1", b"2"),
        ];
        // A datagram that was queued behind the other peer's is lost.
        until("both are accepted", || {
            peers.iter().for_each(|peer| _ = peer.send(b"again"));
            one.is_finished() && two.is_finished()
        });
        one.join().unwrap().unwrap();
        two.join().unwrap().unwrap();
    });
    assert_ne!(first.remote_addr().unwrap(), second.remote_addr().unwrap());
}

#[test]
fn a_server_connected_in_the_meantime_keeps_its_peer() {
    let server = udp_server(b"127.0.0.1");
    let peer = udp_peer("127.0.0.1");
    for _ in 0..100 {
        let new = sharing(Kind::Udp);
        let knock = knocking(&server, "127.0.0.1", b"hi");
        thread::scope(|scope| {
            let acceptor = scope.spawn(|| server.accept(&new));
            let _either = connect(&server, peer.local_addr().unwrap());
            let _either = acceptor.join().unwrap();
        });
        if server.status() == Status::Connected {
            server.send(b"hello").unwrap();
            assert_eq!(peer_receive(&peer), b"hello", "sent to the other one");
        }
        drop(knock);
        let port = server.local_addr().unwrap().port().to_string();
        server.close();
        new.close();
        server.bind(b"127.0.0.1", port.as_bytes()).unwrap();
    }
}
