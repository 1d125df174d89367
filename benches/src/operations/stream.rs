//! Transfers over TCP.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::{Contender, Transport};

/// A small write, and a large one.
const SMALL: usize = 64;
const LARGE: usize = 64 * 1024;

/// A large buffer that begins with a page: how fast the kernel copies depends
/// on where it begins, and both contenders must have the same luck.
#[repr(align(4096))]
struct Large([u8; LARGE]);

/// send of a few bytes.
pub(super) struct Send<T> {
    socket: T,
    peer: TcpStream,
}

impl<T: Transport> Send<T> {
    pub(super) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = T::tcp_to(listener.local_addr().unwrap());
        let (peer, _) = listener.accept().unwrap();
        peer.set_nonblocking(true).unwrap();
        Send { socket, peer }
    }
}

impl<T: Transport> Contender for Send<T> {
    fn prepare(&mut self, _n: u64) {
        let mut buf = [0; LARGE];
        while self.peer.read(&mut buf).is_ok_and(|len| len > 0) {}
    }

    fn run(&mut self, n: u64) {
        let data = [7; SMALL];
        for _ in 0..n {
            self.socket.send(&data);
        }
    }
}

/// Large writes to a thread that reads them, both ends over the transport.
pub(super) struct Bulk<T: Transport> {
    writer: Option<T>,
    /// The reader says a byte when it has read so many in total.
    target: Arc<AtomicU64>,
    reader: Option<JoinHandle<()>>,
}

impl<T: Transport> Bulk<T> {
    pub(super) fn new() -> Self {
        let (writer, reader) = T::tcp_pair();
        let target = Arc::new(AtomicU64::new(u64::MAX));
        let reader = thread::spawn({
            let target = Arc::clone(&target);
            move || {
                let mut buf = Large([0; LARGE]);
                let mut total = 0;
                loop {
                    match reader.receive_stream(&mut buf.0) {
                        0 => return,
                        len => total += len as u64,
                    }
                    if total == target.load(Relaxed) {
                        reader.send(&[1]);
                        total = 0;
                    }
                }
            }
        });
        Bulk {
            writer: Some(writer),
            target,
            reader: Some(reader),
        }
    }
}

impl<T: Transport> Contender for Bulk<T> {
    fn run(&mut self, n: u64) {
        let writer = self.writer.as_ref().expect("only drop takes it");
        let data = Large([7; LARGE]);
        self.target.store(n * LARGE as u64, Relaxed);
        for _ in 0..n {
            writer.send(&data.0);
        }
        assert!(writer.receive_stream(&mut [0]) == 1);
    }
}

impl<T: Transport> Drop for Bulk<T> {
    fn drop(&mut self) {
        // The end of the stream ends the reader.
        self.writer = None;
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}
