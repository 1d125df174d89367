//! Memory that may run out.

use std::alloc::{Layout, alloc};

use crate::error::{Errno, Result};

/// A value on the heap. [`Box::new`] ends the process when memory runs out.
///
/// # Errors
/// `ENOMEM`.
pub fn try_box<T>(value: T) -> Result<Box<T>> {
    const { assert!(size_of::<T>() > 0) }
    // SAFETY: the layout is not empty.
    let place: *mut T = unsafe { alloc(Layout::new::<T>()) }.cast();
    if place.is_null() {
        return Err(Errno(libc::ENOMEM));
    }
    // SAFETY: just allocated with the layout and the allocator of a box, and
    // initialised before it becomes one.
    Ok(unsafe {
        place.write(value);
        Box::from_raw(place)
    })
}
