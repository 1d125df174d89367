//! Unsafe blocks of the product, counted by file against the table in
//! `docs/reliability.md`: none may be added without a look at the table, and a
//! figure that fell stays down. That each says why it is sound is clippy's job.

use std::collections::BTreeMap;
use std::fs;

use anjay_net_support::cargo::root;

const TABLE: &str = "docs/reliability.md";

/// Numbers by file, those that are 0 left out.
type Figures = BTreeMap<String, usize>;

/// Whether the sources have what the table says.
pub fn check() -> Result<(), String> {
    let text =
        fs::read_to_string(root().join(TABLE)).map_err(|error| format!("{TABLE}: {error}"))?;
    let problems = compare(&in_table(&text), &in_sources()?);
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("; "))
    }
}

fn compare(table: &Figures, sources: &Figures) -> Vec<String> {
    let files = table.keys().chain(sources.keys());
    let mut files: Vec<_> = files.collect();
    files.sort_unstable();
    files.dedup();
    let figure = |figures: &Figures, file: &String| figures.get(file).copied().unwrap_or(0);
    files
        .into_iter()
        .filter_map(|file| match (figure(table, file), figure(sources, file)) {
            (old, new) if new > old => Some(format!(
                "{file} has {new} unsafe blocks, and {TABLE} allows {old}"
            )),
            (old, new) if new < old => Some(format!(
                "{file} has only {new} unsafe blocks: lower the {old} in {TABLE}"
            )),
            _ => None,
        })
        .collect()
}

/// The figures of lines such as "| `crates/ffi/src/abi.rs` | 20 |".
fn in_table(text: &str) -> Figures {
    text.lines()
        .filter_map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let file = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
            let number = cells.next()?.parse().ok()?;
            file.ends_with(".rs").then(|| (file.to_owned(), number))
        })
        .collect()
}

fn in_sources() -> Result<Figures, String> {
    let mut figures = Figures::new();
    let root = root();
    let mut places = vec![root.join("crates")];
    while let Some(place) = places.pop() {
        let problem = |error| format!("{}: {error}", place.display());
        for entry in fs::read_dir(&place).map_err(problem)? {
            let path = entry.map_err(problem)?.path();
            if path.is_dir() {
                // Tests do what they like.
                if !path.ends_with("tests") {
                    places.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).map_err(problem)?;
                let file = path.strip_prefix(&root).unwrap_or(&path);
                figures.insert(file.display().to_string(), count(&source));
            }
        }
    }
    figures.retain(|_, number| *number > 0);
    Ok(figures)
}

/// Blocks, and implementations of unsafe traits, outside of comments and of the
/// tests at the end of a file.
fn count(source: &str) -> usize {
    source
        .lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .map(|line| line.split("//").next().unwrap_or(line))
        .map(|code| code.matches("unsafe {").count() + code.matches("unsafe impl").count())
        .sum()
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn blocks_are_counted_and_nothing_else() {
        let source = "// unsafe {\n\
                      unsafe fn f() { unsafe { g() }; unsafe { h() } } // unsafe {\n\
                      unsafe impl Send for S {}\n\
                      unsafe extern \"C\" { fn i(); }\n\
                      #[cfg(test)]\n\
                      mod tests { fn j() { unsafe { k() } } }\n";
        assert_eq!(count(source), 3);
    }

    #[test]
    fn a_figure_may_neither_rise_nor_stay_above_the_truth() {
        let table = in_table("| file | blocks |\n|---|---|\n| `a.rs` | 2 |\n| `b.rs` | 1 |\n");
        let figures = |a: usize| [("a.rs".to_owned(), a), ("b.rs".to_owned(), 1)].into();
        assert_eq!(compare(&table, &figures(2)), Vec::<String>::new());
        assert!(compare(&table, &figures(3))[0].contains("allows 2"));
        assert!(compare(&table, &figures(1))[0].contains("lower the 2"));
        let mut new_file: Figures = figures(2);
        new_file.insert("c.rs".to_owned(), 1);
        assert!(compare(&table, &new_file)[0].contains("c.rs"));
    }
}
