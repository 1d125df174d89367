//! A step that runs beside the others, in a process of its own, as it builds
//! in a target directory of its own: with two processors that is time saved.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anjay_net_support::cargo::{root, target_directory};
use clap::ValueEnum;

use crate::report::Counts;
use crate::steps::Step;

/// One that has been started.
pub struct Beside {
    child: Child,
    start: Instant,
    output: PathBuf,
}

impl Beside {
    pub fn start(step: Step) -> io::Result<Beside> {
        let value = step.to_possible_value().expect("no step is skipped");
        let name = value.get_name();
        let output = target_directory().join(format!("step-{name}.txt"));
        let file = File::create(&output)?;
        let child = Command::new(env::current_exe()?)
            .args(["--step", name])
            .current_dir(root())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        Ok(Beside {
            child,
            start: Instant::now(),
            output,
        })
    }

    /// Waits for it, shows what it printed, and says how long it ran.
    pub fn finish(mut self, counts: &mut Counts) -> (Result<(), String>, Duration) {
        let status = self.child.wait();
        let time = self.start.elapsed();
        let text = fs::read(&self.output).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        print!("{text}");
        *counts += last_line(&text).unwrap_or_default();
        let result = match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{status}, see above")),
            Err(error) => Err(error.to_string()),
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
