//! `libanjay_net.a`: the avs_commons socket ABI on top of
//! [`anjay_net_socket`].
//!
//! Everything that C passes is checked and converted here and nowhere else:
//! pointers become references, text becomes bytes of known length, enum values
//! become enums, and an [`std::io::Error`] becomes an error code. NULL and
//! panics stop here.
//!
//! Each exported function checks, converts and calls, in this order:
//!
//! | module | what |
//! |---|---|
//! | [`abi`] | types, constants and the v-table's layout |
//! | [`errno`] | errno to error code |
//! | `client` | whether the program was built for the same option values |
//! | `convert` | every pointer conversion |
//! | `literal` | the usual texts of an address, read in place |
//! | `guard` | what NULL and a panic turn into |
//! | `object` | the heap object that C holds, made and freed |
//! | `vtable` | the 20 methods |
//! | `observed` | the same for sockets that somebody observes |
//! | [`exports`] | the symbols avs_commons links against |
//! | [`api`], [`stats`], [`logging`], [`capture`] | our own symbols |

#![deny(missing_docs)]

pub mod abi;
pub mod api;
pub mod capture;
mod client;
mod convert;
pub mod errno;
pub mod exports;
mod guard;
mod literal;
pub mod logging;
mod object;
mod observed;
pub mod stats;
mod vtable;

pub use vtable::VTABLE;
