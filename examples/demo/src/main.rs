//! The life of an LwM2M client, played through the C v-table of
//! `libanjay_net.a`; `cargo demo -- --help` tells the options.
//!
//! | module | job |
//! |---|---|
//! | [`life`], [`steps`] | what is played, in which order |
//! | [`client`] | the LwM2M client on top of the v-table |
//! | [`server`], [`slow_reader`] | its counterparts on ordinary sockets |
//! | [`message`] | CoAP over datagrams and over a stream |
//! | [`target`], [`names`] | the server of the user's choice; a name of several addresses |
//! | [`report`] | how a step ends, and how that is shown |
//! | [`network_lab`] | instead of a life: names and addresses on bad networks |

mod client;
mod life;
mod message;
mod names;
mod network_lab;
mod report;
mod server;
mod slow_reader;
mod steps;
mod target;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;

use report::{Report, Step};
use target::Target;

/// A first build of the archive on a small machine takes minutes.
const BUILD_LIMIT: Duration = Duration::from_secs(1800);

/// Plays the life of an LwM2M client through the C v-table of libanjay_net.a.
///
/// Builds the archive, starts a small LwM2M server and shows each step as it
/// happens. The exit status is 0 only if no step failed.
#[derive(Parser)]
#[command(name = "cargo demo", version)]
struct Arguments {
    /// Use this server instead of the embedded one: coap://HOST or
    /// coap+tcp://HOST, also with :PORT. Steps that need control of the server
    /// are skipped.
    #[arg(long, value_name = "URI")]
    server: Option<Target>,

    /// The client's UDP port; without it a free one.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    udp_listen_port: Option<u16>,

    /// The endpoint name to register.
    #[arg(long, value_name = "NAME", default_value = "anjay-net-demo")]
    endpoint: String,

    /// Give up when the life takes longer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    time_limit: u64,

    /// Play the network lab instead: bad networks in namespaces of their own,
    /// and what connecting costs there. Needs root, iproute2 and dnsmasq.
    #[arg(long, conflicts_with_all = ["server", "udp_listen_port", "endpoint", "time_limit"])]
    network_lab: bool,

    /// Print one JSON document instead of lines and a table.
    #[arg(long)]
    json: bool,
}

/// The command line without the `--` of `cargo demo -- --json`: the alias has
/// one of its own, so that `cargo demo --json` works as well.
fn command_line() -> impl Iterator<Item = OsString> {
    std::env::args_os()
        .enumerate()
        .filter(|(index, argument)| *index != 1 || argument != "--")
        .map(|(_, argument)| argument)
}

fn main() -> ExitCode {
    if let Some(end) = anjay_net_lab::child_main() {
        return end;
    }
    let arguments = Arguments::parse_from(command_line());
    if arguments.network_lab {
        return network_lab::play(arguments.json);
    }
    let (tell, told) = channel();
    let time_limit = Duration::from_secs(arguments.time_limit);
    let mut report = Report::start(arguments.json);
    // On a thread of its own: whatever hangs, the demo ends and says where.
    thread::spawn(move || life::play(&arguments, &tell));
    let mut deadline = Instant::now() + BUILD_LIMIT;
    let mut last = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match told.recv_timeout(left) {
            Ok(step) => {
                last = step.number;
                if last == 0 {
                    deadline = Instant::now() + time_limit;
                }
                report.add(step);
            }
            Err(RecvTimeoutError::Timeout) => {
                report.add(Step::hung(last + 1, time_limit));
                break;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    report.finish()
}
