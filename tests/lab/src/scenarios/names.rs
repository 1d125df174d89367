//! Name servers that answer, late, wrongly or not at all.

use std::collections::BTreeSet;
use std::net::{IpAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use anjay_net_resolve::{ADDRESSES_MAX, Families, Family};
use anjay_net_support::time::timed;
use anjay_net_vtable::abi::ResolvedEndpoint;

use crate::c_api;
use crate::client::{
    AT_ONCE, assert_errno, assert_within, connect, connect_again, exchange, ms, resolve,
    resolve_of, server, tcp, udp,
};
use crate::dnsmasq::Dnsmasq;
use crate::meter::{Figures, Meter, Millis};
use crate::responder::{Reply, Responder};
use crate::servers::Udp;
use crate::world::{NAME_SERVER, World, v4, v6};

pub(super) fn several_addresses() -> Figures {
    let world = World::cabled();
    let (four, six) = ([v4(11), v4(12), v4(13)], [v6(0x11), v6(0x12), v6(0x13)]);
    world.add_away(&four);
    world.add_away(&six);
    world.serve_tcp();
    for addr in four.iter().chain(&six) {
        world.serve_udp(*addr, Udp::Echo);
    }
    let addrs = four.iter().chain(&six);
    let names: Vec<_> = addrs.map(|addr| ("pool.test", *addr)).collect();
    let _dnsmasq = Dnsmasq::start(&world, &names);
    world.set_name_server(NAME_SERVER, 2, 1);
    let all: BTreeSet<IpAddr> = four.iter().chain(&six).copied().collect();

    let mut meter = Meter::start();
    let mut firsts = BTreeSet::new();
    for _ in 0..20 {
        let found = resolve("pool.test").expect("a name");
        assert_eq!(found.iter().copied().collect::<BTreeSet<_>>(), all);
        assert!(found[..3].iter().all(IpAddr::is_ipv6), "{found:?}");
        firsts.insert(found[0]);
        let (reached, _) = meter.time(|| connect(&tcp(), "pool.test"));
        assert!(reached.expect("a server").is_ipv6());
        let socket = udp();
        connect(&socket, "pool.test").expect("a server");
        exchange(&socket).expect("an echo");
    }
    assert!(firsts.len() > 1, "the order inside a family is random");
    let only = |family| resolve_of("pool.test", Families::Only(family)).expect("a name");
    assert!(only(Family::V4).iter().all(IpAddr::is_ipv4));
    assert!(only(Family::V6).iter().all(IpAddr::is_ipv6));
    assert_eq!(
        resolve_of("pool.test", Families::Prefer(Family::V4))
            .expect("a name")
            .iter()
            .position(IpAddr::is_ipv6),
        Some(3)
    );

    // The same in C: order, the preferred one, and what connect stores.
    let socket = c_api::udp();
    socket.connect("pool.test", "5683").ok().expect("a server");
    let host = c_api::remote_host(&socket).expect("a peer");
    assert_eq!(c_api::host(&socket.preferred()), Some(host));
    let sticky = last_of_all();
    for _ in 0..20 {
        let found = hosts("pool.test", None, Some(&sticky));
        assert_eq!(found.len(), 6);
        assert_eq!(Some(&found[0]), c_api::host(&sticky).as_ref());
        assert!(
            found[1..4].iter().all(|host| host.contains(':')),
            "{found:?}"
        );
        for mut again in [c_api::udp(), c_api::tcp()] {
            again.set_preferred(sticky);
            again.connect("pool.test", "5683").ok().expect("a server");
            assert_eq!(c_api::remote_host(&again), c_api::host(&sticky));
        }
    }
    assert_eq!(hosts("pool.test", Some(Family::V4), None).len(), 3);
    drop(socket);
    meter.end(format!(
        "6 of 6 addresses, {} of 3 came first in Rust",
        firsts.len()
    ))
}

/// An endpoint that would not come first of its own: IPv4.
fn last_of_all() -> ResolvedEndpoint {
    let list = c_api::resolve("pool.test", None, None).expect("a list");
    *list.last().expect("not empty")
}

fn hosts(name: &str, family: Option<Family>, preferred: Option<&ResolvedEndpoint>) -> Vec<String> {
    let list = c_api::resolve(name, family, preferred).expect("a list");
    list.iter().filter_map(c_api::host).collect()
}

pub(super) fn truncated_answer() -> Figures {
    let world = World::cabled();
    world.serve_tcp();
    let many: Vec<_> = (100..180).map(v4).collect();
    let mut names: Vec<_> = many.iter().map(|addr| ("many.test", *addr)).collect();
    names.extend((0x100..0x150).map(|host| ("many.test", v6(host))));
    let _dnsmasq = Dnsmasq::start(&world, &names);
    world.set_name_server(NAME_SERVER, 2, 1);
    assert!(is_truncated("many", "test"), "the answer must not fit");

    let mut meter = Meter::start();
    let (found, time) = meter.time(|| resolve("many.test").expect("a name"));
    assert_eq!(found.len(), 2 * ADDRESSES_MAX);
    let (first, second) = found.split_at(ADDRESSES_MAX);
    assert!(first.iter().all(IpAddr::is_ipv6));
    assert!(second.iter().all(|addr| many.contains(addr)));
    assert_within(time, ms(500), "two lookups over TCP");
    // Each lookup asked again over TCP.
    assert!(meter.attempts() >= 2, "{} handshakes", meter.attempts());
    meter.end("64 addresses of 80 in each family, TC bit set over UDP")
}

/// Whether the answer to an A question over UDP has the TC bit.
fn is_truncated(label: &str, domain: &str) -> bool {
    let mut query = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    for label in [label, domain] {
        query.push(label.len() as u8);
        query.extend(label.as_bytes());
    }
    query.extend(b"\0\0\x01\0\x01");
    let socket = UdpSocket::bind(("0.0.0.0", 0)).expect("a socket");
    socket.send_to(&query, (NAME_SERVER, 53)).expect("a route");
    let mut answer = [0; 512];
    socket.recv(&mut answer).expect("an answer");
    answer[2] & 0b10 != 0
}

pub(super) fn changing_answers() -> Figures {
    let world = World::cabled();
    let (old, new) = (v4(11), v4(12));
    world.add_away(&[old, new]);
    world.serve_tcp();
    for addr in [old, new] {
        world.serve_udp(addr, Udp::Echo);
    }
    let mut dnsmasq = Dnsmasq::start(&world, &[("moves.test", old)]);
    world.set_name_server(NAME_SERVER, 2, 1);

    let mut meter = Meter::start();
    let (stream, datagrams) = (tcp(), udp());
    for now in [old, new, old] {
        dnsmasq.change(&[("moves.test", now)]);
        let (reached, time) = meter.time(|| connect_again(&stream, "moves.test", old));
        assert_eq!(reached.expect("a server"), server(now), "TCP");
        assert_within(time, AT_ONCE, "TCP");
        let reached = connect_again(&datagrams, "moves.test", old);
        assert_eq!(reached.expect("a server"), server(now), "UDP");
        exchange(&datagrams).expect("an echo");
        stream.close();
        assert_eq!(datagrams.close(), None);
    }
    dnsmasq.change(&[]);
    let gone = connect_again(&stream, "moves.test", old);
    assert_errno(gone, libc::EADDRNOTAVAIL, "a name that was taken away");
    drop((stream, datagrams));
    meter.end("followed 3 changes, also with the old address preferred; then EADDRNOTAVAIL")
}

pub(super) fn slow_answers() -> Figures {
    const DELAY: Duration = ms(700);
    let world = World::cabled();
    world.serve_tcp();
    let responder = Responder::start(&world, |_, _| {
        Reply::addresses(&[v4(2), v6(2)]).after(DELAY)
    });
    world.set_name_server(NAME_SERVER, 5, 1);

    let mut meter = Meter::start();
    let times: Vec<Duration> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| timed(|| connect(&tcp(), "slow.test"))))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|outcome| {
                let (reached, time) = outcome.expect("a time");
                reached.expect("a server");
                time
            })
            .collect()
    });
    for time in times {
        meter.note(time);
        assert!(time >= DELAY, "{time:?}");
        assert_within(time, DELAY + AT_ONCE, "eight at once");
    }
    for family in [Family::V4, Family::V6] {
        assert_eq!(responder.asked("slow.test", family), 1, "{family:?}");
    }
    meter.end("8 of 8; the server was asked once for each family")
}

