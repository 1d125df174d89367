//! Since when a datagram socket has no network, and when its source was last
//! looked at.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;

use crate::settings::Settings;
use crate::sys;
use crate::timeout::milliseconds;

/// How often the source is looked at, at most.
const SOURCE_CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// How often lost datagrams are logged, at most.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// No number of datagrams.
const NOTHING_SENT: u64 = u64::MAX;

/// What a datagram socket knows of its network, read and written by its sends.
#[derive(Default)]
pub(crate) struct NetworkState {
    /// Datagrams received when the last one was sent, or [`NOTHING_SENT`].
    received_at_send: AtomicU64,
    /// When the source was last looked at, and since when sends fail, in
    /// milliseconds of [`sys::boot_time`]; 0 = never, not.
    source_checked_at: AtomicU64,
    outage_since: AtomicU64,
    /// When a lost datagram was last logged; 0 = never.
    loss_logged_at: AtomicU64,
}

impl NetworkState {
    /// The socket has a new descriptor.
    pub(crate) fn begin(&self) {
        self.received_at_send.store(NOTHING_SENT, Relaxed);
        self.source_checked_at.store(0, Relaxed);
        self.end_outage();
    }

    /// Whether a lost datagram is to be logged, which is so once a minute.
    pub(crate) fn is_loss_logged(&self) -> bool {
        is_due(&self.loss_logged_at, LOG_INTERVAL)
    }

    /// Whether an outage is short enough that a datagram counts as lost, which
    /// retransmissions bridge, and not as an error. The outage begins with the
    /// first call.
    pub(crate) fn is_bridged(&self) -> bool {
        let now = now();
        let begun = self.outage_since.compare_exchange(0, now, Relaxed, Relaxed);
        let since = begun.err().unwrap_or(now);
        let limit = Settings::current().udp_outage;
        Duration::from_millis(now.saturating_sub(since)) < limit
    }

    /// A send worked.
    pub(crate) fn end_outage(&self) {
        self.outage_since.store(0, Relaxed);
    }

    /// Whether it is time to look at the source: nothing was received since the
    /// send before, and the last look was some time ago. A healthy exchange reads
    /// no clock.
    pub(crate) fn is_source_check_due(&self, received: u64) -> bool {
        self.received_at_send.swap(received, Relaxed) == received
            && is_due(&self.source_checked_at, SOURCE_CHECK_INTERVAL)
    }
}

/// Whether the last time was so long ago, or there was none; now is the next one then.
fn is_due(last: &AtomicU64, interval: Duration) -> bool {
    let now = now();
    let is_due = |last| last == 0 || Duration::from_millis(now.saturating_sub(last)) >= interval;
    last.fetch_update(Relaxed, Relaxed, |last| is_due(last).then_some(now))
        .is_ok()
}

/// Milliseconds, never 0.
fn now() -> u64 {
    milliseconds(sys::boot_time()).max(1)
}
