//! Two threads, one of which waits for the other.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::fs;
use std::net::UdpSocket;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::{Contender, Patience, Transport};

const SIZE: usize = 100;

/// One datagram there, one back.
pub(super) struct PingPong<T: Transport> {
    socket: T,
    echo: Option<JoinHandle<()>>,
}

impl<T: Transport> PingPong<T> {
    pub(super) fn new() -> Self {
        let (socket, here) = T::udp_bound(Patience::Second);
        let (echo, there) = T::udp_bound(Patience::Second);
        socket.connect_udp(there);
        echo.connect_udp(here);
        let echo = thread::spawn(move || {
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
        PingPong {
            socket,
            echo: Some(echo),
        }
    }
}

impl<T: Transport> Contender for PingPong<T> {
    fn run(&mut self, n: u64) {
        let data = [7; SIZE];
        let mut buf = [0; SIZE];
        for _ in 0..n {
            self.socket.send(&data);
            assert!(self.socket.receive(&mut buf) == Some(SIZE));
        }
    }
}

impl<T: Transport> Drop for PingPong<T> {
    fn drop(&mut self) {
        self.socket.send(&[]);
        if let Some(echo) = self.echo.take() {
            echo.join().unwrap();
        }
    }
}

/// A receive that begins before the datagram is sent: the other thread looks
/// until this one waits.
pub(super) struct Wait<T> {
    socket: T,
    shared: Arc<Shared>,
    sender: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    wanted: AtomicU64,
    stop: AtomicBool,
}

impl<T: Transport> Wait<T> {
    pub(super) fn new() -> Self {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = T::udp_to(peer.local_addr().unwrap(), Patience::Second);
        peer.connect(socket.local_addr()).unwrap();
        let shared = Arc::new(Shared::default());
        // SAFETY: no memory is passed.
        let receiver = unsafe { libc::gettid() };
        let sender = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let mut sent = 0;
                while !shared.stop.load(SeqCst) {
                    if sent < shared.wanted.load(SeqCst) && waits(receiver) {
                        sent += 1;
                        peer.send(&[7; SIZE]).unwrap();
                    }
                    thread::yield_now();
                }
            }
        });
        Wait {
            socket,
            shared,
            sender: Some(sender),
        }
    }
}

/// Whether a thread of this process waits for a datagram: in poll(2) or inside
/// recvmsg(2). One that a tracer stopped there, or that was not given the
/// processor, does not.
fn waits(thread: i32) -> bool {
    fs::read_to_string(format!("/proc/self/task/{thread}/wchan"))
        .is_ok_and(|place| place.contains("poll") || place.contains("skb_wait_for_more"))
}

impl<T: Transport> Contender for Wait<T> {
    fn run(&mut self, n: u64) {
        let mut buf = [0; SIZE];
        for _ in 0..n {
            self.shared.wanted.fetch_add(1, SeqCst);
            assert!(self.socket.receive(&mut buf) == Some(SIZE));
        }
    }
}

impl<T> Drop for Wait<T> {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        if let Some(sender) = self.sender.take() {
            sender.join().unwrap();
        }
    }
}
