//! The configuration of the system's resolver.

use std::ffi::CStr;
use std::hash::Hasher;

use super::files::Lines;
use super::{Configuration, OpenFile};
use crate::random::SplitMix64;

/// Identifies the text of the resolv.conf that is there now; programs replace it
/// (NetworkManager, dhcpcd, pppd) or point a symbolic link elsewhere (systemd-resolved),
/// so the name alone does not tell whether it is still the same.
pub fn identity(open: OpenFile) -> Configuration {
    identity_of(c"/etc/resolv.conf", open)
}

/// That of the lines before the first that can't be read; zero if it can't be opened.
fn identity_of(path: &CStr, open: OpenFile) -> Configuration {
    let mut identity = SplitMix64::default();
    if let Ok(file) = open(path) {
        // An empty file is not a missing one.
        identity.write_u8(b'\n');
        let mut lines = Lines::new(file);
        while let Ok(Some(line)) = lines.advance() {
            identity.write(line);
            identity.write_u8(b'\n');
        }
    }
    identity.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::{env, fs, process};

    use crate::system::tests::open;

    #[test]
    fn every_way_to_change_it_shows() {
        let dir = env::temp_dir().join(format!("anjay-net-resolv-conf-{}", process::id()));
        fs::create_dir(&dir).unwrap();
        let path = dir.join("resolv.conf");
        let name = CString::new(path.as_os_str().as_bytes()).unwrap();
        let identity = || identity_of(&name, open);
        let mut seen = vec![identity()];
        assert_eq!(seen, [Configuration::default()]);
        let mut look = |what: &str| {
            let now = identity();
            assert_eq!(now, identity());
            assert!(!seen.contains(&now), "{what}");
            seen.push(now);
        };
        fs::write(&path, "nameserver 192.0.2.1\n").unwrap();
        look("created");
        // Of the same length, and in the same tick of the file system's clock.
        fs::write(&path, "nameserver 192.0.2.2\n").unwrap();
        look("rewritten");
        fs::write(dir.join("new"), "nameserver 192.0.2.3\n").unwrap();
        fs::rename(dir.join("new"), &path).unwrap();
        look("replaced");
        fs::write(&path, "nameserver 192.0.2.3\nsearch example\n").unwrap();
        look("extended");
        fs::write(dir.join("run"), "nameserver 192.0.2.4\n").unwrap();
        fs::remove_file(&path).unwrap();
        symlink("run", &path).unwrap();
        look("linked");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn an_empty_file_is_not_a_missing_one() {
        let missing = identity_of(c"/nowhere/resolv.conf", open);
        assert_ne!(missing, identity_of(c"/dev/null", open));
    }
}
