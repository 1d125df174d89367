//! send, send_to, receive, receive_from.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anjay_net_resolve::Family;
use anjay_net_socket::stats::Event;
use anjay_net_socket::{Settings, Status};
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
        assert_eq!(errno(socket.receive(&mut [0; 9])), libc::ECONNRESET);
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
    assert_eq!(socket.receive(&mut []).unwrap().len, 0);
    assert_eq!(receive(&socket).unwrap(), b"data");
}

#[test]
fn a_datagram_is_whole_or_said_to_be_cut() {
    let (socket, peer) = udp_pair();
    for (sent, room) in [(9, 9), (9, 8), (9, 1), (9, 0), (1, 0)] {
        peer.send(&b"123456789"[..sent]).unwrap();
        let mut buf = vec![0; room];
        let (received, from) = socket.receive_from(&mut buf).unwrap();
        let expected = (sent.min(room), sent > room, peer.local_addr().unwrap());
        let found = (received.len, received.truncated, from);
        assert_eq!(found, expected, "{sent} bytes into {room}");
        assert_eq!(buf[..received.len], b"123456789"[..received.len]);
    }
    let stats = socket.stats();
    assert_eq!(stats.count(Event::Truncated), 4);
    assert_eq!(stats.bytes_received, 9 + 8 + 1, "what was delivered");
    assert_eq!(stats.receives, 5);
}

#[test]
fn empty_and_largest_datagrams_are_sent() {
    let (socket, peer) = udp_pair();
    for len in [0, 1, 65_507] {
        socket.send(&vec![7; len]).unwrap();
        assert_eq!(peer_receive(&peer).len(), len);
    }
    assert_eq!(errno(socket.send(&vec![7; 65_508])), libc::EMSGSIZE);
    let sent = socket.stats();
    assert_eq!((sent.sends, sent.bytes_sent), (3, 65_508));
}

#[test]
fn a_refusal_is_reported_once_by_receive_and_never_costs_a_datagram() {
    let (socket, peer) = udp_pair();
    patience(&socket, SHORT);
    drop(peer);
    socket.send(b"x").unwrap();
    assert_eq!(errno(receive(&socket)), libc::ECONNREFUSED);
    assert_eq!(errno(receive(&socket)), libc::ETIMEDOUT);
    // Also where nothing is waited for.
    patience(&socket, Duration::ZERO);
    socket.send(b"x").unwrap();
    assert_eq!(errno(receive(&socket)), libc::ECONNREFUSED);
    assert_eq!(errno(receive(&socket)), libc::ETIMEDOUT);
    let port = socket.remote_addr().unwrap().port();
    socket.send(b"x").unwrap();
    // The server is back, and the error of the datagram before still waits.
    let peer = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    socket.send(b"y").unwrap();
    assert_eq!(peer_receive(&peer), b"y");
    assert_eq!(errno(receive(&socket)), libc::ETIMEDOUT);
    assert_eq!(socket.status(), Status::Connected);
    assert_eq!(socket.stats().count(Event::Refused), 2);
    assert_eq!(socket.stats().count(Event::IcmpError), 3);
}

#[test]
fn a_refusal_wakes_a_receive() {
    let (socket, peer) = udp_pair();
    drop(peer);
    let ended = interrupt(|| receive(&socket), || socket.send(b"x").unwrap());
    assert_eq!(errno(ended.result), libc::ECONNREFUSED);
    assert!(ended.took < AT_ONCE);
}

#[test]
fn send_to_reaches_whoever_is_named() {
    for (own, host) in [
        (&b"127.0.0.1"[..], "127.0.0.1"),
        (b"::1", "::1"),
        (b"::", "127.0.0.1"),
        (b"::", "::1"),
        (b"0.0.0.0", "127.0.0.1"),
    ] {
        let peer = udp_peer(host);
        let to = peer.local_addr().unwrap();
        let (socket, _) = bind(udp(), own);
        send_to(&socket, b"numeric", to).unwrap();
        assert_eq!(peer_receive(&peer), b"numeric");
        assert_eq!(socket.bytes_sent(), 7);
        assert_eq!(socket.status(), Status::Bound);
    }
}

#[test]
fn send_to_takes_v4_mapped_literals_on_ipv4_sockets() {
    let peer = udp_peer("127.0.0.1");
    let port = peer.local_addr().unwrap().port().to_string();
    let (socket, local) = bound_udp();
    socket
        .send_to(b"mapped", b"::ffff:127.0.0.1", port.as_bytes())
        .unwrap();
    assert_eq!(peer_receive(&peer), b"mapped");
    assert_eq!(socket.local_addr().unwrap(), local);
    assert_eq!(socket.descriptor_family(), Some(Family::V4));
    socket.set_forced_family(Some(Family::V4));
    socket
        .send_to(b"again", b"::ffff:127.0.0.1", port.as_bytes())
        .unwrap();
    assert_eq!(peer_receive(&peer), b"again");
}

#[test]
fn send_to_refuses_text_that_is_no_address_and_other_families() {
    let (socket, _) = bound_udp();
    for (host, port) in [
        ("", "9"),
        ("127.0.0.1", "65536"),
        ("127.0.0.1", "nine"),
        ("127.1", "9"),
        ("[::1", "9"),
        ("::1", "9"),
    ] {
        let result = socket.send_to(b"x", host.as_bytes(), port.as_bytes());
        assert_eq!(errno(result), libc::EADDRNOTAVAIL, "{host:?} {port:?}");
    }
    assert_eq!(socket.stats().sends, 0);
    assert_eq!(socket.status(), Status::Bound);
}

