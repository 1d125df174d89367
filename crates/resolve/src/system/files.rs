//! Names that are known without a query: those in /etc/hosts, and localhost.
//!
//! `getaddrinfo(3)` takes a name from /etc/hosts and asks nowhere else, if it is
//! asked for both families at once. Here each family has a question of its own,
//! so that one does not wait for the other, and the name servers would be asked
//! for the family that /etc/hosts does not have. So /etc/hosts is read here, by
//! the rules of glibc.

use std::collections::TryReserveError;
use std::ffi::CStr;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::OpenFile;
use crate::addr::{Family, FamilySet};
use crate::{alloc, host};

const HOSTS: &CStr = c"/etc/hosts";
const NSSWITCH: &CStr = c"/etc/nsswitch.conf";

/// The addresses of `name`, with port 0, in the order of /etc/hosts; none if
/// the system resolver has to be asked. The files are small and their contents
/// are in the page cache, so nothing is kept from one call to the next.
///
/// # Errors
/// Memory has run out.
pub fn lookup(
    name: &str,
    families: FamilySet,
    open: OpenFile,
) -> Result<Vec<SocketAddr>, TryReserveError> {
    // A number that is no address. glibc refuses it, whatever /etc/hosts has.
    let is_number = name
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    // A name of loopback addresses is asked of no name server, whatever comes
    // first: RFC 6761 section 6.3.
    let is_localhost = is_localhost(name);
    if is_number || !(is_localhost || hosts_file_is_first(open)?) {
        return Ok(Vec::new());
    }
    let mut found = open(HOSTS).map_or(Ok(Vec::new()), |file| in_hosts(file, name, families))?;
    if found.is_empty() && is_localhost {
        for family in families.iter() {
            alloc::push(&mut found, loopback(family))?;
        }
    }
    Ok(found)
}

/// "localhost" and all names below it, perhaps with the dot of the root.
fn is_localhost(name: &str) -> bool {
    let name = name.as_bytes();
    let name = name.strip_suffix(b".").unwrap_or(name);
    let label = name.rsplit(|byte| *byte == b'.').next();
    label.is_some_and(|label| label.eq_ignore_ascii_case(b"localhost"))
}

fn loopback(family: Family) -> SocketAddr {
    let ip: IpAddr = match family {
        Family::V4 => Ipv4Addr::LOCALHOST.into(),
        Family::V6 => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, 0)
}

/// Whether the system resolver takes a name from /etc/hosts and is content with
/// that. If another service comes first, only that one knows what it would say.
fn hosts_file_is_first(open: OpenFile) -> Result<bool, TryReserveError> {
    // musl and uClibc have no nsswitch.conf; they read /etc/hosts first.
    if !cfg!(target_env = "gnu") {
        return Ok(true);
    }
    open(NSSWITCH).map_or(Ok(true), files_are_first)
}

/// As above, by the text of nsswitch.conf(5). Without a line for hosts it is
/// "files dns".
fn files_are_first(nsswitch: impl Read) -> Result<bool, TryReserveError> {
    let mut lines = Lines::new(nsswitch);
    while let Some(line) = lines.advance()? {
        let line = before(b'#', line).trim_ascii_start();
        if let Some(services) = line.strip_prefix(b"hosts:") {
            return Ok(files_come_first(services));
        }
    }
    Ok(true)
}

/// Whether these services of hosts begin with "files" and end there for a name
/// that is found.
fn files_come_first(services: &[u8]) -> bool {
    let Some(rest) = services.trim_ascii_start().strip_prefix(b"files") else {
        return false;
    };
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'[';
    if !rest.first().is_none_or(is_end) {
        return false;
    }
    // "[SUCCESS=continue]", "[SUCCESS=merge]" and "[!NOTFOUND=continue]" go on
    // after a name was found; other actions are about names that were not.
    let actions = rest
        .trim_ascii_start()
        .strip_prefix(b"[")
        .unwrap_or_default();
    let actions = before(b']', actions);
    let mut words = actions.windows(b"success".len());
    !actions.contains(&b'!') && !words.any(|word| word.eq_ignore_ascii_case(b"success"))
}

/// The text up to the first such byte, all of it if there is none.
fn before(end: u8, text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == end).next().unwrap_or_default()
}

