//! The order in which endpoints are tried.

use std::net::SocketAddr;
use std::time::Instant;

use anjay_net_resolve::{
    ADDRESSES_MAX, Families, Family, Hints, Kind, Order, PlanSettings, Planner, Policy, Source,
    Step, V4Form, map, same_endpoint, unmap,
};

const NATIVE_6: Policy = native(Families::Prefer(Family::V6));
const NATIVE_4: Policy = native(Families::Prefer(Family::V4));
const ONLY_4: Policy = native(Families::Only(Family::V4));
const ONLY_6: Policy = native(Families::Only(Family::V6));
const ANY: Policy = native(Families::Any);
const DUAL: Policy = mapped(ONLY_6);

const fn native(families: Families) -> Policy {
    Policy {
        families,
        v4: V4Form::Native,
    }
}

const fn mapped(policy: Policy) -> Policy {
    Policy {
        v4: V4Form::Mapped,
        ..policy
    }
}

fn order(policy: Policy, kind: Kind, preferred: Option<SocketAddr>) -> Order {
    Order {
        policy,
        kind,
        preferred,
    }
}

fn addrs(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ordered(
    addrs: &[SocketAddr],
    policy: &Policy,
    preferred: Option<SocketAddr>,
) -> Vec<SocketAddr> {
    let order = order(*policy, Kind::Udp, preferred);
    order.sorted(addrs, &Hints::NONE).unwrap()
}

#[test]
fn wildcards() {
    let (six, four, four_mapped) = ("[::]:7", "0.0.0.0:7", "[::ffff:0.0.0.0]:7");
    for (policy, expected) in [
        (ANY, &[six, four][..]),
        (NATIVE_6, &[six, four]),
        (NATIVE_4, &[four, six]),
        (ONLY_4, &[four]),
        (ONLY_6, &[six]),
        (DUAL, &[six]),
        (mapped(NATIVE_6), &[six, four_mapped]),
        (mapped(NATIVE_4), &[four_mapped, six]),
        (mapped(ONLY_4), &[four_mapped]),
    ] {
        assert_eq!(policy.wildcards(7).unwrap(), addrs(expected), "{policy:?}");
    }
}

#[test]
fn nothing_found_is_an_empty_list() {
    assert!(ordered(&[], &NATIVE_6, None).is_empty());
    assert!(ordered(&addrs(&["192.0.2.1:1"]), &ONLY_6, None).is_empty());
}

#[test]
fn sticky_comes_first_whatever_its_family_and_form() {
    let found = addrs(&[
        "[2001:db8::1]:1",
        "[2001:db8::2]:1",
        "192.0.2.1:1",
        "192.0.2.2:1",
    ]);
    for policy in [NATIVE_6, NATIVE_4, DUAL] {
        for sticky in [
            addr("192.0.2.2:1"),
            map(addr("192.0.2.2:1")),
            addr("[2001:db8::2]:1"),
        ] {
            let list = ordered(&found, &policy, Some(sticky));
            assert!(same_endpoint(&list[0], &sticky), "{policy:?} {sticky}");
            assert_eq!(list.len(), 4);
        }
    }
}

#[test]
fn sticky_is_a_whole_endpoint() {
    let found = addrs(&["[fe80::1%1]:1", "[fe80::1%2]:1", "192.0.2.1:1"]);
    // Another port or scope is another endpoint: nothing gets ahead of its family.
    for sticky in ["192.0.2.1:2", "[fe80::1%3]:1"] {
        let list = ordered(&found, &NATIVE_6, Some(addr(sticky)));
        assert_eq!(list[2], addr("192.0.2.1:1"));
    }
    for _ in 0..20 {
        let list = ordered(&found, &NATIVE_6, Some(found[1]));
        assert_eq!(list[0], found[1]);
    }
}

#[test]
fn twins_are_one_endpoint() {
    let found = addrs(&[
        "[::ffff:192.0.2.1]:1",
        "192.0.2.1:1",
        "192.0.2.1:1",
        "[::ffff:192.0.2.1]:1",
    ]);
    assert_eq!(
        ordered(&found, &NATIVE_6, None).as_slice(),
        addrs(&["192.0.2.1:1"])
    );
    assert_eq!(ordered(&found, &ONLY_6, None).as_slice(), &found[..1]);
    assert_eq!(ordered(&found, &DUAL, None).as_slice(), &found[..1]);
}

#[test]
fn unresponsive_endpoints_come_last() {
    let found = addrs(&[
        "[2001:db8::1]:1",
        "[2001:db8::2]:1",
        "192.0.2.1:1",
        "192.0.2.2:1",
    ]);
    let failed = [found[0], found[3]];
    let list = |preferred| {
        let order = order(NATIVE_6, Kind::Udp, Some(preferred));
        let hints = Hints {
            unresponsive: &|addr| failed.contains(addr),
            ..Hints::NONE
        };
        order.sorted(&found, &hints).unwrap()
    };
    // Preferred first and families in order on both sides of the cut.
    assert_eq!(
        list(found[3]).as_slice(),
        [found[1], found[2], found[3], found[0]]
    );
    assert_eq!(
        list(found[2]).as_slice(),
        [found[2], found[1], found[0], found[3]]
    );
}

#[test]
fn every_address_comes_first_equally_often() {
    let found: Vec<_> = (1..=8)
        .map(|host| SocketAddr::from(([192, 0, 2, host], 5683)))
        .collect();
    let mut firsts = [0u32; 8];
    let mut orders = std::collections::HashSet::new();
    for _ in 0..10_000 {
        let list = ordered(&found, &NATIVE_6, None);
        firsts[found.iter().position(|addr| *addr == list[0]).unwrap()] += 1;
        orders.insert(list.clone());
    }
    for first in firsts {
        // 4.5 standard deviations: once in 20,000 runs by chance.
        assert!((1_100..=1_400).contains(&first), "{firsts:?}");
    }
    // 8! = 40,320 orders; 10,000 draws hit about 8,870 different ones.
    assert!(orders.len() > 8_500, "{} orders", orders.len());
}

#[test]
fn streams_alternate_between_the_families() {
    let found = addrs(&[
        "192.0.2.1:1",
        "192.0.2.2:1",
        "192.0.2.3:1",
        "[2001:db8::1]:1",
        "[2001:db8::2]:1",
    ]);
    let families = |policy, kind, preferred| -> String {
        let order = order(policy, kind, preferred);
        order
            .sorted(&found, &Hints::NONE)
            .unwrap()
            .into_iter()
            .map(|addr| if addr.is_ipv6() { '6' } else { '4' })
            .collect()
    };
    for (policy, kind, preferred, expected) in [
        (ANY, Kind::Tcp, None, "64644"),
        (ANY, Kind::Udp, None, "66444"),
        (NATIVE_6, Kind::Tcp, None, "64644"),
        (NATIVE_4, Kind::Tcp, None, "46464"),
        (NATIVE_6, Kind::Tcp, Some(found[0]), "46464"),
        (NATIVE_6, Kind::Udp, None, "66444"),
        (NATIVE_4, Kind::Udp, None, "44466"),
        (NATIVE_6, Kind::Udp, Some(found[0]), "46644"),
    ] {
        assert_eq!(
            families(policy, kind, preferred),
            expected,
            "{policy:?} {kind:?} {preferred:?}"
        );
    }
}

fn host(number: u16, family: Family) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    match family {
        Family::V4 => SocketAddr::from(([10, 0, high, low], 1)),
        Family::V6 => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, number], 1)),
    }
}

