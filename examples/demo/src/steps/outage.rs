//! Step 6: the server dies, which is noticed at once; it comes back without
//! its registrations, so the client registers again.

use std::time::Instant;

use coap_lite::ResponseType;

use crate::client::ExchangeError;
use crate::life::{Life, host_of};
use crate::lwm2m::Event;
use crate::outcome::{Done, Failure, OrFail, Outcome, ensure, ensure_same};

pub fn play(life: &mut Life) -> Outcome {
    let endpoint = life.endpoint.clone();
    let (server, client) = life.server_and_client()?;
    let address = client.socket.remote_host().or_fail("a remote address")?;

    server.kill().or_fail("the server dies")?;
    let sent_before = client.tally.sent;
    let started = Instant::now();
    let update = client.update();
    let noticed = started.elapsed();
    client.tally.unheard += client.tally.sent - sent_before;
    // Back before the verdict, so that later steps have their server.
    server.revive().or_fail("the server comes back")?;

    match update {
        Err(ExchangeError::Net(error)) if error.name() == "ECONNREFUSED" => {}
        Err(other) => {
            return Err(Failure::new(
                "ECONNREFUSED for the update",
                other.to_string(),
            ));
        }
        Ok(_) => return Err(Failure::new("ECONNREFUSED for the update", "a reply")),
    }

    let reply = client
        .update()
        .or_fail("a reply to the update once the server is back")?;
    let code = reply.map_or_else(
        || "no registration".into(),
        |reply| reply.code().to_string(),
    );
    ensure_same("reply to the update", &String::from("4.04"), &code)?;

    let reply = client
        .register(&endpoint)
        .or_fail("a reply to the new registration")?;
    ensure(
        reply.is(ResponseType::Created),
        "2.01 to the registration",
        reply.code().to_string(),
    )?;
    let (at, from) = server.wait("the new registration", |event| match event {
        Event::Registered { at, from, .. } => Some((at, from)),
        _ => None,
    })?;
    ensure_same("registered at", &address, &host_of(at))?;
    ensure_same(
        "the server saw port",
        &client.local_port,
        &from.port().to_string(),
    )?;
    let location = client.location.clone().unwrap_or_default();
    let detail = format!(
        "ECONNREFUSED {noticed:.1?} after an update; server back: 4.04, then 2.01 at {location}, \
         port {}",
        from.port()
    );
    Ok(Done::held(detail)
        .fact("noticed_microseconds", noticed.as_micros() as u64)
        .fact("location", location))
}
