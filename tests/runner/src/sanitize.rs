//! The tests with the library built under a sanitizer, which finds what a test
//! that passes may hide: memory used after it was freed or never freed, and
//! threads that race.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anjay_net_support::cargo::target_directory;
use clap::ValueEnum;

use crate::cargo;
use crate::nightly;
use crate::report::{Counts, Report};
use crate::steps::tests;

/// What watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sanitizer {
    /// AddressSanitizer with LeakSanitizer
    Address,
    /// ThreadSanitizer
    Thread,
}

/// Tests whose connect(2) ThreadSanitizer takes for a change of a descriptor that others
/// use.
const TAKEN_FOR_RACES: [&str; 3] = [
    "the_udp_server_can_be_used_while_it_accepts",
    "close_wakes_a_receive_that_waited_before_another_thread_accepted",
    "a_receive_that_waits_goes_on_at_the_udp_servers_successor",
];

impl Sanitizer {
    pub fn all() -> &'static [Sanitizer] {
        Sanitizer::value_variants()
    }

    fn name(self) -> &'static str {
        match self {
            Sanitizer::Address => "address",
            Sanitizer::Thread => "thread",
        }
    }

    fn steps() -> [(&'static str, Step); 2] {
        [
            ("Rust tests", Sanitizer::rust_tests),
            ("C programs", Sanitizer::c_tests),
        ]
    }

    /// The crates of Rust's own that are compiled with it: one that does not see how the
    /// standard library's locks and threads wait takes that for races.
    fn build_std(self) -> Option<&'static str> {
        (self == Sanitizer::Thread).then_some("std,panic_unwind,test")
    }

    fn flags(self) -> String {
        // The standard library that comes with the toolchain knows nothing of
        // AddressSanitizer, which rustc would take for a mistake.
        format!(
            "-Zsanitizer={} -Cunsafe-allow-abi-mismatch=sanitizer",
            self.name()
        )
    }

    /// The library that programs link which rustc does not link itself.
    fn runtime(self) -> Result<PathBuf, String> {
        let file = match self {
            Sanitizer::Address => "librustc-nightly_rt.asan.a",
            Sanitizer::Thread => "librustc-nightly_rt.tsan.a",
        };
        let path = nightly::libraries()?.join(file);
        if path.is_file() {
            Ok(path)
        } else {
            Err(format!("{} is not there", path.display()))
        }
    }

    fn cargo(self) -> Command {
        let mut command = nightly::cargo();
        command
            .args(["test", "--no-fail-fast"])
            .env(
                "CARGO_TARGET_DIR",
                target_directory().join("sanitize").join(self.name()),
            )
            // Everything takes many times longer.
            .env("ANJAY_NET_TEST_SLOW", "1")
            .env("ASAN_OPTIONS", "detect_stack_use_after_return=1");
        command
    }

    /// The crates' own tests.
    fn rust_tests(self, counts: &mut Counts) -> Result<(), String> {
        let mut command = self.cargo();
        command
            .args(["--lib", "--tests", "--target", nightly::TRIPLE])
            .env("RUSTFLAGS", self.flags());
        if let Some(crates) = self.build_std() {
            command.env("CARGO_UNSTABLE_BUILD_STD", crates);
        }
        cargo::of_packages(&mut command, &cargo::PRODUCT);
        if self == Sanitizer::Thread {
            let skipped = TAKEN_FOR_RACES.iter().flat_map(|test| ["--skip", test]);
            command.arg("--").args(skipped);
        }
        tests::count(&mut command, counts)
    }

    /// Which C programs of which test.
    fn programs(self) -> [(&'static str, &'static str); 2] {
        let behaviour = match self {
            Sanitizer::Address => "",
            // Where threads meet.
            Sanitizer::Thread => "accept,receive,states,threads",
        };
        [("behaviour", behaviour), ("faults", "wakeups,peers")]
    }

    /// The C programs, which link the archive as any other program does.
    fn c_tests(self, counts: &mut Counts) -> Result<(), String> {
        let runtime = self.runtime()?;
        for (test, programs) in self.programs() {
            let mut command = self.cargo();
            command
                .args(["--package", "anjay-net-tests", "--test", test, "--"])
                // Those left out take the place of functions of the C library
                // themselves, or are for another memory checker or archive.
                .args(["--skip", "literals::", "--skip", "valgrind"])
                .args(["--skip", "older_abi"])
                .env("ANJAY_NET_TEST_SANITIZER", &runtime)
                .env("ANJAY_NET_TEST_RUSTFLAGS", self.flags())
                // With every function under its own name, for the reports.
                .env("ANJAY_NET_TEST_PROFILE", "dev");
            if let Some(crates) = self.build_std() {
                command.env("ANJAY_NET_TEST_BUILD_STD", crates);
            }
            if !programs.is_empty() {
                command.env("ANJAY_NET_TEST_PROGRAMS", programs);
            }
            tests::count(&mut command, counts)?;
        }
        Ok(())
    }
}

/// Runs the tests under these, prints the table, and says whether all went well.
pub fn run(sanitizers: &[Sanitizer]) -> ExitCode {
    if let Err(problem) = nightly::libraries().and(nightly::source()) {
        eprintln!("error: {problem}");
        return ExitCode::FAILURE;
    }
    let mut report = Report::default();
    for &sanitizer in sanitizers {
        for (what, step) in Sanitizer::steps() {
            let title = format!("{}: {what}", sanitizer.name());
            report.run(&title, |counts| step(sanitizer, counts));
        }
    }
    print!("{report}");
    report.exit_code()
}

type Step = fn(Sanitizer, &mut Counts) -> Result<(), String>;
