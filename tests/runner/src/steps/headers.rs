//! The checked-in headers against the ones that the sources give.

use std::fs;

use anjay_net_support::cargo::root;

use crate::headers;

/// Whether `include/` is up to date.
pub fn check() -> Result<(), String> {
    let stale: Vec<String> = generated()?
        .into_iter()
        .filter(|(file, text)| {
            let checked_in = fs::read_to_string(root().join("include").join(file));
            checked_in.ok().as_ref() != Some(text)
        })
        .map(|(file, _)| format!("include/{file}"))
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("{} stale; run: cargo headers", stale.join(", ")))
}

/// Writes `include/`; gives the names of the files.
pub fn write() -> Result<Vec<&'static str>, String> {
    generated()?
        .into_iter()
        .map(|(file, text)| {
            let path = root().join("include").join(file);
            fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(file)
        })
        .collect()
}

fn generated() -> Result<Vec<(&'static str, String)>, String> {
    headers::generate().map_err(|error| format!("cbindgen: {error}"))
}
