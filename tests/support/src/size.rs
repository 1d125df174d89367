//! What the archive adds to a C program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::{output, root};

/// How the program is compiled: the linker drops what is not used.
pub const FLAGS: [&str; 4] = [
    "-O2",
    "-ffunction-sections",
    "-fdata-sections",
    "-Wl,--gc-sections",
];

/// Uses every symbol that avs_commons links against.
const ALL: &str = include_str!("../size.c");

const TIMES: &str = include_str!("../times.c");

const NOTHING: &str = "int main(void) { return 0; }\n";

/// A program that uses every symbol, not stripped; `cc` is a C compiler.
///
/// # Errors
/// What went wrong, as text.
pub fn with_symbols(cc: &str, archive: &Path) -> Result<PathBuf, String> {
    link(cc, archive, ("with-symbols", ALL), &[])
}

/// A program that prints what UDP transfers cost, see its source.
///
/// # Errors
/// What went wrong, as text.
pub fn times(cc: &str, archive: &Path) -> Result<PathBuf, String> {
    link(cc, archive, ("times", TIMES), &["-std=gnu11"])
}

fn link(
    cc: &str,
    archive: &Path,
    (name, text): (&str, &str),
    flags: &[&str],
) -> Result<PathBuf, String> {
    let directory = archive.with_file_name("size");
    fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    let program = directory.join(name);
    let source = program.with_extension("c");
    fs::write(&source, text).map_err(|error| error.to_string())?;
    output(
        Command::new(cc)
            .args(FLAGS)
            .args(flags)
            .arg("-I")
            .arg(root().join("include"))
            .arg("-o")
            .args([&program, &source])
            .arg(archive)
            .args(musl_unwinder(archive))
            .args(["-lpthread", "-ldl", "-lm"]),
    )?;
    Ok(program)
}

/// Rust's unwinder for musl, where the archive is for it and Rust has one: that of
/// Debian's compilers for musl is glibc's, and does not link.
fn musl_unwinder(archive: &Path) -> Option<PathBuf> {
    let mut directories = archive.iter().filter_map(|name| name.to_str());
    let target = directories.find(|name| name.contains("-linux-musl"))?;
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", target]);
    let libraries = PathBuf::from(output(&mut rustc).ok()?.trim());
    let unwinder = libraries.join("self-contained/libunwind.a");
    unwinder.is_file().then_some(unwinder)
}

/// Bytes of text and data that an archive adds to a stripped program; `cc` is a C
/// compiler.
///
/// # Errors
/// What went wrong, as text.
pub fn contribution(cc: &str, archive: &Path) -> Result<u64, String> {
    let loaded = |name: &str, text: &str| -> Result<u64, String> {
        let program = link(cc, archive, (name, text), &["-s"])?;
        let size = match cc.strip_suffix("-gcc") {
            // Has a compiler alone; this machine's reads the programs of any processor.
            Some(musl) if musl.contains("musl") => "size".to_owned(),
            None => "size".to_owned(),
            Some(prefix) => format!("{prefix}-size"),
        };
        let text = output(Command::new(size).arg(&program))?;
        // The second line: text, data, bss, and sums.
        let figures = text.lines().nth(1).unwrap_or_default().split_whitespace();
        figures
            .take(2)
            .map(|figure| figure.parse::<u64>().map_err(|error| error.to_string()))
            .sum()
    };
    Ok(loaded("all", ALL)? - loaded("nothing", NOTHING)?)
}
