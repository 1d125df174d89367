//! The steps.

use std::collections::BTreeSet;
use std::ffi::c_int;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use anjay_net_support::cargo;
use anjay_net_vtable::abi::{ResolvedEndpoint, SocketOptKey, SocketState};
use anjay_net_vtable::{Info, NULL, Question, addrinfo, code, resolve};
use coap_lite::{Packet, RequestType, ResponseType};
use serde_json::json;

use crate::client::{Arrived, Client};
use crate::life::{Life, skipped};
use crate::message::{self, MAX_DATAGRAM};
use crate::report::{OrFail, Outcome, Stop, ensure, ensure_same};
use crate::server::{Event, FIRMWARE_PATH, What};
use crate::slow_reader::{Progress, SlowReader};
use crate::target::{Target, Transport, authority};

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(2);
/// "At once", on a machine that does other things too.
const AT_ONCE: Duration = Duration::from_millis(500);

/// What any CoAP server has.
const LINKS_PATH: &str = "/.well-known/core";

/// Step 0: the archive that C programs link. The demo itself links the same
/// object code through cargo, which keeps the archive of a dependency out of
/// sight.
pub fn archive(_life: &mut Life) -> Outcome {
    let mut command = cargo::cargo();
    command.args(["build", "--release", "--quiet", "--package", "anjay-net"]);
    let path = cargo::artifact(&mut command, "libanjay_net.a").map_err(Stop::Failed)?;
    let bytes = path.metadata().or_fail("the archive")?.len();
    let shown = path.strip_prefix(cargo::root()).unwrap_or(&path).display();
    let facts = vec![("archive_bytes", json!(bytes))];
    Ok((format!("{shown}, {bytes} B"), facts))
}

fn ensure_state(client: &Client, expected: SocketState) -> Result<(), Stop> {
    let state = client.socket.int_option(SocketOptKey::State as c_int);
    let state = state.or_fail("a state")?;
    ensure(
        state == expected as c_int,
        &format!("state {expected:?}"),
        state,
    )
}

/// What the server confirms about an exchange: where it was asked, and by
/// which port.
fn ensure_confirmed(life: &mut Life, what: &What) -> Result<(), Stop> {
    let Ok((server, client)) = life.server_and_client() else {
        // Somebody's server: its view is not to be had.
        return Ok(());
    };
    let is_it = |event: Event| (event.what == *what).then_some((event.at, event.from));
    let (at, from) = server.wait(&format!("{what:?}"), is_it)?;
    let address = client.text(Info::RemoteHost)?;
    ensure_same("asked at", &address, &at.ip().to_string())?;
    let seen = from.port().to_string();
    ensure_same(
        "the client's port as the server saw it",
        &client.local_port,
        &seen,
    )
}

/// Step 1: bind to the listen port, connect, register.
pub fn register(life: &mut Life) -> Outcome {
    let client = &mut life.client;
    client.local_port = match life.udp_listen_port {
        _ if client.target.transport == Transport::Tcp => String::new(),
        Some(port) => port.to_string(),
        // Binds to port 0, asks which port that is, and gives it back: binding
        // to it again must work at once.
        None => {
            client
                .socket
                .bind(NULL, "0")
                .ok()
                .or_fail("bind to port 0")?;
            let port = client.text(Info::LocalPort)?;
            client.socket.close().ok().or_fail("close")?;
            port
        }
    };
    client.open()?;
    ensure_state(client, SocketState::Connected)?;
    let port = client.text(Info::LocalPort)?;
    if client.target.transport == Transport::Udp {
        ensure_same("local port", &client.local_port, &port)?;
    }
    client.local_port = port;
    let Target { host, port, .. } = client.target.clone();
    ensure_same(
        "remote hostname",
        &host,
        &client.text(Info::RemoteHostname)?,
    )?;
    ensure_same("remote port", &port, &client.text(Info::RemotePort)?)?;
    client.register(&life.endpoint)?;
    ensure_confirmed(life, &What::Registered)?;

    let client = &life.client;
    let address = client.text(Info::RemoteHost)?;
    let location = client.location.clone().unwrap_or_default();
    let interface = client.socket.interface_name().or_fail("an interface")?;
    let detail = format!(
        "{} -> {} ({}) on {interface}, 2.01 at {location}",
        authority(&client.text(Info::LocalHost)?, &client.local_port),
        authority(&address, &port),
        client.target,
    );
    let facts = vec![
        ("local_port", json!(client.local_port)),
        ("remote_host", json!(address)),
        ("location", json!(location)),
    ];
    Ok((detail, facts))
}

