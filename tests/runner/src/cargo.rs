//! The cargo that started this program, run again.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The crates that the product is made of.
pub const PRODUCT: [&str; 4] = [
    "anjay-net-stats",
    "anjay-net-resolve",
    "anjay-net-socket",
    "anjay-net",
];

/// Where cargo builds the workspace of `root`.
pub fn target_directory(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    root.join(target)
}

/// How to run cargo in the workspace.
pub struct Cargo {
    root: PathBuf,
}

impl Cargo {
    /// Cargo, run in that directory.
    pub fn at(root: &Path) -> Cargo {
        Cargo {
            root: root.to_path_buf(),
        }
    }

    /// A cargo command without arguments.
    pub fn command(&self) -> Command {
        let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// Runs cargo to its end, with its output shown.
    pub fn run<const A: usize, const E: usize>(
        &self,
        arguments: [&str; A],
        environment: [(&str, &str); E],
    ) -> Result<(), String> {
        let status = self
            .command()
            .args(arguments)
            .envs(environment)
            .status()
            .map_err(|error| format!("cargo can't be started: {error}"))?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("cargo {}: {status}", arguments.join(" ")))
        }
    }
}
