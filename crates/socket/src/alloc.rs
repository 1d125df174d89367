//! Memory that may run out: `ENOMEM`, where the methods of `Vec` would end the process.

use crate::error::Result;

/// A copy of bytes.
pub(crate) fn copy(bytes: &[u8]) -> Result<Box<[u8]>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(copy.into_boxed_slice())
}
