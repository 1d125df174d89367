//! CoAP pings: messages that every server answers and that ask for nothing.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anjay_net_socket::{Kind, Socket, SocketConfig, address_text};
use clap::ValueEnum;
use coap_lite::{MessageClass, MessageType, Packet};
use serde::Serialize;

use crate::report::millis;

/// A transport of CoAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Udp,
    Tcp,
}

/// How pings over one transport went.
#[derive(Serialize)]
pub struct Pings {
    pub sent: u32,
    pub answered: u32,
    /// Of the TCP handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<f64>,
    /// Round trips of those that were answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<RoundTrips>,
    /// What went wrong, in the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The shortest, the mean and the longest.
#[derive(Clone, Copy, Serialize)]
pub struct RoundTrips {
    pub min: f64,
    pub mean: f64,
    pub max: f64,
}

impl RoundTrips {
    fn of(times: &[f64]) -> Option<RoundTrips> {
        let min = times.iter().copied().reduce(f64::min)?;
        let max = times.iter().copied().reduce(f64::max)?;
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        Some(RoundTrips { min, mean, max })
    }
}

/// A socket whose receives wait that long.
pub fn socket(transport: Transport, timeout: Duration) -> io::Result<Socket> {
    let kind = match transport {
        Transport::Udp => Kind::Udp,
        Transport::Tcp => Kind::Tcp,
    };
    let socket = Socket::new(kind, SocketConfig::default())?;
    socket.set_receive_timeout(timeout.into());
    Ok(socket)
}

/// Connects to an address.
pub fn connect(socket: &Socket, addr: SocketAddr) -> io::Result<SocketAddr> {
    let port = addr.port().to_string();
    Ok(socket.connect(address_text(&addr).as_bytes(), port.as_bytes(), None)?)
}

/// Pings one address `count` times, one after the other.
pub fn ping(transport: Transport, addr: SocketAddr, count: u32, timeout: Duration) -> Pings {
    let mut pings = Pings {
        sent: 0,
        answered: 0,
        connect_ms: None,
        rtt_ms: None,
        error: None,
    };
    let mut times = Vec::new();
    if let Err(error) = exchange(transport, addr, count, timeout, &mut pings, &mut times) {
        pings.error = Some(error.to_string());
    }
    pings.answered = u32::try_from(times.len()).unwrap_or(u32::MAX);
    pings.rtt_ms = RoundTrips::of(&times);
    pings
}

fn exchange(
    transport: Transport,
    addr: SocketAddr,
    count: u32,
    timeout: Duration,
    pings: &mut Pings,
    times: &mut Vec<f64>,
) -> io::Result<()> {
    let socket = socket(transport, timeout)?;
    let since = Instant::now();
    connect(&socket, addr)?;
    if transport == Transport::Tcp {
        pings.connect_ms = Some(millis(since.elapsed()));
        socket.send(CSM)?;
    }
    let mut stream = Stream::default();
    let mut outcome = Ok(());
    for number in 0..count {
        pings.sent += 1;
        let answered = match transport {
            Transport::Udp => ping_udp(&socket, number, timeout),
            Transport::Tcp => ping_tcp(&socket, &mut stream, timeout),
        };
        match answered {
            Ok(time) => times.push(millis(time)),
            // The next one may be answered, but not on a broken stream.
            Err(error) if transport == Transport::Udp => outcome = Err(error),
            Err(error) => return Err(error),
        }
    }
    outcome
}

/// An empty confirmable message, which is answered by Reset: RFC 7252 section
/// 4.3. As such it is sent once more when there is no answer; the time is that
/// of the answer since the last one.
fn ping_udp(socket: &Socket, number: u32, timeout: Duration) -> io::Result<Duration> {
    // Ids of the run before must not be used again at once (section 4.4).
    let id = (std::process::id() ^ number.wrapping_mul(0x9e37)) as u16;
    let mut message = Packet::new();
    message.header.set_type(MessageType::Confirmable);
    message.header.code = MessageClass::Empty;
    message.header.message_id = id;
    let bytes = message.to_bytes().map_err(io::Error::other)?;
    transmit_udp(socket, id, &bytes, timeout / 2).or_else(|error| match error.kind() {
        io::ErrorKind::TimedOut => transmit_udp(socket, id, &bytes, timeout / 2),
        _ => Err(error),
    })
}

fn transmit_udp(socket: &Socket, id: u16, bytes: &[u8], timeout: Duration) -> io::Result<Duration> {
    let since = Instant::now();
    socket.send(bytes)?;
    let mut buf = [0; 2048];
    loop {
        wait_until(socket, since + timeout)?;
        let received = socket.receive(&mut buf)?;
        let answer = Packet::from_bytes(&buf[..received.len]);
        if answer.is_ok_and(|answer| answer.header.message_id == id) {
            return Ok(since.elapsed());
        }
    }
}

/// Lets the next receive wait for what remains.
fn wait_until(socket: &Socket, until: Instant) -> io::Result<()> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::Error::from(io::ErrorKind::TimedOut));
    }
    socket.set_receive_timeout(left.into());
    Ok(())
}

/// Capabilities and settings, the first message of each side: RFC 8323 section
/// 5.3. Code 7.01, without token, options and payload.
const CSM: &[u8] = &[0x00, 0xe1];
/// 7.02, RFC 8323 section 5.4.
const PING: &[u8] = &[0x00, 0xe2];
const PONG: u8 = 0xe3;

fn ping_tcp(socket: &Socket, stream: &mut Stream, timeout: Duration) -> io::Result<Duration> {
    let since = Instant::now();
    socket.send(PING)?;
    let mut buf = [0; 2048];
    loop {
        while let Some(code) = stream.next_code() {
            if code == PONG {
                return Ok(since.elapsed());
            }
        }
        wait_until(socket, since + timeout)?;
        match socket.receive(&mut buf)?.len {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => stream.0.extend(&buf[..len]),
        }
    }
}

/// Bytes of which messages are made: RFC 8323 section 3.2.
#[derive(Default)]
struct Stream(Vec<u8>);

impl Stream {
    /// The code of the next message, if all of it is there.
    fn next_code(&mut self) -> Option<u8> {
        let bytes = &self.0;
        let first = *bytes.first()?;
        let (nibble, token) = (usize::from(first >> 4), usize::from(first & 0x0f));
        // How many bytes the length takes, and what is added to it.
        let (wide, base) = match nibble {
            13 => (1, 13),
            14 => (2, 269),
            15 => (4, 65_805),
            short => (0, short),
        };
        let more = bytes.get(1..1 + wide)?;
        let len = more
            .iter()
            .fold(0usize, |len, &byte| len << 8 | usize::from(byte));
        let code = *bytes.get(1 + wide)?;
        let whole = 2 + wide + token + base + len;
        if bytes.len() < whole {
            return None;
        }
        self.0.drain(..whole);
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_out_of_the_stream() {
        let mut stream = Stream::default();
        stream.0.extend(CSM);
        // 2.05 with a token of one byte and 13 + 2 bytes of payload.
        stream.0.extend([0xd1, 2, 0x45, 0xaa]);
        assert_eq!(stream.next_code(), Some(0xe1));
        assert_eq!(stream.next_code(), None);
        stream.0.extend([0; 15]);
        stream.0.extend([0x00, PONG, 0x00]);
        assert_eq!(stream.next_code(), Some(0x45));
        assert_eq!(stream.next_code(), Some(PONG));
        assert_eq!(stream.next_code(), None);
    }
}
