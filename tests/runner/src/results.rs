//! `docs/results.md`: what was measured, when and on which machine.
//!
//! The page is made of sections, and a run replaces those it measures: some
//! take minutes, some hours.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::process::{Command, ExitCode, Stdio};

use anjay_net_support::cargo::{cargo, output, root};
use clap::{Args, ValueEnum};

const PAGE: &str = "docs/results.md";

const INTRODUCTION: &str = "# Results

Written by `cargo results`: each section has the day, the machine and the command it was
measured with. `cargo results --help` lists the sections; those that take hours are
measured only when they are named.
";

/// One section, in the order of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Section {
    /// Time, system calls, instructions and allocations of each operation
    Performance,
    /// Injected faults, and how soon a call ends that another thread ends
    Faults,
    /// Thousands of sockets on a bad network (hours)
    Soak,
    /// The fuzz targets (hours)
    Fuzzing,
    /// The tests under the sanitizers (half an hour)
    Sanitizers,
    /// Other processors and C libraries (an hour)
    Targets,
}

/// What to measure, and how long.
#[derive(Args)]
pub struct Options {
    /// These only; without any, those that take minutes
    #[arg(value_enum)]
    sections: Vec<Section>,
    /// How long the soak runs
    #[arg(long, default_value_t = 1.0)]
    soak_hours: f64,
    /// How long each fuzz target runs
    #[arg(long, default_value_t = 30)]
    fuzz_minutes: u64,
}

/// The command that was run, and what came out, in Markdown.
type Measured = Result<(String, String), String>;

/// Measures, and writes the page.
pub fn run(options: &Options) -> ExitCode {
    let quick = [Section::Performance, Section::Faults];
    let sections = match options.sections.as_slice() {
        [] => &quick,
        named => named,
    };
    let mut is_complete = true;
    for &section in sections {
        println!("== {}", section.title());
        let written = section.measure(options).and_then(|(command, figures)| {
            let text = format!("{}: `{command}`\n\n{}\n", here()?, figures.trim_end());
            write(section, &text)
        });
        if let Err(problem) = written {
            eprintln!("error: {}: {problem}", section.title());
            is_complete = false;
        }
    }
    ExitCode::from(u8::from(!is_complete))
}

/// Replaces a section of the page.
fn write(section: Section, text: &str) -> Result<(), String> {
    let path = root().join(PAGE);
    let page = with_section(
        &fs::read_to_string(&path).unwrap_or_default(),
        section,
        text,
    );
    fs::write(&path, page).map_err(|error| format!("{PAGE}: {error}"))
}

fn with_section(page: &str, section: Section, text: &str) -> String {
    let mut sections: BTreeMap<Section, &str> = page
        .split("\n## ")
        .skip(1)
        .filter_map(|part| {
            let (title, text) = part.split_once("\n\n")?;
            let all = Section::value_variants().iter();
            let known = all.copied().find(|section| section.title() == title)?;
            Some((known, text))
        })
        .collect();
    sections.insert(section, text);
    sections
        .iter()
        .fold(INTRODUCTION.to_owned(), |page, (section, text)| {
            page + &format!("\n## {}\n\n{}\n", section.title(), text.trim_end())
        })
}

/// The day, and this machine.
fn here() -> Result<String, String> {
    let line = |program: &str, argument: &str| {
        let text = output(Command::new(program).arg(argument));
        text.map(|text| text.trim().to_owned())
    };
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models = processors
        .lines()
        .filter(|line| line.starts_with("model name"));
    let model = models.clone().next().and_then(|line| line.split_once(": "));
    Ok(format!(
        "{}, {} x {}, {}, {}",
        line("date", "+%F")?,
        models.count(),
        model.map_or("an unknown processor", |(_, model)| model),
        line("uname", "-sr")?,
        line("rustc", "--version")?
    ))
}

impl Section {
    fn title(self) -> &'static str {
        match self {
            Section::Performance => "Performance",
            Section::Faults => "Faults and wake-ups",
            Section::Soak => "Soak",
            Section::Fuzzing => "Fuzzing",
            Section::Sanitizers => "Sanitizers",
            Section::Targets => "Processors and systems",
        }
    }

    fn measure(self, options: &Options) -> Measured {
        match self {
            Section::Performance => performance(),
            Section::Faults => faults(),
            Section::Soak => soak(options.soak_hours),
            Section::Fuzzing => fuzzing(options.fuzz_minutes),
            Section::Sanitizers => own("sanitize", "cargo sanitize"),
            Section::Targets => own("cross", "cargo cross-check"),
        }
    }
}

/// What a command printed, also if it failed: that is a result as well.
fn printed(command: &mut Command) -> Result<String, String> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("{command:?} can't be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{text}");
    match output.status.code() {
        // What this program and those of the workspace exit with.
        Some(0 | 1) => Ok(text),
        _ => Err(format!("{command:?}: {}", output.status)),
    }
}

fn table(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: String| format!("| {cells} |\n");
    let start = line(heading.join(" | ")) + &line(vec!["---"; heading.len()].join(" | "));
    rows.into_iter()
        .fold(start, |table, row| table + &line(row.join(" | ")))
}

