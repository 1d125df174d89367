//! The crates that are published: complete metadata, and packages that cargo makes.

use anjay_net_support::cargo::{cargo, output, root};
use serde_json::Value;

use crate::cargo::{of_packages, show};

/// What crates.io and docs.rs show, or refuse a crate without.
const FIELDS: [&str; 7] = [
    "description",
    "license",
    "repository",
    "rust_version",
    "readme",
    "keywords",
    "categories",
];

/// Whether every crate can be published or says that it is not.
pub fn check() -> Result<(), String> {
    let text = output(cargo().args(["metadata", "--format-version=1", "--no-deps", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let published = published(&metadata)?;
    println!("published: {}", published.join(", "));
    if !packages_a_workspace(&output(cargo().arg("--version"))?) {
        println!("not packaged: cargo 1.90 and newer can, where crates need each other");
        return Ok(());
    }
    let mut command = cargo();
    // Without a build of the packages: the workspace is built from the same files.
    command.args([
        "package",
        "--quiet",
        "--no-verify",
        "--offline",
        "--allow-dirty",
        "--locked",
    ]);
    of_packages(&mut command, &published);
    show(command.current_dir(root()))
}

/// Whether a cargo of that version packages crates whose dependencies are not
/// published yet.
fn packages_a_workspace(version: &str) -> bool {
    let minor = version
        .strip_prefix("cargo 1.")
        .and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
    minor.is_some_and(|minor| minor >= 90)
}

/// The names of the crates that are published.
fn published(metadata: &Value) -> Result<Vec<&str>, String> {
    let packages = metadata["packages"].as_array().ok_or("no packages")?;
    let mut names = Vec::new();
    for package in packages.iter().filter(|it| it["publish"].is_null()) {
        let name = package["name"].as_str().unwrap_or_default();
        let is_missing = |field: &&&str| match &package[**field] {
            Value::String(text) => text.is_empty(),
            Value::Array(all) => all.is_empty(),
            _ => true,
        };
        let missing: Vec<_> = FIELDS.iter().filter(is_missing).copied().collect();
        if !missing.is_empty() {
            return Err(format!(
                "{name}: no {}; or should it be `publish = false`?",
                missing.join(", ")
            ));
        }
        names.push(name);
    }
    Ok(names)
}

#[cfg(test)]
mod unit {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_version_of_cargo_is_read() {
        assert!(packages_a_workspace("cargo 1.95.0 (2026-03-21)\n"));
        assert!(!packages_a_workspace("cargo 1.85.1 (2024-12-31)\n"));
    }

    #[test]
    fn what_is_published_is_complete() {
        let complete = json!({
            "name": "a", "publish": null, "description": "a", "license": "MIT",
            "repository": "https://example.org", "rust_version": "1.85",
            "readme": "README.md", "keywords": ["a"], "categories": ["b"],
        });
        let unpublished = json!({ "name": "b", "publish": [] });
        let metadata = json!({ "packages": [complete, unpublished] });
        assert_eq!(published(&metadata), Ok(vec!["a"]));
        let mut incomplete = metadata.clone();
        incomplete["packages"][0]["keywords"] = json!([]);
        assert!(published(&incomplete).is_err_and(|it| it.contains("a: no keywords")));
    }
}
