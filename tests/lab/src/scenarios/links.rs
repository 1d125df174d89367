//! Links, routes and interfaces that come and go.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use anjay_net_resolve::Family;
use anjay_net_socket::{InterfaceName, Kind, SocketConfig, address_text};
use anjay_net_vtable::{addrinfo, code};

use crate::c_api;
use crate::client::{
    AT_ONCE, assert_errno, assert_within, configured, connect, exchange, ms, resolve, server, tcp,
    tied, udp,
};
use crate::meter::{Figures, Meter, Millis};
use crate::sealed::{self, End, Seal};
use crate::servers::{PORT, PORT_TEXT, Udp, serve_tcp_here, serve_udp_here};
use crate::world::{World, ask_for_addresses, v4, v6};

pub(super) fn late_route() -> Figures {
    let world = World::cabled();
    let far: IpAddr = "198.51.100.1".parse().expect("an address");
    world.ip_away(&format!("address add {far}/32 dev lo"));
    world.serve_tcp();
    world.serve_udp(far, Udp::Echo);
    world.set_hosts(&[("far.test", far)]);
    let mut meter = Meter::start();
    let (stream, datagrams) = (tcp(), udp());
    for host in ["198.51.100.1", "far.test"] {
        for socket in [&stream, &datagrams] {
            let (failed, time) = meter.time(|| connect(socket, host));
            assert_errno(failed, libc::ENETUNREACH, host);
            assert_within(time, AT_ONCE, host);
        }
        world.home("route add 198.51.100.0/24 via 192.0.2.2");
        for socket in [&stream, &datagrams] {
            let (reached, time) = meter.time(|| connect(socket, host));
            assert_eq!(reached.expect("a route now"), server(far));
            assert_within(time, AT_ONCE, host);
        }
        exchange(&datagrams).expect("an echo");
        // Without the route a datagram is lost, once it is back the connected
        // socket goes on.
        world.home("route delete 198.51.100.0/24");
        datagrams.send(b"ping").expect("a lost datagram");
        assert_errno(
            exchange(&datagrams),
            libc::ETIMEDOUT,
            "exchange without a route",
        );
        world.home("route add 198.51.100.0/24 via 192.0.2.2");
        exchange(&datagrams).expect("an echo");
        world.home("route delete 198.51.100.0/24");
        stream.close();
        datagrams.close();
    }
    drop((stream, datagrams));
    meter.end("ENETUNREACH at once, then connected at once; by address and by name")
}

pub(super) fn interface_down_and_up() -> Figures {
    let world = World::cabled();
    world.serve_tcp();
    for addr in [v4(2), v6(2)] {
        world.serve_udp(addr, Udp::Echo);
    }
    world.set_hosts(&[("server.test", v6(2)), ("server.test", v4(2))]);
    // A second way there, which a tied socket must not take.
    world.plug("other0", "other1");
    world.home("route add default dev other0\nroute add default dev other0 metric 1");
    let mut meter = Meter::start();
    let (stream, datagrams) = (tied(Kind::Tcp, "veth0"), tied(Kind::Udp, "veth0"));
    let mut works = || {
        for (host, addr) in [
            ("192.0.2.2", v4(2)),
            ("2001:db8::2", v6(2)),
            ("server.test", v6(2)),
        ] {
            for socket in [&stream, &datagrams] {
                let (reached, time) = meter.time(|| connect(socket, host));
                assert_eq!(reached.expect("a server"), server(addr));
                assert_within(time, AT_ONCE, host);
            }
            exchange(&datagrams).expect("an echo");
            let home = if addr.is_ipv4() { v4(1) } else { v6(1) };
            assert_eq!(datagrams.local_addr().expect("connected").ip(), home);
            stream.close();
            datagrams.close();
        }
    };
    let fails = |errnos: &[i32], what: &str| {
        for host in ["192.0.2.2", "2001:db8::2", "server.test"] {
            for socket in [&stream, &datagrams] {
                let error = connect(socket, host).expect_err(what);
                let errno = error.0;
                assert!(errnos.contains(&errno), "{what}: {host}: {error}");
            }
        }
    };
    works();
    world.home("link set veth0 down");
    fails(
        &[libc::ENETUNREACH, libc::ENETDOWN],
        "an interface that is down",
    );
    world.home(
        "link set veth0 up
         address replace 2001:db8::1/64 dev veth0",
    );
    world.settle();
    works();
    // A connected socket outlives the outage, as far as UDP is concerned.
    connect(&datagrams, "192.0.2.2").expect("a server");
    world.home("link set veth0 down");
    assert!(exchange(&datagrams).is_err());
    world.home(
        "link set veth0 up
         address replace 2001:db8::1/64 dev veth0",
    );
    world.settle();
    exchange(&datagrams).expect("an echo");
    datagrams.close();
    // Gone, and back with another index.
    world.home("link delete veth0");
    fails(&[libc::ENODEV], "an interface that is gone");
    let index = index_of("other0");
    world.plug_in();
    assert!(index_of("veth0") > index, "another interface of that name");
    works();
    drop((stream, datagrams));
    meter.end("down: ENETUNREACH, gone: ENODEV, back: connected; the default route is never taken")
}

