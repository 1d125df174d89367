//! `COVERAGE.md` and the tests name each other.

use std::collections::BTreeSet;

use crate::cases;

/// The names in the table: in backticks, and like `program::case`.
fn named(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.starts_with('|'))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|word| word.contains("::"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_coverage_table_names_every_case_and_no_other() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/COVERAGE.md");
    let text = std::fs::read_to_string(path).expect("COVERAGE.md is readable");
    // Tests of the other binaries of this package are in the table as well.
    let in_table: BTreeSet<String> = named(&text)
        .into_iter()
        .filter(|name| {
            let elsewhere = ["layout::", "interop::", "watch::"];
            !elsewhere.iter().any(|test| name.starts_with(test))
        })
        .collect();
    let in_code: BTreeSet<String> = cases::all().into_iter().collect();
    let missing: Vec<_> = in_code.difference(&in_table).collect();
    let stale: Vec<_> = in_table.difference(&in_code).collect();
    assert!(missing.is_empty(), "not in COVERAGE.md: {missing:#?}");
    assert!(stale.is_empty(), "in COVERAGE.md, but no case: {stale:#?}");
}
