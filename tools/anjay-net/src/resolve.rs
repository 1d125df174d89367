//! `anjay-net resolve`: names to addresses, in order.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anjay_net_resolve::{Families, Policy, V4Form};
use anjay_net_socket::{Kind, Resolution, Settings};
use serde::Serialize;

use crate::progress::Progress;
use crate::report::{millis, print_json};
use crate::target::Target;

/// The addresses of a target.
#[derive(Serialize)]
pub struct Resolved {
    pub host: String,
    pub port: u16,
    /// How long the lookup took.
    pub lookup_ms: f64,
    /// In the order in which they are tried.
    pub addresses: Vec<SocketAddr>,
}

/// Asks as a socket would.
pub fn resolve(target: &Target) -> io::Result<Resolved> {
    let _progress = Progress::show(&format!("looking up {}", target.host));
    let since = Instant::now();
    let port = target.port.to_string();
    let addresses = anjay_net_socket::resolve(&Resolution {
        kind: Kind::Udp,
        host: target.host.as_bytes(),
        port: port.as_bytes(),
        policy: Policy {
            families: Families::default(),
            v4: V4Form::Native,
        },
        preferred: None,
        passive: false,
    })?;
    Ok(Resolved {
        host: target.host.clone(),
        port: target.port,
        lookup_ms: millis(since.elapsed()),
        addresses,
    })
}

/// Makes all waits of the process as long as that.
pub fn set_timeout(timeout: Duration) -> Result<(), String> {
    let mut settings = Settings::current();
    settings.resolve_timeout = timeout;
    settings.connect_timeout = timeout;
    settings.install().map_err(|error| error.to_string())
}

/// Why a lookup failed, for people.
pub fn unresolved(target: &Target, error: &io::Error) -> String {
    // The library's word for it, which says little to people.
    if error.kind() == io::ErrorKind::AddrNotAvailable {
        return format!(
            "{} can't be resolved: no such name, or the name server failed",
            target.host
        );
    }
    format!("{} can't be resolved: {error}", target.host)
}

pub fn run(target: &Target, timeout: Duration, json: bool) -> Result<ExitCode, String> {
    set_timeout(timeout)?;
    let resolved = resolve(target).map_err(|error| unresolved(target, &error))?;
    if json {
        print_json(&resolved)?;
    } else {
        for addr in &resolved.addresses {
            anstream::println!("{addr}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
