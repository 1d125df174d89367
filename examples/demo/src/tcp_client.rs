//! The client over TCP: RFC 8323 messages on top of the v-table socket.

use std::time::{Duration, Instant};

use coap_lite::{MessageClass, Packet, RequestType, ResponseType};

use crate::coap;
use crate::outcome::{Failure, OrFail, ensure};
use crate::tcp_framing::{self, CSM, FrameReader, PING, PONG};
use crate::vtable_client::{Library, Received, Socket};

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// What the client accepts.
const MAX_MESSAGE: u32 = 1 << 20;

/// A connection on which both sides have told their settings.
pub struct TcpClient {
    /// The socket.
    pub socket: Socket,
    /// The largest frame that the server accepts.
    pub server_accepts: u64,
    /// Where the server keeps the registration.
    pub location: Option<String>,
    /// Bytes of frames that send took.
    pub sent: u64,
    /// Bytes that receive delivered.
    pub received: u64,
    frames: FrameReader,
    next_token: u16,
}

impl TcpClient {
    /// Connects and exchanges settings.
    pub fn connect(library: &Library, host: &str, port: &str) -> Result<Self, Failure> {
        let mut socket = library.tcp().or_fail("a TCP socket")?;
        socket.connect(host, port).or_fail("a TCP connection")?;
        let mut client = Self {
            socket,
            server_accepts: 0,
            location: None,
            sent: 0,
            received: 0,
            frames: FrameReader::default(),
            next_token: 1,
        };
        client.send(&tcp_framing::csm(MAX_MESSAGE))?;
        let csm = client.read(
            |message| message.header.code == CSM,
            "the server's settings",
        )?;
        client.server_accepts = tcp_framing::max_message_size(&csm);
        Ok(client)
    }

    /// Gives a request its token: the frame to send.
    pub fn prepare(&mut self, request: &mut Packet) -> Result<Vec<u8>, Failure> {
        request.set_token(self.next_token.to_be_bytes().to_vec());
        self.next_token = self.next_token.wrapping_add(1);
        tcp_framing::encode(request)
            .ok_or_else(|| Failure::new("a request that can be framed", "one that can't"))
    }

    /// Waits for the reply to a request.
    pub fn read_reply(&mut self, request: &Packet) -> Result<Packet, Failure> {
        self.read(
            |message| {
                matches!(message.header.code, MessageClass::Response(_))
                    && message.get_token() == request.get_token()
            },
            "the reply",
        )
    }

    /// Sends a request and waits for its reply.
    pub fn exchange(&mut self, mut request: Packet) -> Result<Packet, Failure> {
        let frame = self.prepare(&mut request)?;
        self.send_frame(&frame)?;
        self.read_reply(&request)
    }

    /// Ends the registration, if there is one.
    pub fn deregister(&mut self) -> Result<(), Failure> {
        let Some(location) = self.location.take() else {
            return Ok(());
        };
        let reply = self.exchange(coap::request(RequestType::Delete, &location, &[]))?;
        let code = reply.header.code;
        let deleted = code == MessageClass::Response(ResponseType::Deleted);
        ensure(deleted, "2.02 to the deregistration", code.to_string())
    }

    /// Sends a Ping and waits for its Pong: both sides are at the same frame.
    pub fn ping(&mut self) -> Result<(), Failure> {
        let mut ping = Packet::new();
        ping.header.code = PING;
        self.send(&ping)?;
        self.read(|message| message.header.code == PONG, "a Pong")
            .map(drop)
    }

    fn send(&mut self, message: &Packet) -> Result<(), Failure> {
        let frame = tcp_framing::encode(message).unwrap_or_default();
        self.send_frame(&frame)
    }

    fn send_frame(&mut self, frame: &[u8]) -> Result<(), Failure> {
        self.socket.send(frame).or_fail("a message sent")?;
        self.sent += frame.len() as u64;
        Ok(())
    }

    fn read(&mut self, wanted: impl Fn(&Packet) -> bool, what: &str) -> Result<Packet, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut piece = [0; 4096];
        loop {
            let message = self.frames.next_message();
            match message.map_err(|_| Failure::new(what, "bytes that are no frame"))? {
                Some(message) if wanted(&message) => return Ok(message),
                Some(_) => continue,
                None => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            self.socket.set_receive_timeout(left).or_fail(what)?;
            match self.socket.receive(&mut piece).or_fail(what)? {
                Received::Whole(0) => return Err(Failure::new(what, "the end of the stream")),
                Received::Whole(length) | Received::Truncated(length) => {
                    self.received += length as u64;
                    self.frames.push(&piece[..length]);
                }
            }
        }
    }
}
