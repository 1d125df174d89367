//! Transfers.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::fs;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread;

use anjay_net_vtable::Kind;

use super::Contender;
use crate::{Transport, Wait};

/// What a small CoAP message weighs.
pub(super) const SIZE: usize = 100;

/// A small and a large write to a stream.
const SMALL: usize = 64;
const LARGE: usize = 64 * 1024;

/// A socket of the system at the other end, which never blocks.
pub(super) fn peer() -> UdpSocket {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_nonblocking(true).unwrap();
    peer
}

/// Connects both to each other.
fn to_peer<T: Transport>(peer: &UdpSocket, wait: Wait) -> T {
    let socket = T::to(Kind::Udp, peer.local_addr().unwrap(), wait);
    peer.connect(socket.local_addr()).unwrap();
    socket
}

/// Throws away what has come, so that sending goes on to find room.
pub(super) fn drain(peer: UdpSocket) -> impl FnMut(u64) {
    move |_| {
        let mut buf = [0; SIZE];
        while peer.recv(&mut buf).is_ok() {}
    }
}

/// Sends as many datagrams as will be received.
fn fill(peer: UdpSocket) -> impl FnMut(u64) {
    move |n| {
        for _ in 0..n {
            peer.send(&[7; SIZE]).unwrap();
        }
    }
}

pub(super) fn send<T: Transport>() -> Contender {
    let peer = peer();
    let socket: T = to_peer(&peer, Wait::No);
    let run = move |n| {
        for _ in 0..n {
            socket.send(&[7; SIZE]);
        }
    };
    Contender::new(run).prepared(drain(peer))
}

pub(super) fn send_to<T: Transport>() -> Contender {
    let peer = peer();
    let address = T::address(peer.local_addr().unwrap());
    let socket = T::bound(Wait::No);
    let run = move |n| {
        for _ in 0..n {
            socket.send_to(&[7; SIZE], &address);
        }
    };
    Contender::new(run).prepared(drain(peer))
}

fn receive_all<T: Transport>(socket: T, peer: UdpSocket) -> Contender {
    let run = move |n| {
        let mut buf = [0; 2 * SIZE];
        for _ in 0..n {
            assert!(socket.receive(&mut buf) == Some(SIZE));
        }
    };
    Contender::new(run).prepared(fill(peer))
}

pub(super) fn receive<T: Transport>() -> Contender {
    let peer = peer();
    receive_all(to_peer::<T>(&peer, Wait::No), peer)
}

/// The same with a socket that was bound before it was connected.
pub(super) fn receive_bound<T: Transport>() -> Contender {
    let peer = peer();
    let socket = T::bound(Wait::No);
    socket.connect(&T::address(peer.local_addr().unwrap()));
    peer.connect(socket.local_addr()).unwrap();
    receive_all(socket, peer)
}

pub(super) fn receive_nothing<T: Transport>() -> Contender {
    let peer = peer();
    let socket: T = to_peer(&peer, Wait::No);
    Contender::new(move |n| {
        let mut buf = [0; 2 * SIZE];
        for _ in 0..n {
            assert!(socket.receive(&mut buf).is_none());
        }
        // Without it, each receive would hear that nobody is there.
        let _ = &peer;
    })
}

pub(super) fn receive_from<T: Transport>() -> Contender {
    let peer = peer();
    let socket = T::bound(Wait::No);
    peer.connect(socket.local_addr()).unwrap();
    let run = move |n| {
        let mut buf = [0; 2 * SIZE];
        for _ in 0..n {
            socket.receive_from(&mut buf);
        }
    };
    Contender::new(run).prepared(fill(peer))
}

/// Tells a helper thread to end when the contender goes.
struct Stop<F: Fn()>(F);

