//! What the archive adds to a C program.

use std::path::Path;
use std::process::Command;

/// The program that `benches/src/bin/size.rs` measures as well.
const PROGRAM: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/size.c"));

/// Bytes of text and data that the archive in `directory` adds to a program
/// whose linker drops what is not used.
pub fn contribution(cc: &str, include: &Path, directory: &Path) -> Result<u64, String> {
    let size = cc.replace("-gcc", "-size");
    let loaded = |name: &str, text: &str| -> Result<u64, String> {
        let source = directory.join(name).with_extension("c");
        let program = directory.join(name);
        std::fs::write(&source, text).map_err(|error| error.to_string())?;
        output(
            Command::new(cc)
                .args(["-O2", "-ffunction-sections", "-fdata-sections"])
                .args(["-Wl,--gc-sections", "-s", "-I"])
                .arg(include)
                .arg("-o")
                .args([&program, &source, &directory.join("libanjay_net.a")])
                .args(["-lpthread", "-ldl", "-lm"]),
        )?;
        let text = output(Command::new(&size).arg(&program))?;
        // The second line: text, data, bss, and sums.
        let figures = text.lines().nth(1).unwrap_or_default().split_whitespace();
        figures
            .take(2)
            .map(|figure| figure.parse::<u64>().map_err(|error| error.to_string()))
            .sum()
    };
    let empty = loaded("empty", "int main(void) { return 0; }\n")?;
    Ok(loaded("all", PROGRAM)? - empty)
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?} can't be started: {error}"))?;
    if !output.status.success() {
        let problem = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {problem}"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
