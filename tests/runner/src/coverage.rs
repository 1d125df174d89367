//! Which lines and branches of the product the tests run: `docs/quality.md`.

mod lcov;
mod listed;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anjay_net_support::cargo::{is_installed, output, root, target_directory};
use clap::Args;
use serde_json::Value;

use crate::cargo::of_packages;
use crate::files::read_dir;
use crate::nightly;
use crate::page;
use crate::report::Report;
use crate::steps::tests;
use lcov::Coverage;
use listed::Listed;

/// What to do.
#[derive(Args)]
pub struct Options {
    /// Run no test; report what those of the last run left
    #[arg(long)]
    report: bool,
}

/// Lines of the product that the tests run, in percent, at least.
const LINES: f64 = 95.0;

const PAGE: &str = "docs/quality.md";

/// Between these lines the page is this program's.
const BEGIN: &str = "<!-- Written by `cargo coverage`. -->\n";
const END: &str = "<!-- End of what `cargo coverage` writes. -->\n";

/// Packages with tests of the product, apart from the C programs.
const PACKAGES: [&str; 11] = [
    "anjay-net",
    "anjay-net-cli",
    "anjay-net-demo",
    "anjay-net-lab",
    "anjay-net-model",
    "anjay-net-resolve",
    "anjay-net-soak",
    "anjay-net-socket",
    "anjay-net-stats",
    "anjay-net-vtable",
    "anjay-net-watch",
];

/// Tests of C programs, except those of what `make` installs: make builds the
/// archive with flags of its own.
const C_TESTS: [&str; 7] = [
    "abis",
    "behaviour",
    "faults",
    "interop",
    "kernel",
    "layout",
    "watch",
];