#[test]
fn an_answer_of_thousands_is_cut_to_what_is_worth_trying() {
    let mut found: Vec<_> = (0..4_000).map(|number| host(number, Family::V4)).collect();
    found.extend((0..3).map(|number| host(number, Family::V6)));
    let preferred = host(3_999, Family::V4);
    let responsive = host(2_000, Family::V4);
    let unresponsive = |addr: &SocketAddr| {
        addr.is_ipv4() && ![preferred, responsive].iter().any(|kept| kept == addr)
    };
    let order = order(NATIVE_6, Kind::Udp, Some(preferred));
    let hints = Hints {
        unresponsive: &unresponsive,
        ..Hints::NONE
    };
    let begin = Instant::now();
    let list = order.sorted(&found, &hints).unwrap();
    // All with all would be sixteen million comparisons.
    assert!(begin.elapsed().as_millis() < 500, "{:?}", begin.elapsed());
    let list = list.as_slice();
    assert_eq!(list.len(), ADDRESSES_MAX + 3);
    assert_eq!(list[0], preferred, "the preferred one is never cut off");
    assert!(list[1..4].iter().all(SocketAddr::is_ipv6));
    assert_eq!(
        list[4], responsive,
        "the unresponsive ones are cut off first"
    );

    let all = order.sorted(&found, &Hints::NONE).unwrap();
    assert_eq!(all[0], preferred, "one of thousands that answer");

    let again = order.sorted(&found, &hints).unwrap();
    assert_ne!(again[5..], list[5..], "another choice each time");
}

