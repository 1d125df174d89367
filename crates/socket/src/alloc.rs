//! Memory that may run out: `ENOMEM`, where `Vec` and `String` would end the process.

use std::collections::TryReserveError;
use std::io;

use crate::error::errno;

/// `ENOMEM`; that of the standard library has no errno.
pub(crate) fn no_memory(_: TryReserveError) -> io::Error {
    errno(libc::ENOMEM)
}

/// Appends a value.
pub(crate) fn push<T>(list: &mut Vec<T>, value: T) -> Result<(), TryReserveError> {
    list.try_reserve(1)?;
    list.push(value);
    Ok(())
}

/// A copy of text, with `U+FFFD` for what is not UTF-8.
pub(crate) fn text(bytes: &[u8]) -> io::Result<Box<str>> {
    let mut copy = String::new();
    for chunk in bytes.utf8_chunks() {
        let replacement = match chunk.invalid() {
            [] => "",
            _ => "\u{fffd}",
        };
        for part in [chunk.valid(), replacement] {
            copy.try_reserve_exact(part.len()).map_err(no_memory)?;
            copy.push_str(part);
        }
    }
    Ok(copy.into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_utf8_is_kept_readable() {
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
