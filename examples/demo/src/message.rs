//! CoAP messages: helpers over coap-lite for both ends, and CoAP over TCP
//! (RFC 8323), which coap-lite has none of.

use coap_lite::block_handler::BlockValue;
use coap_lite::{
    CoapOption, CoapRequest, CoapResponse, MessageClass, Packet, RequestType, ResponseType,
};

/// The largest datagram either side sends or expects.
pub const MAX_DATAGRAM: usize = 2048;

/// A confirmable request without message id and token, which its sender sets.
pub fn request(method: RequestType, path: &str, queries: &[&str]) -> Packet {
    let mut request = CoapRequest::<()>::new();
    request.set_method(method);
    request.set_path(path);
    for query in queries {
        let query = query.as_bytes().to_vec();
        request.message.add_option(CoapOption::UriQuery, query);
    }
    request.message
}

/// The request that registers a client; `binding` is the `b` parameter.
pub fn registration(endpoint: &str, binding: &str) -> Packet {
    let endpoint = format!("ep={endpoint}");
    let queries = [&endpoint, "lt=60", "lwm2m=1.1", binding];
    let mut request = request(RequestType::Post, "/rd", &queries);
    request.payload = b"</>;rt=\"oma.lwm2m\",</1/0>,</3/0>,</5/0>".to_vec();
    request.set_content_format(coap_lite::ContentFormat::ApplicationLinkFormat);
    request
}

/// The piggybacked reply to a request; `None` when it wants none.
pub fn reply(request: &Packet, code: ResponseType, payload: Vec<u8>) -> Option<Packet> {
    let mut response = CoapResponse::new(request)?;
    response.set_status(code);
    response.message.payload = payload;
    Some(response.message)
}

/// The method of a message that is a request.
pub fn method(message: &Packet) -> Option<RequestType> {
    match message.header.code {
        MessageClass::Request(method) => Some(method),
        _ => None,
    }
}

/// Whether this is the code of a response.
pub fn is(message: &Packet, code: ResponseType) -> bool {
    message.header.code == MessageClass::Response(code)
}

/// A path in an option: of a request, or where a 2.01 says the resource is.
pub fn path(message: &Packet, option: CoapOption) -> String {
    let segments = message.get_option(option).into_iter().flatten();
    segments.fold(String::new(), |path, segment| {
        path + "/" + &String::from_utf8_lossy(segment)
    })
}

/// The Block2 option of a message.
pub fn block2(message: &Packet) -> Option<BlockValue> {
    let block = message.get_first_option_as::<BlockValue>(CoapOption::Block2);
    block.and_then(Result::ok)
}

/// Asks for, or says that this is, a block.
pub fn set_block2(message: &mut Packet, number: usize, more: bool, size: usize) {
    let block = BlockValue::new(number, more, size).expect("a block of these files");
    message.add_option_as(CoapOption::Block2, block);
}

/// Content that differs at every offset, the same in every run.
pub fn content(length: usize) -> Vec<u8> {
    let mut state = 0xF1_u64;
    let words = std::iter::from_fn(|| {
        // xorshift64: no block or period shorter than the content repeats.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state.to_le_bytes())
    });
    words.flatten().take(length).collect()
}

/// 7.01, Capabilities and Settings: the first message in each direction.
pub const CSM: MessageClass = MessageClass::Reserved(0xE1);
/// 7.02, Ping.
pub const PING: MessageClass = MessageClass::Reserved(0xE2);
/// 7.03, Pong.
pub const PONG: MessageClass = MessageClass::Reserved(0xE3);

/// Option 2 of a CSM: the largest message that its sender accepts.
const MAX_MESSAGE_SIZE: u16 = 2;

/// A message of nothing but a code.
pub fn signal(code: MessageClass) -> Packet {
    let mut packet = Packet::new();
    packet.header.code = code;
    packet
}

/// A CSM that accepts messages of up to that many bytes.
pub fn csm(max_message_size: u32) -> Packet {
    let mut packet = signal(CSM);
    // A CoAP integer has no leading zero bytes.
    let value = max_message_size.to_be_bytes();
    let first = (max_message_size.leading_zeros() / 8) as usize;
    packet.add_option(MAX_MESSAGE_SIZE.into(), value[first..].to_vec());
    packet
}

