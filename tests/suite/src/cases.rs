//! Test targets made of C programs: every case is a trial of its own, named
//! `program::case`, or `program::variant::case` where a program runs in more
//! than one way.

use std::env;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;

use libtest_mimic::{Arguments, Trial};

use crate::program::Case;
use crate::{CheckedBy, Program, Sources, Target};

/// All cases of one program, run in one way.
#[derive(Clone, Debug)]
pub struct Series {
    /// What the program is compiled from.
    pub sources: Sources,
    /// The middle of the trials' names; empty for the usual way.
    pub variant: &'static str,
    /// Who watches the cases; valgrind does not watch slow ones.
    pub checked_by: CheckedBy,
    /// Variables of the cases' environment.
    pub environment: &'static [(&'static str, &'static str)],
    /// Cases that are left out.
    pub except: &'static [&'static str],
}

impl Series {
    /// The cases of these sources, run in the usual way.
    pub fn new(sources: Sources) -> Series {
        Series {
            sources,
            variant: "",
            checked_by: CheckedBy::Itself,
            environment: &[],
            except: &[],
        }
    }

    /// The name of the program, which its source file has as well.
    ///
    /// # Panics
    ///
    /// When the source file has none.
    pub fn program(&self) -> &str {
        let stem = self.sources.main.file_stem();
        stem.and_then(|stem| stem.to_str())
            .expect("a source file has a name")
    }

    fn leaves_out(&self, case: &Case) -> bool {
        let is_too_slow = case.is_slow && self.checked_by == CheckedBy::Valgrind;
        is_too_slow || self.except.contains(&case.name.as_str()) || Target::get().skips(&case.name)
    }

    fn trials(&self) -> Vec<Trial> {
        let program = Program::build(&self.sources);
        let cases = program.cases();
        assert!(!cases.is_empty(), "{} has no case", self.program());
        let names: Vec<String> = cases
            .into_iter()
            .filter(|case| !self.leaves_out(case))
            .map(|case| case.name)
            .collect();
        match self.checked_by {
            _ if names.is_empty() => Vec::new(),
            // Its start takes longer than most cases.
            CheckedBy::Valgrind => vec![self.trial("quick_cases", names, &program)],
            CheckedBy::Itself => names
                .into_iter()
                .map(|name| self.trial(&name.clone(), vec![name], &program))
                .collect(),
        }
    }

    fn trial(&self, last: &str, cases: Vec<String>, program: &Arc<Program>) -> Trial {
        let mut name = vec![self.program(), self.variant, last];
        name.retain(|part| !part.is_empty());
        let name = name.join("::");
        let (checked_by, environment) = (self.checked_by, self.environment);
        let program = Arc::clone(program);
        Trial::test(name.clone(), move || {
            let printed = program.run(&cases, checked_by, environment)?;
            if env::args().any(|argument| argument == "--nocapture") {
                printed.lines().for_each(|line| println!("{name}: {line}"));
            }
            Ok(())
        })
    }
}

/// The arguments that cargo passed on. `ANJAY_NET_TEST_PROGRAMS`, with commas
/// between them, are the programs that are built and run; all of them if it is
/// not set.
#[derive(Debug)]
pub struct Selection {
    arguments: Arguments,
    programs: Option<Vec<String>>,
}

impl Selection {
    /// What the command line and the environment ask for.
    pub fn from_args() -> Selection {
        let mut arguments = Arguments::from_args();
        // Many cases mostly wait, so there are more at once than processors.
        let at_once = env::var("RUST_TEST_THREADS").ok();
        let at_once = at_once.and_then(|text| text.parse().ok()).unwrap_or(6);
        arguments.test_threads.get_or_insert(at_once);
        let programs = env::var("ANJAY_NET_TEST_PROGRAMS").ok();
        let programs = programs.map(|names| names.split(',').map(str::to_owned).collect());
        Selection {
            arguments,
            programs,
        }
    }

    /// Whether no program is left out.
    pub fn is_all(&self, series: &[Series]) -> bool {
        series.iter().all(|series| self.wants(series))
    }

    /// Filters with a program's name in them spare building others.
    fn wants(&self, series: &Series) -> bool {
        let Arguments { filter, skip, .. } = &self.arguments;
        let prefix = format!("{}::", series.program());
        let is_named = |filter: &String| !filter.contains("::") || filter.contains(&prefix);
        let is_listed = |all: &Vec<String>| all.iter().any(|name| name == series.program());
        filter.as_ref().is_none_or(is_named)
            && !skip
                .iter()
                .any(|skip| *skip == prefix || skip == series.variant)
            && self.programs.as_ref().is_none_or(is_listed)
    }

    /// Builds the programs, and makes a trial of every case.
    ///
    /// # Panics
    ///
    /// When a program can't be built.
    pub fn trials(&self, series: &[Series]) -> Vec<Trial> {
        let wanted = series.iter().filter(|series| self.wants(series));
        let queue = Mutex::new(wanted.clone());
        let next = || queue.lock().expect("no other panics").next();
        let build = || {
            while let Some(series) = next() {
                Program::build(&series.sources);
            }
        };
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(build);
            }
        });
        wanted.flat_map(Series::trials).collect()
    }

    /// Runs the trials that are asked for.
    pub fn run(&self, trials: Vec<Trial>) -> ExitCode {
        libtest_mimic::run(&self.arguments, trials).exit_code()
    }
}
