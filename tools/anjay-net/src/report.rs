//! Output for people and for programs.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// Good news.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Bad news.
pub const BAD: Style = AnsiColor::Red.on_default();
/// What is not said in so many words.
pub const QUIET: Style = Style::new().dimmed();
/// A heading.
pub const HEADING: Style = Style::new().bold();

/// Milliseconds with a fraction.
pub fn millis(duration: Duration) -> f64 {
    // To microseconds, which is what the clock is good for.
    duration.as_micros() as f64 / 1000.0
}

/// One line of JSON.
pub fn print_json(value: &impl Serialize) -> Result<(), String> {
    let text = serde_json::to_string(value).map_err(|error| error.to_string())?;
    anstream::println!("{text}");
    Ok(())
}

/// A table without lines.
pub fn table(heading: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(heading);
    table
}
