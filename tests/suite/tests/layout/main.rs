//! Every size, offset, enum value, error code, slot and symbol, as C sees
//! them and as Rust sees them, against `abi_facts.csv`, in both directions:
//! nothing differs, and nothing that the header declares is missing from the
//! table.

mod facts;
mod header;
mod rust_side;
mod seen_by_c;

use std::collections::BTreeSet;
use std::process::Command;

use anjay_net_tests::{Abi, Archive, Dialect, HOST, workspace_root};
use facts::{Kind, facts, facts_of};

fn header_text() -> String {
    let path = workspace_root().join("include/anjay_net_abi.h");
    std::fs::read_to_string(path).expect("the header is readable")
}

fn compare(expected: &facts::Facts, seen: &facts::Facts, who: &str) {
    for (fact, value) in expected {
        let found = seen.get(fact);
        assert_eq!(found, Some(value), "{fact:?} as seen by {who}");
    }
    for fact in seen.keys() {
        assert!(
            expected.contains_key(fact),
            "{fact:?} is seen by {who}, but not in abi_facts.csv"
        );
    }
}

#[test]
fn c_sees_the_facts() {
    let expected = facts(Abi::Commons5);
    compare(
        &expected,
        &seen_by_c::layout(&expected, Dialect::C, Abi::Commons5),
        "C",
    );
}

#[test]
fn cpp_sees_the_facts() {
    let expected = facts(Abi::Commons5);
    compare(
        &expected,
        &seen_by_c::layout(&expected, Dialect::Cpp, Abi::Commons5),
        "C++",
    );
}

#[test]
fn c_sees_the_facts_of_the_older_abi() {
    let expected = facts(Abi::Commons4);
    compare(
        &expected,
        &seen_by_c::layout(&expected, Dialect::C, Abi::Commons4),
        "C",
    );
}

/// The types of the target that this test is compiled for, with the option
/// values that it is compiled for.
#[test]
fn rust_sees_the_facts() {
    let abi = if cfg!(feature = "avs-commons-4") {
        Abi::Commons4
    } else {
        Abi::Commons5
    };
    let mut expected = facts_of(HOST, abi);
    expected.retain(|(kind, _), _| *kind != Kind::Symbol);
    compare(&expected, &rust_side::layout(), "Rust");
}

#[test]
fn the_header_declares_nothing_beyond_the_facts() {
    let expected: BTreeSet<_> = facts(Abi::Commons5).into_keys().collect();
    let declared = header::declared(&header_text());
    let unknown: Vec<_> = declared.difference(&expected).collect();
    assert!(
        unknown.is_empty(),
        "declared, but not in abi_facts.csv: {unknown:#?}"
    );
    let undeclared: Vec<_> = expected.difference(&declared).collect();
    assert!(
        undeclared.is_empty(),
        "in abi_facts.csv, but not declared: {undeclared:#?}"
    );
}

#[test]
fn each_errno_has_the_code_named_after_it() {
    let numbers = seen_by_c::errnos(&facts(Abi::Commons5));
    assert!(numbers.len() > 60, "only {} errnos", numbers.len());
    for (&number, &code) in &numbers {
        let mapped = anjay_net::errno::code_of_errno(number) as i64;
        assert_eq!(mapped, code, "errno {number}");
    }
    for number in (-200..5000).filter(|number| *number != 0 && !numbers.contains_key(number)) {
        let mapped = anjay_net::errno::code_of_errno(number) as i64;
        assert_eq!(mapped, 65535, "errno {number} has no entry");
    }
    assert_eq!(anjay_net::errno::code_of_errno(0) as i64, 0);
}

/// The symbols with our names that the archive defines for others.
fn exported(abi: Abi) -> BTreeSet<String> {
    let archive = Archive::get(abi);
    let output = Command::new("nm")
        .args(["--defined-only", "--extern-only", "--format=just-symbols"])
        .arg(archive.path())
        .output()
        .expect("nm can be started");
    assert!(output.status.success(), "nm failed: {}", output.status);
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|name| name.starts_with("avs_") || name.starts_with("_avs_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_archive_exports_the_symbols_and_no_other_of_that_kind() {
    let expected: BTreeSet<String> = facts(Abi::Commons5)
        .into_keys()
        .filter(|(kind, _)| *kind == Kind::Symbol)
        .map(|(_, name)| name)
        .collect();
    assert_eq!(exported(Abi::Commons5), expected);
    assert_eq!(exported(Abi::Commons4), expected);
}
