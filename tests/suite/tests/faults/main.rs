//! Trouble beneath and around the library: system calls that fail, memory that
//! runs out, signals without end, processes that fork. C programs that use the
//! archive as any other program does; `docs/reliability.md` says how they do it
//! and what came out.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::sync::Arc;

use anjay_net_tests::{CheckedBy, Program, Sources};

/// What these programs have beside every program's support code.
const SUPPORT: [&str; 4] = [
    "support/main.c",
    "support/inject.c",
    "support/scenes.c",
    "support/waits.c",
];

/// A heap that is watched, which a sanitizer does itself.
const HEAP: &str = "support/heap.c";

/// The programs that look at it.
const WITH_HEAP: [&str; 2] = ["faults.c", "memory.c"];

fn program(file: &str) -> Arc<Program> {
    let mut others = SUPPORT.to_vec();
    if WITH_HEAP.contains(&file) {
        others.push(HEAP);
    }
    Program::build(&Sources {
        others,
        ..Sources::c(file)
    })
}

/// Makes a module of tests from a C program, one for each case.
macro_rules! c_program {
    ($module:ident, $file:literal, [$($case:ident),* $(,)?]) => {
        mod $module {
            use super::{CheckedBy, program};

            $(#[test]
            fn $case() {
                program($file).run_case(stringify!($case), CheckedBy::Itself);
            })*

            #[test]
            fn every_case_is_listed() {
                let mut listed = vec![$(stringify!($case)),*];
                listed.sort_unstable();
                assert_eq!(program($file).cases(), listed);
            }
        }
    };
}

c_program!(
    faults,
    "faults.c",
    [
        global_state,
        create,
        connect_udp,
        connect_tcp,
        decorate,
        send,
        send_to,
        receive,
        receive_from,
        bind,
        accept,
        close,
        shutdown,
        cleanup,
        get_system_socket,
        get_interface_name,
        get_remote,
        get_local,
        get_opt,
        set_opt,
        resolve_ex,
        next_rewind_delete,
        get_host_port,
        statistics,
        no_scene_is_left_out,
        capture_that_finds_no_room_disturbs_no_method,
        lookup_without_a_thread_fails_at_once,
    ]
);

c_program!(
    partial,
    "partial.c",
    [
        short_writes_of_every_size,
        short_writes_of_every_size_by_send_to,
        short_writes_of_every_size_with_interruptions,
        short_reads_of_every_size,
        short_reads_of_every_size_with_interruptions,
        nothing_after_poll_said_ready_is_waited_out,
        ready_for_ever_and_nothing_there_ends_at_the_deadline,
        signals_without_end_do_not_move_deadlines,
        signals_without_end_disturb_no_method,
        signals_without_end_lose_no_byte_of_a_stream,
    ]
);

c_program!(
    memory,
    "memory.c",
    [calls_say_that_memory_ran_out_and_work_later]
);

c_program!(
    wakeups,
    "wakeups.c",
    [
        close_ends_every_call_that_waits,
        shutdown_ends_every_call_that_waits,
        cleanup_ends_every_call_that_waits,
        close_of_the_new_socket_ends_accept,
        shutdown_of_the_new_socket_ends_accept,
        cleanup_of_the_new_socket_ends_accept,
    ]
);

c_program!(
    processes,
    "processes.c",
    [
        child_ends_its_copies_and_the_parent_goes_on,
        child_that_just_ends_disturbs_nothing,
        call_of_the_parent_goes_on_waiting_over_a_fork,
        child_looks_names_up_although_the_threads_are_the_parents,
        lookup_of_the_parent_ends_in_time_over_a_fork,
        lookup_that_was_joined_late_still_says_that_time_was_up,
        no_method_minds_that_standard_descriptors_are_closed,
        ports_that_run_out_are_an_error_until_one_is_given_back,
        time_of_day_that_jumps_moves_no_deadline,
    ]
);

c_program!(
    peers,
    "peers.c",
    [
        peer_resets_while_a_send_waits,
        peer_resets_while_a_receive_waits,
        peer_resets_in_the_middle_of_a_message,
        peer_trickles_byte_by_byte,
        peer_reads_slowly_for_longer_than_a_send_may_be_stuck,
        peer_closes_its_window_and_opens_it_again,
        peer_half_closes,
        peer_closes_its_other_half,
    ]
);
