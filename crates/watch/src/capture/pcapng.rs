//! Blocks of a capture file: draft-ietf-opsawg-pcapng, little-endian.
//!
//! Every block is appended to a buffer that its caller has made room in: the
//! length is known before.

use core::time::Duration;

use anjay_net_socket::Text;

/// What the packets of an interface begin with,
/// <https://www.tcpdump.org/linktypes.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkType {
    /// An IP header.
    Raw = 101,
    /// Tags that name a dissector of Wireshark, then what it dissects.
    WiresharkUpperPdu = 252,
}

/// Length of a section header block without options.
pub(super) const SECTION_LEN: usize = 28;

/// Length of an interface description block around its name.
const INTERFACE_LEN: usize = 20 + option_len(0) + option_len(1) + option_len(0);

/// Length of an enhanced packet block around its data and comment.
const PACKET_LEN: usize = 32 + option_len(0) + option_len(4) + option_len(8) + option_len(0);

const END_OF_OPTIONS: u16 = 0;

const fn padded(len: usize) -> usize {
    len.next_multiple_of(4)
}

const fn option_len(value: usize) -> usize {
    4 + padded(value)
}

/// Section 4.1: one section, whose length is not known yet.
pub(super) fn section(out: &mut Vec<u8>) {
    const BYTE_ORDER: u32 = 0x1a2b_3c4d;
    block(out, 0x0a0d_0d0a, |out| {
        out.extend(BYTE_ORDER.to_le_bytes());
        out.extend(1_u16.to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        out.extend((-1_i64).to_le_bytes());
    });
}

/// How long [`interface`] is, with a name of that length.
pub(super) const fn interface_len(name: usize) -> usize {
    INTERFACE_LEN + padded(name)
}

/// Section 4.2: an interface, whose times are in nanoseconds.
pub(super) fn interface(out: &mut Vec<u8>, link: LinkType, snaplen: u32, name: &str) {
    const NAME: u16 = 2;
    const TIME_RESOLUTION: u16 = 9;
    // Ten to the minus nine.
    const NANOSECONDS: u8 = 9;
    block(out, 1, |out| {
        out.extend((link as u16).to_le_bytes());
        out.extend([0, 0]);
        out.extend(snaplen.to_le_bytes());
        option(out, NAME, name.as_bytes());
        option(out, TIME_RESOLUTION, &[NANOSECONDS]);
        option(out, END_OF_OPTIONS, &[]);
    });
}

pub(super) const NAME_MAX: usize = 16;

/// The name of an interface.
pub(super) type Name = Text<NAME_MAX>;

/// A packet, and where and when it passed.
pub(super) struct Frame<'a> {
    pub(super) interface: Name,
    pub(super) link: LinkType,
    /// Since 1970.
    pub(super) at: Duration,
    pub(super) data: &'a [u8],
    pub(super) comment: &'a str,
    /// Section 4.3.1, "epb_flags": the direction.
    pub(super) flags: u32,
    /// Packets lost before this one.
    pub(super) lost: u64,
}

/// How long [`packet`] is at most, with data and a comment of these lengths.
pub(super) const fn packet_len(data: usize, comment: usize) -> usize {
    PACKET_LEN + padded(data) + padded(comment)
}

/// Section 4.3: the first `kept` bytes of a packet. `interface` is the number of
/// its interface in the file.
pub(super) fn packet(out: &mut Vec<u8>, interface: usize, kept: usize, frame: &Frame<'_>) {
    const COMMENT: u16 = 1;
    const FLAGS: u16 = 2;
    const DROP_COUNT: u16 = 4;
    // 64 bits hold nanoseconds until 2554.
    let nanoseconds = u64::try_from(frame.at.as_nanos()).unwrap_or(u64::MAX);
    block(out, 6, |out| {
        out.extend(field(interface));
        out.extend(((nanoseconds >> 32) as u32).to_le_bytes());
        out.extend((nanoseconds as u32).to_le_bytes());
        out.extend(field(kept));
        out.extend(field(frame.data.len()));
        pad(out, &frame.data[..kept]);
        option(out, COMMENT, frame.comment.as_bytes());
        option(out, FLAGS, &frame.flags.to_le_bytes());
        if frame.lost != 0 {
            option(out, DROP_COUNT, &frame.lost.to_le_bytes());
        }
        option(out, END_OF_OPTIONS, &[]);
    });
}

/// A number of 32 bits, which every length in a file fits.
fn field(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}

/// Section 3.1: a block of any type, with its length at both ends.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let len = field(out.len() + 4 - start);
    out[start + 4..start + 8].copy_from_slice(&len);
    out.extend(len);
}

/// Section 3.5. The length has 16 bits, and every value is shorter.
fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend(code.to_le_bytes());
    out.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
    pad(out, value);
}

fn pad(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(bytes);
    out.extend(&[0; 3][..padded(bytes.len()) - bytes.len()]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcap_file::DataLink;
    use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
    use pcap_file::pcapng::{Block, PcapNgReader};

    #[test]
    fn other_readers_find_what_was_written() {
        let mut file = Vec::new();
        section(&mut file);
        assert_eq!(file.len(), SECTION_LEN);
        for (link, name) in [
            (LinkType::Raw, "eth0"),
            (LinkType::WiresharkUpperPdu, "sockets"),
        ] {
            let before = file.len();
            interface(&mut file, link, 100, name);
            assert_eq!(file.len() - before, interface_len(name.len()));
        }
        let at = Duration::new(1_700_000_000, 123_456_789);
        for (data, comment, lost) in [(&b""[..], "", 1), (b"12345", "comment", u64::MAX)] {
            let before = file.len();
            let frame = Frame {
                interface: Name::of("sockets"),
                link: LinkType::WiresharkUpperPdu,
                at,
                data: b"1234567",
                comment,
                flags: 2,
                lost,
            };
            packet(&mut file, 1, data.len(), &frame);
            assert_eq!(file.len() - before, packet_len(data.len(), comment.len()));
        }

        let mut reader = PcapNgReader::new(&file[..]).unwrap();
        let mut interfaces = Vec::new();
        let mut packets = 0;
        while let Some(block) = reader.next_block() {
            match block.unwrap() {
                Block::InterfaceDescription(found) => {
                    assert_eq!((found.snaplen, found.options.len()), (100, 2));
                    interfaces.push(found.linktype);
                }
                Block::EnhancedPacket(found) => {
                    assert_eq!((found.interface_id, found.original_len), (1, 7));
                    // The parser counts in units of the interface.
                    assert_eq!(found.timestamp, at);
                    let count = found.options.iter().find_map(|option| match option {
                        EnhancedPacketOption::DropCount(count) => Some(*count),
                        _ => None,
                    });
                    let expected = [(&b""[..], 1), (b"12345", u64::MAX)][packets];
                    assert_eq!((&*found.data, count.unwrap()), expected);
                    packets += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(interfaces, [DataLink::RAW, DataLink::WIRESHARK_UPPER_PDU]);
        assert_eq!(packets, 2);
    }
}
