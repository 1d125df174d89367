//! Source files.

/// What the compiler sees of a file outside of tests.
pub fn code(text: &str) -> String {
    text.lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .map(|line| line.split("//").next().unwrap_or(line).to_owned() + "\n")
        .collect()
}
