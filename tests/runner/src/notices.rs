//! What others wrote of the archive and of the command line tool: their licences
//! and a CycloneDX bill of materials for each, in `packaging/notices`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anjay_net_support::cargo::{cargo, output};
use serde_json::{Value, json};

use crate::files::{self, Generated};

const PLACE: &str = "packaging/notices";

/// What is shipped: the package, and the name of its files.
const PRODUCTS: [(&str, &str); 2] = [
    ("anjay-net", "libanjay_net"),
    ("anjay-net-cli", "anjay-net"),
];

/// The platforms that the product is for need the same crates.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// Where the Makefile puts the version of the compiler.
const RUST: &str = "@RUST@";

/// Whether the files are those of `Cargo.lock`.
pub fn check() -> Result<(), String> {
    files::check(&generated()?, "cargo notices")
}

/// Writes the files.
pub fn write() -> Result<(), String> {
    files::write_all(&generated()?)
}

fn generated() -> Result<Generated, String> {
    let metadata = metadata()?;
    let lock = files::read("Cargo.lock")?;
    let mut files = Vec::new();
    for (package, name) in PRODUCTS {
        let packages = packages(&metadata, &inside(package)?)?;
        let bom = bill_of_materials(name, &packages, &checksums(&lock));
        let bom = serde_json::to_string_pretty(&bom).map_err(|error| error.to_string())?;
        files.push((format!("{PLACE}/{name}.cdx.json"), bom + "\n"));
        files.push((format!("{PLACE}/{name}.txt"), notices(&packages)?));
    }
    Ok(files)
}

/// A crate inside of a product.
struct Package {
    name: String,
    version: String,
    licence: String,
    authors: String,
    directory: String,
    is_ours: bool,
    needs: BTreeSet<String>,
}

impl Package {
    fn reference(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version)
    }
}

fn metadata() -> Result<Value, String> {
    let text = output(cargo().args([
        "metadata",
        "--format-version=1",
        "--locked",
        "--filter-platform",
        TRIPLE,
    ]))?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// Name and version of every crate whose code is in the product.
fn inside(package: &str) -> Result<BTreeSet<(String, String)>, String> {
    let text = output(
        cargo()
            .args(["tree", "--locked", "--package", package, "--target", TRIPLE])
            .args(["--edges", "normal,no-proc-macro", "--prefix", "none"]),
    )?;
    let name_and_version = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
        Some((name.to_owned(), version.to_owned()))
    };
    Ok(text.lines().filter_map(name_and_version).collect())
}

fn packages(metadata: &Value, inside: &BTreeSet<(String, String)>) -> Result<Vec<Package>, String> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let all = metadata["packages"].as_array().ok_or("no packages")?;
    let is_inside = |it: &&Value| inside.contains(&(text(it, "name"), text(it, "version")));
    let mut found: Vec<Package> = all
        .iter()
        .filter(is_inside)
        .map(|it| Package {
            name: text(it, "name"),
            version: text(it, "version"),
            licence: text(it, "license").replace('/', " OR "),
            authors: authors(it),
            directory: text(it, "manifest_path").replace("Cargo.toml", ""),
            is_ours: it["source"].is_null(),
            needs: needs(it),
        })
        .collect();
    if found.len() != inside.len() {
        return Err("cargo tree and cargo metadata do not agree".to_owned());
    }
    found.sort_by_key(Package::reference);
    Ok(found)
}

fn authors(package: &Value) -> String {
    let all = package["authors"].as_array().into_iter().flatten();
    all.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// The crates that a package names as its dependencies.
fn needs(package: &Value) -> BTreeSet<String> {
    let all = package["dependencies"].as_array().into_iter().flatten();
    all.filter(|it| it["kind"].is_null())
        .filter_map(|it| it["name"].as_str())
        .map(str::to_owned)
        .collect()
}

/// By name and version, from the text of `Cargo.lock`.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let value = |package: &str, key: &str| {
        let start = format!("{key} = \"");
        let line = package.lines().find_map(|line| line.strip_prefix(&start));
        line.map(|rest| rest.trim_end_matches('"').to_owned())
    };
    lock.split("[[package]]\n")
        .filter_map(|it| {
            let key = (value(it, "name")?, value(it, "version")?);
            Some((key, value(it, "checksum")?))
        })
        .collect()
}

