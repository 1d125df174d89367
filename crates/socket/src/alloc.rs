//! Memory that may run out: `ENOMEM`, where `Vec` and `String` would end the process.

use crate::error::Result;

/// A copy of text, with `U+FFFD` for what is not UTF-8.
pub(crate) fn text(bytes: &[u8]) -> Result<Box<str>> {
    let mut copy = String::new();
    for chunk in bytes.utf8_chunks() {
        let replacement = match chunk.invalid() {
            [] => "",
            _ => "\u{fffd}",
        };
        for part in [chunk.valid(), replacement] {
            copy.try_reserve_exact(part.len())?;
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
