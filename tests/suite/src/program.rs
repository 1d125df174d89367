//! C programs: compiled once per process, run case by case.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use crate::archive::{profiler_runtime, sanitizer_runtime, system_libraries};
use crate::{
    Abi, Archive, HOST, Target, c_files, c_sources, require_program, target_directory,
    workspace_root,
};

/// The language that sources are compiled as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// C99.
    C,
    /// C++11.
    Cpp,
}

/// What a program is compiled from and with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sources {
    /// The program's own source file; relative paths are below `c/`.
    pub main: PathBuf,
    /// The language.
    pub dialect: Dialect,
    /// The option-value layout.
    pub abi: Abi,
    /// Further source files, below `c/`, beside those of every program's support.
    pub others: Vec<&'static str>,
    /// Further libraries, such as `-lssl`.
    pub libraries: Vec<&'static str>,
}

impl Sources {
    /// A C99 program made of cases, for the default ABI.
    pub fn c(main: impl Into<PathBuf>) -> Sources {
        Sources {
            main: main.into(),
            dialect: Dialect::C,
            abi: Abi::Commons5,
            others: Vec::new(),
            libraries: Vec::new(),
        }
    }
}

/// Who watches a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckedBy {
    /// Nobody but the program's own checks.
    Itself,
    /// valgrind: invalid accesses and leaks fail the run.
    Valgrind,
}

/// Exit status that valgrind gives when it found something.
const VALGRIND_FOUND: i32 = 97;

/// A compiled program.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
}

impl Program {
    /// The program made of these sources and the archive, compiled by the
    /// first caller.
    ///
    /// # Panics
    ///
    /// When the compiler or linker complains about anything.
    pub fn build(sources: &Sources) -> Arc<Program> {
        type Slots = HashMap<Sources, Arc<OnceLock<Arc<Program>>>>;
        static PROGRAMS: LazyLock<Mutex<Slots>> = LazyLock::new(Mutex::default);

        let slot = PROGRAMS
            .lock()
            .expect("nobody panics while holding the table")
            .entry(sources.clone())
            .or_default()
            .clone();
        slot.get_or_init(|| Arc::new(compile(sources))).clone()
    }

    /// The executable.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A command that runs the program under the given supervision.
    pub fn command(&self, checked_by: CheckedBy) -> Command {
        match checked_by {
            CheckedBy::Itself => Target::get().command(&self.path),
            CheckedBy::Valgrind => {
                require_program("valgrind", "valgrind");
                let suppressions = c_sources().with_file_name("valgrind.supp");
                let mut command = Command::new("valgrind");
                command
                    .arg("--quiet")
                    .arg(format!("--error-exitcode={VALGRIND_FOUND}"))
                    .args(["--leak-check=full", "--show-leak-kinds=definite,indirect"])
                    .arg("--errors-for-leak-kinds=definite,indirect")
                    .args(["--num-callers=30", "--fair-sched=try"])
                    .arg(format!("--suppressions={}", suppressions.display()))
                    .arg(&self.path)
                    .env("ANJAY_NET_TEST_SLOW", "1");
                command
            }
        }
    }

    /// Runs cases, with these variables in their environment: one in the program's own
    /// process, several in children of it.
    ///
    /// # Errors
    ///
    /// When a case fails: all that they printed.
    ///
    /// # Panics
    ///
    /// When the program can't be started.
    pub fn run(
        &self,
        cases: &[impl AsRef<OsStr>],
        checked_by: CheckedBy,
        environment: &[(&str, &str)],
    ) -> Result<String, String> {
        let output = self
            .command(checked_by)
            .args(cases)
            .envs(environment.iter().copied())
            .output()
            .expect("the program can be started");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(failure(&self.path, &output))
        }
    }

    /// All cases in the program.
    ///
    /// # Panics
    ///
    /// When the program can't list them.
    pub fn cases(&self) -> Vec<Case> {
        let list = self.run(&["--list"], CheckedBy::Itself, &[]);
        let list = list.unwrap_or_else(|problem| panic!("{problem}"));
        let mut cases: Vec<Case> = list.lines().map(Case::parse).collect();
        cases.sort();
        cases
    }
}

/// A case, as `--list` prints it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Whether it mostly waits, or is about real time.
    pub is_slow: bool,
}

impl Case {
    fn parse(line: &str) -> Case {
        let name = line.strip_suffix(" slow");
        Case {
            name: name.unwrap_or(line).to_owned(),
            is_slow: name.is_some(),
        }
    }
}

