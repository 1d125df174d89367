//! What compiled programs rely on, as a C compiler and nm see it in the headers
//! and the installed archive: `include/abi.txt`.

use std::collections::BTreeSet;
use std::process::Command;
use std::slice;

use anjay_net_support::cargo::{output, root, target_directory};

use crate::files;
use crate::size;

const LIST: &str = "include/abi.txt";

const HEAD: &str = "\
# The ABI of libanjay_net.a on x86-64: symbols, prototypes, layouts and values.
# Written by `cargo abi`. `cargo check-all --step abi` fails on a difference; a
# change to this file needs a line in CHANGELOG.md.
";

/// In front of what the headers have for avs_commons 4.1 to 5.0 only, or lack there.
const OLDER: &str = "AVS_COMMONS_4=1:";

/// Whether the list is that of the archive and the headers.
pub fn check() -> Result<(), String> {
    if !cfg!(target_arch = "x86_64") {
        println!("not compared: {LIST} is of x86-64");
        return Ok(());
    }
    let differences = differences(&files::read(LIST)?, &list()?);
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the ABI is not that of {LIST}:\n{}\n\
         If that is meant, run `cargo abi` and add a line to CHANGELOG.md",
        differences.join("\n")
    ))
}

/// Writes the list.
pub fn write() -> Result<(), String> {
    files::write(LIST, &list()?)
}

fn list() -> Result<String, String> {
    let lines = header_lines(&[])?;
    let older = header_lines(&["-DANJAY_NET_AVS_COMMONS_4"])?;
    let mut text = HEAD.to_owned();
    for line in lines.into_iter().chain(symbols()?) {
        text += &format!("{line}\n");
    }
    for line in differences(&text, &(HEAD.to_owned() + &older.join("\n"))) {
        if !line.starts_with("- symbol ") {
            text += &format!("{OLDER} {line}\n");
        }
    }
    Ok(text)
}

/// Lines that only one of the texts has: `-` before those of the first.
fn differences(first: &str, second: &str) -> Vec<String> {
    let (a, b): (BTreeSet<_>, BTreeSet<_>) = (first.lines().collect(), second.lines().collect());
    let gone = first.lines().filter(|line| !b.contains(line));
    let new = second.lines().filter(|line| !a.contains(line));
    gone.map(|line| format!("- {line}"))
        .chain(new.map(|line| format!("+ {line}")))
        .collect()
}

/// The archive's symbols, without those of Rust's runtime, which are weak or have
/// the name of their crate.
fn symbols() -> Result<Vec<String>, String> {
    let archive = size::ordinary_archive()?;
    let text = output(
        Command::new("nm")
            .args(["--defined-only", "--extern-only", "--format=just-symbols"])
            .arg(archive),
    )?;
    let ours = ["_avs_", "avs_", "anjay_net_"];
    let names: BTreeSet<_> = text
        .lines()
        .filter(|name| ours.iter().any(|start| name.starts_with(start)))
        .collect();
    if names.is_empty() {
        return Err("nm shows no symbol of the archive".to_owned());
    }
    Ok(names.iter().map(|name| format!("symbol {name}")).collect())
}

