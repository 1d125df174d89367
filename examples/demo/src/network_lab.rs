//! `--network-lab`: names and addresses on bad networks.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use anjay_net_lab::{Report, Scenario, obstacle, run};
use anstyle::Style;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use crate::report::{Format, Verdict};

/// Plays every scenario of the lab and shows each as it ends.
pub fn play(format: Format) -> ExitCode {
    if let Some(obstacle) = obstacle() {
        eprintln!("error: the network lab {obstacle}");
        return ExitCode::FAILURE;
    }
    let bold = Style::new().bold();
    if format == Format::Text {
        let _ = writeln!(
            anstream::stdout(),
            "{bold}Names and addresses on bad networks, in namespaces of their own{bold:#}"
        );
    }
    let start = Instant::now();
    let mut rows = Vec::new();
    run::play_all(|scenario, report| {
        if format == Format::Text {
            print_line(scenario, &report);
        }
        rows.push((scenario, report));
    });
    let failed = rows.iter().filter(|row| verdict(&row.1) == Verdict::Failed);
    let failed = failed.count();
    match format {
        Format::Text => {
            let all = if failed == 0 {
                Verdict::Held
            } else {
                Verdict::Failed
            };
            let style = all.style();
            let _ = writeln!(
                anstream::stdout(),
                "\n{}\n{style}{} held, {failed} failed{style:#} in {:.1?}",
                table(&rows),
                rows.len() - failed,
                start.elapsed(),
            );
        }
        Format::Json => {
            let scenarios: Vec<Value> = rows.iter().map(document).collect();
            let document = json!({
                "version": env!("CARGO_PKG_VERSION"),
                "held": failed == 0,
                "milliseconds": start.elapsed().as_millis() as u64,
                "scenarios": scenarios,
            });
            // A reader that went away is no failure of the lab.
            let _ = writeln!(std::io::stdout(), "{document:#}");
        }
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

type Row = (&'static Scenario, Report);

fn verdict(report: &Report) -> Verdict {
    match report.outcome {
        Ok(_) => Verdict::Held,
        Err(_) => Verdict::Failed,
    }
}

fn print_line(scenario: &Scenario, report: &Report) {
    let verdict = verdict(report);
    let style = verdict.style();
    let [time, ..] = report.cells();
    let _ = writeln!(
        anstream::stdout(),
        "{:<25} {style}{:<7}{style:#}{time:>11}  {}",
        scenario.name,
        verdict.word(),
        scenario.claim,
    );
    if let Err(problem) = &report.outcome {
        let _ = writeln!(anstream::stdout(), "{problem}");
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header([
        "scenario",
        "result",
        "time",
        "attempts",
        "descriptors",
        "threads",
        "seen",
    ]);
    for (scenario, report) in rows {
        let [time, attempts, descriptors, threads, seen] = report.cells();
        let name = scenario.name.to_owned();
        let result = verdict(report).word().to_owned();
        table.add_row([name, result, time, attempts, descriptors, threads, seen]);
    }
    for column in 2..6 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn document((scenario, report): &Row) -> Value {
    let mut document = json!({
        "name": scenario.name,
        "claim": scenario.claim,
        "result": verdict(report).word(),
        "took_milliseconds": report.took.as_millis() as u64,
    });
    match &report.outcome {
        Ok(figures) => {
            let pair =
                |(before, after): (usize, usize)| json!({ "before": before, "after": after });
            document["milliseconds"] = figures
                .time
                .map_or(Value::Null, |time| json!(time.as_secs_f64() * 1e3));
            document["attempts"] = json!(figures.attempts);
            document["descriptors"] = pair(figures.descriptors);
            document["threads"] = pair(figures.threads);
            document["seen"] = json!(figures.seen);
        }
        Err(problem) => document["problem"] = json!(problem),
    }
    document
}
