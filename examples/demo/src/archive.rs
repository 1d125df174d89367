//! Step 0: the archive that C programs link.
//!
//! The demo itself links the same object code through Cargo, which keeps the
//! archive of a dependency out of sight; building the library's own package
//! puts it into place, without compiling anything again.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::read::archive::ArchiveFile;
use serde_json::Value;

use crate::outcome::{Done, Failure, OrFail, Outcome, ensure};

const FILE_NAME: &str = "libanjay_net.a";

/// Every symbol that avs_commons leaves to a socket implementation.
const SYMBOLS: [&str; 9] = [
    "_avs_net_initialize_global_compat_state",
    "_avs_net_cleanup_global_compat_state",
    "_avs_net_create_tcp_socket",
    "_avs_net_create_udp_socket",
    "avs_net_addrinfo_resolve_ex",
    "avs_net_addrinfo_next",
    "avs_net_addrinfo_rewind",
    "avs_net_addrinfo_delete",
    "avs_net_resolved_endpoint_get_host_port",
];

/// Builds the archive and looks into it.
pub fn build() -> Outcome {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    if !manifest.exists() {
        return Ok(Done::skipped(
            "the source tree that this program was built from is gone",
        ));
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--quiet", "-p", "anjay-net"])
        .args([
            "--message-format",
            "json-render-diagnostics",
            "--manifest-path",
        ])
        .arg(&manifest)
        .output()
        .or_fail("cargo starts")?;
    ensure(
        output.status.success(),
        "cargo build --release -p anjay-net succeeds",
        String::from_utf8_lossy(&output.stderr).trim(),
    )?;
    let path = String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(archive_path)
        .ok_or_else(|| Failure::new(format!("cargo names {FILE_NAME}"), "no such file named"))?;
    let bytes = fs::read(&path).or_fail(format!("{} can be read", path.display()))?;
    let missing = missing_symbols(&bytes).or_fail("an archive with a symbol table")?;
    ensure(
        missing.is_empty(),
        format!("all {} socket symbols", SYMBOLS.len()),
        format!("without {}", missing.join(", ")),
    )?;
    let shown = env::current_dir()
        .ok()
        .and_then(|directory| path.strip_prefix(directory).ok().map(Path::to_owned))
        .unwrap_or_else(|| path.clone());
    let detail = format!(
        "{}, {} B, {} socket symbols",
        shown.display(),
        bytes.len(),
        SYMBOLS.len()
    );
    Ok(Done::held(detail)
        .fact("archive", shown.display().to_string())
        .fact("archive_bytes", bytes.len()))
}

/// The archive among the files that a line of cargo's messages names.
fn archive_path(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let files = message.get("filenames")?.as_array()?;
    files
        .iter()
        .filter_map(Value::as_str)
        .map(PathBuf::from)
        .find(|path| path.file_name().is_some_and(|name| name == FILE_NAME))
}

fn missing_symbols(archive: &[u8]) -> Result<Vec<&'static str>, String> {
    let file = ArchiveFile::parse(archive).map_err(|error| error.to_string())?;
    let symbols = file
        .symbols()
        .map_err(|error| error.to_string())?
        .ok_or("no symbol table")?;
    let names: Vec<&[u8]> = symbols.flatten().map(|symbol| symbol.name()).collect();
    Ok(SYMBOLS
        .into_iter()
        .filter(|symbol| !names.contains(&symbol.as_bytes()))
        .collect())
}
