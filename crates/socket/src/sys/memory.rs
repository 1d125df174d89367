//! Memory that may run out: `ENOMEM`, where `Box` and `String` would end the
//! program.

use std::alloc::{Layout, alloc};
use std::io;

use super::errno;

fn none_left() -> io::Error {
    errno(libc::ENOMEM)
}

/// A value on the heap.
pub(crate) fn boxed<T>(value: T) -> io::Result<Box<T>> {
    const { assert!(size_of::<T>() > 0) }
    // SAFETY: the layout is not empty.
    let place: *mut T = unsafe { alloc(Layout::new::<T>()) }.cast();
    if place.is_null() {
        return Err(none_left());
    }
    // SAFETY: just allocated with the layout and the allocator of a box, and
    // initialised before it becomes one.
    Ok(unsafe {
        place.write(value);
        Box::from_raw(place)
    })
}

/// A copy of text, with `U+FFFD` for what is none.
pub(crate) fn text(bytes: &[u8]) -> io::Result<Box<str>> {
    let mut copy = String::new();
    for chunk in bytes.utf8_chunks() {
        let replacement = match chunk.invalid() {
            [] => "",
            _ => "\u{fffd}",
        };
        for part in [chunk.valid(), replacement] {
            copy.try_reserve_exact(part.len())
                .map_err(|_| none_left())?;
            copy.push_str(part);
        }
    }
    Ok(copy.into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_texts_are_kept() {
        assert_eq!(*boxed([1u64, 2, 3]).unwrap(), [1, 2, 3]);
        for bytes in [
            b"".as_slice(),
            b"server.example",
            b"a\xffb\xc3",
            b"\xf0\x9f",
        ] {
            assert_eq!(*text(bytes).unwrap(), *String::from_utf8_lossy(bytes));
        }
    }
}
