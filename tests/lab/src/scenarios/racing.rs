//! TCP to names of which some addresses swallow everything.

use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use anjay_net_resolve::Family;
use anjay_net_socket::{Kind, SocketConfig};
use anjay_net_support::time::timed;

use crate::client::{
    AT_ONCE, assert_errno, assert_within, configured, connect, connect_again, exchange, forced, ms,
    resolve, server, tcp, udp,
};
use crate::dnsmasq::Dnsmasq;
use crate::meter::{Figures, Meter, Millis};
use crate::servers::{PORT_TEXT, Udp};
use crate::world::{NAME_SERVER, World, v4, v6};

/// A world with a TCP server away and these names.
fn world(names: &[(&str, IpAddr)]) -> (World, Dnsmasq) {
    let world = World::cabled();
    world.serve_tcp();
    let dnsmasq = Dnsmasq::start(&world, names);
    world.set_name_server(NAME_SERVER, 2, 1);
    (world, dnsmasq)
}

/// The longest of some round trips: a handshake with the server.
fn round_trip() -> Duration {
    let trips = (0..10).map(|_| timed(|| connect(&tcp(), "192.0.2.2").expect("a server")).1);
    trips.max().unwrap_or_default()
}

pub(super) fn black_holed_ipv6() -> Figures {
    let names = [("server.test", v6(0x99)), ("server.test", v4(2))];
    let (world, _dnsmasq) = world(&names);
    world.swallow(&[v6(0x99)]);
    world.calm();
    let limit = ms(300) + round_trip();
    let mut meter = Meter::start();
    let mut times: Vec<_> = (0..100)
        .map(|count| {
            let (reached, time) = meter.time(|| connect(&tcp(), "server.test"));
            assert_eq!(reached.expect("IPv4 is good"), server(v4(2)));
            assert_within(time, limit, &format!("connect {count}"));
            assert!(time >= ms(250), "IPv6 has 250 ms to itself, not {time:?}");
            time
        })
        .collect();
    assert_eq!(meter.attempts(), 200);
    times.sort();
    meter.end(format!(
        "100 of 100 within {}, median {}",
        Millis(limit),
        Millis(times[50])
    ))
}

pub(super) fn black_holed_ipv4() -> Figures {
    let names = [("server.test", v4(99)), ("server.test", v6(2))];
    let (world, _dnsmasq) = world(&names);
    world.swallow(&[v4(99)]);
    let limit = ms(250) + AT_ONCE;
    let mut meter = Meter::start();
    for _ in 0..10 {
        let (reached, time) = meter.time(|| connect(&tcp(), "server.test"));
        assert_eq!(reached.expect("IPv6 is good"), server(v6(2)));
        assert_within(time, AT_ONCE, "IPv6 goes first");
    }
    assert_eq!(meter.attempts(), 10);
    for _ in 0..10 {
        let prefers_v4 = configured(
            Kind::Tcp,
            SocketConfig {
                preferred_family: Some(Family::V4),
                ..SocketConfig::default()
            },
        );
        let (reached, time) = meter.time(|| connect(&prefers_v4, "server.test"));
        assert_eq!(reached.expect("IPv6 is good"), server(v6(2)));
        assert_within(time, limit, "IPv4 preferred");
    }
    assert_eq!(meter.attempts(), 30);
    let (reached, time) = meter.time(|| connect_again(&tcp(), "server.test", v4(99)));
    assert_eq!(reached.expect("IPv6 is good"), server(v6(2)));
    assert!(
        time >= ms(250),
        "the sticky one is alone for 250 ms, not {time:?}"
    );
    assert_within(time, limit, "the sticky one is dead");
    meter.end("10 of 10 at once; 10 of 10 with IPv4 preferred; one with IPv4 sticky")
}

pub(super) fn failing_at_once() -> Figures {
    let refuses = v6(0x11);
    let lost: IpAddr = "2001:db8:dead::9".parse().expect("an address");
    let names = [("refused.test", refuses), ("lost.test", lost)];
    let good = names.map(|(name, _)| (name, v4(2)));
    let world = World::cabled();
    world.add_away(&[refuses]);
    world.serve_tcp_at(server(v4(2)));
    world.serve_udp(v4(2), Udp::Echo);
    let _dnsmasq = Dnsmasq::start(&world, &[names, good].concat());
    world.set_name_server(NAME_SERVER, 2, 1);

    let mut meter = Meter::start();
    for (name, _) in names {
        for _ in 0..10 {
            let (reached, time) = meter.time(|| connect(&tcp(), name));
            assert_eq!(reached.expect("IPv4 is good"), server(v4(2)), "{name}");
            assert_within(time, AT_ONCE, name);
        }
    }
    // UDP learns at once only that there is no route.
    let socket = udp();
    let (reached, time) = meter.time(|| connect(&socket, "lost.test"));
    assert_eq!(reached.expect("IPv4 is good"), server(v4(2)));
    assert_within(time, AT_ONCE, "UDP");
    exchange(&socket).expect("an echo");
    drop(socket);
    meter.end("IPv6 refused, IPv6 without a route: 10 of 10 each")
}