pub(super) fn one_family_slow() -> Figures {
    const LATE: Duration = ms(1_500);
    let world = World::cabled();
    world.serve_tcp();
    for addr in [v4(2), v6(2)] {
        world.serve_udp(addr, Udp::Echo);
    }
    Responder::start(&world, |name, family| {
        let answer = Reply::addresses(&[v4(2), v6(2)]);
        match (name, family) {
            ("six-late.test", Family::V6) | ("four-late.test", Family::V4) => answer.after(LATE),
            ("six-never.test", Family::V6) | ("four-never.test", Family::V4) => Reply::Silence,
            ("six-fails.test", Family::V6) => Reply::ServerFailure,
            ("six-soon.test", Family::V6) | ("four-soon.test", Family::V4) => answer.after(ms(20)),
            _ => answer,
        }
    });
    world.set_name_server(NAME_SERVER, 2, 1);

    let mut meter = Meter::start();
    let mut seen = Vec::new();
    for (name, expected, limit) in [
        // RFC 8305 section 3: 50 ms for the preferred family, then go.
        ("six-late.test", v4(2), ms(50) + AT_ONCE),
        ("six-never.test", v4(2), ms(50) + AT_ONCE),
        ("six-fails.test", v4(2), AT_ONCE),
        ("six-soon.test", v6(2), ms(20) + AT_ONCE),
        ("four-late.test", v6(2), AT_ONCE),
        ("four-never.test", v6(2), AT_ONCE),
    ] {
        let (reached, time) = meter.time(|| connect(&tcp(), name));
        assert_eq!(
            reached.expect("a server"),
            server(expected),
            "TCP to {name}"
        );
        assert_within(time, limit, name);
        let socket = udp();
        let (reached, udp_time) = meter.time(|| connect(&socket, name));
        assert_eq!(
            reached.expect("a server"),
            server(expected),
            "UDP to {name}"
        );
        assert_within(udp_time, limit, name);
        exchange(&socket).expect("an echo");
        seen.push(format!(
            "{} {}",
            name.trim_end_matches(".test"),
            Millis(time)
        ));
    }
    // The sticky address is worth the same wait.
    let (reached, time) = meter.time(|| connect_again(&tcp(), "four-soon.test", v4(2)));
    assert_eq!(reached.expect("a server"), server(v4(2)), "sticky");
    assert_within(time, ms(20) + AT_ONCE, "sticky");
    meter.end(seen.join(", "))
}

