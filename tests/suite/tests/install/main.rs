//! `make install`, and programs built against what it installed: by hand, with
//! pkg-config and with CMake.

mod install;
mod programs;

use std::fs;
use std::path::Path;
use std::process::Command;

use anjay_net_tests::{c_sources, target_directory, workspace_root};
use install::{Installation, make, run, workshop};
use programs::{Compiler, Language, Link, Way, build_and_run, every_language_and_way};

#[test]
fn it_installs_these_files_and_no_others() {
    let at = Installation::usual();
    assert_eq!(
        at.files(),
        [
            "include/anjay_net.h",
            "include/anjay_net_abi.h",
            "include/anjay_net_posix_compat.h",
            "lib/cmake/anjay_net/anjay_net-config-version.cmake",
            "lib/cmake/anjay_net/anjay_net-config.cmake",
            "lib/libanjay_net.a",
            "lib/pkgconfig/anjay_net.pc",
            "share/doc/anjay-net/LICENSE-APACHE",
            "share/doc/anjay-net/LICENSE-MIT",
            "share/doc/anjay-net/libanjay_net.cdx.json",
            "share/doc/anjay-net/libanjay_net.txt",
        ]
    );
}

/// The same source and compiler give the same archive, wherever it is built.
#[test]
fn the_archive_names_no_path_of_its_builder() {
    let archive = fs::read(Installation::usual().path("lib/libanjay_net.a"));
    let archive = archive.expect("it is installed");
    let home = std::env::var_os("HOME").unwrap_or_default();
    let crates = std::env::var_os("CARGO_HOME").map_or(Path::new(&home).join(".cargo"), Into::into);
    for path in [workspace_root(), target_directory(), crates] {
        let path = path.to_str().expect("paths here are text").as_bytes();
        let is_named = archive.windows(path.len()).any(|bytes| bytes == path);
        assert!(!is_named, "{}", String::from_utf8_lossy(path));
    }
}

/// The notices name the compiler, whose standard library is in the archive.
#[test]
fn the_notices_name_the_compiler() {
    let rustc = run(Command::new("rustc").arg("--version"));
    let version = rustc.split_whitespace().nth(1).expect("it has a version");
    for file in ["libanjay_net.cdx.json", "libanjay_net.txt"] {
        let path = Installation::usual().path("share/doc/anjay-net").join(file);
        let text = fs::read_to_string(path).expect("it is installed");
        assert!(text.contains(version), "{file} does not name {version}");
    }
}

/// Unpacked in any directory, as by a user.
#[test]
fn a_tarball_of_a_release_links() {
    // Builds the archive, unless another test has.
    Installation::usual();
    let room = workshop("tarball");
    let packages = format!("PACKAGES={}", room.display());
    run(make("dist").args(["CARGO=false", &packages]));
    let sums = run(Command::new("sha256sum")
        .args(["--check", "SHA256SUMS"])
        .current_dir(&room));
    let tarball = sums
        .lines()
        .find_map(|line| line.strip_suffix(".tar.gz: OK"));
    let tarball = tarball.expect("its checksum is there");
    run(Command::new("tar")
        .args(["--extract", "--file", &format!("{tarball}.tar.gz")])
        .current_dir(&room));
    let unpacked = room.join(tarball);
    run(make("installcheck").arg(format!("PREFIX={}", unpacked.display())));
}

#[test]
fn all_say_the_same_version() {
    let at = Installation::usual();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(at.pkg_config("--modversion"), version);
    let cmake = fs::read_to_string(at.path("lib/cmake/anjay_net/anjay_net-config-version.cmake"));
    let line = format!("set(PACKAGE_VERSION \"{version}\")");
    assert!(cmake.expect("it is installed").contains(&line), "{line}");
    let debian = fs::read_to_string(workspace_root().join("packaging/debian/changelog"));
    let start = format!("anjay-net ({version}-");
    assert!(debian.expect("it is there").starts_with(&start), "{start}");
}

/// Whether the package satisfies `find_package(anjay_net VERSION)`.
fn cmake_accepts(version: &str) -> bool {
    let file = Installation::usual().path("lib/cmake/anjay_net/anjay_net-config-version.cmake");
    let script = workshop("versions").join(format!("{version}.cmake"));
    let text = format!(
        "set(PACKAGE_FIND_VERSION {version})\ninclude({})\nmessage(\"<${{PACKAGE_VERSION_COMPATIBLE}}>\")\n",
        file.display()
    );
    fs::write(&script, text).expect("the workshop is writable");
    run(Command::new("cmake").arg("-P").arg(&script)).contains("<TRUE>")
}

