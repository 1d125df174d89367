//! Packet captures: what passes through the sockets, for Wireshark.
//!
//! Sockets see payload, not packets. Headers are made up to fit: addresses and
//! ports are those of the socket, checksums are right, and the sequence numbers
//! of TCP count the bytes. Events are frames of an interface named `sockets`,
//! with the text as their comment.
//!
//! A thread of its own writes the file, so no call waits for a disk. Reports
//! that it can't keep up with are left out, and the next frame has their number.
//! All memory is taken when a capture starts, except for the payload that waits
//! to be written, which is limited.

mod cache;
mod flows;
mod packet;
mod pcapng;
mod queue;
mod ring;
mod writer;

use core::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use anjay_net_socket::locks::Mutex;
use anjay_net_socket::{Errno, Kind, Result, Text, Thread, try_box};

use crate::observer::{self, Observer};
use packet::PAYLOAD_MAX;
use queue::{Content, Event, Queue, Report, Transfer};
use ring::Ring;
use writer::Writer;

/// How much a capture may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of both files together: when the first reaches half of it, it becomes
    /// `PATH.1` and a new one begins. At least 4096.
    pub max_bytes: u64,
    /// Bytes of one packet, with its headers; the rest is cut off. At least 64.
    pub snaplen: u32,
}

impl Limits {
    /// Values that suit most captures.
    pub const DEFAULT: Limits = Limits {
        max_bytes: 10 << 20,
        snaplen: 65_535,
    };

    /// Whether each is large enough. Half of the bytes hold the header of a file,
    /// an interface and a packet with the longest comment.
    pub fn are_valid(&self) -> bool {
        const MIN: usize = 2
            * (pcapng::SECTION_LEN
                + pcapng::interface_len(pcapng::NAME_MAX)
                + pcapng::packet_len(64, TEXT_MAX));
        const { assert!(MIN <= 4096) }
        self.max_bytes >= 4096 && self.snaplen >= 64
    }
}

/// The longest text of an event.
const TEXT_MAX: usize = 512;

static STATE: Mutex<State> = Mutex::new(State {
    capture: &FIRST,
    thread: None,
});

struct State {
    capture: &'static Capture,
    /// The writer, while the capture runs, or has failed and was not stopped yet.
    thread: Option<Thread>,
}

/// Where calls leave their reports.
struct Capture {
    queue: Queue,
    /// The process that the writer is a thread of.
    process: AtomicU32,
    /// How the writer ended.
    result: Mutex<Option<Result<()>>>,
}

/// The capture of a process that was not forked while its parent had one.
static FIRST: Capture = Capture::new();

/// Starts to write what passes through the sockets that are reported to
/// [`observer`].
///
/// The files are new ones that replace what is at `path` and `path.1`.
///
/// # Errors
/// `EALREADY` when a capture is running; `EINVAL` for limits that are too small;
/// `ELOOP`, `EISDIR` and `EINVAL` when there is something else than a regular
/// file, `EPERM` when there is a file of another user; `ENOMEM`; `EAGAIN` when no
/// thread can be created; those of the file system; `ENOTSUP` with the feature
/// `without-observers`.
pub fn start(path: &Path, limits: Limits) -> Result<()> {
    if !crate::report::ARE_SUPPORTED {
        return Err(Errno(libc::ENOTSUP));
    }
    let mut state = STATE.lock();
    if state.thread.is_some() && state.capture.is_inherited() {
        // The locks of its capture may be held by threads that this process, which was
        // forked, does not have.
        let own = Box::leak(try_box(Capture::new())?);
        observer::remove(state.capture);
        *state = State {
            capture: own,
            thread: None,
        };
    }
    if state.thread.is_some() {
        return Err(Errno(libc::EALREADY));
    }
    if !limits.are_valid() {
        return Err(Errno(libc::EINVAL));
    }
    let capture = state.capture;
    let writer = Writer::new(Ring::create(path, limits)?, &capture.queue)?;
    capture.queue.open()?;
    capture.process.store(std::process::id(), Relaxed);
    observer::add(capture)?;
    let spawned = anjay_net_socket::spawn(c"anjay-net-cap", move || capture.write(writer));
    let thread = spawned.inspect_err(|_| {
        observer::remove(capture);
        capture.queue.clear();
    })?;
    state.thread = Some(thread);
    Ok(())
}

/// Ends the capture. The file is complete after this.
///
/// # Errors
/// `ENOENT` when there was none; what ended it earlier, such as `ENOSPC` of a
/// full disk.
pub fn stop() -> Result<()> {
    let mut state = STATE.lock();
    let capture = state.capture;
    observer::remove(capture);
    // The thread of an inherited capture stays: it tells `start` to leave it.
    let Some(thread) = state.thread.take_if(|_| !capture.is_inherited()) else {
        return Err(Errno(libc::ENOENT));
    };
    capture.queue.close();
    thread.join();
    capture.queue.clear();
    let result = capture.result.lock().take();
    result.unwrap_or(Err(Errno(libc::EIO)))
}

impl Capture {
    const fn new() -> Capture {
        Capture {
            queue: Queue::new(),
            process: AtomicU32::new(0),
            result: Mutex::new(None),
        }
    }

    /// Whether the writer is a thread of the process that this one was forked
    /// from.
    fn is_inherited(&self) -> bool {
        self.process.load(Relaxed) != std::process::id()
    }

    fn write(&'static self, writer: Writer) {
        let result = writer.run();
        if let Err(error) = &result {
            observer::remove(self);
            self.queue.close();
            log::error!("the capture ended: {}", error);
        }
        *self.result.lock() = Some(result);
    }
}

impl Observer for Capture {
    fn transfer(&self, transfer: &observer::Transfer<'_>) {
        if self.is_inherited() {
            return;
        }
        let len = transfer.payload.len();
        let kept = &transfer.payload[..len.min(PAYLOAD_MAX)];
        self.queue.push(kept, |bytes| Report {
            at: transfer.at,
            socket: transfer.socket,
            transport: transfer.transport,
            content: Content::Transfer(Transfer {
                direction: transfer.direction,
                local: transfer.local,
                remote: transfer.remote,
                len,
                truncated: transfer.truncated,
            }),
            bytes,
        });
    }

    fn event(&self, event: &observer::Event<'_>) {
        if self.is_inherited() {
            return;
        }
        let text = Text::<TEXT_MAX>::of(EventText(event));
        self.queue.push(text.as_bytes(), |bytes| Report {
            at: event.at,
            socket: event.socket,
            transport: event.transport,
            content: Content::Event(Event {
                kind: event.error.is_none().then_some(event.kind),
                addresses: event.addresses.local.zip(event.addresses.remote),
            }),
            bytes,
        });
    }
}

/// An event in one line.
struct EventText<'a>(&'a observer::Event<'a>);

impl fmt::Display for EventText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = self.0;
        let transport = match event.transport {
            Kind::Tcp => "TCP",
            Kind::Udp => "UDP",
        };
        write!(f, "socket {}: {transport} {}", event.socket, event.text())?;
        if let Some(target) = &event.addresses.target {
            write!(f, " to {target}")?;
        }
        if let Some(local) = event.addresses.local {
            write!(f, ", local {local}")?;
        }
        if let Some(remote) = event.addresses.remote {
            write!(f, ", peer {remote}")?;
        }
        if let Some(error) = event.error {
            write!(f, ": {}", error)?;
        }
        Ok(())
    }
}
