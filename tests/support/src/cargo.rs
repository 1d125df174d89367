//! The workspace and what cargo builds of it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The workspace's root directory.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2);
    root.expect("two directories below the root").to_path_buf()
}

/// The target directory that this program was built in.
///
/// # Panics
/// When the program was moved out of it.
pub fn target_directory() -> PathBuf {
    let program = env::current_exe().expect("a program knows its own path");
    // <target>/<profile>/program or <target>/<profile>/deps/test
    let profile = program.ancestors().skip(1).find(|it| !it.ends_with("deps"));
    let target = profile.and_then(Path::parent);
    target.expect("built by cargo").to_path_buf()
}

/// A cargo command in the workspace, by the cargo that started this program.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command of cargo that builds a file of that name; gives its path.
///
/// # Errors
/// What went wrong, as text.
pub fn artifact(command: &mut Command, name: &str) -> Result<PathBuf, String> {
    command
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit());
    let messages = output(command)?;
    // No other quoted text in cargo's messages ends this way.
    let end = format!("/{name}");
    let path = messages.split('"').find(|text| text.ends_with(&end));
    path.map(PathBuf::from)
        .ok_or_else(|| format!("{command:?} built no {name}"))
}

/// Runs a command to its end; gives what it wrote to standard output.
///
/// # Errors
/// What went wrong, as text.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?} can't be started: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let problem = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}\n{problem}", output.status))
}

/// Whether a program is in `PATH`.
pub fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