/// Step 2: answer the server's Read, and the same request again from a message
/// cache keyed by the sender's host and port.
pub fn read(life: &mut Life) -> Outcome {
    life.need_datagrams()?;
    let (server, client) = life.server_and_client()?;
    let (host, port) = (client.text(Info::RemoteHost)?, client.target.port.clone());
    let local_port: u16 = client.local_port.parse().or_fail("a port number")?;
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, local_port));
    let mut request = message::request(RequestType::Get, "/3/0/0", &[]);
    request.header.message_id = 0x5E1F;
    let request = request.to_bytes().or_fail("a request")?;
    let mut answers = Vec::new();
    for is_from_cache in [false, true] {
        server.send(&host, to, &request).or_fail("a Read sent")?;
        wait_readable(client)?;
        let arrived = client.receive(MAX_DATAGRAM, Duration::ZERO);
        let arrived = arrived.or_fail("the Read received")?;
        // The key of the cache is what receive_from tells; it must be the peer
        // that the connected socket names.
        let sender = authority(&arrived.from.0, &arrived.from.1);
        ensure_same("the sender", &authority(&host, &port), &sender)?;
        let answer = client
            .answer(&arrived)
            .ok_or("no request")
            .or_fail("a Read")?;
        ensure_same("from the cache", &is_from_cache, &answer.is_from_cache)?;
        client.send_bytes(&answer.bytes).or_fail("an answer sent")?;
        answers.push(server.wait("the answer", |event| match event.what {
            What::Answered(bytes) => Some(bytes),
            _ => None,
        })?);
    }
    ensure(answers[0] == answers[1], "the same bytes again", "others")?;
    ensure_same("requests carried out", &1, &client.carried_out)?;
    let answer = Packet::from_bytes(&answers[0]).or_fail("an answer")?;
    let payload = String::from_utf8_lossy(&answer.payload).into_owned();
    ensure_same("answer", &"anjay-net demo, answer 1".to_owned(), &payload)?;
    let bytes = answers[0].len();
    let detail = format!(
        "GET /3/0/0 twice from {}: carried out once, the same {bytes} B",
        authority(&host, &port)
    );
    Ok((detail, vec![("answer", json!(payload))]))
}

