//! The socket core of anjay-net: UDP and TCP sockets that a client may use
//! for years without thinking of them.
//!
//! A [`Socket`] is an object that outlives its descriptors: it is bound,
//! connected, shut down, closed and connected again, keeps its byte counters
//! all the while, and may be used from any number of threads. Every wait has
//! a deadline, and [`Socket::close`] and [`Socket::shutdown`] end every wait
//! at once.
//!
//! ```
//! use anjay_net_socket::{Configuration, Kind, Socket, TimeSpan};
//!
//! let server = Socket::new(Kind::Udp, Configuration::default())?;
//! server.bind(b"127.0.0.1", b"")?;
//! let port = server.local_addr()?.port().to_string();
//!
//! let client = Socket::new(Kind::Udp, Configuration::default())?;
//! client.connect(b"127.0.0.1", port.as_bytes(), None)?;
//! client.send(b"ping")?;
//!
//! server.set_receive_timeout(TimeSpan { seconds: 1, nanoseconds: 0 })?;
//! let mut buf = [0; 100];
//! let (received, from) = server.receive_from(&mut buf)?;
//! assert_eq!(&buf[..received.len], b"ping");
//! assert_eq!(from, client.local_addr()?);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Errors
//!
//! Every error is an errno: [`std::io::Error::raw_os_error`] is always there.
//!
//! # Where to find what
//!
//! `connect`, `bind`, `accept`, `transfer`, `info` and `options` hold the
//! methods of [`Socket`]; `state` says what may follow what, `gate` who may
//! use the descriptor and when it is given back, `wait` is the only place that
//! waits, and `sys` the only one with unsafe code.

#![deny(missing_docs)]
#![deny(unsafe_code)]

mod accept;
mod bind;
mod config;
mod connect;
mod destination;
mod dwell;
mod endpoint;
mod exchange;
mod gate;
mod info;
mod names;
mod operation;
mod options;
mod race;
mod reach;
mod settings;
mod socket;
mod state;
mod sync;
#[allow(unsafe_code)]
mod sys;
mod transfer;
mod wait;

pub use config::Configuration;
pub use endpoint::{ENDPOINT_MAX, decode_endpoint, encode_endpoint};
pub use exchange::Unanswered;
pub use info::{Interface, address_text, interface_of};
pub use names::{Resolution, resolve};
pub use options::TimeSpan;
pub use settings::{Settings, SettingsError};
pub use socket::{Guest, Kind, Socket, process_totals};
pub use state::Status;
pub use sys::with_signals_blocked;
pub use transfer::{AtOnce, Later, Received};

pub use anjay_net_stats as stats;
