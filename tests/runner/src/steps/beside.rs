//! A step that runs beside the others, in a process of its own, as it builds
//! in a target directory of its own: with two processors that is time saved.

use std::env;
use std::io;
use std::process::{Command, Output};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::report::Counts;
use crate::steps::Step;

/// One that has been started.
pub struct Beside(JoinHandle<(io::Result<Output>, Duration)>);

impl Beside {
    pub fn start(step: Step) -> Beside {
        let value = step.to_possible_value().expect("no step is skipped");
        Beside(thread::spawn(move || {
            let start = Instant::now();
            let program = env::current_exe();
            let step = ["--step", value.get_name()];
            let output = program.and_then(|it| Command::new(it).args(step).output());
            (output, start.elapsed())
        }))
    }

    /// Waits for it, shows what it printed, and says how long it ran.
    pub fn finish(self, counts: &mut Counts) -> (Result<(), String>, Duration) {
        let (output, time) = self.0.join().expect("the thread does not panic");
        let output = match output {
            Ok(output) => output,
            Err(error) => return (Err(error.to_string()), time),
        };
        let text = String::from_utf8_lossy(&output.stdout);
        print!("{text}");
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        *counts += last_line(&text).unwrap_or_default();
        let result = match output.status.success() {
            true => Ok(()),
            false => Err(format!("{}, see above", output.status)),
        };
        (result, time)
    }
}

/// The last line of a [`Report`](crate::report::Report).
fn last_line(text: &str) -> Option<Counts> {
    let (passed, failed) = text.trim_end().lines().last()?.split_once(" passed, ")?;
    Some(Counts {
        passed: passed.parse().ok()?,
        failed: failed.strip_suffix(" failed")?.parse().ok()?,
    })
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_numbers_of_the_last_line_are_read() {
        let expected = Counts {
            passed: 14,
            failed: 2,
        };
        assert_eq!(last_line("step\n\n14 passed, 2 failed\n"), Some(expected));
        assert_eq!(last_line("14 passed, 2 failed\nerror"), None);
        assert_eq!(last_line(""), None);
    }
}