fn block(text: &str) -> String {
    format!("```text\n{}\n```\n", text.trim_end())
}

fn performance() -> Measured {
    let mut command = cargo();
    let package = ["--package", "anjay-net-bench", "--bin", "perf"];
    command.args(["run", "--release", "--quiet"]).args(package);
    Ok(("cargo perf".to_owned(), printed(&mut command)?))
}

/// What the C programs print: a case, and what it has counted.
fn faults() -> Measured {
    const PROGRAMS: (&str, &str) = ("ANJAY_NET_TEST_PROGRAMS", "faults,wakeups");
    const TEST: &str = "test -p anjay-net-tests --test faults -- --nocapture";
    let mut command = cargo();
    command.args(TEST.split(' ')).env(PROGRAMS.0, PROGRAMS.1);
    let text = printed(&mut command)?;
    let (mut faults, mut wakeups) = (Vec::new(), BTreeMap::new());
    for (case, counted) in text.lines().filter_map(|line| line.split_once(": ")) {
        if let Some((faults_of, without)) = counted.split_once(" faults, ") {
            let without = without.split(' ').next().unwrap_or_default();
            if faults_of != "0" {
                faults.push(
                    [&format!("`{case}`"), faults_of, without]
                        .map(str::to_owned)
                        .to_vec(),
                );
            }
        } else if counted.ends_with(" us") {
            let medians: &mut Vec<&str> = wakeups.entry(format!("`{case}`")).or_default();
            medians.push(counted);
        }
    }
    faults.sort();
    let wakeups = wakeups.into_iter();
    let wakeups = wakeups.map(|(case, medians)| vec![case, medians.join("; ")]);
    let faults = table(&["call", "faults", "calls that did without"], faults);
    let wakeups = table(&["case", "medians of 5"], wakeups);
    let command = format!("{}={} cargo {TEST}", PROGRAMS.0, PROGRAMS.1);
    Ok((command, faults + "\n" + &wakeups))
}

fn soak(hours: f64) -> Measured {
    let hours = hours.to_string();
    let mut command = cargo();
    let package = ["--package", "anjay-net-soak"];
    command.args(["run", "--release", "--quiet"]).args(package);
    let text = printed(command.args(["--", "--hours", &hours]))?;
    Ok((format!("cargo soak -- --hours {hours}"), block(&text)))
}

fn fuzzing(minutes: u64) -> Measured {
    let mut rows = Vec::new();
    for target in ["texts", "endpoints", "configurations", "calls", "names"] {
        let mut command = Command::new("cargo");
        command
            .current_dir(root())
            .env_remove("RUSTUP_TOOLCHAIN")
            .args(["+nightly", "fuzz", "run", target, "--"])
            .arg(format!("-max_total_time={}", minutes * 60))
            .args(["-print_final_stats=1", "-max_len=800"])
            .stderr(Stdio::piped());
        let output = command.output();
        let output = output.map_err(|error| format!("{command:?} can't be started: {error}"))?;
        let text = String::from_utf8_lossy(&output.stderr);
        let stat = text
            .lines()
            .find_map(|line| line.strip_prefix("stat::number_of_executed_units: "));
        let Some(executions) = stat else {
            return Err(format!("{command:?}: {text}"));
        };
        let edges = text.lines().rev().find_map(|line| line.split_once("cov: "));
        let edges = edges
            .and_then(|(_, rest)| rest.split(' ').next())
            .unwrap_or("?");
        let end = if output.status.success() {
            "no crash"
        } else {
            "CRASHED"
        };
        println!("{target}: {executions} executions, {end}");
        let figures = [&format!("`{target}`"), executions.trim(), edges, end];
        rows.push(figures.map(str::to_owned).to_vec());
    }
    let command = format!(
        "cargo +nightly fuzz run TARGET -- -max_total_time={}",
        minutes * 60
    );
    Ok((
        command,
        table(&["target", "executions", "edges", "end"], rows),
    ))
}

/// A task of this program: sizes, and the table at its end.
fn own(task: &str, shown: &str) -> Measured {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let text = printed(Command::new(program).arg(task))?;
    let sizes = text.lines().filter(|line| line.starts_with("size: "));
    let sizes = sizes.fold(String::new(), |sizes, line| sizes + line + "\n");
    let end = text.rfind("\nstep ").unwrap_or(0);
    Ok((shown.to_owned(), block(&(sizes + &text[end..]))))
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_section_is_replaced_in_its_place_and_the_others_stay() {
        let page = with_section("", Section::Soak, "long ago\n");
        let page = with_section(&page, Section::Performance, "as large\n\n| a | b |\n");
        let page = with_section(&page, Section::Soak, "today\n");
        assert!(page.starts_with(INTRODUCTION), "{page}");
        let rest = page.trim_start_matches(INTRODUCTION);
        assert_eq!(
            rest,
            "\n## Performance\n\nas large\n\n| a | b |\n\n## Soak\n\ntoday\n"
        );
    }
}
