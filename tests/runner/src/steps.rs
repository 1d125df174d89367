//! The checks, in the order in which they run.

mod beside;
mod dependencies;
mod docs;
pub mod headers;
pub mod tests;
mod unsafe_code;

use std::process::ExitCode;
use std::time::Instant;

use beside::Beside;
use clap::ValueEnum;

use crate::abi;
use crate::cargo;
use crate::crates;
use crate::cross;
use crate::notices;
use crate::packages;
use crate::report::{Counts, Report};
use crate::size;
use crate::structure;
use crate::workflows;

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// The Debian packages that the tests use are there
    Packages,
    /// include/ is what the sources of crates/ffi say
    Headers,
    /// Formatting
    Format,
    /// clippy, no warning allowed
    Clippy,
    /// Unsafe blocks only where they belong, no more than there are reasons for
    Unsafe,
    /// Short files in crates/, and no ring of imports
    Structure,
    /// Pinned actions, least permissions and existing commands in .github/workflows
    Workflows,
    /// Third-party notices and bills of materials are those of Cargo.lock
    Notices,
    /// The published crates have complete metadata, and cargo packages them
    Crates,
    /// Licences and more of the dependencies, if cargo-deny is installed
    Dependencies,
    /// rustdoc, no warning allowed
    Docs,
    /// Links and contents of docs/; spelling and mdBook where installed
    Book,
    /// All tests of the workspace
    Tests,
    /// The Rust side of the feature avs-commons-4; its C side is among the tests
    OlderAbi,
    /// The archive and the headers have the ABI of include/abi.txt
    Abi,
    /// The archive adds as many bytes to a program as docs/size.md says
    Size,
    /// The layout on 32-bit Arm, with the oldest Rust; only when named, see cross-check
    Arm,
    /// The size of the small archive, and the C programs linked with it; only when named
    Small,
}

impl Step {
    /// Every step that `cargo check-all` runs, in order.
    pub fn all() -> Vec<Step> {
        let steps = Step::value_variants().iter().copied();
        steps
            .filter(|step| ![Step::Arm, Step::Small].contains(step))
            .collect()
    }

    fn name(self) -> &'static str {
        match self {
            Step::Packages => "Debian packages",
            Step::Headers => "headers up to date",
            Step::Format => "cargo fmt",
            Step::Clippy => "cargo clippy",
            Step::Unsafe => "unsafe blocks",
            Step::Structure => "structure",
            Step::Workflows => "workflows",
            Step::Notices => "third-party notices",
            Step::Crates => "cargo package",
            Step::Dependencies => "cargo deny",
            Step::Docs => "cargo doc",
            Step::Book => "docs/",
            Step::Tests => "cargo test",
            Step::OlderAbi => "older ABI",
            Step::Abi => "ABI",
            Step::Size => "size of the archive",
            Step::Arm => "layout on Arm",
            Step::Small => "small archive",
        }
    }

    /// What went wrong, if anything; tests also say how many there were.
    fn check(self, counts: &mut Counts) -> Result<(), String> {
        match self {
            Step::Packages => packages::ensure(&packages::FOR_TESTS),
            Step::Headers => headers::check(),
            Step::Format => cargo::run(["fmt", "--all", "--check"], []),
            Step::Clippy => cargo::run(
                [
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--",
                    "-D",
                    "warnings",
                ],
                [],
            ),
            Step::Unsafe => unsafe_code::check(),
            Step::Structure => structure::check(),
            Step::Workflows => workflows::check(),
            Step::Notices => notices::check(),
            Step::Crates => crates::check(),
            Step::Dependencies => dependencies::check(),
            Step::Docs => cargo::run(
                ["doc", "--workspace", "--no-deps"],
                [("RUSTDOCFLAGS", "-D warnings")],
            ),
            Step::Book => docs::check(),
            Step::Tests => tests::run(&["--workspace"], counts),
            Step::OlderAbi => older_abi(counts),
            Step::Abi => abi::check(),
            Step::Size => size::check(size::Build::Ordinary),
            Step::Arm => cross::arm_layout(counts),
            Step::Small => {
                size::check(size::Build::Small)?;
                size::check(size::Build::Least)?;
                small_archive("", &NOT_OF_THE_SMALL_ARCHIVE, counts)?;
                small_archive(size::LEFT_OUT, &LOG_LINES_AND_CAPTURES, counts)?;
                let watch = [
                    "--package",
                    "anjay-net-watch",
                    "--test",
                    "without_observers",
                ];
                let feature = ["--features", "without-observers"];
                tests::run(&[watch.as_slice(), &feature].concat(), counts)
            }
        }
    }

    /// Whether it shares nothing with the others, and can run beside them.
    fn is_apart(self) -> bool {
        self == Step::Arm
    }

    /// Whether the later steps are pointless when this one failed.
    fn is_prerequisite(self) -> bool {
        self == Step::Packages
    }
}

