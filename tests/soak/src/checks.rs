//! The verdict.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::clients::{Counted, Outcome, is_rude};
use crate::relay::{tcp, udp};
use crate::watch::Sample;

/// No call may take longer. The limits inside the library are 10 s and 30 s, and
/// what waits here waits 300 ms; the rest is for a machine with much to do.
const STUCK: Duration = Duration::from_secs(5);

/// Memory may grow by so much from the third quarter of the run to the last:
/// what allocators and the relay's queues breathe.
const GROWTH: f64 = 0.02;

/// So many lines show how the run went.
const LINES: usize = 10;

/// One thing that must be so.
#[derive(Debug)]
struct Check {
    name: &'static str,
    holds: bool,
    figures: String,
}

/// What came out of a run.
#[derive(Debug)]
pub struct Report {
    /// Sockets at a time, UDP and TCP.
    clients: (usize, usize),
    /// From the first datagram to the last.
    duration: Duration,
    /// User and system time of the process, the relay's included.
    processor_time: Duration,
    checks: Vec<Check>,
    samples: Vec<Sample>,
}

impl Report {
    /// Whether all is well.
    pub fn is_good(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (udp, tcp) = self.clients;
        let (wall, processor) = (self.duration, self.processor_time);
        writeln!(
            f,
            "{udp} UDP clients, {tcp} TCP clients, {wall:.0?}, {processor:.0?} of processor time"
        )?;
        for check in &self.checks {
            let verdict = if check.holds { "ok  " } else { "FAIL" };
            writeln!(f, "{verdict} {}: {}", check.name, check.figures)?;
        }
        writeln!(
            f,
            "\n{:>8} {:>10} {:>12} {:>13} {:>13} {:>13}",
            "time", "memory", "descriptors", "datagrams/s", "messages/s", "reconnects/s"
        )?;
        let step = (self.samples.len() / LINES).max(1);
        let every = self.samples.iter().step_by(step);
        for (before, now) in every.clone().zip(every.skip(1)) {
            let time = (now.at - before.at).as_secs_f64();
            let rate = |index: usize| (now.counts[index] - before.counts[index]) as f64 / time;
            writeln!(
                f,
                "{:>7.0}s {:>7.1} MB {:>12} {:>13.0} {:>13.0} {:>13.0}",
                now.at.as_secs_f64(),
                now.memory,
                now.descriptors,
                rate(0),
                rate(1),
                rate(2)
            )?;
        }
        Ok(())
    }
}

/// What is left when all have come to their ends.
pub(crate) struct Remains {
    pub(crate) udp: Outcome,
    pub(crate) blocking: Vec<Outcome>,
    pub(crate) tcp: Outcome,
    pub(crate) udp_relay: udp::Totals,
    pub(crate) tcp_relay: tcp::Totals,
    /// Of the host, where it is let do so.
    pub(crate) address_changes: Option<u32>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) duration: Duration,
    pub(crate) processor_time: Duration,
    /// Before and after.
    pub(crate) descriptors: (usize, usize),
}

pub(crate) fn judge(remains: Remains) -> Report {
    let (before, after) = remains.descriptors;
    let left = format!("{before} before, {after} after");
    let checks = vec![
        udp_sent(&remains),
        udp_received(&remains),
        weather(&remains.udp_relay),
        renumbering(&remains),
        tcp_bytes(&remains),
        nothing_wrong(&remains),
        nothing_stuck(&remains),
        check("no descriptor is left", before == after, left),
        flat("memory is flat", &remains.samples, |it| it.memory, "MB"),
        flat(
            "descriptors are flat",
            &remains.samples,
            |it| it.descriptors,
            "",
        ),
    ];
    Report {
        clients: (remains.udp.clients.len(), remains.tcp.clients.len()),
        duration: remains.duration,
        processor_time: remains.processor_time,
        checks,
        samples: remains.samples,
    }
}

fn check(name: &'static str, holds: bool, figures: String) -> Check {
    Check {
        name,
        holds,
        figures,
    }
}

/// Each UDP client with what the relay saw of it.
fn udp_clients(remains: &Remains) -> impl Iterator<Item = (Counted, udp::Tally)> + '_ {
    let blocking = remains.blocking.iter().flat_map(|outcome| &outcome.clients);
    let counted = remains.udp.clients.iter().chain(blocking).copied();
    counted.zip(remains.udp_relay.clients.iter().copied())
}

/// What the sockets say they sent has arrived.
fn udp_sent(remains: &Remains) -> Check {
    let (mut sent_bytes, mut arrived_bytes, mut arrived, mut differing) = (0, 0, 0, 0);
    for (counted, tally) in udp_clients(remains) {
        sent_bytes += counted.sent;
        arrived_bytes += tally.from_client;
        arrived += tally.datagrams;
        differing += u64::from(counted.sent != tally.from_client);
    }
    let sent: u64 = remains.udp.sent + remains.blocking.iter().map(|of| of.sent).sum::<u64>();
    let overflows = remains.udp_relay.overflows;
    check(
        "UDP bytes that were sent",
        sent == arrived + overflows && (differing == 0 || overflows > 0),
        format!(
            "{sent_bytes} counted by the sockets, {arrived_bytes} arrived at the relay ({sent} \
             datagrams); {differing} clients differ, {overflows} overflows"
        ),
    )
}

