//! Thousands of sockets of the library against echo peers, through a relay that
//! behaves like a bad network, with constant churn; and whether in the end
//! every byte is accounted for, nothing has leaked and no call was stuck.
//!
//! ```text
//!   clients (the library) <---> relay (loses, duplicates, reorders, delays) <---> echo
//! ```
//!
//! | module | what |
//! |---|---|
//! | `plan` | how many, how often, how long |
//! | `home` | a network and a hosts file of the run's own |
//! | `weather` | what the relay does to a datagram |
//! | `relay` | the relay and the echo peers, on a thread for each protocol |
//! | `clients` | the library's sockets, on a thread for each protocol, and some that block |
//! | `stopwatch` | how long each call took, and whether one is stuck |
//! | `meter` | memory, descriptors and rates over time |
//! | `checks` | the verdict |
//! | `chart` | the meter's samples as SVG |

mod chart;
mod checks;
mod clients;
mod home;
mod meter;
mod plan;
mod relay;
mod run;
mod stopwatch;
mod weather;

pub use checks::{Check, Report};
pub use plan::Plan;
pub use run::run;
