//! A log line of level trace for every transfer.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::observer::{self, Direction, Event, Observer, Transfer};

/// Writes the lines. Changes of state have lines of other levels, which the
/// socket writes.
struct Tracer;

impl Observer for Tracer {
    fn transfer(&self, transfer: &Transfer<'_>) {
        let Transfer { socket, remote, .. } = transfer;
        let len = transfer.payload.len();
        let cut = if transfer.truncated {
            ", truncated"
        } else {
            ""
        };
        match transfer.direction {
            Direction::Sent => log::trace!("socket {socket}: {remote}: sent {len} bytes"),
            Direction::Received => {
                log::trace!("socket {socket}: {remote}: received {len} bytes{cut}")
            }
        }
    }

    fn event(&self, event: &Event<'_>) {
        let Event { socket, kind, .. } = event;
        match (event.addresses.remote, event.error) {
            (Some(remote), Some(error)) => {
                log::trace!("socket {socket}: {remote}: {kind}: {error}")
            }
            (None, Some(error)) => log::trace!("socket {socket}: -: {kind}: {error}"),
            (_, None) => {}
        }
    }
}

static ACTIVE: Mutex<Option<Arc<Tracer>>> = Mutex::new(None);

/// Starts or stops the lines.
pub fn set(active: bool) {
    let mut tracer = ACTIVE.lock();
    match (active, tracer.take()) {
        (true, None) => {
            let new = Arc::new(Tracer);
            observer::add(new.clone());
            *tracer = Some(new);
        }
        (true, old) => *tracer = old,
        (false, Some(old)) => observer::remove(&old),
        (false, None) => {}
    }
}
