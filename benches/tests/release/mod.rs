//! Goals are those of a release build, whatever a test was built as: the
//! standard library's own assertions cost instructions and system calls.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The program of that name, built with the release profile.
pub(crate) fn perf() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_perf"));
    if !cfg!(debug_assertions) {
        return built.to_owned();
    }
    let target = built.ancestors().nth(2).expect("target/debug/perf");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--bin", "perf"])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the release build failed");
    target.join("release/perf")
}