impl<F: Fn()> Drop for Stop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// One datagram there, one back.
pub(super) fn ping_pong<T: Transport>() -> Contender {
    let (socket, echo) = (T::bound(Wait::Second), T::bound(Wait::Second));
    socket.connect(&T::address(echo.local_addr()));
    echo.connect(&T::address(socket.local_addr()));
    let socket = Arc::new(socket);
    thread::spawn(move || {
        let mut buf = [0; SIZE];
        loop {
            match echo.receive(&mut buf) {
                // The sign to stop.
                Some(0) => return,
                Some(len) => echo.send(&buf[..len]),
                // A pause between two runs.
                None => {}
            }
        }
    });
    let last = Arc::clone(&socket);
    let stop = Stop(move || last.send(&[]));
    Contender::new(move |n| {
        let _ = &stop;
        let mut buf = [0; SIZE];
        for _ in 0..n {
            socket.send(&[7; SIZE]);
            assert!(socket.receive(&mut buf) == Some(SIZE));
        }
    })
}

/// A receive that begins before the datagram is sent: the other thread looks
/// until this one waits.
pub(super) fn wait<T: Transport>() -> Contender {
    let peer = peer();
    let socket: T = to_peer(&peer, Wait::Second);
    let wanted = Arc::new(AtomicU64::new(0));
    let stopped = Arc::new(AtomicBool::new(false));
    // SAFETY: no memory is passed.
    let receiver = unsafe { libc::gettid() };
    let (asked, ended) = (Arc::clone(&wanted), Arc::clone(&stopped));
    thread::spawn(move || {
        let mut sent = 0;
        while !ended.load(SeqCst) {
            if sent < asked.load(SeqCst) && waits(receiver) {
                sent += 1;
                peer.send(&[7; SIZE]).unwrap();
            }
            thread::yield_now();
        }
    });
    let stop = Stop(move || stopped.store(true, SeqCst));
    Contender::new(move |n| {
        let _ = &stop;
        let mut buf = [0; SIZE];
        for _ in 0..n {
            wanted.fetch_add(1, SeqCst);
            assert!(socket.receive(&mut buf) == Some(SIZE));
        }
    })
}

/// Whether a thread of this process waits for a datagram: in poll(2) or inside
/// recvmsg(2). One that a tracer stopped there, or that was not given the
/// processor, does not.
fn waits(thread: i32) -> bool {
    fs::read_to_string(format!("/proc/self/task/{thread}/wchan"))
        .is_ok_and(|place| place.contains("poll") || place.contains("skb_wait_for_more"))
}

pub(super) fn send_stream<T: Transport>() -> Contender {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = T::to(Kind::Tcp, listener.local_addr().unwrap(), Wait::Second);
    let (mut peer, _) = listener.accept().unwrap();
    peer.set_nonblocking(true).unwrap();
    let run = move |n| {
        for _ in 0..n {
            socket.send(&[7; SMALL]);
        }
    };
    Contender::new(run).prepared(move |_| {
        let mut buf = [0; LARGE];
        while peer.read(&mut buf).is_ok_and(|len| len > 0) {}
    })
}

/// A large buffer that begins with a page: how fast the kernel copies depends
/// on where it begins, and both contenders must have the same luck.
#[repr(align(4096))]
struct Large([u8; LARGE]);

/// Large writes to a thread that reads them, both ends over the transport. The
/// reader answers with a byte when it has read as much as was announced.
pub(super) fn bulk<T: Transport>() -> Contender {
    let (writer, reader) = T::tcp_pair();
    let announced = Arc::new(AtomicU64::new(u64::MAX));
    let target = Arc::clone(&announced);
    thread::spawn(move || {
        let mut buf = Large([0; LARGE]);
        let mut total = 0;
        loop {
            match reader.receive(&mut buf.0) {
                // The end of the stream, when the writer goes.
                Some(0) => return,
                len => total += len.unwrap_or(0) as u64,
            }
            if total == target.load(SeqCst) {
                reader.send(&[1]);
                total = 0;
            }
        }
    });
    Contender::new(move |n| {
        let data = Large([7; LARGE]);
        announced.store(n * LARGE as u64, SeqCst);
        for _ in 0..n {
            writer.send(&data.0);
        }
        assert!(writer.receive(&mut [0]) == Some(1));
    })
}
