//! Literal addresses from bytes, as strict as `inet_pton(3)`.
//!
//! std's parsers want a `str`, so each literal would be checked for UTF-8
//! first; a caller's text arrives as bytes and a `send_to` parses it every time.

use std::net::{Ipv4Addr, Ipv6Addr};

/// An address and the text after it.
type Parsed<'a, T> = Option<(T, &'a [u8])>;

/// Four decimal octets without leading zeros, nothing after them.
#[inline]
pub(crate) fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let (ip, rest) = quad(text)?;
    rest.is_empty().then_some(ip)
}

/// RFC 4291 section 2.2: eight groups, one `::`, the last two groups possibly
/// as a dotted quad. After it comes nothing or a `%`.
pub(crate) fn ipv6(mut text: &[u8]) -> Parsed<'_, Ipv6Addr> {
    let mut groups = [0u16; 8];
    let mut filled = 0;
    let mut gap = None;
    if let Some(rest) = text.strip_prefix(b"::") {
        gap = Some(0);
        text = rest;
    }
    // Nothing need follow a "::"; everywhere else a group must.
    while gap != Some(filled) || !ends(text) {
        let (value, rest) = group(text)?;
        if let [b'.', ..] = rest {
            let (ip, rest) = quad(text)?;
            let [a, b, c, d] = ip.octets();
            *groups.get_mut(filled + 1)? = u16::from_be_bytes([c, d]);
            groups[filled] = u16::from_be_bytes([a, b]);
            filled += 2;
            text = rest;
            break;
        }
        *groups.get_mut(filled)? = value;
        filled += 1;
        text = rest;
        if ends(text) {
            break;
        }
        text = text.strip_prefix(b":")?;
        if let [b':', rest @ ..] = text {
            if gap.is_some() {
                return None;
            }
            gap = Some(filled);
            text = rest;
        }
    }
    match gap {
        None if filled == 8 => {}
        // "::" stands for at least one group; those after it belong at the end.
        Some(gap) if filled < 8 => {
            for index in (gap..filled).rev() {
                groups.swap(index, index + 8 - filled);
            }
        }
        _ => return None,
    }
    ends(text).then_some((Ipv6Addr::from(groups), text))
}

fn ends(text: &[u8]) -> bool {
    matches!(text, [] | [b'%', ..])
}

#[inline]
fn quad(text: &[u8]) -> Parsed<'_, Ipv4Addr> {
    let (a, text) = octet(text)?;
    let (b, text) = octet(text.strip_prefix(b".")?)?;
    let (c, text) = octet(text.strip_prefix(b".")?)?;
    let (d, text) = octet(text.strip_prefix(b".")?)?;
    // As one word: byte by byte it would be taken apart again by whoever copies it.
    Some((Ipv4Addr::from_bits(u32::from_be_bytes([a, b, c, d])), text))
}

/// One to three digits. A digit after a leading zero or after the third stays
/// in the text, where no caller accepts it.
#[inline]
fn octet(text: &[u8]) -> Parsed<'_, u8> {
    let (a, text) = decimal(text)?;
    if a == 0 {
        return Some((0, text));
    }
    let Some((b, text)) = decimal(text) else {
        return Some((a, text));
    };
    let Some((c, text)) = decimal(text) else {
        return Some((a * 10 + b, text));
    };
    let value = u32::from(a) * 100 + u32::from(b * 10 + c);
    Some((u8::try_from(value).ok()?, text))
}

#[inline]
fn decimal(text: &[u8]) -> Parsed<'_, u8> {
    let (byte, rest) = text.split_first()?;
    let digit = byte.wrapping_sub(b'0');
    (digit <= 9).then_some((digit, rest))
}

/// One to four hexadecimal digits; a fifth stays in the text.
#[inline]
fn group(text: &[u8]) -> Parsed<'_, u16> {
    let mut value = 0;
    let mut digits = 0;
    while digits < 4 {
        let Some(&byte) = text.get(digits) else { break };
        let digit = HEXADECIMAL[usize::from(byte)];
        if digit > 15 {
            break;
        }
        value = value << 4 | u16::from(digit);
        digits += 1;
    }
    (digits > 0).then(|| (value, &text[digits..]))
}

/// The value of each character, or 255. One load for what is three ranges.
const HEXADECIMAL: [u8; 256] = {
    let mut values = [255; 256];
    let mut digit = 0;
    while digit < 16 {
        values[b"0123456789abcdef"[digit] as usize] = digit as u8;
        values[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The whole text as an address, which is what std parses.
    fn whole_ipv6(text: &str) -> Option<Ipv6Addr> {
        ipv6(text.as_bytes())
            .filter(|(_, rest)| rest.is_empty())
            .map(|(ip, _)| ip)
    }

    #[test]
    fn stops_at_a_zone() {
        for (text, rest) in [
            ("::%", "%"),
            ("::1%eth0", "%eth0"),
            ("::1.2.3.4%1", "%1"),
            ("1::%a", "%a"),
        ] {
            assert_eq!(ipv6(text.as_bytes()).unwrap().1, rest.as_bytes());
        }
    }

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
            assert_eq!(whole_ipv6(text), None, "{text}");
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
            prop_assert_eq!(whole_ipv6(&v6.to_string()), Some(v6));
            prop_assert_eq!(whole_ipv6(&v6.to_string().to_uppercase()), Some(v6));
            prop_assert_eq!(ipv4(v4.to_string().as_bytes()), Some(v4));
        }

        #[test]
        fn agrees_with_std_on_anything(text in nearly()) {
            prop_assert_eq!(whole_ipv6(&text), text.parse().ok());
        }

        #[test]
        fn agrees_with_std_on_dotted_text(text in "[0-9]{0,4}(\\.[0-9]{0,3}){2,4}[.x ]?") {
            prop_assert_eq!(ipv4(text.as_bytes()), text.parse().ok());
        }
    }
}
