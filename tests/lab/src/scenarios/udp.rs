//! UDP to names of which some addresses do not answer. connect says nothing
//! about that; what was sent and came back does.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anjay_net_socket::{Socket, Timeout, UnresponsivePeer};
use anjay_net_support::time::{eventually, timed};
use anjay_net_vtable::{self as vtable, code};

use crate::c_api;
use crate::client::{
    assert_errno, connect, connect_again, exchange, ms, resolve, server, set, udp,
};
use crate::meter::{Figures, Meter, Millis};
use crate::servers::Udp;
use crate::world::{World, sysctl, v4, v6};

/// What is routed through away, where that router has no way further.
const BEYOND_V4: &str = "198.51.100.9";
const BEYOND_V6: &str = "2001:db8:beef::9";

/// Connects to the first address, finds it dead, and gets the second from then
/// on.
fn moves_on(name: &str, dead: IpAddr, live: IpAddr, find_dead: fn(&Socket)) -> Duration {
    let socket = udp();
    let reached = connect_again(&socket, name, dead).expect("a route");
    assert_eq!(reached, server(dead), "{name}: preferred");
    find_dead(&socket);
    let blamed = UnresponsivePeer {
        addr: server(dead),
        preferred: None,
    };
    assert_eq!(socket.close(), Some(blamed), "{name}");
    let (reached, time) = timed(|| connect(&socket, name));
    assert_eq!(reached.expect("a route"), server(live), "{name}");
    exchange(&socket).expect("an echo");
    assert_eq!(socket.close(), None);
    for _ in 0..20 {
        let reached = connect(&socket, name).expect("a route");
        assert_eq!(reached, server(live), "{name}: of a pool");
        socket.close();
        let reached = connect_again(&socket, name, dead).expect("a route");
        assert_eq!(reached, server(live), "{name}: the dead one preferred");
        socket.close();
    }
    time
}

pub(super) fn after_icmp_error() -> Figures {
    let world = World::cabled();
    let (closed4, closed6) = (v4(11), v6(0x11));
    world.add_away(&[closed4, closed6]);
    for live in [v4(2), v6(2)] {
        world.serve_udp(live, Udp::Echo);
    }
    // Away is a router that says what it may not forward.
    world.away(|| {
        sysctl("ipv4/ip_forward", "1");
        sysctl("ipv6/conf/all/forwarding", "1");
    });
    world.ip_away(&format!(
        "route add prohibit {BEYOND_V4}\nroute add prohibit {BEYOND_V6}"
    ));
    world.home(&format!(
        "route add {BEYOND_V4} via 192.0.2.2\nroute add {BEYOND_V6} via 2001:db8::2"
    ));
    let prohibited4: IpAddr = BEYOND_V4.parse().expect("an address");
    let prohibited6: IpAddr = BEYOND_V6.parse().expect("an address");
    let cases = [
        ("closed4.test", closed4, v4(2)),
        ("closed6.test", closed6, v6(2)),
        ("prohibited4.test", prohibited4, v4(2)),
        ("prohibited6.test", prohibited6, v6(2)),
    ];
    world.set_hosts(
        &cases
            .map(|(name, dead, live)| [(name, dead), (name, live)])
            .concat(),
    );

    let mut meter = Meter::start();
    for (name, dead, live) in cases {
        let time = moves_on(name, dead, live, |socket| {
            let error = exchange(socket).expect_err("an ICMP error");
            assert_ne!(error.0, libc::ETIMEDOUT, "no ICMP error came");
        });
        meter.note(time);
    }
    meter.end(
        "port unreachable and prohibited, IPv4 and IPv6: the live one from the next connect on",
    )
}

pub(super) fn after_silence() -> Figures {
    let world = World::cabled();
    world.add_away(&[v4(11)]);
    world.serve_udp(v4(11), Udp::Silent);
    for live in [v4(2), v6(2)] {
        world.serve_udp(live, Udp::Echo);
    }
    world.swallow(&[v4(99), v6(0x99)]);
    world.set_hosts(&[
        ("mute.test", v4(11)),
        ("mute.test", v4(2)),
        ("hole4.test", v4(99)),
        ("hole4.test", v4(2)),
        ("hole6.test", v6(0x99)),
        ("hole6.test", v6(2)),
        ("impatient.test", v6(0x98)),
        ("impatient.test", v4(2)),
    ]);
    world.swallow(&[v6(0x98)]);
    let mut meter = Meter::start();
    let in_vain: fn(&Socket) = |socket| {
        socket.set_receive_timeout(Timeout {
            seconds: 1,
            nanoseconds: 0,
        });
        for _ in 0..2 {
            assert_errno(exchange(socket), libc::ETIMEDOUT, "silence");
        }
    };
    meter.note(moves_on("mute.test", v4(11), v4(2), in_vain));
    meter.note(moves_on("hole4.test", v4(99), v4(2), in_vain));
    meter.note(moves_on("hole6.test", v6(0x99), v6(2), in_vain));
    // As a client with a poll loop of its own: transmissions, and no receive
    // that waits.
    let in_vain: fn(&Socket) = |socket| {
        for _ in 0..4 {
            socket.send(b"ping").expect("a route");
        }
    };
    meter.note(moves_on("impatient.test", v6(0x98), v4(2), in_vain));
    meter.end("a mute server, black holes of both families: the live one from the next connect on")
}

