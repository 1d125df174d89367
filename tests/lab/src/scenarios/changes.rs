//! What happens to connected sockets, and networks of another kind.

use std::net::{IpAddr, TcpListener};
use std::time::{Duration, Instant};

use anjay_net_resolve::Family;
use anjay_net_socket::Timeout;
use anjay_net_support::time::{eventually, median};

use crate::client::{
    AT_ONCE, assert_errno, assert_within, connect, exchange, ms, server, set, tcp, udp,
};
use crate::meter::{Figures, Meter, Millis};
use crate::responder::{Reply, Responder};
use crate::servers::{PORT, Udp};
use crate::world::{NAME_SERVER, World, sysctl, v4, v6};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub(super) fn packet_too_big() -> Figures {
    const SMALL: u32 = 1_280;
    let world = World::cabled();
    // Away is a router with a link of a smaller MTU.
    world.away(|| {
        sysctl("ipv4/ip_forward", "1");
        sysctl("ipv6/conf/all/forwarding", "1");
    });
    world.ip_away(&format!(
        "link add small0 mtu {SMALL} type veth peer name small1 mtu {SMALL}
         link set small0 up
         link set small1 up
         address add 198.51.100.1/24 dev small0
         address add 2001:db8:1::1/64 dev small0
         neighbour add 198.51.100.9 lladdr 02:00:00:00:00:09 dev small0 nud permanent
         neighbour add 2001:db8:1::9 lladdr 02:00:00:00:00:09 dev small0 nud permanent"
    ));
    world.home("route add default via 192.0.2.2\nroute add default via 2001:db8::2");
    world.settle();
    let mut meter = Meter::start();
    let socket = udp();
    for host in ["198.51.100.9", "2001:db8:1::9"] {
        connect(&socket, host).expect("a route");
        assert_eq!(socket.mtu().expect("a route"), 1_500);
        let small = || {
            socket
                .send(&[0; 1_400])
                .expect("no error of a datagram before");
            socket.mtu().expect("a route") == SMALL
        };
        assert!(eventually(ms(2_000), small), "{host}: the MTU is not told");
        let (received, time) = meter.time(|| socket.receive(&mut [0; 16]));
        assert_errno(received, libc::ETIMEDOUT, host);
        assert_within(time, ms(200) + AT_ONCE, host);
        socket.close();
    }
    drop(socket);
    meter.end("receive goes on waiting, no send fails, and the MTU is told")
}

pub(super) fn address_replaced() -> Figures {
    let world = World::cabled();
    for addr in [v4(2), v6(2)] {
        world.serve_udp(addr, Udp::Echo);
    }
    let mut meter = Meter::start();
    let socket = udp();
    for (host, before, after) in [
        (v4(2), "192.0.2.1/24", "192.0.2.7/24"),
        (v6(2), "2001:db8::1/64", "2001:db8::7/64"),
    ] {
        connect(&socket, &host.to_string()).expect("a server");
        exchange(&socket).expect("an echo");
        let old = socket.local_addr().expect("connected");
        world.home(&format!(
            "address delete {before} dev veth0\naddress add {after} dev veth0"
        ));
        world.settle();
        // Nothing tells a socket that its IPv6 source is gone: a datagram may be
        // lost before it looks.
        let (back, time) = meter.time(|| eventually(ms(5_000), || exchange(&socket).is_ok()));
        assert!(back, "{host}: no echo after {time:?}");
        let new = socket.local_addr().expect("connected");
        assert_eq!(new.port(), old.port());
        assert!(after.starts_with(&new.ip().to_string()), "{new}");
        socket.close();
    }
    drop(socket);
    meter.end("the connected socket goes on, on its port, from the new address")
}

pub(super) fn one_way_traffic() -> Figures {
    let world = World::cabled();
    world.serve_udp(v4(2), Udp::Silent);
    world.set_hosts(&[("server.test", v4(2)), ("server.test", v4(11))]);
    world.add_away(&[v4(11)]);
    let mut meter = Meter::start();
    let socket = udp();
    let connect = || {
        let preferred = Some(server(v4(2)));
        let reached = socket.connect(b"server.test", b"5683", preferred);
        assert_eq!(reached.expect("a route"), server(v4(2)));
    };
    connect();
    for number in 0..20u8 {
        socket.send(&[number]).expect("a route");
    }
    assert_eq!(socket.close(), None, "nothing was asked");
    connect();
    socket.set_receive_timeout(Timeout::from(ms(1_000)));
    for _ in 0..2 {
        socket.send(b"ping").expect("a route");
        let (received, _) = meter.time(|| socket.receive(&mut [0; 16]));
        assert_errno(received, libc::ETIMEDOUT, "silence");
    }
    let left = socket.close().expect("a server that does not answer");
    assert_eq!(left.addr, server(v4(2)));
    drop(socket);
    meter.end("20 messages that ask nothing: stays; two that nobody answers: left")
}

