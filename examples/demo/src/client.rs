//! The LwM2M client: messages on top of a v-table socket, over UDP or TCP.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anjay_net_vtable::{Code, Info, Kind, NULL, Socket, code};
use coap_lite::{CoapOption, MessageClass, MessageType, Packet, RequestType, ResponseType};

use crate::message::{self, MAX_DATAGRAM};
use crate::report::{OrFail, Stop};
use crate::target::{Target, Transport};

/// How long each transmission over UDP waits for its reply; RFC 7252's
/// doubling, from a start that suits a demo.
const TRANSMISSIONS: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// How long a reply over TCP may take.
const REPLY_LIMIT: Duration = Duration::from_secs(5);

/// A message that has arrived.
pub struct Arrived {
    /// What could be read of it if it was cut.
    pub message: Packet,
    /// Bytes that were delivered.
    pub length: usize,
    /// EMSGSIZE: the buffer was filled, and the rest is lost.
    pub is_cut: bool,
    /// The sender's host and port, over UDP.
    pub from: (String, String),
}

/// An answer to a request of the server's.
pub struct Answer {
    pub bytes: Vec<u8>,
    /// The request was carried out before, and the reply kept.
    pub is_from_cache: bool,
}

/// The client and its one socket.
pub struct Client {
    pub socket: Socket,
    pub target: Target,
    /// Empty until there is one, then the same for good.
    pub local_port: String,
    /// Where the server keeps the registration.
    pub location: Option<String>,
    /// The largest message that the server accepts, over TCP.
    pub server_accepts: u64,
    /// How many requests were carried out.
    pub carried_out: u32,
    /// Payload bytes as the calls' results tell them.
    pub sent: u64,
    pub received: u64,
    /// Of them, those sent while nobody listened, and those cut off.
    pub unheard: u64,
    pub cut_off: u64,
    /// Replies by sender and message id, so that a repeated request gets the
    /// same bytes and is not carried out twice (RFC 7252, 4.5).
    replies: HashMap<(String, String, u16), Vec<u8>>,
    stream: Vec<u8>,
    next_id: u16,
}

impl Client {
    /// A client of that server, not connected.
    pub fn new(target: Target) -> Client {
        let kind = match target.transport {
            Transport::Udp => Kind::Udp,
            Transport::Tcp => Kind::Tcp,
        };
        Client {
            socket: Socket::new(kind),
            target,
            local_port: String::new(),
            location: None,
            server_accepts: 0,
            carried_out: 0,
            sent: 0,
            received: 0,
            unheard: 0,
            cut_off: 0,
            replies: HashMap::new(),
            stream: Vec::new(),
            next_id: 1,
        }
    }

    /// Binds to the local port and connects; over TCP both sides tell their
    /// settings first.
    pub fn open(&mut self) -> Result<(), Stop> {
        let (host, port) = (&*self.target.host, &*self.target.port);
        if self.target.transport == Transport::Udp {
            let bound = self.socket.bind(NULL, &*self.local_port);
            bound.ok().or_fail("bind")?;
            return self.socket.connect(host, port).ok().or_fail("connect");
        }
        self.socket.connect(host, port).ok().or_fail("connect")?;
        self.send(&message::csm(1 << 20)).or_fail("send")?;
        let is_csm = |message: &Packet| message.header.code == message::CSM;
        let csm = self.wait_for(is_csm, MAX_DATAGRAM, REPLY_LIMIT);
        self.server_accepts = message::max_message_size(&csm.or_fail("settings")?.message);
        Ok(())
    }

    /// Closes, binds to the same port and connects again; it must be the same.
    pub fn reopen(&mut self) -> Result<(), Stop> {
        self.socket.close().ok().or_fail("close")?;
        self.open()?;
        crate::report::ensure_same("local port", &self.local_port, &self.text(Info::LocalPort)?)
    }

    /// What one of the five methods says.
    pub fn text(&self, info: Info) -> Result<String, Stop> {
        self.socket.info(info, 256).or_fail(&format!("{info:?}"))
    }

    /// Registers, newly or again.
    pub fn register(&mut self, endpoint: &str) -> Result<(), Stop> {
        let binding = match self.target.transport {
            Transport::Udp => "b=U",
            Transport::Tcp => "b=T",
        };
        let reply = self.exchange(message::registration(endpoint, binding));
        let reply = reply.or_fail("registration")?;
        let is_created = message::is(&reply, ResponseType::Created);
        crate::report::ensure(is_created, "2.01", reply.header.code)?;
        self.location = Some(message::path(&reply, CoapOption::LocationPath));
        Ok(())
    }

    /// Sends a request about the registration; the code of the reply.
    pub fn registered(&mut self, method: RequestType) -> Result<String, Code> {
        let location = self.location.clone().unwrap_or_default();
        let reply = self.exchange(message::request(method, &location, &["lt=60"]))?;
        Ok(reply.header.code.to_string())
    }

    /// Sends a request and waits for its reply.
    pub fn exchange(&mut self, request: Packet) -> Result<Packet, Code> {
        self.exchange_into(request, MAX_DATAGRAM)
            .map(|arrived| arrived.message)
    }

