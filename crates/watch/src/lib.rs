//! What the sockets of [`anjay_net_socket`] do, for those who run them.
//!
//! * [`metrics`]: the metrics of the process as text for Prometheus;
//! * [`observer`]: who is told of every transfer and change of state;
//! * [`capture`]: an observer that writes them to a file for Wireshark;
//! * [`trace`]: one that writes a log line for each.
//!
//! Nothing here is in the way of a socket that nobody observes: whoever makes
//! the calls asks for the reports. For the sockets of C that is the `ffi`
//! crate, which takes another way through its methods while
//! [`observer::is_active`] holds.
//!
//! ```
//! let text = anjay_net_watch::metrics::text()?;
//! assert!(text.contains("\nanjay_net_sent_bytes_total "));
//! # Ok::<(), std::io::Error>(())
//! ```

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod capture;
mod error;
pub mod metrics;
pub mod observer;
mod replace;
pub mod text;
pub mod trace;
