//! The static library under test, built once per test process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::{Target, workspace_root};

/// Which option-value layout the archive and the programs are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Abi {
    /// `avs_commons` 5.1 and newer: 32 bytes, the default.
    Commons5,
    /// `avs_commons` 4.1 to 5.0: 16 bytes, feature `avs-commons-4`.
    Commons4,
}

/// A built `libanjay_net.a`.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
}

impl Archive {
    /// The archive of that ABI, built by the first caller.
    ///
    /// # Panics
    ///
    /// When it can't be built.
    pub fn get(abi: Abi) -> &'static Archive {
        static COMMONS_5: OnceLock<Archive> = OnceLock::new();
        static COMMONS_4: OnceLock<Archive> = OnceLock::new();
        match abi {
            Abi::Commons5 => COMMONS_5.get_or_init(|| build(abi)),
            Abi::Commons4 => COMMONS_4.get_or_init(|| build(abi)),
        }
    }

    /// Where the archive is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What a C program must link besides the archive: the system libraries that
/// Rust's standard library uses on Linux.
pub(crate) const SYSTEM_LIBRARIES: [&str; 5] = ["-lpthread", "-ldl", "-lrt", "-lm", "-lgcc_s"];

/// What a program must link when the archive is built under a sanitizer, which
/// `cargo sanitize` says.
pub(crate) fn sanitizer_runtime() -> Option<OsString> {
    std::env::var_os("ANJAY_NET_TEST_SANITIZER")
}

fn build(abi: Abi) -> Archive {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--package", "anjay-net", "--profile"])
        .arg(Target::get().profile())
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(workspace_root())
        .stderr(Stdio::inherit());
    // Flags of the archive's own are not for what builds it.
    let flags = std::env::var_os("ANJAY_NET_TEST_RUSTFLAGS");
    if Target::get().is_foreign() || flags.is_some() {
        command.args(["--target", Target::get().triple()]);
    }
    if let Some(flags) = flags {
        command.env("RUSTFLAGS", flags);
    }
    if abi == Abi::Commons4 {
        // Beside the default build, not over it.
        let target = target_directory().join("avs-commons-4");
        command
            .args(["--features", "avs-commons-4"])
            .arg("--target-dir")
            .arg(target);
    }
    let output = command.output().expect("cargo can be started");
    assert!(
        output.status.success(),
        "{command:?} failed: {}",
        output.status
    );
    // The only quoted string of cargo's messages that ends this way is the
    // artifact's file name.
    let messages = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    let path = messages
        .split('"')
        .find(|text| text.ends_with("/libanjay_net.a"))
        .expect("cargo names the archive it built");
    Archive { path: path.into() }
}

/// The target directory that this test was built in.
///
/// # Panics
///
/// When this is no test.
pub fn target_directory() -> PathBuf {
    let executable = std::env::current_exe().expect("a test knows its own path");
    // <target>/<profile>/deps/<test>
    executable
        .ancestors()
        .nth(3)
        .expect("a test lies three directories below the target directory")
        .to_path_buf()
}
