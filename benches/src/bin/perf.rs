//! Prints one table: what each operation costs, and whether the goals are met.

use std::env;
use std::path::Path;
use std::time::Duration;

use anjay_net_bench::counting::Counting;
use anjay_net_bench::measure::{self, Effort};
use anjay_net_bench::operations::OPERATIONS;
use anjay_net_bench::{Operation, Who, callgrind, probe, trace};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const EFFORT: Effort = Effort {
    rounds: 11,
    round: Duration::from_millis(150),
};

fn main() {
    if probe::run_if_asked() {
        return;
    }
    let wanted: Vec<String> = env::args().skip(1).collect();
    let program = env::current_exe().expect("the path of this program");
    match measure::pin() {
        Some(core) => println!("All on core {core}, {} rounds, medians.", EFFORT.rounds),
        None => println!("Not bound to a core: ratios mean little."),
    }
    if !callgrind::is_installed() {
        println!("valgrind is not installed: no instructions are counted.");
    }
    println!();
    println!(
        "{:<34}{:>8}{:>8}{:>7}{:>7}  {:<9}{:<18}{:<8}",
        "operation", "raw, ns", "ns", "ratio", "goal", "calls", "instructions", "allocs"
    );
    let mut missed = 0;
    for operation in OPERATIONS {
        if wanted.is_empty() || wanted.iter().any(|key| operation.key.contains(key)) {
            missed += print_row(&program, operation);
        }
    }
    println!();
    println!("calls, instructions: raw, library, (goal); allocs: library.");
    match missed {
        0 => println!("Every goal is met."),
        missed => println!("{missed} not met."),
    }
}

/// Prints a line and says how many of its goals are not met.
fn print_row(program: &Path, operation: &Operation) -> u32 {
    let goals = operation.goals;
    let mut missed = Vec::new();
    print!("{:<34}", operation.title);
    if goals.ratio.is_some() {
        let compared = measure::compare(operation, EFFORT);
        print!(
            "{:>8.0}{:>8.0}{:>7.3}{:>7.2}  ",
            compared.raw,
            compared.layer,
            compared.ratio,
            goals.ratio.unwrap_or_default()
        );
        if goals.ratio.is_some_and(|goal| compared.ratio > goal) {
            missed.push("time");
        }
    } else {
        print!("{:>8}{:>8}{:>7}{:>7}  ", "", "", "", "");
    }

    match goals.system_calls {
        Some(goal) => {
            let [raw, layer] = Who::BOTH.map(|who| {
                let mut command = probe::command(program, operation, who, 1);
                trace::system_calls(&mut command).map(|calls| calls.len())
            });
            match (raw, layer) {
                (Ok(raw), Ok(layer)) => {
                    print!("{:<9}", format!("{raw} {layer} ({goal})"));
                    if layer > goal as usize {
                        missed.push("calls");
                    }
                }
                _ => print!("{:<9}", "no ptrace"),
            }
        }
        None => print!("{:<9}", ""),
    }

    match goals.instructions {
        Some(goal) if callgrind::is_installed() => {
            let [raw, layer] = Who::BOTH.map(|who| {
                callgrind::instructions(program, operation, who).expect("callgrind's figures")
            });
            print!("{:<18}", format!("{raw} {layer} ({goal})"));
            if layer > goal {
                missed.push("instructions");
            }
        }
        _ => print!("{:<18}", ""),
    }

    let output = probe::command(program, operation, Who::Layer, operation.batch)
        .output()
        .expect("the probe runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let total: u64 = text.trim().parse().expect("a number of allocations");
    let each = total.div_ceil(operation.batch);
    print!("{each:<8}");
    if goals.allocations.is_some_and(|goal| each > goal) {
        missed.push("allocations");
    }
    match missed.as_slice() {
        [] => println!("met"),
        missed => println!("NOT MET: {}", missed.join(", ")),
    }
    missed.len() as u32
}
