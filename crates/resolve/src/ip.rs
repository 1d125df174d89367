//! Literal addresses from bytes, as strict as `inet_pton(3)`.
//!
//! std's parsers want a `str`, so each literal would be checked for UTF-8
//! first; a caller's text arrives as bytes and a `send_to` parses it every time.

use std::net::{Ipv4Addr, Ipv6Addr};

/// `255.255.255.255`
const IPV4_MAX: usize = 15;

/// Four decimal octets without leading zeros, nothing before or after.
#[inline]
pub(crate) fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    if text.len() > IPV4_MAX {
        return None;
    }
    let mut octets = [0u8; 4];
    let mut index = 0;
    // None: no digit of this octet seen yet, which is what tells "0" from "".
    let mut value: Option<u32> = None;
    for &byte in text {
        if byte == b'.' {
            *octets.get_mut(index)? = value? as u8;
            index += 1;
            value = None;
            continue;
        }
        let digit = u32::from(byte.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        let next = match value {
            None => digit,
            Some(0) => return None,
            Some(value) => value * 10 + digit,
        };
        if next > 255 {
            return None;
        }
        value = Some(next);
    }
    if index != 3 {
        return None;
    }
    octets[3] = value? as u8;
    Some(Ipv4Addr::from(octets))
}

/// RFC 4291 section 2.2: eight groups, one `::`, the last two groups possibly
/// as a dotted quad. No scope, no brackets.
#[inline]
pub(crate) fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    let mut groups = [0u16; 8];
    let mut filled = 0;
    let mut gap = None;
    let mut at = 0;
    if text.starts_with(b"::") {
        gap = Some(0);
        at = 2;
    }
    while gap != Some(filled) || at < text.len() {
        let start = at;
        let mut value = 0;
        while let Some(digit) = text.get(at).copied().and_then(hex) {
            if at - start == 4 {
                return None;
            }
            value = value << 4 | digit;
            at += 1;
        }
        if text.get(at) == Some(&b'.') {
            let [a, b, c, d] = ipv4(&text[start..])?.octets();
            *groups.get_mut(filled + 1)? = u16::from_be_bytes([c, d]);
            groups[filled] = u16::from_be_bytes([a, b]);
            filled += 2;
            break;
        }
        if at == start {
            return None;
        }
        *groups.get_mut(filled)? = value;
        filled += 1;
        match text.get(at) {
            None => break,
            Some(b':') => at += 1,
            Some(_) => return None,
        }
        if text.get(at) == Some(&b':') {
            if gap.is_some() {
                return None;
            }
            gap = Some(filled);
            at += 1;
        }
    }
    match gap {
        None if filled == 8 => {}
        // "::" stands for at least one group.
        Some(gap) if filled < 8 => {
            groups[gap..].rotate_right(8 - filled);
        }
        _ => return None,
    }
    Some(Ipv6Addr::from(groups))
}

#[inline]
fn hex(byte: u8) -> Option<u16> {
    match byte {
        b'0'..=b'9' => Some(u16::from(byte - b'0')),
        b'a'..=b'f' => Some(u16::from(byte - b'a') + 10),
        b'A'..=b'F' => Some(u16::from(byte - b'A') + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn odd_ipv6_texts() {
        for text in [
            "",
            ":",
            ":::",
            "1:",
            ":1",
            "1::2::3",
            "12345::",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7:8::",
            "::1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7:1.2.3.4",
            "1.2.3.4::",
            "::1.2.3",
            "::1.2.3.04",
            "::1.2.3.4:5",
            "::g",
            "::1%eth0",
            "[::1]",
            "1::2:",
            "::1.",
            ".::",
            "::.",
            "1.2.3.4",
        ] {
            assert_eq!(ipv6(text.as_bytes()), None, "{text}");
        }
    }

    /// Texts that are nearly addresses, so that both verdicts are common.
    fn nearly() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[0-9a-fA-F]{0,5}",
            2 => Just("::".to_owned()),
            4 => Just(":".to_owned()),
            1 => "[0-9]{1,3}(\\.[0-9]{1,3}){2,4}",
        ];
        prop::collection::vec(piece, 0..18).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn agrees_with_std_on_addresses(ip: u128, short: u32, zeros: u128) {
            let v6 = Ipv6Addr::from(ip & zeros);
            let v4 = Ipv4Addr::from(short);
            prop_assert_eq!(ipv6(v6.to_string().as_bytes()), Some(v6));
            prop_assert_eq!(ipv6(v6.to_string().to_uppercase().as_bytes()), Some(v6));
            prop_assert_eq!(ipv4(v4.to_string().as_bytes()), Some(v4));
        }

        #[test]
        fn agrees_with_std_on_anything(text in nearly()) {
            prop_assert_eq!(ipv6(text.as_bytes()), text.parse().ok());
        }

        #[test]
        fn agrees_with_std_on_dotted_text(text in "[0-9]{0,4}(\\.[0-9]{0,3}){2,4}[.x ]?") {
            prop_assert_eq!(ipv4(text.as_bytes()), text.parse().ok());
        }
    }
}
