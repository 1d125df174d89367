//! The library built and tested for other processors, with the oldest Rust
//! that is supported, and compiled for other systems.

mod gaps;
mod oldest;
mod processor;
mod system;
mod toolchain;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::LazyLock;
use std::time::Instant;

use anjay_net_support::cargo::{artifact, cargo, target_directory};
use anjay_net_support::size;
use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::cargo::{PRODUCT, show};
use crate::packages;
use crate::report::{Counts, Report};
use crate::steps::tests;
use processor::{Processor, Runner};
use system::System;
use toolchain::Toolchain;

/// What the library is built for.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// Linux with glibc on this processor: everything is run.
    Processor(Processor),
    /// Another system: compiled, nothing is run.
    System(System),
}

impl ValueEnum for Target {
    fn value_variants<'a>() -> &'a [Target] {
        static ALL: LazyLock<Vec<Target>> = LazyLock::new(|| {
            let processors = Processor::all().iter().copied().map(Target::Processor);
            let systems = System::value_variants().iter().copied();
            processors.chain(systems.map(Target::System)).collect()
        });
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Target::Processor(processor) => processor.to_possible_value(),
            Target::System(system) => system.to_possible_value(),
        }
    }
}

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
    let processors: Vec<_> = targets
        .iter()
        .filter_map(|target| match target {
            Target::Processor(processor) => Some(*processor),
            Target::System(_) => None,
        })
        .collect();
    let systems: Vec<_> = targets
        .iter()
        .filter_map(|target| match target {
            Target::Processor(_) => None,
            Target::System(system) => Some(*system),
        })
        .collect();
    let mut report = Report::default();
    let done = all_of(&processors, &mut report).and_then(|()| compile_for(&systems, &mut report));
    if let Err(problem) = done {
        eprintln!("error: {problem}");
        report.add("tool chain", std::time::Duration::ZERO, Err(problem));
    }
    print!("{report}");
    report.exit_code()
}

/// Compiles for systems whose programs can't be run here.
fn compile_for(systems: &[System], report: &mut Report) -> Result<(), String> {
    if systems.is_empty() {
        return Ok(());
    }
    let place = place();
    let toolchain = set_up(&place, &[])?;
    toolchain.add_source()?;
    let depth = Depth::Layout;
    let check = Check::new(&place, &toolchain, Processor::X86_64, depth);
    for system in systems {
        let start = Instant::now();
        println!("== {}: types; nothing is linked or run", system.name());
        let result = system.check(&check);
        if let Err(problem) = &result {
            eprintln!("error: {problem}");
        }
        let name = format!("{} types, nothing run", system.name());
        report.add(&name, start.elapsed(), result);
    }
    Ok(())
}