/// All addresses of `name` in a file in the format of hosts(5).
fn in_hosts(
    file: impl Read,
    name: &str,
    families: FamilySet,
) -> Result<Vec<SocketAddr>, TryReserveError> {
    let mut found = Vec::new();
    let mut lines = Lines::new(file);
    while let Some(line) = lines.advance()? {
        if let Some(ip) = in_line(line, name, families) {
            alloc::push(&mut found, SocketAddr::new(ip, 0))?;
        }
    }
    Ok(found)
}

/// The lines up to the end of the file or the first that can't be read. Those of
/// `BufReader` end the process when memory runs out.
pub(super) struct Lines<R> {
    file: R,
    /// What was read, from the line before on.
    text: Vec<u8>,
    start: usize,
}

impl<R: Read> Lines<R> {
    /// How much is read at once.
    const CHUNK: usize = 4096;

    #[inline(never)]
    pub(super) fn new(file: R) -> Self {
        Lines {
            file,
            text: Vec::new(),
            start: 0,
        }
    }

    pub(super) fn advance(&mut self) -> Result<Option<&[u8]>, TryReserveError> {
        let mut is_end = false;
        loop {
            let start = self.start;
            let rest = self.text.get(start..).unwrap_or_default();
            let newline = rest.iter().position(|byte| *byte == b'\n');
            if newline.is_some() || is_end {
                let end = newline.map_or(self.text.len(), |len| start + len);
                self.start = end + 1;
                return Ok(self.text.get(start..end).filter(|_| end > start || !is_end));
            }
            self.text.drain(..start.min(self.text.len()));
            self.start = 0;
            is_end = !self.read()?;
        }
    }

    /// Reads more; false at the end of the file.
    fn read(&mut self) -> Result<bool, TryReserveError> {
        let len = self.text.len();
        self.text.try_reserve(Self::CHUNK)?;
        self.text.resize(len + Self::CHUNK, 0);
        let read = loop {
            match self.file.read(&mut self.text[len..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read.unwrap_or(0),
            }
        };
        self.text.truncate(len + read);
        Ok(read > 0)
    }
}

/// The address of a line, if one of its names is `name`. A line whose address
/// can't be read is skipped.
fn in_line(line: &[u8], name: &str, families: FamilySet) -> Option<IpAddr> {
    let is_v4_alone = !families.contains(Family::V6);
    let mut fields = before(b'#', line)
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty());
    let ip = host::ip(fields.next()?)?;
    if !fields.any(|field| field.eq_ignore_ascii_case(name.as_bytes())) {
        return None;
    }
    let ip = match ip {
        // What glibc makes of an IPv6 line when it is asked for IPv4 alone.
        IpAddr::V6(Ipv6Addr::LOCALHOST) if is_v4_alone => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if is_v4_alone => v6.to_ipv4_mapped()?.into(),
        ip => ip,
    };
    let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
    families.contains(family).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io;

    use crate::system::tests::open;

    const HOSTS: &[u8] = b"\
# A comment: 192.0.2.9 commented
127.0.0.1\tlocalhost
::1 localhost ip6-localhost
192.0.2.1 one.example One alias-1 alias-2 # 192.0.2.8 alias-3
  192.0.2.2   several
2001:db8::2 several
192.0.2.3 several\r
300.0.2.1 bad-address
192.0.2.010 leading-zero
fe80::1%eth0 scoped
::ffff:192.0.2.4 mapped
192.0.2.5 \xff not-utf-8
192.0.2.6

192.0.2.7 no-newline";

    const BOTH: &[Family] = &[Family::V6, Family::V4];

    fn found(name: &str, families: &[Family]) -> Vec<String> {
        in_hosts(HOSTS, name, families.iter().copied().collect())
            .unwrap()
            .iter()
            .map(|addr| {
                assert_eq!(addr.port(), 0);
                addr.ip().to_string()
            })
            .collect()
    }

    #[test]
    fn names_and_aliases_are_found_in_any_case() {
        for name in ["one.example", "ONE.EXAMPLE", "one", "alias-1", "Alias-2"] {
            assert_eq!(found(name, BOTH), ["192.0.2.1"], "{name}");
        }
        assert_eq!(found("not-utf-8", BOTH), ["192.0.2.5"]);
        assert_eq!(found("no-newline", BOTH), ["192.0.2.7"]);
    }

