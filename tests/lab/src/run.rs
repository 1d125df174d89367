//! Plays a scenario in a child process and hears how it went.

use std::env;
use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::panic;
use std::process::{Command, ExitCode, Stdio};
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anjay_net_support::cargo::is_installed;
use anjay_net_support::namespace::die_with_parent;

use crate::journal;
use crate::meter::{Figures, Millis};
use crate::scenarios::{ALL, Company, Scenario};

/// Says in the environment of a child which scenario it is to play.
const VARIABLE: &str = "ANJAY_NET_LAB_SCENARIO";

/// The longest scenario takes a third of this on an idle machine.
const LIMIT: Duration = Duration::from_secs(90);

/// How a scenario went.
#[derive(Debug)]
pub struct Report {
    /// Its figures, or what did not hold.
    pub outcome: Result<Figures, String>,
    /// How long the whole of it took.
    pub took: Duration,
}

/// What keeps the lab from working here.
pub fn obstacle() -> Option<String> {
    // SAFETY: takes nothing and always succeeds.
    if unsafe { libc::geteuid() } != 0 {
        return Some("needs root, for network namespaces".into());
    }
    for (program, package) in [("ip", "iproute2"), ("dnsmasq", "dnsmasq-base")] {
        if !is_installed(program) {
            return Some(format!("needs {program} (Debian: {package})"));
        }
    }
    None
}

/// Held by scenarios while they run, for writing by those that must be alone.
static TURN: RwLock<()> = RwLock::new(());

/// Scenarios that mostly wait are played so many at once.
pub const AT_ONCE: usize = 6;

/// Plays all scenarios, [`AT_ONCE`] at once, and tells of each as it ends.
pub fn play_all(mut told: impl FnMut(&'static Scenario, Report)) {
    let next = AtomicUsize::new(0);
    let (tell, reports) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            let (tell, next) = (tell.clone(), &next);
            scope.spawn(move || {
                while let Some(scenario) = ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if tell.send((scenario, scenario.play())).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        for (scenario, report) in reports {
            told(scenario, report);
        }
    });
}

impl Scenario {
    /// Plays the scenario in a process and a network of its own. Waits for
    /// others if one of them would disturb another.
    pub fn play(&self) -> Report {
        let (_shared, _alone);
        match self.company {
            Company::Others => _shared = TURN.read(),
            Company::None => _alone = TURN.write(),
        }
        let start = Instant::now();
        let outcome = self
            .play_in_child()
            .unwrap_or_else(|error| Err(format!("the scenario could not be played: {error}")));
        Report {
            outcome,
            took: start.elapsed(),
        }
    }

    fn play_in_child(&self) -> io::Result<Result<Figures, String>> {
        let mut command = Command::new(env::current_exe()?);
        command
            .env(VARIABLE, self.name)
            // Panics in there are failed checks: the line says it all.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // SAFETY: between fork and exec only prctl(2) is called.
        unsafe { command.pre_exec(die_with_parent) };
        let mut child = command.spawn()?;
        let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
        let (told, ended) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut text = String::new();
                let _ = stdout.as_mut().map(|pipe| pipe.read_to_string(&mut text));
                let _ = told.send(text);
            });
            let errors = scope.spawn(move || {
                let mut bytes = Vec::new();
                let _ = stderr.as_mut().map(|pipe| pipe.read_to_end(&mut bytes));
                String::from_utf8_lossy(&bytes).into_owned()
            });
            let text = ended.recv_timeout(LIMIT);
            if text.is_err() {
                child.kill()?;
            }
            let status = child.wait()?;
            let errors = errors.join().unwrap_or_default();
            Ok(match text {
                Err(_) => Err(format!("still not done after {LIMIT:?}\n{errors}")),
                Ok(_) if !status.success() => Err(format!("{}\n{status}", errors.trim())),
                Ok(text) => serde_json::from_str(&text)
                    .map_err(|error| format!("{error} in {text:?}\n{errors}")),
            })
        })
    }
}

/// Plays the scenario that the environment asks for, if it does: then this is
/// the child process of a [`Scenario::play`], and the program should end with
/// what this gives. To be called before the program starts any thread.
#[must_use]
pub fn child_main() -> Option<ExitCode> {
    let name = env::var(VARIABLE).ok()?;
    let Some(scenario) = ALL.iter().find(|scenario| scenario.name == name) else {
        eprintln!("no scenario {name}");
        return Some(ExitCode::FAILURE);
    };
    journal::open();
    go_first();
    Some(match panic::catch_unwind(scenario.script) {
        Ok(figures) => {
            print!("{}", serde_json::json!(figures));
            ExitCode::SUCCESS
        }
        Err(_) => {
            for line in journal::take().iter().rev().take(40).rev() {
                eprintln!("log: {line}");
            }
            ExitCode::FAILURE
        }
    })
}

/// This process goes before all others of the machine, and so do its threads
/// and children: the times it measures are then the library's, whatever else
/// is at work. Where that is forbidden they are what they are.
fn go_first() {
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: a whole `sched_param`.
    let _ = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &priority) };
}

/// Scenarios and their figures as a table of plain text.
pub fn table<'a>(rows: impl IntoIterator<Item = &'a (&'static Scenario, Report)>) -> String {
    let mut text = format!(
        "{:<25} {:>11} {:>8} {:>11} {:>7}  seen\n",
        "scenario", "time", "attempts", "descriptors", "threads"
    );
    for (scenario, report) in rows {
        let [time, attempts, descriptors, threads, seen] = report.cells();
        text += &format!(
            "{:<25} {time:>11} {attempts:>8} {descriptors:>11} {threads:>7}  {seen}\n",
            scenario.name
        );
    }
    text
}

impl Report {
    /// Time, attempts, descriptors, threads, and what was seen, as text.
    pub fn cells(&self) -> [String; 5] {
        match &self.outcome {
            Ok(figures) => [
                figures
                    .time
                    .map_or(String::new(), |time| Millis(time).to_string()),
                figures.attempts.to_string(),
                format!("{} -> {}", figures.descriptors.0, figures.descriptors.1),
                format!("{} -> {}", figures.threads.0, figures.threads.1),
                figures.seen.clone(),
            ],
            Err(problem) => {
                let says = |line: &&str| !line.is_empty() && !line.starts_with("thread ");
                let failed = format!("FAILED: {}", problem.lines().find(says).unwrap_or_default());
                let [time, attempts, descriptors, threads] = [const { String::new() }; 4];
                [time, attempts, descriptors, threads, failed]
            }
        }
    }
}
