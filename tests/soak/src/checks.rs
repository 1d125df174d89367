//! The verdict.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::clients::{Counted, Outcome, is_rude};
use crate::meter::Sample;
use crate::relay::{tcp, udp};

/// No call may take longer. The limits inside the library are 10 s and 30 s, and
/// what waits here waits 300 ms; the rest is for a machine with much to do.
const STUCK: Duration = Duration::from_secs(5);

/// Memory may grow by so much from the third quarter of the run to the last:
/// what allocators and the relay's queues breathe.
const GROWTH: f64 = 0.02;

/// One thing that must be so.
#[derive(Clone, Debug)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// Whether it is.
    pub holds: bool,
    /// The figures.
    pub figures: String,
}

/// All of them.
#[derive(Debug)]
pub struct Report {
    /// Sockets at a time, UDP and TCP.
    pub clients: (usize, usize),
    /// From the first datagram to the last.
    pub duration: Duration,
    /// User and system time of the process, echo peers and relay included.
    pub processor_time: Duration,
    /// In the order of this list.
    pub checks: Vec<Check>,
    pub(crate) samples: Vec<Sample>,
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
        Ok(())
    }
}

/// What is left when all have come to their ends.
pub(crate) struct Remains {
    pub(crate) udp: Outcome,
    pub(crate) patient: Vec<Outcome>,
    pub(crate) tcp: Outcome,
    pub(crate) udp_relay: udp::Totals,
    pub(crate) tcp_relay: tcp::Totals,
    pub(crate) samples: Vec<Sample>,
    /// Before and after.
    pub(crate) descriptors: (usize, usize),
}

pub(crate) fn judge(remains: &Remains) -> Vec<Check> {
    let samples = &remains.samples;
    vec![
        udp_sent(remains),
        udp_received(remains),
        udp_relay(&remains.udp_relay),
        tcp_bytes(remains),
        nothing_wrong(remains),
        nothing_stuck(remains),
        descriptors(remains),
        flat(
            "memory is flat",
            samples,
            |sample| sample.memory as f64 / 1e6,
            "MB",
        ),
        flat(
            "descriptors are flat",
            samples,
            |sample| sample.descriptors as f64,
            "",
        ),
    ]
}

fn check(name: &'static str, holds: bool, figures: String) -> Check {
    Check {
        name,
        holds,
        figures,
    }
}

/// Each UDP client with what the relay saw of it.
fn udp_clients(remains: &Remains) -> impl Iterator<Item = (usize, Counted, udp::Tally)> + '_ {
    let patient = remains.patient.iter().flat_map(|outcome| &outcome.clients);
    let counted = remains.udp.clients.iter().chain(patient);
    counted
        .zip(&remains.udp_relay.clients)
        .enumerate()
        .map(|(index, (&counted, &tally))| (index, counted, tally))
}

/// What the sockets say they sent has arrived.
fn udp_sent(remains: &Remains) -> Check {
    let mut totals = (0, 0);
    let mut differing = 0;
    for (_, counted, tally) in udp_clients(remains) {
        totals.0 += counted.sent;
        totals.1 += tally.from_client.bytes;
        differing += u64::from(counted.sent != tally.from_client.bytes);
    }
    let sent: u64 = remains.udp.sent + remains.patient.iter().map(|of| of.sent).sum::<u64>();
    let overflows = remains.udp_relay.overflows;
    let arrived: u64 = udp_clients(remains)
        .map(|(.., tally)| tally.from_client.datagrams)
        .sum();
    check(
        "UDP bytes that were sent",
        sent == arrived + overflows && (differing == 0 || overflows > 0),
        format!(
            "{} counted by the sockets, {} arrived at the relay ({sent} datagrams); \
             {differing} clients differ, {overflows} overflows",
            totals.0, totals.1
        ),
    )
}

