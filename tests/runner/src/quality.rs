//! `docs/quality.md`: how good the tests are, in figures.

use std::fs;

use anjay_net_support::cargo::{output, root};

const PAGE: &str = "docs/quality.md";

/// A part of the page that a command writes.
#[derive(Clone, Copy)]
pub enum Section {
    Coverage,
}

impl Section {
    fn command(self) -> &'static str {
        match self {
            Section::Coverage => "cargo coverage",
        }
    }

    fn begin(self) -> String {
        format!("<!-- Written by `{}`. -->\n", self.command())
    }

    fn end(self) -> String {
        format!("<!-- End of what `{}` writes. -->", self.command())
    }
}

/// Replaces what the page has of a section, and its date.
pub fn write(section: Section, with: &str, text: &str) -> Result<(), String> {
    let day = output(std::process::Command::new("date").arg("+%F"))?;
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).map_err(|error| format!("{PAGE}: {error}"))?;
    let text = format!(
        "\n`{}`, {}, {with}:\n\n{}\n\n",
        section.command(),
        day.trim(),
        text.trim_end()
    );
    let page = with_section(&page, section, &text).ok_or("the page has no place for it")?;
    fs::write(&path, page).map_err(|error| format!("{PAGE}: {error}"))
}

fn with_section(page: &str, section: Section, text: &str) -> Option<String> {
    let (begin, end) = (section.begin(), section.end());
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{text}{end}{after}"))
}
