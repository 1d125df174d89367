//! Every scenario as a test; a table of figures after them.
//!
//! `cargo test -p anjay-net-lab --test lab -- [NAME]` as root.

use std::env;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use anjay_net_lab::run::{AT_ONCE, table};
use anjay_net_lab::{ALL, Report, Scenario, child_main, obstacle};
use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if let Some(end) = child_main() {
        return end;
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let obstacle = obstacle();
    let rows = Arc::new(Mutex::new(Vec::new()));
    let trials = ALL
        .iter()
        .map(|scenario| trial(scenario, obstacle.clone(), Arc::clone(&rows)))
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(obstacle) = obstacle {
        eprintln!(
            "the network lab {obstacle}: {} scenarios skipped\n",
            ALL.len()
        );
    }
    let rows = rows.lock().expect("no scenario panics here");
    if !rows.is_empty() {
        println!("{}", table(rows.iter()));
    }
    conclusion.exit_code()
}

type Rows = Arc<Mutex<Vec<(&'static Scenario, Report)>>>;

/// A scenario that can't be played is counted as ignored, except where somebody
/// relies on it.
fn trial(scenario: &'static Scenario, obstacle: Option<String>, rows: Rows) -> Trial {
    let ci = env::var_os("CI").is_some_and(|value| value == "true");
    let is_skipped = obstacle.is_some() && !ci;
    let play = move || {
        if let Some(obstacle) = obstacle {
            return Err(format!("the network lab {obstacle}").into());
        }
        let report = scenario.play();
        let outcome = report.outcome.clone();
        rows.lock()
            .expect("no scenario panics here")
            .push((scenario, report));
        outcome.map(drop).map_err(Into::into)
    };
    Trial::test(scenario.name, play).with_ignored_flag(is_skipped)
}