/// What the feature changes for Rust: the layout, and the crate's own tests.
fn older_abi(counts: &mut Counts) -> Result<(), String> {
    let feature = ["--features", "avs-commons-4"];
    let unit = ["--package", "anjay-net", "--lib"];
    tests::run(&[unit.as_slice(), &feature].concat(), counts)?;
    let layout = ["--package", "anjay-net-tests", "--test", "layout"];
    let name = ["--", "rust_sees_the_facts"];
    tests::run(&[layout.as_slice(), &feature, &name].concat(), counts)
}

/// Cases that the small archive fails, as docs/size.md says.
pub const NOT_OF_THE_SMALL_ARCHIVE: [&str; 1] = [
    // Its log lines do not name the source file.
    "avs_log::lines_go_to_avs_log_without_a_handler",
];

/// Cases that look at what [`size::LEFT_OUT`] leaves out.
const LOG_LINES_AND_CAPTURES: [&str; 17] = [
    "avs_log::",
    "capture::",
    "field_datagrams::datagram_that_a_tunnel_has_no_key_for_is_lost",
    "field_datagrams::datagram_that_finds_the_own_queue_full_is_lost",
    "field_datagrams::datagram_that_the_own_firewall_drops_is_lost",
    "field_datagrams::datagram_that_the_own_firewall_rejects_is_lost",
    "field_links::datagrams_are_lost_while_the_way_is_gone",
    "field_links::datagrams_of_a_socket_that_was_bound_are_lost_while_the_way_is_gone",
    "field_links::datagrams_of_an_ipv6_socket_to_ipv4_are_lost_while_the_way_is_gone",
    "field_links::log_handler_may_use_the_socket_that_is_connected_again",
    "field_log::",
    "field_process::helper_threads_block_every_signal",
    "field_replace::send_to_does_not_send_from_a_descriptor_that_came_after_a_close",
    "field_tcp::stream_that_ended_says_so_to_a_log_handler",
    "logging::",
    "pointers::every_pointer_misaligned",
    "pointers::null_for_every_pointer",
];

/// The C programs with the small archive without these features, but for some cases.
fn small_archive(left_out: &str, skipped: &[&str], counts: &mut Counts) -> Result<(), String> {
    let mut command = anjay_net_support::cargo::cargo();
    command
        .args(["test", "--no-fail-fast", "--package", "anjay-net-tests"])
        .args(["--test", "behaviour", "--", "--skip", "valgrind"])
        // The table of coverage names all cases.
        .args(["--skip", "coverage"])
        .args(skipped.iter().flat_map(|case| ["--skip", case]))
        .env("ANJAY_NET_TEST_SMALL", "1")
        .env("ANJAY_NET_TEST_FEATURES", left_out);
    tests::count(&mut command, counts)
}

/// Runs the steps, prints the table, and says whether all went well.
pub fn run(steps: &[Step]) -> ExitCode {
    let mut report = Report::default();
    let mut beside = None;
    for (index, &step) in steps.iter().enumerate() {
        if beside.is_none() && index > 0 && !step.is_prerequisite() {
            beside = steps[index..]
                .iter()
                .find(|step| step.is_apart())
                .map(|&step| Beside::start(step));
        }
        println!("== {}", step.name());
        let start = Instant::now();
        let (result, time) = match beside.take_if(|_| index > 0 && step.is_apart()) {
            Some(beside) => beside.finish(&mut report.counts),
            None => {
                let result = step.check(&mut report.counts);
                (result, start.elapsed())
            }
        };
        let failed = result.is_err();
        report.add(step.name(), time, result);
        if failed && step.is_prerequisite() {
            break;
        }
    }
    print!("{report}");
    report.exit_code()
}
