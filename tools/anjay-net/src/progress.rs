//! What is being waited for, on a terminal only.

use std::io::{IsTerminal, Write, stderr};

/// A line on the terminal that goes away when this is dropped.
pub struct Progress(bool);

impl Progress {
    /// Shows the line if somebody looks.
    pub fn show(text: &str) -> Progress {
        let shown = stderr().is_terminal();
        if shown {
            let _ = write!(stderr(), "{text} ...");
        }
        Progress(shown)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.0 {
            // Back to the start of the line, which is erased.
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
