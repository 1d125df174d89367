//! What the archives add to a C program, and where the bytes are: `docs/size.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anjay_net_support::cargo::{cargo, output, root, target_directory};
use anjay_net_support::size;

use crate::chart;
use crate::cross::Target;
use crate::files;
use crate::page;

const PAGE: &str = "docs/size.md";

/// Between these lines the page is this program's.
const BEGIN: &str = "<!-- Written by `cargo size`. -->\n";
const END: &str = "<!-- End of what `cargo size` writes. -->\n";

/// Between these lines is the table of `cargo size TARGET...`.
const TARGETS_BEGIN: &str = "<!-- Rows written by `cargo size TARGET`. -->\n";
const TARGETS_END: &str = "<!-- End of the targets. -->\n";

/// Functions in the table of each archive.
const FUNCTIONS: usize = 25;

/// By so many percent an archive may differ from its figure.
const TOLERANCE: u64 = 2;

/// An archive that `make` builds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Build {
    Ordinary,
    Small,
    /// The small one without what only people look at.
    Least,
}

/// What is left out of [`Build::Least`].
pub const LEFT_OUT: &str = "without-log-lines,without-captures";

impl Build {
    const ALL: [Build; 3] = [Build::Ordinary, Build::Small, Build::Least];

    fn command(self) -> String {
        match self {
            Build::Ordinary => "make install".to_owned(),
            Build::Small => "make install SMALL=1".to_owned(),
            Build::Least => format!("make install SMALL=1 FEATURES={LEFT_OUT}"),
        }
    }

    /// The compiler of this machine that builds it, such as `rustc 1.95.0`.
    fn compiler(self) -> Result<String, String> {
        let rustc = match self {
            Build::Ordinary => "rustc".to_owned(),
            Build::Small | Build::Least => output(
                Command::new(root().join("packaging/rustc-with-source.sh"))
                    .arg(target_directory().join("small-toolchain")),
            )?,
        };
        let version = output(Command::new(rustc.trim()).arg("--version"))?;
        Ok(version.split(' ').take(2).collect::<Vec<_>>().join(" "))
    }

    /// Builds it; the path of the archive.
    fn make(self) -> Result<PathBuf, String> {
        self.make_with(&mut Command::new("make"), &target_directory(), "", "")
    }

    /// Builds it below a directory by that `make`, for a target of rustc's and with the
    /// tools of that prefix; both empty for this machine.
    fn make_with(
        self,
        make: &mut Command,
        build: &Path,
        target: &str,
        tools: &str,
    ) -> Result<PathBuf, String> {
        let (small, features, directory) = match self {
            Build::Ordinary => ("0", "", build.to_owned()),
            Build::Small => ("1", "", build.join("small")),
            Build::Least => ("1", LEFT_OUT, build.join("small").join(LEFT_OUT)),
        };
        output(
            make.current_dir(root())
                .arg("--silent")
                .arg(format!("SMALL={small}"))
                .arg(format!("FEATURES={features}"))
                .arg(format!("TARGET={target}"))
                .arg(format!("CROSS_COMPILE={tools}"))
                .arg(format!("BUILD_DIR={}", build.display()))
                .arg(format!("CARGO={}", cargo().get_program().to_string_lossy())),
        )?;
        Ok(directory.join(target).join("install/libanjay_net.a"))
    }

    /// What it adds to a program of that target.
    pub fn added_on(self, target: Target) -> Result<u64, String> {
        if target.is_own() {
            return size::contribution("cc", &self.make()?);
        }
        self.added_with(&mut Command::new("make"), &target_directory(), target)
    }

    /// The same of the archive that is built below a directory by that `make`.
    pub fn added_with(
        self,
        make: &mut Command,
        build: &Path,
        target: Target,
    ) -> Result<u64, String> {
        let archive = self.make_with(make, build, target.triple(), &target.tools())?;
        size::contribution(&target.cc(), &archive)
    }
}

/// The archive that `make` builds and installs, built where it is not up to date.
pub fn ordinary_archive() -> Result<PathBuf, String> {
    Build::Ordinary.make()
}

