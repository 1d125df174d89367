//! The socket core of anjay-net: UDP and TCP sockets for long-running clients.
//!
//! A [`Socket`] is an object that outlives its descriptors: it is bound,
//! connected, shut down, closed and connected again, keeps its byte counters
//! all the while, and may be used from any number of threads. Every wait has
//! a deadline (a receive timeout that is invalid means none), and
//! [`Socket::close`] and [`Socket::shutdown`] end every wait at once.
//!
//! ```
//! use anjay_net_socket::{Kind, Socket, SocketConfig, Timeout};
//!
//! let server = Socket::new(Kind::Udp, SocketConfig::default())?;
//! server.bind(b"127.0.0.1", b"")?;
//! let port = server.local_addr()?.port().to_string();
//!
//! let client = Socket::new(Kind::Udp, SocketConfig::default())?;
//! client.connect(b"127.0.0.1", port.as_bytes(), None)?;
//! client.send(b"ping")?;
//!
//! server.set_receive_timeout(Timeout { seconds: 1, nanoseconds: 0 });
//! let mut buf = [0; 100];
//! let (received, from) = server.receive_from(&mut buf)?;
//! assert_eq!(&buf[..received.len], b"ping");
//! assert_eq!(from, client.local_addr()?);
//! # Ok::<(), anjay_net_socket::Errno>(())
//! ```
//!
//! # Errors
//!
//! Every error is an [`Errno`].
//!
//! # Where to find what
//!
//! | question | file |
//! |---|---|
//! | What may begin in which state? | `state` |
//! | What is allowed on a socket that was shut down? | `socket`: `shutdown`, `check_open` |
//! | A connect, bind or accept under way | `pending` |
//! | Is the descriptor still this socket's, and where is it closed? | `fd_lock` |
//! | Until when, and where is waited? | `timeout` |
//! | Short writes, the end of a stream | `tcp` |
//! | ICMP errors, datagrams of other sources | `udp` |
//! | Datagrams that were cut, which the v-table returns as `EMSGSIZE` | `datagram_counters` |
//! | From text to addresses | `lookup` |
//! | Would the socket be connected to itself? | `connect::self_connection` |
//! | RFC 8305: attempts side by side; their plan is `happy_eyeballs` of `resolve` | `connect::happy_eyeballs` |
//! | Does the UDP peer answer? | `reachability` |
//! | What when address, route or interface change? | `reconnect` |
//! | Which options does a new descriptor get? `SO_BINDTODEVICE` | `socket_config` |
//! | The values behind `get_opt` and `set_opt`, whose keys the v-table has | `sockopt` |
//! | When are addresses of a NAT64 used? | `nat64` |
//! | Limits for the whole process | `settings` |
//! | Log lines | `logging` |
//!
//! `sys` is the only module with unsafe code.

#![deny(missing_docs)]
#![deny(unsafe_code)]

mod accept;
mod addresses;
mod bind;
mod connect;
mod datagram_counters;
mod error;
mod family;
mod fd_lock;
pub mod locks;
pub mod logging;
mod lookup;
mod nat64;
mod network_state;
mod own_port;
mod pending;
mod reachability;
mod reconnect;
mod resolver;
mod route;
mod settings;
mod socket;
mod socket_config;
mod sockopt;
mod state;
mod sync;
#[allow(unsafe_code)]
mod sys;
mod tcp;
mod timeout;
mod transfer;
mod udp;

pub use addresses::{ReadTexts, address_text, decode_endpoint, encode_endpoint, interface_of};
pub use error::{Errno, Result};
pub use lookup::{Resolution, resolve};
pub use reachability::UnresponsivePeer;
pub use resolver::resolver;
pub use settings::{Settings, SettingsError};
pub use socket::{Received, Socket, process_totals};
pub use socket_config::SocketConfig;
pub use state::Status;
pub use sys::{ENDPOINT_MAX, InterfaceName, Thread, is_only_thread, spawn, try_box};
pub use timeout::Timeout;

pub use anjay_net_resolve::{Kind, Text};
pub use anjay_net_stats as stats;