/// What the headers declare, with the values that a C compiler gives them.
fn header_lines(flags: &[&str]) -> Result<Vec<String>, String> {
    let directory = target_directory().join("abi");
    let probe = directory.join("probe.c");
    let includes = "#include <anjay_net.h>\n#include <anjay_net_abi.h>\n";
    files::write(&probe, includes)?;
    let mut cc = Command::new("cc");
    cc.args(flags)
        .args(["-E", "-dD", "-I"])
        .arg(root().join("include"))
        .arg(&probe);
    let declared = declarations(&of_our_headers(&output(&mut cc)?));
    let program = directory.join("probe");
    files::write(&probe, &format!("{includes}{}", printer(&declared)))?;
    let mut cc = Command::new("cc");
    cc.args(flags)
        .arg("-I")
        .arg(root().join("include"))
        .arg("-o")
        .args([&program, &probe]);
    output(&mut cc)?;
    let text = output(&mut Command::new(program))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Of preprocessed text, the lines that are from `include/`.
fn of_our_headers(preprocessed: &str) -> String {
    let mut text = String::new();
    let mut ours = false;
    for line in preprocessed.lines() {
        if line.starts_with("# ") {
            ours = line.contains("include/anjay_net");
        } else if ours {
            text += &format!("{line}\n");
        }
    }
    text
}

#[derive(Debug, PartialEq, Eq)]
enum Declared {
    /// A macro with a value.
    Define(String),
    /// A function or a type of one, or an opaque type.
    Text(String),
    /// `struct` or `union`, the name of its typedef, and its fields.
    Record(String, Vec<String>),
    /// The name of its typedef, and its constants.
    Enum(String, Vec<String>),
}

fn declarations(text: &str) -> Vec<Declared> {
    let is_directive = |line: &&str| line.starts_with('#');
    let mut found: Vec<_> = text
        .lines()
        .filter_map(|line| {
            let (name, value) = line.strip_prefix("#define ")?.split_once(' ')?;
            (!value.is_empty()).then(|| Declared::Define(name.to_owned()))
        })
        .collect();
    let code: Vec<_> = text.lines().filter(|line| !is_directive(line)).collect();
    found.extend(
        pieces(&code.join(" "), ';')
            .iter()
            .map(|it| declaration(it)),
    );
    found
}

fn declaration(text: &str) -> Declared {
    let body = text
        .strip_prefix("typedef ")
        .and_then(|rest| rest.split_once('{'))
        .and_then(|(kind, rest)| Some((kind, rest.rsplit_once('}')?)));
    match body {
        Some((kind, (body, name))) if kind.starts_with("enum") => {
            let name_of = |constant: String| constant.split(" =").next().map(str::to_owned);
            let constants = pieces(body, ',').into_iter().filter_map(name_of);
            Declared::Enum(name.trim().to_owned(), constants.collect())
        }
        Some((_, (body, name))) => Declared::Record(name.trim().to_owned(), pieces(body, ';')),
        None => Declared::Text(text.to_owned()),
    }
}

/// The parts between separators outside of brackets, with single spaces.
fn pieces(text: &str, separator: char) -> Vec<String> {
    let mut depth = 0;
    let parts = text.split(|c| {
        match c {
            '{' | '(' => depth += 1,
            '}' | ')' => depth -= 1,
            _ => {}
        }
        depth == 0 && c == separator
    });
    parts
        .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|part| !part.is_empty())
        .collect()
}

/// The name that a field's declaration declares.
fn field_name(field: &str) -> &str {
    let before = match field.split_once("(*") {
        Some((_, rest)) => rest.split(')').next(),
        None => field.split('[').next(),
    };
    let declarator = before.unwrap_or(field);
    declarator.rsplit([' ', '*']).next().unwrap_or(declarator)
}

/// The rest of a C program that prints a line for each.
fn printer(declared: &[Declared]) -> String {
    let mut body = String::new();
    let mut print = |text: &str, numbers: &[String]| {
        let arguments = numbers.iter().map(|it| format!(", (long long) ({it})"));
        let arguments: String = arguments.collect();
        body += &format!("    printf(\"{text}\\n\"{arguments});\n");
    };
    for item in declared {
        match item {
            Declared::Define(name) => print(&format!("define {name} %lld"), slice::from_ref(name)),
            Declared::Text(text) => print(text, &[]),
            Declared::Record(name, fields) => {
                print(
                    &format!("type {name}: %lld bytes, aligned to %lld"),
                    &[format!("sizeof({name})"), format!("_Alignof({name})")],
                );
                for field in fields {
                    let member = field_name(field);
                    print(
                        &format!("field {name}.{member}: at %lld, %lld bytes, {field}"),
                        &[
                            format!("offsetof({name}, {member})"),
                            format!("sizeof((({name} *) 0)->{member})"),
                        ],
                    );
                }
            }
            Declared::Enum(name, constants) => {
                print(
                    &format!("enum {name}: %lld bytes"),
                    &[format!("sizeof({name})")],
                );
                for constant in constants {
                    print(
                        &format!("value {name} {constant} = %lld"),
                        slice::from_ref(constant),
                    );
                }
            }
        }
    }
    format!("#include <stdio.h>\nint main(void) {{\n{body}    return 0;\n}}\n")
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn declarations_are_read() {
        let text = "#define GUARD\n#define A 1\n\
            typedef enum e {\n  E_X = 0,\n  E_Y = 1,\n} e;\n\
            typedef struct s {\n  char name[A];\n  void (*call)(int,\n   char*);\n  struct s *next;\n} s;\n\
            struct s *f(int x);\n";
        let owned = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let fields = ["char name[A]", "void (*call)(int, char*)", "struct s *next"];
        assert_eq!(
            declarations(text),
            [
                Declared::Define("A".to_owned()),
                Declared::Enum("e".to_owned(), owned(&["E_X", "E_Y"])),
                Declared::Record("s".to_owned(), owned(&fields)),
                Declared::Text("struct s *f(int x)".to_owned()),
            ]
        );
        assert_eq!(fields.map(field_name), ["name", "call", "next"]);
    }

    #[test]
    fn a_change_is_shown_from_both_sides() {
        assert_eq!(differences("a\nb\n", "a\nc\n"), ["- b", "+ c"]);
        assert_eq!(differences("a\n", "a\n"), [""; 0]);
    }
}