/// Runs the tests and writes the page; whether all went well, and enough of the
/// lines ran.
pub fn run(options: &Options) -> ExitCode {
    let tools = match Tools::find() {
        Ok(tools) => tools,
        Err(problem) => {
            eprintln!("error: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let mut report = Report::default();
    if !options.report {
        for leftover in [tools.profiles(), tools.directory.join("c-tests")] {
            // Fails where there is none.
            let _ = fs::remove_dir_all(leftover);
        }
        let parts = [
            ("Rust tests", tools.rust_tests()),
            ("C programs", tools.c_tests()),
        ];
        for (title, mut command) in parts {
            let skip = ["--", "--skip", "valgrind"];
            report.run(title, |counts| tests::count(command.args(skip), counts));
        }
    }
    report.run("report", |_| {
        tools.measure().and_then(|found| write(&found))
    });
    print!("{report}");
    report.exit_code()
}

/// What counts, and what reads the counts.
struct Tools {
    profdata: PathBuf,
    cov: PathBuf,
    /// Linked into C programs.
    runtime: PathBuf,
    /// Everything is built here.
    directory: PathBuf,
}

impl Tools {
    fn find() -> Result<Tools, String> {
        let libraries = nightly::libraries()?;
        let is_runtime = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("libprofiler_builtins-") && name.ends_with(".rlib")
        };
        let runtime = read_dir(&libraries)?.into_iter().find(is_runtime);
        Ok(Tools {
            profdata: tool("llvm-profdata", &libraries)?,
            cov: tool("llvm-cov", &libraries)?,
            runtime: runtime.ok_or("the nightly toolchain has no profiler_builtins")?,
            directory: target_directory().join("coverage"),
        })
    }

    fn profiles(&self) -> PathBuf {
        self.directory.join("profiles")
    }

    /// Cargo, with all that it builds counting. The counters of each program, which
    /// its build ID (`%b`) tells apart, are a file that its processes map (`%c`), so
    /// that those that end by `_exit` or a signal count, too. They count at the same
    /// time: a count that was lost would make lines that ran look as if they had not,
    /// as some counts are differences.
    fn cargo(&self) -> Command {
        let mut command = nightly::cargo();
        command
            .env("CARGO_TARGET_DIR", &self.directory)
            .env(
                "RUSTFLAGS",
                "-Cinstrument-coverage -Zcoverage-options=branch \
                 -Cllvm-args=-runtime-counter-relocation \
                 -Cllvm-args=-instrprof-atomic-counter-update-all",
            )
            .env("LLVM_PROFILE_FILE", self.profiles().join("%b-%m%c.profraw"))
            .env("ANJAY_NET_TEST_PROFILER", &self.runtime)
            // Counting takes time.
            .env("ANJAY_NET_TEST_SLOW", "1")
            // Beside the tests' own, instead of a second time with optimisations.
            .env("ANJAY_NET_TEST_PROFILE", "dev")
            .args(["test", "--no-fail-fast"]);
        command
    }

    fn rust_tests(&self) -> Command {
        let mut command = self.cargo();
        of_packages(&mut command, &PACKAGES);
        command
    }

    fn c_tests(&self) -> Command {
        let mut command = self.cargo();
        command.args(["--package", "anjay-net-tests"]);
        for test in C_TESTS {
            command.args(["--test", test]);
        }
        command
    }

    /// The programs that the tests were.
    fn objects(&self) -> Result<Vec<OsString>, String> {
        let mut objects = Vec::new();
        for mut command in [self.rust_tests(), self.c_tests()] {
            command.args(["--no-run", "--message-format", "json"]);
            for line in output(&mut command)?.lines() {
                let message: Value = serde_json::from_str(line).unwrap_or_default();
                if let Some(path) = message["executable"].as_str() {
                    objects.push(OsString::from(path));
                }
            }
        }
        let mut directories = vec![self.directory.join("c-tests")];
        while let Some(directory) = directories.pop() {
            for path in read_dir(&directory)? {
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_none() {
                    objects.push(path.into_os_string());
                }
            }
        }
        Ok(objects)
    }

    fn measure(&self) -> Result<BTreeMap<String, Coverage>, String> {
        let merged = self.directory.join("all.profdata");
        let mut merge = Command::new(&self.profdata);
        merge.args(["merge", "--sparse", "--output"]).arg(&merged);
        output(merge.args(read_dir(&self.profiles())?))?;
        let mut export = Command::new(&self.cov);
        export
            .args(["export", "--format", "lcov", "--instr-profile"])
            .arg(&merged);
        for (index, object) in self.objects()?.into_iter().enumerate() {
            if index > 0 {
                export.arg("--object");
            }
            export.arg(object);
        }
        let sources = root().join("crates");
        lcov::read(&output(export.arg(sources))?)
    }
}

/// A program of the LLVM that the nightly compiler has: the toolchain's own, or
/// a distribution's with the version in its name.
fn tool(name: &str, libraries: &Path) -> Result<PathBuf, String> {
    let component = libraries.with_file_name("bin").join(name);
    if component.is_file() {
        return Ok(component);
    }
    let version = nightly::rustc(&["--version", "--verbose"])?;
    let version = version.lines().find_map(|line| {
        let version = line.strip_prefix("LLVM version: ")?;
        version.split('.').next()
    });
    let packaged = format!("{name}-{}", version.unwrap_or_default());
    if is_installed(&packaged) {
        return Ok(packaged.into());
    }
    Err(format!(
        "{name} is missing; run: rustup component add --toolchain nightly llvm-tools"
    ))
}

fn write(found: &BTreeMap<String, Coverage>) -> Result<(), String> {
    let mut crates: BTreeMap<&str, Coverage> = BTreeMap::new();
    let mut total = Coverage::default();
    for (file, coverage) in found {
        let name = file.split('/').nth(1).unwrap_or_default();
        crates.entry(name).or_default().add(coverage);
        total.add(coverage);
    }
    let mut table = String::from(
        "| crate | lines | run | | branches | taken | |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (name, coverage) in &crates {
        table += &coverage.row(&format!("`{name}`"));
    }
    table += &total.row("all");
    let listed = Listed::read()?;
    let (text, unlisted) = listed.compare(found)?;
    println!("{table}\n{text}");
    let day = output(Command::new("date").arg("+%F"))?;
    let heading = format!("`cargo coverage`, {}, rustc {}:", day.trim(), version()?);
    let text = text.trim_end();
    page::replace(PAGE, BEGIN, END, |_| {
        format!("\n{heading}\n\n{table}\n{text}\n\n")
    })?;
    if total.lines.percent() < LINES {
        return Err(format!("less than {LINES} % of the lines run"));
    }
    match unlisted.as_slice() {
        [] => Ok(()),
        some => Err(format!(
            "lines that no test runs, without a reason in {}:\n{}",
            listed::FILE,
            some.join("\n")
        )),
    }
}

fn version() -> Result<String, String> {
    let version = nightly::rustc(&["--version"])?;
    Ok(version.trim_start_matches("rustc ").to_owned())
}