/// A machine with these addresses, which sends from the first one of the
/// destination's family.
fn machine<'a>(addresses: &'a [&'a str]) -> impl Fn(&SocketAddr) -> Source + 'a {
    move |destination| {
        let family = Family::of(&unmap(*destination));
        addresses
            .iter()
            .map(|text| SocketAddr::new(text.parse().unwrap(), 0))
            .find(|own| Family::of(own) == family)
            .map_or(Source::Unreachable, |own| Source::Address(own.ip()))
    }
}

#[test]
fn addresses_that_cannot_be_answered_come_last() {
    let (six, four, unique_local) = ("[2606:4700::1]:1", "198.51.100.1:1", "[fd00::1]:1");
    for (own, policy, preferred, expected) in [
        // IPv6 works.
        (&["2001:db8::9", "10.0.0.9"][..], ANY, None, [six, four]),
        (&["2001:db8::9", "10.0.0.9"], NATIVE_4, None, [four, six]),
        // IPv6 is link-local, unique local, or missing.
        (&["fe80::9", "10.0.0.9"], ANY, None, [four, six]),
        (&["fe80::9", "10.0.0.9"], NATIVE_6, None, [four, six]),
        (&["fd00::9", "10.0.0.9"], ANY, None, [four, six]),
        (&["fd00::9", "10.0.0.9"], NATIVE_6, None, [four, six]),
        (&["10.0.0.9"], NATIVE_6, None, [four, six]),
        // IPv4 is link-local or missing.
        (&["2001:db8::9", "169.254.0.9"], NATIVE_4, None, [six, four]),
        (&["2001:db8::9"], NATIVE_4, None, [six, four]),
        // Neither works: as without any knowledge.
        (&[], ANY, None, [six, four]),
        (&[], NATIVE_4, None, [four, six]),
        (&["fe80::9", "169.254.0.9"], ANY, None, [six, four]),
        // What worked before has a way of its own (NAT66), or none anymore.
        (&["fd00::9", "10.0.0.9"], ANY, Some(six), [six, four]),
        (&["10.0.0.9"], ANY, Some(six), [four, six]),
        // Below IPv4 in the policy table, unless IPv6 is preferred.
        (&["fd00::9", "10.0.0.9"], ANY, None, [four, unique_local]),
        (
            &["fd00::9", "10.0.0.9"],
            NATIVE_6,
            None,
            [unique_local, four],
        ),
        (
            &["2001:db8::9", "10.0.0.9"],
            NATIVE_6,
            None,
            [four, unique_local],
        ),
        (&["2001:db8::9"], ANY, None, [six, unique_local]),
    ] {
        for kind in [Kind::Udp, Kind::Tcp] {
            let order = order(policy, kind, preferred.map(addr));
            let source_of = machine(own);
            let hints = Hints {
                source_of: &source_of,
                ..Hints::NONE
            };
            let found = addrs(&expected);
            let list = order.sorted(&found, &hints).unwrap();
            assert_eq!(list, found, "{own:?} {order:?}");
        }
    }
}

#[test]
fn an_address_without_a_route_comes_after_one_that_did_not_answer() {
    let found = addrs(&["[2001:db8::1]:1", "192.0.2.1:1"]);
    let source_of = machine(&["10.0.0.9"]);
    let hints = Hints {
        unresponsive: &|addr| addr.is_ipv4(),
        source_of: &source_of,
    };
    let order = order(ANY, Kind::Udp, None);
    let list = order.sorted(&found, &hints).unwrap();
    assert_eq!(list, [found[1], found[0]]);
}

#[test]
fn the_source_is_asked_for_where_there_is_a_choice() {
    let order = order(ANY, Kind::Udp, None);
    let asked = std::cell::Cell::new(0);
    let source_of = |_: &SocketAddr| {
        asked.set(asked.get() + 1);
        Source::Unknown
    };
    let hints = Hints {
        source_of: &source_of,
        ..Hints::NONE
    };
    let (one, two) = (addr("192.0.2.1:1"), addr("192.0.2.2:1"));
    let _ = order.sorted(&[one, one], &hints).unwrap();
    assert_eq!(asked.get(), 0, "one address, twice");
    let _ = order.sorted(&[one, two], &hints).unwrap();
    assert_eq!(asked.get(), 2);

    asked.set(0);
    let now = Instant::now();
    let mut planner = Planner::new(PlanSettings::DEFAULT, order);
    planner.expect(Family::V6);
    planner.expect(Family::V4);
    planner.answer(now, Family::V6, &[], &hints).unwrap();
    planner.answer(now, Family::V4, &[one], &hints).unwrap();
    assert_eq!(planner.next(now), Step::Start(one));
    assert_eq!(asked.get(), 0);
}
