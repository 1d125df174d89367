//! Thousands of sockets of the library against echo servers, through a relay
//! that behaves like a bad network, with constant churn; and whether in the end
//! every byte is accounted for, nothing has leaked and no call was stuck.
//!
//! ```text
//!   clients (the library) <---> relay (loses, duplicates, reorders, delays) <---> echo
//! ```
//!
//! | module | what |
//! |---|---|
//! | `plan` | how many, how often, how long |
//! | `names` | a network and a hosts file of the run's own |
//! | `relay` | the relay with the echo at its end, on a thread for each protocol |
//! | `clients` | the library's sockets, on a thread for each protocol, and some that block |
//! | `alarms` | when which client wants something |
//! | `watch` | how long calls take; memory, descriptors and rates over time |
//! | `checks` | the verdict |

mod alarms;
mod checks;
mod clients;
mod names;
mod plan;
mod relay;
mod run;
mod watch;

pub use checks::Report;
pub use plan::Plan;
pub use run::run;
