//! Every operation beside the plain system calls, as criterion reports it.
//!
//! Criterion measures one contender after the other, and a machine is never
//! the same twice. So whichever is measured, both run in turns, a batch each,
//! and the ratio that is printed is of batches that stood side by side.

use std::cell::RefCell;
use std::time::Duration;

use anjay_net_bench::measure::{median, pin, time};
use anjay_net_bench::operations::OPERATIONS;
use anjay_net_bench::{Contender, Operation, Who};
use criterion::Criterion;

struct Pair {
    operation: &'static Operation,
    contenders: [Box<dyn Contender>; 2],
    ratios: Vec<f64>,
}

impl Pair {
    fn new(operation: &'static Operation) -> Pair {
        Pair {
            operation,
            contenders: Who::BOTH.map(|who| operation.contender(who)),
            ratios: Vec::new(),
        }
    }

    /// What `n` operations of `who` take.
    fn measure(&mut self, who: Who, n: u64) -> Duration {
        let mut total = Duration::ZERO;
        let mut done = 0;
        while done < n {
            let batch = self.operation.batch.min(n - done);
            let [raw, layer] = self
                .contenders
                .each_mut()
                .map(|contender| time(contender.as_mut(), batch));
            total += match who {
                Who::Raw => raw,
                Who::Layer => layer,
            };
            self.ratios.push(layer.as_secs_f64() / raw.as_secs_f64());
            done += batch;
        }
        total
    }
}

fn operations(criterion: &mut Criterion) {
    match pin() {
        Some(core) => println!("All on core {core}."),
        None => println!("Not bound to a core: ratios mean little."),
    }
    for operation in OPERATIONS {
        let Some(goal) = operation.goals.ratio else {
            continue;
        };
        let pair = RefCell::new(Pair::new(operation));
        let mut group = criterion.benchmark_group(operation.key);
        for who in Who::BOTH {
            group.bench_function(who.name(), |bencher| {
                bencher.iter_custom(|n| pair.borrow_mut().measure(who, n));
            });
        }
        group.finish();
        let ratios = pair.into_inner().ratios;
        if !ratios.is_empty() {
            let ratio = median(ratios);
            println!("{}: {ratio:.3} of raw, goal {goal:.2}\n", operation.title);
        }
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    operations(&mut criterion);
    criterion.final_summary();
}
