//! Text of limited length, without the heap.

use core::fmt;
use core::ops::Deref;

/// A text of at most `N` bytes. What does not fit is cut off between two
/// characters, and `...` takes its place.
#[derive(Clone, Copy)]
pub struct BoundedText<const N: usize> {
    bytes: [u8; N],
    len: usize,
    is_cut: bool,
}

const ELLIPSIS: &str = "...";

impl<const N: usize> BoundedText<N> {
    /// The text of a value.
    pub fn of(value: impl fmt::Display) -> Self {
        const { assert!(N >= ELLIPSIS.len()) }
        let mut text = BoundedText {
            bytes: [0; N],
            len: 0,
            is_cut: false,
        };
        // An error means that the rest does not fit.
        let _ = fmt::write(&mut text, format_args!("{value}"));
        text
    }

    /// The longest beginning of `text` that has at most `room` bytes.
    fn beginning(text: &str, room: usize) -> &str {
        let fitting = (0..=room.min(text.len()))
            .rev()
            .find(|&end| text.is_char_boundary(end));
        &text[..fitting.unwrap_or(0)]
    }

    fn push(&mut self, text: &str) {
        self.bytes[self.len..][..text.len()].copy_from_slice(text.as_bytes());
        self.len += text.len();
    }
}

impl<const N: usize> fmt::Write for BoundedText<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.is_cut {
            return Err(fmt::Error);
        }
        let fitting = Self::beginning(text, N - self.len);
        self.push(fitting);
        if fitting.len() == text.len() {
            return Ok(());
        }
        self.len = Self::beginning(self, N - ELLIPSIS.len()).len();
        self.push(ELLIPSIS);
        self.is_cut = true;
        Err(fmt::Error)
    }
}

impl<const N: usize> Deref for BoundedText<N> {
    type Target = str;

    fn deref(&self) -> &str {
        // Made of whole characters, so it is always valid.
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Debug for BoundedText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<const N: usize> fmt::Display for BoundedText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_eight(text: &str) -> String {
        BoundedText::<8>::of(text).to_string()
    }

    #[test]
    fn what_does_not_fit_is_cut_between_characters() {
        assert_eq!(in_eight(""), "");
        assert_eq!(in_eight("12345678"), "12345678");
        assert_eq!(in_eight("123456789"), "12345...");
        assert_eq!(in_eight("1234é6789"), "1234...");
        assert_eq!(in_eight(&"é".repeat(100)), "éé...");
    }

    /// A value that goes on when a part of it does not fit.
    struct Stubborn;

    impl fmt::Display for Stubborn {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let _ = f.write_str("0123456789");
            f.write_str("x")
        }
    }

    #[test]
    fn nothing_follows_a_cut() {
        assert_eq!(in_eight(&BoundedText::<8>::of(Stubborn)), "01234...");
        assert_eq!(
            &*BoundedText::<8>::of(format_args!("{}{}", "0123456789", "x")),
            "01234..."
        );
        assert_eq!(
            &*BoundedText::<8>::of(format_args!("{}{}", "01234567", "x")),
            "01234..."
        );
        assert_eq!(
            &*BoundedText::<8>::of(format_args!("{}{}", "0123456", "x")),
            "0123456x"
        );
    }
}
