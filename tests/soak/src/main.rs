//! `cargo soak`: keeps thousands of sockets busy and says whether all is well.

use std::process::ExitCode;
use std::time::Duration;

use anjay_net_soak::{Plan, run};
use clap::Parser;

/// Thousands of sockets against echo servers behind a bad network
#[derive(Parser)]
struct Arguments {
    /// How long, in seconds
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// How long, in hours, instead
    #[arg(long, conflicts_with = "seconds")]
    hours: Option<f64>,
    /// UDP sockets
    #[arg(long)]
    udp: Option<usize>,
    /// TCP sockets
    #[arg(long)]
    tcp: Option<usize>,
    /// Of everything that is left to chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seconds = arguments.hours.map_or(arguments.seconds, |it| it * 3600.0);
    let plan = Plan::new(Duration::from_secs_f64(seconds));
    let report = run(&Plan {
        udp_clients: arguments.udp.unwrap_or(plan.udp_clients),
        tcp_clients: arguments.tcp.unwrap_or(plan.tcp_clients),
        seed: arguments.seed,
        ..plan
    });
    print!("{report}");
    ExitCode::from(u8::from(!report.is_good()))
}
