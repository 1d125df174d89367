//! CoAP over TCP (RFC 8323): the framing that coap-lite has none of.
//!
//! A frame is a length, a code, a token, then options and payload exactly as
//! in a datagram. So coap-lite encodes and decodes the message as a datagram,
//! and this module exchanges the fixed header: version, type and message id
//! go, a length comes.

use coap_lite::{MessageClass, Packet};

/// 7.01, Capabilities and Settings: the first message in each direction.
pub const CSM: MessageClass = MessageClass::Reserved(0xE1);
/// 7.02, Ping.
pub const PING: MessageClass = MessageClass::Reserved(0xE2);
/// 7.03, Pong.
pub const PONG: MessageClass = MessageClass::Reserved(0xE3);

/// Option 2 of a CSM: the largest frame its sender accepts.
const MAX_MESSAGE_SIZE: u16 = 2;
/// What a peer accepts that says nothing else.
const BASE_MESSAGE_SIZE: u64 = 1152;

/// Where each extended length starts, and the bytes it takes.
const LENGTH_8_BIT: usize = 13;
const LENGTH_16_BIT: usize = 269;
const LENGTH_32_BIT: usize = 65_805;

/// A CSM that accepts frames of up to `max_message_size` bytes.
pub fn csm(max_message_size: u32) -> Packet {
    let mut packet = Packet::new();
    packet.header.code = CSM;
    // A CoAP integer has no leading zero bytes.
    let value = max_message_size.to_be_bytes();
    let first = (max_message_size.leading_zeros() / 8) as usize;
    packet.add_option(MAX_MESSAGE_SIZE.into(), value[first..].to_vec());
    packet
}

/// The largest frame that the sender of this CSM accepts.
pub fn max_message_size(csm: &Packet) -> u64 {
    csm.get_first_option(MAX_MESSAGE_SIZE.into())
        .map_or(BASE_MESSAGE_SIZE, |value| {
            value
                .iter()
                .fold(0, |number, &byte| (number << 8) | u64::from(byte))
        })
}

/// The frame of a message; `None` when it can't be encoded.
pub fn encode(packet: &Packet) -> Option<Vec<u8>> {
    let datagram = packet.to_bytes_unlimited().ok()?;
    let token_length = usize::from(datagram[0] & 0x0F);
    let (token, rest) = datagram[4..].split_at_checked(token_length)?;

    let mut frame = Vec::with_capacity(rest.len() + token.len() + 6);
    let (nibble, extended): (u8, &[u8]) = match rest.len() {
        length if length < LENGTH_8_BIT => (length as u8, &[]),
        length if length < LENGTH_16_BIT => (13, &[(length - LENGTH_8_BIT) as u8]),
        length if length < LENGTH_32_BIT => (14, &((length - LENGTH_16_BIT) as u16).to_be_bytes()),
        length => (
            15,
            &u32::try_from(length - LENGTH_32_BIT).ok()?.to_be_bytes(),
        ),
    };
    frame.push((nibble << 4) | token_length as u8);
    frame.extend_from_slice(extended);
    frame.push(datagram[1]);
    frame.extend_from_slice(token);
    frame.extend_from_slice(rest);
    Some(frame)
}

/// Bytes that are no frame: the stream can't be followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Puts frames together from a stream's pieces.
#[derive(Default)]
pub struct FrameReader {
    bytes: Vec<u8>,
}

impl FrameReader {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message; `Ok(None)` until enough bytes came.
    pub fn next_message(&mut self) -> Result<Option<Packet>, Malformed> {
        let Some(header) = Header::read(&self.bytes)? else {
            return Ok(None);
        };
        if self.bytes.len() < header.frame_length() {
            return Ok(None);
        }
        let frame: Vec<u8> = self.bytes.drain(..header.frame_length()).collect();
        let mut datagram = vec![
            0x40 | header.token_length as u8,
            frame[header.length - 1],
            0,
            0,
        ];
        datagram.extend_from_slice(&frame[header.length..]);
        Packet::from_bytes(&datagram)
            .map(Some)
            .map_err(|_| Malformed)
    }
}

