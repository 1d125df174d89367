//! What a scenario costs.

use std::fmt;
use std::fs;
use std::sync::Once;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use anjay_net_resolve::Load;
use anjay_net_socket::resolver;
use anjay_net_support::process;
use anjay_net_support::time::{eventually, timed};
use serde::{Deserialize, Serialize};

/// For lookups to end that nobody waits for any more.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a scenario measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// The time that the scenario is about, usually to connect; the longest of
    /// several.
    pub time: Option<Duration>,
    /// TCP handshakes begun.
    pub attempts: u64,
    /// Open descriptors before and after.
    pub descriptors: (usize, usize),
    /// Threads before and after.
    pub threads: (usize, usize),
    /// What was seen, in words.
    pub seen: String,
}

/// Takes the figures of what happens from its start to its end.
pub(crate) struct Meter {
    before: Usage,
    opens: TcpOpens,
    time: Option<Duration>,
}

impl Meter {
    /// Starts when no lookup is left of what was before.
    pub(crate) fn start() -> Meter {
        let idle = || resolver().unwrap().load() == Load::default();
        assert!(eventually(PATIENCE, idle), "lookups that never end");
        watch_stalls();
        Meter {
            before: Usage::now(),
            opens: TcpOpens::now(),
            time: None,
        }
    }

    /// Times what may be the longest.
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> (T, Duration) {
        let (outcome, time) = timed(work);
        self.note(time);
        (outcome, time)
    }

    /// A time that may be the longest.
    pub(crate) fn note(&mut self, time: Duration) {
        self.time = self.time.max(Some(time));
    }

    /// TCP handshakes begun until now.
    pub(crate) fn attempts(&self) -> u64 {
        self.opens.since()
    }

    /// The figures, and that nothing was left behind.
    pub(crate) fn end(self, seen: impl Into<String>) -> Figures {
        let attempts = self.attempts();
        let after = Usage::settled(self.before);
        assert!(
            after.is_within(self.before),
            "descriptors and threads left behind: {after:?}, at first {:?}",
            self.before
        );
        Figures {
            time: self.time,
            attempts,
            descriptors: (self.before.descriptors, after.descriptors),
            threads: (self.before.threads, after.threads),
            seen: seen.into(),
        }
    }
}

/// The longest stall, in nanoseconds.
static STALL: AtomicU64 = AtomicU64::new(0);

/// How much later than it asked for a thread of this process was woken, at worst since
/// the first [`Meter::start`]: what a busy machine adds to any time.
pub(crate) fn longest_stall() -> Duration {
    Duration::from_nanos(STALL.load(Relaxed))
}

fn watch_stalls() {
    const BEAT: Duration = Duration::from_millis(2);
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        thread::spawn(|| {
            loop {
                let ((), time) = timed(|| thread::sleep(BEAT));
                let late = time.saturating_sub(BEAT).as_nanos();
                STALL.fetch_max(late.try_into().unwrap_or(u64::MAX), Relaxed);
            }
        });
    });
}

/// What this process has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

impl Usage {
    pub(crate) fn now() -> Usage {
        Usage {
            descriptors: process::descriptors(),
            threads: process::threads(),
        }
    }

    /// Whether it is no more than before, when a thread of the set-up may not yet
    /// have been gone.
    fn is_within(self, before: Usage) -> bool {
        self.descriptors <= before.descriptors && self.threads <= before.threads
    }

    /// The usage when it is no more than before, or after a while: helper threads
    /// stay for a second in case there is more to do.
    fn settled(before: Usage) -> Usage {
        eventually(PATIENCE, || Usage::now().is_within(before));
        Usage::now()
    }
}

/// Handshakes begun in this network namespace at a moment.
#[derive(Clone, Copy)]
pub(crate) struct TcpOpens(u64);

impl TcpOpens {
    /// `ActiveOpens` of RFC 4022: transitions to SYN-SENT.
    pub(crate) fn now() -> TcpOpens {
        let text = fs::read_to_string("/proc/self/net/snmp").expect("procfs");
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
        let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
        let place = names.split(' ').position(|name| name == "ActiveOpens");
        let value = values
            .split(' ')
            .nth(place.expect("a counter that Linux has"))
            .and_then(|value| value.parse().ok());
        TcpOpens(value.expect("a number"))
    }

    /// Those begun since that moment.
    pub(crate) fn since(self) -> u64 {
        TcpOpens::now().0 - self.0
    }
}

/// Milliseconds, for what was seen.
pub(crate) struct Millis(pub(crate) Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", self.0.as_secs_f64() * 1e3)
    }
}
