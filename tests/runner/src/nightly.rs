//! Rust's nightly toolchain, for what the stable one has not.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anjay_net_support::cargo::root;

const NIGHTLY: &str = "+nightly";

/// What is built with it is for this processor only.
pub const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// Its cargo, in the workspace.
pub fn cargo() -> Command {
    // rustup's, as it has to choose another toolchain.
    let mut command = Command::new("cargo");
    command
        .env_remove("RUSTUP_TOOLCHAIN")
        .arg(NIGHTLY)
        .current_dir(root());
    command
}

/// What its compiler prints about itself, asked with these arguments.
pub fn rustc(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("rustc")
        .env_remove("RUSTUP_TOOLCHAIN")
        .arg(NIGHTLY)
        .args(arguments)
        .stderr(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        _ => Err(
            "this needs Rust's nightly toolchain; run: rustup toolchain install nightly".to_owned(),
        ),
    }
}

/// Where it has its libraries.
pub fn libraries() -> Result<PathBuf, String> {
    rustc(&["--print", "target-libdir", "--target", TRIPLE]).map(PathBuf::from)
}

/// That it has the source of the standard library.
pub fn source() -> Result<(), String> {
    let root = PathBuf::from(rustc(&["--print", "sysroot"])?);
    match root.join("lib/rustlib/src/rust/library").is_dir() {
        true => Ok(()),
        false => Err(
            "this needs the source of the standard library; run: rustup toolchain install \
             nightly --component rust-src"
                .to_owned(),
        ),
    }
}
