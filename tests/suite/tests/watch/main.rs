//! What operators see of a client, read by other people's programs: its
//! metrics by a parser of Prometheus' format, its capture by Wireshark.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anjay_net_tests::{CheckedBy, Program, Sources, require_program};
use prometheus_parse::{Scrape, Value};

/// A run of `c/watch/watched_client.c`.
struct Run {
    /// Lines of its output: a word, and a number.
    told: Vec<(String, u64)>,
    metrics: PathBuf,
    capture: PathBuf,
}

/// The run that all tests look at.
fn run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        let program = Program::build(&Sources::c("watch/watched_client.c"));
        let (metrics, capture) = (
            program.path().with_extension("prom"),
            program.path().with_extension("pcapng"),
        );
        let output = program
            .command(CheckedBy::Itself)
            .args([&metrics, &capture])
            .output()
            .expect("the program can be started");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let told = String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| {
                let (word, number) = line.split_once(' ')?;
                Some((word.to_owned(), number.parse().ok()?))
            })
            .collect();
        Run {
            told,
            metrics,
            capture,
        }
    })
}

impl Run {
    fn told(&self, word: &str) -> f64 {
        let found = self.told.iter().find(|(other, _)| other == word);
        found.expect("the program tells it").1 as f64
    }
}

/// Name and labels of each sample that is one number.
fn numbers(scrape: &Scrape) -> HashMap<String, f64> {
    scrape
        .samples
        .iter()
        .filter_map(|sample| {
            let number = match sample.value {
                Value::Counter(number) | Value::Gauge(number) => number,
                _ => return None,
            };
            let label = ["outcome", "reason"]
                .iter()
                .find_map(|label| sample.labels.get(label))
                .unwrap_or_default();
            Some((format!("{}:{label}", sample.metric), number))
        })
        .collect()
}

#[test]
fn the_metrics_are_what_a_parser_of_prometheus_expects() {
    let run = run();
    let text = fs::read_to_string(&run.metrics).expect("the metrics are there");
    let lines = text.lines().map(|line| Ok(line.to_owned()));
    let scrape = Scrape::parse(lines).expect("the format is Prometheus'");
    // Each metric has its help, and every line became a sample.
    for sample in &scrape.samples {
        let name = sample
            .metric
            .trim_end_matches("_sum")
            .trim_end_matches("_count");
        assert!(scrape.docs.contains_key(name), "{name} has no help");
    }

    let numbers = numbers(&scrape);
    assert_eq!(
        numbers["anjay_net_sent_bytes_total:"],
        run.told("bytes_sent")
    );
    assert_eq!(
        numbers["anjay_net_received_datagrams_total:"],
        run.told("datagrams_received")
    );
    assert_eq!(numbers["anjay_net_sockets:"], 0.0);
    assert_eq!(numbers["anjay_net_sockets_created_total:"], 4.0);
    assert_eq!(numbers["anjay_net_connects_total:succeeded"], 2.0);
    assert_eq!(numbers["anjay_net_connects_total:refused"], 1.0);
    assert_eq!(numbers["anjay_net_lookups_total:found"], 0.0);
    for reason in ["unexpected_source", "empty", "queued", "local", "outage"] {
        let name = format!("anjay_net_dropped_datagrams_total:{reason}");
        assert_eq!(numbers[&name], 0.0);
    }

    let histograms = ["connect", "lookup"].map(|of| format!("anjay_net_{of}_duration_seconds"));
    for name in histograms {
        let sample = scrape.samples.iter().find(|sample| sample.metric == name);
        match &sample.expect("the histogram is there").value {
            Value::Histogram(buckets) => {
                let counts = buckets.iter().map(|bucket| bucket.count);
                assert!(counts.is_sorted(), "{name} is not cumulative");
                assert_eq!(buckets.len(), 13);
                assert_eq!(buckets[12].less_than, f64::INFINITY);
            }
            other => panic!("{name} is {other:?}"),
        }
    }
}

/// One frame, field by field.
type Frame = HashMap<&'static str, String>;

/// What tshark makes of a capture. It is told which ports are CoAP's.
fn frames(capture: &Path, ports: &[(String, u64)], fields: &[&'static str]) -> Vec<Frame> {
    require_program("tshark", "tshark");
    let mut command = Command::new("tshark");
    command.arg("-r").arg(capture).args(["-T", "fields"]);
    for (transport, port) in ports {
        if ["udp", "tcp"].contains(&transport.as_str()) {
            command.args(["-d", &format!("{transport}.port=={port},coap")]);
        }
    }
    for protocol in ["ip", "udp", "tcp"] {
        command.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
    }
    command.args(fields.iter().flat_map(|field| ["-e", field]));
    let output = command.output().expect("tshark can be started");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| {
            let values = line.split('\t').map(str::to_owned);
            fields.iter().copied().zip(values).collect()
        })
        .collect()
}

#[test]
fn wireshark_decodes_the_capture() {
    let run = run();
    let frames = frames(
        &run.capture,
        &run.told,
        &[
            "_ws.col.Protocol",
            "frame.interface_name",
            "frame.comment",
            "ip.checksum.status",
            "udp.checksum.status",
            "tcp.checksum.status",
            "tcp.analysis.flags",
            "ipv6.src",
            "coap.code",
            "coap.mid",
            "coap.opt.uri_path",
        ],
    );

    // Requests are 1 (GET), answers 69 (2.05), RFC 8323's capabilities 225.
    let coap: Vec<_> = frames
        .iter()
        .filter(|frame| frame["_ws.col.Protocol"] == "CoAP")
        .map(|frame| frame["coap.code"].as_str())
        .collect();
    assert_eq!(coap, ["1", "69", "1", "69", "225", "1", "225", "69"]);
    let requests = frames.iter().filter(|frame| frame["coap.code"] == "1");
    for request in requests {
        assert_eq!(request["coap.opt.uri_path"], "test");
        assert_eq!(request["frame.interface_name"], "lo");
    }
    assert!(frames.iter().any(|frame| frame["coap.mid"] == "4660"));
    assert!(
        frames
            .iter()
            .any(|frame| frame["ipv6.src"] == "::1" && frame["coap.code"] == "1"),
        "a socket bound to the wildcard sends from an address"
    );

    const GOOD: &str = "1";
    for frame in &frames {
        for checksum in [
            "ip.checksum.status",
            "udp.checksum.status",
            "tcp.checksum.status",
        ] {
            assert!(["", GOOD].contains(&frame[checksum].as_str()), "{frame:?}");
        }
        // No retransmission, nothing out of order, nothing lost.
        assert_eq!(frame["tcp.analysis.flags"], "", "{frame:?}");
    }

    let changes: Vec<_> = frames
        .iter()
        .filter(|frame| frame["frame.interface_name"] == "sockets")
        .map(|frame| frame["frame.comment"].as_str())
        .collect();
    let expected = [
        "UDP connected",
        "UDP closed",
        "UDP bound",
        "UDP closed",
        "TCP connected",
        "TCP closed",
        "TCP connect failed to 127.0.",
    ];
    assert_eq!(changes.len(), expected.len(), "{changes:#?}");
    for (change, part) in changes.iter().zip(expected) {
        assert!(change.contains(part), "{change} has no {part}");
    }
    assert!(changes[6].contains("Connection refused"), "{}", changes[6]);
}
