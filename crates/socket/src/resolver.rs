//! The resolver of the process: the system's own, with threads as the layer's
//! others.

use std::collections::TryReserveError;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

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
        identity(Path::new("/etc/resolv.conf"))
    }
}

/// Identifies the file that is there now; programs replace resolv.conf (NetworkManager,
/// dhcpcd, pppd) or point a symbolic link elsewhere (systemd-resolved), so the name
/// alone does not tell whether it is still the same. All zero if there is no file.
fn identity(path: &Path) -> Configuration {
    fs::metadata(path).map_or(Configuration::default(), |file| {
        [
            file.dev(),
            file.ino(),
            file.mtime() as u64,
            file.mtime_nsec() as u64,
            file.len(),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::{env, process};

    #[test]
    fn every_way_to_change_it_shows() {
        let dir = env::temp_dir().join(format!("anjay-net-resolv-conf-{}", process::id()));
        fs::create_dir(&dir).unwrap();
        let path = dir.join("resolv.conf");
        let mut seen = vec![identity(&path)];
        assert_eq!(seen, [Configuration::default()]);
        let mut look = |what: &str| {
            let now = identity(&path);
            assert_eq!(now, identity(&path));
            assert!(!seen.contains(&now), "{what}");
            seen.push(now);
        };
        fs::write(&path, "nameserver 192.0.2.1\n").unwrap();
        look("created");
        fs::write(&path, "nameserver 192.0.2.11\n").unwrap();
        look("rewritten");
        fs::write(dir.join("new"), "nameserver 192.0.2.22\n").unwrap();
        fs::rename(dir.join("new"), &path).unwrap();
        look("replaced");
        fs::write(dir.join("run"), "nameserver 192.0.2.33\n").unwrap();
        fs::remove_file(&path).unwrap();
        symlink("run", &path).unwrap();
        look("linked");
        fs::remove_dir_all(&dir).unwrap();
    }
}
