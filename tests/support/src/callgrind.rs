//! Instructions outside of the kernel, counted by valgrind's callgrind.

use std::process::{Command, Stdio};
use std::{env, fs, process};

use crate::cargo::{is_installed, output};

/// Whether valgrind is there.
pub fn is_available() -> bool {
    is_installed("valgrind")
}

/// Instructions that a program executes inside of one function.
///
/// # Errors
/// What went wrong, as text.
pub fn instructions(program: &Command, function: &str) -> Result<u64, String> {
    let name = format!("callgrind.{}.{function}", process::id());
    let file = env::temp_dir().join(name);
    let mut command = Command::new("valgrind");
    command
        .arg("--tool=callgrind")
        .arg(format!("--toggle-collect={function}"))
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program.get_program())
        .args(program.get_args())
        .stdout(Stdio::null());
    output(&mut command)?;
    let profile = fs::read_to_string(&file).map_err(|error| error.to_string())?;
    fs::remove_file(&file).map_err(|error| error.to_string())?;
    // One line for each part of the profile, and one sum.
    let total = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    total.ok_or_else(|| format!("{command:?}: no totals"))
}
