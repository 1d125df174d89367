//! How calls end that do not succeed.

use std::collections::BTreeSet;
use std::thread;
use std::time::Instant;

use anjay_net_resolve::Family;
use anjay_net_socket::{Kind, Socket};
use anjay_net_support::time::eventually;
use anjay_net_vtable as vtable;

use crate::c_api;
use crate::client::{
    assert_errno, assert_within, connect, connect_again, forced, ms, set, tcp, udp,
};
use crate::journal;
use crate::meter::{Figures, Meter, TcpOpens};
use crate::responder::{Reply, Responder};
use crate::servers::PORT_TEXT;
use crate::world::{NAME_SERVER, World, v4, v6};

pub(super) fn errors_tell_what_happened() -> Figures {
    const ANY: Option<Family> = None;
    const V4: Option<Family> = Some(Family::V4);
    const V6: Option<Family> = Some(Family::V6);
    const OPEN: &str = "5683";
    const CLOSED: &str = "9";
    let world = World::cabled();
    Responder::start(&world, |name, _| match name {
        "four.test" => Reply::addresses(&[v4(2)]),
        "six.test" => Reply::addresses(&[v6(2)]),
        "refused.test" => Reply::addresses(&[v4(2), v6(2)]),
        "hole.test" => Reply::addresses(&[v4(99), v6(0x99)]),
        "lost.test" => Reply::addresses(&["198.51.100.1".parse().expect("an address")]),
        "dead.test" => Reply::Silence,
        _ => Reply::NoSuchName,
    });
    world.set_name_server(NAME_SERVER, 2, 1);
    world.set_hosts(&[("hosts-four.test", v4(2)), ("hosts-six.test", v6(2))]);
    world.swallow(&[v4(99), v6(0x99)]);
    world.home("route add unreachable 198.51.100.2");
    set(|settings| {
        settings.resolve_timeout = ms(600);
        settings.connect_timeout = ms(300);
    });
    let mut meter = Meter::start();
    let mut codes = BTreeSet::new();
    for (host, port, family, errno) in [
        ("unknown.test", OPEN, ANY, libc::EADDRNOTAVAIL),
        ("unknown.test", OPEN, V6, libc::EADDRNOTAVAIL),
        ("four.test", OPEN, V6, libc::EADDRNOTAVAIL),
        ("six.test", OPEN, V4, libc::EADDRNOTAVAIL),
        ("hosts-four.test", OPEN, V6, libc::EADDRNOTAVAIL),
        ("hosts-six.test", OPEN, V4, libc::EADDRNOTAVAIL),
        ("dead.test", OPEN, ANY, libc::ETIMEDOUT),
        ("hole.test", OPEN, ANY, libc::ETIMEDOUT),
        ("192.0.2.99", OPEN, ANY, libc::ETIMEDOUT),
        ("refused.test", CLOSED, ANY, libc::ECONNREFUSED),
        ("192.0.2.2", CLOSED, ANY, libc::ECONNREFUSED),
        ("lost.test", OPEN, ANY, libc::ENETUNREACH),
        ("198.51.100.1", OPEN, ANY, libc::ENETUNREACH),
        ("198.51.100.2", OPEN, ANY, libc::EHOSTUNREACH),
    ] {
        let what = format!("{host}, family {family:?}");
        journal::take();
        let socket = family.map_or_else(tcp, |family| forced(Kind::Tcp, family));
        let (failed, time) = meter.time(|| socket.connect(host.as_bytes(), port.as_bytes(), None));
        assert_errno(failed, errno, &what);
        assert_within(time, ms(600 + 100), &what);
        let lines = journal::take();
        let told = |line: &String| line.starts_with("WARN") && line.contains(host);
        assert!(lines.iter().any(told), "{what}: {lines:?}");

        let mut config = vtable::default_configuration();
        config.address_family = c_api::family_value(family);
        let in_c = vtable::Socket::create(vtable::Kind::Tcp, config).expect("a socket");
        assert_eq!(
            in_c.connect(host, port),
            vtable::Code::of_errno(errno),
            "{what}, in C"
        );
        codes.insert(errno);
    }
    meter.end(format!(
        "{} codes for 14 cases, the same in C; each with a warning",
        codes.len()
    ))
}

