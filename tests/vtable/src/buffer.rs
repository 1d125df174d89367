//! Out buffers.

/// What out buffers hold before a call.
const POISON: u8 = 0xa5;

/// So many bytes after an out buffer must stay as they were.
const GUARD: usize = 32;

/// An out buffer of exactly some bytes, poisoned, and guarded behind its end.
pub struct Buffer {
    bytes: Vec<u8>,
    size: usize,
}

impl Buffer {
    /// A buffer of `size` bytes.
    pub fn new(size: usize) -> Buffer {
        Buffer {
            bytes: vec![POISON; size + GUARD],
            size,
        }
    }

    /// Where to write.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.size]
    }

    /// What was written, `len` bytes of it; the rest must be untouched.
    #[track_caller]
    pub fn written(&self, len: usize) -> &[u8] {
        assert!(len <= self.size, "{len} bytes in a buffer of {}", self.size);
        self.assert_untouched_from(len);
        &self.bytes[..len]
    }

    /// The first `len` bytes. What follows them may be of a datagram that was
    /// not for the caller and had to be dropped.
    #[track_caller]
    pub(crate) fn received(&self, len: usize) -> Vec<u8> {
        assert!(len <= self.size, "{len} bytes in a buffer of {}", self.size);
        self.assert_untouched_from(self.size);
        self.bytes[..len].to_vec()
    }

    /// That nothing was written at all.
    #[track_caller]
    pub fn assert_untouched(&self) {
        self.assert_untouched_from(0);
    }

    /// Whether anything was written.
    pub fn is_touched(&self) -> bool {
        self.bytes.iter().any(|&byte| byte != POISON)
    }

    #[track_caller]
    fn assert_untouched_from(&self, start: usize) {
        let touched = self.bytes[start..].iter().position(|&byte| byte != POISON);
        assert_eq!(touched, None, "written behind byte {start}");
    }

    /// The text up to its NUL, which must be within the buffer.
    #[track_caller]
    pub fn text(&self) -> String {
        let end = self.bytes[..self.size].iter().position(|&byte| byte == 0);
        let end = end.expect("the text is terminated within its buffer");
        self.assert_untouched_from(end + 1);
        String::from_utf8(self.bytes[..end].to_vec()).expect("plain text")
    }
}