/// What was sent to the sockets, they say they received.
fn udp_received(remains: &Remains) -> Check {
    let (mut delivered, mut received, mut differing, mut lost) = (0, 0, 0, 0);
    for (index, counted, tally) in udp_clients(remains) {
        delivered += tally.to_client.bytes;
        received += counted.received;
        let rude = is_rude(index) && index < remains.udp.clients.len();
        match tally.to_client.bytes.checked_sub(counted.received) {
            Some(missing) if rude => lost += missing,
            Some(0) => {}
            _ => differing += 1,
        }
    }
    check(
        "UDP bytes that came back",
        differing == 0,
        format!(
            "{delivered} sent by the relay, {received} counted by the sockets, {lost} were \
             under way to a socket that closed without waiting ({} times); {differing} clients \
             differ",
            remains.udp.rude
        ),
    )
}

/// The relay and the echo peer agree.
fn udp_relay(totals: &udp::Totals) -> Check {
    let from_clients: u64 = totals.clients.iter().map(|of| of.from_client.bytes).sum();
    let to_clients: u64 = totals.clients.iter().map(|of| of.to_client.bytes).sum();
    let into = from_clients + totals.from_echo.bytes + totals.doubled.bytes;
    let out = to_clients + totals.to_echo.bytes + totals.lost.bytes;
    let all = totals.from_echo.datagrams
        + totals
            .clients
            .iter()
            .map(|of| of.from_client.datagrams)
            .sum::<u64>();
    let share = |part: u64| 100.0 * part as f64 / all.max(1) as f64;
    let agree = into == out
        && totals.to_echo == totals.echo_received
        && totals.echo_sent == totals.from_echo
        && totals.failures == 0;
    check(
        "relay and echo peer",
        agree && totals.overtaking > 0,
        format!(
            "{into} bytes in, {out} out; of {all} datagrams {:.1} % lost, {:.1} % doubled, \
             {:.1} % overtook others; the echo peer received {} bytes of {}",
            share(totals.lost.datagrams),
            share(totals.doubled.datagrams),
            share(totals.overtaking),
            totals.echo_received.bytes,
            totals.to_echo.bytes,
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
        differing == 0 && totals.nameless == 0 && totals.echo_sent <= totals.echo_received,
        format!(
            "{sent} sent and {received} received by the sockets, {lost} lost to closes in the \
             middle; {differing} clients differ; {} connections, {} ended in order, {} reset",
            totals.accepted, totals.complete, totals.reset
        ),
    )
}

fn outcomes(remains: &Remains) -> impl Iterator<Item = &Outcome> {
    [&remains.udp, &remains.tcp]
        .into_iter()
        .chain(&remains.patient)
}

fn nothing_wrong(remains: &Remains) -> Check {
    let mut wrong: BTreeMap<&str, u64> = BTreeMap::new();
    for outcome in outcomes(remains) {
        for (what, count) in &outcome.wrong {
            *wrong.entry(what).or_default() += count;
        }
    }
    let calls: u64 = outcomes(remains).map(|of| of.sent).sum();
    let returned: u64 = outcomes(remains).map(|of| of.returned).sum();
    let reconnects: u64 = outcomes(remains).map(|of| of.reconnects).sum();
    let ports_taken: u64 = outcomes(remains).map(|of| of.ports_taken).sum();
    let mut figures = format!(
        "{calls} sends, {returned} answers, {reconnects} reconnects, {ports_taken} binds repeated"
    );
    for (what, count) in &wrong {
        figures += &format!("; {count} x {what}");
    }
    check(
        "no call failed",
        wrong.is_empty() && reconnects > 0,
        figures,
    )
}

fn nothing_stuck(remains: &Remains) -> Check {
    let mut longest: BTreeMap<&str, Duration> = BTreeMap::new();
    for outcome in outcomes(remains) {
        for (&method, &time) in &outcome.longest {
            let longest = longest.entry(method).or_default();
            *longest = time.max(*longest);
        }
    }
    let texts: Vec<String> = longest
        .iter()
        .map(|(method, time)| format!("{method} {time:.1?}"))
        .collect();
    check(
        "no call was stuck; the longest of each",
        longest.values().all(|&time| time < STUCK),
        texts.join(", "),
    )
}

fn descriptors(remains: &Remains) -> Check {
    let (before, after) = remains.descriptors;
    check(
        "no descriptor is left",
        before == after,
        format!("{before} before, {after} after"),
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
