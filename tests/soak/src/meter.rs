//! Memory, descriptors and rates over time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What the clients have done until now, for the meter to read.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) datagrams: AtomicU64,
    pub(crate) messages: AtomicU64,
    pub(crate) reconnects: AtomicU64,
}

impl Progress {
    pub(crate) fn bump(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }
}

/// One look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Since the start.
    pub(crate) at: Duration,
    /// Resident memory of the process, in bytes.
    pub(crate) memory: u64,
    pub(crate) descriptors: usize,
    /// Since the last look, in a second: datagrams and messages that came
    /// back, sockets that were closed and connected again.
    pub(crate) datagrams: f64,
    pub(crate) messages: f64,
    pub(crate) reconnects: f64,
}

/// Looks from time to time.
pub(crate) struct Meter<'a> {
    progress: &'a Progress,
    start: Instant,
    last: (Duration, [u64; 3]),
    samples: Vec<Sample>,
}

impl Meter<'_> {
    pub(crate) fn start(progress: &Progress) -> Meter<'_> {
        let mut meter = Meter {
            progress,
            start: Instant::now(),
            last: (Duration::ZERO, [0; 3]),
            samples: Vec::new(),
        };
        meter.last = (Duration::ZERO, meter.counts());
        meter
    }

    fn counts(&self) -> [u64; 3] {
        let Progress {
            datagrams,
            messages,
            reconnects,
        } = self.progress;
        [datagrams, messages, reconnects].map(|counter| counter.load(Relaxed))
    }

    pub(crate) fn look(&mut self) {
        let (at, counts) = (self.start.elapsed(), self.counts());
        let time = (at - self.last.0).as_secs_f64().max(1e-9);
        let rate = |index: usize| (counts[index] - self.last.1[index]) as f64 / time;
        self.samples.push(Sample {
            at,
            memory: resident_memory(),
            descriptors: open_descriptors(),
            datagrams: rate(0),
            messages: rate(1),
            reconnects: rate(2),
        });
        self.last = (at, counts);
    }

    pub(crate) fn samples(self) -> Vec<Sample> {
        self.samples
    }
}

/// What the kernel says of this process (proc(5), statm).
fn resident_memory() -> u64 {
    const PAGE: u64 = 4096;
    let text = std::fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
    let pages = text.split_whitespace().nth(1).and_then(|n| n.parse().ok());
    pages.unwrap_or(0u64) * PAGE
}

/// How many descriptors this process has.
pub(crate) fn open_descriptors() -> usize {
    let entries = std::fs::read_dir("/proc/self/fd").expect("/proc is mounted");
    // One of them is the directory's own.
    entries.count() - 1
}

/// User and system time of this process.
pub(crate) fn processor_time() -> Duration {
    // SAFETY: all zero bytes are a valid struct, which the call fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let time = |of: libc::timeval| {
        let seconds = u64::try_from(of.tv_sec).unwrap_or(0);
        let micros = u64::try_from(of.tv_usec).unwrap_or(0);
        Duration::from_secs(seconds) + Duration::from_micros(micros)
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}
