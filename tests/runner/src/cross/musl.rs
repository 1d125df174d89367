//! The library with musl, on this machine's processor. Debian has no Rust for it,
//! so the C programs get the small archive, whose standard library is rebuilt, and
//! the crates' own tests are compiled by rustup's compiler.

use std::path::Path;

use anjay_net_support::cargo::cargo;

use super::target::Target;
use crate::cargo::PRODUCT;
use crate::report::Counts;
use crate::size::Build;
use crate::steps::{NOT_OF_THE_SMALL_ARCHIVE, tests};

/// How C programs are linked with musl.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Linking {
    Dynamic,
    Static,
}

/// What musl's own resolver lacks, or what differs in Debian's compiler for it.
const GAPS: [&str; 4] = [
    // Debian has no C++ compiler for musl.
    "cpp",
    // Before 1.2.4 the resolver does not ask over TCP for what is too long for 512
    // bytes.
    "field_tcp::forty_eight_silent_addresses_share_one_deadline",
    "field_tcp::thousands_of_silent_addresses_hold_no_call",
    // A search domain that fails (SERVFAIL) ends the search.
    "field_names::name_is_found_by_one_of_several_servers_and_domains",
];

/// Programs that put functions of their own in front of the C library's, which
/// takes a shared one.
const NOT_STATIC: [&str; 4] = [
    "field_costs::",
    "field_replace::",
    "field_tcp::",
    "literals::",
];

/// What the small archive adds to a program.
pub fn archive() -> Result<(), String> {
    let bytes = Build::Small.added_on(Target::Musl)?;
    println!("size: on musl the small archive adds {bytes} bytes of text and data to a program");
    Ok(())
}

/// The C programs, but for valgrind, which needs glibc.
pub fn c_tests(linking: Linking, counts: &mut Counts) -> Result<(), String> {
    let mut command = cargo();
    command
        .args(["test", "--no-fail-fast", "--package", "anjay-net-tests"])
        .args(["--test", "layout", "--test", "abis", "--test", "behaviour"])
        .args(["--", "--skip", "valgrind", "--skip", "coverage"])
        .env("ANJAY_NET_TEST_SMALL", "1")
        .env("ANJAY_NET_TEST_TARGET", Target::Musl.triple());
    let mut skipped = [&GAPS[..], &NOT_OF_THE_SMALL_ARCHIVE].concat();
    if linking == Linking::Static {
        skipped.extend(NOT_STATIC);
        command.env("ANJAY_NET_TEST_STATIC", "1");
    }
    for name in skipped {
        command.args(["--skip", name]);
    }
    tests::count(&mut command, counts)
}

/// The crates' own tests, as static programs.
pub fn rust_tests(place: &Path, counts: &mut Counts) -> Result<(), String> {
    let mut command = cargo();
    command
        .args(["test", "--no-fail-fast", "--lib", "--tests"])
        .args(["--target", Target::Musl.triple()])
        .env("CARGO_TARGET_DIR", place.join("musl"));
    for package in PRODUCT {
        command.args(["--package", package]);
    }
    tests::count(&mut command, counts).map_err(|problem| {
        format!(
            "{problem}; its standard library comes with: rustup target add {}",
            Target::Musl.triple()
        )
    })
}