fn failure(program: &Path, output: &Output) -> String {
    let verdict = match output.status.code() {
        Some(VALGRIND_FOUND) => "valgrind found an error".to_owned(),
        Some(code) => format!("exit status {code}"),
        None => format!("killed, {}", output.status),
    };
    format!(
        "{}: {verdict}\n{}{}",
        program.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn compile(sources: &Sources) -> Program {
    let (dialect, abi) = (sources.dialect, sources.abi);
    let c = c_sources();
    let mut command = compiler(dialect, abi);
    command
        .arg(c.join(&sources.main))
        .args(sources.others.iter().map(|file| c.join(file)))
        .args(["-x", "none"])
        .arg(support(dialect, abi))
        .arg(Archive::get(abi).path())
        .args(&sources.libraries);
    if let Some(runtime) = sanitizer_runtime() {
        // All of it, as it takes the place of functions of the C library.
        command.arg("-Wl,--whole-archive").arg(runtime).args([
            "-Wl,--no-whole-archive",
            "-rdynamic",
            "-lresolv",
        ]);
    }
    if let Some(runtime) = profiler_runtime() {
        command.arg("-Wl,-u,__llvm_profile_runtime").arg(runtime);
    }
    command.args(system_libraries());
    if Target::get().is_static() {
        command.arg("-static");
    }
    let stem = sources.main.file_stem().expect("a source file has a name");
    let name = format!("{}-{dialect:?}-{abi:?}", stem.to_string_lossy());
    Program {
        path: output_of(&mut command, &name),
    }
}

/// The support code that is part of every program, as one object.
fn support(dialect: Dialect, abi: Abi) -> PathBuf {
    type Objects = HashMap<(Dialect, Abi), PathBuf>;
    static OBJECTS: LazyLock<Mutex<Objects>> = LazyLock::new(Mutex::default);

    let mut objects = OBJECTS.lock().expect("the support code compiles");
    let object = objects.entry((dialect, abi)).or_insert_with(|| {
        let mut command = compiler(dialect, abi);
        let files = c_files("support");
        command
            .args(["-r", "-nostdlib"])
            .args(files.iter().map(|file| c_sources().join(file)));
        output_of(&mut command, &format!("support-{dialect:?}-{abi:?}.o"))
    });
    object.clone()
}

/// Runs the compiler; gives the file of that name that it makes. Each test binary
/// has a directory of its own.
fn output_of(compiler: &mut Command, name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let directory = target_directory()
        .join("c-tests")
        .join(Target::get().triple())
        .join(if Target::get().is_static() {
            "static"
        } else {
            ""
        })
        .join(test.file_stem().expect("a test has a file name"));
    std::fs::create_dir_all(&directory).expect("the target directory is writable");
    // Under a name of its own until it is whole: another run of this test may
    // be starting the old one.
    let unfinished = directory.join(format!("{name}.{}", std::process::id()));
    let output = compiler.arg("-o").arg(&unfinished).output();
    let output = output.unwrap_or_else(|error| {
        panic!("no C compiler ({error}); run: apt-get install --yes gcc g++");
    });
    assert!(
        output.status.success(),
        "{name} does not compile:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let path = directory.join(name);
    std::fs::rename(&unfinished, &path).expect("the target directory is writable");
    path
}

/// The compiler that the `cc` crate picks for this target (so `CC`, `CXX` and
/// their relatives count), and what it needs to know of any C file here.
fn compiler(dialect: Dialect, abi: Abi) -> Command {
    let mut command = cc::Build::new()
        .cargo_metadata(false)
        .cargo_warnings(false)
        .no_default_flags(true)
        .cpp(dialect == Dialect::Cpp)
        .target(Target::get().triple())
        .host(HOST)
        .opt_level(1)
        .get_compiler()
        .to_command();
    match dialect {
        Dialect::C => command.args(["-std=c99", "-x", "c"]),
        Dialect::Cpp => command.args(["-std=c++11", "-x", "c++"]),
    };
    if abi == Abi::Commons4 {
        command.arg("-DANJAY_NET_AVS_COMMONS_4");
    }
    command
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        .args(["-O1", "-g", "-D_GNU_SOURCE", "-pthread", "-I"])
        .arg(workspace_root().join("include"))
        .arg("-I")
        .arg(c_sources().join("support"));
    if Target::get().is_musl() {
        command.arg("-idirafter").arg(kernel_headers());
    }
    command
}

/// A directory of the kernel's headers alone: Debian's compiler for musl has no
/// others than the C library's.
fn kernel_headers() -> &'static Path {
    static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
        let directory = target_directory()
            .join("c-tests")
            .join(Target::get().triple())
            .join("kernel-headers");
        std::fs::create_dir_all(&directory).expect("the target directory is writable");
        // Those of other processors come with Debian's compilers for glibc.
        let (all, asm) = match Target::get().triple().split('-').next() {
            Some("aarch64") => ("/usr/aarch64-linux-gnu/include", ""),
            Some("armv7") => ("/usr/arm-linux-gnueabihf/include", ""),
            _ => ("/usr/include", "x86_64-linux-gnu"),
        };
        let all = Path::new(all);
        for (name, of) in [
            ("linux", all.join("linux")),
            ("asm", all.join(asm).join("asm")),
            ("asm-generic", all.join("asm-generic")),
        ] {
            match std::os::unix::fs::symlink(of, directory.join(name)) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    panic!("{name}: {error}")
                }
                _ => {}
            }
        }
        directory
    });
    &DIRECTORY
}
