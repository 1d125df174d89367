//! What `make install` does, into directories of the tests'.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anjay_net_tests::{require_program, target_directory, workspace_root};

/// Where it would be on the user's machine: not where it is here, so every test
/// is one of an installation that was moved.
const PREFIX: &str = "/opt/anjay-net";

/// An installed anjay-net.
pub struct Installation {
    staging: PathBuf,
    libdir: &'static str,
    directories: &'static [&'static str],
}

impl Installation {
    /// With the usual directories; shared by all tests that only read it.
    pub fn usual() -> &'static Installation {
        static USUAL: OnceLock<Installation> = OnceLock::new();
        USUAL.get_or_init(|| Installation::make("usual", "lib", &[]))
    }

    /// With directories as in Debian.
    pub fn multiarch() -> Installation {
        Installation::make(
            "multiarch",
            "lib/x86_64-linux-gnu",
            &[
                "LIBDIR=/opt/anjay-net/lib/x86_64-linux-gnu",
                "INCLUDEDIR=/opt/anjay-net/include/anjay-net",
            ],
        )
    }

    /// With the usual directories, for one test.
    pub fn temporary(name: &str) -> Installation {
        Installation::make(name, "lib", &[])
    }

    fn make(
        name: &str,
        libdir: &'static str,
        directories: &'static [&'static str],
    ) -> Installation {
        // One at a time builds the archive, which the others then find.
        static ARCHIVE: OnceLock<()> = OnceLock::new();
        require_program("make", "make");
        ARCHIVE.get_or_init(|| {
            let cargo = anjay_net_support::cargo::cargo();
            let program = cargo.get_program().to_string_lossy().into_owned();
            run(make("all").arg(format!("CARGO={program}")));
        });
        let staging = workshop(name);
        let installation = Installation {
            staging,
            libdir,
            directories,
        };
        run(&mut installation.make_command("install"));
        installation
    }

    fn make_command(&self, goal: &str) -> Command {
        let mut command = make(goal);
        command
            // With the archive built, root needs no cargo and no network.
            .arg("CARGO=false")
            .arg(format!("PREFIX={PREFIX}"))
            .arg(format!("DESTDIR={}", self.staging.display()))
            .args(self.directories);
        command
    }

    /// Takes the files away again.
    pub fn uninstall(&self) {
        run(&mut self.make_command("uninstall"));
    }

    /// Its name among the tests.
    pub fn name(&self) -> &str {
        let name = self.staging.file_name().and_then(|name| name.to_str());
        name.expect("made from text")
    }

    /// The prefix, as it is here.
    pub fn prefix(&self) -> PathBuf {
        self.path("")
    }

    /// An installed file.
    pub fn path(&self, file: &str) -> PathBuf {
        let prefix = PREFIX.trim_start_matches('/');
        self.staging.join(prefix).join(file)
    }

    /// All installed files, relative to the prefix.
    pub fn files(&self) -> Vec<String> {
        let text = run(Command::new("find").arg(self.prefix()).args(["-type", "f"]));
        let prefix = format!("{}", self.prefix().display());
        let mut files: Vec<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix))
            .map(str::to_owned)
            .collect();
        files.sort();
        files
    }

    /// What pkg-config answers about the package.
    pub fn pkg_config(&self, question: &str) -> String {
        require_program("pkg-config", "pkg-config");
        let directory = self.path(self.libdir).join("pkgconfig");
        let answer = run(Command::new("pkg-config")
            .env("PKG_CONFIG_LIBDIR", directory)
            .args([question, "anjay_net"]));
        answer.trim().to_owned()
    }

    /// All that compiler and linker need to know.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        for question in ["--cflags", "--libs"] {
            let answer = self.pkg_config(question);
            flags.extend(answer.split_whitespace().map(str::to_owned));
        }
        flags
    }
}

/// A command of `make`.
pub fn make(goal: &str) -> Command {
    let mut command = Command::new("make");
    command
        .current_dir(workspace_root())
        .arg("--silent")
        .arg(goal)
        .arg(format!("BUILD_DIR={}", target_directory().display()));
    command
}

/// An empty directory of that name.
pub fn workshop(name: &str) -> PathBuf {
    let directory = target_directory().join("install-test").join(name);
    remove(&directory);
    fs::create_dir_all(&directory).expect("the target directory is writable");
    directory
}

fn remove(directory: &Path) {
    if directory.exists() {
        fs::remove_dir_all(directory).expect("the target directory is ours");
    }
}

/// Runs a command that must succeed; gives all that it printed.
///
/// # Panics
///
/// When it fails, with what it printed.
pub fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}",
        output.status
    );
    text
}
