//! Clients that block in receive: no call may be stuck, and none may end
//! early.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anjay_net_vtable::{Kind, code};

use super::{Counted, Orders, Outcome, create};
use crate::relay::NUMBER;
use crate::watch::Stopwatch;

/// The receive timeout. Longer than a datagram may take to come back; some
/// never do.
const TIMEOUT: Duration = Duration::from_millis(300);

/// One client on a thread of its own: sends and waits, until told to stop.
/// Its number is after those of the others.
pub(crate) fn run(orders: &Orders<'_>, index: usize, stop: &AtomicBool) -> Outcome {
    let mut outcome = Outcome::default();
    let mut watch = Stopwatch::new(orders.activity.clone());
    let socket = create(Kind::Udp);
    outcome.expect("set_opt", socket.set_timeout(TIMEOUT), code::OK);
    let port = orders.ports[index % orders.ports.len()].to_string();
    let connected = socket.connect("127.0.0.1", &*port);
    outcome.expect("connect", connected, code::OK);
    let mut data = [0; 64];
    data[..NUMBER].copy_from_slice(&(index as u32).to_le_bytes());
    let under_way = &orders.under_way[index];
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
        match received.code {
            code::OK if received.data == data => outcome.returned += 1,
            code::OK => outcome.blame("a datagram that was not sent"),
            code::ETIMEDOUT if start.elapsed() < TIMEOUT => {
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
    outcome.longest = watch.longest;
    outcome
}
