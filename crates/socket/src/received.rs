//! The result of receive, below both transports.

/// What a receive put into the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes in the buffer.
    pub len: usize,
    /// The datagram was longer than the buffer, and its rest is lost. C
    /// callers get `EMSGSIZE`.
    pub truncated: bool,
}
