//! What qemu-user does not emulate, and which cases therefore can't be run
//! under it. Each fails there in the test's own system call, or with the
//! emulator's ENOPROTOOPT.

use std::process::Command;

/// What needs one missing feature.
pub struct Gap {
    pub what: &'static str,
    /// Of the C programs.
    pub cases: &'static [&'static str],
    /// Of the crates' own tests.
    pub rust: &'static [&'static str],
}

pub const GAPS: [Gap; 9] = [
    Gap {
        what: "getsockopt of IP_MTU and IPV6_MTU",
        cases: &[
            "forced_mtu_of_zero_or_less_forces_nothing",
            "get_writes_the_field_of_its_key_only",
            "mtu_is_that_of_the_new_route",
            "mtu_is_that_of_the_path",
            "mtu_is_told_as_soon_as_it_is_reported",
            "mtu_of_a_tcp_connection_is_that_of_the_path",
            "mtu_of_a_v4mapped_connection_is_that_of_ipv4",
            "mtu_without_a_path_is_unknown",
            "too_big_report_ends_no_receive_that_waits",
        ],
        rust: &[
            "options_do_not_wait_for_a_receive_that_does",
            "the_mtu_is_that_of_the_path",
            "the_mtu_of_a_v4_mapped_peer_is_that_of_ipv4",
            "without_a_path_the_mtu_is_unknown_and_payload_is_what_must_work",
        ],
    },
    Gap {
        what: "IP_TRANSPARENT and IPV6_TRANSPARENT",
        cases: &[
            "lack_of_privilege_is_the_error_of_the_call",
            "nothing_is_applied_by_default",
            "source_without_another_one_is_kept",
            "transparent_is_applied",
        ],
        rust: &[],
    },
    Gap {
        what: "getsockopt of SO_COOKIE",
        cases: &[
            "udp_accept_waits_under_the_receive_timeout",
            "udp_server_is_bound_anew_on_the_same_address",
        ],
        rust: &[],
    },
    Gap {
        // It ends with an assertion of its own.
        what: "fork(2) in a program with threads",
        cases: &[
            "forked_process_has_no_capture",
            "process_may_end_while_a_lookup_is_under_way",
        ],
        rust: &[],
    },
    Gap {
        what: "getsockopt of SO_BINDTODEVICE",
        cases: &[
            "accept_that_fails_leaves_no_options_behind",
            "accepted_socket_keeps_the_tie_of_its_server",
            "bound_socket_is_connected_when_its_interface_was_made_again",
            "failed_connect_to_a_link_local_peer_leaves_no_tie",
            "interface_is_applied",
            "listener_goes_on_without_privilege",
            "look_ties_a_socket_when_its_interface_was_made_again",
            "server_stays_tied_without_privilege",
            "socket_is_connected_again_without_a_descriptor_to_spare",
            "socket_stays_tied_when_its_interface_was_made_again",
            "socket_stays_tied_without_privilege",
            "socket_with_the_tie_of_its_server_is_accepted_without_privilege",
            "tied_server_accepts_when_its_interface_was_made_again",
        ],
        rust: &["an_interface_is_applied_to_every_descriptor"],
    },
    Gap {
        what: "getsockopt of TCP_INFO",
        cases: &[
            "every_connection_of_a_socket_is_counted",
            "packets_of_open_streams_are_in_the_totals",
            "streams_are_counted_with_what_is_sent_again",
        ],
        rust: &[],
    },
    Gap {
        // It leaves the bytes of sin6_scope_id in the order of this machine.
        what: "the scope of a link-local address, on big-endian processors",
        cases: &[
            "failed_connect_leaves_a_link_local_address_its_scope",
            "interface_of_a_link_local_address_is_that_of_its_scope",
            "link_local_peer_is_reached_when_the_interface_was_made_again",
            "link_local_peer_without_a_scope_is_on_the_link_of_the_socket",
            "socket_on_a_link_goes_on_when_its_interface_was_made_again",
        ],
        rust: &[],
    },
    Gap {
        what: "prctl(2) of PR_SET_SECCOMP",
        cases: &[
            "names_work_where_netlink_is_forbidden",
            "names_work_where_netlink_is_not_supported",
        ],
        rust: &[],
    },
    Gap {
        // It has some of its own in /proc/self/task.
        what: "a process without further threads",
        cases: &["helper_threads_block_every_signal"],
        rust: &[],
    },
];

/// Leaves the cases out of the C programs' run.
pub fn leave_out(command: &mut Command) {
    for case in cases() {
        command.args(["--skip", case]);
    }
    let cases: Vec<_> = cases().collect();
    command.env("ANJAY_NET_TEST_SKIP", cases.join(","));
}

/// Leaves the crates' own tests out of cargo's run of them.
pub fn leave_out_rust(command: &mut Command) {
    command.arg("--");
    for test in rust() {
        command.args(["--skip", test]);
    }
}

/// All cases that are left out.
pub fn cases() -> impl Iterator<Item = &'static str> {
    GAPS.iter().flat_map(|gap| gap.cases).copied()
}

/// All of the crates' own tests that are left out.
pub fn rust() -> impl Iterator<Item = &'static str> {
    GAPS.iter().flat_map(|gap| gap.rust).copied()
}