fn all_of(processors: &[Processor], report: &mut Report) -> Result<(), String> {
    let place = place();
    let toolchain = set_up(&place, processors)?;
    let mut skipped = 0;
    for &processor in processors {
        let check = Check::new(&place, &toolchain, processor, Depth::Everything);
        println!("== {}: {}", processor.name(), check.runner.name());
        let mut step = |what: &str, action: &dyn Fn(&mut Counts) -> Result<(), String>| {
            let start = Instant::now();
            println!("== {}: {what}", processor.name());
            let mut counts = Counts::default();
            let result = action(&mut counts);
            if let Err(problem) = &result {
                eprintln!("error: {problem}");
            }
            let name = format!("{} {what} ({})", processor.name(), counts.passed);
            report.counts += counts;
            report.add(&name, start.elapsed(), result);
        };
        step("archive", &|_| check.archive());
        step("Rust tests", &|counts| check.rust_tests(counts));
        step("layout", &|counts| check.rust_layout(counts));
        step("C tests", &|counts| check.c_tests(counts));
        if processor == Processor::X86_64 {
            step("whole workspace", &|_| check.workspace());
            step("oldest dependencies", &|counts| {
                check.oldest_dependencies(&place, counts)
            });
        }
        if let Runner::Emulator(_) = check.runner {
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

/// The layout of 32-bit and 64-bit Arm: what of all this fits into every run.
/// Left out where the tool chain can't be had.
pub fn arm_layout(counts: &mut Counts) -> Result<(), String> {
    if !Toolchain::is_available() {
        println!("left out: the tool chain is that of Debian 12, and this is another system");
        return Ok(());
    }
    let processors = [Processor::Armhf, Processor::Aarch64];
    let place = place();
    let toolchain = set_up(&place, &processors)?;
    for processor in processors {
        let check = Check::new(&place, &toolchain, processor, Depth::Layout);
        check.rust_layout(counts)?;
        check.c_layout(counts)?;
    }
    Ok(())
}

/// Where all of it is kept: below the target directory.
fn place() -> PathBuf {
    target_directory().join("cross")
}

fn set_up(place: &Path, processors: &[Processor]) -> Result<Toolchain, String> {
    let packages: Vec<_> = processors.iter().flat_map(|one| one.packages()).collect();
    packages::ensure(&packages)?;
    Toolchain::get(&place.join("toolchain"), processors)
}

/// The checks of one processor.
struct Check {
    rustc: PathBuf,
    target: PathBuf,
    processor: Processor,
    runner: Runner,
    depth: Depth,
}

impl Check {
    fn new(place: &Path, toolchain: &Toolchain, processor: Processor, depth: Depth) -> Check {
        Check {
            rustc: toolchain.rustc(),
            target: place.join(match depth {
                Depth::Everything => "build",
                Depth::Layout => "build-unoptimised",
            }),
            processor,
            runner: processor.runner(),
            depth,
        }
    }

    /// A cargo command that compiles with the oldest Rust, and knows how to
    /// link and run the processor's programs.
    fn cargo(&self) -> Command {
        let mut command = cargo();
        command
            .env("RUSTC", &self.rustc)
            .env("CARGO_TARGET_DIR", &self.target)
            // Emulation is slow enough.
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
        if self.depth == Depth::Layout {
            command
                .env("CARGO_PROFILE_DEV_OPT_LEVEL", "0")
                .env("CARGO_PROFILE_DEV_DEBUG", "none")
                .env("ANJAY_NET_TEST_PROFILE", "dev");
        }
        if self.processor != Processor::X86_64 {
            let name = self.processor.triple().to_uppercase().replace('-', "_");
            command
                .env(format!("CARGO_TARGET_{name}_LINKER"), self.processor.cc())
                .env(format!("CARGO_TARGET_{name}_RUNNER"), self.runner.words());
        }
        command
    }

    /// The archive of a release, and what it adds to a program.
    fn archive(&self) -> Result<(), String> {
        let mut command = self.cargo();
        command
            .args(["rustc", "--quiet", "--profile", "dist"])
            .args(["--package", "anjay-net", "--crate-type", "staticlib"])
            .args(["--target", self.processor.triple()]);
        let archive = artifact(&mut command, "libanjay_net.a")?;
        let bytes = size::contribution(&self.processor.cc(), &archive)?;
        println!(
            "size: on {} the archive adds {bytes} bytes of text and data to a program",
            self.processor.name()
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
            .args(["--target", self.processor.triple()]);
        for package in PRODUCT {
            command.args(["--package", package]);
        }
        if let Runner::Emulator(_) = self.runner {
            command.arg("--");
            for test in gaps::rust() {
                command.args(["--skip", test]);
            }
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
        for features in [[].as_slice(), &["--features", "avs-commons-4"]] {
            let mut command = self.cargo();
            command
                .args(["test", "--package", "anjay-net-tests", "--test", "layout"])
                .args(["--target", self.processor.triple()])
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
        if let Runner::Emulator(_) = self.runner {
            for case in gaps::cases() {
                command.args(["--skip", case]);
            }
            let cases: Vec<_> = gaps::cases().collect();
            command.env("ANJAY_NET_TEST_SKIP", cases.join(","));
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
            .env("ANJAY_NET_TEST_TARGET", self.processor.triple())
            .env("ANJAY_NET_TEST_EMULATOR", self.runner.words());
        command
    }
}
