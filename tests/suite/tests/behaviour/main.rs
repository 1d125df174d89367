//! What every method of the C ABI does, shown by the C programs in `c/`: each
//! of their cases is a test here; unless it is slow, it runs again under valgrind,
//! with the program's others. Some run once more in C++, or with the older ABI.
//!
//! `COVERAGE.md` says which case shows which promise.

mod coverage;

use std::process::ExitCode;

use anjay_net_tests::{Abi, CheckedBy, Dialect, Selection, Series, Sources, c_files};
use libtest_mimic::Trial;

/// Programs that also compile as C++, and the same cases hold.
const IN_CPP: [&str; 2] = ["states", "wrong_state"];

/// Those in which option values travel, which the older ABI passes in
/// registers.
const IN_THE_OLDER_ABI: [&str; 4] = ["options", "states", "udp", "receive_timeouts"];

/// Every way in which the program's cases run.
fn ways(file: &str) -> Vec<Series> {
    let usual = Series::new(Sources::c(file));
    let variant = |variant, change: fn(&mut Series)| {
        let mut series = usual.clone();
        series.variant = variant;
        change(&mut series);
        series
    };
    let mut ways = vec![usual.clone()];
    ways.push(variant("valgrind", |one| {
        one.checked_by = CheckedBy::Valgrind
    }));
    if IN_CPP.contains(&usual.program()) {
        ways.push(variant("cpp", |one| one.sources.dialect = Dialect::Cpp));
    }
    if IN_THE_OLDER_ABI.contains(&usual.program()) {
        ways.push(variant("older_abi", |one| one.sources.abi = Abi::Commons4));
    }
    ways
}

fn main() -> ExitCode {
    let series: Vec<Series> = c_files("").iter().flat_map(|file| ways(file)).collect();
    let selection = Selection::from_args();
    let mut trials = selection.trials(&series);
    if selection.is_all(&series) {
        let names = trials.iter().map(|trial| trial.name().to_owned());
        let comparison = coverage::compare(names.collect());
        trials.push(Trial::test("coverage::the_table_names_every_case", || {
            Ok(comparison?)
        }));
    }
    selection.run(trials)
}
