//! The order in which endpoints are tried.

use std::net::SocketAddr;

use anjay_net_resolve::{
    EndpointList, Families, Family, Policy, V4Form, map, same_endpoint, unmap,
};
use proptest::prelude::*;

const NATIVE_6: Policy = Policy {
    families: Families::Prefer(Family::V6),
    v4: V4Form::Native,
};
const NATIVE_4: Policy = Policy {
    families: Families::Prefer(Family::V4),
    v4: V4Form::Native,
};
const ONLY_4: Policy = Policy {
    families: Families::Only(Family::V4),
    v4: V4Form::Native,
};
const ONLY_6: Policy = Policy {
    families: Families::Only(Family::V6),
    v4: V4Form::Native,
};
const DUAL: Policy = Policy {
    families: Families::Only(Family::V6),
    v4: V4Form::Mapped,
};

fn addrs(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn wildcards() {
    let (six, four, mapped) = ("[::]:7", "0.0.0.0:7", "[::ffff:0.0.0.0]:7");
    for (policy, expected) in [
        (NATIVE_6, &[six, four][..]),
        (NATIVE_4, &[four, six]),
        (ONLY_4, &[four]),
        (ONLY_6, &[six]),
        (DUAL, &[six]),
        (
            Policy {
                v4: V4Form::Mapped,
                ..NATIVE_6
            },
            &[six, mapped],
        ),
        (
            Policy {
                v4: V4Form::Mapped,
                ..NATIVE_4
            },
            &[mapped, six],
        ),
        (
            Policy {
                v4: V4Form::Mapped,
                ..ONLY_4
            },
            &[mapped],
        ),
    ] {
        assert_eq!(
            EndpointList::wildcard(7, &policy).as_slice(),
            addrs(expected),
            "{policy:?}"
        );
    }
}

#[test]
fn literals_follow_the_policy() {
    let four = addr("192.0.2.1:7");
    assert!(EndpointList::literal(four, &ONLY_6).is_none());
    assert_eq!(
        EndpointList::literal(four, &DUAL).unwrap().as_slice(),
        [map(four)]
    );
    assert_eq!(
        EndpointList::literal(map(four), &ONLY_4)
            .unwrap()
            .as_slice(),
        [four]
    );
}

#[test]
fn iterates_and_rewinds() {
    let mut list = EndpointList::ordered(
        addrs(&["[::1]:1", "[::2]:1", "127.0.0.1:1"]),
        &NATIVE_6,
        None,
    );
    let first: Vec<_> = list.by_ref().collect();
    assert_eq!(first.len(), 3);
    assert!(list.is_empty());
    assert_eq!(list.next(), None);
    list.rewind();
    assert_eq!(list.len(), 3);
    assert_eq!(list.remaining(), first);
    assert_eq!(list.as_slice(), first);
}

#[test]
fn nothing_found_is_an_empty_list() {
    assert!(EndpointList::ordered(Vec::new(), &NATIVE_6, None).is_empty());
    assert!(EndpointList::ordered(addrs(&["192.0.2.1:1"]), &ONLY_6, None).is_empty());
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
            let list = EndpointList::ordered(found.clone(), &policy, Some(sticky));
            assert!(
                same_endpoint(&list.as_slice()[0], &sticky),
                "{policy:?} {sticky}"
            );
            assert_eq!(list.len(), 4);
        }
    }
}

#[test]
fn sticky_is_a_whole_endpoint() {
    let found = addrs(&["[fe80::1%1]:1", "[fe80::1%2]:1", "192.0.2.1:1"]);
    // Another port or scope is another endpoint: nothing gets ahead of its family.
    for sticky in ["192.0.2.1:2", "[fe80::1%3]:1"] {
        let list = EndpointList::ordered(found.clone(), &NATIVE_6, Some(addr(sticky)));
        assert_eq!(list.as_slice()[2], addr("192.0.2.1:1"));
    }
    for _ in 0..20 {
        let list = EndpointList::ordered(found.clone(), &NATIVE_6, Some(found[1]));
        assert_eq!(list.as_slice()[0], found[1]);
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
        EndpointList::ordered(found.clone(), &NATIVE_6, None).as_slice(),
        addrs(&["192.0.2.1:1"])
    );
    assert_eq!(
        EndpointList::ordered(found.clone(), &ONLY_6, None).as_slice(),
        &found[..1]
    );
    assert_eq!(
        EndpointList::ordered(found.clone(), &DUAL, None).as_slice(),
        &found[..1]
    );
}

