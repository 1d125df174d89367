//! Prints what each operation costs, as a table in Markdown. The exit status is
//! 0 only if every budget is kept.

use std::env;
use std::net::UdpSocket;
use std::path::Path;
use std::process::ExitCode;

use anjay_net_bench::heap::{self, Counting};
use anjay_net_bench::{Calls, Layer, Operation, Transport, Wait, Who, measure, operations, probe};
use anjay_net_support::callgrind;
use anjay_net_support::process::raise_descriptor_limit;
use anjay_net_vtable::Kind;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    if probe::run_if_asked() {
        return ExitCode::SUCCESS;
    }
    // First of all: the library keeps memory of sockets that were closed.
    let each = heap_of_a_socket();
    let wanted: Vec<String> = env::args().skip(1).collect();
    let program = env::current_exe().expect("the path of this program");
    if !measure::pin() {
        println!("Not bound to a core: ratios mean little.\n");
    }
    if !callgrind::is_available() {
        println!("valgrind is not installed: no instructions are counted.\n");
    }
    println!(
        "| operation | raw, ns | anjay-net, ns | ratio (budget) | system calls (budget) \
         | instructions: raw, anjay-net (budget) | allocations | |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut exceeded = 0;
    for operation in operations::OPERATIONS {
        if wanted.is_empty() || wanted.iter().any(|key| operation.key.contains(key)) {
            exceeded += print_row(&program, operation);
        }
    }
    println!(
        "
An open, connected UDP socket takes {each} bytes of heap."
    );
    match exceeded {
        0 => println!("Every budget is kept."),
        exceeded => println!("{exceeded} budgets are exceeded."),
    }
    if exceeded == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints a line; how many of its budgets are exceeded.
fn print_row(program: &Path, operation: &Operation) -> usize {
    let budget = operation.budget;
    let mut exceeded = Vec::new();
    let mut judge = |what, kept: bool| {
        if !kept {
            exceeded.push(what);
        }
    };
    let mut cells = vec![operation.title.to_owned()];
    match budget.ratio {
        Some(limit) => {
            let compared = measure::compare(operation);
            judge("time", compared.ratio <= limit);
            cells.push(format!("{:.0}", compared.raw));
            cells.push(format!("{:.0}", compared.layer));
            cells.push(format!("{:.3} ({limit:.2})", compared.ratio));
        }
        None => cells.extend([const { String::new() }; 3]),
    }
    let made = || probe::system_calls(program, operation, Who::Layer, 1);
    let calls = match budget.calls {
        Calls::Varying => Ok(String::new()),
        Calls::Exactly(count) => made().map(|calls| {
            judge("system calls", calls.len() as u64 == count);
            format!("{} ({count})", calls.len())
        }),
        Calls::AtMost(count) => made().map(|calls| {
            judge("system calls", calls.len() as u64 <= count);
            format!("{} (<= {count})", calls.len())
        }),
    };
    cells.push(calls.unwrap_or_else(|problem| problem));
    cells.push(match budget.instructions {
        Some(limit) if callgrind::is_available() => {
            let [raw, layer] = Who::BOTH.map(|who| {
                probe::instructions(program, operation, who).expect("callgrind's figures")
            });
            judge("instructions", layer <= limit);
            format!("{raw}, {layer} ({limit})")
        }
        _ => String::new(),
    });
    let allocations = probe::allocations(program, operation).expect("the probe runs");
    judge("allocations", budget.allocates || allocations == 0);
    cells.push(allocations.div_ceil(operation.batch).to_string());
    cells.push(match exceeded.as_slice() {
        [] => "kept".to_owned(),
        exceeded => format!("EXCEEDED: {}", exceeded.join(", ")),
    });
    println!("| {} |", cells.join(" | "));
    exceeded.len()
}

fn heap_of_a_socket() -> i64 {
    let peer = UdpSocket::bind("127.0.0.1:0").expect("a socket of the system");
    let to = peer.local_addr().expect("its address");
    let count = raise_descriptor_limit().min(10_000) - 100;
    let mut sockets = Vec::with_capacity(count);
    let before = heap::bytes();
    sockets.extend((0..count).map(|_| Layer::to(Kind::Udp, to, Wait::No)));
    (heap::bytes() - before) / count as i64
}
