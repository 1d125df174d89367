//! Talking to software that we did not write: libcoap's client and server
//! over UDP and TCP, and OpenSSL's over DTLS, each in both directions. Our
//! side is a C program on the v-table.

mod coap;
mod dtls;

use std::process::{Command, Output, Stdio};

use anjay_net_tests::{CheckedBy, Guard, Lines, Program};

/// A server program of ours: running, and where.
struct OurServer {
    guard: Guard,
    port: String,
}

impl OurServer {
    /// Starts the program and waits until it has told its port.
    fn start(program: &Program, checked_by: CheckedBy, arguments: &[&str]) -> OurServer {
        let child = program
            .command(checked_by)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let mut guard = Guard::new(child);
        let output = guard.child().stdout.take().expect("the output is piped");
        let line = Lines::of(output).expect("PORT ");
        OurServer {
            guard,
            port: line.trim_start_matches("PORT ").to_owned(),
        }
    }

    /// Waits until the server ends of itself, content.
    fn expect_success(mut self) {
        let status = self
            .guard
            .child()
            .wait()
            .expect("a child can be waited for");
        assert!(status.success(), "our server: {status}");
    }
}

/// Runs a command to its end; gives what it printed.
fn expect_success(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the program can be started");
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    assert!(
        status.success(),
        "{status}\n{stdout}{}",
        String::from_utf8_lossy(&stderr)
    );
    stdout
}
