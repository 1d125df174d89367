//! Clients that block in receive: no call may be stuck, and none may end
//! early.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anjay_net_vtable::Kind;
use anjay_net_vtable::code;

use super::{Counted, Outcome, create};
use crate::relay::{FRONTS, NUMBER, udp::UnderWay};
use crate::stopwatch::{Activity, Stopwatch};

/// The receive timeout, in nanoseconds. Longer than a datagram may take to
/// come back; some never do.
const TIMEOUT: i32 = 300_000_000;

/// One client with a thread of its own.
pub(crate) struct Patient {
    /// Its number, after those of the others.
    pub(crate) index: usize,
    pub(crate) ports: [u16; FRONTS],
    pub(crate) under_way: UnderWay,
    pub(crate) activity: Activity,
}

impl Patient {
    /// Sends and waits, until told to stop.
    pub(crate) fn run(&self, stop: &AtomicBool) -> Outcome {
        let mut outcome = Outcome::default();
        let mut watch = Stopwatch::new(self.activity.clone());
        let socket = create(Kind::Udp);
        let _set = socket.set_receive_timeout((0, TIMEOUT));
        let port = self.ports[self.index % FRONTS].to_string();
        let code = socket.connect("127.0.0.1", &*port);
        outcome.expect("connect", code, code::OK);
        let mut data = [0; 64];
        data[..NUMBER].copy_from_slice(&(self.index as u32).to_le_bytes());
        let under_way = &self.under_way[self.index];
        // To the end of what is under way, so that all is accounted for.
        while !stop.load(SeqCst) || under_way.load(SeqCst) > 0 {
            if !stop.load(SeqCst) {
                under_way.fetch_add(1, SeqCst);
                let code = watch.time("send", || socket.send(&data));
                outcome.expect("send", code, code::OK);
                outcome.sent += 1;
            }
            let start = Instant::now();
            let received = watch.time("receive that waits", || socket.receive(2048));
            let timeout = Duration::from_nanos(TIMEOUT.unsigned_abs().into());
            match received.code {
                code::OK if received.data == data => outcome.returned += 1,
                code::OK => outcome.blame("a datagram that was not sent"),
                code::ETIMEDOUT if start.elapsed() < timeout => {
                    outcome.blame("a receive that ended early");
                }
                code::ETIMEDOUT => {}
                code => outcome.blame(format!("receive: {code}")),
            }
        }
        while socket.receive(2048).code == code::OK {
            outcome.returned += 1;
        }
        let mut counted = Counted::default();
        counted.add(&socket);
        outcome.clients.push(counted);
        outcome.longest = watch.longest();
        outcome
    }
}
