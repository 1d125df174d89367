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
    /// 64-bit Arm with musl
    MuslAarch64,
    /// 32-bit Arm, hard-float, with musl
    MuslArmhf,
}

/// What a processor is called.
pub struct Names {
    /// By Debian.
    pub debian: &'static str,
    /// At the start of the C compiler's programs and directories.
    pub gnu: &'static str,
    /// By the emulator; empty where there is no need of one.
    pub qemu: &'static str,
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
            Target::MuslAarch64 => "musl-aarch64",
            Target::MuslArmhf => "musl-armhf",
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
            Target::MuslAarch64 => "aarch64-unknown-linux-musl",
            Target::MuslArmhf => "armv7-unknown-linux-musleabihf",
        }
    }

    /// The same processor with glibc.
    pub fn with_glibc(self) -> Target {
        match self {
            Target::Musl => Target::X86_64,
            Target::MuslAarch64 => Target::Aarch64,
            Target::MuslArmhf => Target::Armhf,
            glibc => glibc,
        }
    }

    /// What musl calls the processor, at the start of its compiler's name.
    pub fn musl(self) -> Option<&'static str> {
        match self {
            Target::Musl => Some("x86_64-linux-musl"),
            Target::MuslAarch64 => Some("aarch64-linux-musl"),
            Target::MuslArmhf => Some("arm-linux-musleabihf"),
            _ => None,
        }
    }

    /// The processor's names.
    pub fn names(self) -> Names {
        let (debian, gnu, qemu) = match self.with_glibc() {
            Target::I386 => ("i386", "i686-linux-gnu", "qemu-i386"),
            Target::Aarch64 => ("arm64", "aarch64-linux-gnu", "qemu-aarch64"),
            Target::Armhf => ("armhf", "arm-linux-gnueabihf", "qemu-arm"),
            Target::S390x => ("s390x", "s390x-linux-gnu", "qemu-s390x"),
            _ => ("amd64", "x86_64-linux-gnu", ""),
        };
        Names { debian, gnu, qemu }
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
            Target::MuslAarch64 | Target::MuslArmhf => return self.with_glibc().packages(),
            Target::X86_64 => return Vec::new(),
        };
        vec![package(name, Sign::Program(program)), EMULATOR]
    }

    /// The C compiler.
    pub fn cc(self) -> String {
        match self.musl() {
            Some(musl) if self.with_glibc().is_own() => format!("{musl}-gcc"),
            Some(_) => super::musl::compiler(self).display().to_string(),
            None => format!("{}-gcc", self.names().gnu),
        }
    }

    /// What is before the names of other tools for it: Debian has none for musl.
    pub fn tools(self) -> String {
        format!("{}-", self.names().gnu)
    }

    /// Tells cargo how to link and run its programs.
    pub fn link_and_run(self, cargo: &mut Command, linker: &str, runner: &str) {
        let name = self.triple().to_uppercase().replace('-', "_");
        cargo
            .env(format!("CARGO_TARGET_{name}_LINKER"), linker)
            .env(format!("CARGO_TARGET_{name}_RUNNER"), runner);
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
