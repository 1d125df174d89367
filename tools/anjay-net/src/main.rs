//! The command line tool `anjay-net`. See `--help`.

#[cfg(test)]
mod pages;
mod ping;
mod probe;
mod progress;
mod report;
mod resolve;
mod route;
mod target;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use target::Target;

/// Reaches a CoAP server the way anjay-net's sockets do, and shows what the
/// sockets of a running client do
#[derive(Parser)]
#[command(name = "anjay-net", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Look at every address of a server: route, source address, MTU, CoAP ping
    /// over UDP and TCP, and which one a client would take
    Probe(Probe),
    /// List the addresses of a host in the order in which a client tries them
    Resolve {
        /// coap://HOST or coap://HOST:PORT, coap+tcp:// for TCP only
        target: Target,
        #[command(flatten)]
        patience: Patience,
    },
    /// Show the statistics of a running client, from the file that its
    /// anjay_net_stats_write() writes
    Watch {
        /// The file
        file: PathBuf,
        /// Seconds between two looks at the file
        #[arg(long, default_value = "1", value_parser = seconds)]
        interval: Duration,
        /// Stop after so many looks; without it, go on
        #[arg(long)]
        count: Option<u64>,
    },
}

#[derive(Args)]
struct Probe {
    /// coap://HOST or coap://HOST:PORT, coap+tcp:// for TCP only
    target: Target,
    /// How many pings over each transport to each address
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    count: u32,
    /// This transport only
    #[arg(long, value_enum)]
    only: Option<ping::Transport>,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Args)]
struct Patience {
    /// Seconds that a lookup, a TCP handshake and each answer may take
    #[arg(long, default_value = "2", value_parser = seconds)]
    timeout: Duration,
}

/// What `--json` says in the place of a result.
#[derive(Serialize)]
struct Failure<'a> {
    error: &'a str,
}

/// A number of seconds, such as 0.5.
fn seconds(text: &str) -> Result<Duration, String> {
    const LIMITS: std::ops::RangeInclusive<f64> = 0.01..=3600.0;
    match text.parse::<f64>() {
        Ok(seconds) if LIMITS.contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("a number of seconds, 0.01 to 3600".to_owned()),
    }
}

fn main() -> ExitCode {
    let Arguments { command, json } = Arguments::parse();
    let done = match command {
        Command::Probe(probe) => probe::run(&probe, json),
        Command::Resolve { target, patience } => resolve::run(&target, patience.timeout, json),
        Command::Watch {
            file,
            interval,
            count,
        } => watch::run(&file, interval, count, json),
    };
    match done {
        Ok(code) => code,
        Err(problem) => {
            if json {
                // Nothing is left to do where this can't be written either.
                let _ = report::print_json(&Failure { error: &problem });
            }
            anstream::eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}
