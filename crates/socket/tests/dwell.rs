//! Receives of sockets that wait time after time: they wait in the kernel's
//! receive, and nobody can tell but by the number of system calls.

mod common;

use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use anjay_net_socket::stats::Event;
use anjay_net_socket::{Kind, Socket};
use common::*;
use socket2::{Domain, Protocol, Type};

/// Long enough for a kernel's timer.
const WAIT: Duration = Duration::from_millis(200);

/// Lets `socket` wait in poll so often that it dwells if it may; `answer` makes
/// it receive 1 byte.
fn accustom(socket: &Socket, mut answer: impl FnMut() + Send) {
    let waits = match socket.kind() {
        Kind::Tcp => 7,
        // In the last one it prepares.
        Kind::Udp => 8,
    };
    for _ in 0..waits {
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
fn after_many_waits_a_receive_waits_in_the_kernel() {
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
        assert_eq!(socket.stats().count(Event::TimedOut), 3);
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
        assert!(
            socket.stats().count(Event::SyscallRetried) > 0,
            "no signal came"
        );
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

fn peer_to(addr: SocketAddr) -> std::net::UdpSocket {
    let peer = udp_peer("127.0.0.1");
    peer.connect(addr).unwrap();
    peer
}

#[test]
fn nothing_in_time_is_not_the_end_of_a_stream_for_an_empty_buffer_either() {
    let (socket, _peer) = dwelling_tcp(WAIT);
    for _ in 0..2 {
        let start = Instant::now();
        assert_eq!(errno(socket.receive(&mut [])), libc::ETIMEDOUT);
        assert!(start.elapsed() >= WAIT, "{:?}", start.elapsed());
    }
}

#[test]
fn who_knows_the_descriptor_gets_no_blocking_one_when_connect_replaces_it() {
    let socket = udp();
    socket.bind(b"0.0.0.0", b"0").unwrap();
    let slot = socket.descriptor_slot().unwrap();
    let peer = udp_peer("::1");
    let port = peer.local_addr().unwrap().port().to_string();
    socket.connect(b"::1", port.as_bytes(), None).unwrap();
    peer.connect(socket.local_addr().unwrap()).unwrap();
    patience(&socket, LONG);
    let answer = || assert_eq!(peer.send(&[1]).unwrap(), 1);
    accustom(&socket, answer);
    let ended = interrupt(
        || receive(&socket),
        || {
            // SAFETY: the socket is open meanwhile.
            let fd = unsafe { BorrowedFd::borrow_raw(slot.load(SeqCst)) };
            let non_blocking = socket2::SockRef::from(&fd).nonblocking();
            answer();
            assert!(non_blocking.unwrap());
        },
    );
    assert_eq!(ended.result.unwrap(), [1]);
}

/// A datagram as the network breaks it: its checksum is wrong. The kernel looks
/// at those of short ones (CHECKSUM_BREAK) before they are queued.
fn send_broken(from: SocketAddr, to: SocketAddr) -> io::Result<()> {
    let raw = socket2::Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP))?;
    raw.bind(&SocketAddr::new(from.ip(), 0).into())?;
    const SIZE: u16 = 208;
    let header = [from.port(), to.port(), SIZE, 0x1234].map(u16::to_be_bytes);
    let mut datagram = [7; SIZE as usize];
    datagram[..8].copy_from_slice(header.as_flattened());
    let ip = SocketAddr::from(([127, 0, 0, 1], 0));
    raw.send_to(&datagram, &ip.into()).map(drop)
}

#[test]
fn broken_datagrams_do_not_prolong_such_a_wait() {
    const TIME: Duration = Duration::from_millis(600);
    let (socket, peer) = dwelling_udp(TIME);
    let (from, to) = (peer.local_addr().unwrap(), socket.local_addr().unwrap());
    match send_broken(from, to) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            eprintln!("not run: raw sockets are not allowed");
            return;
        }
        sent => sent.unwrap(),
    }
    // Oftener than the kernel's share of the wait ends, until long after it.
    let broken = || {
        for _ in 0..14 {
            std::thread::sleep(Duration::from_millis(100));
            send_broken(from, to).unwrap();
        }
    };
    let call = || (Instant::now(), receive(&socket), Instant::now());
    let (start, result, end) = interrupt_dwelling(call, broken).result;
    assert_eq!(errno(result), libc::ETIMEDOUT);
    assert!(
        end - start >= TIME && end - start < TIME + AT_ONCE,
        "{:?}",
        end - start
    );
}
