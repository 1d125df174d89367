//! What the demo shows: a line for each step as it happens, then a table; or
//! one JSON document.

use std::io::Write as _;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::outcome::{Failure, Outcome, Traffic};

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// What was expected was seen.
    Held,
    /// Something else was seen.
    Failed,
    /// It could not be played.
    Skipped,
}

impl Verdict {
    /// The verdict in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// How the word is shown.
    pub fn style(self) -> Style {
        let color = match self {
            Self::Held => AnsiColor::Green,
            Self::Failed => AnsiColor::Red,
            Self::Skipped => AnsiColor::Yellow,
        };
        color.on_default().bold()
    }
}

/// A step that has ended.
#[derive(Serialize)]
struct Step {
    number: u8,
    title: &'static str,
    result: Verdict,
    milliseconds: f64,
    bytes_sent: u64,
    bytes_received: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    facts: Map<String, Value>,
}

/// For whom the report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines and a table.
    Text,
    /// One JSON document.
    Json,
}

/// The report, shared with the watchdog.
#[derive(Clone)]
pub struct Report(Arc<Mutex<Inner>>);

struct Inner {
    format: Format,
    server: String,
    started: Instant,
    current: Option<(u8, &'static str, Instant)>,
    steps: Vec<Step>,
}

impl Report {
    /// Starts the report on a life with this server.
    pub fn start(format: Format, server: String) -> Self {
        if format == Format::Text {
            let bold = Style::new().bold();
            let _ = writeln!(
                anstream::stdout(),
                "{bold}An LwM2M client's life through the C v-table of libanjay_net.a{bold:#}\n\
                 server: {server}"
            );
        }
        let inner = Inner {
            format,
            server,
            started: Instant::now(),
            current: None,
            steps: Vec::new(),
        };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Says which step is under way.
    pub fn begin(&self, number: u8, title: &'static str) {
        self.lock().current = Some((number, title, Instant::now()));
    }

    /// Ends the step under way. `traffic` is the client socket's.
    pub fn end(&self, outcome: Outcome, traffic: Traffic) {
        self.lock().end(outcome, traffic);
    }

    /// Ends the report; whether nothing failed.
    pub fn finish(&self) -> bool {
        self.lock().finish()
    }

    /// Ends the step under way as one that hung, the report and the process.
    pub fn give_up(&self, limit: Duration) -> ! {
        // Held to the end, so that nobody else writes a report after this.
        let mut inner = self.lock();
        inner.current.get_or_insert((0, "overall", Instant::now()));
        let failure = Failure::new(format!("done within {limit:?}"), "still waiting");
        inner.end(Err(failure), Traffic::default());
        inner.finish();
        process::exit(1);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn end(&mut self, outcome: Outcome, traffic: Traffic) {
        let Some((number, title, started)) = self.current.take() else {
            return;
        };
        let milliseconds = started.elapsed().as_secs_f64() * 1000.0;
        let traffic = outcome
            .as_ref()
            .ok()
            .and_then(|done| done.traffic)
            .unwrap_or(traffic);
        let mut step = Step {
            number,
            title,
            result: Verdict::Failed,
            milliseconds: (milliseconds * 1000.0).round() / 1000.0,
            bytes_sent: traffic.sent,
            bytes_received: traffic.received,
            detail: String::new(),
            expected: None,
            seen: None,
            facts: Map::new(),
        };
        match outcome {
            Ok(done) => {
                step.result = if done.skipped {
                    Verdict::Skipped
                } else {
                    Verdict::Held
                };
                step.detail = done.detail;
                step.facts = done.facts;
            }
            Err(failure) => {
                step.expected = Some(failure.expected);
                step.seen = Some(failure.seen);
            }
        }
        if self.format == Format::Text {
            step.print();
        }
        self.steps.push(step);
    }

    fn finish(&self) -> bool {
        let elapsed = self.started.elapsed();
        let held = self.count(Verdict::Failed) == 0 && self.count(Verdict::Held) > 0;
        match self.format {
            Format::Text => self.print_table(elapsed),
            Format::Json => {
                let document = serde_json::json!({
                    "version": env!("CARGO_PKG_VERSION"),
                    "server": self.server,
                    "held": held,
                    "milliseconds": elapsed.as_millis() as u64,
                    "steps": self.steps,
                });
                // A reader that went away is no failure of the life.
                let _ = writeln!(std::io::stdout(), "{document:#}");
            }
        }
        held
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.steps
            .iter()
            .filter(|step| step.result == verdict)
            .count()
    }

    fn print_table(&self, elapsed: Duration) {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED).set_header([
            "",
            "step",
            "result",
            "time",
            "bytes sent",
            "bytes received",
        ]);
        for step in &self.steps {
            table.add_row([
                step.number.to_string(),
                step.title.to_owned(),
                step.result.word().to_owned(),
                step.time(),
                step.bytes_sent.to_string(),
                step.bytes_received.to_string(),
            ]);
        }
        for column in [0, 3, 4, 5] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let verdict = if self.count(Verdict::Failed) == 0 {
            Verdict::Held
        } else {
            Verdict::Failed
        };
        let style = verdict.style();
        let _ = writeln!(
            anstream::stdout(),
            "\n{table}\n{style}{} held, {} failed, {} skipped{style:#} in {elapsed:.1?}",
            self.count(Verdict::Held),
            self.count(Verdict::Failed),
            self.count(Verdict::Skipped),
        );
    }
}

impl Step {
    fn time(&self) -> String {
        if self.milliseconds < 10_000.0 {
            format!("{:.1} ms", self.milliseconds)
        } else {
            format!("{:.1} s", self.milliseconds / 1000.0)
        }
    }

    fn print(&self) {
        let style = self.result.style();
        let text = match (&self.expected, &self.seen) {
            (Some(expected), Some(seen)) => format!("expected {expected}; seen {seen}"),
            _ => self.detail.clone(),
        };
        let _ = writeln!(
            anstream::stdout(),
            "{:>1} {:<10}{style}{:<7}{style:#}{:>9}  {text}",
            self.number,
            self.title,
            self.result.word(),
            self.time(),
        );
    }
}
