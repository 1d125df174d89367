//! From the first socket to the verdict.

use std::process::abort;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use anjay_net_support::process::{Clock, descriptors};
use anjay_net_support::time::eventually;

use crate::checks::{Remains, Report, judge};
use crate::clients::{self, Orders};
use crate::names::{self, Uplink};
use crate::plan::Plan;
use crate::relay;
use crate::watch::{Activity, Progress, Sample};

/// Threads that block in receive.
const BLOCKING: usize = 4;

/// After this a call is stuck for good.
const STUCK: Duration = Duration::from_secs(30);

/// Between two looks at memory and descriptors.
const SAMPLING: Duration = Duration::from_secs(1);

/// Between two changes of the host's address.
const RENUMBERING: Duration = Duration::from_secs(5);

/// Does it all.
pub fn run(plan: &Plan) -> Report {
    let uplink = names::set_up();
    if let Err(error) = &uplink {
        eprintln!("no namespace of its own, so no names: {error}");
    }
    let mut uplink = uplink.ok();
    let plan = &Plan {
        names: uplink.is_some(),
        ..plan.clone()
    };
    clients::warm_up(plan);
    let before = descriptors();
    let (udp_relay, under_way) = relay::udp::start(plan.udp_clients + BLOCKING, plan.seed);
    let tcp_relay = relay::tcp::start(plan.tcp_clients, plan.seed);
    let progress = Progress::default();
    let orders = |ports| Orders {
        plan,
        ports,
        progress: &progress,
        activity: Activity::new(),
        under_way: under_way.clone(),
    };
    let (udp, tcp) = (orders(udp_relay.ports), orders(tcp_relay.ports));
    let blocking = [(); BLOCKING].map(|()| orders(udp_relay.ports));
    let all = [&udp, &tcp].into_iter().chain(&blocking);
    let activities: Vec<Activity> = all.map(|orders| orders.activity.clone()).collect();

    let stop = &AtomicBool::new(false);
    let ready = &[const { AtomicBool::new(false) }; 2];
    let (samples, duration, udp, tcp, blocking) = thread::scope(|scope| {
        let udp = scope.spawn(|| clients::udp::run(&udp, &ready[0], stop));
        let tcp = scope.spawn(|| clients::tcp::run(&tcp, &ready[1], stop));
        let blocking: Vec<_> = blocking
            .iter()
            .zip(plan.udp_clients..)
            .map(|(orders, index)| scope.spawn(move || clients::blocking::run(orders, index, stop)))
            .collect();
        let is_ready = || ready.iter().all(|ready| ready.load(SeqCst));
        eventually(Duration::MAX, is_ready);
        let start = Instant::now();
        let samples = watch(plan, &progress, &activities, uplink.as_mut());
        stop.store(true, SeqCst);
        let duration = start.elapsed();
        let outcome = "a thread of clients does not panic";
        let blocking = blocking.into_iter().map(|it| it.join().expect(outcome));
        let blocking = blocking.collect();
        let (udp, tcp) = (udp.join().expect(outcome), tcp.join().expect(outcome));
        (samples, duration, udp, tcp, blocking)
    });
    let (udp_relay, tcp_relay) = (udp_relay.stop(), tcp_relay.stop());
    judge(Remains {
        udp,
        blocking,
        tcp,
        udp_relay,
        tcp_relay,
        samples,
        duration,
        processor_time: Clock::Process.now(),
        descriptors: (before, descriptors()),
        address_changes: uplink.map(Uplink::end),
    })
}

/// Looks at everything from time to time, until the time is over; changes the host's
/// address meanwhile.
fn watch(
    plan: &Plan,
    progress: &Progress,
    activities: &[Activity],
    mut uplink: Option<&mut Uplink>,
) -> Vec<Sample> {
    let start = Instant::now();
    let mut samples = Vec::new();
    let mut next_address = RENUMBERING;
    while let Some(left) = plan.duration.checked_sub(start.elapsed()) {
        thread::sleep(SAMPLING.min(left));
        samples.push(Sample::take(start, progress));
        if start.elapsed() > next_address {
            next_address += RENUMBERING;
            if let Some(uplink) = &mut uplink {
                uplink.renumber();
            }
        }
        if activities.iter().any(|activity| activity.in_call() > STUCK) {
            // What is stuck can't be waited for; a core shows where it is.
            eprintln!("a call has been stuck for {STUCK:?}");
            abort();
        }
    }
    samples
}
