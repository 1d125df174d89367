//! Step 5: close and reconnect, on the same local port and to the same one of
//! the server's addresses.
//!
//! Each lookup gives the addresses in a new random order, so a client comes
//! back to the same one only because connect stored it as the preferred
//! endpoint. Lookups without a preferred endpoint are the counter-test.

use std::collections::BTreeSet;

use coap_lite::{RequestType, ResponseType};

use crate::client::Client;
use crate::coap;
use crate::life::{Life, host_of};
use crate::lwm2m::Event;
use crate::outcome::{Done, Failure, OrFail, Outcome, ensure, ensure_same};
use crate::server::Server;
use crate::target::{Target, authority};
use crate::vtable_client::{Endpoint, Library};

/// How often the client comes back and how often the name is looked up.
struct Times {
    rounds: usize,
    lookups: usize,
}

/// By chance alone, all rounds reach the same of 4 addresses once in 16
/// million runs, and all lookups start with the same one once in 10^13.
const EMBEDDED: Times = Times {
    rounds: 12,
    lookups: 24,
};
/// Enough to see it, and no burden on somebody's server and resolver.
const FOREIGN: Times = Times {
    rounds: 3,
    lookups: 3,
};

pub fn play(life: &mut Life) -> Outcome {
    let (host, port) = life.server_host_port();
    let embedded = life.target == Target::Embedded;
    let Times { rounds, lookups } = if embedded { EMBEDDED } else { FOREIGN };
    let client = life
        .client
        .as_mut()
        .ok_or_else(|| Failure::new("a client", "none"))?;
    let address = client.socket.remote_host().or_fail("a remote address")?;
    for _ in 0..rounds {
        client
            .reopen()
            .or_fail("close, bind to the same port, connect")?;
        let local_port = client.socket.local_port().or_fail("a local port")?;
        ensure_same("local port", &client.local_port, &local_port)?;
        let remote_host = client.socket.remote_host().or_fail("a remote address")?;
        ensure_same("remote address", &address, &remote_host)?;
        match (&life.server, client.location.is_some()) {
            (Some(server), true) => confirmed_update(server, client, &address)?,
            _ => foreign_exchange(client)?,
        }
    }
    let preferred = client.socket.preferred();
    let stored = preferred
        .text()
        .map_or_else(|| "none".into(), |(h, p)| authority(&h, &p));
    ensure_same("preferred endpoint", &authority(&address, &port), &stored)?;

    let free = Lookups::make(&life.library, &host, &port, None, lookups)?;
    let sticky = Lookups::make(&life.library, &host, &port, Some(&preferred), lookups)?;
    ensure(
        sticky.first.iter().eq([&address]),
        format!("{lookups} lookups that prefer {address} start with it"),
        format!("starts {:?}", sticky.first),
    )?;
    if embedded && free.count > 1 {
        ensure(
            free.first.len() > 1,
            format!("{lookups} lookups without preference start with several addresses"),
            format!("starts {:?}", free.first),
        )?;
    }
    let comparison = match free.count {
        1 => "the only address of this name".to_owned(),
        count => format!(
            "one of {count} addresses (unasked, {} came first)",
            free.first.len()
        ),
    };
    let detail = format!(
        "{rounds} times port {} -> {}, {comparison}",
        client.local_port,
        authority(&address, &port)
    );
    Ok(Done::held(detail)
        .fact("rounds", rounds)
        .fact("local_port", client.local_port.clone())
        .fact("address", address)
        .fact("addresses", free.count)
        .fact(
            "first_without_preference",
            free.first.into_iter().collect::<Vec<_>>(),
        ))
}

/// Updates the registration; the server says where it was asked and by whom.
fn confirmed_update(server: &Server, client: &mut Client, address: &str) -> Result<(), Failure> {
    let reply = client.update().or_fail("a reply to the update")?;
    let code = reply.map(|reply| (reply.is(ResponseType::Changed), reply.code().to_string()));
    let (changed, code) = code.unwrap_or((false, "no registration".into()));
    ensure(changed, "2.04 to the update", code)?;
    let (at, from) = server.wait("the update", |event| match event {
        Event::Updated { at, from } => Some((at, from)),
        _ => None,
    })?;
    ensure_same("the server was asked at", &address.to_owned(), &host_of(at))?;
    ensure_same(
        "the server saw port",
        &client.local_port,
        &from.port().to_string(),
    )
}

/// Somebody's server: any reply shows that it was reached.
fn foreign_exchange(client: &mut Client) -> Result<(), Failure> {
    let request = coap::request(RequestType::Get, "/.well-known/core", &[]);
    client
        .exchange(request, coap::MAX_DATAGRAM)
        .or_fail("a reply after reconnecting")
        .map(drop)
}

/// What a name was resolved to, several times.
struct Lookups {
    /// Addresses of the name.
    count: usize,
    /// Those that came first in a lookup.
    first: BTreeSet<String>,
}

impl Lookups {
    fn make(
        library: &Library,
        host: &str,
        port: &str,
        preferred: Option<&Endpoint>,
        lookups: usize,
    ) -> Result<Self, Failure> {
        let mut made = Self {
            count: 0,
            first: BTreeSet::new(),
        };
        for _ in 0..lookups {
            let endpoints = library.resolve(host, port, preferred);
            let (first, _) = endpoints
                .first()
                .and_then(Endpoint::text)
                .ok_or_else(|| Failure::new(format!("addresses of {host}"), "none"))?;
            made.first.insert(first);
            made.count = endpoints.len();
        }
        Ok(made)
    }
}
