//! At most how many instructions each operation executes outside of the
//! kernel. The goals are those of a release build on x86-64.

#![cfg(target_arch = "x86_64")]

mod release;

use std::env;

use anjay_net_bench::operations::OPERATIONS;
use anjay_net_bench::{Who, callgrind};

/// Operations that are above their goal still, and what they needed when this
/// was written: the figure may only fall, and the line goes when the goal is
/// reached.
const ABOVE_GOAL: [(&str, u64); 1] = [("udp-connect", 735)];

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
        let known = ABOVE_GOAL.iter().find(|(key, _)| *key == operation.key);
        let limit = known.map_or(goal, |&(_, needed)| needed);
        if needed > limit {
            exceeded.push(format!("{}: {needed} > {limit}", operation.title));
        }
    }
    assert!(exceeded.is_empty(), "{exceeded:#?}");
}
