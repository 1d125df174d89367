//! The LwM2M client over UDP: messages on top of the v-table socket.

use std::fmt;
use std::time::{Duration, Instant};

use coap_lite::{MessageClass, MessageType, Packet, RequestType, ResponseType};

use crate::coap::{self, MessageCache};
use crate::net_error::NetError;
use crate::vtable_client::{Library, Received, Socket, Stickiness};

/// How long each transmission of a request waits for its reply; RFC 7252's
/// doubling, from a start that suits a demo.
const PATIENCE: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// Registration lifetime in seconds.
const LIFETIME: &str = "lt=60";

/// Why an exchange brought no reply.
#[derive(Debug)]
pub enum ExchangeError {
    /// A socket method failed.
    Net(NetError),
    /// Every transmission went unanswered.
    Silence(Duration),
    /// The request can't be encoded.
    Unencodable,
}

impl From<NetError> for ExchangeError {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(error) => error.fmt(f),
            Self::Silence(waited) => write!(f, "no reply in {waited:.1?}"),
            Self::Unencodable => f.write_str("a request that coap-lite can't encode"),
        }
    }
}

/// The reply to a request.
pub struct Reply {
    /// The message; what could be read of it if it was truncated.
    pub message: Packet,
    /// How it fitted the buffer.
    pub fitted: Received,
}

impl Reply {
    /// The response code.
    pub fn code(&self) -> MessageClass {
        self.message.header.code
    }

    /// Whether the response code is this one.
    pub fn is(&self, code: ResponseType) -> bool {
        self.code() == MessageClass::Response(code)
    }
}

/// A received datagram and where it came from.
pub struct Datagram {
    /// The bytes that fitted.
    pub bytes: Vec<u8>,
    /// How it fitted the buffer.
    pub fitted: Received,
    /// The sender's address.
    pub host: String,
    /// The sender's port.
    pub port: String,
}

/// Receives a datagram of at most `capacity` bytes through receive_from.
pub fn receive(socket: &Socket, capacity: usize, wait: Duration) -> Result<Datagram, NetError> {
    let mut bytes = vec![0; capacity];
    socket.set_receive_timeout(wait)?;
    let (fitted, host, port) = socket.receive_from(&mut bytes)?;
    let (Received::Whole(length) | Received::Truncated(length)) = fitted;
    bytes.truncate(length);
    Ok(Datagram {
        bytes,
        fitted,
        host,
        port,
    })
}

/// Answers the server's requests, each once.
#[derive(Default)]
pub struct Responder {
    cache: MessageCache,
    carried_out: u32,
}

/// The answer to a request.
pub struct Answer {
    /// The reply's bytes.
    pub bytes: Vec<u8>,
    /// Whether the request was carried out now, or before and the reply kept.
    pub from_cache: bool,
}

impl Responder {
    /// How many requests were carried out.
    pub fn carried_out(&self) -> u32 {
        self.carried_out
    }

    /// The answer to a request; `None` for anything else.
    pub fn answer(&mut self, datagram: &Datagram) -> Option<Answer> {
        let request = Packet::from_bytes(&datagram.bytes).ok()?;
        let method = coap::method(&request)?;
        let (host, port, id) = (&datagram.host, &datagram.port, request.header.message_id);
        if let Some(reply) = self.cache.find(host, port, id) {
            return Some(Answer {
                bytes: reply.to_vec(),
                from_cache: true,
            });
        }
        self.carried_out += 1;
        let (code, payload) = match (method, coap::path(&request).as_str()) {
            // The manufacturer. The number tells an answer from a repeated one.
            (RequestType::Get, "/3/0/0") => (
                ResponseType::Content,
                format!("anjay-net demo, answer {}", self.carried_out),
            ),
            _ => (ResponseType::NotFound, String::new()),
        };
        let mut reply = coap::reply(&request, code, payload.into_bytes())?;
        coap::set_text_format(&mut reply);
        let bytes = reply.to_bytes().ok()?;
        self.cache.insert(host, port, id, bytes.clone());
        Some(Answer {
            bytes,
            from_cache: false,
        })
    }
}

/// Payload bytes as the calls' results tell them.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    /// Of datagrams that send took.
    pub sent: u64,
    /// That receive delivered.
    pub received: u64,
    /// That were sent while nobody listened.
    pub unheard: u64,
    /// That were cut off truncated datagrams.
    pub cut_off: u64,
}

/// The client and its one socket, which lives through every step.
pub struct Client {
    /// The socket.
    pub socket: Socket,
    /// The local port, once there is one.
    pub local_port: String,
    /// Where the server keeps the registration.
    pub location: Option<String>,
    /// Whether the server ever replied.
    pub was_answered: bool,
    /// Answers the server's requests.
    pub responder: Responder,
    /// The client's own count.
    pub tally: Tally,
    host: String,
    port: String,
    next_id: u16,
}

