//! Traffic and error counters: one set for each socket, totals for the process.
//!
//! A socket adds only to its own [`Counters`], with relaxed atomic additions and
//! nothing else: no lock, and no cache line shared with another socket. The
//! totals of the process are computed when they are read: a [`Registry`] knows
//! the counters of every open socket and keeps the sum of those that are gone.
//!
//! ```
//! use anjay_net_stats::{Event, Registry};
//!
//! static REGISTRY: Registry = Registry::new();
//!
//! let counters = REGISTRY.register(false).expect("out of memory");
//! counters.sent(100);
//! counters.record(Event::Truncated);
//! assert_eq!(counters.snapshot().bytes_sent, 100);
//!
//! drop(counters); // the socket is gone, its traffic still counts
//! assert_eq!(REGISTRY.totals().traffic.bytes_sent, 100);
//! assert_eq!(REGISTRY.totals().sockets, 0);
//! ```
//!
//! This crate knows no sockets and formats no text.

#![forbid(unsafe_code)]

mod counters;
mod histogram;
mod outcomes;
mod registry;

pub use counters::{Counters, Event, Snapshot, UDP_HEADERS};
pub use histogram::{BUCKET_BOUNDS, HistogramSnapshot};
pub use outcomes::{ConnectOutcome, ConnectTotals, Connects, LookupOutcome, LookupTotals, Lookups};
pub use registry::{Registry, SocketCounters, Totals};
