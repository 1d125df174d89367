//! Unsafe blocks of the product: where they are, and that a rise of their
//! number has a reason. That each says why it is sound is clippy's job.

use std::path::PathBuf;

use anjay_net_support::cargo::root;

use crate::files::{read, read_dir};
use crate::source::code;

/// Numbers of blocks, each with the reason for it; the last line counts.
const REASONS: &str = "tests/runner/unsafe_blocks.txt";

/// Where they may be.
const PLACES: [&str; 2] = ["crates/ffi/src/", "crates/socket/src/sys"];

/// Whether the sources have as many as there is a reason for.
pub fn check() -> Result<(), String> {
    let allowed =
        allowed(&read(REASONS)?).ok_or_else(|| format!("{REASONS}: no number and reason"))?;
    let mut sum = 0;
    for (file, number) in in_sources()? {
        if !PLACES.iter().any(|place| file.starts_with(place)) {
            return Err(format!("{file} has unsafe code, which is for {PLACES:?}"));
        }
        sum += number;
    }
    if sum > allowed {
        return Err(format!(
            "{sum} unsafe blocks, {allowed} so far: add a line to {REASONS} that says why"
        ));
    }
    println!("{sum} unsafe blocks");
    if sum < allowed {
        println!("fewer than the {allowed} of {REASONS}: its last line can be replaced");
    }
    Ok(())
}

/// The number of the last line that has one, and a reason after it.
fn allowed(text: &str) -> Option<usize> {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let (number, reason) = lines.next_back()?.split_once(' ')?;
    (!reason.trim().is_empty()).then(|| number.parse().ok())?
}

/// Files of the product that have any, and how many.
fn in_sources() -> Result<Vec<(String, usize)>, String> {
    let root = root();
    let crates = read_dir(&root.join("crates"))?;
    let mut places: Vec<PathBuf> = crates.iter().map(|it| it.join("src")).collect();
    let mut found = Vec::new();
    while let Some(place) = places.pop() {
        if place.is_dir() {
            places.extend(read_dir(&place)?);
            continue;
        }
        let file = place.strip_prefix(&root).unwrap_or(&place);
        let number = count(&read(&place)?);
        if number > 0 {
            found.push((file.display().to_string(), number));
        }
    }
    Ok(found)
}

/// Blocks, and implementations of unsafe traits, outside of comments and of the
/// tests at the end of a file.
fn count(text: &str) -> usize {
    let code = code(text);
    code.matches("unsafe {").count() + code.matches("unsafe impl").count()
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn blocks_are_counted_and_nothing_else() {
        let source = "// unsafe {\n\
                      unsafe fn f() { unsafe { g() }; unsafe { h() } } // unsafe {\n\
                      unsafe impl Send for S {}\n\
                      unsafe extern \"C\" { fn i(); }\n\
                      #[cfg(test)]\n\
                      mod tests { fn j() { unsafe { k() } } }\n";
        assert_eq!(count(source), 3);
    }

    #[test]
    fn a_number_needs_a_reason() {
        assert_eq!(
            allowed("# about\n3 in the beginning\n5 two more\n"),
            Some(5)
        );
        assert_eq!(allowed("3 in the beginning\n5 \n"), None);
        assert_eq!(allowed("# about\n"), None);
    }
}
