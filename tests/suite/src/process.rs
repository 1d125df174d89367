//! Other people's programs, started by a test and ended with it.

use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any program here needs for its next line, even under valgrind.
const PATIENCE: Duration = Duration::from_secs(60);

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

/// The output of a child, line by line. It is read all the time, so the child
/// never waits for the test.
#[derive(Debug)]
pub struct Lines {
    receiver: Receiver<String>,
    seen: Vec<String>,
}

impl Lines {
    /// Starts to read.
    pub fn of(stream: impl Read + Send + 'static) -> Lines {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { break };
                let text = String::from_utf8_lossy(&line).into_owned();
                if sender.send(text).is_err() {
                    break;
                }
            }
        });
        Lines {
            receiver,
            seen: Vec::new(),
        }
    }

    /// Reads on until a line contains `text`; gives that line, or what was
    /// there instead when the stream ends or is silent for too long.
    ///
    /// # Errors
    ///
    /// A text for the failure of the test.
    pub fn wait_for(&mut self, text: &str, patience: Duration) -> Result<String, String> {
        let give_up = Instant::now() + patience;
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            let line = self.receiver.recv_timeout(left).map_err(|reason| {
                let what = match reason {
                    RecvTimeoutError::Timeout => "in time",
                    RecvTimeoutError::Disconnected => "before the end",
                };
                format!(
                    "no line with {text:?} {what}, only:\n{}",
                    self.seen.join("\n")
                )
            })?;
            self.seen.push(line.clone());
            if line.contains(text) {
                return Ok(line);
            }
        }
    }

    /// As [`Lines::wait_for`], for lines that must come.
    ///
    /// # Panics
    ///
    /// When the line does not come.
    pub fn expect(&mut self, text: &str) -> String {
        self.wait_for(text, PATIENCE)
            .unwrap_or_else(|problem| panic!("{problem}"))
    }
}
