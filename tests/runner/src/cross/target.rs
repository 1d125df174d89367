//! What the library is built for, and how programs for each processor run on
//! this machine.

use std::process::{Command, Stdio};

use clap::ValueEnum;

use crate::packages::{Package, Sign, package};

/// A processor of Linux machines, with glibc unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// x86-64, this machine's own
    X86_64,
    /// 32-bit x86
    I386,
    /// 64-bit Arm
    Aarch64,
    /// 32-bit Arm, hard-float
    Armhf,
    /// IBM Z, for its byte order
    S390x,
    /// x86-64 with musl, by this machine's own Rust
    Musl,
}

/// What a processor is called.
pub struct Names {
    /// By Debian.
    pub debian: &'static str,
    /// At the start of the C compiler's programs and directories.
    gnu: &'static str,
    /// By the emulator; empty where there is no need of one.
    qemu: &'static str,
}

/// How programs for a processor run here.
pub struct Runner {
    /// What the report calls it.
    pub name: &'static str,
    /// The words before a program's name.
    pub words: String,
}

/// For another processor than this machine's.
const EMULATOR: Package = package("qemu-user", Sign::Program("qemu-arm"));

impl Target {
    /// What the report calls it.
    pub fn name(self) -> &'static str {
        match self {
            Target::X86_64 => "x86-64",
            Target::I386 => "i386",
            Target::Aarch64 => "aarch64",
            Target::Armhf => "armhf",
            Target::S390x => "s390x",
            Target::Musl => "musl",
        }
    }

    /// Rust's name.
    pub fn triple(self) -> &'static str {
        match self {
            Target::X86_64 => "x86_64-unknown-linux-gnu",
            Target::I386 => "i686-unknown-linux-gnu",
            Target::Aarch64 => "aarch64-unknown-linux-gnu",
            Target::Armhf => "armv7-unknown-linux-gnueabihf",
            Target::S390x => "s390x-unknown-linux-gnu",
            Target::Musl => "x86_64-unknown-linux-musl",
        }
    }

    /// The processor's names, if Debian has its Rust.
    pub fn names(self) -> Option<Names> {
        let (debian, gnu, qemu) = match self {
            Target::X86_64 => ("amd64", "x86_64-linux-gnu", ""),
            Target::I386 => ("i386", "i686-linux-gnu", "qemu-i386"),
            Target::Aarch64 => ("arm64", "aarch64-linux-gnu", "qemu-aarch64"),
            Target::Armhf => ("armhf", "arm-linux-gnueabihf", "qemu-arm"),
            Target::S390x => ("s390x", "s390x-linux-gnu", "qemu-s390x"),
            Target::Musl => return None,
        };
        Some(Names { debian, gnu, qemu })
    }

    /// What must be installed to compile C for it and to run the result.
    pub fn packages(self) -> Vec<Package> {
        let (name, program) = match self {
            Target::I386 => ("g++-i686-linux-gnu", "i686-linux-gnu-g++"),
            Target::Aarch64 => ("g++-aarch64-linux-gnu", "aarch64-linux-gnu-g++"),
            Target::Armhf => ("g++-arm-linux-gnueabihf", "arm-linux-gnueabihf-g++"),
            Target::S390x => ("g++-s390x-linux-gnu", "s390x-linux-gnu-g++"),
            Target::Musl => {
                return vec![package(
                    "musl-tools",
                    Sign::Program("x86_64-linux-musl-gcc"),
                )];
            }
            Target::X86_64 => return Vec::new(),
        };
        vec![package(name, Sign::Program(program)), EMULATOR]
    }

    /// The C compiler.
    pub fn cc(self) -> String {
        let gnu = self.names().map_or("x86_64-linux-musl", |names| names.gnu);
        format!("{gnu}-gcc")
    }

    /// What is before the names of other tools for it.
    pub fn tools(self) -> String {
        // Debian has no other tools for musl than its compiler.
        let gnu = self.names().map_or("x86_64-linux-gnu", |names| names.gnu);
        format!("{gnu}-")
    }

    /// Whether it is this machine's own.
    pub fn is_own(self) -> bool {
        self == Target::X86_64
    }
}

impl Names {
    /// How the processor's programs run here.
    pub fn runner(&self) -> Runner {
        let root = format!("/usr/{}", self.gnu);
        let loader = format!("{root}/lib/ld-linux.so.2");
        let (name, words) = match self.debian {
            "amd64" => ("natively", String::new()),
            // The real kernel knows more than the emulator.
            "i386" if starts(&loader) => (
                "natively, by this kernel's 32-bit interface",
                format!("{loader} --library-path {root}/lib"),
            ),
            _ => (EMULATED, format!("{} -L {root}", self.qemu)),
        };
        Runner { name, words }
    }
}

impl Runner {
    pub fn is_emulator(&self) -> bool {
        self.name == EMULATED
    }
}

const EMULATED: &str = "under qemu-user";

/// Whether this machine's kernel runs that program.
fn starts(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
