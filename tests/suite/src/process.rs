//! Other people's programs, started by a test and ended with it.

use std::io::{BufRead, BufReader, Read};
use std::process::Child;

/// A child process that is killed and reaped when the test ends, however it
/// ends.
#[derive(Debug)]
pub struct Guard {
    child: Child,
}

impl Guard {
    /// Takes charge of a child.
    pub fn new(child: Child) -> Guard {
        Guard { child }
    }

    /// The child, to talk to it.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only when the child is gone already, which is the goal.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads lines until one contains `text`; gives that line.
///
/// # Panics
///
/// When the stream ends first, with all that was read.
pub fn wait_for_line(stream: &mut BufReader<impl Read>, text: &str) -> String {
    let mut all = String::new();
    loop {
        let mut line = String::new();
        let size = stream.read_line(&mut line).expect("the output is readable");
        assert!(size > 0, "no line with {text:?} in:\n{all}");
        if line.contains(text) {
            return line.trim_end().to_owned();
        }
        all.push_str(&line);
    }
}
