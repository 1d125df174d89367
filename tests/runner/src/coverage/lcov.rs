//! What `llvm-cov export --format lcov` says of the product, its tests apart.

use std::collections::BTreeMap;
use std::path::Path;

use anjay_net_support::cargo::root;

use crate::files;
use crate::source::code;

/// How many there are, and how many of them ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub all: usize,
    pub run: usize,
}

impl Part {
    fn count(&mut self, runs: u64) {
        self.all += 1;
        self.run += usize::from(runs > 0);
    }

    pub fn percent(self) -> f64 {
        100.0 * self.run as f64 / self.all.max(1) as f64
    }

    fn cells(self) -> String {
        format!("{} | {} | {:.1} %", self.all, self.run, self.percent())
    }
}

/// Of a file, or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    pub lines: Part,
    /// Both outcomes of a condition are branches.
    pub branches: Part,
    /// Numbers of lines that no test runs; successive ones, with no other code
    /// between them, together.
    pub missed: Vec<Vec<usize>>,
}

impl Coverage {
    pub fn add(&mut self, other: &Coverage) {
        for (sum, part) in [
            (&mut self.lines, other.lines),
            (&mut self.branches, other.branches),
        ] {
            sum.all += part.all;
            sum.run += part.run;
        }
    }

    pub fn row(&self, name: &str) -> String {
        let (lines, branches) = (self.lines.cells(), self.branches.cells());
        format!("| {name} | {lines} | {branches} |\n")
    }

    /// From how often each line ran, and each branch.
    fn of(lines: &BTreeMap<usize, u64>, branches: &BTreeMap<Branch, u64>) -> Coverage {
        let mut coverage = Coverage::default();
        let mut is_missed = false;
        for (&line, &runs) in lines {
            coverage.lines.count(runs);
            match coverage.missed.last_mut() {
                Some(group) if runs == 0 && is_missed => group.push(line),
                _ if runs == 0 => coverage.missed.push(vec![line]),
                _ => {}
            }
            is_missed = runs == 0;
        }
        for &runs in branches.values() {
            coverage.branches.count(runs);
        }
        coverage
    }
}

/// Line, condition in the line, outcome.
type Branch = (usize, u64, u64);

/// By file, as seen from the root of the workspace.
pub fn read(text: &str) -> Result<BTreeMap<String, Coverage>, String> {
    let mut found = BTreeMap::new();
    for record in text.split("end_of_record").filter(|it| it.contains("SF:")) {
        let path = record.lines().find_map(|line| line.strip_prefix("SF:"));
        let path = Path::new(path.ok_or("a record of lcov without a file")?);
        let name = path.strip_prefix(root()).unwrap_or(path);
        let name = name.display().to_string();
        if !name.contains("/src/") {
            continue;
        }
        let source = files::read(path)?;
        found.insert(name, of_record(record, code(&source).lines().count()));
    }
    if found.is_empty() {
        return Err("the counters have nothing about the product".to_owned());
    }
    Ok(found)
}

/// Of the first lines; the tests come after them.
fn of_record(record: &str, first: usize) -> Coverage {
    let mut lines: BTreeMap<usize, u64> = BTreeMap::new();
    let mut branches: BTreeMap<Branch, u64> = BTreeMap::new();
    for entry in record.lines() {
        let (kind, numbers) = entry.split_once(':').unwrap_or_default();
        // A branch of code that did not run at all has no number of runs.
        let mut numbers = numbers.split(',').map(|it| it.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        let line = next() as usize;
        if line > first {
            continue;
        }
        match kind {
            "DA" => *lines.entry(line).or_default() += next(),
            // Once for each instance of a generic function.
            "BRDA" => {
                let branch = (line, next(), next());
                *branches.entry(branch).or_default() += next();
            }
            _ => {}
        }
    }
    Coverage::of(&lines, &branches)
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn lines_and_branches_up_to_the_tests_are_counted() {
        let record = "SF:/x\nFN:1,f\nDA:1,5\nDA:2,0\nDA:4,0\nDA:5,1\nDA:6,0\nDA:9,0\n\
                      BRDA:1,0,0,-\nBRDA:1,0,1,2\nBRDA:1,0,0,3\nBRDA:5,0,0,0\nBRDA:9,0,0,1\n";
        let coverage = of_record(record, 8);
        assert_eq!(coverage.lines, Part { all: 5, run: 2 });
        assert_eq!(coverage.branches, Part { all: 3, run: 2 });
        assert_eq!(coverage.missed, [vec![2, 4], vec![6]]);
        assert_eq!(
            coverage.row("x"),
            "| x | 5 | 2 | 40.0 % | 3 | 2 | 66.7 % |\n"
        );
    }
}
