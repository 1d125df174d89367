//! Step 1: bind to the listen port, connect, register.

use coap_lite::{MessageClass, ResponseType};

use crate::client::{Client, registration};
use crate::coap;
use crate::life::{Life, host_of};
use crate::lwm2m::Event;
use crate::net_error::NetError;
use crate::outcome::{Done, Failure, OrFail, Outcome, ensure, ensure_same};
use crate::target::{Target, authority};
use crate::tcp_client::TcpClient;
use crate::vtable_client::State;

pub fn play(life: &mut Life) -> Outcome {
    match life.target {
        Target::Embedded | Target::Udp { .. } => over_udp(life),
        Target::Tcp { .. } => over_tcp(life),
    }
}

fn over_udp(life: &mut Life) -> Outcome {
    let (host, port) = life.server_host_port();
    let client = Client::new(&life.library, &host, &port).or_fail("a UDP socket")?;
    let client = life.client.insert(client);
    client.local_port = match life.udp_listen_port {
        Some(port) => port.to_string(),
        None => free_port(client).or_fail("a free port from bind to port 0")?,
    };
    client.open().or_fail(format!(
        "bind to {}, connect to {host}:{port}",
        client.local_port
    ))?;

    let socket = &client.socket;
    let state = socket.state().or_fail("a state")?;
    ensure(
        state == State::Connected,
        "state Connected",
        format!("{state:?}"),
    )?;
    let local_port = socket.local_port().or_fail("a local port")?;
    ensure_same("local port", &client.local_port, &local_port)?;
    ensure_same(
        "remote hostname",
        &host,
        &socket.remote_hostname().or_fail("a remote hostname")?,
    )?;
    ensure_same(
        "remote port",
        &port,
        &socket.remote_port().or_fail("a remote port")?,
    )?;
    let local_host = socket.local_host().or_fail("a local address")?;
    let remote_host = socket.remote_host().or_fail("a remote address")?;
    let interface = socket.interface_name().or_fail("an interface name")?;
    let inner_mtu = socket.inner_mtu().or_fail("an inner MTU")?;

    let reply = client
        .register(&life.endpoint)
        .or_fail("a reply to the registration")?;
    ensure(
        reply.is(ResponseType::Created),
        "2.01 to the registration",
        reply.code().to_string(),
    )?;
    let location = client.location.clone().unwrap_or_default();

    let confirmed = match &life.server {
        Some(server) => {
            let (at, from, registered) = server.wait("the registration", |event| match event {
                Event::Registered { at, from, location } => Some((at, from, location)),
                _ => None,
            })?;
            ensure_same(
                "the client's port as the server saw it",
                &local_port,
                &from.port().to_string(),
            )?;
            ensure_same("asked at", &remote_host, &host_of(at))?;
            ensure_same("location", &registered, &location)?;
            format!("the server saw port {}", from.port())
        }
        None => String::from("its view of the port is not to be had"),
    };
    let detail = format!(
        "{} -> {} on {interface}, 2.01 at {location}, {confirmed}",
        authority(&local_host, &local_port),
        authority(&remote_host, &port)
    );
    Ok(Done::held(detail)
        .fact("local_port", local_port)
        .fact("remote_host", remote_host)
        .fact("remote_port", port)
        .fact("location", location)
        .fact("interface", interface)
        .fact("inner_mtu", inner_mtu))
}

/// Binds to port 0, asks which port that is, and gives it back: binding to it
/// again must work at once.
fn free_port(client: &mut Client) -> Result<String, NetError> {
    client.socket.bind(None, "0")?;
    let port = client.socket.local_port()?;
    client.socket.close()?;
    Ok(port)
}

fn over_tcp(life: &mut Life) -> Outcome {
    let (host, port) = life.server_host_port();
    let tcp = life
        .tcp
        .insert(TcpClient::connect(&life.library, &host, &port)?);
    let reply = tcp.exchange(registration(&life.endpoint, "b=T"))?;
    if reply.header.code != MessageClass::Response(ResponseType::Created) {
        return Err(Failure::new(
            "2.01 to the registration",
            reply.header.code.to_string(),
        ));
    }
    let location = coap::location(&reply);
    tcp.location = Some(location.clone());
    let local_port = tcp.socket.local_port().or_fail("a local port")?;
    let remote_host = tcp.socket.remote_host().or_fail("a remote address")?;
    let detail = format!(
        "port {local_port} -> {} over TCP, 2.01 at {location}; the server takes {} B at most",
        authority(&remote_host, &port),
        tcp.server_accepts
    );
    Ok(Done::held(detail)
        .fact("local_port", local_port)
        .fact("remote_host", remote_host)
        .fact("location", location))
}
