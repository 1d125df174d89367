//! The server that the user chose.

use std::fmt;
use std::str::FromStr;

/// How a server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub transport: Transport,
    /// Address or name.
    pub host: String,
    /// Decimal.
    pub port: String,
}

impl FromStr for Target {
    type Err = String;

    /// Reads a `coap://` or `coap+tcp://` URI.
    fn from_str(uri: &str) -> Result<Target, String> {
        let (scheme, rest) = uri.split_once("://").ok_or("no scheme, such as coap://")?;
        let transport = match scheme {
            "coap" => Transport::Udp,
            "coap+tcp" => Transport::Tcp,
            _ => return Err("the scheme is neither coap nor coap+tcp".into()),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or("no closing bracket")?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        // The default port of both schemes.
        let port = if port.is_empty() { ":5683" } else { port };
        let number = port.strip_prefix(':').and_then(|port| port.parse().ok());
        let number = number.filter(|&port: &u16| port > 0);
        let number = number.ok_or("the port is no number from 1 to 65535")?;
        if host.is_empty() || host.contains('/') {
            return Err("no host alone".into());
        }
        Ok(Target {
            transport,
            host: host.to_owned(),
            port: number.to_string(),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.transport {
            Transport::Udp => "coap",
            Transport::Tcp => "coap+tcp",
        };
        write!(f, "{scheme}://{}", authority(&self.host, &self.port))
    }
}

/// Host and port as a URI has them, IPv6 addresses in brackets.
pub fn authority(host: &str, port: &str) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_uris_are_read_and_written() {
        for (uri, written) in [
            ("coap://127.0.0.1:9", Some("coap://127.0.0.1:9")),
            ("coap://leshan.example/", Some("coap://leshan.example:5683")),
            ("coap+tcp://[::1]", Some("coap+tcp://[::1]:5683")),
            ("coap://[fe80::1%2]:7", Some("coap://[fe80::1%2]:7")),
            ("127.0.0.1:5683", None),
            ("coaps://host", None),
            ("coap://", None),
            ("coap://host:0", None),
            ("coap://host:65536", None),
            ("coap://host:port", None),
            ("coap://[::1", None),
            ("coap://[::1]5683", None),
            ("coap://host/path", None),
        ] {
            let target = uri.parse::<Target>().ok().map(|target| target.to_string());
            assert_eq!(target.as_deref(), written, "{uri}");
        }
    }
}
