//! Time, in a way that survives a busy machine: contenders in turns, medians,
//! only ratios of the same run, and the time of the processor.
//!
//! On one core, with nothing to wait for but the other thread, the time that
//! this process spends on the processor is the time that passes, less what
//! other programs take.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anjay_net_support::process::{Clock, pin_to, processors};
use anjay_net_support::time::median;

use crate::{Contender, Operation, Who};

/// How often, each time with new contenders: a connection keeps the buffer
/// sizes that the kernel found for it at its start, and those are a matter of
/// luck.
pub const ROUNDS: usize = 11;

/// Time of a round, both contenders together.
const ROUND: Duration = Duration::from_millis(150);

/// What both contenders took.
#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    /// The plain system calls, in nanoseconds for one operation.
    pub raw: f64,
    /// The library.
    pub layer: f64,
    /// The median over all rounds of the ratio in each.
    pub ratio: f64,
}

/// The processors that this process may use, before [`pin`].
pub fn cores() -> &'static [usize] {
    static CORES: OnceLock<Vec<usize>> = OnceLock::new();
    CORES.get_or_init(processors)
}

/// Binds this thread, and those it starts, to the last of the [`cores`]. With
/// two, wake-ups between cores are what would be measured.
pub fn pin() -> bool {
    cores().last().is_some_and(|&core| pin_to(core))
}

fn time(contender: &mut Contender, n: u64) -> Duration {
    contender.prepare(n);
    let start = Clock::Process.now();
    contender.run(n);
    Clock::Process.now() - start
}

/// Runs both contenders in turns, a batch each.
pub fn compare(operation: &Operation) -> Comparison {
    let rounds: Vec<_> = (0..ROUNDS).map(|_| round(operation)).collect();
    Comparison {
        raw: median(rounds.iter().map(|[raw, _]| *raw)),
        layer: median(rounds.iter().map(|[_, layer]| *layer)),
        ratio: median(rounds.iter().map(|[raw, layer]| layer / raw)),
    }
}

fn round(operation: &Operation) -> [f64; 2] {
    let mut contenders = Who::BOTH.map(|who| operation.contender(who));
    for contender in &mut contenders {
        for _ in 0..4 {
            time(contender, operation.batch);
        }
    }
    let mut times = [Vec::new(), Vec::new()];
    let start = Instant::now();
    while start.elapsed() < ROUND || times[0].len() < 5 {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            let time = time(contender, operation.batch);
            times.push(time.as_secs_f64() * 1e9 / operation.batch as f64);
        }
    }
    times.map(median)
}
