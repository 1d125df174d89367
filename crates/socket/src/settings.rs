//! What can be configured for the whole process.

use core::time::Duration;

use parking_lot::RwLock;

/// Limits that hold for all sockets, read at the start of each operation that
/// may have to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// How long the names of one call may take to resolve, in total.
    pub resolve_timeout: Duration,
    /// How long one address may take to answer a TCP connect.
    pub connect_timeout: Duration,
    /// How long one address has the race to itself before the next one starts
    /// (RFC 8305 section 5).
    pub attempt_delay: Duration,
    /// How long addresses of the other family wait for the answer about the
    /// preferred one (RFC 8305 section 3).
    pub resolution_delay: Duration,
    /// How long a send may go on without any progress.
    pub send_timeout: Duration,
    /// How long a TCP accept waits for a peer.
    pub accept_timeout: Duration,
}

impl Settings {
    /// The values in force when nobody set others.
    pub const DEFAULT: Settings = Settings {
        resolve_timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(10),
        attempt_delay: Duration::from_millis(250),
        resolution_delay: Duration::from_millis(50),
        send_timeout: Duration::from_secs(30),
        accept_timeout: Duration::from_secs(5),
    };

    /// The settings in force.
    pub fn current() -> Settings {
        *CURRENT.read()
    }

    /// Makes these the settings in force, for operations that begin later.
    pub fn install(self) {
        *CURRENT.write() = self;
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings::DEFAULT
    }
}

static CURRENT: RwLock<Settings> = RwLock::new(Settings::DEFAULT);
