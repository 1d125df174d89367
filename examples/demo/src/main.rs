//! The life of an LwM2M client, played through the C v-table of
//! `libanjay_net.a`; `cargo demo -- --help` tells the options.
//!
//! | module | job |
//! |---|---|
//! | [`vtable_client`] | the exported C symbols and the 20 methods as safe Rust |
//! | [`client`], [`tcp_client`] | the LwM2M client on top of it |
//! | [`server`], [`lwm2m`], [`slow_reader`] | its counterparts on ordinary sockets |
//! | [`coap`], [`tcp_framing`] | messages, over datagrams and over a stream |
//! | [`target`], [`life`], [`steps`] | with whom, in which order, what is played |
//! | [`names`] | a host name with several addresses |
//! | [`outcome`], [`report`] | how a step ends, and how that is shown |
//! | [`archive`], [`watchdog`] | step 0, the overall deadline |
//! | [`network_lab`] | instead of a life: names and addresses on bad networks |

mod archive;
mod client;
mod coap;
mod life;
mod lwm2m;
mod names;
mod net_error;
mod network_lab;
mod outcome;
mod report;
mod server;
mod slow_reader;
mod steps;
mod target;
mod tcp_client;
mod tcp_framing;
mod vtable_client;
mod watchdog;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use life::Life;
use outcome::Traffic;
use report::{Format, Report};
use target::Target;
use watchdog::Watchdog;

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
    #[arg(long, value_name = "URI", value_parser = Target::parse)]
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
    let format = if arguments.json {
        Format::Json
    } else {
        Format::Text
    };
    if arguments.network_lab {
        return network_lab::play(format);
    }
    let target = arguments.server.unwrap_or(Target::Embedded);

    let mut life = match Life::start(target, arguments.endpoint, arguments.udp_listen_port) {
        Ok(life) => life,
        Err(problem) => {
            eprintln!("error: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let report = Report::start(format, life.server_text());
    {
        let _watchdog = Watchdog::start(&report, BUILD_LIMIT);
        report.begin(0, "archive");
        report.end(archive::build(), Traffic::default());
    }
    {
        let _watchdog = Watchdog::start(&report, Duration::from_secs(arguments.time_limit));
        life.play(&report);
    }
    if report.finish() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