pub(super) fn server_failure() -> Figures {
    let world = World::cabled();
    Responder::start(&world, |name, _| match name {
        "broken.test" => Reply::ServerFailure,
        "empty.test" => Reply::addresses(&[]),
        _ => Reply::NoSuchName,
    });
    world.set_name_server(NAME_SERVER, 2, 2);
    let mut meter = Meter::start();
    let mut fails = |host: &str, errno, what: &str| {
        for socket in [tcp(), udp()] {
            let (failed, time) = meter.time(|| connect(&socket, host));
            assert_errno(failed, errno, what);
            assert_within(time, ms(200), what);
        }
        let (failed, time) = meter.time(|| resolve(host));
        assert_errno(failed, errno, what);
        assert_within(time, ms(200), what);
    };
    fails("broken.test", libc::ETIMEDOUT, "SERVFAIL");
    fails("unknown.test", libc::EADDRNOTAVAIL, "NXDOMAIN");
    fails("empty.test", libc::EADDRNOTAVAIL, "no address");
    // Nobody listens there, and says so.
    world.set_name_server(v4(2), 2, 2);
    fails("broken.test", libc::ETIMEDOUT, "a name server that refuses");
    world.set_name_server("203.0.113.1".parse().expect("an address"), 2, 2);
    fails(
        "broken.test",
        libc::ETIMEDOUT,
        "no route to the name server",
    );
    meter.end("no such name, no address: EADDRNOTAVAIL; no answer: ETIMEDOUT; at once")
}
