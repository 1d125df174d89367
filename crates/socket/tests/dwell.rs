//! Receives of sockets that wait time after time: they wait in the kernel's
//! receive, and nobody can tell but by the number of system calls.

mod common;

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use anjay_net_socket::Socket;
use common::*;

/// Long enough for a kernel's timer.
const WAIT: Duration = Duration::from_millis(200);

/// Lets `socket` wait in poll, twice, so often that it dwells if it may;
/// `answer` makes it receive 1 byte.
fn accustom(socket: &Socket, mut answer: impl FnMut() + Send) {
    for _ in 0..2 {
        let received = interrupt_in(Waiter::await_poll, || receive(socket), &mut answer).result;
        assert_eq!(received.unwrap(), [1]);
    }
}

/// A UDP socket that dwells, and its peer.
fn dwelling_udp(patience: Duration) -> (Socket, std::net::UdpSocket) {
    let (socket, peer) = udp_pair();
    common::patience(&socket, patience);
    accustom(&socket, || assert_eq!(peer.send(&[1]).unwrap(), 1));
    (socket, peer)
}

/// A TCP socket that dwells, and its peer.
fn dwelling_tcp(patience: Duration) -> (Socket, std::net::TcpStream) {
    let (socket, peer) = tcp_pair();
    common::patience(&socket, patience);
    accustom(&socket, || io::Write::write_all(&mut &peer, &[1]).unwrap());
    (socket, peer)
}

/// What happened while a call waited in the kernel's receive.
fn interrupt_dwelling<T: Send>(
    call: impl FnOnce() -> T + Send,
    interruption: impl FnOnce(),
) -> Interrupted<T> {
    interrupt_in(Waiter::await_dwell, call, interruption)
}

fn is_non_blocking(socket: &Socket) -> bool {
    // SAFETY: the socket is open meanwhile.
    let fd = unsafe { BorrowedFd::borrow_raw(number(socket)) };
    socket2::SockRef::from(&fd).nonblocking().unwrap()
}

#[test]
fn after_two_waits_a_receive_waits_in_the_kernel() {
    let (udp, udp_peer) = dwelling_udp(LONG);
    let (tcp, tcp_peer) = dwelling_tcp(LONG);
    // Not once: it stays so.
    for _ in 0..2 {
        let answer = || assert_eq!(udp_peer.send(&[7]).unwrap(), 1);
        let received = interrupt_dwelling(|| receive(&udp), answer).result;
        assert_eq!(received.unwrap(), [7]);
        let call = || udp.receive_from(&mut [0; 9]);
        let (received, from) = interrupt_dwelling(call, answer).result.unwrap();
        assert_eq!((received.len, from), (1, udp_peer.local_addr().unwrap()));
        let answer = || io::Write::write_all(&mut &tcp_peer, &[7]).unwrap();
        let received = interrupt_dwelling(|| receive(&tcp), answer).result;
        assert_eq!(received.unwrap(), [7]);
    }
}

#[test]
fn an_empty_datagram_ends_such_a_wait_as_any_other() {
    let (socket, peer) = dwelling_udp(LONG);
    let answer = || assert_eq!(peer.send(&[]).unwrap(), 0);
    let received = interrupt_dwelling(|| receive(&socket), answer).result;
    assert_eq!(received.unwrap(), []);
}

#[test]
fn close_ends_such_a_wait() {
    let (udp, _udp_peer) = dwelling_udp(LONG);
    let (tcp, _tcp_peer) = dwelling_tcp(LONG);
    for socket in [&udp, &tcp] {
        let close = || assert!(socket.close().is_none());
        let ended = interrupt_dwelling(|| receive(socket), close);
        assert_eq!(errno(ended.result), libc::EBADF);
        assert!(ended.took < AT_ONCE, "woken after {:?}", ended.took);
    }
}

#[test]
fn shutdown_ends_such_a_wait_and_what_arrived_can_still_be_received() {
    let (udp, udp_peer) = dwelling_udp(LONG);
    let shutdown = || udp.shutdown().unwrap();
    let ended = interrupt_dwelling(|| receive(&udp), shutdown);
    assert_eq!(errno(ended.result), libc::ECONNABORTED);
    assert!(ended.took < AT_ONCE, "woken after {:?}", ended.took);

    let (udp, _) = (dwelling_udp(LONG), udp_peer);
    udp.1.send(&[]).unwrap();
    udp.1.send(&[2]).unwrap();
    udp.0.shutdown().unwrap();
    assert_eq!(receive(&udp.0).unwrap(), []);
    assert_eq!(receive(&udp.0).unwrap(), [2]);
    assert_eq!(errno(receive(&udp.0)), libc::ECONNABORTED);

    let (tcp, _tcp_peer) = dwelling_tcp(LONG);
    let ended = interrupt_dwelling(|| receive(&tcp), || tcp.shutdown().unwrap());
    assert_eq!(ended.result.unwrap(), []);
}

