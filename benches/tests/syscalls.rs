//! Exactly how many system calls each operation makes.

mod release;

use anjay_net_bench::operations::OPERATIONS;
use anjay_net_bench::{Who, probe, trace};

#[test]
fn every_operation_makes_its_system_calls_and_no_other() {
    let program = release::perf();
    for operation in OPERATIONS {
        let Some(goal) = operation.goals.system_calls else {
            continue;
        };
        for &calls in operation.system_calls {
            assert!(calls <= goal, "{}", operation.title);
        }
        for n in [1, 5, 12] {
            let mut command = probe::command(&program, operation, Who::Layer, n);
            let calls = trace::system_calls(&mut command).expect("ptrace works");
            let calls: Vec<_> = calls.into_iter().map(trace::name).collect();
            let expected = operation.system_calls(n as usize) as usize;
            assert_eq!(
                calls.len(),
                expected,
                "{n} x {}: {calls:?}",
                operation.title
            );
        }
    }
}
