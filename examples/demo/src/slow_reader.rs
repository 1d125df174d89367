//! A CoAP server over TCP that reads slowly, through a small receive buffer,
//! so that its client's writes come up short.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use coap_lite::{CoapResponse, Packet, ResponseType};
use socket2::{Domain, Socket, Type};

use crate::coap;
use crate::outcome::Failure;
use crate::tcp_framing::{self, FrameReader};

/// What the kernel may hold for the reader; it doubles the number.
const RECEIVE_BUFFER: usize = 16 * 1024;
/// The most that one read takes.
const PIECE: usize = 32 * 1024;
/// The rest after each read.
const PAUSE: Duration = Duration::from_millis(2);
/// How much it reads before it says that it is at work.
const UNDER_WAY: u64 = 64 * 1024;
/// The longest wait for a client and for each piece.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest frame it accepts.
const MAX_MESSAGE: u32 = 8 << 20;

/// What the reader saw.
#[derive(Debug)]
pub enum Progress {
    /// The payload is being read; so many bytes so far.
    UnderWay(u64),
    /// A request was read and answered, or the connection broke.
    Done(io::Result<Summary>),
}

/// A request that came whole.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Bytes of the payload.
    pub payload: usize,
    /// Reads that it took.
    pub reads: u64,
    /// Stream bytes read, framing included.
    pub received: u64,
    /// Stream bytes written.
    pub sent: u64,
}

/// The server, for one connection and one request.
pub struct SlowReader {
    address: SocketAddr,
    progress: Receiver<Progress>,
}

impl SlowReader {
    /// Listens on a port that the system picks.
    pub fn start() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        // Before listen: accepted sockets take it over, and the window never
        // grows past it.
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        socket.listen(1)?;
        let listener = TcpListener::from(socket);
        let address = listener.local_addr()?;
        let (sender, progress) = channel();
        thread::spawn(move || {
            let outcome = listener
                .accept()
                .and_then(|(stream, _)| serve(stream, &sender));
            let _ = sender.send(Progress::Done(outcome));
        });
        Ok(Self { address, progress })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next progress.
    pub fn wait(&self) -> Result<Progress, Failure> {
        self.progress.recv_timeout(PATIENCE).map_err(|_| {
            Failure::new(
                "the slow reader makes progress",
                format!("none in {PATIENCE:?}"),
            )
        })
    }
}

/// The connection with its counts.
struct Connection<'a> {
    stream: TcpStream,
    frames: FrameReader,
    reads: u64,
    received: u64,
    sent: u64,
    told: bool,
    progress: &'a Sender<Progress>,
}

fn serve(stream: TcpStream, progress: &Sender<Progress>) -> io::Result<Summary> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut connection = Connection {
        stream,
        frames: FrameReader::default(),
        reads: 0,
        received: 0,
        sent: 0,
        told: false,
        progress,
    };
    connection.write(&tcp_framing::csm(MAX_MESSAGE))?;
    let request = loop {
        let message = connection.read()?;
        if coap::method(&message).is_some() {
            break message;
        }
    };
    if let Some(mut reply) = CoapResponse::new(&request) {
        reply.set_status(ResponseType::Changed);
        reply.message.payload = coap::checksum(&request.payload).into_bytes();
        connection.write(&reply.message)?;
    }
    Ok(Summary {
        payload: request.payload.len(),
        reads: connection.reads,
        received: connection.received,
        sent: connection.sent,
    })
}

impl Connection<'_> {
    /// Counts before it writes: the client may compare as soon as it is sent.
    fn write(&mut self, message: &Packet) -> io::Result<()> {
        let frame = tcp_framing::encode(message).ok_or(io::ErrorKind::InvalidInput)?;
        self.sent += frame.len() as u64;
        self.stream.write_all(&frame)
    }

    fn read(&mut self) -> io::Result<Packet> {
        let mut piece = vec![0; PIECE];
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            let message = self.frames.next_message();
            if let Some(message) = message.map_err(|_| io::ErrorKind::InvalidData)? {
                return Ok(message);
            }
            if Instant::now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let length = self.stream.read(&mut piece)?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.frames.push(&piece[..length]);
            self.reads += 1;
            self.received += length as u64;
            if !self.told && self.received >= UNDER_WAY {
                self.told = true;
                let _ = self.progress.send(Progress::UnderWay(self.received));
            }
            // Not waiting for anything: being slow is this reader's job.
            thread::sleep(PAUSE);
        }
    }
}
