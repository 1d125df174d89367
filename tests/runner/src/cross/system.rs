//! The systems that the library is compiled for and no more: here is nothing to
//! link or to run their programs with.
//!
//! Debian has no standard library for them, so cargo compiles it from its source
//! as well.

use clap::ValueEnum;

use super::Check;
use crate::cargo::show;

/// A system beside Linux with glibc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// Linux with musl, on x86-64: type-checked only
    Musl,
    /// FreeBSD, on x86-64: type-checked only
    Freebsd,
    /// macOS, on 64-bit Arm: type-checked only
    Macos,
}

impl System {
    /// What the report calls it.
    pub fn name(self) -> &'static str {
        match self {
            System::Musl => "musl",
            System::Freebsd => "FreeBSD",
            System::Macos => "macOS",
        }
    }

    /// Rust's name.
    fn triple(self) -> &'static str {
        match self {
            System::Musl => "x86_64-unknown-linux-musl",
            System::Freebsd => "x86_64-unknown-freebsd",
            System::Macos => "aarch64-apple-darwin",
        }
    }

    /// That the library's crates compile for it, in both forms.
    pub(super) fn check(self, check: &Check) -> Result<(), String> {
        for features in [[].as_slice(), &["--features", "avs-commons-4"]] {
            let mut command = check.cargo();
            command
                .args(["check", "--quiet", "--package", "anjay-net"])
                .args(["--target", self.triple(), "-Zbuild-std=std,panic_unwind"])
                .args(features)
                // To compile the standard library takes what is else a
                // nightly's.
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_PROFILE_DEV_DEBUG", "none");
            show(&mut command)?;
        }
        Ok(())
    }
}
