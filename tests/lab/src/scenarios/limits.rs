//! What must cost nothing, and what must be left when all is over.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anjay_net_resolve::{Family, Policy};
use anjay_net_socket::{Kind, Resolution};

use crate::c_api;
use crate::client::{connect, forced, ms, resolve, set, tcp, udp};
use crate::dnsmasq::Dnsmasq;
use crate::meter::{Figures, Meter, Usage};
use crate::sealed::{self, End, Seal};
use crate::servers::{CLOSED_PORT_TEXT, PORT_TEXT};
use crate::world::{NAME_SERVER, World, v4, v6};

pub(super) fn literals_cost_nothing() -> Figures {
    const LITERALS: [&str; 5] = [
        "192.0.2.1",
        "2001:db8::1",
        "[2001:db8::1]",
        "fe80::1%3",
        "::ffff:192.0.2.1",
    ];
    let _world = World::cabled();
    let in_rust = |count: usize| {
        let question = Resolution {
            kind: Kind::Udp,
            host: LITERALS[count % LITERALS.len()].as_bytes(),
            port: PORT_TEXT,
            policy: Policy::default(),
            preferred: None,
            passive: false,
        };
        let found = anjay_net_socket::resolve(&question);
        assert!(found.is_ok_and(|list| list.len() == 1));
    };
    let in_c = |count: usize| {
        let literal = LITERALS[count % LITERALS.len()];
        let list = c_api::resolve(literal, None, None);
        assert!(list.is_some_and(|list| list.len() == 1));
    };
    let mut meter = Meter::start();
    let before = Usage::now();
    meter.time(|| (0..10_000).for_each(in_rust));
    assert_eq!(Usage::now(), before, "threads or descriptors");
    let warm_up = || {
        (0..LITERALS.len()).for_each(in_rust);
        (0..LITERALS.len()).for_each(in_c);
    };
    assert_eq!(
        sealed::run(Seal::NoCalls, warm_up, || (0..10_000).for_each(in_rust)),
        End::Done
    );
    assert_eq!(
        sealed::run(Seal::NoCalls, warm_up, || (0..10_000).for_each(in_c)),
        End::Done
    );
    // The seal holds: a scope with a name takes a system call.
    let looks_up = || drop(resolve("fe80::1%veth0"));
    assert_eq!(sealed::run(Seal::NoCalls, warm_up, looks_up), End::Caught);
    meter.end("10,000 in Rust and 10,000 in C, in processes that end at their first system call")
}

pub(super) fn random_order_is_fair() -> Figures {
    const RESOLUTIONS: usize = 10_000;
    let world = World::cabled();
    let pool: Vec<_> = (11..19).map(v4).collect();
    let names: Vec<_> = pool.iter().map(|addr| ("pool.test", *addr)).collect();
    let _dnsmasq = Dnsmasq::start(&world, &names);
    world.set_name_server(NAME_SERVER, 2, 1);
    let mut meter = Meter::start();
    let mut firsts: BTreeMap<IpAddr, usize> = BTreeMap::new();
    meter.time(|| {
        for _ in 0..RESOLUTIONS {
            let found = resolve("pool.test").expect("a name");
            *firsts.entry(found[0]).or_default() += 1;
        }
    });
    assert_eq!(firsts.len(), pool.len());
    let share = |count: usize| count as f64 * 100.0 / RESOLUTIONS as f64;
    for (addr, count) in &firsts {
        let off = (share(*count) - 12.5).abs();
        assert!(off <= 1.5, "{addr} came first {count} times");
    }
    let (least, most) = (firsts.values().min(), firsts.values().max());
    meter.end(format!(
        "between {:.2} % and {:.2} %",
        share(least.copied().unwrap_or_default()),
        share(most.copied().unwrap_or_default())
    ))
}

pub(super) fn failures_leave_nothing() -> Figures {
    let world = World::cabled();
    let pool = [v4(2), v4(11), v6(2), v6(0x11)];
    world.add_away(&[v4(11), v6(0x11)]);
    let mut names: Vec<_> = pool.iter().map(|addr| ("refused.test", *addr)).collect();
    names.push(("four.test", v4(2)));
    names.extend([("hole.test", v4(99)), ("hole.test", v6(0x99))]);
    let _dnsmasq = Dnsmasq::start(&world, &names);
    world.set_name_server(NAME_SERVER, 2, 1);
    world.swallow(&[v4(99), v6(0x99)]);
    set(|settings| {
        settings.connect_timeout = ms(5);
        settings.attempt_delay = ms(10);
    });
    let mut meter = Meter::start();
    let (stream, datagrams) = (tcp(), udp());
    let no_ipv6 = forced(Kind::Tcp, Family::V6);
    let (mut errors, mut failures) = (BTreeMap::new(), 0);
    meter.time(|| {
        for count in 0..1_000 {
            let failed = match count % 10 {
                0 | 1 => stream.connect(b"192.0.2.2", CLOSED_PORT_TEXT, None),
                2 | 3 => stream.connect(b"refused.test", CLOSED_PORT_TEXT, None),
                4 => connect(&stream, "198.51.100.1"),
                5 => connect(&stream, "unknown.test"),
                6 => connect(&datagrams, "198.51.100.1"),
                7 => connect(&no_ipv6, "four.test"),
                8 => connect(&stream, "192.0.2.99"),
                _ => connect(&stream, "hole.test"),
            };
            let error = failed.expect_err("nothing of this can succeed");
            *errors.entry(error.0).or_insert(0) += 1;
            failures += 1;
        }
    });
    drop((stream, datagrams, no_ipv6));
    assert_eq!(failures, 1_000);
    assert_eq!(errors.len(), 4, "{errors:?}");
    meter.end("1,000 failures: refused, unreachable, unknown, no IPv6, timed out")
}
