//! Small helpers over coap-lite, used by both the client and the servers.

use std::collections::VecDeque;
use std::fmt::Write as _;

use coap_lite::block_handler::BlockValue;
use coap_lite::link_format::LinkFormatWrite;
use coap_lite::{
    CoapOption, CoapRequest, CoapResponse, ContentFormat, MessageClass, MessageType, Packet,
    RequestType, ResponseType,
};
use sha2::{Digest, Sha256};

/// The largest datagram either side sends or expects.
pub const MAX_DATAGRAM: usize = 2048;

/// A confirmable request without message id and token, which its sender sets.
pub fn request(method: RequestType, path: &str, queries: &[&str]) -> Packet {
    let mut request = CoapRequest::<()>::new();
    request.set_method(method);
    request.set_path(path);
    for query in queries {
        request
            .message
            .add_option(CoapOption::UriQuery, query.as_bytes().to_vec());
    }
    request.message
}

/// The piggybacked reply to a request; `None` when it wants none.
pub fn reply(request: &Packet, code: ResponseType, payload: Vec<u8>) -> Option<Packet> {
    let mut response = CoapResponse::new(request)?;
    response.set_status(code);
    response.message.payload = payload;
    Some(response.message)
}

/// The empty acknowledgement of a confirmable message.
pub fn acknowledge(message: &Packet) -> Packet {
    let mut empty = Packet::new();
    empty.header.set_type(MessageType::Acknowledgement);
    empty.header.code = MessageClass::Empty;
    empty.header.message_id = message.header.message_id;
    empty
}

/// The method of a message that is a request.
pub fn method(message: &Packet) -> Option<RequestType> {
    match message.header.code {
        MessageClass::Request(method) => Some(method),
        _ => None,
    }
}

/// The path of a request, with its leading slash.
pub fn path(request: &Packet) -> String {
    joined(request, CoapOption::UriPath)
}

/// Where a 2.01 says that the new resource is.
pub fn location(reply: &Packet) -> String {
    joined(reply, CoapOption::LocationPath)
}

fn joined(message: &Packet, option: CoapOption) -> String {
    let mut path = String::new();
    for segment in message.get_option(option).into_iter().flatten() {
        path.push('/');
        path.push_str(&String::from_utf8_lossy(segment));
    }
    path
}

/// The value of `name=value` among a request's queries.
pub fn query(request: &Packet, name: &str) -> Option<String> {
    request
        .get_option(CoapOption::UriQuery)?
        .iter()
        .find_map(|query| {
            let query = String::from_utf8_lossy(query);
            let (key, value) = query.split_once('=')?;
            (key == name).then(|| value.to_owned())
        })
}

/// The Block2 option of a message.
pub fn block2(message: &Packet) -> Option<BlockValue> {
    message
        .get_first_option_as::<BlockValue>(CoapOption::Block2)?
        .ok()
}

/// Asks for, or says that this is, block `number` of `size` bytes; `None` when
/// Block2 can't express it.
pub fn set_block2(message: &mut Packet, number: usize, more: bool, size: usize) -> Option<()> {
    let block = BlockValue::new(number, more, size).ok()?;
    message.add_option_as(CoapOption::Block2, block);
    Some(())
}

/// The objects that the client offers, as LwM2M's registration lists them.
pub fn registration_payload() -> Vec<u8> {
    let mut links = String::new();
    let mut writer = LinkFormatWrite::new(&mut links);
    let _ = writer.link("/").attr("rt", "oma.lwm2m").finish();
    for object in ["/1/0", "/3/0", "/5/0"] {
        let _ = writer.link(object).finish();
    }
    let _ = writer.finish();
    links.into_bytes()
}

/// Marks the payload as links.
pub fn set_link_format(message: &mut Packet) {
    message.set_content_format(ContentFormat::ApplicationLinkFormat);
}

/// Marks the payload as text.
pub fn set_text_format(message: &mut Packet) {
    message.set_content_format(ContentFormat::TextPlain);
}

/// Content that differs at every offset, the same in every run.
pub fn content(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        // xorshift64: no block or period shorter than the content repeats.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The SHA-256 of some bytes in hexadecimal.
pub fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Replies by sender and message id, so that a repeated request gets the same
/// bytes and is not carried out twice (RFC 7252, 4.5).
#[derive(Default)]
pub struct MessageCache {
    replies: VecDeque<((String, String, u16), Vec<u8>)>,
}

impl MessageCache {
    /// Replies kept; the oldest goes first.
    const CAPACITY: usize = 64;

    /// The reply that this peer already got for this message id.
    pub fn find(&self, host: &str, port: &str, message_id: u16) -> Option<&[u8]> {
        self.replies
            .iter()
            .find(|((h, p, id), _)| (h.as_str(), p.as_str(), *id) == (host, port, message_id))
            .map(|(_, reply)| reply.as_slice())
    }

    /// Keeps a reply.
    pub fn insert(&mut self, host: &str, port: &str, message_id: u16, reply: Vec<u8>) {
        if self.replies.len() == Self::CAPACITY {
            self.replies.pop_front();
        }
        self.replies
            .push_back(((host.to_owned(), port.to_owned(), message_id), reply));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_tells_hosts_ports_and_ids_apart() {
        let mut cache = MessageCache::default();
        cache.insert("127.0.0.1", "5683", 7, vec![1]);
        assert_eq!(cache.find("127.0.0.1", "5683", 7), Some(&[1][..]));
        assert_eq!(cache.find("127.0.0.2", "5683", 7), None);
        assert_eq!(cache.find("127.0.0.1", "5684", 7), None);
        assert_eq!(cache.find("127.0.0.1", "5683", 8), None);
    }

    #[test]
    fn the_cache_forgets_the_oldest() {
        let mut cache = MessageCache::default();
        for id in 0..=MessageCache::CAPACITY as u16 {
            cache.insert("::1", "1", id, Vec::new());
        }
        assert_eq!(cache.find("::1", "1", 0), None);
        assert!(cache.find("::1", "1", 1).is_some());
    }

    #[test]
    fn paths_queries_and_links_come_back() {
        let request = request(RequestType::Post, "/rd/7", &["ep=demo", "lt=60"]);
        assert_eq!(path(&request), "/rd/7");
        assert_eq!(query(&request, "lt").as_deref(), Some("60"));
        assert_eq!(query(&request, "b"), None);
        assert_eq!(
            String::from_utf8(registration_payload()).as_deref(),
            Ok("</>;rt=\"oma.lwm2m\",</1/0>,</3/0>,</5/0>")
        );
    }

    #[test]
    fn content_is_the_same_every_time_and_not_periodic() {
        assert_eq!(content(1000, 3), content(1000, 3));
        assert_ne!(content(1024, 3), content(1024, 4));
        let bytes = content(4096, 3);
        assert_ne!(bytes[..1024], bytes[1024..2048]);
    }
}
