//! A process that is forked while a capture runs and others send.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::SystemTime;

use anjay_net_socket::{Kind, Socket, SocketConfig};
use anjay_net_watch::capture::{self, Limits};
use anjay_net_watch::observer;

/// Enough that the writer is everywhere at the moment of one of them.
const FORKS: usize = 1000;

#[test]
fn reports_of_a_forked_process_wait_for_nobody() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = peer.local_addr().unwrap().port().to_string();
    let connected = || {
        let socket = Socket::new(Kind::Udp, SocketConfig::default()).unwrap();
        socket.connect(b"127.0.0.1", port.as_bytes(), None).unwrap();
        socket
    };
    // A socket may be locked by a thread that is not there after the fork.
    let (of_parent, of_child) = (connected(), connected());
    let path = std::env::temp_dir().join(format!("fork-{}.pcapng", std::process::id()));
    let limits = Limits {
        max_bytes: 4096,
        ..Limits::DEFAULT
    };
    capture::start(&path, limits).unwrap();
    let over = AtomicBool::new(false);
    let report = |socket| observer::sent(socket, SystemTime::now(), None, b"data");
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(SeqCst) {
                report(&of_parent);
                thread::yield_now();
            }
        });
        let ended_well = (0..FORKS).all(|_| {
            // SAFETY: the child takes no lock but what this test is about.
            let child = unsafe { libc::fork() };
            assert!(child >= 0);
            if child == 0 {
                // SAFETY: ends a child that waits; no memory is passed.
                unsafe { libc::alarm(5) };
                (0..10).for_each(|_| report(&of_child));
                // SAFETY: nothing of the parent's is run at the end.
                unsafe { libc::_exit(0) };
            }
            let mut status = 0;
            // SAFETY: the place is writable.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            status == 0
        });
        over.store(true, SeqCst);
        assert!(ended_well, "a child waited for a thread of its parent");
    });
    capture::stop().unwrap();
    for end in ["pcapng", "pcapng.1"] {
        // The second is there only when the first was full.
        let _ = std::fs::remove_file(path.with_extension(end));
    }
}
