//! Packet captures: what passes through the sockets, for Wireshark.
//!
//! Sockets see payload, not packets. The headers around it are made up so that
//! they fit: addresses and ports are those of the socket, checksums are right,
//! and the sequence numbers of TCP count the bytes. State changes are frames of
//! an interface named `sockets`, with the text as their comment.
//!
//! A thread of its own writes the file, so no call waits for a disk. What it
//! can't keep up with is left out, and the next frame says how much that was.

mod flows;
mod packet;
mod ring;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anjay_net_socket::{Kind, interface_of, with_signals_blocked};
use parking_lot::Mutex;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;

use crate::observer::{self, Direction, Event, EventKind, Observer, Transfer};
use flows::Flows;
use ring::{Interface, Packet, Ring};

/// How much a capture may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of both files together: when the first has half of it, it becomes
    /// `PATH.1` and a new one begins. At least 4096.
    pub max_bytes: u64,
    /// Bytes of one packet, with its headers; the rest is cut off. At least 64.
    pub snaplen: u32,
}

impl Limits {
    /// The values that are good enough for most.
    pub const DEFAULT: Limits = Limits {
        max_bytes: 10 << 20,
        snaplen: 65_535,
    };

    /// Whether each is at least what it must be.
    pub fn are_valid(&self) -> bool {
        self.max_bytes >= 4096 && self.snaplen >= 64
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::DEFAULT
    }
}

/// So many reports may wait to be written.
const QUEUE: usize = 256;

/// The capture that is running, or has failed and was not stopped yet.
static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

struct Running {
    tap: Arc<Tap>,
    writer: JoinHandle<io::Result<()>>,
}

