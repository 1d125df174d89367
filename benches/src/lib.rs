//! What the socket layer costs: everything a C program can ask of
//! `libanjay_net.a`, beside the system calls that it could have made itself.
//!
//! An [`Operation`] is one line of the table that `cargo perf` prints: the same
//! loop over two [`Transport`]s, the [`Layer`] called through its v-table as C
//! calls it, and [`Raw`] descriptors, with a [`Budget`]. What differs is how the
//! loops are looked at:
//!
//! | question | answered by |
//! |---|---|
//! | how much time? | [`measure::compare`], both contenders in turns |
//! | which system calls? | [`probe::system_calls`], with ptrace(2) |
//! | how many instructions? | [`probe::instructions`], with callgrind |
//! | how many allocations? | [`probe::allocations`], with the [`heap::Counting`] allocator |
//!
//! The last three look at a child process, the [`probe`], which runs one loop
//! of one contender and nothing else.

pub mod heap;
mod layer;
pub mod measure;
pub mod operations;
pub mod probe;
mod raw;
mod transport;

pub use layer::Layer;
pub use operations::{Budget, Calls, Contender, Operation, Who};
pub use raw::Raw;
pub use transport::{Transport, Wait};