/// A call that waits, and how it shows that it does.
struct Wait {
    what: &'static str,
    make: fn() -> Socket,
    call: fn(&Socket, &str) -> anjay_net_socket::Result<()>,
    sign: Sign,
}

#[derive(Clone, Copy)]
enum Sign {
    /// The name server was asked.
    Asked,
    /// A handshake was begun.
    Tried,
}

fn waits(
    what: &'static str,
    make: fn() -> Socket,
    sign: Sign,
    call: fn(&Socket, &str) -> anjay_net_socket::Result<()>,
) -> Wait {
    Wait {
        what,
        make,
        call,
        sign,
    }
}

pub(super) fn close_and_shutdown_wake() -> Figures {
    const ROUNDS: usize = 10;
    let world = World::cabled();
    let responder = Responder::start(&world, |name, family| {
        match (name.split('-').next(), family) {
            (Some("hole"), _) => Reply::addresses(&[v4(98), v4(99), v6(0x98), v6(0x99)]),
            (Some("half"), Family::V4) => Reply::addresses(&[v4(99)]),
            (Some("broken"), _) => Reply::ServerFailure,
            _ => Reply::Silence,
        }
    });
    world.set_name_server(NAME_SERVER, 1, 1);
    world.swallow(&[v4(98), v4(99), v6(0x98), v6(0x99)]);
    set(|settings| {
        settings.serve_stale = true;
        settings.max_lookups = 64;
    });
    let connects = |socket: &Socket, host: &str| connect(socket, host).map(drop);
    let cases = [
        waits("TCP, names", tcp, Sign::Asked, connects),
        waits("UDP, names", udp, Sign::Asked, connects),
        waits("bound UDP, names", bound, Sign::Asked, connects),
        waits("bind, names", udp, Sign::Asked, |socket, host| {
            socket.bind(host.as_bytes(), b"")
        }),
        waits("send_to, names", bound, Sign::Asked, |socket, host| {
            socket
                .send_to(b"ping", host.as_bytes(), PORT_TEXT)
                .map(drop)
        }),
        waits("TCP, race", tcp, Sign::Tried, |socket, host| {
            connect(socket, &host.replace("dead", "hole")).map(drop)
        }),
        waits("TCP, race and names", tcp, Sign::Tried, |socket, host| {
            connect(socket, &host.replace("dead", "half")).map(drop)
        }),
        waits("TCP, one address", tcp, Sign::Tried, |socket, _| {
            connect(socket, "192.0.2.99").map(drop)
        }),
        waits("TCP, stale address", tcp, Sign::Tried, |socket, host| {
            connect_again(socket, &host.replace("dead", "broken"), v4(99)).map(drop)
        }),
    ];
    let mut worst = Meter::start();
    let mut calls = 0;
    for (
        Wait {
            what,
            make,
            call,
            sign,
        },
        end,
    ) in cases
        .iter()
        .flat_map(|case| [(case, End::Close), (case, End::Shutdown)])
    {
        for _ in 0..ROUNDS {
            calls += 1;
            let host = format!("dead-{calls}.test");
            let socket = make();
            let before = TcpOpens::now();
            let waits = || match sign {
                Sign::Asked => responder.asked(&host, Family::V4) > 0,
                Sign::Tried => before.since() > 0,
            };
            let (returned, time) = thread::scope(|scope| {
                let thread = scope.spawn(|| (call(&socket, &host), Instant::now()));
                assert!(eventually(ms(2_000), waits), "{what}: never began");
                let start = Instant::now();
                match end {
                    End::Close => drop(socket.close()),
                    End::Shutdown => socket.shutdown().expect("a socket at work"),
                }
                let (returned, at) = thread.join().expect("a result");
                (returned, at.duration_since(start))
            });
            let errno = match end {
                End::Close => libc::EBADF,
                End::Shutdown => libc::ECONNABORTED,
            };
            assert_errno(returned, errno, &format!("{what}, {end:?}"));
            assert_within(time, ms(50), &format!("{what}, {end:?}"));
            worst.note(time);
        }
    }
    worst.end(format!("{calls} calls of 9 kinds, each woken in time"))
}

#[derive(Clone, Copy, Debug)]
enum End {
    Close,
    Shutdown,
}

fn bound() -> Socket {
    let socket = udp();
    socket.bind(b"", b"").expect("a port");
    socket
}
