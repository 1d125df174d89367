//! Names and addresses: which endpoints a text stands for, in which order to
//! try them, and when to start the next.
//!
//! This crate opens no socket. It answers the questions that come before one is
//! connected, each in one place:
//!
//! | question | answered in |
//! |---|---|
//! | Is this text an address, a name, neither? | [`host`] |
//! | Which families, and in which form? | [`policy`] |
//! | What does the system know of this name, and by when? | [`lookup`] |
//! | What is in the hosts file? | `system::files` |
//! | In which order are the answers tried? | [`order`] |
//! | Which addresses can be reached from here? | [`address_selection`] |
//! | Which endpoints did not answer lately? | [`unresponsive`] |
//! | How is an IPv4 server reached from an IPv6 network? | [`nat64`] |
//! | When does the next attempt start? | [`happy_eyeballs`] |
//! | How is an address written? | [`text`] |
//!
//! Literals need no thread and no system call, and neither does writing addresses.
//! Names go to a name service, on helper threads where they can be started. A failed
//! allocation is returned as an error; it never ends the process.
//!
//! ```
//! use std::net::SocketAddr;
//! use std::sync::{LazyLock, mpsc};
//! use anjay_net_resolve::{
//!     Family, Found, Hints, Host, Kind, LookupError, Order, Policy, Resolver, parse_port,
//!     write_ip, write_port,
//! };
//!
//! /// Usually getaddrinfo(3).
//! fn query(name: &str, family: Family) -> Found {
//!     match (name, family) {
//!         ("server.example", Family::V4) => Ok(vec!["192.0.2.1:0".parse().unwrap()]),
//!         _ => Err(LookupError::NotFound),
//!     }
//! }
//! static RESOLVER: LazyLock<Resolver> = LazyLock::new(|| Resolver::new(&query));
//!
//! /// The endpoints of a host and port, best first.
//! fn resolve(host: &str, port: &str) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error>> {
//!     let policy = Policy::default();
//!     let port = parse_port(port.as_bytes())?;
//!     let name = match Host::parse(host.as_bytes())? {
//!         Host::Wildcard => return Ok(policy.wildcards(port)?),
//!         Host::Literal(literal) => {
//!             let addr = literal.with_port(port, |_| None)?;
//!             return Ok(policy.admit(addr).into_iter().collect());
//!         }
//!         Host::Name(name) => name,
//!     };
//!     // Both families at once; then wait for the two answers.
//!     let (sender, answered) = mpsc::channel();
//!     let waker = Box::new(move || _ = sender.send(()));
//!     let mut lookup = RESOLVER.lookup(name, policy.wanted(), waker)?;
//!     let mut found = Vec::new();
//!     while !lookup.open().is_empty() {
//!         match lookup.poll() {
//!             Some((_, Ok(addrs))) => found.extend(addrs),
//!             Some((_, Err(LookupError::NotFound | LookupError::NoAddress))) => {}
//!             Some((_, Err(error))) => return Err(error.into()),
//!             None => answered.recv_timeout(std::time::Duration::from_secs(10))?,
//!         }
//!     }
//!     found.iter_mut().for_each(|addr| addr.set_port(port));
//!     let kind = Kind::Udp;
//!     let order = Order { policy, kind, preferred: None };
//!     Ok(order.sorted(&found, &Hints::NONE)?)
//! }
//!
//! let list = resolve("server.example", "5683")?;
//! for addr in list {
//!     println!("{} port {}", write_ip(&addr), write_port(addr.port()));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod addr;
pub mod address_selection;
pub mod alloc;
pub mod happy_eyeballs;
pub mod host;
pub mod lookup;
pub mod nat64;
pub mod order;
pub mod policy;
mod pool;
mod random;
mod sync;
mod system;
pub mod text;
pub mod unresponsive;

pub use addr::{Family, FamilySet, map, same_endpoint, unmap};
pub use address_selection::Source;
pub use happy_eyeballs::{PlanSettings, Planner, Step};
pub use host::{HOST_MAX, Host, INTERFACE_MAX, Literal, Scope, TextError, parse_port};
pub use lookup::Lookup;
pub use nat64::{IPV4ONLY_ARPA, Nat64Prefix, PREFIXES_MAX, is_translatable};
pub use order::{ADDRESSES_MAX, Hints, Kind, Order};
pub use policy::{Families, Policy, V4Form};
pub use pool::{HELPER_STACK, Helper, Load, Resolver, Spawn, Wake};
pub use random::SplitMix64;
pub use system::{
    Configuration, Found, LookupError, LookupSettings, NameService, OpenFile, configuration, local,
};
pub use text::{AddressText, Decimal, Text, write_endpoint, write_ip, write_ip_scoped, write_port};
pub use unresponsive::{UNRESPONSIVE_MAX, Unresponsive};
