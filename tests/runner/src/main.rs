//! Runs every check of the repository, in order, and ends with a table and
//! the number of tests passed and failed; writes the C headers. See `--help`.

mod abi;
mod book;
mod cargo;
mod chart;
mod coverage;
mod crates;
mod cross;
mod files;
mod headers;
mod nightly;
mod notices;
mod packages;
mod page;
mod report;
mod reproducible;
mod results;
mod sanitize;
mod size;
mod source;
mod steps;
mod structure;
mod workflows;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use steps::Step;

/// Runs every check of the repository
#[derive(Parser)]
#[command(name = "cargo check-all", bin_name = "cargo check-all", version)]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,

    /// Run this step only; may be given more than once
    #[arg(long = "step", value_name = "STEP", value_enum)]
    steps: Vec<Step>,
}

#[derive(Subcommand)]
enum Task {
    /// Write the C headers in include/ from the sources of crates/ffi
    Headers,
    /// Write include/abi.txt from the installed archive and headers
    Abi,
    /// Write third-party notices and bills of materials into packaging/notices
    Notices,
    /// Draw docs/images/comparison.svg from docs/comparison.csv
    Chart,
    /// Build the tarball of a release in two directories, and compare
    Reproducible,
    /// Measure, and write docs/results.md
    Results(results::Options),
    /// Measure what the archives add to a program, and write docs/size.md
    Size {
        /// Of these alone, the rows of its table of targets
        #[arg(value_enum)]
        targets: Vec<cross::Target>,
    },
    /// Build and test for other processors, with the oldest supported Rust, and
    /// for musl
    Cross {
        /// These only
        #[arg(value_enum)]
        targets: Vec<cross::Target>,
    },
    /// Count the lines and branches of the product that the tests run, and write
    /// docs/quality.md; needs Rust's nightly toolchain
    Coverage(coverage::Options),
    /// Run the tests with the library under AddressSanitizer and
    /// ThreadSanitizer; needs Rust's nightly toolchain
    Sanitize {
        /// These only
        #[arg(value_enum)]
        sanitizers: Vec<sanitize::Sanitizer>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.task {
        Some(Task::Headers) => exit_code(steps::headers::write()),
        Some(Task::Abi) => exit_code(abi::write()),
        Some(Task::Notices) => exit_code(notices::write()),
        Some(Task::Reproducible) => exit_code(reproducible::check()),
        Some(Task::Chart) => exit_code(chart::write()),
        Some(Task::Size { targets }) if targets.is_empty() => exit_code(size::write()),
        Some(Task::Size { targets }) => exit_code(size::write_targets(&targets)),
        Some(Task::Results(options)) => results::run(&options),
        Some(Task::Coverage(options)) => coverage::run(&options),
        Some(Task::Cross { targets }) => cross::run(&targets),
        Some(Task::Sanitize { sanitizers }) if sanitizers.is_empty() => {
            sanitize::run(sanitize::Sanitizer::all())
        }
        Some(Task::Sanitize { sanitizers }) => sanitize::run(&sanitizers),
        None if arguments.steps.is_empty() => steps::run(&Step::all()),
        None => steps::run(&arguments.steps),
    }
}

fn exit_code(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}