#[test]
fn cmake_takes_versions_that_keep_the_promises_asked_for() {
    for version in ["0.1", "0.1.0"] {
        assert!(cmake_accepts(version), "{version}");
    }
    for version in ["0.2", "0.1.99", "0.0.9", "1.0", "0.11"] {
        assert!(!cmake_accepts(version), "{version}");
    }
}

#[test]
fn gcc_links_by_hand() {
    every_language_and_way(Compiler::Gcc, Link::ByHand);
}

#[test]
fn clang_links_by_hand() {
    every_language_and_way(Compiler::Clang, Link::ByHand);
}

#[test]
fn gcc_links_with_pkg_config() {
    every_language_and_way(Compiler::Gcc, Link::PkgConfig);
}

#[test]
fn clang_links_with_pkg_config() {
    every_language_and_way(Compiler::Clang, Link::PkgConfig);
}

#[test]
fn gcc_links_with_cmake() {
    programs::cmake_builds_and_runs(Compiler::Gcc);
}

#[test]
fn clang_links_with_cmake() {
    programs::cmake_builds_and_runs(Compiler::Clang);
}

#[test]
fn a_program_may_be_static() {
    build_and_run(Compiler::Gcc, Language::C99, Way::Static, Link::PkgConfig);
}

#[test]
fn directories_are_the_users_choice() {
    let at = Installation::multiarch();
    assert!(at.path("lib/x86_64-linux-gnu/libanjay_net.a").is_file());
    let header = at.pkg_config("--variable=includedir");
    assert!(Path::new(&header).join("anjay_net.h").is_file(), "{header}");
    programs::cmake_finds(&at);
}

#[test]
fn uninstall_leaves_nothing() {
    let at = Installation::temporary("uninstalled");
    assert!(!at.files().is_empty());
    at.uninstall();
    assert_eq!(at.files(), Vec::<String>::new());
}

