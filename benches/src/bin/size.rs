//! Prints what the library takes: memory of a socket, and bytes of a C
//! program, with the flags it was built with.

use std::error::Error;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;

use anjay_net_bench::Layer;
use anjay_net_bench::counting::{self, Weighing};
use anjay_net_bench::measure::descriptors;
use anjay_net_bench::operations::{Patience, Transport};

#[global_allocator]
static ALLOCATOR: Weighing = Weighing;

/// The program that cross-check measures as well.
const PROGRAM: &str = include_str!("../../../tests/support/size.c");

const FLAGS: &[&str] = &[
    "-O2",
    "-ffunction-sections",
    "-fdata-sections",
    "-Wl,--gc-sections",
    "-s",
];

fn main() -> Result<(), Box<dyn Error>> {
    memory();
    program()
}

/// Heap of the process, with what malloc(3) adds.
fn heap() -> i64 {
    // SAFETY: no memory is passed.
    unsafe { libc::mallinfo2() }.uordblks as i64
}

fn memory() {
    let peer = UdpSocket::bind("127.0.0.1:0").expect("a socket of the system");
    let to = peer.local_addr().expect("its address");
    let most = descriptors(100_000);
    println!("Heap of an open, connected UDP socket (at most {most} descriptors):\n");
    println!(
        "{:>10}{:>12}{:>16}",
        "sockets", "bytes each", "with malloc's"
    );
    let mut sockets = Vec::with_capacity(most);
    let (asked, taken) = (counting::bytes(), heap());
    for count in [1, 100, 1_000, 10_000, most] {
        while sockets.len() < count.min(most) {
            sockets.push(Layer::udp_to(to, Patience::None));
        }
        let each = |before, now: i64| (now - before) as f64 / sockets.len() as f64;
        let (asked, taken) = (each(asked, counting::bytes()), each(taken, heap()));
        println!("{:>10}{asked:>12.0}{taken:>16.0}", sockets.len());
    }
}

fn program() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::current_exe()?
        .ancestors()
        .nth(2)
        .ok_or("no target directory")?
        .to_owned();
    let place = target.join("size");
    fs::create_dir_all(&place)?;
    let empty = link(&root, &place, "empty", "int main(void) { return 0; }", None)?;
    println!("\nA C program, cc {}:\n", FLAGS.join(" "));
    println!("{:<46}{:>10}{:>10}", "", "text+data", "file");
    println!(
        "{:<46}{:>10}{:>10}",
        "without the library", empty.loaded, empty.file
    );
    for (profile, cargo) in [
        ("release", &["build", "--release", "-p", "anjay-net"][..]),
        (
            "dist",
            &[
                "rustc",
                "--profile",
                "dist",
                "-p",
                "anjay-net",
                "--crate-type",
                "staticlib",
            ],
        ),
    ] {
        let status = Command::new(env!("CARGO"))
            .args(cargo)
            .arg("--quiet")
            .arg("--manifest-path")
            .arg(root.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .status()?;
        if !status.success() {
            return Err(format!("cargo {} failed", cargo.join(" ")).into());
        }
        let archive = target.join(profile).join("libanjay_net.a");
        let with = link(&root, &place, profile, PROGRAM, Some(&archive))?;
        println!(
            "{:<46}{:>10}{:>10}",
            format!("the {profile} archive adds"),
            with.loaded - empty.loaded,
            with.file - empty.file
        );
    }
    Ok(())
}

struct Bytes {
    loaded: u64,
    file: u64,
}

/// Compiles and links a program and looks at its size.
fn link(
    root: &Path,
    place: &Path,
    name: &str,
    text: &str,
    archive: Option<&PathBuf>,
) -> Result<Bytes, Box<dyn Error>> {
    let source = place.join(name).with_extension("c");
    let program = place.join(name);
    fs::write(&source, text)?;
    let status = Command::new("cc")
        .args(FLAGS)
        .arg("-I")
        .arg(root.join("include"))
        .arg("-o")
        .arg(&program)
        .arg(&source)
        .args(archive)
        .args(["-lpthread", "-ldl", "-lm"])
        .status()?;
    if !status.success() {
        return Err(format!("cc failed for {name}").into());
    }
    let output = Command::new("size").arg(&program).output()?;
    let text = String::from_utf8(output.stdout)?;
    // The second line: text, data, bss, and sums.
    let figures: Vec<u64> = text
        .lines()
        .nth(1)
        .ok_or("size(1) said nothing")?
        .split_whitespace()
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok(Bytes {
        loaded: figures.iter().sum(),
        file: fs::metadata(&program)?.len(),
    })
}
