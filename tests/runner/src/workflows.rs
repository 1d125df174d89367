//! The workflows: actions pinned by commit, least permissions, and commands that
//! the repository has.

use std::collections::BTreeSet;

use anjay_net_support::cargo::root;
use clap::ValueEnum;
use saphyr::{LoadableYamlNode, Yaml};

use crate::files::{read, read_dir};
use crate::steps::Step;

/// Subcommands that a toolchain has, and those that a workflow installs first.
const CARGO: [&str; 5] = ["install", "fuzz", "mutants", "package", "publish"];

/// Whether every workflow keeps the rules.
pub fn check() -> Result<(), String> {
    let commands = Commands::of_the_repository()?;
    let mut problems = Vec::new();
    let mut number = 0;
    for path in read_dir(&root().join(".github/workflows"))? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        problems.extend(
            self::problems(&read(&path)?, &commands)
                .into_iter()
                .map(|problem| format!(".github/workflows/{name}: {problem}")),
        );
        number += 1;
    }
    println!("{number} workflows");
    match problems.as_slice() {
        [] if number > 0 => Ok(()),
        [] => Err("no workflow is there".to_owned()),
        some => Err(some.join("\n")),
    }
}

/// What a workflow may call.
struct Commands {
    aliases: BTreeSet<String>,
    goals: BTreeSet<String>,
}

impl Commands {
    fn of_the_repository() -> Result<Commands, String> {
        Ok(Commands {
            aliases: names(&read(".cargo/config.toml")?, " = "),
            goals: names(&(read("Makefile")? + &read("packaging/packages.mk")?), ":"),
        })
    }

