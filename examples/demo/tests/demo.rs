//! The demo as its user runs it: the exit status and the JSON document.

use std::process::{Command, Output};

use serde_json::Value;

fn demo(arguments: &[&str]) -> (Output, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_anjay-net-demo"))
        .args(arguments)
        .arg("--json")
        .output()
        .expect("the demo starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let document = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error} in {text:?}; stderr: {:?}", output.stderr));
    (output, document)
}

fn results(document: &Value) -> Vec<(u64, &str)> {
    let steps = document["steps"].as_array().expect("a list of steps");
    steps
        .iter()
        .map(|step| {
            let number = step["number"].as_u64().expect("a number");
            (number, step["result"].as_str().expect("a result"))
        })
        .collect()
}

#[test]
fn every_step_of_the_life_holds() {
    let (output, document) = demo(&[]);
    let expected: Vec<(u64, &str)> = (0..=8).map(|number| (number, "held")).collect();
    assert_eq!(results(&document), expected, "{document:#}");
    assert_eq!(document["held"], true);
    assert!(output.status.success());

    let facts = |number: usize| &document["steps"][number]["facts"];
    // What a table of words could gloss over.
    assert_eq!(facts(1)["local_port"], facts(5)["local_port"]);
    assert_eq!(facts(1)["remote_host"], facts(5)["address"]);
    assert_eq!(facts(7)["payload_bytes"], 4 << 20);
    assert!(facts(8)["sent"].as_u64() > Some(0));
    assert!(facts(8)["tcp_sent"].as_u64() > Some(4 << 20));
}

#[test]
fn the_listen_port_is_the_users() {
    // Free a moment ago; another program would have to take it just now.
    let free = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.local_addr());
    let port = free.expect("a free port").port().to_string();
    let (output, document) = demo(&["--udp-listen-port", &port]);
    assert_eq!(
        document["steps"][1]["facts"]["local_port"], port,
        "{document:#}"
    );
    assert!(output.status.success());
}

/// Port 1 of this machine: nobody listens, so nothing can be registered.
#[test]
fn a_server_that_is_not_there_fails_the_life() {
    for uri in ["coap://127.0.0.1:1", "coap+tcp://127.0.0.1:1"] {
        let (output, document) = demo(&["--server", uri]);
        assert_eq!(output.status.code(), Some(1), "{document:#}");
        assert_eq!(document["held"], false);
        let results = results(&document);
        assert_eq!(results[1], (1, "failed"), "{document:#}");
        assert!(
            results[2..].iter().all(|(_, result)| *result == "skipped"),
            "{document:#}"
        );
        let seen = document["steps"][1]["detail"].to_string();
        assert!(seen.contains("ECONNREFUSED"), "{seen}");
    }
}

#[test]
fn arguments_that_mean_nothing_are_refused() {
    for arguments in [
        &["--server", "http://127.0.0.1"][..],
        &["--udp-listen-port", "0"],
        &["--nonsense"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_anjay-net-demo"))
            .args(arguments)
            .output()
            .expect("the demo starts");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

/// A life that hangs ends all the same, with a report that can be read.
#[test]
fn the_time_limit_ends_the_life() {
    let (output, document) = demo(&["--time-limit", "0"]);
    assert_eq!(output.status.code(), Some(1), "{document:#}");
    assert_eq!(document["held"], false);
    let last = results(&document).last().copied();
    assert_eq!(
        last.map(|(_, result)| result),
        Some("failed"),
        "{document:#}"
    );
}
