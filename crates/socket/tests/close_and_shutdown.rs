//! close and shutdown, also while another thread waits.

mod common;

use std::io::{Read, Write};
use std::time::Duration;

use anjay_net_socket::{Kind, Socket, Status};
use common::*;

/// Fills the way to a peer that does not read.
fn send_for_ever(socket: &Socket) -> anjay_net_socket::Result<()> {
    let piece = vec![0; 1 << 20];
    loop {
        socket.send(&piece)?;
    }
}

#[test]
fn close_wakes_a_udp_receive() {
    let (socket, _peer) = udp_pair();
    socket.set_receive_timeout(FOREVER);
    ends_with(libc::EBADF, || receive(&socket), close(&socket));
    assert_eq!(socket.status(), Status::Closed);
}

#[test]
fn close_wakes_a_receive_from_on_a_bound_socket() {
    let (socket, _) = bound_udp();
    let call = || socket.receive(&mut [0; 10]);
    ends_with(libc::EBADF, call, close(&socket));
}

#[test]
fn close_wakes_a_tcp_receive() {
    let (socket, _peer) = tcp_pair();
    ends_with(libc::EBADF, || receive(&socket), close(&socket));
}

#[test]
fn close_wakes_a_send() {
    let (socket, _peer) = tcp_pair();
    ends_with(libc::EBADF, || send_for_ever(&socket), close(&socket));
}

#[test]
fn close_wakes_a_tcp_accept() {
    let (listener, _) = listening();
    let new = tcp();
    ends_with(libc::EBADF, || listener.accept(&new), close(&listener));
    assert_eq!(new.status(), Status::Closed);
}

#[test]
fn close_wakes_a_udp_accept() {
    let (server, _) = bind(sharing(Kind::Udp), "127.0.0.1");
    let new = sharing(Kind::Udp);
    ends_with(libc::EBADF, || server.accept(&new), close(&server));
    assert_eq!(new.status(), Status::Closed);
}

#[test]
fn close_of_the_new_socket_ends_an_accept_and_leaves_the_listener() {
    let (listener, addr) = listening();
    let new = tcp();
    ends_with(libc::EBADF, || listener.accept(&new), close(&new));
    assert_eq!(listener.status(), Status::Bound);

    let _client = std::net::TcpStream::connect(addr).unwrap();
    listener.accept(&new).unwrap();
}

#[test]
fn close_wakes_a_connect() {
    let hole = Blackhole::new();
    let socket = tcp();
    ends_with(libc::EBADF, || connect(&socket, hole.addr), close(&socket));
    assert_eq!(socket.status(), Status::Closed);
}

#[test]
fn shutdown_wakes_a_udp_receive() {
    let (socket, _peer) = udp_pair();
    socket.set_receive_timeout(FOREVER);
    ends_with(libc::ECONNABORTED, || receive(&socket), shutdown(&socket));
    assert_eq!(socket.status(), Status::Shutdown);
}

#[test]
fn shutdown_wakes_a_receive_on_a_bound_udp_socket() {
    let (socket, addr) = bound_udp();
    ends_with(libc::ECONNABORTED, || receive(&socket), shutdown(&socket));
    assert_eq!(socket.local_addr().unwrap(), addr);
}

#[test]
fn shutdown_ends_the_stream_of_a_tcp_receive() {
    let (socket, _peer) = tcp_pair();
    let ended = interrupt(|| receive(&socket), shutdown(&socket));
    assert_eq!(ended.result.unwrap(), b"");
    assert!(ended.took < AT_ONCE);
}

#[test]
fn shutdown_wakes_a_send() {
    let (socket, _peer) = tcp_pair();
    let call = || send_for_ever(&socket);
    ends_with(libc::ECONNABORTED, call, shutdown(&socket));
    // One that begins after that learns what the kernel says.
    assert_eq!(errno(socket.send(b"x")), libc::EPIPE);
}

#[test]
fn shutdown_wakes_a_tcp_accept() {
    let (listener, _) = listening();
    let new = tcp();
    let call = || listener.accept(&new);
    ends_with(libc::ECONNABORTED, call, shutdown(&listener));
    assert_eq!(new.status(), Status::Closed);
}

#[test]
fn shutdown_wakes_a_udp_accept() {
    let (server, _) = bind(sharing(Kind::Udp), "127.0.0.1");
    let new = sharing(Kind::Udp);
    let call = || server.accept(&new);
    ends_with(libc::ECONNABORTED, call, shutdown(&server));
    assert_eq!(new.status(), Status::Closed);
}

#[test]
fn shutdown_of_the_new_socket_ends_an_accept() {
    let (listener, _) = listening();
    let new = tcp();
    let call = || listener.accept(&new);
    ends_with(libc::ECONNABORTED, call, shutdown(&new));
    assert_eq!(new.status(), Status::Closed);
    assert_eq!(listener.status(), Status::Bound);
}

#[test]
fn shutdown_wakes_a_connect() {
    let hole = Blackhole::new();
    let socket = tcp();
    let call = || connect(&socket, hole.addr);
    ends_with(libc::ECONNABORTED, call, shutdown(&socket));
    assert_eq!(socket.status(), Status::Closed);
}

