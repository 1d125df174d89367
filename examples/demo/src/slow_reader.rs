//! A CoAP server over TCP that reads slowly, through a small receive buffer,
//! so that its client's writes come up short.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use coap_lite::ResponseType;
use socket2::{Domain, Socket, Type};

use crate::message;
use crate::report::{OrFail, Stop};

/// What the kernel may hold for the reader; it doubles the number.
const RECEIVE_BUFFER: usize = 16 * 1024;
/// The most that one read takes, and the rest after each.
const PIECE: usize = 32 * 1024;
const PAUSE: Duration = Duration::from_millis(2);
/// How much it reads before it says that it is at work.
const UNDER_WAY: u64 = 64 * 1024;
/// The longest wait for a client and for each piece.
const LIMIT: Duration = Duration::from_secs(5);

/// What the reader saw.
pub enum Progress {
    /// The payload is being read; so many bytes so far.
    UnderWay(u64),
    /// A request was read and answered.
    Done(Request),
}

/// A request that came whole.
pub struct Request {
    pub payload: Vec<u8>,
    /// Stream bytes read, framing included.
    pub received: u64,
    /// Stream bytes written.
    pub sent: u64,
}

/// The server, for one connection and one request.
pub struct SlowReader {
    pub address: SocketAddr,
    progress: Receiver<io::Result<Progress>>,
}

impl SlowReader {
    /// Listens on a port that the system picks.
    pub fn start() -> io::Result<SlowReader> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        // Before listen: accepted sockets take it over, and the window never
        // grows past it.
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        socket.listen(1)?;
        let listener = TcpListener::from(socket);
        let address = listener.local_addr()?;
        let (tell, progress) = channel();
        thread::spawn(move || {
            let request = listener
                .accept()
                .and_then(|(stream, _)| serve(stream, &tell));
            let _ = tell.send(request.map(Progress::Done));
        });
        Ok(SlowReader { address, progress })
    }

    /// The next progress.
    pub fn wait(&self) -> Result<Progress, Stop> {
        let progress = self.progress.recv_timeout(LIMIT);
        progress
            .or_fail("progress of the slow reader")?
            .or_fail("the slow reader")
    }
}

fn serve(mut stream: TcpStream, tell: &Sender<io::Result<Progress>>) -> io::Result<Request> {
    stream.set_read_timeout(Some(LIMIT))?;
    let (mut bytes, mut piece) = (Vec::new(), vec![0; PIECE]);
    let (mut received, mut is_told) = (0, false);
    let csm = message::frame(&message::csm(8 << 20));
    stream.write_all(&csm)?;
    let request = loop {
        let next = message::next_message(&mut bytes).map_err(io::Error::other)?;
        match next {
            Some(message) if message::method(&message).is_some() => break message,
            Some(_) => continue,
            None => {}
        }
        let length = stream.read(&mut piece)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&piece[..length]);
        received += length as u64;
        if !is_told && received >= UNDER_WAY {
            is_told = true;
            let _ = tell.send(Ok(Progress::UnderWay(received)));
        }
        // Not waiting for anything: being slow is this reader's job.
        thread::sleep(PAUSE);
    };
    let reply = message::reply(&request, ResponseType::Changed, Vec::new());
    let reply = reply.map_or(Vec::new(), |reply| message::frame(&reply));
    // Nothing to send is no reply, which the client then misses.
    stream.write_all(&reply)?;
    Ok(Request {
        payload: request.payload,
        received,
        sent: (csm.len() + reply.len()) as u64,
    })
}
