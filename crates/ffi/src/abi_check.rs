//! Which option-value layout the program expects: told by symbols of Anjay
//! and avs_commons.
//!
//! An archive for avs_commons 5.1 linked with an older one (or the other way
//! round) gets option values from the wrong place. Nothing in the ABI shows
//! it, but Anjay does: `anjay_get_version` is in the same object file as
//! `anjay_new`, and avs_commons has a public constant since exactly 5.1,
//! wherever it speaks DTLS. A program that has neither (the v-table used
//! without avs_commons) can't be told apart and is believed.

use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::io::IoSlice;

use crate::abi::Error;
use crate::errno::ErrorCode;
use crate::weak;

/// Whether this archive was built for avs_commons 5.1 and newer, Anjay 3.1 and newer; else
/// for avs_commons 4.1 to 5.0, Anjay 2.4 to 3.0.
const IS_NEWER: bool = cfg!(not(feature = "avs-commons-4"));

/// What the linker found in the program.
#[derive(Clone, Copy)]
struct Signs<'a> {
    /// The result of `anjay_get_version()`.
    anjay_version: Option<&'a CStr>,
    /// Whether `AVS_NET_SOCKET_DEFAULT_DTLS_HANDSHAKE_TIMEOUTS` is there.
    handshake_timeouts: bool,
}

/// Success, or `ENOEXEC` when the program was built for the other layout; the
/// first time with a message on standard error that says what to do.
#[inline]
pub(crate) fn check() -> Result<(), Error> {
    let signs = linked();
    if expects_newer(signs) == Some(!IS_NEWER) {
        return Err(refuse(signs));
    }
    Ok(())
}

#[cold]
fn refuse(signs: Signs) -> Error {
    static IS_SAID: AtomicBool = AtomicBool::new(false);
    if !IS_SAID.swap(true, Relaxed) {
        say(&advice(signs));
    }
    ErrorCode::ENOEXEC.error()
}

/// Whether the program expects the newer layout, if it can be known.
fn expects_newer(signs: Signs) -> Option<bool> {
    if signs.handshake_timeouts {
        return Some(true);
    }
    Some(major_and_minor(signs.anjay_version?.to_bytes())? >= (3, 1))
}

/// The first two numbers of a text such as `3.14.0` or `v2.15.0-rc1`.
fn major_and_minor(version: &[u8]) -> Option<(u32, u32)> {
    let version = version.strip_prefix(b"v").unwrap_or(version);
    let mut numbers = version.split(|byte| *byte == b'.').map(leading_number);
    Some((numbers.next()??, numbers.next()??))
}

fn leading_number(text: &[u8]) -> Option<u32> {
    let mut digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    let first = u32::from(digits.next()? - b'0');
    digits.try_fold(first, |number, digit| {
        number.checked_mul(10)?.checked_add(u32::from(digit - b'0'))
    })
}

/// The line that says what to do, in pieces.
fn advice(signs: Signs<'_>) -> [&[u8]; 8] {
    let (built_for, build): (&[u8], &[u8]) = match IS_NEWER {
        false => (b"avs_commons 4.1 to 5.0", b"without its feature"),
        true => (b"avs_commons 5.1 and newer", b"with the feature"),
    };
    let (theirs, version): (&[u8], &[u8]) = match signs.anjay_version {
        Some(version) => (b"Anjay ", version.to_bytes()),
        None => (b"another avs_commons", b""),
    };
    [
        b"anjay-net: this libanjay_net.a is for ",
        built_for,
        b", but the program has ",
        theirs,
        version,
        b"; no socket will be made. Build it ",
        build,
        b" avs-commons-4.\n",
    ]
}

/// Writes a line to standard error, in one piece.
fn say(line: &[&[u8]; 8]) {
    let pieces = line.map(IoSlice::new);
    // SAFETY: an `IoSlice` has the layout of an iovec, and each piece is readable.
    unsafe { libc::writev(libc::STDERR_FILENO, pieces.as_ptr().cast(), 8) };
}

/// What the linker found.
fn linked() -> Signs<'static> {
    let symbols = weak::symbols();
    Signs {
        anjay_version: symbols.anjay_get_version.and_then(|version| {
            // SAFETY: Anjay's function of this name has this signature in every
            // version, and may be called at any time.
            let text = unsafe { version() };
            // SAFETY: not NULL, and so a constant text.
            (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
        }),
        handshake_timeouts: !symbols.handshake_timeouts.is_null(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_version(version: &CStr) -> Option<bool> {
        expects_newer(Signs {
            anjay_version: Some(version),
            handshake_timeouts: false,
        })
    }

    #[test]
    fn anjay_up_to_3_0_is_of_the_older_form() {
        for version in [c"2.4.0", c"2.15.0", c"3.0.0", c"3.0.0-17-gabcdef", c"v3.0"] {
            assert_eq!(of_version(version), Some(false), "{version:?}");
        }
    }

    #[test]
    fn anjay_from_3_1_on_is_of_the_newer_form() {
        for version in [c"3.1.0", c"3.14.0", c"3.10", c"4.0.0", c"v3.1.0-rc1"] {
            assert_eq!(of_version(version), Some(true), "{version:?}");
        }
    }

    #[test]
    fn what_is_no_version_tells_nothing() {
        for version in [c"", c"3", c"a.b", c"HEAD", c"3.x", c"\xff.\xff"] {
            assert_eq!(of_version(version), None, "{version:?}");
        }
    }

    #[test]
    fn the_constant_of_5_1_tells_more_than_the_version() {
        let signs = Signs {
            anjay_version: Some(c"my-own"),
            handshake_timeouts: true,
        };
        assert_eq!(expects_newer(signs), Some(true));
    }

    #[test]
    fn a_program_without_anjay_is_believed() {
        assert_eq!(expects_newer(linked()), None);
        assert_eq!(check(), Ok(()));
    }

    #[test]
    fn the_advice_names_both_sides() {
        let line = advice(Signs {
            anjay_version: Some(c"3.0.0"),
            handshake_timeouts: false,
        });
        let text = String::from_utf8(line.concat()).unwrap();
        assert!(text.contains("Anjay 3.0.0"), "{text}");
        assert!(text.contains("avs-commons-4"), "{text}");
    }
}
