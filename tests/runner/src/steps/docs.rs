//! The texts: links, spelling, and the book itself.

use std::process::Command;

use anjay_net_support::cargo::{is_installed, root};

use crate::{book, cargo, chart};

/// Checks all links, then whatever the machine has the tools for.
pub fn check() -> Result<(), String> {
    let problems = book::problems(&root())?;
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    chart::check()?;
    for (program, arguments) in [("typos", &[][..]), ("mdbook", &["build", "docs"])] {
        if is_installed(program) {
            cargo::show(Command::new(program).args(arguments).current_dir(root()))?;
        } else {
            println!("{program} is not installed, so it was not run: see docs/contributing.md");
        }
    }
    Ok(())
}
