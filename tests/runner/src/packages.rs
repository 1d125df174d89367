//! What the tests need from Debian.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anjay_net_support::cargo::is_installed;

use crate::cargo;

/// How to see that a package is there, whoever installed it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// A program in `PATH`.
    Program(&'static str),
    /// A C header.
    Header(&'static str),
}

/// A package of Debian's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Package {
    pub name: &'static str,
    pub sign: Sign,
}

pub const fn package(name: &'static str, sign: Sign) -> Package {
    Package { name, sign }
}

/// What the tests of the workspace use.
pub const FOR_TESTS: [Package; 14] = [
    package("gcc", Sign::Program("gcc")),
    package("g++", Sign::Program("g++")),
    package("clang", Sign::Program("clang")),
    package("make", Sign::Program("make")),
    package("cmake", Sign::Program("cmake")),
    package("pkg-config", Sign::Program("pkg-config")),
    package("valgrind", Sign::Program("valgrind")),
    package("libcoap3-bin", Sign::Program("coap-client-notls")),
    package("libssl-dev", Sign::Header("openssl/ssl.h")),
    package("openssl", Sign::Program("openssl")),
    package("iproute2", Sign::Program("ip")),
    package("dnsmasq-base", Sign::Program("dnsmasq")),
    package("nftables", Sign::Program("nft")),
    package("tshark", Sign::Program("tshark")),
];

impl Sign {
    fn is_there(&self) -> bool {
        match self {
            Sign::Program(name) => is_installed(name),
            Sign::Header(name) => ["/usr/include", "/usr/local/include"]
                .iter()
                .any(|directory| Path::new(directory).join(name).is_file()),
        }
    }
}

/// Installs what is missing when root, else says how to.
pub fn ensure(packages: &[Package]) -> Result<(), String> {
    let missing = missing(packages);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    // A new machine often upgrades itself: that is waited for.
    let apt = "apt-get -o DPkg::Lock::Timeout=300";
    let line = format!("{apt} update && {apt} install --yes --no-install-recommends {names}");
    if !is_root() {
        return Err(format!("packages are missing; run: sudo sh -c '{line}'"));
    }
    println!("installing {names}");
    let mut command = Command::new("sh");
    command.args(["-c", &line]);
    cargo::show(command.env("DEBIAN_FRONTEND", "noninteractive"))?;
    match self::missing(packages).as_slice() {
        [] => Ok(()),
        left => Err(format!(
            "still missing after installation: {}",
            left.join(" ")
        )),
    }
}

fn missing(packages: &[Package]) -> Vec<&'static str> {
    let mut names: Vec<_> = packages
        .iter()
        .filter(|package| !package.sign.is_there())
        .map(|package| package.name)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