/// What was sent to the sockets, they say they received.
fn udp_received(remains: &Remains) -> Check {
    let (mut delivered, mut received, mut lost) = (0, 0, 0);
    let (mut differing, mut last) = (0, String::new());
    for (index, (counted, tally)) in udp_clients(remains).enumerate() {
        delivered += tally.to_client;
        received += counted.received;
        let rude = is_rude(index) && index < remains.udp.clients.len();
        match tally.to_client.checked_sub(counted.received) {
            Some(missing) if rude => lost += missing,
            Some(0) => {}
            _ => {
                differing += 1;
                last = format!(", such as {index}: {tally:?}, {counted:?}");
            }
        }
    }
    check(
        "UDP bytes that came back",
        differing == 0,
        format!(
            "{delivered} sent by the relay, {received} counted by the sockets, {lost} were \
             under way to a socket that closed without waiting ({} times); {differing} clients \
             differ{last}",
            remains.udp.rude
        ),
    )
}

/// The relay did what makes it a bad network.
fn weather(totals: &udp::Totals) -> Check {
    let share = |part: u64| 100.0 * part as f64 / totals.passed.max(1) as f64;
    let is_bad = totals.lost > 0 && totals.doubled > 0 && totals.overtaking > 0 && totals.empty > 0;
    check(
        "relay",
        is_bad && totals.failures == 0,
        format!(
            "of {} datagrams {:.1} % lost, {:.1} % doubled, {:.1} % overtook others; {} empty ones \
             and {} ICMP errors beside them",
            totals.passed,
            share(totals.lost),
            share(totals.doubled),
            share(totals.overtaking),
            totals.empty,
            totals.icmp_errors,
        ),
    )
}

/// The clients where the host's address changes went on from the new one.
fn renumbering(remains: &Remains) -> Check {
    let totals = &remains.udp_relay;
    let holds = match remains.address_changes {
        Some(changes) => changes > 0 && totals.moved > 0,
        None => totals.moved == 0,
    };
    check(
        "address changes",
        holds,
        format!(
            "{} of the host; {} times a client went on from the new one; {} datagrams came for \
             the former one",
            remains.address_changes.unwrap_or(0),
            totals.moved,
            totals.to_former_address
        ),
    )
}

fn tcp_bytes(remains: &Remains) -> Check {
    let totals = &remains.tcp_relay;
    let (mut sent, mut received, mut differing, mut lost) = (0, 0, 0, 0);
    let clients = remains.tcp.clients.iter().zip(&totals.clients);
    for (index, (counted, tally)) in clients.enumerate() {
        sent += counted.sent;
        received += counted.received;
        if is_rude(index) {
            // A reset overtakes what is under way (RFC 9293 section 3.10.7).
            let there = counted.sent.checked_sub(tally.from_client);
            let back = tally.to_client.checked_sub(counted.received);
            match there.zip(back) {
                Some((there, back)) => lost += there + back,
                None => differing += 1,
            }
        } else {
            let both = (counted.sent, counted.received);
            differing += u64::from(both != (tally.from_client, tally.to_client));
        }
    }
    check(
        "TCP bytes",
        differing == 0 && totals.nameless == 0,
        format!(
            "{sent} sent and {received} received by the sockets, {lost} lost to closes in the \
             middle; {differing} clients differ; {} connections, {} ended in order, {} reset",
            totals.accepted, totals.complete, totals.reset
        ),
    )
}

fn outcomes(remains: &Remains) -> impl Iterator<Item = &Outcome> {
    let threads = [&remains.udp, &remains.tcp];
    threads.into_iter().chain(&remains.blocking)
}

fn nothing_wrong(remains: &Remains) -> Check {
    let mut wrong: BTreeMap<&str, u64> = BTreeMap::new();
    for (what, count) in outcomes(remains).flat_map(|outcome| &outcome.wrong) {
        *wrong.entry(what).or_default() += count;
    }
    let sum = |figure: fn(&Outcome) -> u64| outcomes(remains).map(figure).sum::<u64>();
    let reconnects = sum(|it| it.reconnects);
    let mut figures = format!(
        "{} sends, {} answers, {reconnects} reconnects, {} binds repeated",
        sum(|it| it.sent),
        sum(|it| it.returned),
        sum(|it| it.ports_taken)
    );
    for (what, count) in &wrong {
        figures += &format!("; {count} x {what}");
    }
    let holds = wrong.is_empty() && reconnects > 0;
    check("no call failed", holds, figures)
}

fn nothing_stuck(remains: &Remains) -> Check {
    let mut longest: BTreeMap<&str, Duration> = BTreeMap::new();
    for (&method, &time) in outcomes(remains).flat_map(|outcome| &outcome.longest) {
        let longest = longest.entry(method).or_default();
        *longest = time.max(*longest);
    }
    let texts = longest
        .iter()
        .map(|(method, time)| format!("{method} {time:.1?}"));
    check(
        "no call was stuck; the longest of each",
        longest.values().all(|&time| time < STUCK),
        texts.collect::<Vec<_>>().join(", "),
    )
}

/// That a figure does not grow from the third quarter to the last.
fn flat(
    name: &'static str,
    samples: &[Sample],
    figure: impl Fn(&Sample) -> f64,
    unit: &str,
) -> Check {
    let mean =
        |samples: &[Sample]| samples.iter().map(&figure).sum::<f64>() / samples.len().max(1) as f64;
    let [half, last] = [2, 3].map(|quarter| samples.len() * quarter / 4);
    let (third, fourth) = (mean(&samples[half..last]), mean(&samples[last..]));
    let growth = fourth / third - 1.0;
    check(
        name,
        growth < GROWTH && half > 0,
        format!(
            "{third:.1} {unit} in the third quarter, {fourth:.1} {unit} in the last: {:+.2} %",
            growth * 100.0
        ),
    )
}
