//! How a step ends, and how that is shown: a line for each step as it happens,
//! then a table; or one JSON document.

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value, json};

use crate::life::STEPS;

/// Why a step did not hold.
#[derive(Debug)]
pub enum Stop {
    /// Something else was seen than expected.
    Failed(String),
    /// It could not be played.
    Skipped(String),
}

impl From<String> for Stop {
    fn from(problem: String) -> Stop {
        Stop::Failed(problem)
    }
}

/// What was seen: in words, and by name for machines.
pub type Seen = (String, Vec<(&'static str, Value)>);

/// How every step ends.
pub type Outcome = Result<Seen, Stop>;

/// Makes an error the failure of a step.
pub trait OrFail<T> {
    /// The value, or what could not be had.
    fn or_fail(self, what: &str) -> Result<T, Stop>;
}

impl<T, E: Display> OrFail<T> for Result<T, E> {
    fn or_fail(self, what: &str) -> Result<T, Stop> {
        self.map_err(|error| Stop::Failed(format!("{what}: {error}")))
    }
}

/// Fails unless the condition holds.
pub fn ensure(held: bool, expected: &str, seen: impl Display) -> Result<(), Stop> {
    if held {
        return Ok(());
    }
    Err(Stop::Failed(format!("expected {expected}; seen {seen}")))
}

/// Fails unless what was seen is what was expected of `subject`.
pub fn ensure_same<T: PartialEq + Display>(
    subject: &str,
    expected: &T,
    seen: &T,
) -> Result<(), Stop> {
    ensure(expected == seen, &format!("{subject} {expected}"), seen)
}

/// The verdicts, and how they are shown.
const HELD: (&str, AnsiColor) = ("held", AnsiColor::Green);
const FAILED: (&str, AnsiColor) = ("failed", AnsiColor::Red);
const SKIPPED: (&str, AnsiColor) = ("skipped", AnsiColor::Yellow);

/// A step that has ended.
pub struct Step {
    pub number: usize,
    pub time: Duration,
    /// Bytes from and to the client.
    pub bytes: (u64, u64),
    pub outcome: Outcome,
}

impl Step {
    /// One that did not end.
    pub fn hung(number: usize, limit: Duration) -> Step {
        Step {
            number,
            time: limit,
            bytes: (0, 0),
            outcome: Err(Stop::Failed(format!("still waiting after {limit:?}"))),
        }
    }

    fn verdict(&self) -> (&'static str, AnsiColor) {
        match self.outcome {
            Ok(_) => HELD,
            Err(Stop::Failed(_)) => FAILED,
            Err(Stop::Skipped(_)) => SKIPPED,
        }
    }

    fn title(&self) -> &'static str {
        STEPS.get(self.number).map_or("the end", |(title, _)| title)
    }

    fn text(&self) -> &str {
        match &self.outcome {
            Ok((text, _)) | Err(Stop::Failed(text) | Stop::Skipped(text)) => text,
        }
    }

    fn milliseconds(&self) -> f64 {
        self.time.as_secs_f64() * 1e3
    }

    fn document(&self) -> Value {
        let facts = self.outcome.as_ref().map_or(&[][..], |(_, facts)| facts);
        let facts: Map<String, Value> = facts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        json!({
            "number": self.number,
            "title": self.title(),
            "result": self.verdict().0,
            "milliseconds": self.milliseconds(),
            "bytes_sent": self.bytes.0,
            "bytes_received": self.bytes.1,
            "detail": self.text(),
            "facts": facts,
        })
    }
}

/// The report.
pub struct Report {
    json: bool,
    started: Instant,
    steps: Vec<Step>,
}

/// A word in bold and a colour, where the terminal has them.
pub fn painted(word: &str, color: AnsiColor) -> String {
    let style = color.on_default().bold();
    format!("{style}{word:<7}{style:#}")
}

/// A line for people. A reader that went away is no failure.
pub fn show(line: impl Display) {
    let _ = writeln!(anstream::stdout(), "{line}");
}

/// The exit status of what held or failed, with the word for it.
pub fn conclusion(failed: usize, text: &str) -> ExitCode {
    let color = if failed == 0 { HELD.1 } else { FAILED.1 };
    show(painted(text, color));
    ExitCode::from(u8::from(failed > 0))
}

impl Report {
    /// Starts the report.
    pub fn start(json: bool) -> Report {
        if !json {
            let bold = Style::new().bold();
            show(format!(
                "{bold}An LwM2M client's life through the C v-table of libanjay_net.a{bold:#}"
            ));
        }
        Report {
            json,
            started: Instant::now(),
            steps: Vec::new(),
        }
    }

    /// Adds a step that has ended.
    pub fn add(&mut self, step: Step) {
        if !self.json {
            let (word, color) = step.verdict();
            show(format!(
                "{} {:<10}{} {:>9.1} ms  {}",
                step.number,
                step.title(),
                painted(word, color),
                step.milliseconds(),
                step.text()
            ));
        }
        self.steps.push(step);
    }

    /// Ends the report; success only if something held and nothing failed.
    pub fn finish(&self) -> ExitCode {
        let count = |verdict| {
            self.steps
                .iter()
                .filter(|it| it.verdict() == verdict)
                .count()
        };
        let [held, failed, skipped] = [HELD, FAILED, SKIPPED].map(count);
        let failed = failed + usize::from(held == 0);
        if self.json {
            let document = json!({
                "version": env!("CARGO_PKG_VERSION"),
                "held": failed == 0,
                "milliseconds": self.started.elapsed().as_millis() as u64,
                "steps": self.steps.iter().map(Step::document).collect::<Vec<_>>(),
            });
            show(format!("{document:#}"));
            return ExitCode::from(u8::from(failed > 0));
        }
        show(format!(
            "\n  {:<10} {:<7} {:>12} {:>11} {:>14}",
            "step", "result", "time", "bytes sent", "bytes received"
        ));
        for step in &self.steps {
            show(format!(
                "{} {:<10} {:<7} {:>9.1} ms {:>11} {:>14}",
                step.number,
                step.title(),
                step.verdict().0,
                step.milliseconds(),
                step.bytes.0,
                step.bytes.1
            ));
        }
        let time = self.started.elapsed();
        let text = format!("\n{held} held, {failed} failed, {skipped} skipped in {time:.1?}");
        conclusion(failed, &text)
    }
}
