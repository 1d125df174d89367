//! `anjay-net watch`: the statistics of a running client.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal, Write, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use prometheus_parse::{Sample, Scrape, Value};
use serde::Serialize;

use crate::report::{HEADING, QUIET, print_json, table};

/// The prefix of the library's metrics.
const PREFIX: &str = "anjay_net_";

/// The contents of the file at one moment.
#[derive(Serialize)]
struct Reading {
    /// Seconds since the client wrote the file.
    age_s: f64,
    /// Value of each metric, without its prefix.
    values: BTreeMap<String, f64>,
    /// Growth of each counter per second since the previous reading.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    per_second: BTreeMap<String, f64>,
    #[serde(skip)]
    counters: Vec<String>,
    #[serde(skip)]
    at: Instant,
}

pub fn run(
    file: &Path,
    interval: Duration,
    count: Option<u64>,
    json: bool,
) -> Result<ExitCode, String> {
    let problem = |error: io::Error| format!("{}: {error}", file.display());
    let mut previous: Option<Reading> = None;
    let mut readings = 0;
    loop {
        let mut now = read(file).map_err(problem)?;
        if let Some(previous) = &previous {
            now.compare(previous);
        }
        if json {
            print_json(&now)?;
        } else {
            show(file, &now);
        }
        // A pipe is not flushed at the end of a line.
        stdout().flush().map_err(|error| error.to_string())?;
        previous = Some(now);
        readings += 1;
        if count.is_some_and(|count| readings >= count) {
            return Ok(ExitCode::SUCCESS);
        }
        thread::sleep(interval);
    }
}

fn read(file: &Path) -> io::Result<Reading> {
    let text = fs::read_to_string(file)?;
    let written = fs::metadata(file)?.modified()?;
    let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned())))?;
    let mut reading = Reading {
        age_s: SystemTime::now()
            .duration_since(written)
            .unwrap_or_default()
            .as_secs_f64(),
        values: BTreeMap::new(),
        per_second: BTreeMap::new(),
        counters: Vec::new(),
        at: Instant::now(),
    };
    for sample in &scrape.samples {
        reading.add(sample);
    }
    if reading.values.is_empty() {
        return Err(io::Error::other("it contains no statistics of anjay-net"));
    }
    Ok(reading)
}

impl Reading {
    fn add(&mut self, sample: &Sample) {
        let Some(name) = sample.metric.strip_prefix(PREFIX) else {
            return;
        };
        let name = name.trim_end_matches("_total");
        let label = ["outcome", "reason"]
            .iter()
            .find_map(|label| sample.labels.get(label));
        let name = match label {
            Some(value) => format!("{name}_{value}"),
            None => name.to_owned(),
        };
        let value = match sample.value {
            Value::Counter(value) => {
                self.counters.push(name.clone());
                value
            }
            Value::Gauge(value) | Value::Untyped(value) => value,
            // Their sum and count are samples of their own.
            Value::Histogram(_) | Value::Summary(_) => return,
        };
        self.values.insert(name, value);
    }

    /// Computes the rates. The counters of a client that was restarted begin at
    /// zero.
    fn compare(&mut self, previous: &Reading) {
        let seconds = self.at.duration_since(previous.at).as_secs_f64();
        for name in &self.counters {
            if let (Some(now), Some(then)) = (self.values.get(name), previous.values.get(name)) {
                let grown = if now >= then { now - then } else { *now };
                self.per_second.insert(name.clone(), grown / seconds);
            }
        }
    }
}

fn show(file: &Path, reading: &Reading) {
    if stdout().is_terminal() {
        // Cursor to the upper left corner, and clear the screen.
        anstream::print!("\x1b[H\x1b[J");
    }
    anstream::println!(
        "{HEADING}{}{HEADING:#}, written {:.0} s ago\n",
        file.display(),
        reading.age_s
    );
    let mut rows = table(&["", "total", "per second"]);
    for (name, value) in &reading.values {
        let rate = match reading.per_second.get(name) {
            Some(rate) => format!("{rate:.1}"),
            None => String::new(),
        };
        rows.add_row([name.replace('_', " "), value.to_string(), rate]);
    }
    for column in [1, 2] {
        if let Some(column) = rows.column_mut(column) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    anstream::println!("{rows}");
    if reading.per_second.is_empty() {
        anstream::println!("{QUIET}rates follow with the next update{QUIET:#}");
    }
}
