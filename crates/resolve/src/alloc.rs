//! Memory that may run out, where the methods of `Vec` would end the process.

use std::collections::TryReserveError;

/// Appends a value.
///
/// # Errors
/// Memory has run out; the list is as before.
pub fn push<T>(list: &mut Vec<T>, value: T) -> Result<(), TryReserveError> {
    list.try_reserve(1)?;
    list.push(value);
    Ok(())
}

/// A copy of a list.
///
/// # Errors
/// Memory has run out.
pub fn copy<T: Copy>(list: &[T]) -> Result<Vec<T>, TryReserveError> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(list.len())?;
    copy.extend_from_slice(list);
    Ok(copy)
}