/// Measures, and writes the figures into the page and the picture.
pub fn write() -> Result<(), String> {
    let mut text = String::from(
        "| archive | compiler | bytes of text and data that it adds |\n| --- | --- | --- |\n",
    );
    let mut times = String::from(
        "\n| archive | UDP send of 100 B, to raw | UDP receive of 100 B, to raw |\n\
         | --- | --- | --- |\n",
    );
    let mut tables = String::new();
    for build in Build::ALL {
        let archive = build.make()?;
        let bytes = size::contribution("cc", &archive)?;
        println!("{}: {bytes} bytes", build.command());
        text += &row(build, &build.compiler()?, bytes);
        times += &times_row(build, &archive)?;
        if build != Build::Least {
            tables += &where_the_bytes_are(build, &archive)?;
        }
    }
    let text = format!("\n{text}{times}{tables}\n");
    page::replace(PAGE, BEGIN, END, |_| text)?;
    chart::write()
}

/// Measures both archives for each of the targets, and writes their rows into the
/// page's table; the rows of others stay.
pub fn write_targets(targets: &[Target]) -> Result<(), String> {
    for target in targets {
        let [ordinary, small] = [Build::Ordinary, Build::Small].map(|it| it.added_on(*target));
        let compilers = [Build::Ordinary.compiler()?, Build::Small.compiler()?].join(", ");
        let name = target.name();
        let row = format!("| {name} | {} | {} | {compilers} |\n", ordinary?, small?);
        print!("{row}");
        page::replace(PAGE, TARGETS_BEGIN, TARGETS_END, |table| {
            with_row(table, &row)
        })?;
    }
    Ok(())
}

/// The table with that row, in place of the one that begins with the same cell.
fn with_row(table: &str, row: &str) -> String {
    let cell = |line: &str| line.split('|').nth(1).map(str::to_owned);
    let kept = table.lines().filter(|line| cell(line) != cell(row));
    let table: String = kept.map(|line| format!("{line}\n")).collect();
    // The blank line that ends the table stays at its end.
    let table = table.trim_end();
    format!("\n{}\n{row}\n", table.trim_start())
}

/// That the archive is as large as the page says; left out with another compiler
/// than the page's.
pub fn check(build: Build) -> Result<(), String> {
    let compiler = build.compiler()?;
    let (of, figure) = figure(&files::read(PAGE)?, build).ok_or(format!("{PAGE} has no figure"))?;
    if of != compiler {
        println!("left out: {PAGE} has the figure of {of}, this is {compiler}");
        return Ok(());
    }
    let bytes = size::contribution("cc", &build.make()?)?;
    println!("{}: {bytes} bytes, {PAGE} says {figure}", build.command());
    if bytes.abs_diff(figure) * 100 > figure * TOLERANCE {
        return Err(format!(
            "{}: not the size that {PAGE} has; if that is meant, run: cargo size",
            build.command()
        ));
    }
    Ok(())
}

fn row(build: Build, compiler: &str, bytes: u64) -> String {
    format!("| `{}` | {compiler} | {bytes} |\n", build.command())
}

