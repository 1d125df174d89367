//! The library with musl. Debian has no Rust for it, so the C programs get the small
//! archive, whose standard library is rebuilt, and the crates' own tests are compiled by
//! rustup's compiler.

use std::path::{Path, PathBuf};

use anjay_net_support::cargo::{cargo, target_directory};

use super::gaps;
use super::target::Target;
use super::toolchain::{Toolchain, write_program};
use crate::cargo::{PRODUCT, of_packages};
use crate::files::{make, read, write};
use crate::report::Counts;
use crate::size::Build;
use crate::steps::{NOT_OF_THE_SMALL_ARCHIVE, tests};

/// How C programs are linked with musl.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Linking {
    Dynamic,
    Static,
}

/// What musl's own resolver lacks, or what differs in Debian's compiler for it.
const GAPS: [&str; 4] = [
    // Debian has no C++ compiler for musl.
    "cpp",
    // Before 1.2.4 the resolver does not ask over TCP for what is too long for 512
    // bytes.
    "field_tcp::forty_eight_silent_addresses_share_one_deadline",
    "field_tcp::thousands_of_silent_addresses_hold_no_call",
    // A search domain that fails (SERVFAIL) ends the search.
    "field_names::name_is_found_by_one_of_several_servers_and_domains",
];

/// What differs on processors of 32 bits.
const GAPS_OF_32_BITS: [&str; 4] = [
    // The programs' own ppoll and clock_gettime are those for times of 64 bits, and Rust
    // calls those for 32.
    "field_costs::connecting_to_a_literal_takes_few_calls",
    "field_costs::healthy_stream_is_one_call_each_way",
    "field_silence::penalty_passes_while_the_device_sleeps",
    // The resolver takes 4294967296 for 255.255.255.255.
    "field_names::system_resolver_decides_about_names_like_numbers",
];

/// Programs that put functions of their own in front of the C library's, which
/// takes a shared one.
const NOT_STATIC: [&str; 4] = [
    "field_costs::",
    "field_replace::",
    "field_tcp::",
    "literals::",
];

/// What builds and runs programs of one processor with musl.
pub struct Musl<'a> {
    place: &'a Path,
    target: Target,
    /// The words before a program's name; empty on this machine's own processor.
    emulator: String,
}

impl<'a> Musl<'a> {
    /// For another processor Debian's musl is unpacked and its compiler made.
    pub fn get(place: &'a Path, toolchain: &Toolchain, target: Target) -> Result<Self, String> {
        let is_own = target.with_glibc().is_own();
        if !is_own && !compiler(target).is_file() {
            set_up(toolchain, target)?;
        }
        let emulator = match is_own {
            true => String::new(),
            false => format!("{} -L {}", target.names().qemu, root(target).display()),
        };
        Ok(Musl {
            place,
            target,
            emulator,
        })
    }

    /// What the small archive adds to a program.
    pub fn archive(&self) -> Result<(), String> {
        let bytes = Build::Small.added_on(self.target)?;
        let name = self.target.name();
        println!("size: on {name} the small archive adds {bytes} bytes of text and data");
        Ok(())
    }

    /// The C programs, but for valgrind, which needs glibc.
    pub fn c_tests(&self, linking: Linking, counts: &mut Counts) -> Result<(), String> {
        let triple = self.target.triple();
        let mut command = cargo();
        command
            .args(["test", "--no-fail-fast", "--package", "anjay-net-tests"])
            .args(["--test", "layout", "--test", "abis", "--test", "behaviour"])
            .args(["--", "--skip", "valgrind", "--skip", "coverage"])
            .env("ANJAY_NET_TEST_SMALL", "1")
            .env("ANJAY_NET_TEST_TARGET", triple)
            .env("ANJAY_NET_TEST_EMULATOR", &self.emulator)
            .env(format!("CC_{}", triple.replace('-', "_")), self.target.cc());
        let mut skipped = [&GAPS[..], &NOT_OF_THE_SMALL_ARCHIVE].concat();
        if linking == Linking::Static {
            skipped.extend(NOT_STATIC);
            command.env("ANJAY_NET_TEST_STATIC", "1");
        }
        if self.target == Target::MuslArmhf {
            skipped.extend(GAPS_OF_32_BITS);
        }
        for name in skipped {
            command.args(["--skip", name]);
        }
        if self.is_emulated() {
            gaps::leave_out(&mut command);
        }
        tests::count(&mut command, counts)
    }

    /// The crates' own tests, as static programs.
    pub fn rust_tests(&self, counts: &mut Counts) -> Result<(), String> {
        let triple = self.target.triple();
        let mut command = cargo();
        command
            .args(["test", "--no-fail-fast", "--lib", "--tests"])
            .args(["--target", triple])
            .env("CARGO_TARGET_DIR", self.place.join("musl"))
            // Emulation is slow enough.
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
        of_packages(&mut command, &PRODUCT);
        if self.is_emulated() {
            // Rust's own musl is linked, by any linker for the processor.
            let linker = self.target.with_glibc().cc();
            self.target
                .link_and_run(&mut command, &linker, &self.emulator);
            gaps::leave_out_rust(&mut command);
        }
        tests::count(&mut command, counts).map_err(|problem| {
            format!("{problem}; its standard library comes with: rustup target add {triple}")
        })
    }

    /// How many tests the emulator can't run.
    pub fn left_out(&self) -> usize {
        match self.is_emulated() {
            true => gaps::cases().count() + gaps::rust().count(),
            false => 0,
        }
    }

    fn is_emulated(&self) -> bool {
        !self.emulator.is_empty()
    }
}

/// Where Debian's musl for another processor is unpacked.
fn root(target: Target) -> PathBuf {
    target_directory().join("cross").join(target.name())
}

/// The C compiler for another processor with musl.
pub fn compiler(target: Target) -> PathBuf {
    root(target).join("musl-gcc")
}

/// Unpacks Debian's musl, and makes the compiler of it that Debian has for this
/// machine's processor: that for glibc with a specification of its own.
fn set_up(toolchain: &Toolchain, target: Target) -> Result<(), String> {
    let root = root(target);
    make(&root)?;
    let glibc = target.with_glibc();
    let of = |name: &str| format!("{name}:{}", glibc.names().debian);
    let packages = ["musl", "musl-dev"].map(of);
    toolchain.extract(&[Target::X86_64, glibc], &packages, &root)?;
    let musl = target.musl().ok_or("a target without musl")?;
    let specification = root.join("usr/lib").join(musl).join("musl-gcc.specs");
    let text = read(&specification)?;
    // The shared library is in /lib, which is /usr/lib where it is installed.
    let root = root.display();
    let text = text
        .replace(
            &format!("-L/usr/lib/{musl}"),
            &format!("-L{root}/lib/{musl} -L/usr/lib/{musl}"),
        )
        .replace(
            &format!("/usr/lib/{musl}"),
            &format!("{root}/usr/lib/{musl}"),
        )
        .replace(
            &format!("/usr/include/{musl}"),
            &format!("{root}/usr/include/{musl}"),
        );
    write(&specification, &text)?;
    let text = format!(
        "#!/bin/sh\nexec {} \"$@\" -specs '{}'\n",
        glibc.cc(),
        specification.display()
    );
    write_program(&compiler(target), &text)
}
