//! The resolver of the process: the system's own, with threads as the layer's
//! others.

use std::collections::TryReserveError;
use std::net::SocketAddr;

use anjay_net_resolve::{
    Configuration, Family, FamilySet, Found, LookupError, LookupSettings, NameService, Resolver,
};

use crate::settings::Settings;
use crate::sys;

/// The resolver that all lookups of the process share.
///
/// # Errors
/// [`LookupError::System`] when memory has run out, in a process that was forked.
pub fn resolver() -> Result<&'static Resolver, LookupError> {
    Resolver::global(&System, |helper| {
        let thread = sys::spawn(c"anjay-net-dns", move || helper.run())?;
        thread.detach();
        Ok(())
    })
}

/// /etc/hosts first where nsswitch.conf has it first, then getaddrinfo(3).
struct System;

impl NameService for System {
    fn local(&self, name: &str, families: FamilySet) -> Result<Vec<SocketAddr>, TryReserveError> {
        anjay_net_resolve::local(name, families, sys::open)
    }

    fn query(&self, name: &str, family: Family) -> Found {
        sys::getaddrinfo(name, family)
    }

    fn settings(&self) -> LookupSettings {
        LookupSettings {
            max_threads: Settings::current().max_lookups as usize,
            ..LookupSettings::default()
        }
    }

    fn configuration(&self) -> Configuration {
        anjay_net_resolve::configuration(sys::open)
    }
}
