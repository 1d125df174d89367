//! Turns reports into packets.

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{SystemTime, UNIX_EPOCH};

use anjay_net_socket::{Kind, Result, Text, interface_of};

use super::cache::Cache;
use super::flows::Flows;
use super::packet::{self, PACKET_MAX, SEGMENT_MAX, Segment};
use super::pcapng::{Frame, LinkType, Name};
use super::queue::{Content, Event, Queue, Report, Transfer};
use super::ring::Ring;
use crate::observer::Direction;
use crate::report::EventKind;

/// Addresses that are remembered, of either kind.
const ADDRESSES_MAX: usize = 64;

type Comment = Text<80>;

pub(super) struct Writer {
    ring: Ring,
    queue: &'static Queue,
    flows: Flows,
    /// The local address of packets to a remote one.
    sources: Cache<IpAddr, IpAddr, ADDRESSES_MAX>,
    /// The interface of a local address.
    interfaces: Cache<IpAddr, Name, ADDRESSES_MAX>,
    /// The packet that is being made.
    packet: Vec<u8>,
}

impl Writer {
    /// Takes all the memory that it needs.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn new(ring: Ring, queue: &'static Queue) -> Result<Writer> {
        let mut packet = Vec::new();
        packet.try_reserve_exact(PACKET_MAX)?;
        Ok(Writer {
            ring,
            queue,
            flows: Flows::new()?,
            sources: Cache::new()?,
            interfaces: Cache::new()?,
            packet,
        })
    }

    /// Writes all reports until the queue is closed.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn run(mut self) -> Result<()> {
        loop {
            let mut next = self.queue.try_pop();
            if next.is_none() {
                // Readers of the file find everything so far.
                self.ring.flush()?;
                next = self.queue.pop();
            }
            let Some(report) = next else { return Ok(()) };
            match &report.content {
                Content::Transfer(transfer) => self.transfer(&report, transfer)?,
                Content::Event(event) => self.event(&report, event)?,
            }
        }
    }

    fn transfer(&mut self, report: &Report, transfer: &Transfer) -> Result<()> {
        let local = self.definite(transfer.local, transfer.remote);
        match report.transport {
            Kind::Udp => {
                let (from, to) = match transfer.direction {
                    Direction::Sent => (local, transfer.remote),
                    Direction::Received => (transfer.remote, local),
                };
                packet::udp(&mut self.packet, from, to, &report.bytes);
                let remark = match transfer.truncated {
                    true => ": truncated to the buffer of the caller",
                    false => "",
                };
                let comment = Comment::of(format_args!("socket {}{remark}", report.socket));
                self.packet(report, local.ip(), Some(transfer.direction), &comment)
            }
            Kind::Tcp => self.stream_data(report, transfer, local),
        }
    }

    fn stream_data(
        &mut self,
        report: &Report,
        transfer: &Transfer,
        local: SocketAddr,
    ) -> Result<()> {
        let direction = transfer.direction;
        let comment = Comment::of(format_args!("socket {}", report.socket));
        let stream = self.flows.stream(report.socket, local, transfer.remote);
        if transfer.len == 0 {
            let end = stream.end(direction);
            return self.segments(report, local.ip(), Some(direction), end, &comment);
        }
        for piece in report.bytes.chunks(SEGMENT_MAX) {
            let stream = self.flows.stream(report.socket, local, transfer.remote);
            let segment = stream.data(direction, piece.len());
            packet::tcp(&mut self.packet, segment, piece);
            self.packet(report, local.ip(), Some(direction), &comment)?;
        }
        let stream = self.flows.stream(report.socket, local, transfer.remote);
        stream.skip(direction, transfer.len - report.bytes.len());
        Ok(())
    }

    /// A frame that is no packet, but an event of a socket; then the
    /// packets that TCP would have sent.
    fn event(&mut self, report: &Report, event: &Event) -> Result<()> {
        let text = core::str::from_utf8(&report.bytes).unwrap_or_default();
        upper_pdu(&mut self.packet, text);
        self.ring.write(&Frame {
            interface: "sockets".into(),
            link: LinkType::WiresharkUpperPdu,
            at: since_1970(report.at),
            data: &self.packet,
            comment: text,
            flags: 0,
            lost: self.queue.take_lost(),
        })?;
        if report.transport == Kind::Udp {
            return Ok(());
        }
        let local = event
            .addresses
            .map_or(Ipv4Addr::UNSPECIFIED.into(), |(local, _)| local.ip());
        let mut establish = |initiator| {
            let addresses = event.addresses?;
            Some(self.flows.establish(report.socket, addresses, initiator))
        };
        let (handshake, end) = match event.kind {
            Some(EventKind::Connected) => (establish(Direction::Sent), None),
            Some(EventKind::Accepted) => (establish(Direction::Received), None),
            Some(EventKind::ShutDown) => (None, self.flows.shut_down(report.socket)),
            Some(EventKind::Closed) => (None, self.flows.close(report.socket)),
            _ => (None, None),
        };
        let segments = handshake.into_iter().flatten().chain(end);
        self.segments(report, local, None, segments, text)
    }

    /// TCP segments without data.
    fn segments(
        &mut self,
        report: &Report,
        local: IpAddr,
        direction: Option<Direction>,
        segments: impl IntoIterator<Item = Segment>,
        comment: &str,
    ) -> Result<()> {
        segments.into_iter().try_for_each(|segment| {
            packet::tcp(&mut self.packet, segment, &[]);
            self.packet(report, local, direction, comment)
        })
    }

    /// Writes the packet that was made last.
    fn packet(
        &mut self,
        report: &Report,
        local: IpAddr,
        direction: Option<Direction>,
        comment: &str,
    ) -> Result<()> {
        let interface = *self.interfaces.get_or_insert_with(local, || {
            match interface_of(&SocketAddr::new(local, 0)) {
                Ok(interface) => (&*interface).into(),
                Err(_) => "any".into(),
            }
        });
        self.ring.write(&Frame {
            interface,
            link: LinkType::Raw,
            at: since_1970(report.at),
            data: &self.packet,
            comment,
            // draft-ietf-opsawg-pcapng section 4.3.1, "epb_flags".
            flags: match direction {
                None => 0b00,
                Some(Direction::Received) => 0b01,
                Some(Direction::Sent) => 0b10,
            },
            lost: self.queue.take_lost(),
        })
    }

    /// The local address of packets to `remote`: that of a socket which is bound
    /// to the wildcard is only known to the routing table.
    fn definite(&mut self, local: SocketAddr, remote: SocketAddr) -> SocketAddr {
        if !local.ip().is_unspecified() {
            return local;
        }
        let ip = *self.sources.get_or_insert_with(remote.ip(), || {
            let wildcard: IpAddr = match remote {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            // connect(2) on UDP sends nothing.
            UdpSocket::bind((wildcard, 0))
                .and_then(|socket| {
                    socket.connect(remote)?;
                    socket.local_addr()
                })
                .map_or(wildcard, |addr| addr.ip())
        });
        SocketAddr::new(ip, local.port())
    }
}

fn since_1970(at: SystemTime) -> Duration {
    at.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Makes an "exported PDU" of Wireshark: tags that name the dissector, then the
/// text. See epan/exported_pdu.h.
fn upper_pdu(packet: &mut Vec<u8>, text: &str) {
    // Each a type and a length of two bytes: 12, the name of the dissector, which is any
    // that shows text, and is padded; 0, the end of the tags.
    const TAGS: &[u8] = b"\0\x0C\0\x08syslog\0\0\0\0\0\0";
    packet.clear();
    packet.extend(TAGS);
    packet.extend(text.as_bytes());
}
