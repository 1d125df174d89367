//! A capture takes its memory when it starts, and no more.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use anjay_net_socket::{Kind, Socket, SocketConfig};
use anjay_net_watch::capture::{self, Limits};
use anjay_net_watch::observer::{self, AddressPair};
use anjay_net_watch::report::EventKind;

struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all of it is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's layout.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: allocated above with that layout.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Reports that the writer surely has room for at once.
const BATCH: u32 = 100;

/// Bytes that a report takes in the file at least: an enhanced packet block.
const REPORT_MIN: u64 = 32;

#[test]
fn peers_and_connections_without_end_are_not_remembered() {
    const ROUNDS: u32 = 5;
    const BATCHES: u32 = 20;
    let path = std::env::temp_dir().join(format!("memory-{}.pcapng", std::process::id()));
    let udp = Socket::new(Kind::Udp, SocketConfig::default()).unwrap();
    udp.bind(b"0.0.0.0", b"").unwrap();
    let before = IN_USE.load(Relaxed);
    let limits = Limits {
        max_bytes: 64 << 20,
        ..Limits::DEFAULT
    };
    capture::start(&path, limits).unwrap();
    let peer = |number| SocketAddr::from((Ipv4Addr::from_bits(0x7f00_0001 + number), 5683));
    let mut len = 0;
    let mut in_use = Vec::new();
    for round in 0..ROUNDS {
        for batch in 0..BATCHES {
            let first = (round * BATCHES + batch) * BATCH;
            for number in first..first + BATCH {
                // Bound to the wildcard: the local address is asked for.
                observer::received(&udp, peer(number), b"from another peer", false);
                // One that is never closed, as far as the capture knows.
                let tcp = Socket::new(Kind::Tcp, SocketConfig::default()).unwrap();
                let addresses = AddressPair {
                    local: Some(peer(0)),
                    remote: Some(peer(number)),
                    target: None,
                };
                observer::changed(&tcp, EventKind::Connected, &addresses, None);
            }
            len = wait_for(&path, len + 2 * u64::from(BATCH) * REPORT_MIN);
        }
        in_use.push(IN_USE.load(Relaxed) - before);
    }
    capture::stop().unwrap();
    let after = IN_USE.load(Relaxed) - before;
    fs::remove_file(&path).unwrap();
    assert!(in_use.iter().all(|&bytes| bytes < 300 << 10), "{in_use:?}");
    // What waits to be written comes and goes.
    assert!(in_use[4] <= in_use[0] + (64 << 10), "{in_use:?}");
    // The counters of a socket are used again.
    assert!(after < 2048, "{after}");
}

/// Waits until the file has that length. The writer has all reports then, or
/// those that are left fit into the queue with the next ones.
fn wait_for(path: &Path, len: u64) -> u64 {
    loop {
        let now = fs::metadata(path).unwrap().len();
        if now >= len {
            return now;
        }
        thread::yield_now();
    }
}
