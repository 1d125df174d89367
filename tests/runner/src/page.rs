//! Pages of the book of which commands write parts.

use std::fs;

use anjay_net_support::cargo::root;

/// The text of a page, whose path is below the root of the workspace.
pub fn read(page: &str) -> Result<String, String> {
    fs::read_to_string(root().join(page)).map_err(|error| format!("{page}: {error}"))
}

/// Replaces what a page has between two lines.
pub fn replace(
    page: &str,
    begin: &str,
    end: &str,
    text: impl FnOnce(&str) -> String,
) -> Result<(), String> {
    let new =
        between(&read(page)?, begin, end, text).map_err(|error| format!("{page}: {error}"))?;
    fs::write(root().join(page), new).map_err(|error| format!("{page}: {error}"))
}

/// The page with what is between two lines replaced.
pub fn between(
    page: &str,
    begin: &str,
    end: &str,
    text: impl FnOnce(&str) -> String,
) -> Result<String, String> {
    let problem = || format!("no lines {begin}{end}");
    let (before, rest) = page.split_once(begin).ok_or_else(problem)?;
    let (old, after) = rest.split_once(end).ok_or_else(problem)?;
    Ok(format!("{before}{begin}{}{end}{after}", text(old)))
}