pub(super) fn lock_of_all_links() -> Figures {
    let world = World::cabled();
    world.set_hosts(&[("server.test", v4(2))]);
    let mut meter = Meter::start();
    let by_name = || {
        let bound = udp();
        bound.bind(b"", b"").expect("a port");
        let sent = bound.send_to(b"ping", b"server.test", PORT_TEXT);
        sent.expect("a route");
        for socket in [udp(), tied(Kind::Udp, "veth0"), bound] {
            connect(&socket, "server.test").expect("a route");
        }
        assert_eq!(resolve("server.test").expect("a name"), [v4(2)]);
    };
    let (end, _) = meter.time(|| sealed::run(Seal::NoNetlink, || (), by_name));
    assert_eq!(end, End::Done);
    // The seal holds.
    let end = sealed::run(Seal::NoNetlink, || (), ask_for_addresses);
    assert_eq!(end, End::Caught);
    meter.end("connect, send_to and address lists by name, in a process that ends at its first netlink socket")
}

pub(super) fn interface_of_one_family() -> Figures {
    let world = World::cabled();
    world.serve_tcp();
    for addr in [v4(2), v6(2)] {
        world.serve_udp(addr, Udp::Echo);
    }
    world.set_hosts(&[("server.test", v6(2)), ("server.test", v4(2))]);
    // Two more interfaces, of one family each.
    world.plug("four0", "four1");
    world.plug("six0", "six1");
    world.home(
        "address add 198.51.100.1/24 dev four0 label four0:1
         address add 2001:db8:6::1/64 dev six0
         route add 2001:db8::2 dev six0 metric 9999",
    );
    world.settle();
    let mut meter = Meter::start();
    for (interface, prefers, expected) in [
        // The family that is preferred is not there; the other one must be
        // chosen, whatever the machine has elsewhere.
        ("four0", Family::V6, "198.51.100.1"),
        ("four0", Family::V4, "198.51.100.1"),
        ("six0", Family::V4, "2001:db8:6::1"),
        ("six0", Family::V6, "2001:db8:6::1"),
    ] {
        let socket = configured(
            Kind::Udp,
            SocketConfig {
                interface: InterfaceName::new(interface.as_bytes()),
                preferred_family: Some(prefers),
                ..SocketConfig::default()
            },
        );
        let what = format!("{interface}, {prefers:?} preferred");
        let (reached, _) = meter.time(|| connect(&socket, "server.test"));
        reached.unwrap_or_else(|error| panic!("{what}: {error}"));
        let local = socket.local_addr().expect("connected").ip();
        assert_eq!(local.to_string(), expected, "{what}");
        let name = socket.interface_name().expect("tied");
        assert_eq!(&*name, interface);
    }
    // The label of an address is not the name of its interface.
    let bound = udp();
    bound.bind(b"198.51.100.1", b"").expect("our address");
    assert_eq!(&*bound.interface_name().expect("an owner"), "four0");
    drop(bound);
    meter.end("source address and family of the interface, whatever is preferred")
}