/// Processor time of transfers, as ratios to plain system calls in the same run.
fn times_row(build: Build, archive: &Path) -> Result<String, String> {
    let text = output(&mut Command::new(size::times("cc", archive)?))?;
    let time = |name: &str| {
        let start = format!("{name}: ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        let number = line.and_then(|number| number.parse::<f64>().ok());
        number.ok_or(format!("no time of {name} in: {text}"))
    };
    Ok(format!(
        "| `{}` | {:.2} | {:.2} |\n",
        build.command(),
        time("send")? / time("send raw")?,
        time("receive")? / time("receive raw")?
    ))
}

/// The compiler and the bytes of the page's row.
fn figure(page: &str, build: Build) -> Option<(String, u64)> {
    let start = format!("| `{}` | rustc ", build.command());
    let line = page.lines().find_map(|line| line.strip_prefix(&start))?;
    let (version, bytes) = line.strip_suffix(" |")?.split_once(" | ")?;
    Some((format!("rustc {version}"), bytes.parse().ok()?))
}

/// The time of a send, to raw, and the bytes that the page has.
pub fn figures_of_the_small_archive() -> Result<[f64; 2], String> {
    let page = files::read(PAGE)?;
    let (_, bytes) = figure(&page, Build::Small).ok_or(format!("{PAGE} has no figure"))?;
    let start = format!("| `{}` | ", Build::Small.command());
    let time = page
        .lines()
        .filter_map(|line| line.strip_prefix(&start)?.split(" | ").next())
        .find_map(|text| text.contains('.').then(|| text.parse().ok())?);
    Ok([time.ok_or(format!("{PAGE} has no time"))?, bytes as f64])
}

fn where_the_bytes_are(build: Build, archive: &Path) -> Result<String, String> {
    let program = size::with_symbols("cc", archive)?;
    let text = output(
        Command::new("nm")
            .args([
                "--print-size",
                "--size-sort",
                "--reverse-sort",
                "--demangle",
            ])
            .arg(program),
    )?;
    let symbols: Vec<(u64, String)> = text.lines().filter_map(symbol).collect();
    let mut crates: BTreeMap<&str, u64> = BTreeMap::new();
    for (bytes, name) in &symbols {
        *crates.entry(crate_of(name)).or_default() += bytes;
    }
    let mut crates: Vec<_> = crates.into_iter().collect();
    crates.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let mut text = format!(
        "\n### `{}`, by crate\n\n| crate | bytes |\n| --- | --- |\n",
        build.command()
    );
    for (name, bytes) in crates.iter().filter(|(_, bytes)| *bytes >= 500) {
        text += &format!("| {name} | {bytes} |\n");
    }
    text += &format!(
        "\n### `{}`, the largest functions\n\n| function | bytes |\n| --- | --- |\n",
        build.command()
    );
    for (bytes, name) in symbols.iter().take(FUNCTIONS) {
        text += &format!("| `{}` | {bytes} |\n", shortened(name));
    }
    Ok(text)
}

/// Bytes and name of a line of nm, unless it takes no room in the file.
fn symbol(line: &str) -> Option<(u64, String)> {
    let mut fields = line.splitn(4, ' ').skip(1);
    let (size, kind, name) = (fields.next()?, fields.next()?, fields.next()?);
    let bytes = u64::from_str_radix(size, 16).ok()?;
    (!kind.eq_ignore_ascii_case("b")).then(|| (bytes, without_hashes(name)))
}

/// The name without the numbers that tell crates of one name apart.
fn without_hashes(name: &str) -> String {
    let is_hash = |text: &str| text.len() > 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut parts = name.split('[');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(']') {
            Some((hash, rest)) if is_hash(hash) => plain += rest,
            _ => plain = plain + "[" + part,
        }
    }
    plain
}

/// The crate whose source the function is from: the first path in its name.
fn crate_of(name: &str) -> &str {
    let Some((path, _)) = name.split_once("::") else {
        return "C";
    };
    let start = path.rfind(|c: char| !c.is_alphanumeric() && c != '_');
    &path[start.map_or(0, |index| index + 1)..]
}

fn shortened(name: &str) -> String {
    const LENGTH: usize = 90;
    let name = name.replace('|', "\\|");
    match name.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name,
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_figure_is_read_as_it_is_written() {
        let (older, newer) = ("rustc 1.95.0", "rustc 1.96.0");
        let ordinary = row(Build::Ordinary, older, 430_000);
        let page = ordinary + &row(Build::Small, newer, 99);
        let expected = |compiler: &str, bytes| Some((compiler.to_owned(), bytes));
        assert_eq!(figure(&page, Build::Ordinary), expected(older, 430_000));
        assert_eq!(figure(&page, Build::Small), expected(newer, 99));
        assert_eq!(figure("", Build::Small), None);
    }

    #[test]
    fn a_row_takes_the_place_of_the_older_one() {
        let page = "before\n<a>\n\n| target |\n| --- |\n| x | 1 |\n| y | 2 |\n\n</a>\nafter\n";
        let written = page::between(page, "<a>\n", "</a>\n", |table| {
            with_row(table, "| x | 3 |\n")
        });
        assert_eq!(
            written.as_deref(),
            Ok("before\n<a>\n\n| target |\n| --- |\n| y | 2 |\n| x | 3 |\n\n</a>\nafter\n")
        );
        assert!(page::between("nothing", "<a>\n", "</a>\n", str::to_owned).is_err());
    }

    #[test]
    fn lines_of_nm() {
        let line =
            "0000000000001000 0000000000000abc t <core[0123456789abcdef]::fmt::Formatter>::pad";
        let (bytes, name) = symbol(line).expect("a function");
        assert_eq!(
            (bytes, name.as_str()),
            (0xabc, "<core::fmt::Formatter>::pad")
        );
        assert_eq!(crate_of(&name), "core");
        assert_eq!(crate_of("<&[u8] as alloc::ffi::Spec>::new"), "alloc");
        assert_eq!(crate_of("main"), "C");
        assert_eq!(
            symbol("0000000000001000 0000000000000010 b anjay_net::LOCK"),
            None
        );
        assert_eq!(symbol("0000000000001000 T main"), None);
    }
}
