//! A log line of level trace for every transfer.

use anjay_net_socket::Result;
use anjay_net_socket::locks::Mutex;

use crate::observer::{self, Direction, Event, Observer, Transfer};

/// Writes the lines. Changes of state have lines of other levels, which the
/// socket writes.
struct Tracer {
    /// Whether it is an observer.
    is_active: Mutex<bool>,
}

impl Observer for Tracer {
    fn transfer(&self, transfer: &Transfer<'_>) {
        let Transfer { socket, remote, .. } = transfer;
        let len = transfer.payload.len();
        let (what, cut) = match (transfer.direction, transfer.truncated) {
            (Direction::Sent, _) => ("sent", ""),
            (Direction::Received, false) => ("received", ""),
            (Direction::Received, true) => ("received", ", truncated"),
        };
        log::trace!("socket {socket}: {remote}: {what} {len} bytes{cut}");
    }

    fn event(&self, event: &Event<'_>) {
        let (socket, kind) = (event.socket, event.text());
        match (event.addresses.remote, event.error) {
            (Some(remote), Some(error)) => {
                log::trace!("socket {socket}: {remote}: {kind}: {}", error)
            }
            (None, Some(error)) => log::trace!("socket {socket}: -: {kind}: {}", error),
            (_, None) => {}
        }
    }
}

static TRACER: Tracer = Tracer {
    is_active: Mutex::new(false),
};

/// Starts or stops the lines; does nothing with the feature `without-observers`.
///
/// # Errors
/// `ENOMEM`.
pub fn set(active: bool) -> Result<()> {
    if !crate::report::ARE_SUPPORTED {
        return Ok(());
    }
    let mut is_active = TRACER.is_active.lock();
    match (active, *is_active) {
        (true, false) => observer::add(&TRACER)?,
        (false, true) => observer::remove(&TRACER),
        _ => {}
    }
    *is_active = active;
    Ok(())
}
