//! `COVERAGE.md` and the cases name each other.

use std::collections::BTreeSet;

/// The names in the table: in backticks, and like `program::case`.
fn named(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.starts_with('|'))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|word| word.contains("::"))
        // Tests of the other binaries of this package are in the table as well.
        .filter(|word| {
            !["layout::", "interop::", "watch::"]
                .iter()
                .any(|test| word.starts_with(test))
        })
        .map(str::to_owned)
        .collect()
}

/// Compares the table with the trials; those of a variant are left aside.
pub fn compare(trials: BTreeSet<String>) -> Result<(), String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/COVERAGE.md");
    let table = named(&std::fs::read_to_string(path).expect("COVERAGE.md is readable"));
    let cases: BTreeSet<String> = trials
        .into_iter()
        .filter(|name| name.matches("::").count() == 1)
        .collect();
    let missing: Vec<_> = cases.difference(&table).collect();
    let stale: Vec<_> = table.difference(&cases).collect();
    if missing.is_empty() && stale.is_empty() {
        return Ok(());
    }
    Err(format!(
        "not in COVERAGE.md: {missing:#?}\nin COVERAGE.md, but no case: {stale:#?}"
    ))
}
