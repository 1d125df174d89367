//! The shape of the product's crates: files are short, and their imports form
//! no ring.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anjay_net_support::cargo::root;

use crate::files::{read, read_dir};
use crate::source::code;

/// Lines of code of a product file, at most: what a reader keeps in mind.
const LINES: usize = 400;

/// A module's path below its crate, such as `["sys", "poll"]`.
type Module = Vec<String>;

/// Whether every crate below `crates/` has the shape.
pub fn check() -> Result<(), String> {
    let mut problems = Vec::new();
    for entry in read_dir(&root().join("crates"))? {
        let source = entry.join("src");
        let files = files(&source)?;
        let name = |module: &Module| format!("{}::{}", name_of(&entry), module.join("::"));
        for (module, text) in &files {
            let lines = lines_of_code(text);
            if lines > LINES {
                let name = name(module);
                problems.push(format!("{name} has {lines} lines of code, {LINES} at most"));
            }
        }
        for ring in rings(&imports_of(&files)) {
            let names: Vec<_> = ring.iter().map(name).collect();
            problems.push(format!("a ring of imports: {}", names.join(", ")));
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n"))
    }
}

fn name_of(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The modules of a crate and their code: without comments, and without the
/// tests at a file's end. Models for loom are tests, too.
fn files(source: &Path) -> Result<BTreeMap<Module, String>, String> {
    let mut found = BTreeMap::new();
    let mut places = vec![(source.to_path_buf(), Module::new())];
    while let Some((directory, below)) = places.pop() {
        for path in read_dir(&directory)? {
            let name = name_of(&path);
            let mut module = below.clone();
            if !["mod", "lib"].contains(&name.as_str()) {
                module.push(name.clone());
            }
            if path.is_dir() {
                places.push((path, module));
            } else if !name.contains("loom") {
                found.insert(module, code(&read(&path)?));
            }
        }
    }
    Ok(found)
}

fn lines_of_code(code: &str) -> usize {
    code.lines().filter(|line| !line.trim().is_empty()).count()
}

/// Which modules each module imports from. What a module has from those that
/// it is inside of, and they from it, is not counted: they are one subject.
fn imports_of(files: &BTreeMap<Module, String>) -> BTreeMap<Module, BTreeSet<Module>> {
    let modules = files.iter().filter(|(module, _)| !module.is_empty());
    modules
        .map(|(module, code)| {
            let targets = paths(code).into_iter().filter_map(|path| {
                let target = module_of(&absolute(module, &path), files)?;
                let is_inside = module.starts_with(&target) || target.starts_with(module);
                (!is_inside).then_some(target)
            });
            (module.clone(), targets.collect())
        })
        .collect()
}

/// Every path that begins with `crate`, `super` or `self`.
fn paths(code: &str) -> Vec<Vec<String>> {
    let text = code.replace(char::is_whitespace, " ");
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (index, _) in text.match_indices(start) {
            let is_word = text[..index].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            // `super::super::` was found at its first word.
            if !is_word && !text[..index].ends_with("::") {
                expand(Vec::new(), &text[index..], &mut found);
            }
        }
    }
    found
}

/// Reads a path, and what stands in its braces; gives the text after it.
fn expand<'a>(mut prefix: Vec<String>, text: &'a str, found: &mut Vec<Vec<String>>) -> &'a str {
    let mut rest = text.trim_start();
    loop {
        if let Some(list) = rest.strip_prefix('{') {
            rest = list;
            while !rest.trim_start().starts_with('}') && !rest.is_empty() {
                rest = expand(prefix.clone(), rest, found).trim_start();
                rest = rest.strip_prefix(',').unwrap_or(rest);
            }
            return rest.trim_start().strip_prefix('}').unwrap_or(rest);
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        prefix.push(word.to_owned());
        match after.strip_prefix("::") {
            Some(next) => rest = next.trim_start(),
            None => {
                found.push(prefix);
                // Such as ` as other`, up to the next of the list.
                let end = after.find([',', '}', ';', '{']).unwrap_or(after.len());
                return &after[end..];
            }
        }
    }
}

