//! `--network-lab`: names and addresses on bad networks.

use std::process::ExitCode;
use std::time::Instant;

use anjay_net_lab::{obstacle, run};
use anstyle::AnsiColor;
use serde_json::json;

use crate::report::{conclusion, painted, show};

/// Plays every scenario of the lab and shows each as it ends.
pub fn play(json: bool) -> ExitCode {
    if let Some(obstacle) = obstacle() {
        eprintln!("error: the network lab {obstacle}");
        return ExitCode::FAILURE;
    }
    let start = Instant::now();
    let mut rows = Vec::new();
    run::play_all(|scenario, report| {
        if !json {
            let verdict = match report.outcome {
                Ok(_) => painted("held", AnsiColor::Green),
                Err(_) => painted("failed", AnsiColor::Red),
            };
            let [time, ..] = report.cells();
            show(format!(
                "{:<25} {verdict} {time:>11}  {}",
                scenario.name, scenario.claim
            ));
            if let Err(problem) = &report.outcome {
                show(problem);
            }
        }
        rows.push((scenario, report));
    });
    let failed = rows
        .iter()
        .filter(|(_, report)| report.outcome.is_err())
        .count();
    let held = rows.len() - failed;
    if !json {
        show(format!("\n{}", run::table(&rows)));
        let time = start.elapsed();
        return conclusion(
            failed,
            &format!("{held} held, {failed} failed in {time:.1?}"),
        );
    }
    let scenarios: Vec<_> = rows
        .iter()
        .map(|(scenario, report)| {
            json!({
                "name": scenario.name,
                "claim": scenario.claim,
                "held": report.outcome.is_ok(),
                "took_milliseconds": report.took.as_millis() as u64,
                "figures": report.outcome.as_ref().ok(),
                "problem": report.outcome.as_ref().err(),
            })
        })
        .collect();
    let document = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "held": failed == 0,
        "milliseconds": start.elapsed().as_millis() as u64,
        "scenarios": scenarios,
    });
    show(format!("{document:#}"));
    ExitCode::from(u8::from(failed > 0))
}
