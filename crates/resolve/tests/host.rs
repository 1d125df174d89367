//! Texts that callers give, and what they mean.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anjay_net_resolve::Scope::{Index, Interface};
use anjay_net_resolve::{Host, Literal, Scope, TextError, parse_port};
use proptest::prelude::*;

fn literal<'a>(ip: &str, scope: Scope<'a>) -> Result<Host<'a>, TextError> {
    two_readings(ip, scope, Scope::None)
}

fn two_readings<'a>(
    ip: &str,
    scope: Scope<'a>,
    scope_of_uri: Scope<'a>,
) -> Result<Host<'a>, TextError> {
    Ok(Host::Literal(Literal {
        ip: ip.parse().unwrap(),
        scope,
        scope_of_uri,
    }))
}

#[test]
fn literals() {
    let none = Scope::None;
    for (text, expected) in [
        ("192.0.2.1", literal("192.0.2.1", none)),
        ("0.0.0.0", literal("0.0.0.0", none)),
        ("::", literal("::", none)),
        ("::1", literal("::1", none)),
        ("[::1]", literal("::1", none)),
        ("::ffff:192.0.2.1", literal("::ffff:192.0.2.1", none)),
        ("[64:ff9b::192.0.2.33]", literal("64:ff9b::c000:221", none)),
        ("fe80::1%3", literal("fe80::1", Index(3))),
        ("fe80::1%0", literal("fe80::1", Index(0))),
        ("fe80::1%4294967295", literal("fe80::1", Index(u32::MAX))),
        ("fe80::1%eth0", literal("fe80::1", Interface("eth0"))),
        (
            "fe80::1%br-0.100@x",
            literal("fe80::1", Interface("br-0.100@x")),
        ),
        ("fe80::1%25", literal("fe80::1", Index(25))),
        (
            "fe80::1%25eth0",
            two_readings("fe80::1", Interface("25eth0"), Interface("eth0")),
        ),
        ("fe80::1%253", two_readings("fe80::1", Index(253), Index(3))),
        (
            "fe80::1%25fifteen-bytes-1",
            two_readings(
                "fe80::1",
                Interface("fifteen-bytes-1"),
                Interface("fifteen-bytes-1"),
            ),
        ),
        (
            "[fe80::1%2525eth0]",
            two_readings("fe80::1", Interface("2525eth0"), Interface("25eth0")),
        ),
        ("[fe80::1%eth0]", literal("fe80::1", Interface("eth0"))),
        (
            "[fe80::1%25eth0]",
            two_readings("fe80::1", Interface("25eth0"), Interface("eth0")),
        ),
        ("[fe80::1%253]", literal("fe80::1", Index(3))),
        ("[fe80::1%25]", literal("fe80::1", Index(25))),
    ] {
        assert_eq!(Host::parse(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn a_scope_without_meaning_is_dropped() {
    for (text, ip) in [
        ("::1%lo", "::1"),
        ("fd00::1%eth0", "fd00::1"),
        ("[fd00::1%25eth0]", "fd00::1"),
        ("2001:db8::1%3", "2001:db8::1"),
        ("ff05::1%3", "ff05::1"),
        ("::ffff:192.0.2.1%3", "::ffff:192.0.2.1"),
    ] {
        assert_eq!(Host::parse(text.as_bytes()), literal(ip, Scope::None));
    }
    for (text, ip) in [
        ("fe80::1%3", "fe80::1"),
        ("febf::1%3", "febf::1"),
        ("ff02::1%3", "ff02::1"),
        ("ff11::1%3", "ff11::1"),
    ] {
        assert_eq!(Host::parse(text.as_bytes()), literal(ip, Index(3)));
    }
}

/// A machine with these interfaces.
fn index_of(scope: Scope<'_>) -> Option<u32> {
    let interfaces = [(2, "eth0"), (3, "25wlan0"), (4, "wlan0"), (254, "vpn")];
    interfaces
        .iter()
        .find(|(index, name)| match scope {
            Scope::None => false,
            Index(wanted) => wanted == *index,
            Interface(wanted) => wanted == *name,
        })
        .map(|(index, _)| *index)
}

#[test]
fn scopes_become_interface_indices() {
    for (text, expected) in [
        ("fe80::1", Ok(0)),
        ("fe80::1%eth0", Ok(2)),
        ("fe80::1%25eth0", Ok(2)),
        ("[fe80::1%25eth0]", Ok(2)),
        // The interface that is called so comes before the escape.
        ("fe80::1%25wlan0", Ok(3)),
        ("[fe80::1%25wlan0]", Ok(3)),
        ("[fe80::1%2525wlan0]", Ok(3)),
        ("fe80::1%254", Ok(254)),
        ("fe80::1%252", Ok(2)),
        ("[fe80::1%252]", Ok(2)),
        ("fe80::1%7", Ok(7)),
        ("fe80::1%257", Ok(257)),
        ("fe80::1%25", Ok(25)),
        ("fe80::1%eth1", Err(TextError::Scope)),
        ("fe80::1%25eth1", Err(TextError::Scope)),
        ("fd00::1%eth1", Ok(0)),
    ] {
        let Ok(Host::Literal(literal)) = Host::parse(text.as_bytes()) else {
            panic!("{text}")
        };
        let scope_id = literal.with_port(1, index_of).map(|addr| match addr {
            SocketAddr::V6(addr) => addr.scope_id(),
            SocketAddr::V4(_) => panic!("{text}"),
        });
        assert_eq!(scope_id, expected, "{text}");
    }
}

#[test]
fn most_literals_need_no_interface() {
    for text in [
        "192.0.2.1",
        "fe80::1",
        "fe80::1%3",
        "[fe80::1%253]",
        "::1%lo",
    ] {
        let Ok(Host::Literal(literal)) = Host::parse(text.as_bytes()) else {
            panic!("{text}")
        };
        let addr = literal.with_port(1, |scope| panic!("{text} asks for {scope:?}"));
        assert!(addr.is_ok());
    }
}

#[test]
fn names() {
    let longest = "a".repeat(255);
    for text in [
        "localhost",
        "a",
        "lwm2m.example.",
        "_coap._udp.example",
        "1e.example",
        "0xg",
        "x0",
        "3com.com",
        "1.2.3.4.example",
        "b\u{fc}cher.example",
        "a..b",
        "face",
        // Numbers, but not to inet_aton(3): the system resolver decides.
        "0x",
        "0xdeadbeef00",
        "4294967296",
        "1.2.3.4.5",
        "1.2.3.4.0",
        "1.2.3.256",
        "2561.2.3.4",
        "1.2.3.2561",
        "1.2.3.4.",
        "256.1",
        "1.16777216",
        "1.2.65536",
        "08.0.0.1",
        "1.0x.3",
        "1..2",
        &longest,
    ] {
        assert_eq!(Host::parse(text.as_bytes()), Ok(Host::Name(text)));
    }
    assert_eq!(Host::parse(b""), Ok(Host::Wildcard));
}

#[test]
fn neither() {
    use TextError::{Address, Name, NotUtf8, Scope, TooLong};
    let long = "a".repeat(256);
    for (text, expected) in [
        (long.as_bytes(), TooLong),
        (b"\xff", NotUtf8),
        (b"fe80::1%\xff", NotUtf8),
        // Numeric for inet_aton(3), or nearly.
        (b"127.1", Address),
        (b"0x7f.1", Address),
        (b"0X7F000001", Address),
        (b"2130706433", Address),
        (b"0177.0.0.1", Address),
        (b"01.2.3.4", Address),
        (b"1.0x2.3", Address),
        (b"0", Address),
        (b"4294967295", Address),
        (b"0xffffffff", Address),
        (b"037777777777", Address),
        (b"1.16777215", Address),
        (b"1.2.65535", Address),
        (b"00.0x0.0.000", Address),
        // Brackets and colons mean IPv6.
        (b"[192.0.2.1]", Address),
        (b"[]", Address),
        (b"[localhost]", Address),
        (b"[::1]]", Address),
        (b"::1%", Scope),
        (b"fe80::1%4294967296", Scope),
        (b"fe80::1%sixteen-bytes-ok", Scope),
        (b"fe80::1%a b", Scope),
        (b"fe80::1%a%b", Scope),
        (b"fe80::1%a/b", Scope),
        (b"[fe80::1%]", Scope),
        (b"localhost:80", Address),
        (b"192.0.2.1:80", Address),
        (b"[::1]:80", Address),
        (b"coap://host", Address),
        (b".", Name),
        (b"...", Name),
        // Names with what no name has.
        (b" localhost", Name),
        (b"localhost ", Name),
        (b"local\thost", Name),
        (b"local\0host", Name),
        (b"local\x7fhost", Name),
        (b"host/path", Name),
        (b"host%eth0", Name),
        (b"192.0.2.1%eth0", Name),
        (b"[host", Name),
        (b"host]", Name),
        (b"+1.2.3.4", Name),
        (b"-1", Name),
        (b"192.0.2.1 ", Name),
    ] {
        assert_eq!(
            Host::parse(text),
            Err(expected),
            "{}",
            String::from_utf8_lossy(text)
        );
    }
}

#[test]
fn nearly_ipv6() {
    for text in [
        ":",
        ":::",
        "1:",
        ":1",
        "1::2::3",
        "12345::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::",
        "::1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7:1.2.3.4",
        "1.2.3.4::",
        "::1.2.3",
        "::1.2.3.04",
        "::1.2.3.256",
        "::1.2.3.4:5",
        "::g",
        "::-1",
        "::+1",
        "1::2:",
        "::1.",
        ".::",
        "::.",
    ] {
        for text in [text.to_owned(), format!("[{text}]"), format!("[{text}%1]")] {
            let verdict = Host::parse(text.as_bytes());
            assert_eq!(verdict, Err(TextError::Address), "{text}");
        }
    }
}

#[test]
fn every_error_has_a_text_of_its_own() {
    let errors = [
        (TextError::TooLong, "longer than 255 bytes"),
        (TextError::NotUtf8, "UTF-8"),
        (TextError::Address, "numeric address"),
        (TextError::Scope, "after '%'"),
        (TextError::Name, "host name"),
        (TextError::Port, "0 to 65535"),
    ];
    for (error, text) in errors {
        assert!(error.to_string().contains(text), "{error:?}: {error}");
    }
}

#[test]
fn ports() {
    for (text, port) in [
        ("", 0),
        ("0", 0),
        ("000", 0),
        ("5683", 5683),
        ("65535", 65535),
    ] {
        assert_eq!(parse_port(text.as_bytes()), Ok(port));
    }
    let zeros = format!("{}65535", "0".repeat(10_000));
    assert_eq!(parse_port(zeros.as_bytes()), Ok(65535));
    for text in [
        "65536",
        "99999999999",
        "+1",
        "-1",
        " 1",
        "1 ",
        "0x10",
        "1e3",
        "coap",
        "1\0",
        "\u{661}",
    ] {
        assert_eq!(parse_port(text.as_bytes()), Err(TextError::Port), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_judged(text in prop::collection::vec(any::<u8>(), 0..300)) {
        match Host::parse(&text) {
            Ok(Host::Name(name)) => prop_assert_eq!(name.as_bytes(), &text[..]),
            Ok(Host::Wildcard) => prop_assert!(text.is_empty()),
            Ok(Host::Literal(_)) | Err(_) => {}
        }
        let _ = parse_port(&text);
    }

    #[test]
    fn every_address_is_a_literal(ip: IpAddr) {
        let text = ip.to_string();
        prop_assert_eq!(Host::parse(text.as_bytes()), Ok(Host::Literal(ip.into())));
    }

    #[test]
    fn hexadecimal_digits_may_be_of_either_case(low: u64, scope: u32) {
        let ip = Ipv6Addr::from((0xfe80 << 112) | u128::from(low));
        for text in [ip.to_string(), ip.to_string().to_uppercase()] {
            for text in [format!("{text}%{scope}"), format!("[{text}%25{scope}]")] {
                let Ok(Host::Literal(literal)) = Host::parse(text.as_bytes()) else {
                    panic!("{text}")
                };
                prop_assert_eq!(literal.ip, ip);
                prop_assert_eq!(literal.scope, Index(scope));
            }
        }
    }

    #[test]
    fn dotted_quads_have_four_octets_without_leading_zeros(
        text in "[0-9]{0,4}(\\.(0|1?[0-9]{1,2}|2[0-9]{0,3})){3}[.x ]?"
    ) {
        let is_octet = |part: &str| {
            (part == "0" || !part.starts_with('0')) && part.parse::<u16>().is_ok_and(|it| it < 256)
        };
        let valid = text.split('.').count() == 4 && text.split('.').all(is_octet);
        prop_assert_eq!(valid, text.parse::<Ipv4Addr>().is_ok());
        let is_literal = matches!(Host::parse(text.as_bytes()), Ok(Host::Literal(_)));
        prop_assert_eq!(is_literal, valid);
    }

    #[test]
    fn ports_agree_with_std(text in "[0-9]{1,7}") {
        prop_assert_eq!(parse_port(text.as_bytes()).ok(), text.parse().ok());
    }
}