    /// What is wrong with a line of a script, if anything.
    fn problem(&self, line: &str) -> Option<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        for (index, word) in words.iter().enumerate() {
            let is_command = index == 0 || starts_a_command(words[index - 1]);
            let mut rest = words[index + 1..]
                .iter()
                .copied()
                .take_while(|word| !starts_a_command(word) && !word.starts_with(')'));
            match *word {
                "cargo" if is_command => {
                    let is_toolchain = |word: &&str| word.starts_with('+');
                    let arguments: Vec<&str> = rest.skip_while(is_toolchain).collect();
                    let (&command, arguments) = arguments.split_first()?;
                    let is_known = self.aliases.contains(command) || CARGO.contains(&command);
                    if !is_known {
                        return Some(format!("there is no cargo {command}"));
                    }
                    let steps = arguments.windows(2).filter(|pair| pair[0] == "--step");
                    for step in steps.map(|pair| pair[1]) {
                        if Step::from_str(step, false).is_err() {
                            return Some(format!("there is no step {step}"));
                        }
                    }
                }
                "make" if is_command => {
                    let is_goal = |word: &&str| !word.starts_with('-') && !word.contains('=');
                    if let Some(goal) = rest.find(|it| is_goal(it) && !self.goals.contains(*it)) {
                        return Some(format!("there is no make {goal}"));
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// Whether the shell takes the word after this one for a command.
fn starts_a_command(word: &str) -> bool {
    ["&&", "||", "|", ";", "do", "then"].contains(&word) || word.ends_with("$(")
}

/// The words at the start of lines, up to the separator.
fn names(text: &str, separator: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| Some(line.split_once(separator)?.0))
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect()
}

fn problems(text: &str, commands: &Commands) -> Vec<String> {
    let workflow = match Yaml::load_from_str(text) {
        Ok(documents) if documents.len() == 1 => documents.into_iter().next(),
        Ok(_) => None,
        Err(error) => return vec![error.to_string()],
    };
    let Some(workflow) = workflow else {
        return vec!["not one document".to_owned()];
    };
    let mut problems = unpinned(text);
    let no_permissions = workflow.as_mapping_get("permissions");
    if no_permissions.is_none_or(|it| it.as_mapping().is_none_or(|it| !it.is_empty())) {
        problems.push("the workflow itself needs `permissions: {}`".to_owned());
    }
    let jobs = workflow.as_mapping_get("jobs").and_then(Yaml::as_mapping);
    for (name, job) in jobs.into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        for key in ["permissions", "timeout-minutes"] {
            if job.as_mapping_get(key).is_none() {
                problems.push(format!("{name}: no {key}"));
            }
        }
        let steps = job.as_mapping_get("steps").and_then(Yaml::as_sequence);
        for step in steps.into_iter().flatten() {
            let problem = step_problem(step, commands);
            problems.extend(problem.map(|problem| format!("{name}: {problem}")));
        }
    }
    problems
}

/// Actions that are not pinned: a tag may be moved to other code.
fn unpinned(text: &str) -> Vec<String> {
    let uses = text.lines().filter_map(|line| line.split_once("uses: "));
    uses.map(|(_, action)| action)
        .filter(|action| !is_pinned(action))
        .map(|action| format!("{action}: not `owner/name@commit # version`"))
        .collect()
}

fn is_pinned(action: &str) -> bool {
    let parts = action
        .split_once(" # v")
        .and_then(|(action, version)| Some((action.split_once('@')?.1, version)));
    parts.is_some_and(|(commit, version)| {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        commit.len() == 40 && commit.bytes().all(is_hex) && version.split('.').count() == 3
    })
}

fn step_problem(step: &Yaml<'_>, commands: &Commands) -> Option<String> {
    let text = |yaml: &Yaml<'_>, key: &str| {
        yaml.as_mapping_get(key)
            .and_then(Yaml::as_str)
            .map(str::to_owned)
    };
    if text(step, "uses").is_some_and(|action| action.starts_with("actions/checkout@")) {
        let with = step.as_mapping_get("with");
        let persists = with.and_then(|with| with.as_mapping_get("persist-credentials"));
        if persists.and_then(Yaml::as_bool) != Some(false) {
            return Some("checkout without `persist-credentials: false`".to_owned());
        }
    }
    let script = text(step, "run")?;
    if script.contains("${{") {
        return Some(format!(
            "an expression in a script, where it is code; use `env`: {script}"
        ));
    }
    script.lines().find_map(|line| commands.problem(line))
}

#[cfg(test)]
mod unit {
    use super::*;

    const GOOD: &str = "\
permissions: {}
jobs:
  one:
    timeout-minutes: 5
    permissions:
      contents: read
    steps:
      - uses: actions/checkout@0123456789abcdef0123456789abcdef01234567 # v1.2.3
        with:
          persist-credentials: false
      - run: cargo check-all --step format && make -j2 install PREFIX=/usr
      - run: apt-get install make pkg-config && test $( make all ) = all
";

    fn found(text: &str) -> Vec<String> {
        let commands = Commands {
            aliases: names("check-all = \"run\"", " = "),
            goals: names("all install: x\n2:\n", ":"),
        };
        problems(text, &commands)
    }

    #[test]
    fn a_workflow_that_keeps_the_rules_passes() {
        assert_eq!(found(GOOD), [""; 0]);
    }

    #[test]
    fn each_broken_rule_is_told() {
        let broken = [
            ("permissions: {}\n", "", "permissions: {}"),
            (
                "permissions: {}\n",
                "permissions: write-all\n",
                "permissions: {}",
            ),
            ("    timeout-minutes: 5\n", "", "no timeout-minutes"),
            (
                "    permissions:\n      contents: read\n",
                "",
                "no permissions",
            ),
            (
                "@0123456789abcdef0123456789abcdef01234567",
                "@v1",
                "not `owner/name@commit",
            ),
            (" # v1.2.3", "", "not `owner/name@commit"),
            (
                "credentials: false",
                "credentials: true",
                "persist-credentials",
            ),
            (
                "check-all --step format",
                "check-none",
                "no cargo check-none",
            ),
            ("step format", "step none", "no step none"),
            ("install PREFIX", "instal PREFIX", "no make instal"),
            ("PREFIX=/usr", "PREFIX=${{ github.ref }}", "an expression"),
        ];
        for (good, bad, problem) in broken {
            let problems = found(&GOOD.replacen(good, bad, 1));
            assert_eq!(problems.len(), 1, "{bad}: {problems:?}");
            assert!(problems[0].contains(problem), "{bad}: {problems:?}");
        }
    }
}
