//! The process that is looked at from outside: it runs one loop of one
//! contender, marked so that a tracer sees where it begins and ends.

use std::path::Path;
use std::process::Command;

use anjay_net_support::{callgrind, cargo, trace};

use crate::{Contender, Operation, Who, heap};

/// The first argument of a process that is to be a probe.
const ARGUMENT: &str = "--probe";

/// The name under which callgrind knows the measured part.
const MEASURED: &str = "anjay_net_bench_measured";

/// The measured part. Before and after it stands a getppid(2), which nothing
/// else here calls.
#[unsafe(no_mangle)]
#[inline(never)]
fn anjay_net_bench_measured(contender: &mut Contender, n: u64) {
    contender.run(n);
}

/// A command that runs `n` operations in a process of its own. `program` is
/// one that calls [`run_if_asked`].
fn command(program: &Path, operation: &Operation, who: Who, n: u64) -> Command {
    let mut command = Command::new(program);
    command.args([ARGUMENT, operation.key, who.name(), &n.to_string()]);
    command
}

/// The system calls of `n` operations, by name.
///
/// # Errors
/// What went wrong, as text.
pub fn system_calls(
    program: &Path,
    operation: &Operation,
    who: Who,
    n: u64,
) -> Result<Vec<String>, String> {
    let calls = trace::system_calls(&mut command(program, operation, who, n));
    let calls = calls.map_err(|error| format!("ptrace: {error}"))?;
    Ok(calls.into_iter().map(trace::name).collect())
}

/// Instructions of one operation outside of the kernel: the difference of two
/// loops, divided by the difference of their lengths.
///
/// # Errors
/// What went wrong, as text.
pub fn instructions(program: &Path, operation: &Operation, who: Who) -> Result<u64, String> {
    let (few, many) = (operation.batch / 4, operation.batch);
    let [less, more] = [few, many]
        .map(|n| callgrind::instructions(&command(program, operation, who, n), MEASURED));
    Ok((more? - less?).div_ceil(many - few))
}

/// Heap allocations of the library in a batch of operations.
///
/// # Errors
/// What went wrong, as text.
pub fn allocations(program: &Path, operation: &Operation) -> Result<u64, String> {
    let text = cargo::output(&mut command(
        program,
        operation,
        Who::Layer,
        operation.batch,
    ))?;
    let count = text.trim().parse();
    count.map_err(|_| format!("{text:?} is no number of allocations"))
}

/// Runs the loop if this process was started for that, prints the number of
/// allocations, and says that it did.
pub fn run_if_asked() -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [asked, key, who, n] = arguments.as_slice() else {
        return false;
    };
    if asked != ARGUMENT {
        return false;
    }
    let operation = Operation::find(key).expect("an operation of that key");
    let who = Who::BOTH.into_iter().find(|other| other.name() == who);
    let n = n.parse().expect("a number of operations");
    let mut contender = operation.contender(who.expect("raw or layer"));
    // Whatever happens only the first time.
    contender.prepare(operation.batch.min(4));
    contender.run(operation.batch.min(4));
    contender.prepare(n);
    let before = heap::allocations();
    // SAFETY: no memory is passed.
    unsafe { libc::getppid() };
    anjay_net_bench_measured(&mut contender, n);
    // SAFETY: no memory is passed.
    unsafe { libc::getppid() };
    println!("{}", heap::allocations() - before);
    true
}
