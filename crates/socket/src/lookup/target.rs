//! Host and port as they are passed to a call: an address, a name or a wildcard.

use std::net::SocketAddr;

use anjay_net_resolve::{Host, Scope, TextError, parse_port};

use crate::error::{Errno, Result};
use crate::sys;

/// What a host and a port stand for.
pub(crate) enum Target<'a> {
    Wildcard(u16),
    Literal(SocketAddr),
    Name { name: &'a str, port: u16 },
}

impl<'a> Target<'a> {
    /// Reads host and port; a scope of an interface that does not exist is bad
    /// text, too.
    #[inline]
    pub(crate) fn parse(host: &'a [u8], port: &[u8]) -> Result<Target<'a>, TextError> {
        let port = parse_port(port)?;
        // Without `?`, which would move all of a host once more.
        match Host::parse(host) {
            Ok(Host::Wildcard) => Ok(Target::Wildcard(port)),
            Ok(Host::Literal(literal)) => {
                let addr = literal.with_port(port, |scope| match scope {
                    Scope::None => None,
                    Scope::Index(index) => sys::interface_name(index).map(|_| index),
                    Scope::Interface(name) => sys::interface_index(name),
                });
                addr.map(Target::Literal)
            }
            Ok(Host::Name(name)) => Ok(Target::Name { name, port }),
            Err(error) => Err(error),
        }
    }
}

/// The error of a name or an address that does not exist.
pub(crate) fn unknown_host() -> Errno {
    Errno(libc::EADDRNOTAVAIL)
}
