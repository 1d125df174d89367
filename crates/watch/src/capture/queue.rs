//! Reports on their way from the calls to the writer.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;

use anjay_net_socket::locks::{Condvar, Mutex};
use anjay_net_socket::{Kind, Result};

use crate::observer::Direction;
use crate::report::EventKind;

/// Reports that may wait for the writer.
const REPORTS_MAX: usize = 256;

/// Bytes of payload that may wait for the writer.
const BYTES_MAX: usize = 1 << 20;

/// What a call reported.
pub(super) struct Report {
    pub(super) at: SystemTime,
    pub(super) socket: u32,
    pub(super) transport: Kind,
    pub(super) content: Content,
    /// The payload, or the text of an event.
    pub(super) bytes: Vec<u8>,
}

pub(super) enum Content {
    Transfer(Transfer),
    Event(Event),
}

pub(super) struct Transfer {
    pub(super) direction: Direction,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// Bytes that were transferred, of which [`Report::bytes`] may hold only the
    /// first.
    pub(super) len: usize,
    pub(super) truncated: bool,
}

pub(super) struct Event {
    /// None if it failed.
    pub(super) kind: Option<EventKind>,
    /// The local and the remote address, if both are known.
    pub(super) addresses: Option<(SocketAddr, SocketAddr)>,
}

/// A queue of limited size. What finds no room is counted.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    lost: AtomicU64,
}

struct Waiting {
    reports: VecDeque<Report>,
    bytes: usize,
    is_open: bool,
}

impl Queue {
    /// A queue that is closed.
    pub(super) const fn new() -> Queue {
        Queue {
            waiting: Mutex::new(Waiting {
                reports: VecDeque::new(),
                bytes: 0,
                is_open: false,
            }),
            changed: Condvar::new(),
            lost: AtomicU64::new(0),
        }
    }

    /// # Errors
    /// `ENOMEM`.
    pub(super) fn open(&self) -> Result<()> {
        let mut waiting = self.waiting.lock();
        waiting.reports.try_reserve_exact(REPORTS_MAX)?;
        waiting.is_open = true;
        self.lost.store(0, Relaxed);
        Ok(())
    }

    /// Adds a report with a copy of `bytes`.
    pub(super) fn push(&self, bytes: &[u8], report: impl FnOnce(Vec<u8>) -> Report) {
        let mut copy = Vec::new();
        if copy.try_reserve_exact(bytes.len()).is_err() {
            self.lost.fetch_add(1, Relaxed);
            return;
        }
        copy.extend_from_slice(bytes);
        let mut waiting = self.waiting.lock();
        let is_full =
            waiting.reports.len() == REPORTS_MAX || waiting.bytes + bytes.len() > BYTES_MAX;
        if is_full || !waiting.is_open {
            self.lost.fetch_add(1, Relaxed);
            return;
        }
        waiting.bytes += bytes.len();
        waiting.reports.push_back(report(copy));
        drop(waiting);
        self.changed.notify_all();
    }

    /// The next report, if there is one.
    pub(super) fn try_pop(&self) -> Option<Report> {
        self.waiting.lock().pop()
    }

    /// The next report. Waits for it until the queue is closed.
    pub(super) fn pop(&self) -> Option<Report> {
        let mut waiting = self.waiting.lock();
        while waiting.reports.is_empty() && waiting.is_open {
            waiting = self.changed.wait(waiting);
        }
        waiting.pop()
    }

    /// Adds nothing from now on. What is there can still be taken.
    pub(super) fn close(&self) {
        self.waiting.lock().is_open = false;
        self.changed.notify_all();
    }

    /// Empties the queue and frees its memory.
    pub(super) fn clear(&self) {
        let mut waiting = self.waiting.lock();
        waiting.reports = VecDeque::new();
        waiting.bytes = 0;
    }

    /// Reports that found no room since this was last called.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Relaxed)
    }
}

impl Waiting {
    fn pop(&mut self) -> Option<Report> {
        let report = self.reports.pop_front()?;
        self.bytes -= report.bytes.len();
        Some(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &Queue, bytes: &[u8]) {
        queue.push(bytes, |bytes| Report {
            at: SystemTime::UNIX_EPOCH,
            socket: 1,
            transport: Kind::Udp,
            content: Content::Event(Event {
                kind: Some(EventKind::Bound),
                addresses: None,
            }),
            bytes,
        });
    }

    #[test]
    fn reports_and_their_bytes_are_limited() {
        let queue = Queue::new();
        queue.open().unwrap();
        for _ in 0..REPORTS_MAX + 2 {
            push(&queue, b"");
        }
        assert_eq!((queue.take_lost(), queue.take_lost()), (2, 0));
        queue.clear();
        queue.open().unwrap();
        let block = vec![0; 300 << 10];
        for _ in 0..4 {
            push(&queue, &block);
        }
        assert_eq!(queue.take_lost(), 1);
        assert!(queue.try_pop().is_some());
        push(&queue, &block);
        assert_eq!(queue.take_lost(), 0);
    }

    #[test]
    fn a_closed_queue_takes_nothing_and_is_emptied() {
        let queue = Queue::new();
        queue.open().unwrap();
        push(&queue, b"one");
        queue.close();
        push(&queue, b"two");
        assert_eq!(queue.take_lost(), 1);
        assert_eq!(queue.pop().unwrap().bytes, b"one");
        assert!(queue.pop().is_none());
    }

    #[test]
    fn close_ends_a_wait() {
        let queue = Queue::new();
        queue.open().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.pop());
            queue.close();
            assert!(waiting.join().unwrap().is_none());
        });
    }
}
