//! The library built and tested for other processors, with the oldest Rust
//! that is supported, and for musl.

mod gaps;
mod musl;
mod oldest;
mod target;
mod toolchain;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anjay_net_support::cargo::{cargo, target_directory};
use clap::ValueEnum;

use crate::cargo::{PRODUCT, of_packages, show};
use crate::packages;
use crate::report::{Counts, Report};
use crate::size::Build;
use crate::steps::tests;
use musl::{Linking, Musl};
use target::Runner;
pub use target::Target;
use toolchain::Toolchain;

/// How much is done for each processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// The archive as it is shipped, its size, and all tests.
    Everything,
    /// What tells whether the layout is right, built without optimisation.
    Layout,
}

/// Builds and tests for each of the targets, all if none is named, and ends with
/// the table.
pub fn run(targets: &[Target]) -> ExitCode {
    let targets = match targets {
        [] => Target::value_variants(),
        some => some,
    };
    let mut report = Report::default();
    if let Err(problem) = all_of(targets, &mut report) {
        report.add("tool chain", Duration::ZERO, Err(problem));
    }
    print!("{report}");
    report.exit_code()
}

fn all_of(targets: &[Target], report: &mut Report) -> Result<(), String> {
    let place = target_directory().join("cross");
    let toolchain = set_up(&place, targets)?;
    let mut skipped = 0;
    for &target in targets {
        let name = target.name();
        let mut step = |what: &str, action: &dyn Fn(&mut Counts) -> Result<(), String>| {
            let start = Instant::now();
            println!("== {name}: {what}");
            let mut counts = Counts::default();
            let result = action(&mut counts);
            let row = format!("{name} {what} ({})", counts.passed);
            report.counts += counts;
            report.add(&row, start.elapsed(), result);
        };
        if target.musl().is_some() {
            let musl = Musl::get(&place, &toolchain, target)?;
            step("small archive", &|_| musl.archive());
            step("C tests, shared libraries", &|counts| {
                musl.c_tests(Linking::Dynamic, counts)
            });
            step("C tests, static", &|counts| {
                musl.c_tests(Linking::Static, counts)
            });
            step("Rust tests", &|counts| musl.rust_tests(counts));
            skipped += musl.left_out();
            continue;
        }
        let check = Check::new(&place, &toolchain, target, Depth::Everything);
        println!("== {name}: {}", check.runner.name);
        step("archive", &|_| check.archive());
        step("Rust tests", &|counts| check.rust_tests(counts));
        step("layout", &|counts| check.rust_layout(counts));
        step("C tests", &|counts| check.c_tests(counts));
        if target.is_own() {
            step("whole workspace", &|_| check.workspace());
            step("oldest dependencies", &|counts| {
                check.oldest_dependencies(&place, counts)
            });
        }
        if check.runner.is_emulator() {
            skipped += gaps::cases().count() + gaps::rust().count();
        }
    }
    if skipped > 0 {
        println!("\nLeft out under qemu-user, which has no");
        for gap in &gaps::GAPS {
            println!(
                "  {}: {}",
                gap.what,
                [gap.cases, gap.rust].concat().join(", ")
            );
        }
        println!("together {skipped} tests.");
    }
    Ok(())
}

/// The layout of 32-bit Arm, which is unlike this machine's: what of all this fits
/// into every run.
/// Left out where the tool chain can't be had.
pub fn arm_layout(counts: &mut Counts) -> Result<(), String> {
    if !Toolchain::is_available() {
        println!("left out: the tool chain is that of Debian 12, and this is another system");
        return Ok(());
    }
    let place = target_directory().join("cross");
    let toolchain = set_up(&place, &[Target::Armhf])?;
    let check = Check::new(&place, &toolchain, Target::Armhf, Depth::Layout);
    check.rust_layout(counts)?;
    check.c_layout(counts)
}

/// All of it is kept at that place, below the target directory.
fn set_up(place: &Path, targets: &[Target]) -> Result<Toolchain, String> {
    let packages: Vec<_> = targets.iter().flat_map(|one| one.packages()).collect();
    packages::ensure(&packages)?;
    Toolchain::get(&place.join("toolchain"), targets)
}

