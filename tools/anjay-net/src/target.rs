//! What the user wants to reach.

use std::str::FromStr;

use crate::ping::Transport;

/// CoAP's port, RFC 7252 section 6.1 and RFC 8323 section 8.1.
const COAP_PORT: u16 = 5683;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name or address, without brackets.
    pub host: String,
    pub port: u16,
    /// The transport that the scheme asks for.
    pub transport: Option<Transport>,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let transport = match scheme {
            "" => None,
            "coap" => None,
            "coap+tcp" => Some(Transport::Tcp),
            "coaps" | "coaps+tcp" => {
                return Err("secured servers answer no ping without a key: \
                            give coap:// and the port of the server to see the way to it"
                    .to_owned());
            }
            other => return Err(format!("{other} is no scheme of CoAP")),
        };
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        let (host, port) = split(authority)?;
        if host.is_empty() {
            return Err("there is no host".to_owned());
        }
        let port = match port {
            None | Some("") => COAP_PORT,
            Some(text) => match text.parse() {
                Ok(port) if port > 0 => port,
                _ => return Err(format!("{text} is no port")),
            },
        };
        Ok(Target {
            host: host.to_owned(),
            port,
            transport,
        })
    }
}

/// Host and port of `host`, `host:port`, `[address]`, `[address]:port` and of a
/// plain IPv6 address.
fn split(authority: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("a bracket is not closed")?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(format!("{rest} is no port")),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) if !port.contains(':') => Ok((host, Some(port))),
        _ => Ok((authority, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, u16, Option<Transport>) {
        let target: Target = text.parse().unwrap();
        (target.host, target.port, target.transport)
    }

    #[test]
    fn hosts_and_ports_in_all_forms() {
        let plain = |host: &str, port| (host.to_owned(), port, None);
        assert_eq!(parsed("coap://example.org"), plain("example.org", 5683));
        assert_eq!(parsed("coap://example.org:5/rd?x"), plain("example.org", 5));
        assert_eq!(parsed("[2001:db8::1]:7"), plain("2001:db8::1", 7));
        assert_eq!(parsed("2001:db8::1"), plain("2001:db8::1", 5683));
        assert_eq!(parsed("192.0.2.1:99"), plain("192.0.2.1", 99));
        assert_eq!(
            parsed("coap+tcp://[::1]"),
            ("::1".to_owned(), 5683, Some(Transport::Tcp))
        );
    }

    #[test]
    fn what_is_none_says_why() {
        for text in [
            "",
            "coap://",
            "http://a",
            "coaps://a",
            "a:0",
            "a:x",
            "[::1",
            "[::1]5",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
