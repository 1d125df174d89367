//! At most how many instructions each operation executes outside of the
//! kernel. The goals are those of a release build on x86-64.

#![cfg(target_arch = "x86_64")]

mod release;

use std::env;

use anjay_net_bench::operations::OPERATIONS;
use anjay_net_bench::{Who, callgrind};

#[test]
fn no_operation_needs_more_instructions_than_its_goal() {
    if !callgrind::is_installed() {
        assert!(env::var_os("CI").is_none(), "valgrind is not installed");
        println!("valgrind is not installed: nothing was measured");
        return;
    }
    let program = release::perf();
    let mut exceeded = Vec::new();
    for operation in OPERATIONS {
        let Some(goal) = operation.goals.instructions else {
            continue;
        };
        let needed = callgrind::instructions(&program, operation, Who::Layer).unwrap();
        println!("{}: {needed}, goal {goal}", operation.title);
        if needed > goal {
            exceeded.push(format!("{}: {needed} > {goal}", operation.title));
        }
    }
    assert!(exceeded.is_empty(), "{exceeded:#?}");
}
