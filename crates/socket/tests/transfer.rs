//! send, send_to, receive, receive_from.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use anjay_net_socket::Received;
use common::*;

/// Ends the connection by a reset instead of an end of the stream.
fn reset(peer: TcpStream) {
    let peer = socket2::Socket::from(peer);
    peer.set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_reset_is_reported_by_every_receive_until_close() {
    let (socket, peer) = tcp_pair();
    reset(peer);
    for _ in 0..3 {
        assert_eq!(errno(socket.receive(&mut [0; 9])), libc::ECONNRESET);
        // Nothing fits into no buffer, but the stream is broken all the same.
        assert_eq!(errno(socket.receive(&mut [])), libc::ECONNRESET);
        assert_eq!(errno(socket.receive_from(&mut [0; 9])), libc::ECONNRESET);
    }
    socket.close();
    assert_eq!(errno(socket.receive(&mut [0; 9])), libc::EBADF);
}

#[test]
fn a_reset_that_send_saw_is_reported_by_receive() {
    let (socket, peer) = tcp_pair();
    reset(peer);
    assert_eq!(errno(socket.send(b"x")), libc::ECONNRESET);
    assert_eq!(errno(socket.receive(&mut [0; 9])), libc::ECONNRESET);
}

#[test]
fn a_reset_does_not_break_the_next_connection() {
    let (socket, peer) = tcp_pair();
    reset(peer);
    assert_eq!(errno(socket.receive(&mut [0; 9])), libc::ECONNRESET);
    socket.close();

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    connect(&socket, listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive(&socket).unwrap(), b"");
}

#[test]
fn no_bytes_are_the_end_of_a_stream_and_say_so_again() {
    let (socket, peer) = tcp_pair();
    (&peer).write_all(b"bye").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive(&socket).unwrap(), b"bye");
    for _ in 0..3 {
        assert_eq!(receive(&socket).unwrap(), b"");
    }
    // The other direction is open.
    socket.send(b"and you").unwrap();
    let mut text = [0; 7];
    (&peer).read_exact(&mut text).unwrap();
    assert_eq!(&text, b"and you");
}

#[test]
fn an_empty_buffer_takes_nothing_from_a_stream() {
    let (socket, mut peer) = tcp_pair();
    peer.write_all(b"data").unwrap();
    let nothing = Received {
        len: 0,
        truncated: false,
    };
    assert_eq!(socket.receive(&mut []).unwrap(), nothing);
    assert_eq!(receive(&socket).unwrap(), b"data");
}
