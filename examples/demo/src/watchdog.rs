//! The overall deadline: whatever hangs, the demo ends and says where.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::report::Report;

/// Ends the process with a report unless dropped in time.
pub struct Watchdog {
    /// Its end is what the thread waits for.
    _alive: Sender<()>,
}

impl Watchdog {
    /// Starts watching.
    pub fn start(report: &Report, limit: Duration) -> Self {
        let (alive, end) = channel();
        let report = report.clone();
        thread::spawn(move || {
            if end.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                report.give_up(limit);
            }
        });
        Self { _alive: alive }
    }
}
