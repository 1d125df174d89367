//! System calls, instructions and allocations of every operation, within their
//! budgets. Those are of a release build, whatever this test was built as: the
//! standard library's own assertions cost instructions and system calls.

use std::env;
use std::path::{Path, PathBuf};

use anjay_net_bench::operations::OPERATIONS;
use anjay_net_bench::{Calls, Who, probe};
use anjay_net_support::callgrind;
use anjay_net_support::cargo::{artifact, cargo, target_directory};

fn perf() -> PathBuf {
    if !cfg!(debug_assertions) {
        return Path::new(env!("CARGO_BIN_EXE_perf")).to_owned();
    }
    let mut command = cargo();
    command
        .args([
            "build",
            "--release",
            "--package",
            "anjay-net-bench",
            "--target-dir",
        ])
        .arg(target_directory());
    artifact(&mut command, "perf").unwrap()
}

#[test]
fn every_operation_makes_its_system_calls_and_no_other() {
    let program = perf();
    for operation in OPERATIONS {
        for n in [1, 5, 12] {
            let made = || probe::system_calls(&program, operation, Who::Layer, n).unwrap();
            let (calls, within) = match operation.budget.calls {
                Calls::Varying => continue,
                Calls::Exactly(each) => {
                    let calls = made();
                    let within = calls.len() as u64 == n * each;
                    (calls, within)
                }
                Calls::AtMost(each) => {
                    let calls = made();
                    let within = calls.len() as u64 <= n * each;
                    (calls, within)
                }
            };
            assert!(within, "{n} x {}: {calls:?}", operation.title);
        }
    }
}

#[test]
fn transfers_do_not_allocate() {
    let program = perf();
    for operation in OPERATIONS.iter().filter(|it| !it.budget.allocates) {
        let allocations = probe::allocations(&program, operation);
        assert_eq!(allocations, Ok(0), "{}", operation.title);
    }
}

/// The budgets are those of x86-64.
#[test]
#[cfg(target_arch = "x86_64")]
fn no_operation_needs_more_instructions_than_its_budget() {
    if !callgrind::is_available() {
        assert!(env::var_os("CI").is_none(), "valgrind is not installed");
        println!("valgrind is not installed: nothing was measured");
        return;
    }
    let program = perf();
    let mut exceeded = Vec::new();
    for operation in OPERATIONS {
        let Some(budget) = operation.budget.instructions else {
            continue;
        };
        let needed = probe::instructions(&program, operation, Who::Layer).unwrap();
        println!("{}: {needed}, budget {budget}", operation.title);
        if needed > budget {
            exceeded.push(format!("{}: {needed} > {budget}", operation.title));
        }
    }
    assert!(exceeded.is_empty(), "{exceeded:#?}");
}
