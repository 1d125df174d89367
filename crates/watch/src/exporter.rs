//! Metrics of the process as text, in Prometheus' exposition format.
//!
//! The format: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use core::fmt;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use anjay_net_socket::process_totals;
use anjay_net_socket::stats::{ConnectOutcome, LookupOutcome, TIME_LIMITS, Times, Totals};

use crate::require_no_special_file;

/// The metrics now.
///
/// # Errors
/// `ENOMEM`.
pub fn text() -> io::Result<String> {
    // Twice what all of it takes with the largest numbers, so that it does not
    // grow: that would end the program when memory runs out.
    const ROOM: usize = 16 * 1024;
    let mut text = String::new();
    text.try_reserve_exact(ROOM)
        .map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
    // A String takes everything.
    let _ = write_text(&mut text, &process_totals());
    Ok(text)
}

/// Writes these totals as text.
///
/// # Errors
/// Those of `out`.
pub fn write_text(out: &mut impl fmt::Write, totals: &Totals) -> fmt::Result {
    let traffic = &totals.traffic;
    gauge(out, "sockets", "Sockets that exist", totals.open_now)?;
    gauge(
        out,
        "sockets_at_most",
        "The largest number of sockets at one time",
        totals.open_at_most,
    )?;
    let counters = [
        ("sockets_created", "Sockets made", totals.opened),
        ("sent_bytes", "Payload sent", traffic.bytes_sent),
        ("received_bytes", "Payload received", traffic.bytes_received),
        (
            "sent_datagrams",
            "Datagrams sent, or pieces of a stream",
            traffic.sends,
        ),
        (
            "received_datagrams",
            "Datagrams received, or pieces of a stream",
            traffic.receives,
        ),
        (
            "truncated_datagrams",
            "Datagrams longer than the buffer they were received into",
            traffic.truncated,
        ),
        (
            "foreign_datagrams",
            "Datagrams of others than the connected peer, thrown away",
            traffic.foreign,
        ),
        (
            "refusals",
            "Calls that ended with ECONNREFUSED",
            traffic.refused,
        ),
        (
            "timeouts",
            "Waits that ended without what they waited for",
            traffic.timed_out,
        ),
        (
            "short_writes",
            "Stream writes of which the kernel took a part at first",
            traffic.short_writes,
        ),
        (
            "retries",
            "System calls repeated after a signal",
            traffic.retries,
        ),
    ];
    for (name, help, value) in counters {
        head(out, (name, "_total"), help, "counter")?;
        writeln!(out, "anjay_net_{name}_total {value}")?;
    }
    head(
        out,
        ("connects", "_total"),
        "Connects that ended",
        "counter",
    )?;
    for outcome in ConnectOutcome::ALL {
        by_outcome(out, "connects", outcome.name(), totals.connects.of(outcome))?;
    }
    histogram(
        out,
        "connect_duration_seconds",
        "How long connects waited for the network",
        &totals.connects.times,
    )?;
    head(
        out,
        ("lookups", "_total"),
        "Names looked up, once for each address family",
        "counter",
    )?;
    for outcome in LookupOutcome::ALL {
        by_outcome(out, "lookups", outcome.name(), totals.lookups.of(outcome))?;
    }
    histogram(
        out,
        "lookup_duration_seconds",
        "How long lookups took",
        &totals.lookups.times,
    )
}

fn head(
    out: &mut impl fmt::Write,
    (name, suffix): (&str, &str),
    help: &str,
    kind: &str,
) -> fmt::Result {
    writeln!(out, "# HELP anjay_net_{name}{suffix} {help}.")?;
    writeln!(out, "# TYPE anjay_net_{name}{suffix} {kind}")
}

fn gauge(out: &mut impl fmt::Write, name: &str, help: &str, value: usize) -> fmt::Result {
    head(out, (name, ""), help, "gauge")?;
    writeln!(out, "anjay_net_{name} {value}")
}

fn by_outcome(out: &mut impl fmt::Write, name: &str, outcome: &str, value: u64) -> fmt::Result {
    writeln!(
        out,
        "anjay_net_{name}_total{{outcome=\"{outcome}\"}} {value}"
    )
}

fn histogram(out: &mut impl fmt::Write, name: &str, help: &str, times: &Times) -> fmt::Result {
    head(out, (name, ""), help, "histogram")?;
    let mut so_far = 0;
    for (class, limit) in times.classes.iter().zip(TIME_LIMITS) {
        so_far += class;
        let limit = limit.as_secs_f64();
        writeln!(out, "anjay_net_{name}_bucket{{le=\"{limit}\"}} {so_far}")?;
    }
    let count = times.count();
    writeln!(out, "anjay_net_{name}_bucket{{le=\"+Inf\"}} {count}")?;
    writeln!(out, "anjay_net_{name}_sum {}", times.sum.as_secs_f64())?;
    writeln!(out, "anjay_net_{name}_count {count}")
}

/// Writes the metrics to a file that readers find complete at all times: it
/// is written beside and renamed.
///
/// # Errors
/// `EINVAL` for a pipe, a socket and a device; those of the file system. Then the
/// file is as it was.
pub fn write_file(path: &Path) -> io::Result<()> {
    require_no_special_file(path)?;
    let text = text()?;
    let (mut file, beside) = create_beside(path)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Nothing more can be done about it.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// A new file in the same directory, with a name that collectors of `*.prom`
/// leave alone.
fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = path
        .file_name()
        .ok_or(io::Error::from_raw_os_error(libc::EISDIR))?;
    // Names that are taken are those of a process that ended in between.
    const TRIES: usize = 100;
    let mut result = Err(io::Error::from_raw_os_error(libc::EEXIST));
    for _ in 0..TRIES {
        let number = NEXT.fetch_add(1, Relaxed);
        let suffix = format!(".{}.{number}.tmp", std::process::id());
        let beside = path.with_file_name(concat(&[OsStr::new("."), name, suffix.as_ref()]));
        result = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&beside)
            .map(|file| (file, beside));
        match &result {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            _ => break,
        }
    }
    result
}

fn concat(parts: &[&OsStr]) -> OsString {
    let mut whole = OsString::new();
    parts.iter().for_each(|part| whole.push(part));
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_room_enough_for_the_largest_numbers() {
        let text = text().unwrap();
        let digits = text.matches(" 0\n").count();
        // Each value may have 20 digits in the place of one.
        assert!(text.len() + 20 * digits < text.capacity(), "{}", text.len());
    }
}
