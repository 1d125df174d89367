//! What can be configured for the whole process.

use core::fmt;
use core::time::Duration;

use anjay_net_resolve::PlanSettings;

use crate::locks::Shared;

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
    /// How long a UDP address that did not answer is tried after all others
    /// of its name.
    pub udp_penalty: Duration,
    /// How long a connected UDP socket without a route reports its datagrams as
    /// sent, so that retransmissions bridge the outage, before it returns the
    /// error; 0 returns it at once.
    pub udp_outage: Duration,
    /// Deliver empty datagrams on connected sockets. To mbed TLS and others 0
    /// bytes are the end of the connection, which anybody can forge.
    pub deliver_empty_datagrams: bool,
    /// `TCP_NODELAY` (tcp(7)): small messages leave at once.
    pub tcp_nodelay: bool,
    /// `TCP_KEEPIDLE` and `TCP_KEEPINTVL` (tcp(7)) of every connection, in whole
    /// seconds; 0 leaves keepalive off.
    pub tcp_keepalive: Duration,
    /// `TCP_USER_TIMEOUT` (tcp(7), RFC 5482): how long sent data may stay
    /// unacknowledged before the connection ends; 0 leaves it to the system.
    pub tcp_user_timeout: Duration,
    /// When a name can't be resolved, connect to the preferred endpoint as if
    /// it had been found (RFC 8767, "serve stale"). That there is no such name
    /// is an answer.
    pub serve_stale: bool,
    /// How many lookups may be with the system resolver at once.
    pub max_lookups: u32,
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
        attempt_delay: PlanSettings::DEFAULT.attempt_delay,
        resolution_delay: PlanSettings::DEFAULT.resolution_delay,
        udp_penalty: Duration::from_secs(300),
        udp_outage: Duration::from_secs(60),
        deliver_empty_datagrams: false,
        tcp_nodelay: true,
        tcp_keepalive: Duration::ZERO,
        tcp_user_timeout: Duration::ZERO,
        serve_stale: false,
        max_lookups: 8,
        send_timeout: Duration::from_secs(30),
        accept_timeout: Duration::from_secs(5),
    };

    /// The settings in force.
    pub fn current() -> Settings {
        CURRENT.get()
    }

    /// Makes these the settings in force, for operations that begin later.
    ///
    /// # Errors
    /// [`SettingsError`] when a value is out of its limits; then nothing
    /// changes.
    pub fn install(self) -> Result<(), SettingsError> {
        self.validate()?;
        CURRENT.replace(|_| self);
        Ok(())
    }

    fn validate(&self) -> Result<(), SettingsError> {
        let ms = Duration::from_millis;
        let wait = (ms(1)..=ms(3_600_000), "1 ms to 1 h");
        let day = (ms(0)..=ms(86_400_000), "0 to 1 day");
        let attempt_delay = (ms(10)..=ms(2000), "10 ms to 2 s (RFC 8305 section 5)");
        let resolution_delay = (ms(0)..=ms(2000), "0 to 2 s");
        // The kernel's own limit (MAX_TCP_KEEPIDLE).
        let keepalive = (ms(0)..=ms(32_767_000), "0 to 32767 s");
        for (setting, value, (range, text)) in [
            ("resolve_timeout", self.resolve_timeout, &wait),
            ("connect_timeout", self.connect_timeout, &wait),
            ("send_timeout", self.send_timeout, &wait),
            ("accept_timeout", self.accept_timeout, &wait),
            ("attempt_delay", self.attempt_delay, &attempt_delay),
            ("resolution_delay", self.resolution_delay, &resolution_delay),
            ("udp_penalty", self.udp_penalty, &day),
            ("udp_outage", self.udp_outage, &day),
            ("tcp_keepalive", self.tcp_keepalive, &keepalive),
            ("tcp_user_timeout", self.tcp_user_timeout, &day),
        ] {
            within(setting, value, range, text)?;
        }
        within("max_lookups", self.max_lookups, &(1..=64), "1 to 64")
    }
}

fn within<T: PartialOrd>(
    setting: &'static str,
    value: T,
    range: &core::ops::RangeInclusive<T>,
    limits: &'static str,
) -> Result<(), SettingsError> {
    if range.contains(&value) {
        Ok(())
    } else {
        Err(SettingsError { setting, limits })
    }
}

/// A setting that is out of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// Which one.
    pub setting: &'static str,
    /// What it may be.
    pub limits: &'static str,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.setting, self.limits)
    }
}

impl std::error::Error for SettingsError {}

static CURRENT: Shared<Settings> = Shared::new(Settings::DEFAULT);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_within_their_limits() {
        assert_eq!(Settings::DEFAULT.validate(), Ok(()));
    }

    #[test]
    fn the_error_names_the_setting() {
        let refused = |change: fn(&mut Settings)| {
            let mut settings = Settings::DEFAULT;
            change(&mut settings);
            settings.install().unwrap_err().setting
        };
        assert_eq!(refused(|s| s.max_lookups = 0), "max_lookups");
        assert_eq!(
            refused(|s| s.resolve_timeout = Duration::ZERO),
            "resolve_timeout"
        );
        assert_eq!(
            refused(|s| s.attempt_delay = Duration::from_millis(9)),
            "attempt_delay"
        );
        assert_eq!(refused(|s| s.udp_penalty = Duration::MAX), "udp_penalty");
        assert_eq!(
            refused(|s| s.resolution_delay = Duration::from_millis(2001)),
            "resolution_delay"
        );
        assert_eq!(refused(|s| s.udp_outage = Duration::MAX), "udp_outage");
        assert_eq!(
            refused(|s| s.tcp_keepalive = Duration::from_secs(32_768)),
            "tcp_keepalive"
        );
        assert_eq!(
            refused(|s| s.tcp_user_timeout = Duration::MAX),
            "tcp_user_timeout"
        );
        let error = within("name", 65, &(1..=64), "1 to 64").unwrap_err();
        assert_eq!(error.to_string(), "name must be 1 to 64");
        assert_eq!(Settings::current(), Settings::DEFAULT);
    }
}
