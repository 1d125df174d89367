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
    "support/heap.c",
    "support/inject.c",
    "support/scenes.c",
];

fn program(file: &str) -> Arc<Program> {
    Program::build(&Sources {
        others: SUPPORT.to_vec(),
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
        no_scene_is_left_out,
        lookup_without_a_thread_fails_at_once,
    ]
);
