//! What a C compiler makes of the header: a program written from the table
//! prints every value.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use anjay_net_tests::{Abi, CheckedBy, Dialect, Program, Sources};

use crate::facts::{Facts, Kind};

/// The same facts with the values that the compiler gives them.
pub fn layout(facts: &Facts, dialect: Dialect, abi: Abi) -> Facts {
    let mut declarations = String::new();
    let mut prints = String::new();
    for (number, (kind, name)) in facts.keys().enumerate() {
        let (container, field) = name.split_once('.').unwrap_or((name, ""));
        let value = match kind {
            Kind::SizeOf => format!("sizeof({name})"),
            Kind::AlignOf => {
                writeln!(
                    declarations,
                    "struct aligned_{number} {{ char c; {name} value; }};"
                )
                .expect("a string takes text");
                format!("offsetof(struct aligned_{number}, value)")
            }
            Kind::OffsetOf => format!("offsetof({container}, {field})"),
            Kind::FieldSize => format!("sizeof((({container} *) 0)->{field})"),
            Kind::Slot => {
                format!("offsetof(anjay_net_socket_v_table_t, {name}) / sizeof(void (*)(void))")
            }
            Kind::Enum | Kind::Constant => name.clone(),
            // Links only when the archive has it.
            Kind::Symbol => {
                writeln!(
                    declarations,
                    "void (*volatile symbol_{number})(void) = (void (*)(void)) {name};"
                )
                .expect("a string takes text");
                format!("(symbol_{number} != NULL)")
            }
        };
        writeln!(prints, "    printf(\"{number} %ld\\n\", (long) ({value}));")
            .expect("a string takes text");
    }
    let output = compile_and_run("facts", &declarations, &prints, dialect, abi);
    let names: Vec<_> = facts.keys().cloned().collect();
    pairs(&output)
        .map(|(number, value)| (names[number as usize].clone(), value))
        .collect()
}

/// Error code by errno number, for each code named after an errno.
pub fn errnos(facts: &Facts) -> BTreeMap<i32, i64> {
    let mut prints = String::new();
    for ((kind, name), code) in facts {
        let Some(errno) = name.strip_prefix("ANJAY_NET_ERRNO_E") else {
            continue;
        };
        if *kind == Kind::Enum {
            writeln!(prints, "    printf(\"{code} %ld\\n\", (long) E{errno});")
                .expect("a string takes text");
        }
    }
    let output = compile_and_run("errnos", "", &prints, Dialect::C, Abi::Commons5);
    pairs(&output)
        .map(|(code, number)| (i32::try_from(number).expect("errnos are ints"), code))
        .collect()
}

fn pairs(output: &str) -> impl Iterator<Item = (i64, i64)> {
    output.lines().map(|line| {
        let (first, second) = line.split_once(' ').expect("two numbers a line");
        let number = |text: &str| text.parse().expect("a number");
        (number(first), number(second))
    })
}

fn compile_and_run(
    name: &str,
    declarations: &str,
    prints: &str,
    dialect: Dialect,
    abi: Abi,
) -> String {
    let source = format!(
        "#include \"check.h\"\n#include <errno.h>\n#include <stddef.h>\n#include <stdio.h>\n\
         {declarations}\nTEST({name}) {{\n{prints}}}\n"
    );
    // Named after all that it depends on: tests run side by side.
    let path =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{dialect:?}-{abi:?}.c"));
    std::fs::write(&path, source).expect("the target directory is writable");
    let program = Program::build(&Sources {
        dialect,
        abi,
        ..Sources::c(path)
    });
    let output = program
        .command(CheckedBy::Itself)
        .arg(name)
        .output()
        .expect("the program can be started");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("numbers are UTF-8")
}
