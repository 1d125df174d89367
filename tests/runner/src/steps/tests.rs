//! `cargo test`, shown as it runs and counted from its summaries.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anjay_net_support::cargo::cargo;

use crate::report::Counts;

/// Many tests mostly wait, for a timeout or for a memory checker's child
/// process: more of them at once than there are processors.
const TESTS_AT_ONCE: &str = "6";

/// Runs `cargo test` with those arguments and adds up the summaries.
pub fn run(arguments: &[&str], counts: &mut Counts) -> Result<(), String> {
    let mut command = cargo();
    command.args(["test", "--no-fail-fast"]).args(arguments);
    count(&mut command, counts)
}

/// Runs tests with their output shown and adds up the summaries.
pub fn count(command: &mut Command, counts: &mut Counts) -> Result<(), String> {
    command.stdout(Stdio::piped());
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        command.env("RUST_TEST_THREADS", TESTS_AT_ONCE);
    }
    let mut seen = Counts::default();
    let mut child = command
        .spawn()
        .map_err(|error| format!("cargo can't be started: {error}"))?;
    let output = child.stdout.take().expect("the output is piped");
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| format!("cargo's output: {error}"))?;
        println!("{line}");
        seen += summary(&line).unwrap_or_default();
    }
    *counts += seen;
    let status = child
        .wait()
        .map_err(|error| format!("cargo can't be waited for: {error}"))?;
    match (status.success(), seen.passed) {
        (false, _) => Err(format!("cargo test: {status}")),
        (true, 0) => Err("cargo test ran no test".to_owned()),
        (true, _) => Ok(()),
    }
}

/// The numbers of a line such as
/// `test result: ok. 12 passed; 0 failed; 0 ignored; ...`.
fn summary(line: &str) -> Option<Counts> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |what: &str| {
        numbers
            .split("; ")
            .find_map(|part| part.strip_suffix(what)?.trim().parse().ok())
    };
    Some(Counts {
        passed: number("passed")?,
        failed: number("failed")?,
    })
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_summary_line_is_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; \
                    7 filtered out; finished in 0.00s";
        let expected = Counts {
            passed: 12,
            failed: 3,
        };
        assert_eq!(summary(line), Some(expected));
    }

    #[test]
    fn other_lines_are_none() {
        for line in ["", "test a ... ok", "running 3 tests", "test result: ok."] {
            assert_eq!(summary(line), None, "{line}");
        }
    }
}
