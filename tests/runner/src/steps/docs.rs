//! The texts: links, spelling, and the book itself.

use std::path::Path;
use std::process::{Command, ExitStatus};

use crate::book;

/// Checks all links, then whatever the machine has the tools for.
pub fn check(root: &Path) -> Result<(), String> {
    let problems = book::problems(root)?;
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    for (program, arguments) in [("typos", &[][..]), ("mdbook", &["build", "docs"])] {
        match run(root, program, arguments) {
            None => {
                println!("{program} is not installed, so it was not run: see docs/contributing.md")
            }
            Some(Ok(status)) if status.success() => println!("{program}: ok"),
            Some(Ok(status)) => return Err(format!("{program}: {status}")),
            Some(Err(error)) => return Err(format!("{program} can't be started: {error}")),
        }
    }
    Ok(())
}

/// `None` when there is no such program.
fn run(root: &Path, program: &str, arguments: &[&str]) -> Option<std::io::Result<ExitStatus>> {
    let mut command = Command::new(program);
    match command.args(arguments).current_dir(root).status() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        outcome => Some(outcome),
    }
}
