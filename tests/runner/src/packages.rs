//! What the tests need from Debian.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// How to see that a package is there, whoever installed it.
enum Sign {
    /// A program in `PATH`.
    Program(&'static str),
    /// A C header.
    Header(&'static str),
}

const PACKAGES: [(&str, Sign); 6] = [
    ("gcc", Sign::Program("gcc")),
    ("g++", Sign::Program("g++")),
    ("valgrind", Sign::Program("valgrind")),
    ("libcoap3-bin", Sign::Program("coap-client-notls")),
    ("libssl-dev", Sign::Header("openssl/ssl.h")),
    ("openssl", Sign::Program("openssl")),
];

impl Sign {
    fn is_there(&self) -> bool {
        match self {
            Sign::Program(name) => {
                let path = std::env::var_os("PATH").unwrap_or_default();
                std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
            }
            Sign::Header(name) => ["/usr/include", "/usr/local/include"]
                .iter()
                .any(|directory| Path::new(directory).join(name).is_file()),
        }
    }
}

/// Installs what is missing when root, else says how to.
pub fn ensure() -> Result<(), String> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    let line = format!("apt-get update && apt-get install --yes --no-install-recommends {names}");
    if !is_root() {
        return Err(format!("packages are missing; run: sudo sh -c '{line}'"));
    }
    println!("installing {names}");
    let status = Command::new("sh")
        .args(["-c", &line])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .map_err(|error| format!("sh can't be started: {error}"))?;
    if !status.success() {
        return Err(format!("{line}: {status}"));
    }
    match self::missing().as_slice() {
        [] => Ok(()),
        left => Err(format!(
            "still missing after installation: {}",
            left.join(" ")
        )),
    }
}

fn missing() -> Vec<&'static str> {
    PACKAGES
        .iter()
        .filter(|(_, sign)| !sign.is_there())
        .map(|&(name, _)| name)
        .collect()
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
