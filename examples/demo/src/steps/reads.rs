//! Step 2: answer the server's Read, and the same request again from a
//! message cache keyed by the sender's host and port.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use coap_lite::{Packet, RequestType};

use crate::client::{Responder, receive};
use crate::coap;
use crate::life::Life;
use crate::lwm2m::Event;
use crate::outcome::{Done, Failure, OrFail, Outcome, ensure, ensure_same};
use crate::server::bind_one_port;
use crate::target::authority;
use crate::vtable_client::{Library, Stickiness};

const PATIENCE: Duration = Duration::from_secs(2);
const MESSAGE_ID: u16 = 0x5E1F;

pub fn play(life: &mut Life) -> Outcome {
    let (host, port) = registered_server(life)?;
    let answer = repeated_read(life)?;
    let peers = cache_tells_peers_apart(&life.library)?;
    let detail = format!(
        "GET /3/0/0 twice from {}: carried out once, the same {} B; {peers} peers kept apart",
        authority(&host, &port),
        answer.len()
    );
    Ok(Done::held(detail)
        .fact("answer_bytes", answer.len())
        .fact(
            "answer",
            String::from_utf8_lossy(&payload(&answer)).into_owned(),
        )
        .fact("peers_kept_apart", peers))
}

fn registered_server(life: &mut Life) -> Result<(String, String), Failure> {
    let socket = &life.client()?.socket;
    let host = socket.remote_host().or_fail("a remote address")?;
    let port = socket.remote_port().or_fail("a remote port")?;
    Ok((host, port))
}

/// The server the client is registered with sends the same Read twice.
fn repeated_read(life: &mut Life) -> Result<Vec<u8>, Failure> {
    let (host, port) = registered_server(life)?;
    let (server, client) = life.server_and_client()?;
    let at = *server
        .addresses()
        .iter()
        .find(|address| address.ip().to_string() == host)
        .ok_or_else(|| Failure::new("a remote address of the server's", host.clone()))?;
    let to = SocketAddr::from((
        Ipv4Addr::LOCALHOST,
        client
            .local_port
            .parse()
            .or_fail("a local port that is a number")?,
    ));
    let request = read_request().to_bytes().or_fail("a request")?;
    let mut answers = Vec::new();
    for from_cache in [false, true] {
        server
            .send(at, to, &request)
            .or_fail("the server sends its Read")?;
        // As Anjay does: poll() on the descriptor, then receive without waiting.
        let readable = client
            .socket
            .wait_readable(PATIENCE)
            .or_fail("poll() on the descriptor")?;
        ensure(
            readable,
            "a readable descriptor",
            format!("none in {PATIENCE:?}"),
        )?;
        let datagram = client
            .receive(coap::MAX_DATAGRAM, Duration::ZERO)
            .or_fail("the Read received")?;
        // The cache's key is what receive_from tells; it must be the peer
        // that the connected socket names.
        ensure_same("the sender's address", &host, &datagram.host)?;
        ensure_same("the sender's port", &port, &datagram.port)?;
        let answer = client
            .responder
            .answer(&datagram)
            .ok_or_else(|| Failure::new("a request", format!("{:02x?}", datagram.bytes)))?;
        ensure(
            answer.from_cache == from_cache,
            format!("from the cache: {from_cache}"),
            format!("from the cache: {}", answer.from_cache),
        )?;
        client.send(&answer.bytes).or_fail("the answer sent")?;
        answers.push(server.wait("the answer", |event| match event {
            Event::Answered(bytes) => Some(bytes),
            _ => None,
        })?);
    }
    ensure(
        answers[0] == answers[1],
        format!("the same bytes again, {:02x?}", answers[0]),
        format!("{:02x?}", answers[1]),
    )?;
    ensure_same("requests carried out", &1, &client.responder.carried_out())?;
    ensure_same(
        "answer",
        &String::from("anjay-net demo, answer 1"),
        &String::from_utf8_lossy(&payload(&answers[0])).into_owned(),
    )?;
    Ok(answers.swap_remove(0))
}

/// Three peers use one message id: two share an address, two share a port. A
/// socket that is bound only tells them apart by receive_from and answers each
/// by send_to.
fn cache_tells_peers_apart(library: &Library) -> Result<usize, Failure> {
    let socket = library
        .udp(Stickiness::Free)
        .or_fail("a second UDP socket")?;
    socket
        .bind(Some("127.0.0.1"), "0")
        .or_fail("bind to 127.0.0.1")?;
    let port = socket.local_port().or_fail("a local port")?;
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().or_fail("a port number")?));

    let mut responder = Responder::default();
    let request = read_request().to_bytes().or_fail("a request")?;
    let peers = peers().or_fail("three peers")?;
    let mut first_answers = Vec::new();
    for round in [0, 1] {
        for (index, peer) in peers.iter().enumerate() {
            peer.send_to(&request, to)
                .or_fail("a peer sends its Read")?;
            let datagram =
                receive(&socket, coap::MAX_DATAGRAM, PATIENCE).or_fail("the Read received")?;
            let sender = authority(&datagram.host, &datagram.port);
            let address = peer.local_addr().or_fail("the peer's address")?;
            ensure_same("the sender", &address.to_string(), &sender)?;
            let answer = responder
                .answer(&datagram)
                .ok_or_else(|| Failure::new("a request", "none"))?;
            socket
                .send_to(&answer.bytes, &datagram.host, &datagram.port)
                .or_fail(format!("send_to {sender}"))?;
            let mut buffer = [0; coap::MAX_DATAGRAM];
            let length = peer
                .recv(&mut buffer)
                .or_fail(format!("{sender} gets its answer"))?;
            let bytes = buffer[..length].to_vec();
            if round == 0 {
                first_answers.push(bytes);
            } else {
                ensure(
                    bytes == first_answers[index],
                    format!("the same bytes for {sender} again"),
                    format!("{bytes:02x?}"),
                )?;
            }
        }
    }
    ensure_same(
        "requests carried out for three peers",
        &3,
        &responder.carried_out(),
    )?;
    Ok(peers.len())
}

fn peers() -> std::io::Result<Vec<UdpSocket>> {
    let mut peers = bind_one_port(&[Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)])?;
    peers.push(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
    for peer in &peers {
        peer.set_read_timeout(Some(PATIENCE))?;
    }
    Ok(peers)
}

fn read_request() -> Packet {
    let mut request = coap::request(RequestType::Get, "/3/0/0", &[]);
    request.header.message_id = MESSAGE_ID;
    request.set_token(vec![0xAD, 0xE0]);
    request
}

fn payload(message: &[u8]) -> Vec<u8> {
    Packet::from_bytes(message)
        .map(|message| message.payload)
        .unwrap_or_default()
}
