//! libcoap, Debian package `libcoap3-bin`.

use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anjay_net_tests::{CheckedBy, Guard, Lines, Program, Sources, require_program};

use crate::{OurServer, expect_success};

const CLIENT: &str = "coap-client-notls";
const SERVER: &str = "coap-server-notls";
const PACKAGE: &str = "libcoap3-bin";

fn our_program(file: &str) -> Arc<Program> {
    Program::build(&Sources {
        others: vec!["interop/coap.c"],
        ..Sources::c(file)
    })
}

/// libcoap's server, running on a port of its own.
struct LibcoapServer {
    _guard: Guard,
    port: String,
}

impl LibcoapServer {
    fn start(host: &str) -> LibcoapServer {
        require_program(SERVER, PACKAGE);
        // Somebody else may take the port before the server does.
        (0..10)
            .find_map(|_| LibcoapServer::try_start(host, &free_port(host)))
            .expect("one of ten free ports stays free")
    }

    fn try_start(host: &str, port: &str) -> Option<LibcoapServer> {
        let child = Command::new(SERVER)
            // Room for a resource made by a PUT; a log that says when it
            // listens.
            .args(["-A", host, "-p", port, "-d", "5", "-v", "7"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server can be started");
        let mut guard = Guard::new(child);
        let log = guard.child().stdout.take().expect("the log is piped");
        let mut log = Lines::of(log);
        // A port that it can't have is no reason for it to end.
        let at_once = Duration::from_secs(5);
        log.wait_for("created UDP  endpoint", at_once).ok()?;
        log.wait_for("created TCP  endpoint", at_once).ok()?;
        Some(LibcoapServer {
            _guard: guard,
            port: port.to_owned(),
        })
    }
}

/// A port that is free for UDP and TCP just now.
fn free_port(host: &str) -> String {
    loop {
        let tcp = TcpListener::bind((host, 0)).expect("a port is free");
        let port = tcp.local_addr().expect("it is bound").port();
        if UdpSocket::bind((host, port)).is_ok() {
            return port.to_string();
        }
    }
}

/// Our client makes a resource on libcoap's server and gets it back.
fn our_client(transport: &str, host: &str, checked_by: CheckedBy) {
    let server = LibcoapServer::start(host);
    let client = our_program("interop/coap_client.c");
    let run = |arguments: &[&str]| {
        expect_success(
            client
                .command(checked_by)
                .args([transport, host, &server.port])
                .args(arguments),
        )
    };
    let welcome = run(&["get", ""]);
    assert!(welcome.contains("libcoap"), "{welcome}");
    run(&["put", "ours", "made by anjay-net"]);
    assert_eq!(run(&["get", "ours"]), "made by anjay-net\n");
}

/// libcoap's client gets something from our server.
fn their_client(mode: &str, host: &str, checked_by: CheckedBy) {
    require_program(CLIENT, PACKAGE);
    let program = our_program("interop/coap_server.c");
    let server = OurServer::start(&program, checked_by, &[mode, host]);
    let scheme = if mode == "tcp" { "coap+tcp" } else { "coap" };
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let uri = format!("{scheme}://{host}:{}/some/path", server.port);
    let answer = expect_success(Command::new(CLIENT).args(["-B", "20", "-m", "get", &uri]));
    assert!(answer.contains("you asked for some/path"), "{answer}");
    server.expect_success();
}

#[test]
fn our_client_talks_to_libcoap_over_udp() {
    our_client("udp", "127.0.0.1", CheckedBy::Itself);
}

#[test]
fn our_client_talks_to_libcoap_over_udp_and_ipv6() {
    our_client("udp", "::1", CheckedBy::Itself);
}

#[test]
fn our_client_talks_to_libcoap_over_tcp() {
    our_client("tcp", "127.0.0.1", CheckedBy::Itself);
}

#[test]
fn our_client_talks_to_libcoap_over_tcp_and_ipv6() {
    our_client("tcp", "::1", CheckedBy::Itself);
}

#[test]
fn our_clients_are_clean_under_valgrind() {
    our_client("udp", "127.0.0.1", CheckedBy::Valgrind);
    our_client("tcp", "127.0.0.1", CheckedBy::Valgrind);
}

#[test]
fn libcoap_talks_to_our_bound_udp_server() {
    their_client("bind", "127.0.0.1", CheckedBy::Itself);
}

#[test]
fn libcoap_talks_to_our_bound_udp_server_over_ipv6() {
    their_client("bind", "::1", CheckedBy::Itself);
}

#[test]
fn libcoap_talks_to_our_accepting_udp_server() {
    their_client("accept", "127.0.0.1", CheckedBy::Itself);
}

#[test]
fn libcoap_talks_to_our_accepting_udp_server_over_ipv6() {
    their_client("accept", "::1", CheckedBy::Itself);
}

#[test]
fn libcoap_talks_to_our_tcp_server() {
    their_client("tcp", "127.0.0.1", CheckedBy::Itself);
}

#[test]
fn libcoap_talks_to_our_tcp_server_over_ipv6() {
    their_client("tcp", "::1", CheckedBy::Itself);
}

#[test]
fn our_servers_are_clean_under_valgrind() {
    for mode in ["bind", "accept", "tcp"] {
        their_client(mode, "127.0.0.1", CheckedBy::Valgrind);
    }
}
