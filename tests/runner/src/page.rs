//! Pages of the book of which commands write parts.

use crate::files;

/// Replaces what a page has between two lines.
pub fn replace(
    page: &str,
    begin: &str,
    end: &str,
    text: impl FnOnce(&str) -> String,
) -> Result<(), String> {
    let new = between(&files::read(page)?, begin, end, text);
    files::write(page, &new.map_err(|error| format!("{page}: {error}"))?)
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
