//! `libanjay_net.a`: the avs_commons socket ABI on top of
//! [`anjay_net_socket`].
//!
//! Everything that C passes is checked and converted here and nowhere else:
//! pointers become references, text becomes bytes of known length, enum values
//! become enums, and an errno becomes an error code. NULL and
//! panics stop here.
//!
//! Each exported function converts its arguments, in the one unsafe block that it
//! has, and calls a safe body under a guard that turns a panic into an error.
//!
//! | module | what |
//! |---|---|
//! | [`abi`] | types, constants and the v-table's layout |
//! | [`errno`] | errno to error code |
//! | `convert` | every pointer conversion |
//! | `panic` | where panics end; the return values for NULL and after a panic |
//! | `cancel` | threads that are cancelled in a call |
//! | `object` | the heap object that C holds, made and freed |
//! | `call` | what the methods share: the guard, and reports to observers |
//! | `vtable` | the 20 methods |
//! | `weak` | symbols of Anjay and avs_commons that the program may have |
//! | `abi_check` | whether the program was built for the same option values |
//! | [`symbols`] | the symbols avs_commons links against |
//! | [`settings`], [`stats`], [`logging`], [`capture`] | our own symbols |
//!
//! From Rust the symbols can be called as C calls them:
//!
//! ```
//! use std::ptr;
//! use anjay_net::abi::Socket;
//! use anjay_net::symbols::_avs_net_create_udp_socket;
//!
//! let mut socket: *mut Socket = ptr::null_mut();
//! // SAFETY: the place for the socket is a variable; NULL is the default configuration.
//! let error = unsafe { _avs_net_create_udp_socket(&mut socket, ptr::null()) };
//! assert_eq!(error.code, 0);
//!
//! // SAFETY: created above, and nothing else uses it.
//! let error = unsafe { ((*(*socket).operations).cleanup)(&mut socket) };
//! assert_eq!(error.code, 0);
//! assert!(socket.is_null());
//! ```

pub mod abi;
mod abi_check;
mod call;
mod cancel;
pub mod capture;
mod convert;
pub mod errno;
mod in_flight;
pub mod logging;
mod object;
mod panic;
pub mod settings;
pub mod stats;
pub mod symbols;
mod vtable;
mod weak;

pub use vtable::VTABLE;
