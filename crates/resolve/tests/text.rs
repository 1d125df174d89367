//! Addresses to text.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

use anjay_net_resolve::{Host, Scope, map, write_endpoint, write_ip, write_ip_scoped, write_port};
use proptest::prelude::*;

#[test]
fn scopes_are_written_where_they_mean_something() {
    for (addr, interface, expected) in [
        ("[fe80::1%3]:1", None, "fe80::1%3"),
        ("[fe80::1%4294967295]:1", None, "fe80::1%4294967295"),
        ("[fe80::1%3]:1", Some("eth0"), "fe80::1%eth0"),
        (
            "[fe80::1%3]:1",
            Some("fifteen-bytes-1"),
            "fe80::1%fifteen-bytes-1",
        ),
        ("[fe80::1%3]:1", Some("sixteen-bytes-ok"), "fe80::1%3"),
        ("[fe80::1%3]:1", Some(""), "fe80::1%3"),
        ("[fe80::1]:1", Some("eth0"), "fe80::1"),
        ("[ff02::1%3]:1", None, "ff02::1%3"),
        ("[ff12::1%3]:1", None, "ff12::1%3"),
        ("[ff05::1%3]:1", None, "ff05::1"),
        ("[2001:db8::1%3]:1", Some("eth0"), "2001:db8::1"),
        ("[::ffff:192.0.2.1%3]:1", Some("eth0"), "192.0.2.1"),
        ("192.0.2.1:1", Some("eth0"), "192.0.2.1"),
    ] {
        assert_eq!(
            write_ip_scoped(&addr.parse().unwrap(), interface).to_string(),
            expected
        );
    }
}

#[test]
fn the_longest_text_fits() {
    let addr = "[fe80:1111:2222:3333:4444:5555:6666:7777%3]:1"
        .parse()
        .unwrap();
    let text = write_ip_scoped(&addr, Some("fifteen-bytes-1"));
    assert_eq!(
        &*text,
        "fe80:1111:2222:3333:4444:5555:6666:7777%fifteen-bytes-1"
    );
    assert_eq!(format!("{text:>56}").len(), 56);
    assert_eq!(format!("{text:?}").len(), 57);
    assert_eq!(
        &*write_endpoint(
            &"[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535"
                .parse()
                .unwrap()
        ),
        "[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535"
    );
}

#[test]
fn rfc_5952_examples() {
    for (given, expected) in [
        ("[2001:0db8::0001]:0", "2001:db8::1"),
        ("[2001:db8:0:0:0:0:2:1]:0", "2001:db8::2:1"),
        ("[2001:db8:0:1:1:1:1:1]:0", "2001:db8:0:1:1:1:1:1"),
        ("[2001:0:0:1:0:0:0:1]:0", "2001:0:0:1::1"),
        ("[2001:db8:0:0:1:0:0:1]:0", "2001:db8::1:0:0:1"),
        ("[2001:DB8::A:F]:0", "2001:db8::a:f"),
        ("[::]:0", "::"),
        ("[::1]:0", "::1"),
        ("[1::]:0", "1::"),
    ] {
        assert_eq!(write_ip(&given.parse().unwrap()).to_string(), expected);
    }
}

#[test]
fn every_port() {
    for port in 0..=u16::MAX {
        assert_eq!(&*write_port(port), port.to_string());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn agrees_with_std(ip: u128, mask: u128, holes in prop::collection::vec(any::<bool>(), 8)) {
        // Zero groups in all places, and groups of all lengths.
        let groups: Vec<u16> = std::net::Ipv6Addr::from(ip & mask)
            .segments()
            .iter()
            .zip(&holes)
            .map(|(group, hole)| if *hole { 0 } else { *group })
            .collect();
        let ip = std::net::Ipv6Addr::from(<[u16; 8]>::try_from(groups).unwrap());
        prop_assume!(ip.to_ipv4_mapped().is_none());
        prop_assert_eq!(write_ip(&SocketAddr::from((ip, 1))).to_string(), ip.to_string());
    }

    #[test]
    fn ipv4_agrees_with_std_in_both_forms(ip: Ipv4Addr, port: u16) {
        let addr = SocketAddr::from((ip, port));
        prop_assert_eq!(write_ip(&addr).to_string(), ip.to_string());
        prop_assert_eq!(write_ip(&map(addr)).to_string(), ip.to_string());
    }

    #[test]
    fn scoped_text_reads_back(low: u64, scope_id: u32) {
        let ip = std::net::Ipv6Addr::from((0xfe80 << 112) | u128::from(low));
        let text = write_ip(&SocketAddr::V6(SocketAddrV6::new(ip, 1, 0, scope_id)));
        let scope = if scope_id == 0 { Scope::None } else { Scope::Index(scope_id) };
        let Ok(Host::Literal(literal)) = Host::parse(text.as_bytes()) else { panic!("{text}") };
        prop_assert_eq!((literal.ip, literal.scope), (IpAddr::V6(ip), scope));
    }
}