/// Begins to write what passes through the sockets that are reported to
/// [`observer`].
///
/// # Errors
/// `EALREADY` when a capture is running; `EINVAL` for limits that are too small
/// and a path that is a pipe or a device; those of the file system; `EAGAIN`
/// when there can't be another thread.
pub fn start(path: &Path, limits: Limits) -> io::Result<()> {
    let mut running = RUNNING.lock();
    if let Some(inherited) = running.take_if(|running| running.tap.is_of_a_parent()) {
        observer::remove(&inherited.tap);
    }
    if running.is_some() {
        return Err(io::Error::from_raw_os_error(libc::EALREADY));
    }
    if !limits.are_valid() {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let ring = Ring::create(path, limits)?;
    let (queue, reports) = sync_channel(QUEUE);
    let tap = Arc::new(Tap {
        queue,
        process: std::process::id(),
        lost: AtomicU64::new(0),
    });
    let writer = Writer {
        ring,
        flows: Flows::default(),
        interfaces: HashMap::new(),
        tap: tap.clone(),
    };
    let thread = thread::Builder::new().name("anjay-net-cap".into());
    let writer = with_signals_blocked(|| thread.spawn(move || writer.run(&reports)))?;
    observer::add(tap.clone());
    *running = Some(Running { tap, writer });
    Ok(())
}

/// Ends the capture. After this the file is complete.
///
/// # Errors
/// `ENOENT` when there was none; what ended it earlier, such as `ENOSPC` of a
/// full disk.
pub fn stop() -> io::Result<()> {
    let mut running = RUNNING.lock();
    let Some(ended) = running.take() else {
        return Err(io::Error::from_raw_os_error(libc::ENOENT));
    };
    observer::remove(&ended.tap);
    if ended.tap.is_of_a_parent() {
        return Err(io::Error::from_raw_os_error(libc::ENOENT));
    }
    let Running { tap, writer, .. } = ended;
    // An error means that the writer has ended already.
    let _ = tap.queue.send(Report::End);
    writer
        .join()
        .unwrap_or_else(|_| Err(io::Error::from_raw_os_error(libc::EIO)))
}

/// What the calls tell the writer.
enum Report {
    Transfer {
        at: SystemTime,
        socket: u32,
        kind: Kind,
        direction: Direction,
        local: SocketAddr,
        remote: SocketAddr,
        payload: Vec<u8>,
        truncated: bool,
    },
    Change {
        at: SystemTime,
        socket: u32,
        kind: Kind,
        event: EventKind,
        local: Option<SocketAddr>,
        remote: Option<SocketAddr>,
        text: String,
    },
    End,
}

/// Where the calls leave their reports.
struct Tap {
    queue: SyncSender<Report>,
    /// The process that the writer is a thread of.
    process: u32,
    /// Reports that found no room.
    lost: AtomicU64,
}

impl Tap {
    /// Whether this process was forked while the capture ran: then it has no
    /// writer.
    fn is_of_a_parent(&self) -> bool {
        self.process != std::process::id()
    }

    fn report(&self, report: Report) {
        if self.queue.try_send(report).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
    }
}

impl Observer for Tap {
    fn transfer(&self, transfer: &Transfer<'_>) {
        // The queue may have been locked by a thread that was not forked.
        if self.is_of_a_parent() {
            return;
        }
        // A Vec that can't be had otherwise ends the program.
        let mut payload = Vec::new();
        if payload.try_reserve_exact(transfer.payload.len()).is_err() {
            self.lost.fetch_add(1, Relaxed);
            return;
        }
        payload.extend_from_slice(transfer.payload);
        self.report(Report::Transfer {
            at: transfer.at,
            socket: transfer.socket,
            kind: transfer.transport,
            direction: transfer.direction,
            local: transfer.local,
            remote: transfer.remote,
            payload,
            truncated: transfer.truncated,
        });
    }

    fn event(&self, event: &Event<'_>) {
        // As above.
        if self.is_of_a_parent() {
            return;
        }
        self.report(Report::Change {
            at: event.at,
            socket: event.socket,
            kind: event.transport,
            event: event.kind,
            local: event.addresses.local,
            remote: event.addresses.remote,
            text: text_of(event),
        });
    }
}

/// Turns reports into packets of the file, on its own thread.
struct Writer {
    ring: Ring,
    flows: Flows,
    /// By local address.
    interfaces: HashMap<IpAddr, Box<str>>,
    tap: Arc<Tap>,
}

impl Writer {
    fn run(mut self, reports: &Receiver<Report>) -> io::Result<()> {
        let written = self.write_all(reports);
        if let Err(error) = &written {
            observer::remove(&self.tap);
            log::error!("the capture ended: {error}");
        }
        written
    }

    fn write_all(&mut self, reports: &Receiver<Report>) -> io::Result<()> {
        loop {
            let report = match reports.try_recv() {
                Ok(report) => Some(report),
                Err(TryRecvError::Disconnected) => None,
                Err(TryRecvError::Empty) => {
                    // Whoever looks at the file finds all there is.
                    self.ring.flush()?;
                    reports.recv().ok()
                }
            };
            match report {
                Some(Report::Transfer {
                    at,
                    socket,
                    kind,
                    direction,
                    local,
                    remote,
                    payload,
                    truncated,
                }) => {
                    let local = self.flows.definite(local, remote);
                    let ends = (local, remote);
                    let packets = self.flows.transfer(socket, kind, direction, ends, &payload);
                    let mut comment = format!("socket {socket}");
                    if truncated {
                        comment.push_str(": longer than the buffer, the rest is lost");
                    }
                    for packet in packets {
                        self.packet(at, local.ip(), Some(direction), &packet, &comment)?;
                    }
                }
                Some(Report::Change {
                    at,
                    socket,
                    kind,
                    event,
                    local,
                    remote,
                    text,
                }) => {
                    self.event(at, &text)?;
                    if kind == Kind::Tcp {
                        for packet in self.flows.change(socket, event, local.zip(remote)) {
                            let local = local.map_or(IpAddr::from([0; 4]), |addr| addr.ip());
                            self.packet(at, local, None, &packet, &text)?;
                        }
                    }
                }
                Some(Report::End) | None => return self.ring.flush(),
            }
        }
    }

    /// A packet on the network.
    fn packet(
        &mut self,
        at: SystemTime,
        local: IpAddr,
        direction: Option<Direction>,
        bytes: &[u8],
        comment: &str,
    ) -> io::Result<()> {
        let name = self.interfaces.entry(local).or_insert_with(|| {
            interface_of(&SocketAddr::new(local, 0)).map_or("any".into(), |name| (*name).into())
        });
        // draft-ietf-opsawg-pcapng section 4.3.1, "epb_flags".
        let flags = match direction {
            None => 0b00,
            Some(Direction::Received) => 0b01,
            Some(Direction::Sent) => 0b10,
        };
        let mut options = vec![
            EnhancedPacketOption::Comment(comment.into()),
            EnhancedPacketOption::Flags(flags),
        ];
        options.extend(self.tap.drops());
        self.ring.write(Packet {
            interface: Interface::Network(name),
            at: since_1970(at),
            bytes,
            options,
        })
    }

    /// A frame that is no packet, but says what became of a socket.
    fn event(&mut self, at: SystemTime, text: &str) -> io::Result<()> {
        let mut options = vec![EnhancedPacketOption::Comment(text.into())];
        options.extend(self.tap.drops());
        self.ring.write(Packet {
            interface: Interface::Sockets,
            at: since_1970(at),
            bytes: &upper_pdu(text),
            options,
        })
    }
}

impl Tap {
    /// How many reports were left out since this was last asked.
    fn drops(&self) -> Option<EnhancedPacketOption<'static>> {
        match self.lost.swap(0, Relaxed) {
            0 => None,
            lost => Some(EnhancedPacketOption::DropCount(lost)),
        }
    }
}

fn since_1970(at: SystemTime) -> Duration {
    at.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn text_of(event: &Event<'_>) -> String {
    let transport = match event.transport {
        Kind::Tcp => "TCP",
        Kind::Udp => "UDP",
    };
    let mut text = format!("socket {}: {transport} {}", event.socket, event.kind);
    if let Some(target) = &event.addresses.target {
        text.push_str(&format!(" to {target}"));
    }
    if let Some(local) = event.addresses.local {
        text.push_str(&format!(", local {local}"));
    }
    if let Some(remote) = event.addresses.remote {
        text.push_str(&format!(", peer {remote}"));
    }
    if let Some(error) = event.error {
        text.push_str(&format!(": {error}"));
    }
    text
}

/// Wireshark's "exported PDU": tags that name the dissector, then the text.
/// epan/exported_pdu.h.
fn upper_pdu(text: &str) -> Vec<u8> {
    const DISSECTOR_NAME: u16 = 12;
    const END: u16 = 0;
    // Anything that shows text. Its length is a multiple of four.
    const SYSLOG: &[u8; 8] = b"syslog\0\0";
    let mut bytes = Vec::with_capacity(16 + text.len());
    bytes.extend(DISSECTOR_NAME.to_be_bytes());
    bytes.extend([0, 8]);
    bytes.extend(SYSLOG);
    bytes.extend(END.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(text.as_bytes());
    bytes
}
