//! Time, in a way that survives a busy machine: contenders in turns, medians,
//! only ratios of the same run, and the time of the processor.
//!
//! On one core, with nothing to wait for but the other thread, the time that
//! this process spends on the processor is the time that passes, less what
//! other programs take.

use std::time::{Duration, Instant};

use crate::operations::{Contender, Operation, Who};

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds, of each of which only the median is kept.
    pub rounds: usize,
    /// Time of a round, both contenders together.
    pub round: Duration,
}

/// What both contenders took.
#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    /// The plain system calls, in nanoseconds for one operation.
    pub raw: f64,
    /// The library.
    pub layer: f64,
    /// The median over all rounds of the ratio in each.
    pub ratio: f64,
    /// The smallest and the largest ratio of a round.
    pub spread: (f64, f64),
}

/// Binds this thread, and those it starts, to one core: the last one that it
/// may use. With two, wake-ups between cores are what would be measured.
pub fn pin() -> Option<usize> {
    // SAFETY: a set of all zeros is a valid one, and its size is passed.
    unsafe {
        let mut allowed: libc::cpu_set_t = core::mem::zeroed();
        libc::sched_getaffinity(0, size_of_val(&allowed), &mut allowed);
        let core = (0..libc::CPU_SETSIZE as usize)
            .rev()
            .find(|&core| libc::CPU_ISSET(core, &allowed))?;
        pin_to(core).then_some(core)
    }
}

/// Binds this thread to that core.
pub fn pin_to(core: usize) -> bool {
    // SAFETY: a set of all zeros is a valid one, and its size is passed.
    unsafe {
        let mut one: libc::cpu_set_t = core::mem::zeroed();
        libc::CPU_SET(core, &mut one);
        libc::sched_setaffinity(0, size_of_val(&one), &one) == 0
    }
}

/// Time on the processor.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// Of all threads of this process.
    Process,
    /// Of this thread.
    Thread,
}

impl Clock {
    /// The time now.
    pub fn now(self) -> Duration {
        let clock = match self {
            Clock::Process => libc::CLOCK_PROCESS_CPUTIME_ID,
            Clock::Thread => libc::CLOCK_THREAD_CPUTIME_ID,
        };
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the time is writable.
        assert_eq!(unsafe { libc::clock_gettime(clock, &mut time) }, 0);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

/// How long `n` operations take.
pub fn time(contender: &mut dyn Contender, n: u64) -> Duration {
    contender.prepare(n);
    let start = Clock::Process.now();
    contender.run(n);
    Clock::Process.now() - start
}

/// Runs both contenders in turns, a batch each.
pub fn compare(operation: &Operation, effort: Effort) -> Comparison {
    let mut samples = Vec::with_capacity(effort.rounds);
    for _ in 0..effort.rounds {
        // New ones each time: a connection keeps the buffer sizes that the
        // kernel found for it at its start, and those are a matter of luck.
        let mut contenders = Who::BOTH.map(|who| operation.contender(who));
        for contender in &mut contenders {
            for _ in 0..4 {
                time(contender.as_mut(), operation.batch);
            }
        }
        let mut times = [Vec::new(), Vec::new()];
        let start = Instant::now();
        while start.elapsed() < effort.round || times[0].len() < 5 {
            for (contender, times) in contenders.iter_mut().zip(&mut times) {
                let time = time(contender.as_mut(), operation.batch);
                times.push(time.as_secs_f64() * 1e9 / operation.batch as f64);
            }
        }
        let [raw, layer] = times.map(median);
        samples.push((raw, layer, layer / raw));
    }
    let ratios: Vec<f64> = samples.iter().map(|sample| sample.2).collect();
    Comparison {
        raw: median(samples.iter().map(|sample| sample.0).collect()),
        layer: median(samples.iter().map(|sample| sample.1).collect()),
        ratio: median(ratios.clone()),
        spread: ratios
            .iter()
            .fold((f64::MAX, f64::MIN), |(least, most), &ratio| {
                (least.min(ratio), most.max(ratio))
            }),
    }
}

/// The middle one; sorts.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How many descriptors this process may open, at most `wanted`: the limit is
/// raised as far as that goes, and some are left for others.
pub fn descriptors(wanted: usize) -> usize {
    const OTHERS: usize = 100;
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the limit is writable, then readable.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
    usize::try_from(limit.rlim_cur)
        .unwrap_or(wanted)
        .saturating_sub(OTHERS)
        .min(wanted)
}
