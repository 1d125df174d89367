//! The tool as its users run it, against servers of the test.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Command, Output, Stdio};
use std::thread;

use anjay_net_socket::{Kind, Socket, SocketConfig, process_totals};
use anjay_net_watch::metrics;
use serde_json::Value;

fn tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anjay-net"));
    command.args(arguments);
    command
}

fn output(arguments: &[&str]) -> Output {
    tool(arguments).output().expect("the tool can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(arguments: &[&str]) -> Value {
    let output = output(arguments);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)))
}

/// A server of CoAP on one port of UDP and TCP, that knows pings only and
/// misses each datagram the first time.
fn coap_server() -> SocketAddr {
    let (udp, tcp, addr) = loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = tcp.local_addr().unwrap();
        // The port may be somebody's on UDP.
        if let Ok(udp) = UdpSocket::bind(addr) {
            break (udp, tcp, addr);
        }
    };
    thread::spawn(move || {
        let mut missed = Vec::new();
        let mut buf = [0; 64];
        loop {
            let (len, from) = udp.recv_from(&mut buf).unwrap();
            // Confirmable, no token, no code; the id is the rest.
            assert_eq!((len, &buf[..2]), (4, &[0x40, 0][..]));
            let id = [buf[2], buf[3]];
            if missed.contains(&id) {
                udp.send_to(&[0x70, 0, id[0], id[1]], from).unwrap();
            } else {
                missed.push(id);
            }
        }
    });
    thread::spawn(move || {
        for stream in tcp.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut csm = [0; 2];
                // The tool's last connection is one that it only tries.
                if stream.read_exact(&mut csm).is_err() {
                    return;
                }
                assert_eq!(csm, [0, 0xe1]);
                stream.write_all(&[0, 0xe1]).unwrap();
                let mut ping = [0; 2];
                while stream.read_exact(&mut ping).is_ok() {
                    assert_eq!(ping, [0, 0xe2]);
                    // In two pieces.
                    stream.write_all(&[0]).unwrap();
                    stream.write_all(&[0xe3]).unwrap();
                }
            });
        }
    });
    addr
}

#[test]
fn probe_pings_over_both_transports_and_tells_the_choice() {
    let server = coap_server();
    let target = format!("coap://{server}");
    let report = json(&[
        "probe",
        &target,
        "--json",
        "--count",
        "2",
        "--timeout",
        "0.4",
    ]);
    let way = &report["ways"][0];
    assert_eq!(way["address"], server.to_string());
    assert_eq!(way["source"], "127.0.0.1");
    assert_eq!(way["interface"], "lo");
    assert!(way["mtu"].as_u64() > Some(1000), "{way}");
    for transport in ["udp", "tcp"] {
        assert_eq!(way[transport]["sent"], 2, "{way}");
        assert_eq!(way[transport]["answered"], 2, "{way}");
        let rtt = &way[transport]["rtt_ms"];
        assert!(rtt["min"].as_f64() <= rtt["max"].as_f64(), "{rtt}");
    }
    assert!(way["tcp"]["connect_ms"].is_number());
    for (choice, transport) in [(0, "udp"), (1, "tcp")] {
        let choice = &report["choices"][choice];
        assert_eq!(choice["transport"], transport);
        assert_eq!(choice["address"], server.to_string());
        assert_eq!(choice["why"], "it is the only address");
    }
}

#[test]
fn probe_for_people_is_plain_text_where_nobody_looks() {
    let server = coap_server();
    let target = format!("coap+tcp://{server}");
    let output = output(&["probe", &target, "--count", "1"]);
    assert!(output.status.success());
    let shown = text(&output.stdout);
    assert!(shown.contains("1/1, "), "{shown}");
    assert!(
        shown.contains(&format!("TCP: a client takes {server}")),
        "{shown}"
    );
    assert!(!shown.contains("UDP: a client"), "{shown}");
    assert!(!shown.contains('\x1b'), "{shown:?}");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn probe_of_nobody_fails_and_says_why() {
    // Bound on both transports, so nobody else's, and not listening.
    let (_udp, _tcp, addr) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = udp.local_addr().unwrap();
        let tcp = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        if tcp.bind(&addr.into()).is_ok() {
            break (udp, tcp, addr);
        }
    };
    let target = addr.to_string();
    let output = output(&["probe", &target, "--timeout", "0.2", "--count", "1"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = text(&output.stdout);
    assert!(shown.contains("connection refused"), "{shown}");
    assert!(shown.contains("timed out"), "{shown}");
}

#[test]
fn resolve_lists_addresses_and_failures_are_explained() {
    let found = json(&["resolve", "[::1]:7", "--json"]);
    assert_eq!(found["addresses"], serde_json::json!(["[::1]:7"]));
    assert_eq!(found["port"], 7);

    let plain = output(&["resolve", "192.0.2.1"]);
    assert_eq!(text(&plain.stdout), "192.0.2.1:5683\n");

    let unknown = output(&["resolve", "coaps://example.org"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("without a key"));

    let failed = json(&["watch", "/nowhere/client.prom", "--json"]);
    let error = failed["error"].as_str().unwrap();
    assert!(error.contains("/nowhere/client.prom"), "{error}");
}

#[test]
fn watch_shows_totals_and_rates() {
    let file = std::env::temp_dir().join(format!("anjay-net-{}.prom", std::process::id()));
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let socket = Socket::new(Kind::Udp, SocketConfig::default()).unwrap();
    let port = receiver.local_addr().unwrap().port().to_string();
    socket.connect(b"127.0.0.1", port.as_bytes(), None).unwrap();
    socket.send(&[0; 100]).unwrap();
    metrics::write_file(&file, &process_totals()).unwrap();

    let path = file.to_str().unwrap();
    let mut child = tool(&["watch", path, "--json", "--count", "2", "--interval", "0.5"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let first = next();
    assert_eq!(first["values"]["sent_bytes"], 100.0);
    assert_eq!(first["values"]["connects_succeeded"], 1.0);
    assert_eq!(first["values"]["dropped_datagrams_local"], 0.0);
    assert!(first.get("per_second").is_none());
    socket.send(&[0; 50]).unwrap();
    metrics::write_file(&file, &process_totals()).unwrap();
    let second = next();
    assert_eq!(second["values"]["sent_bytes"], 150.0);
    let rate = second["per_second"]["sent_bytes"].as_f64().unwrap();
    assert!(rate > 0.0 && rate <= 100.0, "{rate}");
    assert!(child.wait().unwrap().success());

    let table = output(&["watch", path, "--count", "1"]);
    let shown = text(&table.stdout);
    assert!(shown.contains("sent bytes"), "{shown}");
    assert!(!shown.contains('\x1b'), "{shown:?}");
    fs::remove_file(&file).unwrap();

    let missing = output(&["watch", path, "--count", "1"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("No such file"));
}
