//! What the socket layer costs: everything a C program can ask of
//! `libanjay_net.a`, beside the system calls that it could have made itself.
//!
//! An [`Operation`] is one line of the tables in `docs/performance.md`: the
//! same loop over two [`Transport`]s, the [`Layer`] called through its
//! v-table as C calls it, and [`Raw`] descriptors. What differs is how the
//! loops are looked at:
//!
//! | question | answered by |
//! |---|---|
//! | how much time? | [`measure::compare`], both contenders in turns |
//! | which system calls? | [`trace`], with ptrace(2) |
//! | how many instructions? | [`callgrind`] |
//! | how many allocations? | [`counting`] |
//!
//! The last three look at a child process, the [`probe`], which runs one loop
//! of one contender and nothing else.

pub mod callgrind;
pub mod counting;
mod layer;
pub mod measure;
pub mod operations;
pub mod probe;
pub mod raw;
pub mod trace;

pub use layer::Layer;
pub use operations::{Contender, Operation, Transport, Who};
pub use raw::Raw;