/// The part of a frame before its token.
struct Header {
    /// Bytes up to and including the code.
    length: usize,
    token_length: usize,
    /// Bytes of options and payload.
    rest: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let Some((&first, after)) = bytes.split_first() else {
            return Ok(None);
        };
        let token_length = usize::from(first & 0x0F);
        if token_length > 8 {
            return Err(Malformed);
        }
        let (extended, start) = match first >> 4 {
            13 => (1, LENGTH_8_BIT),
            14 => (2, LENGTH_16_BIT),
            15 => (4, LENGTH_32_BIT),
            nibble => (0, usize::from(nibble)),
        };
        // The code follows the extended length.
        if after.len() < extended + 1 {
            return Ok(None);
        }
        let number = after[..extended]
            .iter()
            .fold(0, |n, &byte| (n << 8) | usize::from(byte));
        let rest = start.checked_add(number).ok_or(Malformed)?;
        Ok(Some(Self {
            length: 1 + extended + 1,
            token_length,
            rest,
        }))
    }

    fn frame_length(&self) -> usize {
        self.length
            .saturating_add(self.token_length)
            .saturating_add(self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coap;
    use coap_lite::RequestType;

    fn post(payload_length: usize) -> Packet {
        let mut packet = coap::request(RequestType::Post, "/dp", &[]);
        packet.set_token(vec![1, 2, 3, 4]);
        packet.payload = (0..payload_length).map(|n| n as u8).collect();
        packet
    }

    /// The example of RFC 8323, figure 5: an empty CSM is two bytes.
    #[test]
    fn the_shortest_frame_is_a_zero_and_a_code() {
        let mut packet = Packet::new();
        packet.header.code = CSM;
        assert_eq!(encode(&packet), Some(vec![0x00, 0xE1]));
    }

    /// Options (3 bytes), the payload marker and the payload make the length.
    #[test]
    fn the_length_grows_at_its_three_edges() {
        let overhead = 4;
        for (length, header) in [
            (12, vec![0xC4]),
            (13, vec![0xD4, 0]),
            (268, vec![0xD4, 255]),
            (269, vec![0xE4, 0, 0]),
            (65_804, vec![0xE4, 0xFF, 0xFF]),
            (65_805, vec![0xF4, 0, 0, 0, 0]),
            (4 << 20, vec![0xF4, 0, 0x3E, 0xFE, 0xF3]),
        ] {
            let frame = encode(&post(length - overhead)).expect("it fits");
            assert_eq!(frame[..header.len()], header, "length {length}");
            assert_eq!(frame.len(), header.len() + 1 + 4 + length);
        }
    }

    #[test]
    fn a_message_survives_any_cut_of_the_stream() {
        let messages = [csm(8 << 20), post(0), post(300), post(70_000)];
        let stream: Vec<u8> = messages
            .iter()
            .flat_map(|m| encode(m).expect("it fits"))
            .collect();
        for piece in [1, 2, 3, 7, 1000, stream.len()] {
            let mut reader = FrameReader::default();
            let mut seen = Vec::new();
            for bytes in stream.chunks(piece) {
                reader.push(bytes);
                while let Some(message) = reader.next_message().expect("well-formed") {
                    seen.push(message);
                }
            }
            assert_eq!(seen, messages, "pieces of {piece} bytes");
        }
    }

    #[test]
    fn a_csm_carries_the_largest_message() {
        assert_eq!(max_message_size(&csm(8_388_864)), 8_388_864);
        assert_eq!(max_message_size(&Packet::new()), 1152);
    }

    #[test]
    fn a_token_of_nine_bytes_is_malformed() {
        let mut reader = FrameReader::default();
        reader.push(&[0x09, 0x01]);
        assert_eq!(reader.next_message(), Err(Malformed));
    }
}
