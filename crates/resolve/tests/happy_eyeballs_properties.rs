//! What holds of every plan, whatever the addresses, answers and failures.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anjay_net_resolve::{
    Families, Family, Hints, Order, PlanSettings, Planner, Policy, Step, Transport, V4Form, map,
    same_endpoint, unmap,
};
use proptest::prelude::*;

/// A world in which no attempt succeeds, so that each plan runs to its end.
#[derive(Clone, Debug)]
struct World {
    policy: Policy,
    transport: Transport,
    settings: PlanSettings,
    sticky: Option<SocketAddr>,
    unresponsive: Vec<SocketAddr>,
    /// When each family's answer comes, in ms, and what it says.
    answers: Vec<(Family, u64, Vec<SocketAddr>)>,
    /// After how many ms the nth attempt fails; None: never by itself.
    failures: Vec<Option<u64>>,
}

/// What happened at which time.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Event {
    Answered,
    Started(SocketAddr),
    Failed(SocketAddr),
    Abandoned(SocketAddr),
}

/// The driver that a socket core would be, on a clock that jumps.
fn run(world: &World) -> Vec<(Duration, Event)> {
    let begin = Instant::now();
    let order = Order {
        policy: world.policy,
        transport: world.transport,
        preferred: world.sticky,
    };
    let mut planner = Planner::new(world.settings, order);
    let mut answers = world.answers.clone();
    answers
        .iter()
        .for_each(|(family, ..)| planner.expect(*family));
    let mut failures: Vec<(Instant, SocketAddr)> = Vec::new();
    let mut log = Vec::new();
    let mut now = begin;
    for _ in 0..10_000 {
        let log_at = |now: Instant| now - begin;
        let wake = match planner.next(now) {
            Step::Start(addr) => {
                let nth = log
                    .iter()
                    .filter(|(_, event)| matches!(event, Event::Started(_)))
                    .count();
                if let Some(Some(ms)) = world.failures.get(nth) {
                    failures.push((now + Duration::from_millis(*ms), addr));
                }
                log.push((log_at(now), Event::Started(addr)));
                continue;
            }
            Step::Abandon(addr) => {
                failures.retain(|(_, failing)| *failing != addr);
                log.push((log_at(now), Event::Abandoned(addr)));
                continue;
            }
            Step::WaitUntil(instant) => {
                assert!(instant > now, "waiting for the past");
                Some(instant)
            }
            Step::Wait => None,
            Step::Exhausted => return log,
        };
        let answer = answers
            .iter()
            .map(|(_, ms, _)| begin + Duration::from_millis(*ms))
            .min();
        let failure = failures.iter().map(|(at, _)| *at).min();
        let next = [wake, answer, failure].into_iter().flatten().min();
        now = next.expect("something to wait for").max(now);
        let due = |ms: u64| begin + Duration::from_millis(ms) <= now;
        while let Some(index) = answers.iter().position(|(_, ms, _)| due(*ms)) {
            let (family, _, addrs) = answers.remove(index);
            let hints = Hints {
                unresponsive: &|addr| contains(&world.unresponsive, addr),
                ..Hints::NONE
            };
            planner.answer(now, family, &addrs, &hints).unwrap();
            log.push((log_at(now), Event::Answered));
        }
        while let Some(index) = failures.iter().position(|(at, _)| *at <= now) {
            let (_, addr) = failures.remove(index);
            planner.failed(addr);
            log.push((log_at(now), Event::Failed(addr)));
        }
    }
    panic!("the plan does not end");
}

/// What an answered, admitted, not yet started address is at some point of the log.
fn known_until(world: &World, time: Duration) -> Vec<SocketAddr> {
    let mut known: Vec<SocketAddr> = Vec::new();
    for (_, ms, addrs) in &world.answers {
        if Duration::from_millis(*ms) <= time {
            known.extend(addrs.iter().filter_map(|addr| world.policy.admit(*addr)));
        }
    }
    known
}

fn contains(list: &[SocketAddr], addr: &SocketAddr) -> bool {
    list.iter().any(|other| same_endpoint(other, addr))
}

fn any_addr() -> impl Strategy<Value = SocketAddr> {
    // Few distinct ones, so that duplicates and mapped twins happen.
    prop_oneof![
        3 => (0..6u8).prop_map(|host| SocketAddr::from(([192, 0, 2, host], 1))),
        1 => (0..6u8).prop_map(|host| map(SocketAddr::from(([192, 0, 2, host], 1)))),
        3 => (0..6u16).prop_map(|host| SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, host], 1))),
    ]
}

fn any_answer(family: Family) -> impl Strategy<Value = (Family, u64, Vec<SocketAddr>)> {
    let ms = prop_oneof![Just(0), 0..100u64, 0..3_000u64, 9_000..25_000u64];
    (Just(family), ms, prop::collection::vec(any_addr(), 0..10))
}

