//! The processor that archives and C programs are built for: this machine's,
//! unless `cargo cross-check` asks for another one.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// The triple that the tests themselves are compiled for.
pub const HOST: &str = env!("ANJAY_NET_TEST_HOST");

/// What programs are built for, and how they are run.
#[derive(Debug)]
pub struct Target {
    triple: String,
    emulator: Vec<String>,
    is_static: bool,
}

impl Target {
    /// The target of this run: `ANJAY_NET_TEST_TARGET` is its triple, and
    /// `ANJAY_NET_TEST_EMULATOR` the words before a program's name, if any.
    /// `ANJAY_NET_TEST_STATIC=1` asks for programs without shared libraries.
    pub fn get() -> &'static Target {
        static TARGET: OnceLock<Target> = OnceLock::new();
        TARGET.get_or_init(|| {
            let variable = |name| std::env::var(name).unwrap_or_default();
            let triple = match variable("ANJAY_NET_TEST_TARGET") {
                empty if empty.is_empty() => HOST.to_owned(),
                triple => triple,
            };
            let emulator = variable("ANJAY_NET_TEST_EMULATOR")
                .split_whitespace()
                .map(str::to_owned)
                .collect();
            Target {
                triple,
                emulator,
                is_static: variable("ANJAY_NET_TEST_STATIC") == "1",
            }
        })
    }

    /// Its Rust name, such as `x86_64-unknown-linux-gnu`.
    pub fn triple(&self) -> &str {
        &self.triple
    }

    /// Whether it is another one than the tests' own.
    pub fn is_foreign(&self) -> bool {
        self.triple != HOST
    }

    /// Whether its C library is musl.
    pub fn is_musl(&self) -> bool {
        self.triple.contains("-musl")
    }

    /// Whether programs have no shared libraries.
    pub fn is_static(&self) -> bool {
        self.is_static
    }

    /// Cargo's profile for archives: `release`, or what
    /// `ANJAY_NET_TEST_PROFILE` says.
    pub fn profile(&self) -> String {
        std::env::var("ANJAY_NET_TEST_PROFILE").unwrap_or_else(|_| "release".to_owned())
    }

    /// Whether a case asks for what the emulator can't do: those named in
    /// `ANJAY_NET_TEST_SKIP`, with commas between them.
    pub fn skips(&self, case: &str) -> bool {
        let skipped = std::env::var("ANJAY_NET_TEST_SKIP").unwrap_or_default();
        skipped.split(',').any(|one| one == case)
    }

    /// A command that runs one of its programs here.
    pub fn command(&self, program: &Path) -> Command {
        let [emulator, arguments @ ..] = self.emulator.as_slice() else {
            return Command::new(program);
        };
        let mut command = Command::new(emulator);
        command.args(arguments).arg(program);
        if emulator.contains("qemu") {
            // The kernel tells what a thread waits in by this machine's
            // numbers, and everything takes many times longer.
            let waits = WAITS.map(|number| number.to_string()).join(",");
            command
                .env("ANJAY_NET_TEST_WAITS", waits)
                .env("ANJAY_NET_TEST_SLOW", "1");
        }
        command
    }
}

/// The system calls in which x86-64 threads wait for sockets: poll, select,
/// connect, accept, sendto, recvfrom, sendmsg, recvmsg, epoll_wait, pselect6,
/// ppoll, epoll_pwait, accept4.
const WAITS: [u32; 13] = [7, 23, 42, 43, 44, 45, 46, 47, 232, 270, 271, 281, 288];
