//! The oldest Rust that is supported, with the standard libraries of other
//! processors: Debian's packages, unpacked into a folder of our own.
//!
//! Packages of several architectures can't be installed side by side, and
//! need not be: apt is run with a configuration and lists of its own, so the
//! system's architectures stay as they are and nobody has to be root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum;

use super::target::Target;
use crate::cargo::show;
use crate::files::{make, of, read_dir, write};

/// The version of Rust.
pub const RUST: &str = "1.85.0";
/// The version of Debian's packages, the same for every architecture.
const DEBIAN_VERSION: &str = "1.85.0+dfsg3-1~deb12u3";
/// What all targets need, for this machine.
const COMPILER: [&str; 2] = ["rustc-web", "libstd-rust-web-1.85"];
/// The standard library of a target.
const LIBRARY: &str = "libstd-rust-web-dev";
/// What the compiler needs besides; any version.
const LLVM: &str = "libllvm19";

/// An unpacked tool chain.
pub struct Toolchain {
    place: PathBuf,
}

impl Toolchain {
    /// Whether this system's package sources have it.
    pub fn is_available() -> bool {
        fs::read_to_string("/etc/os-release")
            .is_ok_and(|text| text.lines().any(|line| line == "VERSION_CODENAME=bookworm"))
    }

    /// The tool chain below that directory, with what is missing downloaded.
    pub fn get(place: &Path, targets: &[Target]) -> Result<Toolchain, String> {
        let toolchain = Toolchain {
            place: place.to_path_buf(),
        };
        // This machine's own library is for build scripts.
        let wanted: Vec<Target> = Target::value_variants()
            .iter()
            .copied()
            .filter(|one| one.is_own() || (one.musl().is_none() && targets.contains(one)))
            .collect();
        if !toolchain.has(&wanted) {
            println!("unpacking Rust {RUST} into {}", place.display());
            toolchain.unpack(&wanted)?;
        }
        if toolchain.has(&wanted) {
            Ok(toolchain)
        } else {
            Err(format!(
                "the compiler in {} is not Rust {RUST} or lacks a standard library",
                place.display()
            ))
        }
    }

    /// The compiler.
    pub fn rustc(&self) -> PathBuf {
        self.place.join("rustc")
    }

    /// Whether it works, has the right version and all those targets.
    fn has(&self, targets: &[Target]) -> bool {
        let output = Command::new(self.rustc()).arg("--version").output();
        let version = output.map(|output| output.stdout).unwrap_or_default();
        let right = String::from_utf8_lossy(&version).starts_with(&format!("rustc {RUST} "));
        right
            && targets.iter().all(|target| {
                let libraries = self
                    .place
                    .join("unpacked/usr/lib/rustlib")
                    .join(target.triple())
                    .join("lib");
                fs::read_dir(libraries).is_ok_and(|mut entries| {
                    entries.any(|entry| {
                        entry.is_ok_and(|entry| {
                            let name = entry.file_name();
                            let name = name.to_string_lossy();
                            name.starts_with("libstd-") && name.ends_with(".rlib")
                        })
                    })
                })
            })
    }

    fn unpack(&self, targets: &[Target]) -> Result<(), String> {
        let unpacked = self.place.join("unpacked");
        make(&unpacked)?;
        let mut packages = vec![LLVM.to_owned()];
        packages.extend(COMPILER.map(|name| format!("{name}={DEBIAN_VERSION}")));
        packages.extend(
            targets
                .iter()
                .map(|one| format!("{LIBRARY}:{}={DEBIAN_VERSION}", one.names().debian)),
        );
        self.extract(targets, &packages, &unpacked)?;
        self.write_wrapper(&unpacked)
    }

    /// Unpacks Debian's packages for those targets into a directory.
    pub fn extract(
        &self,
        targets: &[Target],
        packages: &[String],
        to: &Path,
    ) -> Result<(), String> {
        for path in self.download(targets, packages)? {
            let mut extract = Command::new("dpkg-deb");
            show(extract.arg("--extract").arg(&path).arg(to))?;
            remove(&path)?;
        }
        Ok(())
    }

    /// Debian's packages, as files.
    fn download(&self, targets: &[Target], wanted: &[String]) -> Result<Vec<PathBuf>, String> {
        let packages = self.place.join("packages");
        for directory in ["lists/partial", "cache/archives/partial"] {
            make(&self.place.join(directory))?;
        }
        make(&packages)?;
        let configuration = self.configure_apt(targets)?;
        let apt = |arguments: &[String]| {
            Command::new("apt-get")
                .args(arguments)
                .env("APT_CONFIG", &configuration)
                .current_dir(&packages)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .map_err(|error| format!("apt-get can't be started: {error}"))
        };
        // One of many lists may be out of order without harm; what counts is
        // that the packages are found.
        let _ = apt(&["update".to_owned()])?;
        let arguments = [&["download".to_owned()], wanted].concat();
        if !apt(&arguments)?.success() {
            return Err(format!(
                "{} can't be downloaded; they are in the package sources of Debian 12",
                wanted.join(", ")
            ));
        }
        read_dir(&packages)
    }

    /// Writes a configuration for apt that leaves the system's alone.
    fn configure_apt(&self, targets: &[Target]) -> Result<PathBuf, String> {
        let place = self.place.display();
        let architectures: String = targets
            .iter()
            .map(|one| format!("\"{}\"; ", one.names().debian))
            .collect();
        let text = format!(
            "Dir::State::lists \"{place}/lists\";\n\
             Dir::State::status \"{place}/status\";\n\
             Dir::Cache \"{place}/cache\";\n\
             APT::Architecture \"amd64\";\n\
             APT::Architectures {{ {architectures}}};\n\
             APT::Sandbox::User \"\";\n\
             Acquire::Languages \"none\";\n"
        );
        write(self.place.join("status"), "")?;
        let path = self.place.join("apt.conf");
        write(&path, &text)?;
        Ok(path)
    }

    /// Cargo wants one program; this one needs its own libraries.
    fn write_wrapper(&self, unpacked: &Path) -> Result<(), String> {
        let usr = unpacked.join("usr");
        let usr = usr.display();
        let text = format!(
            "#!/bin/sh\n\
             LD_LIBRARY_PATH='{usr}/lib:{usr}/lib/x86_64-linux-gnu' exec '{usr}/bin/rustc' \"$@\"\n"
        );
        write_program(&self.rustc(), &text)
    }
}

/// Writes a script.
pub fn write_program(path: &Path, text: &str) -> Result<(), String> {
    write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(|error| of(path, error))
}

fn remove(file: &Path) -> Result<(), String> {
    fs::remove_file(file).map_err(|error| of(file, error))
}
