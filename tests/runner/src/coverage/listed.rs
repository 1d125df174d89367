//! Lines that no test runs, and why that is so.

use std::collections::BTreeMap;

use super::lcov::Coverage;
use crate::files;

/// A file or `*`, a colon and a space, the code of the first line of those that
/// follow each other, and below that, indented, the reason.
pub const FILE: &str = "tests/runner/not_run.txt";

/// In the place of a file.
const ANY: &str = "*";

/// What the list has.
pub struct Listed {
    /// The reason for each file and code.
    reasons: BTreeMap<(String, String), String>,
}

impl Listed {
    pub fn read() -> Result<Listed, String> {
        Listed::parse(&files::read(FILE)?)
    }

    fn parse(text: &str) -> Result<Listed, String> {
        let mut reasons: BTreeMap<(String, String), String> = BTreeMap::new();
        let mut last = None;
        for line in text.lines() {
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            if let Some(reason) = line.strip_prefix("    ") {
                let key = last.clone().ok_or(format!("{FILE}: no line: {reason}"))?;
                let text = reasons.entry(key).or_default();
                let gap = if text.is_empty() { "" } else { " " };
                *text = format!("{text}{gap}{reason}");
            } else {
                let entry = line.split_once(": ");
                let (file, code) = entry.ok_or(format!("{FILE}: no file: {line}"))?;
                last = Some((file.to_owned(), code.to_owned()));
            }
        }
        Ok(Listed { reasons })
    }

    /// A table of the lines with reasons, and the places without one.
    pub fn compare(
        &self,
        found: &BTreeMap<String, Coverage>,
    ) -> Result<(String, Vec<String>), String> {
        let mut table = String::new();
        let mut unlisted = Vec::new();
        let mut unused: BTreeMap<_, _> = self.reasons.iter().collect();
        for (file, coverage) in found {
            let text = files::read(file)?;
            for group in &coverage.missed {
                let code = text.lines().nth(group[0] - 1).unwrap_or_default().trim();
                let entry = |file: &str| {
                    self.reasons
                        .get_key_value(&(file.to_owned(), code.to_owned()))
                };
                match entry(file).or_else(|| entry(ANY)) {
                    Some((key, reason)) => {
                        unused.remove(key);
                        let code = code.replace('|', "\\|");
                        let number = group.len();
                        table += &format!("| `{file}` | `{code}` | {number} | {reason} |\n");
                    }
                    None => unlisted.push(format!("{file}:{}: {code}", group[0])),
                }
            }
        }
        for (file, code) in unused.into_keys() {
            println!("a test runs it now, so {FILE} needs no reason: {file}: {code}");
        }
        let text = match table.as_str() {
            "" => String::new(),
            rows => format!(
                "Lines that no test runs, from `{FILE}`:\n\n\
                 | file | from | lines | why |\n| --- | --- | ---: | --- |\n{rows}"
            ),
        };
        Ok((text, unlisted))
    }
}
