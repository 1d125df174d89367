//! The oldest version that the manifests allow of every dependency that they name.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anjay_net_support::cargo::root;

/// Makes a workspace of the library's crates alone, with a lock file of its
/// own; gives its directory.
///
/// The tests' own crates are not in it: nobody who uses the library gets them.
pub fn workspace(place: &Path) -> Result<PathBuf, String> {
    let workspace = place.join("oldest-dependencies");
    // What is left of an earlier run.
    let _ = fs::remove_dir_all(&workspace);
    make(&workspace).map_err(|error| format!("{}: {error}", workspace.display()))?;
    // Only nightly knows how to choose them.
    let status = Command::new("rustup")
        .args(["run", "nightly", "cargo", "-Zdirect-minimal-versions"])
        .args(["generate-lockfile", "--quiet"])
        .current_dir(&workspace)
        .env_remove("RUSTUP_TOOLCHAIN")
        .status()
        .map_err(|error| format!("rustup can't be started: {error}"))?;
    if !status.success() {
        return Err("the oldest versions are chosen by a nightly cargo; run: \
                    rustup toolchain install nightly --profile minimal"
            .to_owned());
    }
    Ok(workspace)
}

fn make(workspace: &Path) -> std::io::Result<()> {
    fs::create_dir_all(workspace)?;
    symlink(root().join("crates"), workspace.join("crates"))?;
    let manifest: String = fs::read_to_string(root().join("Cargo.toml"))?
        .lines()
        .map(|line| match line.split_once(" = ") {
            Some(("members", _)) => "members = [\"crates/*\"]\n".to_owned(),
            _ => format!("{line}\n"),
        })
        .collect();
    fs::write(workspace.join("Cargo.toml"), manifest)
}