pub(super) fn link_local_peers() -> Figures {
    let world = World::cabled();
    let peer: Ipv6Addr = "fe80::2".parse().expect("an address");
    world.serve_tcp();
    let away_scope = world.away(|| index_of("veth1"));
    world.serve_udp_at(
        SocketAddrV6::new(peer, PORT, 0, away_scope).into(),
        Udp::Echo,
    );
    let scope = index_of("veth0");
    let expected = SocketAddr::V6(SocketAddrV6::new(peer, PORT, 0, scope));
    let (plain, number) = ("fe80::2%veth0", format!("fe80::2%{scope}"));
    let forms = [
        plain.to_owned(),
        "[fe80::2%25veth0]".to_owned(),
        "[fe80::2%veth0]".to_owned(),
        format!("[{number}]"),
        number,
    ];

    let mut meter = Meter::start();
    for form in &forms {
        for socket in [tcp(), udp()] {
            let (reached, _) = meter.time(|| connect(&socket, form));
            let reached = reached.unwrap_or_else(|error| panic!("{form}: {error}"));
            assert_eq!(reached, expected, "{form}");
            let remote = socket.remote_addr().expect("connected");
            assert_eq!(&*address_text(&remote), plain);
            let local = socket.local_addr().expect("connected");
            assert_eq!(&*address_text(&local), "fe80::1%veth0");
            assert_eq!(&*socket.interface_name().expect("an owner"), "veth0");
            if socket.kind() == Kind::Udp {
                exchange(&socket).expect("an echo");
                socket.send(b"ping").expect("a route");
                let (_, from) = socket.receive_from(&mut [0; 16]).expect("an echo");
                assert_eq!(from, expected);
            }
        }
        assert_eq!(resolve(form).expect("a literal"), [IpAddr::V6(peer)]);
        // In C: texts, the stored endpoint, and the way back from both.
        for socket in [c_api::tcp(), c_api::udp()] {
            socket.connect(&**form, "5683").ok().expect("a server");
            assert_eq!(c_api::remote_host(&socket).as_deref(), Some(plain));
            let stored = addrinfo::text_of(&socket.preferred());
            assert_eq!(stored, Some((plain.into(), "5683".into())));
            socket.close().ok().expect("closed");
            socket.connect(plain, "5683").ok().expect("its own text");
        }
        let list = c_api::resolve(form, None, None).expect("a list");
        assert_eq!(c_api::host(&list[0]).as_deref(), Some(plain));
    }
    // Sent to, from a bound socket: the scope is in the text, not in the route.
    let bound = udp();
    bound.bind(b"", b"").expect("a port");
    for form in &forms {
        bound
            .send_to(b"ping", form.as_bytes(), PORT_TEXT)
            .expect("a route");
        let (_, from) = bound.receive_from(&mut [0; 16]).expect("an echo");
        assert_eq!(from, expected, "{form}");
    }
    // A tied socket needs no scope, which names can't have, and knows it all
    // the same.
    world.set_hosts(&[("peer.test", peer.into())]);
    for (kind, host) in [Kind::Tcp, Kind::Udp]
        .into_iter()
        .flat_map(|kind| [(kind, "fe80::2"), (kind, "peer.test")])
    {
        let socket = tied(kind, "veth0");
        let (reached, _) = meter.time(|| connect(&socket, host));
        let reached = reached.expect("the interface is known");
        let remote = socket.remote_addr().expect("connected");
        assert_eq!(&*address_text(&remote), plain, "{kind:?}");
        assert_eq!(reached, expected, "{kind:?}");
        if kind == Kind::Udp {
            exchange(&socket).expect("an echo");
        }
    }
    // Nor does one that is bound to an address of the link.
    let bound_there = udp();
    bound_there
        .bind(b"fe80::1%veth0", b"")
        .expect("our address");
    let reached = connect(&bound_there, "fe80::2").expect("the link is known");
    assert_eq!(reached, expected, "bound to the link");
    exchange(&bound_there).expect("an echo");
    assert_errno(
        connect(&udp(), "fe80::2%nope"),
        libc::EADDRNOTAVAIL,
        "no such interface",
    );
    assert_errno(connect(&udp(), "fe80::2"), libc::EINVAL, "which link?");
    drop((bound, bound_there));
    meter.end(format!(
        "5 forms by TCP and UDP, in Rust and in C; all print as {plain}"
    ))
}

