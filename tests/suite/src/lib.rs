//! What the tests of this package share: building `libanjay_net.a`, compiling
//! C programs against it, and running them, natively or under valgrind.
//!
//! The tests themselves are C programs in `c/`; each of their cases is a test
//! in cargo's summary, see [`Series`].

mod archive;
mod cases;
mod process;
mod program;
mod target;

pub use anjay_net_support::cargo::{root as workspace_root, target_directory};
pub use archive::{Abi, Archive};
pub use cases::{Selection, Series};
pub use process::{Guard, Lines};
pub use program::{Case, CheckedBy, Dialect, Program, Sources};
pub use target::{HOST, Target};

use std::path::{Path, PathBuf};

use anjay_net_support::cargo;

/// The directory of the C sources.
pub fn c_sources() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("c")
}

/// The C files in this directory, itself below `c/`: what [`Sources`] calls them.
///
/// # Panics
///
/// When it can't be read.
pub fn c_files(directory: &str) -> Vec<String> {
    let entries = c_sources().join(directory).read_dir();
    let mut files: Vec<String> = entries
        .expect("the sources are readable")
        .map(|entry| entry.expect("the sources are readable").file_name())
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.ends_with(".c"))
        .map(|name| Path::new(directory).join(name).display().to_string())
        .collect();
    files.sort();
    files
}

/// Ends the test with the command that installs what it needs, unless
/// `program` can be run.
///
/// # Panics
///
/// When the program is not in `PATH`.
pub fn require_program(program: &str, debian_package: &str) {
    assert!(
        cargo::is_installed(program),
        "{program} is missing; run: apt-get install --yes {debian_package}"
    );
}

/// As [`require_program`], for a C header in the system's directories.
///
/// # Panics
///
/// When the header is not there.
pub fn require_header(header: &str, debian_package: &str) {
    let found = ["/usr/include", "/usr/local/include"]
        .iter()
        .any(|directory| Path::new(directory).join(header).is_file());
    assert!(
        found,
        "{header} is missing; run: apt-get install --yes {debian_package}"
    );
}