/// The largest message that the sender of this CSM accepts.
pub fn max_message_size(csm: &Packet) -> u64 {
    let value = csm.get_first_option(MAX_MESSAGE_SIZE.into());
    value.map_or(1152, |value| number(value))
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// Where the lengths start that take 1, 2 and 4 more bytes.
const LENGTHS: [(u64, usize); 3] = [(13, 1), (269, 2), (65_805, 4)];

/// The frame of a message: that of its datagram, with a length in the place of
/// version, type and message id.
pub fn frame(packet: &Packet) -> Vec<u8> {
    let datagram = packet.to_bytes_unlimited().expect("a message of ours");
    let token_length = datagram[0] & 0x0F;
    let length = (datagram.len() - 4 - usize::from(token_length)) as u64;
    let extended = LENGTHS.iter().rposition(|(start, _)| length >= *start);
    let mut frame = match extended {
        None => vec![(length as u8) << 4 | token_length],
        Some(index) => {
            let (start, width) = LENGTHS[index];
            let bytes = (length - start).to_be_bytes();
            let mut frame = vec![(13 + index as u8) << 4 | token_length];
            frame.extend_from_slice(&bytes[bytes.len() - width..]);
            frame
        }
    };
    frame.push(datagram[1]);
    frame.extend_from_slice(&datagram[4..]);
    frame
}

/// The next message of a stream, taken off it; `None` until all of it came.
/// Bytes that are no frame are an error, as nobody can follow the stream then.
pub fn next_message(stream: &mut Vec<u8>) -> Result<Option<Packet>, &'static str> {
    const NO_FRAME: &str = "bytes that are no frame";
    let Some(&first) = stream.first() else {
        return Ok(None);
    };
    let token_length = usize::from(first & 0x0F);
    let (start, width) = match first >> 4 {
        nibble @ 13.. => LENGTHS[usize::from(nibble - 13)],
        nibble => (nibble.into(), 0),
    };
    let Some(&code) = stream.get(1 + width) else {
        return Ok(None);
    };
    let length = usize::try_from(start + number(&stream[1..1 + width]));
    let header = 2 + width;
    let end = header + token_length + length.map_err(|_| NO_FRAME)?;
    if stream.len() < end {
        return Ok(None);
    }
    let mut datagram = vec![0x40 | token_length as u8, code, 0, 0];
    datagram.extend_from_slice(&stream[header..end]);
    stream.drain(..end);
    Packet::from_bytes(&datagram)
        .map(Some)
        .map_err(|_| NO_FRAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(payload_length: usize) -> Packet {
        let mut packet = request(RequestType::Post, "/dp", &[]);
        packet.set_token(vec![1, 2, 3, 4]);
        packet.payload = content(payload_length);
        packet
    }

    /// RFC 8323, figure 5, and the edges of the length: options (3 bytes), the
    /// payload marker and the payload.
    #[test]
    fn the_length_grows_at_its_three_edges() {
        assert_eq!(frame(&signal(CSM)), [0x00, 0xE1]);
        for (length, header) in [
            (12, vec![0xC4]),
            (13, vec![0xD4, 0]),
            (268, vec![0xD4, 255]),
            (269, vec![0xE4, 0, 0]),
            (65_804, vec![0xE4, 0xFF, 0xFF]),
            (65_805, vec![0xF4, 0, 0, 0, 0]),
            (4 << 20, vec![0xF4, 0, 0x3E, 0xFE, 0xF3]),
        ] {
            let frame = frame(&post(length - 4));
            assert_eq!(frame[..header.len()], header, "length {length}");
            assert_eq!(frame.len(), header.len() + 1 + 4 + length);
        }
    }

    #[test]
    fn a_message_survives_any_cut_of_the_stream() {
        let messages = [csm(8 << 20), post(0), post(300), post(70_000)];
        let bytes = messages.each_ref().map(frame).concat();
        for piece in [1, 2, 3, 7, 1000, bytes.len()] {
            let (mut stream, mut seen) = (Vec::new(), Vec::new());
            for bytes in bytes.chunks(piece) {
                stream.extend_from_slice(bytes);
                while let Some(message) = next_message(&mut stream).expect("well-formed") {
                    seen.push(message);
                }
            }
            assert_eq!(seen, messages, "pieces of {piece} bytes");
        }
        assert_eq!(max_message_size(&messages[0]), 8 << 20);
        assert_eq!(max_message_size(&Packet::new()), 1152);
        assert!(next_message(&mut vec![0x09, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }
}