    /// The same with a buffer of `capacity` bytes.
    pub fn exchange_into(&mut self, request: Packet, capacity: usize) -> Result<Arrived, Code> {
        let request = self.prepare(request);
        let limits = match self.target.transport {
            Transport::Udp => &TRANSMISSIONS[..],
            Transport::Tcp => &[REPLY_LIMIT],
        };
        for &limit in limits {
            self.send(&request)?;
            match self.wait_for_reply(&request, capacity, limit) {
                Err(code::ETIMEDOUT) => {}
                outcome => return outcome,
            }
        }
        Err(code::ETIMEDOUT)
    }

    /// Gives a request its message id and token.
    pub fn prepare(&mut self, mut request: Packet) -> Packet {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        request.header.message_id = id;
        request.set_token(id.to_be_bytes().to_vec());
        request
    }

    /// Sends a message to the server.
    pub fn send(&mut self, message: &Packet) -> Result<(), Code> {
        match self.target.transport {
            Transport::Udp => self.send_bytes(&message.to_bytes().expect("a message of ours")),
            Transport::Tcp => self.send_bytes(&message::frame(message)),
        }
    }

    /// Sends bytes to the server.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Code> {
        self.socket.send(bytes).ok()?;
        self.sent += bytes.len() as u64;
        Ok(())
    }

    /// Waits for the reply to a request.
    pub fn wait_for_reply(
        &mut self,
        request: &Packet,
        capacity: usize,
        limit: Duration,
    ) -> Result<Arrived, Code> {
        let is_reply = |message: &Packet| {
            matches!(message.header.code, MessageClass::Response(_))
                && message.get_token() == request.get_token()
        };
        let arrived = self.wait_for(is_reply, capacity, limit)?;
        if arrived.message.header.get_type() == MessageType::Confirmable
            && self.target.transport == Transport::Udp
        {
            // A separate response.
            let mut empty = message::signal(MessageClass::Empty);
            empty.header.set_type(MessageType::Acknowledgement);
            empty.header.message_id = arrived.message.header.message_id;
            self.send(&empty)?;
        }
        Ok(arrived)
    }

    /// Sends a Ping and waits for its Pong: both sides are at the same frame.
    pub fn ping(&mut self) -> Result<(), Code> {
        self.send(&message::signal(message::PING))?;
        let is_pong = |message: &Packet| message.header.code == message::PONG;
        self.wait_for(is_pong, MAX_DATAGRAM, REPLY_LIMIT).map(drop)
    }

    /// Waits for a message. What else comes is answered if it is a request.
    fn wait_for(
        &mut self,
        is_wanted: impl Fn(&Packet) -> bool,
        capacity: usize,
        limit: Duration,
    ) -> Result<Arrived, Code> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let arrived = self.receive(capacity, left)?;
            if is_wanted(&arrived.message) {
                return Ok(arrived);
            }
            if let Some(answer) = self.answer(&arrived) {
                self.send_bytes(&answer.bytes)?;
            }
        }
    }

    /// Receives one message, whatever it is.
    pub fn receive(&mut self, capacity: usize, limit: Duration) -> Result<Arrived, Code> {
        loop {
            let in_stream = message::next_message(&mut self.stream);
            if let Some(message) = in_stream.map_err(|_| code::EINVAL)? {
                return Ok(Arrived {
                    message,
                    length: 0,
                    is_cut: false,
                    from: Default::default(),
                });
            }
            self.socket.set_timeout(limit).ok()?;
            let received = self.socket.receive_from(capacity, 64, 6);
            let is_cut = received.code == code::EMSGSIZE;
            if !is_cut {
                received.code.ok()?;
            }
            self.received += received.data.len() as u64;
            if self.target.transport == Transport::Tcp {
                if received.data.is_empty() {
                    return Err(code::ECONNRESET);
                }
                self.stream.extend_from_slice(&received.data);
                continue;
            }
            let [host, port] = received.from.map(Option::unwrap_or_default);
            if let Ok(message) = Packet::from_bytes(&received.data) {
                return Ok(Arrived {
                    message,
                    length: received.data.len(),
                    is_cut,
                    from: (host, port),
                });
            }
        }
    }

    /// The answer to a request of the server's; `None` for anything else.
    pub fn answer(&mut self, arrived: &Arrived) -> Option<Answer> {
        let request = &arrived.message;
        let method = message::method(request)?;
        let (host, port) = arrived.from.clone();
        let key = (host, port, request.header.message_id);
        if let Some(reply) = self.replies.get(&key) {
            return Some(Answer {
                bytes: reply.clone(),
                is_from_cache: true,
            });
        }
        self.carried_out += 1;
        let path = message::path(request, CoapOption::UriPath);
        let (code, payload) = match (method, path.as_str()) {
            // The manufacturer. The number tells an answer from a repeated one.
            (RequestType::Get, "/3/0/0") => (
                ResponseType::Content,
                format!("anjay-net demo, answer {}", self.carried_out),
            ),
            _ => (ResponseType::NotFound, String::new()),
        };
        let reply = message::reply(request, code, payload.into_bytes())?;
        let bytes = reply.to_bytes().ok()?;
        self.replies.insert(key, bytes.clone());
        Some(Answer {
            bytes,
            is_from_cache: false,
        })
    }
}