/// Anjay up to 3.0 passes option values in another way; CMake knows before
/// anything is compiled.
#[test]
fn cmake_refuses_an_anjay_of_the_other_abi() {
    let config = Installation::usual().path("lib/cmake/anjay_net/anjay_net-config.cmake");
    let output = Command::new("cmake")
        .arg("-DANJAY_VERSION=3.0.0")
        .arg("-P")
        .arg(&config)
        .output()
        .expect("cmake can be started");
    let text = String::from_utf8_lossy(&output.stderr).replace("\n  ", " ");
    assert!(!output.status.success(), "{text}");
    for part in ["anjay-net: ", "Anjay 3.0.0", "AVS_COMMONS_4=1"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

/// The flags of the package make a second implementation an error, where the
/// linker would silently take the first one it sees.
#[test]
fn a_second_socket_implementation_is_a_link_error() {
    let at = Installation::usual();
    let room = workshop("two-implementations");
    let other = programs::object(&c_sources().join("install/other_sockets.c"), &room);
    let program = programs::object(&c_sources().join("install/consumer.c"), &room);
    let output = Command::new("gcc")
        .args([&program, &other])
        .args(at.pkg_config("--libs").split_whitespace())
        .arg("-o")
        .arg(room.join("never"))
        .output()
        .expect("gcc can be started");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        text.contains("multiple definition of `_avs_net_create_udp_socket'"),
        "{text}"
    );
}

/// The linker finds the archive's symbols also when it comes first.
#[test]
fn the_archive_may_come_before_those_that_need_it() {
    let at = Installation::usual();
    let room = workshop("archive-first");
    let program = programs::object(&c_sources().join("install/consumer.c"), &room);
    let path = room.join("program");
    run(Command::new("gcc")
        .args(at.pkg_config("--libs").split_whitespace())
        .arg(&program)
        // What the program itself needs of the C library.
        .args(["-lm", "-o"])
        .arg(&path));
    run(&mut Command::new(&path));
}

/// The library inside of a shared object: opened and closed more than once, in
/// a program that has other sockets of the same names.
#[test]
fn a_shared_object_keeps_the_library_to_itself() {
    let at = Installation::usual();
    let room = workshop("plugin");
    let plugin = room.join("plugin.so");
    run(Command::new("gcc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&plugin)
        .arg(c_sources().join("install/plugin.c"))
        .args(["-Wl,--exclude-libs,libanjay_net.a", "-Wl,-z,nodelete"])
        .args(at.flags()));
    let symbols = run(Command::new("nm")
        .args(["--dynamic", "--defined-only"])
        .arg(&plugin));
    assert!(symbols.contains("plugin_use_socket"), "{symbols}");
    for ours in ["_avs_net_", "avs_net_addrinfo", "anjay_net_"] {
        assert!(!symbols.contains(ours), "{symbols}");
    }
    let host = room.join("host");
    run(Command::new("gcc")
        .arg("-rdynamic")
        .arg(c_sources().join("install/plugin_host.c"))
        .args(at.pkg_config("--cflags").split_whitespace())
        .args(["-ldl", "-o"])
        .arg(&host));
    run(Command::new(&host).arg(&plugin));
}

/// avs_commons refers to `_avs_net_*` as hidden symbols: as a shared object it
/// needs the archive inside.
#[test]
fn hidden_references_are_met_inside_of_the_shared_object_only() {
    let at = Installation::usual();
    let room = workshop("hidden");
    let source = c_sources().join("install/hidden_user.c");
    let shared = |file: &str, flags: &[String]| {
        Command::new("gcc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(room.join(file))
            .arg(&source)
            .args(flags)
            .output()
            .expect("gcc can be started")
    };
    let without = shared("without.so", &[]);
    let text = String::from_utf8_lossy(&without.stderr);
    assert!(!without.status.success());
    assert!(
        text.contains("hidden symbol `_avs_net_create_udp_socket' isn't defined"),
        "{text}"
    );
    let with = shared("with.so", &at.flags());
    let text = String::from_utf8_lossy(&with.stderr);
    assert!(with.status.success(), "{text}");
}

/// Each brings a copy of Rust's standard library; the installed archive keeps
/// its own to itself.
#[test]
fn two_rust_archives_make_one_program() {
    let at = Installation::usual();
    let room = workshop("two-archives");
    let other = room.join("libother_archive.a");
    run(Command::new("rustc")
        .args(["--edition=2024", "--crate-type=staticlib", "-O", "-o"])
        .arg(&other)
        .arg(c_sources().join("install/other_archive.rs")));
    let source = c_sources().join("install/two_archives.c");
    let program = room.join("program");
    for ours_first in [true, false] {
        let mut command = Command::new("gcc");
        command.arg(&source).arg("-o").arg(&program);
        if ours_first {
            command.args(at.flags()).arg(&other);
        } else {
            command.arg(&other).args(at.flags());
        }
        run(command.args(["-lpthread", "-ldl", "-lm"]));
        run(&mut Command::new(&program));
    }
}

#[test]
fn the_compatibility_header_has_all_that_the_event_loop_needs() {
    let room = workshop("compat");
    for (language, words) in [("c", ["gcc", "-std=c99"]), ("c++", ["g++", "-std=c++17"])] {
        let program = room.join(words[1]);
        run(Command::new(words[0])
            .args([
                words[1],
                "-x",
                language,
                "-Wall",
                "-Wextra",
                "-Wpedantic",
                "-Werror",
            ])
            .arg("-I")
            .arg(workspace_root().join("include"))
            .arg(c_sources().join("install/compat.c"))
            .args(["-pthread", "-o"])
            .arg(&program));
        run(&mut Command::new(&program));
    }
}

/// The example of the configuration reference compiles and runs.
#[test]
fn the_example_of_the_docs_runs() {
    let page = fs::read_to_string(workspace_root().join("docs/configuration.md"));
    let page = page.expect("the page is there");
    let (_, rest) = page
        .split_once("```c\n")
        .expect("the page has an example in C");
    let (example, _) = rest.split_once("```").expect("the example ends");
    let room = workshop("example");
    let (source, program) = (room.join("example.c"), room.join("example"));
    let text = format!(
        "#include <anjay_net.h>\n#include <stdio.h>\nint main(void) {{\n{example}\
         return settings.resolve_timeout_ms != 3000 || problem;\n}}\n"
    );
    fs::write(&source, text).expect("the workshop is writable");
    run(Command::new("gcc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        .arg(&source)
        .args(Installation::usual().flags())
        .arg("-o")
        .arg(&program));
    run(&mut Command::new(&program));
}
