//! Whether an operation costs the same with many sockets open and on two
//! threads.
//!
//! Each operation uses another of the open sockets, so that nothing about
//! them is in a cache longer than so many allow. The raw contender sends on
//! the very same descriptors: what is beyond it is the library's.

use std::net::UdpSocket;
use std::os::fd::RawFd;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anjay_net_bench::measure::{descriptors, pin_to};
use anjay_net_bench::operations::{Patience, Transport};
use anjay_net_bench::{Layer, Who, raw};
use criterion::{BenchmarkId, Criterion, Throughput};

const DATA: [u8; 100] = [7; 100];

/// One thread's sockets, all connected to one peer.
struct Herd {
    sockets: Vec<(Layer, RawFd)>,
    peer: UdpSocket,
    next: usize,
}

impl Herd {
    fn new(size: usize) -> Herd {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_nonblocking(true).unwrap();
        let to = peer.local_addr().unwrap();
        let sockets = (0..size)
            .map(|_| {
                let layer = Layer::udp_to(to, Patience::None);
                let descriptor = layer.descriptor();
                (layer, descriptor)
            })
            .collect();
        Herd {
            sockets,
            peer,
            next: 0,
        }
    }

    fn time(&mut self, who: Who, n: u64) -> Duration {
        const BATCH: u64 = 64;
        let mut total = Duration::ZERO;
        let mut done = 0;
        while done < n {
            let batch = BATCH.min(n - done);
            while self.peer.recv(&mut [0; 1]).is_ok() {}
            let start = Instant::now();
            for _ in 0..batch {
                let (layer, descriptor) = &self.sockets[self.next];
                match who {
                    Who::Layer => layer.send(&DATA),
                    Who::Raw => raw::send(*descriptor, &DATA),
                }
                self.next = (self.next + 1) % self.sockets.len();
            }
            total += start.elapsed();
            done += batch;
        }
        total
    }
}

/// The mean over all threads, each with a herd and a core of its own.
fn time(herds: &mut [Herd], who: Who, n: u64) -> Duration {
    let barrier = Barrier::new(herds.len());
    let threads = herds.len() as u32;
    let total: Duration = thread::scope(|scope| {
        let barrier = &barrier;
        let running: Vec<_> = herds
            .iter_mut()
            .enumerate()
            .map(|(core, herd)| {
                scope.spawn(move || {
                    pin_to(core);
                    barrier.wait();
                    herd.time(who, n)
                })
            })
            .collect();
        running.into_iter().map(|one| one.join().unwrap()).sum()
    });
    total / threads
}

fn scaling(criterion: &mut Criterion) {
    let most = descriptors(100_000);
    println!("At most {most} sockets, as the descriptor limit allows.");
    let cores = thread::available_parallelism().map_or(1, usize::from);
    for threads in [1, 2] {
        if threads > cores {
            println!("Only {cores} core: nothing about {threads} threads.");
            continue;
        }
        let name = format!(
            "udp-send-{threads}-thread{}",
            if threads == 1 { "" } else { "s" }
        );
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(1));
        for size in [1, 1_000, most] {
            let each = (size / threads).max(1);
            let mut herds: Vec<Herd> = (0..threads).map(|_| Herd::new(each)).collect();
            for who in Who::BOTH {
                group.bench_function(BenchmarkId::new(who.name(), size), |bencher| {
                    bencher.iter_custom(|n| time(&mut herds, who, n));
                });
            }
            report(&mut herds, size);
        }
        group.finish();
    }
}

/// Both contenders in turns, as criterion does not compare them.
fn report(herds: &mut [Herd], size: usize) {
    const N: u64 = 20_000;
    let samples: Vec<_> = (0..9)
        .map(|_| Who::BOTH.map(|who| time(herds, who, N).as_secs_f64() * 1e9 / N as f64))
        .collect();
    let median = |value: fn(&[f64; 2]) -> f64| {
        anjay_net_bench::measure::median(samples.iter().map(value).collect())
    };
    println!(
        "{size} sockets, {} threads: raw {:.0} ns, library {:.0} ns, {:.3} of raw\n",
        herds.len(),
        median(|[raw, _]| *raw),
        median(|[_, layer]| *layer),
        median(|[raw, layer]| layer / raw),
    );
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    scaling(&mut criterion);
    criterion.final_summary();
}
