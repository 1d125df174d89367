//! From host and port to endpoints.

mod common;

use anjay_net_resolve::{Families, Family, Policy, V4Form};
use anjay_net_socket::{Kind, Resolution, resolve};
use common::*;

fn question<'a>(host: &'a str, port: &'a str) -> Resolution<'a> {
    Resolution {
        kind: Kind::Udp,
        host: host.as_bytes(),
        port: port.as_bytes(),
        policy: Policy::default(),
        preferred: None,
        passive: false,
    }
}

fn answers(question: &Resolution<'_>) -> Vec<String> {
    resolve(question)
        .unwrap()
        .iter()
        .map(|addr| addr.to_string())
        .collect()
}

#[test]
fn literals_are_their_own_answer() {
    for (host, port, expected) in [
        ("192.0.2.1", "5683", "192.0.2.1:5683"),
        ("192.0.2.1", "", "192.0.2.1:0"),
        ("192.0.2.1", "0005683", "192.0.2.1:5683"),
        ("2001:db8::1", "65535", "[2001:db8::1]:65535"),
        ("[2001:db8::1]", "1", "[2001:db8::1]:1"),
        ("fe80::1%lo", "1", "[fe80::1%1]:1"),
        ("[fe80::1%1]", "1", "[fe80::1%1]:1"),
    ] {
        assert_eq!(answers(&question(host, port)), [expected]);
    }
}

#[test]
fn the_wildcard_is_for_bind_only() {
    assert_eq!(errno(resolve(&question("", "1"))), libc::EADDRNOTAVAIL);
    let passive = Resolution {
        passive: true,
        ..question("", "1")
    };
    assert_eq!(answers(&passive), ["[::]:1", "0.0.0.0:1"]);
    for (preferred, expected) in [
        ("[::]:1", ["[::]:1", "0.0.0.0:1"]),
        ("0.0.0.0:1", ["0.0.0.0:1", "[::]:1"]),
        ("0.0.0.0:2", ["[::]:1", "0.0.0.0:1"]),
    ] {
        let preferring = Resolution {
            preferred: preferred.parse().ok(),
            ..passive
        };
        assert_eq!(answers(&preferring), expected);
    }
    let preferring_four = Resolution {
        policy: Policy {
            families: Families::Prefer(Family::V4),
            ..Policy::default()
        },
        ..passive
    };
    assert_eq!(answers(&preferring_four), ["0.0.0.0:1", "[::]:1"]);
}

#[test]
fn the_family_policy_holds_for_literals() {
    let only = |family, v4, host| {
        resolve(&Resolution {
            policy: Policy {
                families: Families::Only(family),
                v4,
            },
            ..question(host, "1")
        })
        .map(|list| list.iter().map(|addr| addr.to_string()).collect::<Vec<_>>())
    };
    use Family::{V4, V6};
    use V4Form::{Mapped, Native};
    assert_eq!(errno(only(V6, Native, "192.0.2.1")), libc::EADDRNOTAVAIL);
    assert_eq!(errno(only(V4, Native, "::1")), libc::EADDRNOTAVAIL);
    assert_eq!(
        only(V6, Mapped, "192.0.2.1").unwrap(),
        ["[::ffff:192.0.2.1]:1"]
    );
    assert_eq!(
        only(V4, Native, "::ffff:192.0.2.1").unwrap(),
        ["192.0.2.1:1"]
    );
}

#[test]
fn the_preferred_endpoint_comes_first_if_it_is_among_them() {
    let all = answers(&question("localhost", "1"));
    for preferred in &all {
        let list = answers(&Resolution {
            preferred: Some(preferred.parse().unwrap()),
            ..question("localhost", "1")
        });
        assert_eq!(list.first(), Some(preferred));
        assert_eq!(list.len(), all.len());
    }
    let stranger = Resolution {
        preferred: Some("127.0.0.77:1".parse().unwrap()),
        ..question("localhost", "1")
    };
    assert!(!answers(&stranger).contains(&"127.0.0.77:1".to_owned()));
}
