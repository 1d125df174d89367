//! What the embedded server knows and how it replies: registrations and a
//! firmware, no sockets.

use std::collections::HashSet;
use std::net::SocketAddr;

use coap_lite::{CoapOption, Packet, RequestType, ResponseType};

use crate::coap;

/// Where the firmware is.
pub const FIRMWARE_PATH: &str = "/fw";
/// Its size: 96 blocks of 1024 bytes and a last one that is not full.
const FIRMWARE_SIZE: usize = 96 * 1024 + 321;
/// The largest block that the server sends.
const BLOCK_SIZE: usize = 1024;

/// What the server saw.
#[derive(Debug)]
pub enum Event {
    /// A registration, new or again.
    Registered {
        /// The server's address that was asked.
        at: SocketAddr,
        /// The client's address and port.
        from: SocketAddr,
        /// Where the registration is.
        location: String,
    },
    /// A registration update that found its registration.
    Updated {
        /// The server's address that was asked.
        at: SocketAddr,
        /// The client's address and port.
        from: SocketAddr,
    },
    /// A firmware block left.
    Served(usize),
    /// Anything that is no request: the answer to one of the server's own.
    Answered(Vec<u8>),
}

/// What a datagram leads to.
#[derive(Debug, Default)]
pub struct Reaction {
    /// The reply to send.
    pub reply: Option<Packet>,
    /// What to tell the demo once it is sent.
    pub event: Option<Event>,
}

/// The state of the server.
pub struct Lwm2m {
    registrations: HashSet<String>,
    next_id: u32,
    firmware: Vec<u8>,
    firmware_checksum: String,
}

impl Lwm2m {
    /// A server without registrations.
    pub fn new() -> Self {
        let firmware = coap::content(FIRMWARE_SIZE, 0xF1);
        Self {
            registrations: HashSet::new(),
            next_id: 1,
            firmware_checksum: coap::checksum(&firmware),
            firmware,
        }
    }

    /// SHA-256 of the firmware.
    pub fn firmware_checksum(&self) -> &str {
        &self.firmware_checksum
    }

    /// Forgets every registration, as a server that died has.
    pub fn forget(&mut self) {
        self.registrations.clear();
    }

    /// Handles a datagram that came to `at`.
    pub fn handle(&mut self, at: SocketAddr, from: SocketAddr, bytes: &[u8]) -> Reaction {
        let Ok(message) = Packet::from_bytes(bytes) else {
            return Reaction::default();
        };
        let path = coap::path(&message);
        match (coap::method(&message), path.as_str()) {
            (None, _) => Reaction {
                reply: None,
                event: Some(Event::Answered(bytes.to_vec())),
            },
            (Some(RequestType::Post), "/rd") => self.register(&message, at, from),
            (Some(RequestType::Post), location) => {
                if self.registrations.contains(location) {
                    let event = Event::Updated { at, from };
                    Reaction {
                        event: Some(event),
                        ..status(&message, ResponseType::Changed)
                    }
                } else {
                    status(&message, ResponseType::NotFound)
                }
            }
            (Some(RequestType::Delete), location) => {
                let known = self.registrations.remove(location);
                status(
                    &message,
                    if known {
                        ResponseType::Deleted
                    } else {
                        ResponseType::NotFound
                    },
                )
            }
            (Some(RequestType::Get), "/.well-known/core") => {
                let links = format!("</rd>;rt=core.rd,<{FIRMWARE_PATH}>;sz={FIRMWARE_SIZE}");
                let mut reply = coap::reply(&message, ResponseType::Content, links.into_bytes());
                if let Some(reply) = &mut reply {
                    coap::set_link_format(reply);
                }
                Reaction { reply, event: None }
            }
            (Some(RequestType::Get), FIRMWARE_PATH) => self.firmware_block(&message),
            _ => status(&message, ResponseType::NotFound),
        }
    }

    fn register(&mut self, request: &Packet, at: SocketAddr, from: SocketAddr) -> Reaction {
        let complete = ["ep", "lt", "lwm2m"]
            .iter()
            .all(|q| coap::query(request, q).is_some())
            && !request.payload.is_empty();
        if !complete {
            return status(request, ResponseType::BadRequest);
        }
        let id = self.next_id.to_string();
        self.next_id += 1;
        let location = format!("/rd/{id}");
        self.registrations.insert(location.clone());
        let mut reaction = status(request, ResponseType::Created);
        if let Some(reply) = &mut reaction.reply {
            reply.add_option(CoapOption::LocationPath, b"rd".to_vec());
            reply.add_option(CoapOption::LocationPath, id.into_bytes());
        }
        reaction.event = Some(Event::Registered { at, from, location });
        reaction
    }

    fn firmware_block(&self, request: &Packet) -> Reaction {
        let (number, size) = coap::block2(request).map_or((0, BLOCK_SIZE), |block| {
            (usize::from(block.num), block.size().min(BLOCK_SIZE))
        });
        let rest = self.firmware.get(number * size..).unwrap_or_default();
        if rest.is_empty() {
            return status(request, ResponseType::BadOption);
        }
        let block = &rest[..rest.len().min(size)];
        let mut reply = coap::reply(request, ResponseType::Content, block.to_vec());
        if let Some(reply) = &mut reply {
            // The tag tells a client that comes back whether it is the same file.
            let tag = self.firmware_checksum.as_bytes()[..8].to_vec();
            reply.add_option(CoapOption::ETag, tag);
            // Any block of this firmware has a number that fits.
            let _ = coap::set_block2(reply, number, rest.len() > size, size);
        }
        Reaction {
            reply,
            event: Some(Event::Served(number)),
        }
    }
}

/// A reply of nothing but a code.
fn status(request: &Packet, code: ResponseType) -> Reaction {
    Reaction {
        reply: coap::reply(request, code, Vec::new()),
        event: None,
    }
}
