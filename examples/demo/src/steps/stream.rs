//! Step 7: CoAP over TCP. A 4 MiB payload goes through a slow reader and
//! arrives whole.

use std::ffi::c_int;
use std::thread;
use std::time::{Duration, Instant};

use coap_lite::{MessageClass, Packet, RequestType, ResponseType};

use crate::coap;
use crate::life::{Life, traffic_of};
use crate::net_error::NetError;
use crate::outcome::{Done, Failure, OrFail, Outcome, Traffic, ensure, ensure_same};
use crate::slow_reader::{Progress, SlowReader, Summary};
use crate::target::{Target, authority};
use crate::tcp_client::TcpClient;

const PAYLOAD: usize = 4 << 20;
/// What the kernel takes of it at a time, roughly: dozens of writes come up
/// short.
const SEND_BUFFER: c_int = 64 << 10;
/// LwM2M 1.1 Send: data that the client reports on its own.
const SEND_PATH: &str = "/dp";

pub fn play(life: &mut Life) -> Outcome {
    match life.target {
        Target::Embedded => through_slow_reader(life),
        Target::Udp { .. } => Ok(Done::skipped(
            "needs a server over TCP that can be made to read slowly",
        )),
        Target::Tcp { .. } => to_foreign_server(life),
    }
}

fn through_slow_reader(life: &mut Life) -> Outcome {
    let reader = SlowReader::start().or_fail("a slow reader")?;
    let (host, port) = (
        reader.address().ip().to_string(),
        reader.address().port().to_string(),
    );
    let mut tcp = TcpClient::connect(&life.library, &host, &port)?;
    let mut request = payload_request();
    let checksum = coap::checksum(&request.payload);
    let frame = tcp.prepare(&mut request)?;

    tcp.socket
        .set_send_buffer(SEND_BUFFER)
        .or_fail("a small send buffer")?;
    let sending = send_watched(&tcp, &frame, &reader)?;
    let reply = tcp.read_reply(&request)?;
    let code = reply.header.code;
    let changed = code == MessageClass::Response(ResponseType::Changed);
    ensure(changed, "2.04 to the payload", code.to_string())?;
    let echoed = String::from_utf8_lossy(&reply.payload).into_owned();
    ensure_same("SHA-256 that the server got", &checksum, &echoed)?;
    let summary = summary(&reader)?;
    ensure_same("payload bytes", &PAYLOAD, &summary.payload)?;

    let traffic = traffic_of(&tcp.socket);
    let detail = format!(
        "{PAYLOAD} B -> {}, one send of {:.0?} ({} B out when {} B were read), SHA-256 {}",
        authority(&host, &port),
        sending.took,
        sending.out,
        sending.read,
        &checksum[..12]
    );
    let done = Done::held(detail)
        .fact("payload_bytes", PAYLOAD)
        .fact("bytes_out_midway", sending.out)
        .fact("bytes_read_midway", sending.read)
        .fact("reads", summary.reads)
        .fact("sha256", checksum)
        .traffic(traffic);
    life.stream = Some((summary, traffic));
    Ok(done)
}

/// How a send went.
struct Sending {
    took: Duration,
    /// The sent counter when the reader was first heard of.
    out: u64,
    /// What the reader had by then.
    read: u64,
}

/// Sends the frame in one call. Meanwhile another thread, this one, learns
/// from the reader that it is at work and asks the socket how far it is: a
/// send that is not done by then came up short and had to wait.
fn send_watched(tcp: &TcpClient, frame: &[u8], reader: &SlowReader) -> Result<Sending, Failure> {
    let started = Instant::now();
    thread::scope(|scope| {
        let sender = scope.spawn(|| tcp.socket.send(frame).map(|()| started.elapsed()));
        let midway = reader.wait().and_then(|progress| match progress {
            Progress::UnderWay(read) => Ok(read),
            Progress::Done(outcome) => {
                Err(Failure::new("a payload under way", format!("{outcome:?}")))
            }
        });
        let out = tcp.socket.bytes_sent();
        let unfinished = !sender.is_finished();
        if midway.is_err() {
            // Wakes a send that would wait for this reader in vain.
            let _ = tcp.socket.shutdown();
        }
        let sent: Result<Duration, NetError> = sender
            .join()
            .map_err(|_| Failure::new("send returns", "a panic"))?;
        let read = midway?;
        let took = sent.or_fail("all of the payload sent")?;
        let out = out.or_fail("a sent counter")?;
        let whole = tcp.sent + frame.len() as u64;
        ensure(
            unfinished && out < whole,
            format!("a send of {whole} B under way when the reader has {read} B"),
            format!("{out} B counted as sent, returned: {}", !unfinished),
        )?;
        Ok(Sending { took, out, read })
    })
}

fn summary(reader: &SlowReader) -> Result<Summary, Failure> {
    match reader.wait()? {
        Progress::Done(outcome) => outcome.or_fail("the reader reads it all"),
        Progress::UnderWay(read) => Err(Failure::new(
            "the reader is done",
            format!("at {read} B again"),
        )),
    }
}

/// Whatever somebody's server answers, it has read the whole frame to answer
/// it, and a Ping after it shows that both sides are at the same frame.
fn to_foreign_server(life: &mut Life) -> Outcome {
    let Some(tcp) = &mut life.tcp else {
        return Ok(Done::skipped("there is no connection from step 1"));
    };
    let before = traffic_of(&tcp.socket);
    let request = payload_request();
    if tcp.server_accepts < (PAYLOAD + 64) as u64 {
        let reason = format!(
            "the server takes messages of at most {} B",
            tcp.server_accepts
        );
        return Ok(Done::skipped(reason));
    }
    let started = Instant::now();
    let reply = tcp.exchange(request)?;
    let took = started.elapsed();
    tcp.ping()?;
    let after = traffic_of(&tcp.socket);
    let detail = format!(
        "{PAYLOAD} B to {SEND_PATH}: {} after {took:.0?}, then Ping and Pong (its reader is not slowed)",
        reply.header.code
    );
    Ok(Done::held(detail)
        .fact("payload_bytes", PAYLOAD)
        .traffic(Traffic {
            sent: after.sent.saturating_sub(before.sent),
            received: after.received.saturating_sub(before.received),
        }))
}

fn payload_request() -> Packet {
    let mut request = coap::request(RequestType::Post, SEND_PATH, &[]);
    request.payload = coap::content(PAYLOAD, 0x7C);
    request
}
