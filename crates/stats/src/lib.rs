//! Traffic and error counters: one set for each socket, sums for the process.
//!
//! A socket bumps only its own [`Counters`], with relaxed atomic additions and
//! nothing else: no lock, and no cache line shared with another socket. The
//! process total is made when somebody asks for it: a [`Ledger`] knows all
//! counters in use and keeps the sum of those that were given back.
//!
//! ```
//! use anjay_net_stats::{Account, Bank, Event, Ledger};
//!
//! static LEDGER: Ledger = Ledger::new();
//!
//! struct Process;
//!
//! impl Bank for Process {
//!     fn ledger() -> &'static Ledger {
//!         &LEDGER
//!     }
//! }
//!
//! let account = Account::<Process>::open().expect("there is memory");
//! account.sent(100);
//! account.record(Event::Truncated);
//! assert_eq!(account.snapshot().bytes_sent, 100);
//!
//! drop(account); // the socket is gone, its traffic still counts
//! assert_eq!(LEDGER.totals().traffic.bytes_sent, 100);
//! assert_eq!(LEDGER.totals().open_now, 0);
//! ```
//!
//! This crate knows no sockets and prints no text.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod counters;
mod ledger;
mod outcomes;
mod times;

pub use counters::{Counters, Event, Snapshot};
pub use ledger::{Account, Bank, Ledger, Totals};
pub use outcomes::{ConnectOutcome, ConnectTotals, Connects, LookupOutcome, LookupTotals, Lookups};
pub use times::{TIME_LIMITS, Times};