pub(super) fn sticky() -> Figures {
    let world = World::cabled();
    let (works, fails) = (v4(2), v4(11));
    world.add_away(&[fails]);
    world.serve_udp(works, Udp::Echo);
    world.set_hosts(&[("pool.test", works), ("pool.test", fails)]);
    // Over by the next connect.
    set(|settings| settings.udp_penalty = ms(1));
    let no_route = format!("route add unreachable {works}");
    let route = format!("route delete unreachable {works}");

    let mut meter = Meter::start();
    let socket = udp();
    let mut stored = server(works);
    // As a caller that stores what connect says and forgets what close blames.
    let mut play = |stored: &mut SocketAddr, expected: IpAddr| -> anjay_net_socket::Result<()> {
        let (reached, _) = meter.time(|| socket.connect(b"pool.test", b"5683", Some(*stored)));
        let before = std::mem::replace(stored, reached?);
        assert_eq!(*stored, server(expected));
        let exchanged = exchange(&socket);
        if let Some(blamed) = socket.close() {
            assert_eq!(blamed.addr, *stored);
            assert_eq!(blamed.preferred, Some(before));
            *stored = before;
        }
        exchanged
    };
    for _ in 0..10 {
        play(&mut stored, works).expect("an echo");
    }
    for _ in 0..3 {
        world.home(&no_route);
        assert_errno(
            play(&mut stored, fails),
            libc::ECONNREFUSED,
            "the other one",
        );
        assert_eq!(stored, server(works), "what failed is not remembered");
        world.home(&route);
        play(&mut stored, works).expect("an echo");
    }

    // This machine's own trouble is not the peer's.
    connect_again(&socket, "pool.test", works).expect("a route");
    world.home(&no_route);
    assert_errno(exchange(&socket), libc::ETIMEDOUT, "no way out");
    assert_eq!(socket.close(), None);
    world.home(&route);

    // In C: the endpoint is memory of the caller.
    let in_c = c_api::udp();
    in_c.connect("192.0.2.2", "5683").ok().expect("a literal");
    in_c.close().ok().expect("closed");
    let remembered = |socket: &vtable::Socket| c_api::host(&socket.preferred());
    let works_text = Some(works.to_string());
    assert_eq!(remembered(&in_c), works_text);
    for _ in 0..3 {
        world.home(&no_route);
        in_c.connect("pool.test", "5683").ok().expect("a route");
        assert_eq!(c_api::remote_host(&in_c), Some(fails.to_string()));
        in_c.send(b"ping").ok().expect("a route");
        assert_eq!(in_c.receive(16).code, code::ECONNREFUSED);
        in_c.close().ok().expect("closed");
        assert_eq!(remembered(&in_c), works_text);
        world.home(&route);
        in_c.connect("pool.test", "5683").ok().expect("a route");
        assert_eq!(c_api::remote_host(&in_c), Some(works.to_string()));
        in_c.send(b"ping").ok().expect("a route");
        assert_eq!(in_c.receive(16).data, b"ping");
        in_c.close().ok().expect("closed");
        assert_eq!(remembered(&in_c), works_text);
    }
    drop((socket, in_c));
    meter.end("3 of 3 outages of the sticky address, in Rust and in C")
}

pub(super) fn penalty_ends() -> Figures {
    const PENALTY: Duration = ms(400);
    let world = World::cabled();
    let (works, fails) = (v4(2), v4(11));
    world.add_away(&[fails]);
    world.serve_udp(works, Udp::Echo);
    world.set_hosts(&[("pool.test", works), ("pool.test", fails)]);
    vtable::configure(|settings| settings.udp_penalty_ms = 400);

    let mut meter = Meter::start();
    let socket = udp();
    connect_again(&socket, "pool.test", fails).expect("a route");
    assert_errno(exchange(&socket), libc::ECONNREFUSED, "nobody listens");
    let start = Instant::now();
    assert!(socket.close().is_some());
    let chosen = || {
        let at = start.elapsed();
        let reached = connect_again(&socket, "pool.test", fails).expect("a route");
        socket.close();
        (reached.ip(), at)
    };
    let mut last_other = Duration::ZERO;
    let back = eventually(PENALTY + ms(500), || {
        let (addr, at) = chosen();
        if addr == works {
            last_other = at;
        }
        addr == fails
    });
    assert!(back, "still punished after {:?}", start.elapsed());
    let time = start.elapsed();
    assert!(
        last_other < PENALTY + ms(50) && time >= PENALTY,
        "{last_other:?}, {time:?}"
    );
    meter.note(time);

    // A list of addresses is no attempt: nobody is punished there.
    assert_eq!(resolve("pool.test").expect("a name").len(), 2);

    let figures = meter.end(format!(
        "tried again {} after the failure, penalty {}",
        Millis(time),
        Millis(PENALTY)
    ));

    // It answers again, and is not blamed for what was.
    world.serve_udp(fails, Udp::Echo);
    connect_again(&socket, "pool.test", fails).expect("a route");
    exchange(&socket).expect("an echo");
    assert_eq!(socket.close(), None);
    assert_eq!(chosen().0, fails);
    figures
}
