//! What the library must do, written down a second time as code, from its
//! documents and not from its sources, so that any input can be judged.
//!
//! Each module has a `check` that takes bytes of any kind, makes calls of them
//! through the C ABI, and panics where the library disagrees. The fuzz targets
//! (`fuzz/`) and the property tests (`tests/`) are those same functions.
//!
//! | module | what the bytes are |
//! |---|---|
//! | [`texts`] | host and port text |
//! | [`endpoints`] | a stored endpoint |
//! | [`configurations`] | the configuration of a socket |
//! | [`calls`] | method calls with any arguments over several sockets |

pub mod calls;
pub mod configurations;
pub mod endpoints;
pub mod host;
mod kernel;
pub mod texts;

pub(crate) use anjay_net_vtable::{self as c, code};

/// Text of any bytes; `None` is NULL.
type Text<'a> = Option<&'a [u8]>;
