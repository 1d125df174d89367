//! What can be wrong with Markdown that a compiler would not see: links that
//! lead nowhere, pages that the book leaves out, settings without a line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::files::{read, read_dir};

/// A Markdown file, as far as links are concerned.
struct Page {
    path: PathBuf,
    /// What its headings are called in links.
    anchors: BTreeSet<String>,
    links: Vec<String>,
    /// Files that mdBook puts in its place, relative to it.
    includes: Vec<PathBuf>,
}

/// Everything that is wrong, one line each.
pub fn problems(root: &Path) -> Result<Vec<String>, String> {
    let pages = pages(root)?;
    let mut problems = Vec::new();
    for page in &pages {
        let shown = page.path.strip_prefix(root).unwrap_or(&page.path);
        for link in &page.links {
            if let Some(problem) = broken(root, page, &pages, link) {
                problems.push(format!("{}: {link}: {problem}", shown.display()));
            }
        }
    }
    problems.extend(left_out(root, &pages));
    problems.extend(undocumented_settings(root)?);
    Ok(problems)
}

fn pages(root: &Path) -> Result<Vec<Page>, String> {
    let mut files = Vec::new();
    markdown_files(root, &mut files)?;
    let page = |path: PathBuf| read(&path).map(|text| Page::parse(path, &text));
    files.into_iter().map(page).collect()
}

fn markdown_files(directory: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    for path in read_dir(directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                markdown_files(&path, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found.sort();
    Ok(())
}

impl Page {
    fn parse(path: PathBuf, text: &str) -> Page {
        let mut anchors = BTreeSet::new();
        let mut links = Vec::new();
        let mut heading: Option<String> = None;
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    if let Some(words) = heading.take() {
                        add_anchor(&mut anchors, &anchor(&words));
                    }
                }
                Event::Text(words) | Event::Code(words) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&words);
                    }
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    links.push(dest_url.into_string());
                }
                _ => {}
            }
        }
        let includes = text
            .split("{{#include ")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once("}}")?.0.into()))
            .collect();
        Page {
            path,
            anchors,
            links,
            includes,
        }
    }

    fn is_in_book(&self, root: &Path) -> bool {
        self.path.starts_with(root.join("docs"))
    }
}

/// What mdBook and GitHub call a heading in links.
fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c if c.is_alphanumeric() => Some(c),
            _ => None,
        })
        .collect()
}

/// The second heading of the same words gets a number.
fn add_anchor(anchors: &mut BTreeSet<String>, name: &str) {
    let numbered = (1..).map(|number| format!("{name}-{number}"));
    let free = std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| !anchors.contains(name));
    anchors.extend(free);
}

/// What is wrong with a link, if anything. Other hosts are not asked.
fn broken(root: &Path, page: &Page, pages: &[Page], link: &str) -> Option<&'static str> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() {
        page.path.clone()
    } else {
        let directory = page.path.parent()?;
        match directory.join(file).canonicalize() {
            Ok(target) => target,
            Err(_) => return Some("there is no such file"),
        }
    };
    if page.is_in_book(root) && !target.starts_with(root.join("docs")) {
        return Some("leads out of the book, where readers of it can't follow");
    }
    if is_included(page, pages) && !file.is_empty() {
        return Some("is in a file that the book includes from elsewhere");
    }
    let known = fragment.is_empty() || has_anchor(&target, pages, fragment);
    (!known).then_some("there is no such heading")
}

/// Whether the book shows this file in the place of another one, where its
/// relative links would mean something else.
fn is_included(page: &Page, pages: &[Page]) -> bool {
    pages.iter().any(|other| {
        other
            .includes
            .iter()
            .any(|file| included(other, file).as_ref() == Some(&page.path))
    })
}

fn included(page: &Page, file: &Path) -> Option<PathBuf> {
    page.path.parent()?.join(file).canonicalize().ok()
}

