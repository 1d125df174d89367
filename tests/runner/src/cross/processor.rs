//! The processors that the library is built and tested for, and how programs
//! for each run on this machine.

use std::path::Path;
use std::process::{Command, Stdio};

use clap::ValueEnum;

use crate::packages::{Package, Sign};

/// A processor of Linux machines, with glibc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Processor {
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
}

/// How programs for a processor run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runner {
    /// As any other program.
    Directly,
    /// By the kernel of this machine, with the C library of the cross compiler.
    Loader(String),
    /// By qemu-user.
    Emulator(String),
}

impl Runner {
    /// The words before a program's name.
    pub fn words(&self) -> &str {
        match self {
            Runner::Directly => "",
            Runner::Loader(words) | Runner::Emulator(words) => words,
        }
    }

    /// What the report calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Runner::Directly => "natively",
            Runner::Loader(_) => "natively, by this kernel's 32-bit interface",
            Runner::Emulator(_) => "under qemu-user",
        }
    }
}

impl Processor {
    pub fn all() -> &'static [Processor] {
        Processor::value_variants()
    }

    /// What the report calls it.
    pub fn name(self) -> &'static str {
        match self {
            Processor::X86_64 => "x86-64",
            Processor::I386 => "i386",
            Processor::Aarch64 => "aarch64",
            Processor::Armhf => "armhf",
            Processor::S390x => "s390x",
        }
    }

    /// Rust's name.
    pub fn triple(self) -> &'static str {
        match self {
            Processor::X86_64 => "x86_64-unknown-linux-gnu",
            Processor::I386 => "i686-unknown-linux-gnu",
            Processor::Aarch64 => "aarch64-unknown-linux-gnu",
            Processor::Armhf => "armv7-unknown-linux-gnueabihf",
            Processor::S390x => "s390x-unknown-linux-gnu",
        }
    }

    /// Debian's name.
    pub fn debian(self) -> &'static str {
        match self {
            Processor::X86_64 => "amd64",
            Processor::I386 => "i386",
            Processor::Aarch64 => "arm64",
            Processor::Armhf => "armhf",
            Processor::S390x => "s390x",
        }
    }

    /// The name that the C compiler's programs and directories begin with.
    fn gnu(self) -> &'static str {
        match self {
            Processor::X86_64 => "x86_64-linux-gnu",
            Processor::I386 => "i686-linux-gnu",
            Processor::Aarch64 => "aarch64-linux-gnu",
            Processor::Armhf => "arm-linux-gnueabihf",
            Processor::S390x => "s390x-linux-gnu",
        }
    }

    /// The C compiler.
    pub fn cc(self) -> String {
        format!("{}-gcc", self.gnu())
    }

    /// What must be installed to compile C for it and to run the result.
    pub fn packages(self) -> Vec<Package> {
        let compiler = |name, program| Package {
            name,
            sign: Sign::Program(program),
        };
        let compiler = match self {
            Processor::X86_64 => return Vec::new(),
            Processor::I386 => compiler("g++-i686-linux-gnu", "i686-linux-gnu-g++"),
            Processor::Aarch64 => compiler("g++-aarch64-linux-gnu", "aarch64-linux-gnu-g++"),
            Processor::Armhf => compiler("g++-arm-linux-gnueabihf", "arm-linux-gnueabihf-g++"),
            Processor::S390x => compiler("g++-s390x-linux-gnu", "s390x-linux-gnu-g++"),
        };
        let emulator = Package {
            name: "qemu-user",
            sign: Sign::Program("qemu-arm"),
        };
        vec![compiler, emulator]
    }

    /// How its programs run here.
    pub fn runner(self) -> Runner {
        let root = format!("/usr/{}", self.gnu());
        let emulator = match self {
            Processor::X86_64 => return Runner::Directly,
            // The real kernel knows more than the emulator.
            Processor::I386 => {
                let loader = format!("{root}/lib/ld-linux.so.2");
                if starts(Path::new(&loader)) {
                    return Runner::Loader(format!("{loader} --library-path {root}/lib"));
                }
                "qemu-i386"
            }
            Processor::Aarch64 => "qemu-aarch64",
            Processor::Armhf => "qemu-arm",
            Processor::S390x => "qemu-s390x",
        };
        Runner::Emulator(format!("{emulator} -L {root}"))
    }
}

/// Whether this machine's kernel runs that program.
fn starts(program: &Path) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
