//! The process that is looked at from outside: it runs one loop of one
//! contender, marked so that a tracer sees where it begins and ends.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::counting;
use crate::operations::{Contender, Operation, Who};

/// The first argument of a process that is to be a probe.
pub const ARGUMENT: &str = "--probe";

/// The name under which callgrind knows the measured part.
pub const MEASURED: &str = "anjay_net_bench_measured";

/// The measured part. Before and after it stands a getppid(2), which nothing
/// else here calls.
#[unsafe(no_mangle)]
#[inline(never)]
fn anjay_net_bench_measured(contender: &mut dyn Contender, n: u64) {
    contender.run(n);
}

/// A command that runs `n` operations in a process of its own. `program` is
/// one that calls [`run_if_asked`].
pub fn command(program: &Path, operation: &Operation, who: Who, n: u64) -> Command {
    let mut command = Command::new(program);
    command.args(arguments(operation, who, n));
    command
}

/// The arguments that make a program the probe of an operation.
pub fn arguments(operation: &Operation, who: Who, n: u64) -> [OsString; 4] {
    [ARGUMENT, operation.key, who.name(), &n.to_string()].map(OsString::from)
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
    let who = Who::BOTH
        .into_iter()
        .find(|other| other.name() == who)
        .expect("raw or layer");
    let n = n.parse().expect("a number of operations");
    let mut contender = operation.contender(who);
    let contender = contender.as_mut();
    // Whatever happens only the first time.
    contender.prepare(operation.batch.min(4));
    contender.run(operation.batch.min(4));
    contender.prepare(n);
    let before = counting::allocations();
    // SAFETY: no memory is passed.
    unsafe { libc::getppid() };
    anjay_net_bench_measured(contender, n);
    // SAFETY: as above.
    unsafe { libc::getppid() };
    println!("{}", counting::allocations() - before);
    true
}