fn has_anchor(target: &Path, pages: &[Page], fragment: &str) -> bool {
    pages.iter().filter(|page| page.path == target).any(|page| {
        page.anchors.contains(fragment)
            || page.includes.iter().any(|file| {
                included(page, file).is_some_and(|file| has_anchor(&file, pages, fragment))
            })
    })
}

/// Pages that the table of contents does not name, and includes of nothing.
fn left_out(root: &Path, pages: &[Page]) -> Vec<String> {
    let docs = root.join("docs");
    let summary = docs.join("SUMMARY.md");
    let listed: BTreeSet<PathBuf> = pages
        .iter()
        .filter(|page| page.path == summary)
        .flat_map(|page| page.links.iter().map(|link| docs.join(link)))
        .collect();
    let mut problems = Vec::new();
    for page in pages.iter().filter(|page| page.is_in_book(root)) {
        let name = page.path.display();
        if page.path != summary && !listed.contains(&page.path) {
            problems.push(format!("{name}: is not in docs/SUMMARY.md"));
        }
        for file in page
            .includes
            .iter()
            .filter(|file| included(page, file).is_none())
        {
            problems.push(format!(
                "{name}: includes {}, which is missing",
                file.display()
            ));
        }
    }
    problems
}

/// Every field of the settings has its line in the reference.
fn undocumented_settings(root: &Path) -> Result<Vec<String>, String> {
    let header = read(root.join("include/anjay_net.h"))?;
    let reference = read(root.join("docs/configuration.md"))?;
    let fields = settings_fields(&header);
    if fields.is_empty() {
        return Err("include/anjay_net.h: no struct anjay_net_settings_t".to_owned());
    }
    Ok(fields
        .into_iter()
        .filter(|field| !reference.contains(&format!("`{field}`")))
        .map(|field| format!("docs/configuration.md: nothing about `{field}`"))
        .collect())
}

fn settings_fields(header: &str) -> Vec<&str> {
    let Some((_, rest)) = header.split_once("struct anjay_net_settings_t {") else {
        return Vec::new();
    };
    let body = rest.split('}').next().unwrap_or_default();
    body.lines()
        .filter_map(|line| line.strip_suffix(';')?.split_whitespace().next_back())
        .collect()
}

#[cfg(test)]
mod unit {
    use super::*;

    fn page(text: &str) -> Page {
        Page::parse(PathBuf::from("/book/docs/page.md"), text)
    }

    #[test]
    fn headings_are_called_as_in_links() {
        let page = page("# One, `two`\n\n## What's left?\n\n## What's left?\n");
        let expected = ["one-two", "whats-left", "whats-left-1"];
        assert_eq!(page.anchors, expected.map(str::to_owned).into());
    }

    #[test]
    fn code_is_no_link() {
        let page = page("[a](b.md#c) and `[d](e.md)`\n\n```text\n[f](g.md)\n```\n");
        assert_eq!(page.links, ["b.md#c"]);
    }

    #[test]
    fn links_to_nothing_are_told() {
        let pages = [page("# Here\n")];
        let outcome = |link| broken(Path::new("/book"), &pages[0], &pages, link);
        assert_eq!(outcome("https://example.org/x"), None);
        assert_eq!(outcome("#here"), None);
        assert_eq!(outcome("#there"), Some("there is no such heading"));
        assert_eq!(outcome("gone.md"), Some("there is no such file"));
    }

    #[test]
    fn pages_outside_of_the_summary_are_told() {
        let problems = left_out(Path::new("/book"), &[page("{{#include no.md}}")]);
        assert_eq!(problems.len(), 2, "{problems:?}");
    }

    #[test]
    fn fields_are_read_off_the_header() {
        let header = "struct anjay_net_settings_t {\n  /*\n   A; b.\n   */\n  size_t size;\n  uint32_t wait_ms;\n} x;";
        assert_eq!(settings_fields(header), ["size", "wait_ms"]);
    }
}
