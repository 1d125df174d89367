//! The soak in the short form that every run of the tests has.

use std::time::Duration;

use anjay_net_soak::{Plan, run};

/// Seconds, unless this variable of the environment has another number.
const VARIABLE: &str = "ANJAY_NET_SOAK_SECONDS";

/// Long enough that every client reconnects three or four times, and short
/// enough for the ten minutes that all checks together may take.
const DEFAULT: Duration = Duration::from_secs(20);

#[test]
fn thousands_of_clients_on_a_bad_network() {
    let seconds = std::env::var(VARIABLE).ok();
    let duration = seconds.map_or(DEFAULT, |text| {
        Duration::from_secs_f64(text.parse().expect("a number of seconds"))
    });
    let report = run(&Plan::new(duration));
    println!("{report}");
    assert!(report.is_good(), "{report}");
}
