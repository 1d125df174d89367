//! The checked-in headers against the ones that the sources give.

use crate::files::{self, Generated};
use crate::headers;

/// Whether `include/` is up to date.
pub fn check() -> Result<(), String> {
    files::check(&generated()?, "cargo headers")
}

/// Writes `include/`.
pub fn write() -> Result<(), String> {
    files::write_all(&generated()?)
}

fn generated() -> Result<Generated, String> {
    let headers = headers::generate().map_err(|error| format!("cbindgen: {error}"))?;
    let file = |(name, text)| (format!("include/{name}"), text);
    Ok(headers.into_iter().map(file).collect())
}
