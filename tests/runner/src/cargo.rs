//! Cargo, run in the workspace.

use std::process::Command;

use anjay_net_support::cargo::cargo;

/// The crates that the product is made of.
pub const PRODUCT: [&str; 4] = [
    "anjay-net-stats",
    "anjay-net-resolve",
    "anjay-net-socket",
    "anjay-net",
];

/// Tells cargo which packages a command is about.
pub fn of_packages(command: &mut Command, packages: &[&str]) {
    command.args(packages.iter().flat_map(|package| ["--package", package]));
}

/// Runs cargo to its end, with its output shown.
pub fn run<const A: usize, const E: usize>(
    arguments: [&str; A],
    environment: [(&str, &str); E],
) -> Result<(), String> {
    show(cargo().args(arguments).envs(environment))
}

/// Runs a command to its end, with its output shown.
pub fn show(command: &mut Command) -> Result<(), String> {
    let status = command
        .status()
        .map_err(|error| format!("{command:?} can't be started: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {status}"))
    }
}
