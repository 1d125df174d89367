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

/// What the library's metrics are called.
const PREFIX: &str = "anjay_net_";

/// One look at the file.
#[derive(Serialize)]
struct Look {
    /// Seconds since the client wrote the file.
    age_s: f64,
    /// Value of each metric, without its prefix.
    values: BTreeMap<String, f64>,
    /// How much each counter grew in a second since the look before.
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
    let mut before: Option<Look> = None;
    let mut looks = 0;
    loop {
        let mut now = look(file).map_err(problem)?;
        if let Some(before) = &before {
            now.compare(before);
        }
        if json {
            print_json(&now)?;
        } else {
            show(file, &now);
        }
        // Whoever reads a pipe wants it now.
        stdout().flush().map_err(|error| error.to_string())?;
        before = Some(now);
        looks += 1;
        if count.is_some_and(|count| looks >= count) {
            return Ok(ExitCode::SUCCESS);
        }
        thread::sleep(interval);
    }
}

fn look(file: &Path) -> io::Result<Look> {
    let text = fs::read_to_string(file)?;
    let written = fs::metadata(file)?.modified()?;
    let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned())))?;
    let mut look = Look {
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
        look.add(sample);
    }
    if look.values.is_empty() {
        return Err(io::Error::other("no statistics of anjay-net in it"));
    }
    Ok(look)
}

impl Look {
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
            // Times are told by their sum and count.
            Value::Histogram(_) | Value::Summary(_) => return,
        };
        self.values.insert(name, value);
    }

    /// What changed since the look before. A client that was started anew
    /// counts from zero.
    fn compare(&mut self, before: &Look) {
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        for name in &self.counters {
            if let (Some(now), Some(then)) = (self.values.get(name), before.values.get(name)) {
                let grown = if now >= then { now - then } else { *now };
                self.per_second.insert(name.clone(), grown / seconds);
            }
        }
    }
}

fn show(file: &Path, look: &Look) {
    if stdout().is_terminal() {
        // To the upper left corner, and erase what was there.
        anstream::print!("\x1b[H\x1b[J");
    }
    anstream::println!(
        "{HEADING}{}{HEADING:#}, written {:.0} s ago\n",
        file.display(),
        look.age_s
    );
    let mut rows = table(&["", "total", "per second"]);
    for (name, value) in &look.values {
        let rate = match look.per_second.get(name) {
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
    if look.per_second.is_empty() {
        anstream::println!("{QUIET}rates from the next look on{QUIET:#}");
    }
}