    #[test]
    fn all_lines_of_a_name_count() {
        assert_eq!(
            found("several", BOTH),
            ["192.0.2.2", "2001:db8::2", "192.0.2.3"]
        );
        assert_eq!(found("several", &[Family::V4]), ["192.0.2.2", "192.0.2.3"]);
        assert_eq!(found("several", &[Family::V6]), ["2001:db8::2"]);
    }

    #[test]
    fn what_is_no_name_of_a_line_is_not_found() {
        for name in [
            "commented",
            "alias-3",
            "192.0.2.8",
            "bad-address",
            "leading-zero",
            "scoped",
            "one.example.",
            "example",
            "192.0.2.6",
            "",
        ] {
            assert_eq!(found(name, BOTH), [""; 0], "{name}");
        }
    }

    #[test]
    fn ipv6_lines_for_ipv4_alone_are_read_as_glibc_does() {
        assert_eq!(found("ip6-localhost", BOTH), ["::1"]);
        assert_eq!(found("ip6-localhost", &[Family::V4]), ["127.0.0.1"]);
        assert_eq!(found("mapped", BOTH), ["::ffff:192.0.2.4"]);
        assert_eq!(found("mapped", &[Family::V4]), ["192.0.2.4"]);
    }

    #[test]
    fn lines_of_any_length_are_read() {
        let lens = [0, 1, 4_094, 4_095, 4_096, 4_097, 20_000, 0, 3];
        let text = lens.map(|len| "x".repeat(len)).join("\n");
        for text in [text.clone(), text + "\n"] {
            let mut lines = Lines::new(text.as_bytes());
            for len in lens {
                assert_eq!(lines.advance().unwrap().map(<[u8]>::len), Some(len));
            }
            assert_eq!(lines.advance(), Ok(None));
            assert_eq!(lines.advance(), Ok(None));
        }
    }

    /// Interrupted before every read, which gives one byte.
    struct Slow<'a>(&'a [u8], bool);

    impl Read for Slow<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            self.0.read(&mut buf[..1])
        }
    }

    #[test]
    fn a_read_may_be_interrupted_or_short() {
        let families = BOTH.iter().copied().collect();
        let found = in_hosts(Slow(HOSTS, false), "no-newline", families).unwrap();
        assert_eq!(found, ["192.0.2.7:0".parse().unwrap()]);
        // A directory.
        let broken = in_hosts(File::open("/").unwrap(), "no-newline", families);
        assert_eq!(broken, Ok(Vec::new()));
    }

    #[test]
    fn nsswitch() {
        for (text, expected) in [
            ("", true),
            ("passwd: files\n", true),
            ("hosts: files dns\n", true),
            ("hosts:files", true),
            ("\t hosts:\tfiles\tdns", true),
            ("hosts: files[NOTFOUND=return] dns", true),
            ("hosts: files mdns4_minimal [NOTFOUND=return] dns", true),
            ("hosts: files [NOTFOUND=continue UNAVAIL=return] dns", true),
            ("hosts: dns files", false),
            ("hosts: mymachines resolve [!UNAVAIL=return] files", false),
            ("hosts: filesystem", false),
            ("hosts: files [SUCCESS=merge] dns", false),
            ("hosts: files [success=continue] dns", false),
            ("hosts: files [!NOTFOUND=continue] dns", false),
            ("#hosts: dns\nhosts: files\n", true),
            ("hosts: dns # files\nhosts: files", false),
            ("hosts:", false),
            ("netgroup: nis\nhosts: dns", false),
        ] {
            assert_eq!(files_are_first(text.as_bytes()), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn localhost_names_need_no_file() {
        for name in ["localhost", "LocalHost.", "a.localhost", "a.b.LOCALHOST."] {
            assert!(is_localhost(name), "{name}");
        }
        for name in ["localhost.example", "alocalhost", "localhost..", "", "."] {
            assert!(!is_localhost(name), "{name}");
        }
        let of = |name| lookup(name, BOTH.iter().copied().collect(), open).unwrap();
        let addrs = of("surely-in-no-file.localhost");
        assert_eq!(
            addrs,
            ["[::1]:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()]
        );
        assert_eq!(of("surely-in-no-file.test"), []);
    }
}
