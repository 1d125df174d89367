//! The configuration of the system's resolver.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Configuration;

/// Identifies the resolv.conf that is there now; programs replace it (NetworkManager, dhcpcd,
/// pppd) or point a symbolic link elsewhere (systemd-resolved), so the name
/// alone does not tell whether it is still the same.
pub fn identity() -> Configuration {
    identity_of(Path::new("/etc/resolv.conf"))
}

/// All zero if there is no such file.
fn identity_of(path: &Path) -> Configuration {
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
        let mut seen = vec![identity_of(&path)];
        assert_eq!(seen, [Configuration::default()]);
        let mut look = |what: &str| {
            let now = identity_of(&path);
            assert_eq!(now, identity_of(&path));
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
