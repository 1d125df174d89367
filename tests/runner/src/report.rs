//! What is printed at the end.

use std::fmt;
use std::ops::AddAssign;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

struct Row {
    step: String,
    time: Duration,
    result: Result<(), String>,
}

/// The steps that ran, and what came out.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    pub counts: Counts,
}

impl Report {
    /// Does a step, and adds it.
    pub fn run(&mut self, step: &str, action: impl FnOnce(&mut Counts) -> Result<(), String>) {
        println!("== {step}");
        let start = Instant::now();
        let result = action(&mut self.counts);
        self.add(step, start.elapsed(), result);
    }

    /// Adds a step that was done, and says what went wrong.
    pub fn add(&mut self, step: &str, time: Duration, result: Result<(), String>) {
        if let Err(problem) = &result {
            eprintln!("error: {problem}");
        }
        self.rows.push(Row {
            step: step.to_owned(),
            time,
            result,
        });
    }

    pub fn exit_code(&self) -> ExitCode {
        if self.counts.failed == 0 && self.rows.iter().all(|row| row.result.is_ok()) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// The table; its last line is the number of tests, alone.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:<28} {:>8}  result", "step", "seconds")?;
        for row in &self.rows {
            let result = match &row.result {
                Ok(()) => "ok",
                Err(problem) => problem,
            };
            let seconds = row.time.as_secs_f64();
            writeln!(f, "{:<28} {seconds:>8.1}  {result}", row.step)?;
        }
        let Counts { passed, failed } = self.counts;
        writeln!(f, "\n{passed} passed, {failed} failed")
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_last_line_is_the_number_of_tests_alone() {
        let mut report = Report::default();
        report.add("one", Duration::from_millis(1500), Ok(()));
        report.add("two", Duration::ZERO, Err("it broke".to_owned()));
        report.counts += Counts {
            passed: 3,
            failed: 1,
        };
        let text = report.to_string();
        assert!(text.ends_with("\n3 passed, 1 failed\n"), "{text}");
        assert!(text.contains("it broke"), "{text}");
    }

    #[test]
    fn a_failed_step_fails_the_whole_without_a_failed_test() {
        let mut report = Report::default();
        assert_eq!(report.exit_code(), ExitCode::SUCCESS);
        report.add("one", Duration::ZERO, Err("it broke".to_owned()));
        assert_eq!(report.exit_code(), ExitCode::FAILURE);
    }
}