fn any_world() -> impl Strategy<Value = World> {
    let families = prop::sample::select(vec![
        Families::Prefer(Family::V6),
        Families::Prefer(Family::V4),
        Families::Only(Family::V4),
        Families::Only(Family::V6),
    ]);
    let form = prop::sample::select(vec![V4Form::Native, V4Form::Mapped]);
    let failure = prop::option::of(prop_oneof![Just(0), 1..300u64, 1..12_000u64]);
    (
        (families, form).prop_map(|(families, v4)| Policy { families, v4 }),
        prop::sample::select(vec![Transport::Datagram, Transport::Stream]),
        1..17usize,
        prop::option::of(any_addr()),
        prop::collection::vec(any_addr(), 0..4),
        (any_answer(Family::V6), any_answer(Family::V4)),
        prop::collection::vec(failure, 24),
    )
        .prop_map(
            |(policy, transport, max_attempts, sticky, unresponsive, answers, failures)| World {
                policy,
                transport,
                settings: PlanSettings {
                    max_attempts,
                    ..PlanSettings::default()
                },
                sticky,
                unresponsive,
                answers: vec![answers.0, answers.1],
                failures,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn every_address_is_started_once(world in any_world()) {
        let log = run(&world);
        let mut started = Vec::new();
        for (_, event) in &log {
            if let Event::Started(addr) = event {
                prop_assert!(!contains(&started, addr), "{addr} again in {log:?}");
                prop_assert_eq!(world.policy.admit(*addr), Some(*addr));
                started.push(*addr);
            }
        }
        for addr in known_until(&world, Duration::MAX) {
            prop_assert!(contains(&started, &addr), "{addr} lost in {log:?}");
        }
    }

    #[test]
    fn every_attempt_ends_by_failure_or_in_its_own_time(world in any_world()) {
        let log = run(&world);
        for (at, event) in &log {
            let Event::Started(addr) = event else { continue };
            let ends: Vec<_> = log
                .iter()
                .filter(|(_, event)| matches!(event, Event::Failed(ended) | Event::Abandoned(ended) if ended == addr))
                .collect();
            prop_assert_eq!(ends.len(), 1);
            let (ended_at, ended) = *ends[0];
            let took = ended_at - *at;
            match ended {
                Event::Abandoned(_) => prop_assert_eq!(took, world.settings.attempt_timeout),
                _ => prop_assert!(took <= world.settings.attempt_timeout),
            }
        }
    }

    #[test]
    fn starts_are_staggered_but_for_failures(world in any_world()) {
        let log = run(&world);
        let mut running = 0usize;
        let mut credit = 0usize;
        let mut last: Option<Duration> = None;
        for (at, event) in &log {
            match event {
                Event::Answered => {}
                Event::Failed(_) | Event::Abandoned(_) => {
                    running -= 1;
                    credit += 1;
                }
                Event::Started(_) => {
                    let in_step = last.is_none_or(|last| *at >= last + world.settings.attempt_delay);
                    prop_assert!(in_step || credit > 0, "too early at {at:?} in {log:?}");
                    credit = credit.saturating_sub(1);
                    running += 1;
                    last = Some(*at);
                    prop_assert!(running <= world.settings.max_attempts);
                }
            }
        }
    }

    #[test]
    fn nothing_is_held_back_without_reason(world in any_world()) {
        let log = run(&world);
        // When at least one address was known, not started, and a slot was free,
        // the next start comes in time.
        let mut started: Vec<SocketAddr> = Vec::new();
        let mut running = 0usize;
        let mut last: Option<Duration> = None;
        for (index, (at, event)) in log.iter().enumerate() {
            let delay = world.settings.attempt_delay;
            let due = match event {
                Event::Started(addr) => {
                    started.push(*addr);
                    running += 1;
                    last = Some(*at);
                    *at + delay
                }
                Event::Failed(_) | Event::Abandoned(_) => {
                    running -= 1;
                    *at
                }
                Event::Answered => match last {
                    // The other answer may hold the preferred endpoint.
                    None if world.transport == Transport::Datagram && world.sticky.is_some() => {
                        let answers = world.answers.iter();
                        Duration::from_millis(answers.map(|(_, ms, _)| *ms).max().unwrap_or(0))
                            + world.settings.resolution_delay
                    }
                    None => *at + world.settings.resolution_delay,
                    Some(last) if running > 0 => (last + delay).max(*at),
                    Some(_) => *at,
                },
            };
            let waiting = known_until(&world, *at).iter().any(|addr| !contains(&started, addr));
            if !waiting || running == world.settings.max_attempts {
                continue;
            }
            let start = log[index + 1..].iter().find(|(_, event)| matches!(event, Event::Started(_)));
            let (start, _) = start.expect("one is waiting");
            prop_assert!(*start <= due, "at {at:?} {event:?}, next {start:?} > {due:?} in {log:?}");
        }
    }

    #[test]
    fn the_best_known_address_goes_first(world in any_world()) {
        let log = run(&world);
        let is_unresponsive = |addr: &SocketAddr| contains(&world.unresponsive, addr);
        let is_sticky = |addr: &SocketAddr| world.sticky.is_some_and(|sticky| same_endpoint(&sticky, addr));
        let family = |addr: &SocketAddr| Family::of(&unmap(*addr));
        let mut started: Vec<SocketAddr> = Vec::new();
        for (at, event) in &log {
            let Event::Started(addr) = event else { continue };
            let turn = match (world.transport, started.last()) {
                (Transport::Stream, Some(last)) => family(last).other(),
                _ => world.policy.first(),
            };
            let rank = |addr: &SocketAddr| (is_unresponsive(addr), !is_sticky(addr), family(addr) != turn);
            let mut waiting = known_until(&world, *at);
            waiting.retain(|known| !contains(&started, known));
            let best = waiting.iter().map(rank).min();
            prop_assert_eq!(Some(rank(addr)), best, "at {:?} in {:?}", at, log);
            started.push(*addr);
        }
    }
}