/// The index of an interface of this thread's namespace.
fn index_of(name: &str) -> u32 {
    let name = std::ffi::CString::new(name).expect("no NUL");
    // SAFETY: the text is terminated.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    assert_ne!(index, 0, "no interface {name:?}");
    index
}

pub(super) fn loopback_only() -> Figures {
    let world = World::lonely();
    serve_tcp_here(SocketAddr::new(v6_any(), PORT));
    for addr in ["127.0.0.1", "::1"] {
        serve_udp_here(SocketAddr::new(addr.parse().expect("an address"), PORT));
    }
    world.set_hosts(&[
        ("four.test", "127.0.0.1".parse().expect("an address")),
        ("six.test", "::1".parse().expect("an address")),
    ]);
    let mut meter = Meter::start();
    for host in [
        "127.0.0.1",
        "::1",
        "[::1]",
        "localhost",
        "four.test",
        "six.test",
    ] {
        for socket in [tcp(), udp()] {
            let (reached, time) = meter.time(|| connect(&socket, host));
            reached.unwrap_or_else(|error| panic!("{host}: {error}"));
            assert_within(time, AT_ONCE, host);
            if socket.kind() == Kind::Udp {
                exchange(&socket).expect("an echo");
            }
        }
        assert!(!resolve(host).expect("a name").is_empty());
        let list = c_api::resolve(host, None, None).expect("a list");
        assert!(!list.is_empty());
    }
    for address in ["", "127.0.0.1", "::1", "four.test", "localhost"] {
        for socket in [tcp(), udp()] {
            socket
                .bind(address.as_bytes(), b"")
                .unwrap_or_else(|error| panic!("{address:?}: {error}"));
            let port = socket.local_addr().expect("bound").port();
            assert_ne!(port, 0);
            if socket.kind() == Kind::Udp {
                // The wildcard speaks IPv4, too.
                let host = match (address, socket.local_addr().expect("bound")) {
                    ("", _) | (_, SocketAddr::V4(_)) => "127.0.0.1",
                    (_, SocketAddr::V6(_)) => "::1",
                };
                connect(&socket, host).expect("a route");
                exchange(&socket).expect("an echo");
                assert_eq!(socket.local_addr().expect("connected").port(), port);
            }
        }
    }
    let (failed, time) = meter.time(|| connect(&tcp(), "192.0.2.2"));
    assert_errno(failed, libc::ENETUNREACH, "no route");
    assert_within(time, AT_ONCE, "no route");
    let in_c = c_api::udp();
    assert_eq!(in_c.connect("2001:db8::2", "5683"), code::ENETUNREACH);
    drop(in_c);
    let (failed, time) = meter.time(|| connect(&tcp(), "unknown.test"));
    let error = failed.expect_err("no name server");
    assert_within(time, ms(200), "no name server");
    meter.end(format!(
        "all connected and bound; unknown name: {error}, {}",
        Millis(time)
    ))
}

fn v6_any() -> IpAddr {
    Ipv6Addr::UNSPECIFIED.into()
}
