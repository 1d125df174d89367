//! The tarball of a release, built twice: in other directories and with the crates
//! in other places, as by two users.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anjay_net_support::cargo::{cargo, output, root, target_directory};

use crate::cargo::show;
use crate::files;

/// Whether both are the same, byte by byte.
pub fn check() -> Result<(), String> {
    let place = target_directory().join("reproducible");
    if place.exists() {
        fs::remove_dir_all(&place).map_err(|error| error.to_string())?;
    }
    let builds = [place.join("a"), place.join("another/directory")];
    let mut sums = Vec::new();
    for directory in &builds {
        sums.push(
            build(directory).map_err(|problem| format!("{}: {problem}", directory.display()))?,
        );
    }
    print!("{}", sums[0]);
    if sums[0] == sums[1] {
        println!("both builds are the same");
        return Ok(());
    }
    Err(format!(
        "the builds in {} and {} differ",
        builds[0].display(),
        builds[1].display()
    ))
}

/// Builds what git knows there; the checksums of the packages.
fn build(directory: &Path) -> Result<String, String> {
    files::make(directory)?;
    let files = output(Command::new("git").args(["ls-files"]).current_dir(root()))?;
    for file in files.lines().map(Path::new) {
        let to = directory.join(file);
        let parent = to.parent().unwrap_or(directory);
        fs::create_dir_all(parent)
            .and_then(|()| fs::copy(root().join(file), &to))
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let commit_time = output(
        Command::new("git")
            .args(["log", "-1", "--format=%ct"])
            .current_dir(root()),
    )?;
    show(
        Command::new("make")
            .arg("dist")
            .arg(format!("CARGO={}", cargo().get_program().to_string_lossy()))
            .env("CARGO_HOME", crates_below(directory)?)
            .env("SOURCE_DATE_EPOCH", commit_time.trim())
            .current_dir(directory),
    )?;
    files::read(directory.join("target/packages/SHA256SUMS"))
}

/// A home of cargo's with the crates of the real one, under another path.
fn crates_below(directory: &Path) -> Result<PathBuf, String> {
    let real = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let real = real.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let real = real.ok_or("neither CARGO_HOME nor HOME is set")?;
    let home = directory.join("target/cargo-home");
    fs::create_dir_all(&home)
        .and_then(|()| symlink(real.join("registry"), home.join("registry")))
        .map_err(|error| error.to_string())?;
    for file in ["config.toml", "config"] {
        if real.join(file).exists() {
            symlink(real.join(file), home.join(file)).map_err(|error| error.to_string())?;
        }
    }
    Ok(home)
}
