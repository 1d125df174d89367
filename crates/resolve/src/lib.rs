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
//! | In which order? | [`list`] |
//! | Who failed lately and waits at the back? | [`penalty`] |
//! | How is an address written? | [`text`] |
//!
//! Literals and text cost no system call and no heap memory.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod clock;
pub mod host;
mod ip;
pub mod list;
pub mod penalty;
pub mod policy;
mod random;
pub mod text;

pub use host::{HOST_MAX, Host, INTERFACE_MAX, Literal, Scope, TextError, parse_port};
pub use list::EndpointList;
pub use penalty::{PENALTIES_MAX, Penalties};
pub use policy::{Families, Family, Policy, V4Form, map, same_endpoint, unmap};
pub use text::{IpText, PortText, write_ip, write_ip_scoped, write_port};
