//! A log line, of level trace, for every transfer.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::observer::{self, Change, Direction, Observer, Transfer};

/// Writes the lines. Changes of state have lines of their own, of other
/// levels, where they happen.
struct Tracer;

impl Observer for Tracer {
    fn transfer(&self, transfer: &Transfer<'_>) {
        let Transfer { socket, remote, .. } = transfer;
        let len = transfer.payload.len();
        let cut = if transfer.truncated { ", cut" } else { "" };
        match transfer.direction {
            Direction::Sent => log::trace!("socket {socket}: {remote}: sent {len} bytes"),
            Direction::Received => {
                log::trace!("socket {socket}: {remote}: received {len} bytes{cut}")
            }
        }
    }

    fn change(&self, change: &Change<'_>) {
        if let Some(error) = change.error {
            let remote = change
                .remote
                .map_or("-".to_owned(), |addr: SocketAddr| addr.to_string());
            log::trace!(
                "socket {}: {remote}: {}: {error}",
                change.socket,
                change.what.text()
            );
        }
    }
}

static ACTIVE: Mutex<Option<Arc<Tracer>>> = Mutex::new(None);

/// Begins or ends the lines; `switch` as for [`observer::add`].
pub fn set(active: bool, switch: fn(bool)) {
    let mut tracer = ACTIVE.lock();
    match (active, tracer.take()) {
        (true, None) => {
            let new = Arc::new(Tracer);
            observer::add(new.clone(), switch);
            *tracer = Some(new);
        }
        (true, old) => *tracer = old,
        (false, Some(old)) => observer::remove(&old),
        (false, None) => {}
    }
}
