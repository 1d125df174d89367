//! `anjay-net probe`: every way to a server, and which one a client takes.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anjay_net_socket::interface_of;
use serde::Serialize;

use crate::ping::{self, Pings, Transport};
use crate::progress::Progress;
use crate::report::{BAD, GOOD, HEADING, QUIET, millis, print_json, table};
use crate::resolve::{self, Resolved};
use crate::route;
use crate::target::Target;

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    resolved: Resolved,
    ways: Vec<Way>,
    choices: Vec<Choice>,
}

/// The way to one address.
#[derive(Serialize)]
struct Way {
    address: SocketAddr,
    /// This machine's address on it; none where there is no route.
    source: Option<IpAddr>,
    interface: Option<String>,
    /// The router, unless the address is on the link.
    gateway: Option<IpAddr>,
    /// Of the path as far as the kernel knows it, in bytes.
    mtu: Option<u32>,
    /// Why there is no way.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    udp: Option<Pings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<Pings>,
}

/// What a socket of the library does when it is told the host.
#[derive(Serialize)]
struct Choice {
    transport: Transport,
    address: Option<SocketAddr>,
    connect_ms: f64,
    why: String,
}

pub fn run(arguments: &super::Probe, json: bool) -> Result<ExitCode, String> {
    let (target, timeout) = (&arguments.target, arguments.patience.timeout);
    resolve::set_timeout(timeout)?;
    let resolved = resolve::resolve(target).map_err(|error| resolve::unresolved(target, &error))?;
    let transports = match arguments.only.or(target.transport) {
        Some(only) => vec![only],
        None => vec![Transport::Udp, Transport::Tcp],
    };
    let ways = ways(&resolved.addresses, &transports, arguments.count, timeout);
    let choices = transports
        .iter()
        .map(|&transport| choose(transport, target, &resolved, &ways, timeout))
        .collect();
    let report = Report {
        resolved,
        ways,
        choices,
    };
    if json {
        print_json(&report)?;
    } else {
        print(&report);
    }
    let answered = |pings: &Option<Pings>| pings.as_ref().is_some_and(|pings| pings.answered > 0);
    let reached = report
        .ways
        .iter()
        .any(|way| answered(&way.udp) || answered(&way.tcp));
    Ok(if reached {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Looks at all addresses at once.
fn ways(
    addresses: &[SocketAddr],
    transports: &[Transport],
    count: u32,
    timeout: Duration,
) -> Vec<Way> {
    let _progress = Progress::show(&format!("pinging {}", count_of(addresses.len())));
    thread::scope(|scope| {
        let started: Vec<_> = addresses
            .iter()
            .map(|&addr| {
                let pings = [Transport::Udp, Transport::Tcp].map(|transport| {
                    transports
                        .contains(&transport)
                        .then(|| scope.spawn(move || ping::ping(transport, addr, count, timeout)))
                });
                (way(addr), pings)
            })
            .collect();
        started
            .into_iter()
            .map(|(mut way, pings)| {
                let [udp, tcp] = pings.map(|thread| thread.and_then(|thread| thread.join().ok()));
                (way.udp, way.tcp) = (udp, tcp);
                way
            })
            .collect()
    })
}

/// What the kernel knows of the way; nothing is sent for that.
fn way(address: SocketAddr) -> Way {
    let mut way = Way {
        address,
        source: None,
        interface: None,
        gateway: None,
        mtu: None,
        error: None,
        udp: None,
        tcp: None,
    };
    let asked = ping::socket(Transport::Udp, Duration::ZERO).and_then(|socket| {
        ping::connect(&socket, address)?;
        Ok((socket.local_addr()?, socket.mtu().ok()))
    });
    match asked {
        Ok((local, mtu)) => {
            let interface = interface_of(&local).ok().map(|name| name.to_string());
            way.source = Some(local.ip());
            way.gateway = interface
                .as_deref()
                .and_then(|interface| route::gateway(address.ip(), interface));
            way.interface = interface;
            way.mtu = mtu;
        }
        Err(error) => way.error = Some(error.to_string()),
    }
    way
}

/// Lets the library choose.
fn choose(
    transport: Transport,
    target: &Target,
    resolved: &Resolved,
    ways: &[Way],
    timeout: Duration,
) -> Choice {
    let since = Instant::now();
    let connected = ping::socket(transport, timeout).and_then(|socket| {
        let port = target.port.to_string();
        Ok(socket.connect(target.host.as_bytes(), port.as_bytes(), None)?)
    });
    let why = match &connected {
        Ok(addr) => why(transport, *addr, &resolved.addresses, ways),
        Err(error) => format!("none: {error}"),
    };
    Choice {
        transport,
        address: connected.ok(),
        connect_ms: millis(since.elapsed()),
        why,
    }
}

fn why(transport: Transport, chosen: SocketAddr, addresses: &[SocketAddr], ways: &[Way]) -> String {
    if let [_] = addresses {
        return "it is the only address".to_owned();
    }
    let has_no_route = |way: &Way| way.error.is_some();
    match transport {
        Transport::Udp if ways.iter().any(has_no_route) => {
            "first in the order that has a route; UDP does not tell who answers".to_owned()
        }
        Transport::Udp => {
            let same_family = addresses
                .iter()
                .filter(|addr| addr.is_ipv6() == chosen.is_ipv6())
                .count();
            let family = if chosen.is_ipv6() { "IPv6" } else { "IPv4" };
            if same_family > 1 {
                format!(
                    "first in the order: {family} first, and one of its {same_family} at random"
                )
            } else {
                format!("first in the order: {family} first")
            }
        }
        Transport::Tcp => {
            let faster = addresses.first() == Some(&chosen);
            if faster {
                "first in the order, and it answered before the others began".to_owned()
            } else {
                "it won the race (RFC 8305): those before it failed or took longer".to_owned()
            }
        }
    }
}

fn print(report: &Report) {
    let Resolved {
        host,
        port,
        lookup_ms,
        addresses,
    } = &report.resolved;
    anstream::println!(
        "{HEADING}{host}{HEADING:#} port {port}: {} in {lookup_ms:.1} ms\n",
        count_of(addresses.len())
    );
    let mut ways = table(&[
        "address",
        "source",
        "by",
        "MTU",
        "UDP ping",
        "TCP connect",
        "TCP ping",
    ]);
    for way in &report.ways {
        let missing = || "-".to_owned();
        let by = match (&way.interface, way.gateway) {
            (Some(interface), Some(gateway)) => format!("{interface}, {gateway}"),
            (Some(interface), None) => interface.clone(),
            (None, _) => way.error.as_deref().map_or_else(missing, short),
        };
        let connect = way.tcp.as_ref().and_then(|tcp| tcp.connect_ms);
        ways.add_row([
            way.address.ip().to_string(),
            way.source.map_or_else(missing, |ip| ip.to_string()),
            by,
            way.mtu.map_or_else(missing, |mtu| mtu.to_string()),
            pings_text(way.udp.as_ref()),
            connect.map_or_else(missing, |time| format!("{time:.1} ms")),
            pings_text(way.tcp.as_ref()),
        ]);
    }
    anstream::println!("{ways}\n");
    for choice in &report.choices {
        let transport = match choice.transport {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        };
        match choice.address {
            Some(address) => anstream::println!(
                "{transport}: a client takes {GOOD}{address}{GOOD:#} {QUIET}({}){QUIET:#}",
                choice.why
            ),
            None => anstream::println!("{transport}: a client takes {BAD}{}{BAD:#}", choice.why),
        }
    }
}

fn count_of(addresses: usize) -> String {
    match addresses {
        1 => "1 address".to_owned(),
        count => format!("{count} addresses"),
    }
}

fn pings_text(pings: Option<&Pings>) -> String {
    let Some(pings) = pings else {
        return "-".to_owned();
    };
    match (pings.rtt_ms, &pings.error) {
        (Some(rtt), _) => format!("{}/{}, {:.1} ms", pings.answered, pings.sent, rtt.mean),
        (None, Some(error)) => short(error),
        (None, None) => "-".to_owned(),
    }
}

/// Without the number that the standard library adds.
fn short(error: &str) -> String {
    let end = error.find(" (os error").unwrap_or(error.len());
    error[..end].to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const V6: &str = "[2001:db8::1]:5683";
    const V4: &str = "192.0.2.1:5683";

    fn reason(transport: Transport, chosen: &str, all: &[&str], unreachable: &[&str]) -> String {
        let addresses: Vec<SocketAddr> = all.iter().map(|text| text.parse().unwrap()).collect();
        let ways: Vec<Way> = all
            .iter()
            .zip(&addresses)
            .map(|(text, &address)| Way {
                address,
                source: None,
                interface: None,
                gateway: None,
                mtu: None,
                error: unreachable.contains(text).then(String::new),
                udp: None,
                tcp: None,
            })
            .collect();
        why(transport, chosen.parse().unwrap(), &addresses, &ways)
    }

    #[test]
    fn each_choice_has_its_reason() {
        let udp = |chosen, all: &[&str], unreachable: &[&str]| {
            reason(Transport::Udp, chosen, all, unreachable)
        };
        assert!(udp(V4, &[V4], &[]).contains("only"));
        assert!(udp(V6, &[V6, V4], &[]).contains("IPv6 first"));
        assert!(udp(V6, &[V6, "[2001:db8::2]:5683"], &[]).contains("one of its 2"));
        assert!(udp(V4, &[V6, V4], &[V6]).contains("has a route"));
        assert!(reason(Transport::Tcp, V6, &[V6, V4], &[]).contains("before the others"));
        assert!(reason(Transport::Tcp, V4, &[V6, V4], &[]).contains("won the race"));
    }
}