/// A cargo command that compiles with the oldest Rust.
fn cargo_at(place: &Path, toolchain: &Toolchain, depth: Depth) -> Command {
    let (folder, optimisation) = match depth {
        Depth::Everything => ("build", "1"),
        Depth::Layout => ("build-unoptimised", "0"),
    };
    let mut command = cargo();
    command
        .env("RUSTC", toolchain.rustc())
        .env("CARGO_TARGET_DIR", place.join(folder))
        // Emulation is slow enough.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", optimisation);
    if depth == Depth::Layout {
        command
            .env("CARGO_PROFILE_DEV_DEBUG", "none")
            .env("ANJAY_NET_TEST_PROFILE", "dev");
    }
    command
}

/// What cargo is told for each form of the option value.
const BOTH_ABIS: [&[&str]; 2] = [&[], &["--features", "avs-commons-4"]];

/// The checks of one processor.
struct Check<'a> {
    place: &'a Path,
    toolchain: &'a Toolchain,
    target: Target,
    runner: Runner,
    depth: Depth,
}

impl<'a> Check<'a> {
    fn new(place: &'a Path, toolchain: &'a Toolchain, target: Target, depth: Depth) -> Check<'a> {
        Check {
            place,
            toolchain,
            target,
            runner: target.names().runner(),
            depth,
        }
    }

    /// A cargo command that knows how to link and run the processor's programs.
    fn cargo(&self) -> Command {
        let mut command = cargo_at(self.place, self.toolchain, self.depth);
        if !self.target.is_own() {
            self.target
                .link_and_run(&mut command, &self.target.cc(), &self.runner.words);
        }
        command
    }

    /// The archive as it is installed, linked, and what it adds to a program.
    fn archive(&self) -> Result<(), String> {
        let mut make = Command::new("make");
        make.env("RUSTC", self.toolchain.rustc());
        let bytes =
            Build::Ordinary.added_with(&mut make, &self.place.join("archive"), self.target)?;
        println!(
            "size: on {} the archive adds {bytes} bytes of text and data to a program",
            self.target.name()
        );
        Ok(())
    }

    /// That everything which `cargo demo` and `cargo perf` need compiles, too.
    fn workspace(&self) -> Result<(), String> {
        show(self.cargo().args(["check", "--quiet", "--workspace"]))
    }

    /// The crates' own tests, run as the processor's programs.
    fn rust_tests(&self, counts: &mut Counts) -> Result<(), String> {
        let mut command = self.cargo();
        command
            .args(["test", "--no-fail-fast", "--lib", "--tests"])
            .args(["--target", self.target.triple()]);
        of_packages(&mut command, &PRODUCT);
        if self.runner.is_emulator() {
            gaps::leave_out_rust(&mut command);
        }
        tests::count(&mut command, counts)
    }

    /// The crates' own tests, with the oldest dependencies.
    fn oldest_dependencies(&self, place: &Path, counts: &mut Counts) -> Result<(), String> {
        let workspace = oldest::workspace(place)?;
        let mut command = self.cargo();
        command
            .args(["test", "--locked", "--no-fail-fast", "--lib", "--tests"])
            .current_dir(&workspace)
            .env("CARGO_TARGET_DIR", workspace.join("target"));
        tests::count(&mut command, counts)
    }

    /// The Rust types, both forms of the option value, by the processor's own
    /// program.
    fn rust_layout(&self, counts: &mut Counts) -> Result<(), String> {
        for features in BOTH_ABIS {
            let mut command = self.cargo();
            command
                .args(["test", "--package", "anjay-net-tests", "--test", "layout"])
                .args(["--target", self.target.triple()])
                .args(features)
                .args(["--", "rust_sees_the_facts"]);
            tests::count(&mut command, counts)?;
        }
        Ok(())
    }

    /// The C programs, compiled for the processor; the tests that compile,
    /// start and watch them are this machine's.
    fn c_tests(&self, counts: &mut Counts) -> Result<(), String> {
        let mut command = self.suite(&["layout", "abis", "behaviour"]);
        // The table of coverage is nothing of the processor's.
        command.args(["--", "--skip", "valgrind", "--skip", "coverage"]);
        if self.runner.is_emulator() {
            gaps::leave_out(&mut command);
        }
        tests::count(&mut command, counts)
    }

    fn c_layout(&self, counts: &mut Counts) -> Result<(), String> {
        tests::count(&mut self.suite(&["layout"]), counts)
    }

    fn suite(&self, names: &[&str]) -> Command {
        let mut command = self.cargo();
        command
            .args(["test", "--no-fail-fast", "--package", "anjay-net-tests"])
            .args(names.iter().flat_map(|name| ["--test", name]))
            .env("ANJAY_NET_TEST_TARGET", self.target.triple())
            .env("ANJAY_NET_TEST_EMULATOR", &self.runner.words);
        command
    }
}
