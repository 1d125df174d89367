//! What every method of the C ABI does, shown by C programs: each case of
//! each program in `c/` is a test here, once on its own and, unless it mostly
//! waits, once under valgrind.
//!
//! `COVERAGE.md` says which case shows which promise.

mod cases;
mod coverage;

use std::path::Path;
use std::sync::Arc;

use anjay_net_tests::{CheckedBy, Dialect, Program, Sources};

/// The program made of one source file, in C99.
fn program(file: &str) -> Arc<Program> {
    Program::build(&Sources::c(Path::new(file)))
}

/// Runs one case of a program.
fn run(file: &str, case: &str, checked_by: CheckedBy) {
    program(file).run_case(case, checked_by);
}

/// The list in Rust and the cases in C are the same.
fn check_list(file: &str, listed: &[&str]) {
    let mut listed: Vec<String> = listed.iter().map(|&case| case.to_owned()).collect();
    listed.sort();
    assert_eq!(
        program(file).cases(),
        listed,
        "the cases that {file} has (left) and those listed in cases.rs (right) differ"
    );
}

/// These programs also compile as C++, and the same cases hold.
#[test]
fn states_hold_in_cpp_too() {
    for file in ["states.c", "wrong_state.c"] {
        let program = Program::build(&Sources {
            dialect: Dialect::Cpp,
            ..Sources::c(file)
        });
        for case in program.cases() {
            program.run_case(&case, CheckedBy::Itself);
        }
    }
}
