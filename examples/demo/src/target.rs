//! The server that the user chose.

use std::fmt;

/// The default port of both `coap` and `coap+tcp`.
const DEFAULT_PORT: &str = "5683";

/// Which server the life is played against.
///
/// A lab of simulated networks (`--network-lab`) would be one more target, with
/// steps of its own in [`crate::life`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One in this process.
    Embedded,
    /// Somebody's, over UDP.
    Udp {
        /// Address or name.
        host: String,
        /// Decimal port.
        port: String,
    },
    /// Somebody's, over TCP.
    Tcp {
        /// Address or name.
        host: String,
        /// Decimal port.
        port: String,
    },
}

impl Target {
    /// Reads a `coap://` or `coap+tcp://` URI.
    pub fn parse(uri: &str) -> Result<Self, String> {
        let (scheme, rest) = uri.split_once("://").ok_or("no scheme, such as coap://")?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains('/') {
            return Err("a server has no path".into());
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or("no closing bracket")?;
                (
                    host,
                    after
                        .strip_prefix(':')
                        .or(after.is_empty().then_some(DEFAULT_PORT)),
                )
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, Some(DEFAULT_PORT)),
            },
        };
        let port = port.filter(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        let port = port
            .ok_or("the port is no number from 1 to 65535")?
            .to_owned();
        if host.is_empty() {
            return Err("no host".into());
        }
        let host = host.to_owned();
        match scheme {
            "coap" => Ok(Self::Udp { host, port }),
            "coap+tcp" => Ok(Self::Tcp { host, port }),
            _ => Err("the scheme is neither coap nor coap+tcp".into()),
        }
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

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Embedded => return f.write_str("embedded"),
            Self::Udp { host, port } => ("coap", host, port),
            Self::Tcp { host, port } => ("coap+tcp", host, port),
        };
        write!(f, "{scheme}://{}", authority(host, port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_uris_are_read_and_written() {
        for (uri, written) in [
            ("coap://127.0.0.1:9", "coap://127.0.0.1:9"),
            ("coap://leshan.example/", "coap://leshan.example:5683"),
            ("coap+tcp://[::1]", "coap+tcp://[::1]:5683"),
            ("coap://[fe80::1%2]:7", "coap://[fe80::1%2]:7"),
        ] {
            assert_eq!(
                Target::parse(uri).map(|target| target.to_string()),
                Ok(written.into())
            );
        }
    }

    #[test]
    fn other_uris_are_refused() {
        for uri in [
            "127.0.0.1:5683",
            "coaps://host",
            "coap://",
            "coap://host:0",
            "coap://host:65536",
            "coap://host:port",
            "coap://[::1",
            "coap://[::1]5683",
            "coap://host/path",
        ] {
            assert!(Target::parse(uri).is_err(), "{uri}");
        }
    }
}