fn bill_of_materials(
    product: &str,
    packages: &[Package],
    checksums: &BTreeMap<(String, String), String>,
) -> Value {
    let licences = |expression: &str| json!([{ "expression": expression }]);
    let mut components: Vec<Value> = packages
        .iter()
        .map(|it| {
            let mut component = json!({
                "type": "library",
                "bom-ref": it.reference(),
                "purl": it.reference(),
                "name": it.name,
                "version": it.version,
                "licenses": licences(&it.licence),
            });
            if let Some(sum) = checksums.get(&(it.name.clone(), it.version.clone())) {
                component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
            }
            component
        })
        .collect();
    components.push(json!({
        "type": "library",
        "bom-ref": "rust-std",
        "name": "rust-std",
        "version": RUST,
        "description": "Rust's standard library",
        "licenses": licences("MIT OR Apache-2.0"),
    }));
    let version = env!("CARGO_PKG_VERSION");
    let references = components.iter().map(|it| it["bom-ref"].clone());
    let whole = json!({ "ref": product, "dependsOn": references.collect::<Vec<_>>() });
    let dependencies = packages.iter().map(|it| {
        let needed = packages
            .iter()
            .filter(|other| it.needs.contains(&other.name));
        json!({
            "ref": it.reference(),
            "dependsOn": needed.map(Package::reference).collect::<Vec<_>>(),
        })
    });
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": {
            "type": if product == "libanjay_net" { "library" } else { "application" },
            "bom-ref": product,
            "name": product,
            "version": version,
            "licenses": licences("MIT OR Apache-2.0"),
        } },
        "components": components,
        "dependencies": std::iter::once(whole).chain(dependencies).collect::<Vec<_>>(),
    })
}

fn notices(packages: &[Package]) -> Result<String, String> {
    let mut text = format!(
        "Third-party notices\n===================\n\n\
         Beside anjay-net's own code this has Rust's standard library {RUST} and the\n\
         crates below. The standard library is by the Rust Project contributors and used\n\
         under the Apache License 2.0 (the file LICENSE-APACHE); notices for what it\n\
         contains are in the file COPYRIGHT-library.html of that version of Rust.\n"
    );
    for package in packages.iter().filter(|it| !it.is_ours) {
        let title = format!("{} {}", package.name, package.version);
        let licence = licence_text(package)?;
        text += &format!(
            "\n\n{title}\n{}\n\nLicence: {}\n\n{}\n",
            "-".repeat(title.len()),
            package.licence,
            licence.trim_end()
        );
    }
    Ok(text)
}

/// The shortest licence that a crate comes with and may be used under.
fn licence_text(package: &Package) -> Result<String, String> {
    let names = [
        "LICENSE-MIT",
        "LICENSE-MIT.txt",
        "LICENSE-MIT.md",
        "LICENSE",
        "LICENSE.txt",
        "LICENSE.md",
    ];
    let directory = Path::new(&package.directory);
    let read = |name| fs::read_to_string(directory.join(name)).ok();
    match names.iter().find_map(read) {
        Some(text) => Ok(text
            .lines()
            .map(str::trim_end)
            .collect::<Vec<_>>()
            .join("\n")),
        None if package.licence.contains("Apache-2.0") => Ok(format!(
            "Copyright {}. Used under the Apache License 2.0 (the file LICENSE-APACHE).",
            package.authors
        )),
        None => Err(format!("{}: no licence", directory.display())),
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn checksums_are_read_from_the_lock() {
        let lock = "version = 4\n\n[[package]]\nname = \"ours\"\nversion = \"0.1.0\"\n\n\
                    [[package]]\nname = \"a\"\nversion = \"1.2.3\"\nchecksum = \"abc\"\n";
        let key = ("a".to_owned(), "1.2.3".to_owned());
        assert_eq!(checksums(lock), [(key, "abc".to_owned())].into());
    }

    #[test]
    fn a_bill_names_each_part_once() {
        let package = |name: &str, needs: &[&str]| Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: "MIT".to_owned(),
            authors: String::new(),
            directory: String::new(),
            is_ours: false,
            needs: needs.iter().map(|it| (*it).to_owned()).collect(),
        };
        let bill = bill_of_materials(
            "it",
            &[package("a", &["b", "elsewhere"]), package("b", &[])],
            &[(("b".to_owned(), "1.0.0".to_owned()), "ff".to_owned())].into(),
        );
        assert_eq!(bill["components"].as_array().map(Vec::len), Some(3));
        assert_eq!(bill["components"][1]["hashes"][0]["content"], "ff");
        assert_eq!(
            bill["dependencies"][1]["dependsOn"],
            json!(["pkg:cargo/b@1.0.0"])
        );
    }
}
