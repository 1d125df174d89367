//! Small C and C++ programs against an installation.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anjay_net_tests::{c_sources, require_program};

use crate::install::{Installation, run, workshop};

/// Whose C and C++ compiler.
#[derive(Clone, Copy, Debug)]
pub enum Compiler {
    Gcc,
    Clang,
}

impl Compiler {
    fn c(self) -> &'static str {
        match self {
            Compiler::Gcc => "gcc",
            Compiler::Clang => "clang",
        }
    }

    fn cpp(self) -> &'static str {
        match self {
            Compiler::Gcc => "g++",
            Compiler::Clang => "clang++",
        }
    }
}

/// What the program is compiled as.
#[derive(Clone, Copy, Debug)]
pub enum Language {
    C99,
    C17,
    Cpp17,
}

/// How it is compiled and linked.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    Plain,
    GcSections,
    Lto,
    Static,
}

impl Way {
    fn flags(self) -> &'static [&'static str] {
        match self {
            Way::Plain => &[],
            Way::GcSections => &[
                "-ffunction-sections",
                "-fdata-sections",
                "-Wl,--gc-sections",
            ],
            Way::Lto => &["-flto"],
            Way::Static => &["-static"],
        }
    }
}

/// Who tells the compiler where things are.
#[derive(Clone, Copy, Debug)]
pub enum Link {
    ByHand,
    PkgConfig,
}

impl Link {
    fn flags(self) -> Vec<String> {
        let at = Installation::usual();
        match self {
            Link::PkgConfig => at.flags(),
            // As in the README.
            Link::ByHand => vec![
                format!("-I{}", at.path("include").display()),
                format!("{}", at.path("lib/libanjay_net.a").display()),
                "-lpthread".to_owned(),
                "-ldl".to_owned(),
                "-lm".to_owned(),
            ],
        }
    }
}

/// Builds and runs the program in all languages, with and without what may
/// upset a linker.
pub fn every_language_and_way(compiler: Compiler, link: Link) {
    for language in [Language::C99, Language::C17, Language::Cpp17] {
        for way in [Way::Plain, Way::GcSections, Way::Lto] {
            build_and_run(compiler, language, way, link);
        }
    }
}

/// Builds one program and runs it.
pub fn build_and_run(compiler: Compiler, language: Language, way: Way, link: Link) {
    require_program(compiler.c(), compiler.c());
    let room = workshop(&format!("{compiler:?}-{language:?}-{way:?}-{link:?}"));
    let program = room.join("program");
    let (compiler, standard, suffix) = match language {
        Language::C99 => (compiler.c(), "-std=c99", "c"),
        Language::C17 => (compiler.c(), "-std=c17", "c"),
        Language::Cpp17 => (compiler.cpp(), "-std=c++17", "cpp"),
    };
    // The name tells the language.
    let source = room.join("consumer").with_extension(suffix);
    fs::copy(c_sources().join("install/consumer.c"), &source).expect("the workshop is writable");
    let mut command = Command::new(compiler);
    run(command
        .arg(standard)
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2"])
        .args(way.flags())
        .arg(&source)
        .args(link.flags())
        .arg("-o")
        .arg(&program));
    says_its_version(&program);
}

fn says_its_version(program: &Path) {
    let text = run(&mut Command::new(program));
    let expected = concat!("anjay-net ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(text, expected, "{}", program.display());
}

/// A C source as an object file of the same name.
pub fn object(source: &Path, room: &Path) -> PathBuf {
    let name = source.file_stem().expect("a source has a name");
    let object = room.join(name).with_extension("o");
    let at = Installation::usual();
    run(Command::new("gcc")
        .arg("-c")
        .args(at.pkg_config("--cflags").split_whitespace())
        .arg(source)
        .arg("-o")
        .arg(&object));
    object
}

fn configure(compiler: Compiler, at: &Installation) -> PathBuf {
    require_program("cmake", "cmake");
    require_program(compiler.c(), compiler.c());
    let room = workshop(&format!("cmake-{compiler:?}-{}", at.name()));
    run(Command::new("cmake")
        .arg("-S")
        .arg(c_sources().join("install"))
        .arg("-B")
        .arg(&room)
        .arg(format!("-DCMAKE_C_COMPILER={}", compiler.c()))
        .arg(format!("-DCMAKE_CXX_COMPILER={}", compiler.cpp()))
        .arg(format!("-DCMAKE_PREFIX_PATH={}", at.prefix().display())));
    room
}

/// That CMake finds the package there.
pub fn cmake_finds(at: &Installation) {
    let room = configure(Compiler::Gcc, at);
    let build = ["--target", "c_std_99"];
    run(Command::new("cmake").arg("--build").arg(&room).args(build));
    says_its_version(&room.join("c_std_99"));
}

/// As [`every_language_and_way`], by one CMake project.
pub fn cmake_builds_and_runs(compiler: Compiler) {
    let room = configure(compiler, Installation::usual());
    run(Command::new("cmake").arg("--build").arg(&room));
    for language in ["c_std_99", "c_std_17", "cxx_std_17"] {
        for way in ["", "_gc", "_lto"] {
            says_its_version(&room.join(format!("{language}{way}")));
        }
    }
}
