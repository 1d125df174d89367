//! Trouble beneath and around the library: system calls that fail, memory that
//! runs out, signals without end, processes that fork. C programs that use the
//! archive as any other program does; `docs/reliability.md` says how they do it
//! and what came out.

use std::process::ExitCode;

use anjay_net_tests::{Selection, Series, Sources, c_files};

/// What these programs have beside every program's support code.
const SUPPORT: [&str; 3] = [
    "faults/support/inject.c",
    "faults/support/scenes.c",
    "faults/support/waits.c",
];

/// A heap that is watched, which a sanitizer does itself; and the programs that
/// look at it.
const HEAP: &str = "faults/support/heap.c";
const WITH_HEAP: [&str; 3] = ["faults", "field_memory", "memory"];

fn series(file: &str) -> Series {
    let mut series = Series::new(Sources::c(file));
    series.sources.others = SUPPORT.to_vec();
    if WITH_HEAP.contains(&series.program()) {
        series.sources.others.push(HEAP);
    }
    series
}

fn main() -> ExitCode {
    let mut all = Vec::new();
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        all.extend(c_files("faults").iter().map(|file| series(file)));
    }
    let selection = Selection::from_args();
    selection.run(selection.trials(&all))
}
