//! The static library under test, built once per test process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anjay_net_support::cargo::{self, target_directory};

use crate::Target;

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
pub(crate) fn system_libraries() -> &'static [&'static str] {
    if Target::get().is_musl() {
        // Debian's compiler for musl has the unwinder of glibc, which needs the
        // latter. The small archive never calls it, so the linker may drop it.
        &["-lpthread", "-ldl", "-lrt", "-lm", "-Wl,--gc-sections"]
    } else {
        &["-lpthread", "-ldl", "-lrt", "-lm", "-lgcc_s"]
    }
}

/// What a program must link when the archive is built under a sanitizer, which
/// `cargo sanitize` says.
pub(crate) fn sanitizer_runtime() -> Option<OsString> {
    std::env::var_os("ANJAY_NET_TEST_SANITIZER")
}

/// What a program must link when the archive counts what runs of it, which
/// `cargo coverage` says.
pub(crate) fn profiler_runtime() -> Option<OsString> {
    std::env::var_os("ANJAY_NET_TEST_PROFILER")
}

/// The small archive, which `ANJAY_NET_TEST_SMALL=1` asks for; a panic ends its
/// program.
pub fn is_small() -> bool {
    std::env::var_os("ANJAY_NET_TEST_SMALL").is_some_and(|value| value == "1")
}

/// As `make install SMALL=1` installs it, with the features of `ANJAY_NET_TEST_FEATURES`.
fn build_small(abi: Abi) -> Archive {
    let directory = target_directory();
    let (form, place) = match abi {
        Abi::Commons5 => ("0", "small"),
        Abi::Commons4 => ("1", "small/avs-commons-4"),
    };
    let features = std::env::var("ANJAY_NET_TEST_FEATURES").unwrap_or_default();
    let target = match Target::get() {
        target if target.is_foreign() => target.triple(),
        _ => "",
    };
    let mut command = Command::new("make");
    command
        .current_dir(cargo::root())
        .args(["--silent", "SMALL=1"])
        .arg(format!("AVS_COMMONS_4={form}"))
        .arg(format!("TARGET={target}"))
        .arg(format!("FEATURES={features}"))
        .arg(format!("BUILD_DIR={}", directory.display()))
        .arg(format!(
            "CARGO={}",
            cargo::cargo().get_program().to_string_lossy()
        ));
    cargo::output(&mut command).unwrap_or_else(|problem| panic!("{problem}"));
    Archive {
        path: directory
            .join(place)
            .join(features)
            .join(target)
            .join("install/libanjay_net.a"),
    }
}

fn build(abi: Abi) -> Archive {
    if is_small() {
        return build_small(abi);
    }
    let target = Target::get();
    let mut command = cargo::cargo();
    command
        .args(["build", "--package", "anjay-net", "--profile"])
        .arg(target.profile());
    // Flags of the archive's own are not for what builds it.
    let flags = std::env::var_os("ANJAY_NET_TEST_RUSTFLAGS");
    if target.is_foreign() || flags.is_some() {
        command.args(["--target", target.triple()]);
    }
    if let Some(flags) = flags {
        command.env("RUSTFLAGS", flags);
    }
    // With the standard library, if `cargo sanitize` says so.
    if let Some(crates) = std::env::var_os("ANJAY_NET_TEST_BUILD_STD") {
        command.env("CARGO_UNSTABLE_BUILD_STD", crates);
    }
    if abi == Abi::Commons4 {
        // Beside the default build, not over it.
        command
            .args(["--features", "avs-commons-4", "--target-dir"])
            .arg(target_directory().join("avs-commons-4"));
    }
    let path = cargo::artifact(&mut command, "libanjay_net.a");
    Archive {
        path: path.unwrap_or_else(|problem| panic!("{problem}")),
    }
}