#[test]
fn failed_endpoints_wait_at_the_back() {
    let found = addrs(&[
        "[2001:db8::1]:1",
        "[2001:db8::2]:1",
        "192.0.2.1:1",
        "192.0.2.2:1",
    ]);
    let failed = [found[0], found[3]];
    let is_failed = |addr: &SocketAddr| failed.contains(addr);
    let list = EndpointList::ordered_with(found.clone(), &NATIVE_6, Some(found[3]), is_failed);
    // Sticky first and families in order on both sides of the cut.
    assert_eq!(list.as_slice(), [found[1], found[2], found[3], found[0]]);
    let list = EndpointList::ordered_with(found.clone(), &NATIVE_6, Some(found[2]), is_failed);
    assert_eq!(list.as_slice(), [found[2], found[1], found[0], found[3]]);
}

#[test]
fn every_address_comes_first_equally_often() {
    let found: Vec<_> = (1..=8)
        .map(|host| SocketAddr::from(([192, 0, 2, host], 5683)))
        .collect();
    let mut firsts = [0u32; 8];
    let mut orders = std::collections::HashSet::new();
    for _ in 0..10_000 {
        let list = EndpointList::ordered(found.clone(), &NATIVE_6, None);
        firsts[found
            .iter()
            .position(|addr| *addr == list.as_slice()[0])
            .unwrap()] += 1;
        orders.insert(list.as_slice().to_vec());
    }
    for first in firsts {
        // 4.5 standard deviations: once in 20,000 runs by chance.
        assert!((1_100..=1_400).contains(&first), "{firsts:?}");
    }
    // 8! = 40,320 orders; 10,000 draws hit about 8,870 different ones.
    assert!(orders.len() > 8_500, "{} orders", orders.len());
}

fn any_addr() -> impl Strategy<Value = SocketAddr> {
    // Few distinct ones, so that duplicates and twins happen.
    prop_oneof![
        (0..4u8, 1..3u16).prop_map(|(host, port)| SocketAddr::from(([192, 0, 2, host], port))),
        (0..4u8, 1..3u16).prop_map(|(host, port)| map(SocketAddr::from(([192, 0, 2, host], port)))),
        (0..4u16, 1..3u16).prop_map(|(host, port)| SocketAddr::from((
            [0x2001, 0xdb8, 0, 0, 0, 0, 0, host],
            port
        ))),
    ]
}

proptest! {
    #[test]
    fn ordered_lists_keep_their_promises(
        found in prop::collection::vec(any_addr(), 0..24),
        policy in prop::sample::select(vec![NATIVE_6, NATIVE_4, ONLY_4, ONLY_6, DUAL]),
        sticky in prop::option::of(any_addr()),
        failed in prop::collection::vec(any_addr(), 0..4),
    ) {
        let demoted = |addr: &SocketAddr| failed.iter().any(|failed| same_endpoint(addr, failed));
        let is_sticky = |addr: &SocketAddr| sticky.is_some_and(|sticky| same_endpoint(addr, &sticky));
        let list = EndpointList::ordered_with(found.clone(), &policy, sticky, demoted);
        let all = list.as_slice();
        for addr in all {
            prop_assert_eq!(policy.admit(*addr), Some(*addr));
            prop_assert_eq!(all.iter().filter(|other| same_endpoint(addr, other)).count(), 1);
        }
        for addr in found.iter().filter(|addr| policy.admit(**addr).is_some()) {
            prop_assert!(all.iter().any(|other| same_endpoint(addr, other)));
        }
        for addr in all {
            prop_assert!(found.iter().any(|other| policy.admit(*other) == Some(*addr)));
        }
        let rank = |addr: &SocketAddr| {
            (demoted(addr), !is_sticky(addr), Family::of(&unmap(*addr)) != policy.first())
        };
        prop_assert!(all.is_sorted_by_key(rank));
    }
}