#[test]
fn send_to_by_name() {
    let peer = udp_peer("127.0.0.1");
    let port = peer.local_addr().unwrap().port().to_string();
    let (socket, _) = bound_udp();
    socket.send_to(b"x", b"localhost", port.as_bytes()).unwrap();
    assert_eq!(peer_receive(&peer), b"x");
}

#[test]
fn tcp_ignores_the_address_of_send_to_and_tells_its_peer_to_receive_from() {
    let (socket, mut peer) = tcp_pair();
    socket
        .send_to(b"hello", b"not an address", b"no port")
        .unwrap();
    let mut text = [0; 5];
    peer.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"hello");
    peer.write_all(b"back").unwrap();
    let received = socket.receive(&mut [0; 99]).unwrap();
    let from = socket.remote_addr().unwrap();
    assert_eq!(received.len, 4);
    assert_eq!(from, peer.local_addr().unwrap());
}

#[test]
fn a_stream_is_sent_whole_and_counted_exactly() {
    const SIZE: usize = 8 << 20;
    let (socket, mut peer) = tcp_pair();
    let data: Vec<u8> = (0..SIZE).map(|index| (index % 251) as u8).collect();
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut all = vec![0; SIZE];
            peer.read_exact(&mut all).unwrap();
            all
        });
        socket.send(&data).unwrap();
        assert!(reader.join().unwrap() == data);
    });
    let stats = socket.stats();
    assert_eq!(stats.bytes_sent, SIZE as u64);
    assert!(
        stats.count(Event::ShortWrite) > 0,
        "this was to be about short writes"
    );
}

#[test]
fn a_send_that_fails_in_the_middle_counts_what_went_out() {
    let (socket, peer) = tcp_pair();
    let ended = interrupt(|| socket.send(&vec![0; 64 << 20]), || reset(peer));
    assert_eq!(errno(ended.result), libc::ECONNRESET);
    let sent = socket.bytes_sent();
    assert!(sent > 0 && sent < 64 << 20, "{sent}");
    assert_eq!(errno(socket.receive(&mut [0; 9])), libc::ECONNRESET);
}

#[test]
fn a_send_without_progress_ends_in_time() {
    let mut settings = Settings::current();
    settings.send_timeout = Duration::from_millis(100);
    settings.install().unwrap();
    let (socket, _peer) = tcp_pair();
    let start = Instant::now();
    assert_eq!(errno(socket.send(&vec![0; 64 << 20])), libc::ETIMEDOUT);
    assert!(start.elapsed() >= settings.send_timeout);
    // The next one makes no progress at all.
    while socket.send(b"x").is_ok() {}
    let sent = socket.bytes_sent();
    let start = Instant::now();
    assert_eq!(errno(socket.send(b"x")), libc::ETIMEDOUT);
    let took = start.elapsed();
    assert!(took >= settings.send_timeout && took < settings.send_timeout + AT_ONCE);
    assert_eq!(socket.bytes_sent(), sent);
    assert_eq!(socket.status(), Status::Connected);
}

#[test]
fn signals_neither_end_a_wait_nor_begin_it_anew() {
    let (udp, _udp_peer) = udp_pair();
    let (tcp, _tcp_peer) = tcp_pair();
    let wait = Duration::from_millis(60);
    for socket in [&udp, &tcp] {
        patience(socket, wait);
        let start = Instant::now();
        let result = under_signals(|| socket.receive(&mut [0; 9]));
        let took = start.elapsed();
        assert_eq!(errno(result), libc::ETIMEDOUT);
        assert!(took >= wait && took < wait + AT_ONCE, "{took:?}");
    }
}

#[test]
fn two_receives_share_a_socket_and_each_datagram_goes_to_one() {
    let (socket, peer) = udp_pair();
    patience(&socket, LONG);
    const EACH: usize = 500;
    let sums = thread::scope(|scope| {
        let receivers = [(); 2].map(|()| {
            scope.spawn(|| {
                let mut sum = 0usize;
                loop {
                    let datagram = receive(&socket).unwrap();
                    match datagram.as_slice().try_into() {
                        Ok(number) => sum += usize::from_ne_bytes(number),
                        Err(_end) => return sum,
                    }
                }
            })
        });
        for number in 0..EACH {
            peer.send(&number.to_ne_bytes()).unwrap();
            if number % 50 == 0 {
                until("they keep up", || socket.stats().receives > number as u64);
            }
        }
        until("all but the ends", || {
            socket.stats().receives == EACH as u64
        });
        peer.send(b"end").unwrap();
        peer.send(b"end").unwrap();
        receivers.map(|receiver| receiver.join().unwrap())
    });
    assert_eq!(sums.iter().sum::<usize>(), EACH * (EACH - 1) / 2);
}

#[test]
fn a_datagram_is_read_by_the_receive_that_it_wakes() {
    let (socket, peer) = udp_pair();
    for number in 0..50u8 {
        let ended = interrupt(
            || socket.receive_from(&mut [0; 9]),
            || assert_eq!(peer.send(&[number]).unwrap(), 1),
        );
        let (received, from) = ended.result.unwrap();
        assert_eq!((received.len, from), (1, peer.local_addr().unwrap()));
        assert!(ended.took < AT_ONCE);
    }
}

#[test]
fn send_to_takes_an_icmp_error_and_goes_on_also_in_the_other_family() {
    let peer = udp_peer("127.0.0.1");
    let silent = free_port("::1");
    for to in ["127.0.0.1", "::ffff:127.0.0.1"] {
        let socket = udp();
        connect(&socket, silent).unwrap();
        socket.send(b"x").unwrap();
        let port = peer.local_addr().unwrap().port().to_string();
        socket
            .send_to(b"y", to.as_bytes(), port.as_bytes())
            .unwrap();
        assert_eq!(peer_receive(&peer), b"y", "{to}");
    }
}
