//! Observability of the sockets of [`anjay_net_socket`].
//!
//! * [`metrics`]: the statistics of the process as text for Prometheus;
//! * [`observer`]: reports of every transfer, change of state and failure, and
//!   those that receive them;
//! * [`capture`]: an observer that writes them to a file for Wireshark;
//! * [`trace`]: an observer that writes a log line for each.
//!
//! Sockets know nothing of this: their caller reports what they did to the
//! [`report::reporter`], if there is one. For the sockets of C that is the `ffi` crate.
//!
//! ```
//! let text = anjay_net_watch::metrics::text(&anjay_net_socket::process_totals())?;
//! assert!(text.contains("\nanjay_net_sent_bytes_total "));
//! # Ok::<(), anjay_net_socket::Errno>(())
//! ```

#![forbid(unsafe_code)]

pub mod capture;
pub mod metrics;
pub mod observer;
mod replace;
pub mod report;
pub mod trace;
