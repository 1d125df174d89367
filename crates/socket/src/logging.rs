//! Log lines: each begins with the number of the socket that it is about.

use core::fmt::{self, Write};
use core::panic::Location;
use std::net::SocketAddr;

use anjay_net_resolve::{Decimal, write_endpoint};
use log::{Level, Record, STATIC_MAX_LEVEL};

/// Writes a line, if somebody receives lines of that level: what it is made of is not
/// looked at otherwise.
#[macro_export]
macro_rules! log_line {
    ($level:ident, $socket:expr, $($message:tt)+) => {
        if $crate::logging::is_wanted(log::Level::$level) {
            $crate::logging::write(log::Level::$level, $socket, format_args!($($message)+));
        }
    };
}

/// As [`log_line`], about a socket with its peer. Not for callers that hold the mutex.
macro_rules! log_peer_line {
    ($level:ident, $socket:expr, $($message:tt)+) => {
        $crate::log_line!(
            $level, $socket.id, "{}: {}", $socket.peer_for_log(), format_args!($($message)+)
        )
    };
}
pub(crate) use log_peer_line;

/// Whether somebody receives lines of that level.
#[inline(always)]
pub fn is_wanted(level: Level) -> bool {
    level <= STATIC_MAX_LEVEL && level <= log::max_level()
}

/// Writes a line about the socket with that id, 0 for none.
///
/// One function for all lines, as the macros of the log crate are larger than most of
/// what is logged with them.
#[cold]
#[inline(never)]
#[track_caller]
pub fn write(level: Level, socket: u32, message: fmt::Arguments<'_>) {
    let place = Location::caller();
    let record = &mut Record::builder();
    record.level(level).target("anjay_net_socket");
    record
        .file_static(Some(place.file()))
        .line(Some(place.line()));
    log::logger().log(
        &record
            .args(format_args!("socket {}: {message}", Decimal(socket.into())))
            .build(),
    );
}

/// Bytes of text in a line: nothing in those of a caller must look like a line of its own.
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| match byte {
            b'\\' => f.write_str("\\\\"),
            b' '..=b'~' => f.write_char((*byte).into()),
            _ => {
                f.write_str("\\x")?;
                [byte >> 4, byte & 0xF].into_iter().try_for_each(|digit| {
                    f.write_char(char::from_digit(digit.into(), 16).unwrap_or_default())
                })
            }
        })
    }
}

/// Host and port of a caller's.
pub(crate) struct TextForLog<'a>(pub(crate) &'a [u8], pub(crate) &'a [u8]);

impl fmt::Display for TextForLog<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]:{}", Escaped(self.0), Escaped(self.1))
    }
}

/// The address of a peer; a dash for none.
pub(crate) struct PeerForLog(pub(crate) Option<SocketAddr>);

impl fmt::Display for PeerForLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(addr) => f.write_str(&write_endpoint(addr)),
            None => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_line_or_is_no_text_is_escaped() {
        let text = Escaped(b"a b~\\\n\x7f\xff").to_string();
        assert_eq!(text, r"a b~\\\x0a\x7f\xff");
    }
}