impl Client {
    /// A client of the server at this host and port.
    pub fn new(library: &Library, host: &str, port: &str) -> Result<Self, NetError> {
        Ok(Self {
            socket: library.udp(Stickiness::Sticky)?,
            local_port: String::new(),
            location: None,
            was_answered: false,
            responder: Responder::default(),
            tally: Tally::default(),
            host: host.to_owned(),
            port: port.to_owned(),
            next_id: 1,
        })
    }

    /// Binds to the port and connects to the server.
    pub fn open(&mut self) -> Result<(), NetError> {
        self.socket.bind(None, &self.local_port)?;
        self.socket.connect(&self.host, &self.port)
    }

    /// Closes, binds to the same port and connects again.
    pub fn reopen(&mut self) -> Result<(), NetError> {
        self.socket.close()?;
        self.open()
    }

    /// Registers, newly or again.
    pub fn register(&mut self, endpoint: &str) -> Result<Reply, ExchangeError> {
        let request = registration(endpoint, "b=U");
        let reply = self.exchange(request, coap::MAX_DATAGRAM)?;
        self.location = reply
            .is(ResponseType::Created)
            .then(|| coap::location(&reply.message));
        Ok(reply)
    }

    /// Updates the registration; `None` without one.
    pub fn update(&mut self) -> Result<Option<Reply>, ExchangeError> {
        let Some(location) = self.location.clone() else {
            return Ok(None);
        };
        let request = coap::request(RequestType::Post, &location, &[LIFETIME]);
        self.exchange(request, coap::MAX_DATAGRAM).map(Some)
    }

    /// Ends the registration; `None` without one.
    pub fn deregister(&mut self) -> Result<Option<Reply>, ExchangeError> {
        let Some(location) = self.location.take() else {
            return Ok(None);
        };
        let request = coap::request(RequestType::Delete, &location, &[]);
        self.exchange(request, coap::MAX_DATAGRAM).map(Some)
    }

    /// Sends a request and waits for its reply, received into a buffer of
    /// `capacity` bytes.
    pub fn exchange(&mut self, request: Packet, capacity: usize) -> Result<Reply, ExchangeError> {
        let (bytes, id) = self.prepare(request)?;
        let started = Instant::now();
        for patience in PATIENCE {
            self.send(&bytes)?;
            match self.await_reply(id, capacity, patience) {
                Err(ExchangeError::Net(error)) if error.name() == "ETIMEDOUT" => {}
                outcome => return outcome,
            }
        }
        Err(ExchangeError::Silence(started.elapsed()))
    }

    /// Gives a request its message id and token; the id stands for both.
    pub fn prepare(&mut self, mut request: Packet) -> Result<(Vec<u8>, u16), ExchangeError> {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        request.header.message_id = id;
        request.set_token(id.to_be_bytes().to_vec());
        let bytes = request.to_bytes().map_err(|_| ExchangeError::Unencodable)?;
        Ok((bytes, id))
    }

    /// Sends a datagram to the server.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), NetError> {
        self.socket.send(bytes)?;
        self.tally.sent += bytes.len() as u64;
        Ok(())
    }

    /// Waits for the reply to the request with this id. What else comes is
    /// answered if it is a request.
    pub fn await_reply(
        &mut self,
        id: u16,
        capacity: usize,
        patience: Duration,
    ) -> Result<Reply, ExchangeError> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let datagram = self.receive(capacity, left)?;
            let Ok(message) = Packet::from_bytes(&datagram.bytes) else {
                continue;
            };
            let is_reply = matches!(message.header.code, MessageClass::Response(_));
            if is_reply && message.get_token() == id.to_be_bytes() {
                self.was_answered = true;
                if message.header.get_type() == MessageType::Confirmable {
                    // A separate response. Empty messages always encode.
                    let bytes = coap::acknowledge(&message).to_bytes().unwrap_or_default();
                    self.send(&bytes)?;
                }
                return Ok(Reply {
                    message,
                    fitted: datagram.fitted,
                });
            }
            if let Some(answer) = self.responder.answer(&datagram) {
                self.send(&answer.bytes)?;
            }
        }
    }

    /// Receives one datagram, whatever it is.
    pub fn receive(&mut self, capacity: usize, wait: Duration) -> Result<Datagram, NetError> {
        let datagram = receive(&self.socket, capacity, wait)?;
        self.tally.received += datagram.bytes.len() as u64;
        Ok(datagram)
    }
}

/// The request that registers this client; `binding` is the `b` parameter.
pub fn registration(endpoint: &str, binding: &str) -> Packet {
    let endpoint = format!("ep={endpoint}");
    let queries = [endpoint.as_str(), LIFETIME, "lwm2m=1.1", binding];
    let mut request = coap::request(RequestType::Post, "/rd", &queries);
    request.payload = coap::registration_payload();
    coap::set_link_format(&mut request);
    request
}