/// poll() on the descriptor of get_system_socket, as Anjay's event loop does.
fn wait_readable(client: &Client) -> Result<(), Stop> {
    let mut poll = libc::pollfd {
        fd: client.socket.descriptor().unwrap_or(-1),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one entry, which may be written.
    let count = unsafe { libc::poll(&mut poll, 1, LIMIT.as_millis() as c_int) };
    ensure(count == 1, "a readable descriptor", "none in time")
}

/// Step 3: a datagram larger than the buffer is reported truncated, one that
/// fits exactly is not.
pub fn truncate(life: &mut Life) -> Outcome {
    life.need_datagrams()?;
    let client = &mut life.client;
    // The same request three times; only the size of the buffer differs.
    let mut ask = |capacity| -> Result<Arrived, Stop> {
        let request = message::request(RequestType::Get, LINKS_PATH, &[]);
        let arrived = client.exchange_into(request, capacity);
        arrived.or_fail(&format!("a reply into {capacity} B"))
    };
    let whole = ask(MAX_DATAGRAM)?;
    ensure(!whole.is_cut, "a reply that fits", "a longer one")?;
    let length = whole.length;
    let exact = ask(length)?;
    let fits = !exact.is_cut && exact.length == length;
    ensure(
        fits,
        "the whole reply in a buffer of its size",
        exact.length,
    )?;
    let short = ask(length - 1)?;
    client.cut_off += 1;
    let expected = format!("EMSGSIZE and {} B", length - 1);
    ensure(
        short.is_cut && short.length == length - 1,
        &expected,
        short.length,
    )?;
    let kept = &whole.message.payload[..whole.message.payload.len() - 1];
    let is_start = short.message.payload == kept;
    ensure(
        is_start,
        "the datagram's start in the buffer",
        "other bytes",
    )?;
    let detail = format!("{length} B into {length} B: whole; into 1 B less: {expected}");
    Ok((detail, vec![("datagram_bytes", json!(length))]))
}

/// A block-wise download, as far as it got.
struct Download {
    path: &'static str,
    block_size: usize,
    next: usize,
    bytes: Vec<u8>,
    is_complete: bool,
}

impl Download {
    fn start(path: &'static str, block_size: usize) -> Download {
        Download {
            path,
            block_size,
            next: 0,
            bytes: Vec::new(),
            is_complete: false,
        }
    }

    fn request(&self) -> Packet {
        let mut request = message::request(RequestType::Get, self.path, &[]);
        message::set_block2(&mut request, self.next, false, self.block_size);
        request
    }

    /// Fetches blocks up to this one, or all.
    fn run(&mut self, client: &mut Client, end: usize) -> Result<(), Stop> {
        while !self.is_complete && self.next < end {
            let reply = client.exchange(self.request());
            self.take(&reply.or_fail(&format!("block {} of {}", self.next, self.path))?)?;
        }
        Ok(())
    }

    fn take(&mut self, reply: &Packet) -> Result<(), Stop> {
        let expected = format!("2.05 with block {} of {}", self.next, self.path);
        let is_content = message::is(reply, ResponseType::Content);
        ensure(is_content, &expected, reply.header.code)?;
        // Without the option it is small enough for one message.
        let block = message::block2(reply);
        let number = block.as_ref().map_or(self.next, |block| block.num.into());
        ensure(number == self.next, &expected, number)?;
        self.is_complete = block.is_none_or(|block| !block.more);
        self.bytes.extend_from_slice(&reply.payload);
        self.next += 1;
        Ok(())
    }
}

/// Step 4: go offline in the middle of a block-wise download, come back, go on
/// from where it stopped.
pub fn download(life: &mut Life) -> Outcome {
    life.need_datagrams()?;
    let (path, block_size) = match life.server() {
        Some(_) => (FIRMWARE_PATH, 1024),
        // A small block makes several of it.
        None => (LINKS_PATH, 32),
    };
    let client = &mut life.client;
    let mut whole = Download::start(path, block_size);
    whole.run(client, 4096)?;
    if whole.next < 3 {
        return Err(skipped("the server's links are too short to have a middle"));
    }
    let mut download = Download::start(path, block_size);
    download.run(client, whole.next / 2)?;
    // While a block is on its way: it is there already, so it must still be
    // delivered; nothing more can come, so nothing may be waited for.
    let request = client.prepare(download.request());
    client.send(&request).or_fail("a request sent")?;
    wait_readable(client)?;
    client.socket.shutdown().ok().or_fail("shutdown")?;
    ensure_state(client, SocketState::Shutdown)?;
    ensure_same(
        "local port",
        &client.local_port,
        &client.text(Info::LocalPort)?,
    )?;
    let block = client.wait_for_reply(&request, MAX_DATAGRAM, LIMIT);
    download.take(
        &block
            .or_fail("the block that came before shutdown")?
            .message,
    )?;
    let started = Instant::now();
    let nothing = client.receive(MAX_DATAGRAM, LIMIT).err();
    let noticed = started.elapsed();
    let is_aborted = nothing == Some(code::ECONNABORTED) && noticed < AT_ONCE;
    ensure(
        is_aborted,
        "ECONNABORTED at once",
        format!("{nothing:?} in {noticed:.1?}"),
    )?;
    let stopped = download.bytes.len();
    client.reopen()?;
    download.run(client, 4096)?;
    ensure(
        download.bytes == whole.bytes,
        "the same as in one go",
        "other bytes",
    )?;
    let bytes = download.bytes.len();
    let detail = format!(
        "{path}: offline at {stopped} B, ECONNABORTED in {noticed:.1?}; back on port {}: {bytes} B, \
         as in one go",
        client.local_port,
    );
    let facts = vec![
        ("offline_after_bytes", json!(stopped)),
        ("bytes", json!(bytes)),
    ];
    Ok((detail, facts))
}

/// Step 5: close and reconnect, on the same local port and to the same one of
/// the server's addresses.
///
/// Each lookup gives the addresses in a new random order, so a client comes
/// back to the same one only because connect stored it as the preferred
/// endpoint. Lookups without a preferred endpoint are the counter-test.
pub fn reconnect(life: &mut Life) -> Outcome {
    life.need_datagrams()?;
    // By chance alone, all rounds reach the same of 4 addresses once in 16
    // million runs. Three are enough to see it at somebody's server.
    let rounds = if life.server().is_some() { 12 } else { 3 };
    let address = life.client.text(Info::RemoteHost)?;
    for _ in 0..rounds {
        let client = &mut life.client;
        client.reopen()?;
        ensure_same("remote address", &address, &client.text(Info::RemoteHost)?)?;
        let reply = client.registered(RequestType::Post).or_fail("an update")?;
        ensure_same("reply to the update", &"2.04".to_owned(), &reply)?;
        ensure_confirmed(life, &What::Updated)?;
    }
    let Client { socket, target, .. } = &life.client;
    let stored = addrinfo::text_of(&socket.preferred()).unwrap_or_default();
    let expected = authority(&address, &target.port);
    ensure_same(
        "preferred endpoint",
        &expected,
        &authority(&stored.0, &stored.1),
    )?;

    let firsts = |preferred: Option<&ResolvedEndpoint>| {
        let question = Question {
            socket_type: 1,
            family: 0,
            host: &*target.host,
            port: &*target.port,
            flags: 0,
            preferred,
        };
        let lists = (0..2 * rounds).filter_map(|_| resolve(&question));
        let lists: Vec<_> = lists.collect();
        let count = lists.first().map_or(0, Vec::len);
        let first = lists
            .iter()
            .filter_map(|list| addrinfo::text_of(list.first()?));
        (count, first.map(|(host, _)| host).collect::<BTreeSet<_>>())
    };
    let (_, sticky) = firsts(Some(&socket.preferred()));
    ensure(
        sticky.iter().eq([&address]),
        "lookups that prefer it start with it",
        format!("{sticky:?}"),
    )?;
    let (addresses, free) = firsts(None);
    if life.server().is_some() {
        ensure(
            free.len() > 1,
            "other lookups start with any",
            format!("{free:?}"),
        )?;
    }
    let detail = format!(
        "{rounds} times port {} -> {expected}, one of {addresses} addresses ({} came first unasked)",
        life.client.local_port,
        free.len()
    );
    let facts = vec![
        ("local_port", json!(life.client.local_port)),
        ("address", json!(address)),
        ("addresses", json!(addresses)),
    ];
    Ok((detail, facts))
}

/// Step 6: the server dies, which is noticed at once; it comes back without
/// its registrations, so the client registers again.
pub fn outage(life: &mut Life) -> Outcome {
    life.need_datagrams()?;
    let (server, client) = life.server_and_client()?;
    server.kill().or_fail("the server dies")?;
    let (sent_before, started) = (client.sent, Instant::now());
    let refused = client.registered(RequestType::Post);
    let noticed = started.elapsed();
    client.unheard += client.sent - sent_before;
    // Back before the verdict, so that later steps have their server.
    server.revive().or_fail("the server comes back")?;
    let is_refused = refused == Err(code::ECONNREFUSED);
    ensure(
        is_refused,
        "ECONNREFUSED for the update",
        format!("{refused:?}"),
    )?;

    let reply = client.registered(RequestType::Post).or_fail("an update")?;
    ensure_same("reply to the update", &"4.04".to_owned(), &reply)?;
    let endpoint = life.endpoint.clone();
    life.client.register(&endpoint)?;
    ensure_confirmed(life, &What::Registered)?;
    let location = life.client.location.clone().unwrap_or_default();
    let detail = format!(
        "ECONNREFUSED {noticed:.1?} after an update; server back: 4.04, then 2.01 at {location}"
    );
    Ok((detail, vec![("location", json!(location))]))
}

const PAYLOAD: usize = 4 << 20;
/// What the kernel takes of it at a time, roughly: dozens of writes come up
/// short.
const SEND_BUFFER: usize = 64 << 10;

/// LwM2M 1.1 Send: data that the client reports on its own.
fn payload_request() -> Packet {
    let mut request = message::request(RequestType::Post, "/dp", &[]);
    request.payload = message::content(PAYLOAD);
    request
}

/// Step 7: CoAP over TCP. A 4 MiB payload goes through a slow reader and
/// arrives whole.
pub fn stream(life: &mut Life) -> Outcome {
    match (life.server(), life.client.target.transport) {
        (Some(_), _) => through_slow_reader(life),
        (None, Transport::Tcp) => to_foreign_server(life),
        (None, Transport::Udp) => Err(skipped("needs a server over TCP that reads slowly")),
    }
}

fn through_slow_reader(life: &mut Life) -> Outcome {
    let reader = SlowReader::start().or_fail("a slow reader")?;
    let mut client = Client::new(Target {
        transport: Transport::Tcp,
        host: reader.address.ip().to_string(),
        port: reader.address.port().to_string(),
    });
    client.open()?;
    // As a program does for what no option of avs_commons covers.
    set_send_buffer(&client).or_fail("a small send buffer")?;
    let request = client.prepare(payload_request());
    let frame = message::frame(&request);
    let whole = client.sent + frame.len() as u64;
    let started = Instant::now();
    // One send. Meanwhile this thread learns from the reader that it is at work
    // and asks the socket how far it is: a send that is not done by then came
    // up short and had to wait.
    let (sent, midway) = thread::scope(|scope| {
        let send = scope.spawn(|| client.socket.send(&frame));
        let progress = reader.wait();
        let (out, is_finished) = (client.socket.bytes_sent(), send.is_finished());
        if progress.is_err() {
            // Wakes a send that would wait for this reader in vain.
            let _ = client.socket.shutdown();
        }
        let midway = progress.map(|progress| match progress {
            Progress::UnderWay(read) if !is_finished && out < whole => Some((out, read)),
            _ => None,
        });
        (send.join(), midway)
    });
    let took = started.elapsed();
    let (out, read) = midway?.ok_or("it was done").or_fail("a send under way")?;
    let sent = sent.map_err(|_| Stop::Failed("send panicked".to_owned()))?;
    sent.ok().or_fail("all of the payload sent")?;
    let reply = client.wait_for_reply(&request, MAX_DATAGRAM, LIMIT);
    let reply = reply.or_fail("a reply")?.message;
    ensure(
        message::is(&reply, ResponseType::Changed),
        "2.04",
        reply.header.code,
    )?;
    let Progress::Done(got) = reader.wait()? else {
        return Err(Stop::Failed("the reader is at work again".to_owned()));
    };
    ensure(
        got.payload == request.payload,
        "the payload as it was sent",
        "another",
    )?;
    let counted = (client.socket.bytes_sent(), client.socket.bytes_received());
    let detail = format!(
        "{PAYLOAD} B -> {}, one send of {took:.0?} ({out} B out when {read} B were read), the same \
         bytes there",
        client.target
    );
    life.stream = Some((got, counted));
    Ok((detail, vec![("payload_bytes", json!(PAYLOAD))]))
}

fn set_send_buffer(client: &Client) -> std::io::Result<()> {
    let fd = client
        .socket
        .descriptor()
        .ok_or(std::io::ErrorKind::NotConnected)?;
    // SAFETY: open until close, which nobody calls before the borrow ends.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    socket2::SockRef::from(&fd).set_send_buffer_size(SEND_BUFFER)
}

/// Whatever somebody's server answers, it has read the whole frame to answer
/// it, and a Ping after it shows that both sides are at the same frame.
fn to_foreign_server(life: &mut Life) -> Outcome {
    life.need_registration()?;
    let client = &mut life.client;
    if client.server_accepts < (PAYLOAD + 64) as u64 {
        return Err(skipped("the server takes no message as large as that"));
    }
    let started = Instant::now();
    let reply = client.exchange(payload_request()).or_fail("a reply")?;
    let took = started.elapsed();
    client.ping().or_fail("a Pong")?;
    let code = reply.header.code;
    let detail = format!("{PAYLOAD} B: {code} after {took:.0?}, then Ping and Pong");
    Ok((detail, vec![("payload_bytes", json!(PAYLOAD))]))
}

/// Step 8: the bytes that the option keys report are those that the server
/// counted, or this program where it is somebody's.
pub fn counters(life: &mut Life) -> Outcome {
    life.need_registration()?;
    // Traffic to count like any other. What the reply says is not judged:
    // after an outage that went wrong the server knows of no registration.
    let reply = life.client.registered(RequestType::Delete);
    reply.or_fail("a reply to the deregistration")?;
    let client = &life.client;
    let (sent, received) = (client.socket.bytes_sent(), client.socket.bytes_received());
    // Datagrams to a dead server were sent but never counted there; the end of
    // a truncated one was counted there but never delivered.
    let (whose, there) = match life.server().map(crate::server::Server::traffic) {
        Some((got, sent)) => ("the server", (got + client.unheard, sent - client.cut_off)),
        None => ("the demo (not the server)", (client.sent, client.received)),
    };
    ensure_same("bytes sent", &there.0, &sent)?;
    ensure_same("bytes received", &there.1, &received)?;
    let mut detail = format!("as {whose} counted: {sent} B sent, {received} B received");
    let mut facts = vec![("sent", json!(sent)), ("received", json!(received))];
    if let Some((got, counted)) = &life.stream {
        ensure_same("TCP bytes sent", &got.received, &counted.0)?;
        ensure_same("TCP bytes received", &got.sent, &counted.1)?;
        detail += &format!("; TCP {} B, {} B", counted.0, counted.1);
        facts.push(("tcp_sent", json!(counted.0)));
    }
    Ok((detail, facts))
}