pub(super) fn seven_dead_of_eight() -> Figures {
    let four = (101..108).map(v4).collect::<Vec<_>>();
    let six = (0x101..0x105).map(v6).collect::<Vec<_>>();
    let live = ("pool.test", v4(2));
    let mut names: Vec<_> = four.iter().map(|addr| ("pool.test", *addr)).collect();
    names.push(live);
    names.extend(six.iter().map(|addr| ("mixed.test", *addr)));
    names.extend(four[..3].iter().map(|addr| ("mixed.test", *addr)));
    names.push(("mixed.test", v4(2)));
    let (world, _dnsmasq) = world(&names);
    world.swallow(&four);
    world.swallow(&six);
    assert_eq!(resolve("pool.test").expect("a name").len(), 8);
    assert_eq!(resolve("mixed.test").expect("a name").len(), 8);

    let mut meter = Meter::start();
    // Side by side: any of them may draw the worst order.
    let times: Vec<Duration> = thread::scope(|scope| {
        let threads: Vec<_> = (0..60)
            .map(|count| {
                let dead = four[count % 7];
                scope.spawn(move || {
                    let (reached, time) = timed(|| match count % 3 {
                        0 => connect(&tcp(), "pool.test"),
                        1 => connect(&tcp(), "mixed.test"),
                        _ => connect_again(&tcp(), "pool.test", dead),
                    });
                    assert_eq!(reached.expect("one is alive"), server(v4(2)));
                    time
                })
            })
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join().expect("a time");
        threads.into_iter().map(join).collect()
    });
    for time in &times {
        meter.note(*time);
        assert_within(*time, ms(2_000), "seven dead of eight");
    }
    let (reached, time) = timed(|| connect_again(&tcp(), "pool.test", v4(2)));
    assert_eq!(reached.expect("it is alive"), server(v4(2)));
    assert_within(time, AT_ONCE, "the sticky one goes first");
    meter.end(format!(
        "60 of 60 within 2.0 s; sticky one after {}",
        Millis(time)
    ))
}

pub(super) fn no_ipv6_at_all() -> Figures {
    let names = [("server.test", v6(2)), ("server.test", v4(2))];
    let (world, _dnsmasq) = world(&names);
    world.serve_udp(v4(2), Udp::Echo);
    world.set("ipv6/conf/all/disable_ipv6", "1");
    let mut meter = Meter::start();
    for _ in 0..10 {
        let (reached, time) = meter.time(|| connect(&tcp(), "server.test"));
        assert_eq!(reached.expect("IPv4 is there"), server(v4(2)));
        assert_within(time, AT_ONCE, "TCP");
        let socket = udp();
        let (reached, time) = meter.time(|| connect(&socket, "server.test"));
        assert_eq!(reached.expect("IPv4 is there"), server(v4(2)));
        assert_within(time, AT_ONCE, "UDP");
        exchange(&socket).expect("an echo");
    }
    assert_eq!(meter.attempts(), 10, "nothing but IPv4 is tried");
    assert_eq!(
        resolve("server.test").expect("a name"),
        [v4(2), v6(2)],
        "what can't be reached is last"
    );

    // The wildcard is had all the same, and so is a connect from it.
    let bound = udp();
    bound.bind(b"", b"").expect("the wildcard");
    connect(&bound, "server.test").expect("IPv4 is there");
    exchange(&bound).expect("an echo");
    let listener = tcp();
    listener.bind(b"", PORT_TEXT).expect("the wildcard");
    connect(&tcp(), "127.0.0.1").expect("the listener");

    let (failed, time) = timed(|| connect(&forced(Kind::Tcp, Family::V6), "server.test"));
    assert_errno(failed, libc::ENETUNREACH, "IPv6 forced");
    assert_within(time, AT_ONCE, "IPv6 forced");
    drop((bound, listener));
    meter.end("10 of 10; IPv6 not tried; forced IPv6 is ENETUNREACH")
}
