//! The metrics of the process in the Prometheus text exposition format,
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use core::fmt;
use std::io::Write as _;
use std::path::Path;

use anjay_net_socket::stats::{
    BUCKET_BOUNDS, ConnectOutcome, Event, HistogramSnapshot, LookupOutcome, Totals,
};

use anjay_net_socket::Result;

use crate::replace::Replacement;

/// These totals as text.
///
/// # Errors
/// `ENOMEM`.
pub fn text(totals: &Totals) -> Result<String> {
    // Twice what the largest numbers take, so that the text never grows: a
    // String that can't grow ends the process.
    const ROOM: usize = 16 * 1024;
    let mut text = String::new();
    text.try_reserve_exact(ROOM)?;
    // Writing to a String never fails.
    let _ = write_text(&mut text, totals);
    Ok(text)
}

/// Writes these totals as text.
///
/// # Errors
/// Those of `out`.
pub fn write_text(out: &mut impl fmt::Write, totals: &Totals) -> fmt::Result {
    let traffic = &totals.traffic;
    gauge(out, "sockets", "Sockets that exist now", totals.sockets)?;
    gauge(
        out,
        "sockets_max",
        "Largest number of sockets at one time",
        totals.sockets_max,
    )?;
    let counters = [
        (
            "sockets_created_total",
            "Sockets created",
            totals.sockets_created,
        ),
        ("sent_bytes_total", "Payload sent", traffic.bytes_sent),
        (
            "received_bytes_total",
            "Payload received",
            traffic.bytes_received,
        ),
        (
            "sent_ip_bytes_total",
            "IP packets sent, with headers and retransmissions",
            traffic.ip_bytes_sent,
        ),
        (
            "received_ip_bytes_total",
            "IP packets received, with headers",
            traffic.ip_bytes_received,
        ),
        (
            "sent_datagrams_total",
            "Datagrams sent, or pieces of a stream",
            traffic.sends,
        ),
        (
            "received_datagrams_total",
            "Datagrams received, or pieces of a stream",
            traffic.receives,
        ),
        (
            "truncated_datagrams_total",
            "Received datagrams longer than the buffer",
            traffic.count(Event::Truncated),
        ),
        (
            "icmp_errors_total",
            "ICMP errors about earlier datagrams",
            traffic.count(Event::IcmpError),
        ),
        (
            "reconnects_total",
            "Datagram sockets connected again after a change of the network",
            traffic.count(Event::Reconnected),
        ),
        (
            "connection_refused_total",
            "Calls that returned ECONNREFUSED",
            traffic.count(Event::Refused),
        ),
        (
            "timeouts_total",
            "Waits that ended at their deadline",
            traffic.count(Event::TimedOut),
        ),
        (
            "short_writes_total",
            "Stream writes of which the kernel took only a part at first",
            traffic.count(Event::ShortWrite),
        ),
        (
            "syscall_retries_total",
            "System calls repeated after EINTR, or EAGAIN despite readiness",
            traffic.count(Event::SyscallRetried),
        ),
    ];
    for (name, help, value) in counters {
        head(out, name, help, "counter")?;
        writeln!(out, "anjay_net_{name} {value}")?;
    }
    let dropped = [
        ("unexpected_source", Event::UnexpectedSource),
        ("empty", Event::DroppedEmpty),
        ("queued", Event::DroppedQueued),
        ("local", Event::DroppedLocal),
        ("outage", Event::DroppedOutage),
    ];
    labelled(
        out,
        "dropped_datagrams_total",
        "Datagrams lost on this host, by reason",
        "reason",
        dropped.map(|(reason, event)| (reason, traffic.count(event))),
    )?;
    labelled(
        out,
        "connects_total",
        "Connects that ended, by outcome",
        "outcome",
        ConnectOutcome::ALL.map(|(outcome, name)| (name, totals.connects.count(outcome))),
    )?;
    histogram(
        out,
        "connect_duration_seconds",
        "Duration of connects that waited for the network",
        &totals.connects.duration,
    )?;
    labelled(
        out,
        "lookups_total",
        "Lookups of names that ended, one for each address family, by outcome",
        "outcome",
        LookupOutcome::ALL.map(|outcome| (outcome.name(), totals.lookups.count(outcome))),
    )?;
    histogram(
        out,
        "lookup_duration_seconds",
        "Duration of lookups",
        &totals.lookups.duration,
    )
}

fn head(out: &mut impl fmt::Write, name: &str, help: &str, kind: &str) -> fmt::Result {
    writeln!(out, "# HELP anjay_net_{name} {help}.")?;
    writeln!(out, "# TYPE anjay_net_{name} {kind}")
}

fn gauge(out: &mut impl fmt::Write, name: &str, help: &str, value: usize) -> fmt::Result {
    head(out, name, help, "gauge")?;
    writeln!(out, "anjay_net_{name} {value}")
}

/// A counter with one value for each value of a label.
fn labelled<const N: usize>(
    out: &mut impl fmt::Write,
    name: &str,
    help: &str,
    label: &str,
    values: [(&str, u64); N],
) -> fmt::Result {
    head(out, name, help, "counter")?;
    for (text, value) in values {
        writeln!(out, "anjay_net_{name}{{{label}=\"{text}\"}} {value}")?;
    }
    Ok(())
}

fn histogram(
    out: &mut impl fmt::Write,
    name: &str,
    help: &str,
    values: &HistogramSnapshot,
) -> fmt::Result {
    head(out, name, help, "histogram")?;
    let mut cumulative = 0;
    for (bucket, bound) in values.buckets.iter().zip(BUCKET_BOUNDS) {
        cumulative += bucket;
        let bound = bound.as_secs_f64();
        writeln!(
            out,
            "anjay_net_{name}_bucket{{le=\"{bound}\"}} {cumulative}"
        )?;
    }
    let count = values.count();
    writeln!(out, "anjay_net_{name}_bucket{{le=\"+Inf\"}} {count}")?;
    writeln!(out, "anjay_net_{name}_sum {}", values.sum.as_secs_f64())?;
    writeln!(out, "anjay_net_{name}_count {count}")
}

/// Replaces a file by one with these totals. Readers always find a complete file.
///
/// # Errors
/// `ELOOP` for a symbolic link, `EISDIR` for a directory, `EINVAL` for a pipe, a
/// socket or a device, `EPERM` for a file of another user; `ENOMEM`; those of
/// the file system. The file is unchanged then.
pub fn write_file(path: &Path, totals: &Totals) -> Result<()> {
    // For collectors that run as another user, as far as the umask permits.
    const MODE: u32 = 0o666;
    let mut replacement = Replacement::create(path, MODE)?;
    replacement.file.write_all(text(totals)?.as_bytes())?;
    replacement.commit().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_room_enough_for_the_largest_numbers() {
        let text = text(&Totals::default()).unwrap();
        let digits = text.matches(" 0\n").count();
        // Each value may have 20 digits in the place of one.
        assert!(text.len() + 20 * digits < text.capacity(), "{}", text.len());
    }
}
