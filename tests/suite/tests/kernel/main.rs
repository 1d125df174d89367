//! Linux 3.2, the oldest that Rust's standard library runs on, is enough: the
//! C programs on a kernel that knows nothing newer. A filter of the kernel's
//! own (seccomp) makes newer system calls fail with ENOSYS and newer socket
//! options with ENOPROTOOPT.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use anjay_net_tests::{CheckedBy, Program, Sources};

/// Cases that look at a socket by means that came later: `SO_COOKIE` (4.12),
/// getsockopt of `SO_BINDTODEVICE` (3.8).
const NEED_MORE: [&str; 2] = [
    "udp_accept_waits_under_the_receive_timeout",
    "udp_server_is_bound_anew_on_the_same_address",
];

fn hold_on_linux_3_2(file: &str) {
    let program = Program::build(&Sources::c(file));
    let mut count = 0;
    for case in program.cases() {
        if NEED_MORE.contains(&case.as_str()) {
            continue;
        }
        count += 1;
        let output = program
            .command(CheckedBy::Itself)
            .arg(&case)
            .env("ANJAY_NET_TEST_KERNEL", "3.2")
            // The C library asked the real kernel before the filter was there,
            // and believes that every thread has it.
            .env("GLIBC_TUNABLES", "glibc.pthread.rseq=0")
            .output()
            .expect("the program can be started");
        assert!(
            output.status.success(),
            "{case}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert!(count > 0, "{file} has cases");
}

#[test]
fn the_simulation_lacks_what_came_later() {
    Program::build(&Sources::c("kernel.c"))
        .run_case("what_came_after_3_2_is_missing", CheckedBy::Itself);
}

macro_rules! on_linux_3_2 {
    ($($name:ident: $file:literal),* $(,)?) => {
        $(#[test]
        fn $name() {
            hold_on_linux_3_2($file);
        })*
    };
}

on_linux_3_2! {
    accept: "accept.c",
    addresses: "addrinfo.c",
    captures: "capture.c",
    configurations: "config.c",
    descriptors: "hygiene.c",
    information: "info.c",
    log_lines: "logging.c",
    names: "names.c",
    options: "options.c",
    ports: "bind_ports.c",
    racing: "racing.c",
    receive: "receive.c",
    receive_timeouts: "receive_timeouts.c",
    states: "states.c",
    statistics: "stats.c",
    stickiness: "stickiness.c",
    tcp: "tcp.c",
    threads: "threads.c",
    udp: "udp.c",
}