/// The path from the crate's root.
fn absolute(module: &Module, path: &[String]) -> Vec<String> {
    let mut at = module.clone();
    for (index, word) in path.iter().enumerate() {
        match word.as_str() {
            "crate" => at.clear(),
            "super" => drop(at.pop()),
            "self" => {}
            _ => return [&at[..], &path[index..]].concat(),
        }
    }
    at
}

/// The module that a path leads into; what the root exports from a module is
/// that module's.
fn module_of(path: &[String], files: &BTreeMap<Module, String>) -> Option<Module> {
    let longest = (1..=path.len()).rev().map(|length| path[..length].to_vec());
    longest
        .into_iter()
        .find(|it| files.contains_key(it))
        .or_else(|| {
            let root = files.get(&Module::new())?;
            let mut exports = Vec::new();
            for (index, start) in root.match_indices("use ") {
                expand(Vec::new(), &root[index + start.len()..], &mut exports);
            }
            let export = exports.into_iter().find(|it| it.last() == path.first())?;
            (export.len() > 1).then(|| module_of(&export, files))?
        })
}

/// Groups of modules each of which reaches all others of its group.
fn rings(imports: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<BTreeSet<Module>> {
    let reachable = |from: &Module| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from];
        while let Some(targets) = next.pop().and_then(|module| imports.get(module)) {
            next.extend(
                targets
                    .iter()
                    .filter(|target| seen.insert((*target).clone())),
            );
        }
        seen
    };
    let reached: BTreeMap<_, _> = imports.keys().map(|it| (it, reachable(it))).collect();
    let ring = |module: &Module| -> BTreeSet<Module> {
        let back = |other: &&Module| reached.get(other).is_some_and(|it| it.contains(module));
        reached[module].iter().filter(back).cloned().collect()
    };
    imports
        .keys()
        .map(ring)
        .filter(|ring| ring.len() > 1)
        .collect()
}

#[cfg(test)]
mod unit {
    use super::*;

    fn crate_of(files: &[(&str, &str)]) -> BTreeMap<Module, String> {
        let module = |path: &str| -> Module {
            let words = path.split('/').filter(|word| !word.is_empty());
            words.map(str::to_owned).collect()
        };
        let files = files.iter();
        files
            .map(|(path, text)| (module(path), code(text)))
            .collect()
    }

    fn rings_of(files: &[(&str, &str)]) -> Vec<String> {
        let rings = rings(&imports_of(&crate_of(files)));
        let text = |module: &Module| module.join("/");
        rings
            .iter()
            .map(|ring| ring.iter().map(text).collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn one_way_is_no_ring() {
        let files = [
            ("", "mod a; pub use a::A;"),
            ("a", "use crate::{b::{self, B}, c::d};\n// use crate::e;\n"),
            ("b", "use super::c;"),
            ("c", "pub mod d;"),
            ("c/d", "use super::Parent;"),
            (
                "e",
                "use crate::a;\n#[cfg(test)]\nmod tests { use crate::f; }",
            ),
            ("f", "use crate::e;"),
        ];
        assert_eq!(rings_of(&files), Vec::<String>::new());
    }

    #[test]
    fn rings_are_found_in_every_form_of_a_path() {
        assert_eq!(
            rings_of(&[("a", "use crate::b::B;"), ("b", "use super::a;")]),
            ["a b"]
        );
        let in_code = [
            ("a", "fn f() { crate::b::g() }"),
            ("b", "use crate::{a as x};"),
        ];
        assert_eq!(rings_of(&in_code), ["a b"]);
        let of_three = [
            ("a", "use crate::\n    {c, x::y};"),
            ("x/y", "use super::super::b;"),
            ("b", "use crate::a;"),
            ("c", ""),
        ];
        assert_eq!(rings_of(&of_three), ["a b x/y"]);
        let exported = [
            ("", "pub use b::{B, C};"),
            ("a", "use crate::B;"),
            ("b", "use crate::a;"),
        ];
        assert_eq!(rings_of(&exported), ["a b"]);
    }

    #[test]
    fn comments_blank_lines_and_tests_are_no_lines_of_code() {
        let text = "//! about\n\nfn f() {} // why\n    // why\n#[cfg(test)]\nmod unit {}\n";
        assert_eq!(lines_of_code(&code(text)), 1);
    }
}
