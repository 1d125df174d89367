//! Host and port text of any bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::c::abi::ResolvedEndpoint;
use crate::c::{self, Kind, NULL, Question, Socket};
use crate::host::{self, Host};
use crate::{Text, code};

const PASSIVE: i32 = 1;
const V4MAPPED: i32 = 2;

const UNSPECIFIED: i32 = 0;
const IPV4: i32 = 1;
const IPV6: i32 = 2;

/// Takes the bytes for a few flags and two texts, asks every function that
/// reads texts about them, and compares with what they mean.
///
/// Names are not looked up: that would be the system's resolver at work.
pub fn check(data: &[u8]) {
    let [choices, family, texts @ ..] = data else {
        return;
    };
    let mut parts = texts.splitn(3, |&byte| byte == 0);
    let mut next = |null: bool| parts.next().filter(|_| !null);
    let (host, port) = (next(choices & 8 != 0), next(choices & 16 != 0));
    let question = Question {
        // One that is too small, four that are good, and three too large.
        socket_type: i32::from(choices >> 5) - 1,
        family: i32::from(*family) - 1,
        host,
        port,
        flags: i32::from(choices & 7),
        preferred: None,
    };
    let meaning = Host::of(host);
    let number = host::port(port);
    if meaning == Host::Name && number.is_some() {
        return;
    }
    let list = c::resolve(&question);
    match expected(&question, meaning, number) {
        Expected::Anything => {}
        Expected::Null => assert!(list.is_none(), "{meaning:?} {number:?}: NULL"),
        Expected::List(addrs) => {
            let list = list.unwrap_or_else(|| panic!("{addrs:?}, not NULL"));
            assert_eq!(list.len(), addrs.len(), "{addrs:?}");
            for (endpoint, addr) in list.iter().zip(addrs) {
                assert_says(endpoint, addr);
                assert_is_read_back(&question, endpoint);
            }
        }
    }
    if meaning == Host::Bad || number.is_none() {
        assert_is_refused(host, port);
    }
}

enum Expected {
    Null,
    List(Vec<SocketAddr>),
    /// The documents leave it open.
    Anything,
}

fn expected(question: &Question<'_, Text>, meaning: Host, number: Option<u16>) -> Expected {
    let family = question.family;
    let is_known = (0..=3).contains(&question.socket_type) && (0..=2).contains(&family);
    let mapped = question.flags & V4MAPPED != 0;
    let (true, Some(number)) = (is_known, number) else {
        return Expected::Null;
    };
    let single = |addr| Expected::List(vec![addr]);
    match meaning {
        Host::Name => unreachable!("names are not looked up"),
        Host::Bad => Expected::Null,
        Host::Wildcard if question.flags & PASSIVE == 0 => Expected::Null,
        Host::Wildcard if mapped => Expected::Anything,
        Host::Wildcard => {
            let v6 = (Ipv6Addr::UNSPECIFIED, number).into();
            let v4 = (Ipv4Addr::UNSPECIFIED, number).into();
            match family {
                UNSPECIFIED => Expected::List(vec![v6, v4]),
                IPV4 => single(v4),
                _ => single(v6),
            }
        }
        Host::Literal(ip, _) => {
            let addr = meaning.with_port(number).expect("an address");
            let is_mapped = ip != host::plain(ip);
            match (ip, family) {
                // As IPv4 or as IPv6?
                _ if is_mapped && family == IPV4 => Expected::Anything,
                (IpAddr::V4(_), IPV6) if !mapped => Expected::Null,
                (IpAddr::V6(_), IPV4) => Expected::Null,
                _ => single(addr),
            }
        }
    }
}

/// That an endpoint's text is that of the address, whatever the sizes of the
/// buffers that are large enough, and refused by those that are not.
fn assert_says(endpoint: &ResolvedEndpoint, addr: SocketAddr) {
    let (result, host, port) = c::host_port(endpoint, 80, 6);
    assert_eq!(result, code::OK);
    let text = host.text();
    host::assert_plain(&text, addr);
    assert_eq!(port.text(), addr.port().to_string());

    let exact = text.len() + 1;
    let (result, host, port) = c::host_port(endpoint, exact, port.text().len() + 1);
    assert_eq!(result, code::OK, "room for the text and its NUL is enough");
    assert_eq!(host.text(), text);
    let (result, host, _) = c::host_port(endpoint, exact - 1, 6);
    assert_eq!(result, code::ERANGE);
    host.assert_untouched();
    let (result, _, port) = c::host_port(endpoint, exact, port.text().len());
    assert_eq!(result, code::ERANGE);
    port.assert_untouched();
}

/// That the text which the library writes means the same when it is read.
fn assert_is_read_back(question: &Question<'_, Text>, endpoint: &ResolvedEndpoint) {
    let (_, host, port) = c::host_port(endpoint, 80, 6);
    let (host, port) = (host.text(), port.text());
    if host::is_escape(&host) {
        return;
    }
    let again = c::resolve(&Question {
        host: Some(host.as_bytes()),
        port: Some(port.as_bytes()),
        // What was v4-mapped is not written as IPv6.
        family: UNSPECIFIED,
        ..*question
    });
    let again = again.unwrap_or_else(|| panic!("{host:?} {port:?} is not read back"));
    let (_, host_again, port_again) = c::host_port(&again[0], 80, 6);
    assert_eq!((host, port), (host_again.text(), port_again.text()));
}

/// That each method has its own code for bad text, and changes nothing.
fn assert_is_refused(host: Text, port: Text) {
    thread_local! {
        static SOCKETS: [Socket; 3] = {
            let make = |kind| Socket::create(kind, c::default_configuration()).expect("a socket");
            let bound = make(Kind::Udp);
            assert_eq!(bound.bind("127.0.0.1", NULL), code::OK);
            [make(Kind::Tcp), make(Kind::Udp), bound]
        };
    }
    SOCKETS.with(|[tcp, udp, bound]| {
        for closed in [tcp, udp] {
            assert_eq!(closed.bind(host, port), code::EINVAL, "bind");
            assert_eq!(closed.connect(host, port), code::EADDRNOTAVAIL, "connect");
        }
        assert_eq!(bound.connect(host, port), code::EADDRNOTAVAIL, "connect");
        let sent = bound.send_to(b"nobody hears this", host, port);
        assert_eq!(sent, code::EADDRNOTAVAIL, "send_to");
    });
}
