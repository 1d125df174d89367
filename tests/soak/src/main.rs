//! `cargo soak`: keeps thousands of sockets busy and says whether all is well.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anjay_net_soak::{Plan, run};
use clap::Parser;

/// Thousands of sockets against echo peers behind a bad network
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
    /// Where to draw memory, descriptors and rates over time
    #[arg(long)]
    svg: Option<PathBuf>,
}

impl Arguments {
    fn plan(&self) -> Plan {
        let seconds = self.hours.map_or(self.seconds, |hours| hours * 3600.0);
        let duration = Duration::from_secs_f64(seconds);
        let plan = if duration <= Duration::from_secs(120) {
            Plan::short(duration)
        } else {
            Plan::new(duration)
        };
        Plan {
            udp_clients: self.udp.unwrap_or(plan.udp_clients),
            tcp_clients: self.tcp.unwrap_or(plan.tcp_clients),
            seed: self.seed,
            ..plan
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = run(&arguments.plan());
    print!("{report}");
    if let Some(path) = &arguments.svg {
        if let Err(error) = report.draw(path) {
            eprintln!("{}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
