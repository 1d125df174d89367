//! Instructions outside of the kernel, counted by valgrind's callgrind.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs, process};

use crate::operations::{Operation, Who};
use crate::probe;

/// Whether valgrind is there.
pub fn is_installed() -> bool {
    Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Instructions of one operation: the difference of two loops, divided by the
/// difference of their lengths. `program` is a [probe].
///
/// # Errors
/// Valgrind's.
pub fn instructions(program: &Path, operation: &Operation, who: Who) -> io::Result<u64> {
    let (few, many) = (operation.batch / 4, operation.batch);
    let loops = [few, many].map(|n| collect(program, operation, who, n));
    let [few_cost, many_cost] = loops;
    Ok((many_cost? - few_cost?).div_ceil(many - few))
}

fn collect(program: &Path, operation: &Operation, who: Who, n: u64) -> io::Result<u64> {
    let name = format!(
        "callgrind.{}.{}.{}.{n}",
        process::id(),
        operation.key,
        who.name()
    );
    let file = env::temp_dir().join(name);
    let status = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--toggle-collect={}", probe::MEASURED))
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program)
        .args(probe::arguments(operation, who, n))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    let profile = fs::read_to_string(&file)?;
    fs::remove_file(&file)?;
    // One line for each part of the profile, and one sum.
    let totals = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    match totals {
        Some(total) if status.success() => Ok(total),
        _ => Err(io::Error::other(format!("callgrind ended with {status}"))),
    }
}