#[test]
fn several_calls_that_wait_are_woken_together() {
    let (socket, _peer) = udp_pair();
    socket.set_receive_timeout(FOREVER);
    let other = Waiter::default();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            other.is_me();
            receive(&socket)
        });
        other.await_poll();
        ends_with(libc::EBADF, || receive(&socket), close(&socket));
        assert_eq!(errno(first.join().unwrap()), libc::EBADF);
    });
}

#[test]
fn a_shutdown_behind_our_back_does_not_make_udp_spin() {
    let (socket, _peer) = udp_pair();
    socket.set_receive_timeout(FOREVER);
    let call = || receive(&socket);
    ends_with(libc::ECONNABORTED, call, || shut_down_elsewhere(&socket));
}

#[test]
fn a_udp_accept_ends_after_a_shutdown_behind_our_back() {
    let (server, _) = bind(sharing(Kind::Udp), "127.0.0.1");
    server.set_receive_timeout(FOREVER);
    let call = || server.accept(&sharing(Kind::Udp));
    ends_with(libc::ECONNABORTED, call, || shut_down_elsewhere(&server));
}

/// As a process does that shares the descriptor.
fn shut_down_elsewhere(socket: &Socket) {
    // SAFETY: takes no memory.
    let result = unsafe { libc::shutdown(number(socket), libc::SHUT_RDWR) };
    // ENOTCONN on a socket that is only bound, and yet it works.
    assert!(result == 0 || std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOTCONN));
}

#[test]
fn udp_delivers_what_arrived_before_shutdown_and_then_aborts_at_once() {
    let (socket, peer) = udp_pair();
    peer.send(b"early").unwrap();
    socket.shutdown().unwrap();
    socket.set_receive_timeout(FOREVER);
    assert_eq!(receive(&socket).unwrap(), b"early");
    for _ in 0..3 {
        assert_eq!(errno(receive(&socket)), libc::ECONNABORTED);
        assert_eq!(errno(socket.receive(&mut [0; 9])), libc::ECONNABORTED);
    }
}

#[test]
fn tcp_delivers_what_arrived_before_shutdown_and_then_ends() {
    let (socket, mut peer) = tcp_pair();
    peer.write_all(b"early").unwrap();
    // Arrived, not under way.
    until("it arrived", || readable(&socket));
    socket.shutdown().unwrap();
    assert_eq!(receive(&socket).unwrap(), b"early");
    assert_eq!(socket.receive(&mut [0; 9]).unwrap().len, 0);
    assert_eq!(peer.read(&mut [0; 9]).unwrap(), 0, "the peer sees the end");
}

fn readable(socket: &Socket) -> bool {
    let mut poll = libc::pollfd {
        fd: number(socket),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one pollfd.
    unsafe { libc::poll(&mut poll, 1, 0) == 1 }
}

#[test]
fn addresses_can_be_asked_for_after_shutdown() {
    for socket in [udp_pair().0, tcp_pair().0] {
        let (local, remote) = (socket.local_addr().unwrap(), socket.remote_addr().unwrap());
        socket.shutdown().unwrap();
        assert_eq!(socket.local_addr().unwrap(), local);
        assert_eq!(socket.remote_addr().unwrap(), remote);
        let port = remote_port(&socket).unwrap();
        assert_eq!(port, port_text(remote));
    }
}

#[test]
fn shutdown_twice_is_fine_and_on_a_closed_socket_it_is_refused() {
    let (socket, _peer) = udp_pair();
    socket.shutdown().unwrap();
    socket.shutdown().unwrap();
    socket.close();
    assert_eq!(errno(socket.shutdown()), libc::EBADF);
    assert_eq!(socket.status(), Status::Closed);
}

#[test]
fn close_is_fine_from_every_state_and_again() {
    let closed = udp();
    let (bound, _) = bound_udp();
    let (listening, addr) = listening();
    let (connected, _peer) = tcp_pair();
    let _client = std::net::TcpStream::connect(addr).unwrap();
    let accepted = tcp();
    listening.accept(&accepted).unwrap();
    let (shut, _peer) = udp_pair();
    shut.shutdown().unwrap();
    for socket in [closed, bound, listening, connected, accepted, shut] {
        for _ in 0..2 {
            socket.close();
            assert_eq!(socket.status(), Status::Closed);
            assert!(socket.descriptor().is_none());
        }
    }
}

#[test]
fn what_arrives_when_the_socket_was_closed_is_not_delivered() {
    for _ in 0..200 {
        let (socket, peer) = udp_pair();
        patience(&socket, Duration::from_secs(5));
        let ended = interrupt(
            || receive(&socket),
            || {
                socket.close();
                let _refused = peer.send(b"late");
            },
        );
        assert_eq!(errno(ended.result), libc::EBADF);
    }
}
#[test]
fn the_port_can_be_bound_at_once_after_close_woke_a_receive() {
    let (socket, addr) = bound_udp();
    let port = addr.port().to_string();
    for _ in 0..200 {
        let ended = interrupt(
            || receive(&socket),
            || {
                socket.close();
                socket.bind(b"127.0.0.1", port.as_bytes()).unwrap();
            },
        );
        assert_eq!(errno(ended.result), libc::EBADF);
    }
}