pub(super) fn dead_tcp_peer() -> Figures {
    const CALLS: u32 = 1_000;
    let world = World::cabled();
    // The kernel accepts for it, and it keeps what it has.
    let listener = world.away(|| TcpListener::bind((v4(2), PORT)));
    let _listener = listener.expect("a free port");
    // The kernel gives up after 600 ms.
    world.set("ipv4/tcp_retries2", "1");
    let mut meter = Meter::start();
    let socket = tcp();
    connect(&socket, "192.0.2.2").expect("a server");
    socket.set_receive_timeout(Timeout::from(ms(30_000)));
    world.swallow(&[v4(2)]);
    socket.send(b"ping").expect("room in the buffer");
    let (ended, time) = meter.time(|| socket.receive(&mut [0; 16]));
    assert_errno(ended, libc::ECONNRESET, "the first receive");
    assert_within(time, ms(10_000), "the first receive");
    let start = Instant::now();
    for _ in 0..CALLS {
        assert_errno(
            socket.receive(&mut [0; 16]),
            libc::ECONNRESET,
            "another receive",
        );
    }
    assert_within(start.elapsed(), AT_ONCE, "1,000 receives");
    drop(socket);
    meter.end(format!(
        "ECONNRESET after {}, and from {CALLS} more receives",
        Millis(time)
    ))
}

pub(super) fn name_of_the_hosts_file() -> Figures {
    const CONNECTS: usize = 1_000;
    let world = World::cabled();
    let responder = Responder::start(&world, |_, _| Reply::Silence);
    world.set_name_server(NAME_SERVER, 5, 2);
    world.set_hosts(&[("server.test", v4(2))]);
    world.serve_udp(v4(2), Udp::Echo);
    let mut meter = Meter::start();
    let socket = udp();
    let mut times = Vec::new();
    for _ in 0..CONNECTS {
        let (reached, time) = meter.time(|| connect(&socket, "server.test"));
        assert_eq!(reached.expect("a server"), server(v4(2)));
        times.push(time);
        socket.close();
    }
    drop(socket);
    let median = median(times);
    assert_within(median, ms(1), "half of them");
    for family in [Family::V4, Family::V6] {
        assert_eq!(responder.asked("server.test", family), 0);
    }
    meter.end(format!(
        "{CONNECTS} connects, median {}; nobody was asked",
        Millis(median)
    ))
}

pub(super) fn nat64() -> Figures {
    const RESOLVER: &str = "2001:db8::53";
    let world = World::cabled();
    // What the translator has for 198.51.100.7, with the well-known prefix.
    let translated = ip("64:ff9b::198.51.100.7");
    world.ip_away(&format!("address add {translated}/128 dev lo nodad"));
    world.settle();
    world.serve_tcp();
    world.serve_udp(translated, Udp::Echo);
    world.home(
        "address delete 192.0.2.1/24 dev veth0
         route add 64:ff9b::/96 via 2001:db8::2",
    );
    let dns64 = |name: &str, family| match (name, family) {
        ("ipv4only.arpa", Family::V6) => Reply::addresses(&[ip("64:ff9b::192.0.0.170")]),
        ("four.test", Family::V4) => Reply::addresses(&[ip("198.51.100.7")]),
        _ => Reply::addresses(&[]),
    };
    let responder = Responder::start_at(&world, ip(RESOLVER), dns64);
    world.set_name_server(ip(RESOLVER), 2, 1);
    set(|settings| settings.resolve_timeout = Duration::from_secs(5));
    let mut meter = Meter::start();
    for host in ["198.51.100.7", "four.test"] {
        let (stream, datagrams) = (tcp(), udp());
        for socket in [&stream, &datagrams] {
            let (reached, _) = meter.time(|| connect(socket, host));
            assert_eq!(reached.expect("a translator"), server(translated), "{host}");
        }
        exchange(&datagrams).expect("an echo");
    }
    assert_eq!(responder.asked("ipv4only.arpa", Family::V6), 1);
    meter.end("an IPv4 address and a name with IPv4 only; the prefix was asked for once")
}