#[test]
fn a_refusal_and_the_end_of_a_stream_end_such_a_wait() {
    let (udp, udp_peer) = dwelling_udp(LONG);
    let refuse = || {
        drop(udp_peer);
        udp.send(&[1]).unwrap();
    };
    let ended = interrupt_dwelling(|| receive(&udp), refuse);
    assert_eq!(errno(ended.result), libc::ECONNREFUSED);

    let (tcp, tcp_peer) = dwelling_tcp(LONG);
    let ended = interrupt_dwelling(|| receive(&tcp), || drop(tcp_peer));
    assert_eq!(ended.result.unwrap(), []);
}

#[test]
fn such_a_wait_is_never_early_and_hardly_late() {
    let (udp, _udp_peer) = dwelling_udp(WAIT);
    let (tcp, _tcp_peer) = dwelling_tcp(WAIT);
    for socket in [&udp, &tcp] {
        for _ in 0..3 {
            let start = Instant::now();
            let ended = interrupt_dwelling(|| (receive(socket), start.elapsed()), || {}).result;
            assert_eq!(errno(ended.0), libc::ETIMEDOUT);
            assert!(ended.1 >= WAIT && ended.1 < WAIT + AT_ONCE, "{:?}", ended.1);
        }
        assert_eq!(socket.stats().timed_out, 3);
    }
}

#[test]
fn signals_neither_end_such_a_wait_nor_begin_it_anew() {
    let (udp, _udp_peer) = dwelling_udp(WAIT);
    let (tcp, _tcp_peer) = dwelling_tcp(WAIT);
    for socket in [&udp, &tcp] {
        let start = Instant::now();
        let result = under_signals(|| receive(socket));
        let took = start.elapsed();
        assert_eq!(errno(result), libc::ETIMEDOUT);
        assert!(took >= WAIT && took < WAIT + AT_ONCE, "{took:?}");
        assert!(socket.stats().retries > 0, "no signal came");
    }
}

#[test]
fn a_new_receive_timeout_holds_at_once() {
    let (socket, peer) = dwelling_udp(LONG);
    interrupt_dwelling(
        || receive(&socket),
        || assert_eq!(peer.send(&[1]).unwrap(), 1),
    );
    for time in [Duration::ZERO, SHORT, WAIT] {
        patience(&socket, time);
        let start = Instant::now();
        assert_eq!(errno(receive(&socket)), libc::ETIMEDOUT);
        let took = start.elapsed();
        assert!(took >= time && took < time + AT_ONCE, "{took:?}");
    }
}

#[test]
fn who_asks_for_the_descriptor_gets_a_non_blocking_one() {
    let (socket, peer) = dwelling_udp(LONG);
    let answer = || assert_eq!(peer.send(&[1]).unwrap(), 1);
    interrupt_dwelling(|| receive(&socket), answer);
    assert!(is_non_blocking(&socket));
    // And it stays so: receives wait in poll again.
    accustom(&socket, answer);
    accustom(&socket, answer);
    assert!(is_non_blocking(&socket));
    // A wait that was under way when somebody asked ends as it would have.
    let (socket, peer) = dwelling_udp(WAIT);
    let ask = || assert!(is_non_blocking(&socket));
    let call = || (Instant::now(), receive(&socket), Instant::now());
    let (start, result, end) = interrupt_dwelling(call, ask).result;
    assert_eq!(errno(result), libc::ETIMEDOUT);
    assert!(end - start >= WAIT);
    drop(peer);
}

#[test]
fn short_waits_and_sockets_without_a_peer_stay_with_poll() {
    let (socket, peer) = udp_pair();
    patience(&socket, WAIT - Duration::from_millis(1));
    for _ in 0..4 {
        assert_eq!(errno(receive(&socket)), libc::ETIMEDOUT);
    }
    accustom(&socket, || assert_eq!(peer.send(&[1]).unwrap(), 1));
    accustom(&socket, || assert_eq!(peer.send(&[1]).unwrap(), 1));

    let (bound, addr) = bound_udp();
    patience(&bound, LONG);
    for _ in 0..2 {
        accustom(&bound, || assert_eq!(peer_to(addr).send(&[1]).unwrap(), 1));
    }
}

fn peer_to(addr: std::net::SocketAddr) -> std::net::UdpSocket {
    let peer = udp_peer("127.0.0.1");
    peer.connect(addr).unwrap();
    peer
}
