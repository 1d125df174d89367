//! From the first socket to the verdict.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crate::checks::{Remains, Report, judge};
use crate::clients::patient::Patient;
use crate::clients::tcp::TcpClients;
use crate::clients::udp::UdpClients;
use crate::clients::{self, Orders};
use crate::home;
use crate::meter::{Meter, Progress, Sample, open_descriptors, processor_time};
use crate::plan::Plan;
use crate::relay;
use crate::stopwatch::Activity;

/// Threads that block in receive.
const PATIENT: usize = 4;

/// After this a call is stuck for good.
const STUCK: Duration = Duration::from_secs(30);

/// Does it all.
pub fn run(plan: &Plan) -> Report {
    let names = home::move_in();
    if let Err(error) = &names {
        eprintln!("no namespace of its own, so no names: {error}");
    }
    let plan = &Plan {
        names: names.is_ok(),
        ..plan.clone()
    };
    clients::warm_up(plan);
    let before = open_descriptors();
    let (udp_relay, under_way) = relay::udp::start(plan.udp_clients + PATIENT, plan.seed);
    let tcp_relay = relay::tcp::start(plan.tcp_clients, plan.seed);
    let progress = Progress::default();
    let orders = |ports| Orders {
        plan,
        ports,
        progress: &progress,
        activity: Activity::new(),
    };
    let udp = UdpClients {
        orders: orders(udp_relay.ports),
        under_way: under_way.clone(),
    };
    let tcp = TcpClients(orders(tcp_relay.ports));
    let patient: Vec<Patient> = (0..PATIENT)
        .map(|thread| Patient {
            index: plan.udp_clients + thread,
            ports: udp_relay.ports,
            under_way: under_way.clone(),
            activity: Activity::new(),
        })
        .collect();
    let mut activities = vec![udp.orders.activity.clone(), tcp.0.activity.clone()];
    activities.extend(patient.iter().map(|patient| patient.activity.clone()));

    let stop = AtomicBool::new(false);
    let ready = [const { AtomicBool::new(false) }; 2];
    let (samples, duration, udp, tcp, patient) = thread::scope(|scope| {
        let udp = scope.spawn(|| udp.run(&ready[0], &stop));
        let tcp = scope.spawn(|| tcp.run(&ready[1], &stop));
        let patient: Vec<_> = patient
            .iter()
            .map(|patient| scope.spawn(|| patient.run(&stop)))
            .collect();
        while !ready.iter().all(|ready| ready.load(SeqCst)) {
            thread::sleep(Duration::from_millis(10));
        }
        let start = Instant::now();
        let samples = watch(plan, &progress, &activities);
        stop.store(true, SeqCst);
        let duration = start.elapsed();
        let patient = patient.into_iter().map(|thread| thread.join());
        let patient = patient.collect::<Result<Vec<_>, _>>();
        let outcome = "a thread of clients does not panic";
        (
            samples,
            duration,
            udp.join().expect(outcome),
            tcp.join().expect(outcome),
            patient.expect(outcome),
        )
    });
    let (udp_relay, tcp_relay) = (udp_relay.stop(), tcp_relay.stop());
    let remains = Remains {
        udp,
        patient,
        tcp,
        udp_relay,
        tcp_relay,
        samples,
        descriptors: (before, open_descriptors()),
    };
    Report {
        clients: (plan.udp_clients, plan.tcp_clients),
        duration,
        processor_time: processor_time(),
        checks: judge(&remains),
        samples: remains.samples,
    }
}

/// Looks at everything from time to time, until the time is over.
fn watch(plan: &Plan, progress: &Progress, activities: &[Activity]) -> Vec<Sample> {
    let end = Instant::now() + plan.duration;
    let mut meter = Meter::start(progress);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        thread::sleep(plan.sampling.min(left));
        meter.look();
        if activities.iter().any(|activity| activity.in_call() > STUCK) {
            // What is stuck can't be waited for; a core shows where it is.
            eprintln!("a call has been stuck for {STUCK:?}");
            process::abort();
        }
    }
    meter.samples()
}
