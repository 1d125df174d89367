//! Connection attempts in virtual time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anjay_net_resolve::{
    Families, Family, Hints, Kind, Order, PlanSettings, Planner, Policy, Source, Step, V4Form, map,
    same_endpoint,
};

const DELAY: Duration = Duration::from_millis(250);
const RESOLUTION: Duration = Duration::from_millis(50);

fn six(host: u16) -> SocketAddr {
    SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, host], 5684))
}

fn five_six() -> [SocketAddr; 5] {
    [1, 2, 3, 4, 5].map(six)
}

fn four(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 5684))
}

fn planner(preferred: Option<SocketAddr>) -> Planner {
    Planner::new(PlanSettings::DEFAULT, order(preferred))
}

fn order(preferred: Option<SocketAddr>) -> Order {
    Order {
        policy: Policy::default(),
        kind: Kind::Tcp,
        preferred,
    }
}

fn expecting_both(preferred: Option<SocketAddr>) -> Planner {
    let mut planner = planner(preferred);
    planner.expect(Family::V6);
    planner.expect(Family::V4);
    planner
}

/// An answer about hosts of which nothing is known.
#[track_caller]
fn answer(planner: &mut Planner, now: Instant, family: Family, found: &[SocketAddr]) {
    planner.answer(now, family, found, &Hints::NONE).unwrap();
}

fn started(step: Step) -> SocketAddr {
    match step {
        Step::Start(addr) => addr,
        step => panic!("{step:?} instead of a start"),
    }
}

#[test]
fn nothing_expected_is_exhausted() {
    assert_eq!(planner(None).next(Instant::now()), Step::Exhausted);
}

#[test]
fn waits_for_answers_then_gives_up() {
    let now = Instant::now();
    let mut planner = expecting_both(None);
    assert_eq!(planner.next(now), Step::Wait);
    answer(&mut planner, now, Family::V6, &[]);
    assert_eq!(planner.next(now), Step::Wait);
    answer(&mut planner, now, Family::V4, &[]);
    assert_eq!(planner.next(now), Step::Exhausted);
}

#[test]
fn families_take_turns_every_quarter_second() {
    let mut now = Instant::now();
    let mut planner = planner(None);
    answer(&mut planner, now, Family::V4, &[four(1), four(2), four(3)]);
    answer(&mut planner, now, Family::V6, &five_six());
    let mut order = String::new();
    for _ in 0..8 {
        order.push(if started(planner.next(now)).is_ipv6() {
            '6'
        } else {
            '4'
        });
        if order.len() < 8 {
            assert_eq!(planner.next(now), Step::WaitUntil(now + DELAY));
            let early = now + DELAY - Duration::from_nanos(1);
            assert_eq!(planner.next(early), Step::WaitUntil(now + DELAY));
        }
        now += DELAY;
    }
    assert_eq!(order, "64646466");
}

#[test]
fn a_failure_starts_the_next_at_once() {
    let now = Instant::now();
    let mut planner = planner(None);
    answer(&mut planner, now, Family::V6, &[six(1), six(2), six(3)]);
    started(planner.next(now));
    let failure = now + Duration::from_millis(3);
    planner.failed();
    started(planner.next(failure));
    assert_eq!(planner.next(failure), Step::WaitUntil(failure + DELAY));
    planner.failed();
    started(planner.next(failure));
    planner.failed();
    assert_eq!(planner.next(failure), Step::Exhausted);
}

#[test]
fn two_failures_start_two_however_they_are_told() {
    let now = Instant::now();
    let later = now + DELAY;
    let mut one_by_one = planner(None);
    answer(&mut one_by_one, now, Family::V6, &five_six());
    started(one_by_one.next(now));
    started(one_by_one.next(later));
    let mut together = one_by_one.clone();

    one_by_one.failed();
    let third = one_by_one.next(later);
    one_by_one.failed();
    let fourth = one_by_one.next(later);

    together.failed();
    together.failed();
    assert_eq!(together.next(later), third);
    assert_eq!(together.next(later), fourth);
    assert_eq!(together.next(later), Step::WaitUntil(later + DELAY));
    assert_eq!(one_by_one.next(later), Step::WaitUntil(later + DELAY));
}

#[test]
fn old_failures_make_no_burst_of_a_late_answer() {
    let now = Instant::now();
    let mut planner = expecting_both(None);
    answer(&mut planner, now, Family::V6, &[six(1), six(2), six(3)]);
    for turn in 0..3 {
        started(planner.next(now + turn * DELAY));
    }
    let now = now + 2 * DELAY;
    (0..3).for_each(|_| planner.failed());
    assert_eq!(planner.next(now), Step::Wait);
    answer(&mut planner, now, Family::V4, &[four(1), four(2), four(3)]);
    started(planner.next(now));
    assert_eq!(planner.next(now), Step::WaitUntil(now + DELAY));
}

#[test]
fn the_preferred_family_may_be_50_ms_late() {
    let now = Instant::now();
    let mut waiting = expecting_both(None);
    answer(&mut waiting, now, Family::V4, &[four(1)]);
    assert_eq!(waiting.next(now), Step::WaitUntil(now + RESOLUTION));

    let mut in_time = waiting.clone();
    answer(&mut in_time, now + RESOLUTION / 2, Family::V6, &[six(1)]);
    assert_eq!(in_time.next(now + RESOLUTION / 2), Step::Start(six(1)));

    let mut without = waiting.clone();
    answer(&mut without, now + RESOLUTION / 2, Family::V6, &[]);
    assert_eq!(without.next(now + RESOLUTION / 2), Step::Start(four(1)));

    // Too late to be first, but the next turn is its. More of the same family
    // gives no more time.
    waiting
        .answer(
            now + RESOLUTION / 2,
            Family::V4,
            &[four(2), four(3)],
            &Hints::NONE,
        )
        .unwrap();
    let late = now + RESOLUTION;
    started(waiting.next(late));
    answer(&mut waiting, late, Family::V6, &[six(1)]);
    assert_eq!(waiting.next(late), Step::WaitUntil(late + DELAY));
    assert_eq!(waiting.next(late + DELAY), Step::Start(six(1)));
}

#[test]
fn the_preferred_family_waits_for_nobody() {
    let now = Instant::now();
    let mut planner = expecting_both(None);
    answer(&mut planner, now, Family::V6, &[six(1)]);
    assert_eq!(planner.next(now), Step::Start(six(1)));
    // Nothing else to start.
    assert_eq!(planner.next(now), Step::Wait);
    // The stagger counts from the start, not from the answer.
    answer(&mut planner, now + DELAY, Family::V4, &[four(1)]);
    assert_eq!(planner.next(now + DELAY), Step::Start(four(1)));
}

#[test]
fn sticky_is_first_and_alone_for_its_delay() {
    let now = Instant::now();
    let mut planner = planner(Some(map(four(7))));
    answer(&mut planner, now, Family::V6, &[six(1), six(2)]);
    answer(&mut planner, now, Family::V4, &[four(6), four(7), four(8)]);
    assert_eq!(planner.next(now), Step::Start(four(7)));
    assert_eq!(planner.next(now), Step::WaitUntil(now + DELAY));
    assert!(started(planner.next(now + DELAY)).is_ipv6());
}

#[test]
fn the_answer_that_may_hold_the_sticky_endpoint_may_be_late_too() {
    let now = Instant::now();
    let mut planner = expecting_both(Some(four(7)));
    answer(&mut planner, now, Family::V6, &[six(1)]);
    assert_eq!(planner.next(now), Step::WaitUntil(now + RESOLUTION));
    answer(&mut planner, now, Family::V4, &[four(6), four(7)]);
    assert_eq!(planner.next(now), Step::Start(four(7)));

    let mut planner = expecting_both(Some(four(7)));
    answer(&mut planner, now, Family::V4, &[four(7)]);
    assert_eq!(
        planner.next(now),
        Step::Start(four(7)),
        "nothing goes before it"
    );
}

#[test]
fn what_failed_lately_is_last() {
    let now = Instant::now();
    let hints = Hints {
        unresponsive: &|addr| *addr == six(1),
        ..Hints::NONE
    };
    let mut planner = expecting_both(Some(six(1)));
    planner.answer(now, Family::V6, &[six(1)], &hints).unwrap();
    assert_eq!(planner.next(now), Step::WaitUntil(now + RESOLUTION));
    planner
        .answer(now, Family::V4, &[four(1), four(2)], &hints)
        .unwrap();
    let mut order = Vec::new();
    for _ in 0..3 {
        order.push(started(planner.next(now)));
        planner.failed();
    }
    assert_eq!(order[2], six(1));
}

#[test]
fn datagrams_try_one_family_first() {
    let now = Instant::now();
    let mut planner = Planner::new(
        PlanSettings::DEFAULT,
        Order {
            kind: Kind::Udp,
            ..order(None)
        },
    );
    answer(&mut planner, now, Family::V4, &[four(1), four(2)]);
    answer(&mut planner, now, Family::V6, &[six(1), six(2)]);
    let mut families = String::new();
    while let Step::Start(addr) = planner.next(now) {
        families.push(if addr.is_ipv6() { '6' } else { '4' });
        planner.failed();
    }
    assert_eq!(families, "6644");
}

fn datagram(preferred: Option<SocketAddr>) -> Planner {
    let mut planner = Planner::new(
        PlanSettings::DEFAULT,
        Order {
            kind: Kind::Udp,
            ..order(preferred)
        },
    );
    planner.expect(Family::V6);
    planner.expect(Family::V4);
    planner
}

#[test]
fn a_datagram_socket_waits_for_the_family_of_its_preferred_endpoint() {
    let now = Instant::now();
    let late = now + Duration::from_secs(9);
    let mut planner = datagram(Some(six(7)));
    answer(&mut planner, now, Family::V4, &[four(1)]);
    assert_eq!(planner.next(now), Step::Wait);
    assert_eq!(planner.next(late), Step::Wait);

    let mut found = planner.clone();
    answer(&mut found, late, Family::V6, &[six(6), six(7)]);
    assert_eq!(found.next(late), Step::Start(six(7)));

    // Without it, or without an answer in time, others are taken.
    let mut gone = planner.clone();
    answer(&mut gone, late, Family::V6, &[six(6)]);
    assert_eq!(gone.next(late), Step::Start(six(6)));
    let mut given_up = planner.clone();
    answer(&mut given_up, late, Family::V6, &[]);
    assert_eq!(given_up.next(late), Step::Start(four(1)));

    // Once it is there, nothing else is waited for.
    let mut planner = datagram(Some(four(7)));
    answer(&mut planner, now, Family::V6, &[six(1)]);
    assert_eq!(planner.next(now), Step::Wait);
    answer(&mut planner, now, Family::V4, &[four(7)]);
    assert_eq!(planner.next(now), Step::Start(four(7)));
    let mut planner = datagram(Some(four(7)));
    answer(&mut planner, now, Family::V4, &[four(7)]);
    assert_eq!(planner.next(now), Step::Start(four(7)));
}

#[test]
fn a_preferred_endpoint_that_did_not_answer_is_not_waited_for() {
    let now = Instant::now();
    let hints = Hints {
        unresponsive: &|addr| *addr == six(7),
        ..Hints::NONE
    };
    let mut planner = datagram(Some(six(7)));
    planner.answer(now, Family::V4, &[four(1)], &hints).unwrap();
    assert_eq!(planner.next(now), Step::WaitUntil(now + RESOLUTION));
}

#[test]
fn a_datagram_socket_waits_for_an_address_that_can_answer() {
    let now = Instant::now();
    let late = now + Duration::from_secs(9);
    for flaw in ["fe80::9", "fd00::9"] {
        let source = Source::Address(flaw.parse().unwrap());
        let hints = Hints {
            source_of: &|addr| match addr {
                SocketAddr::V6(_) => source,
                SocketAddr::V4(_) => Source::Address([10, 0, 0, 9].into()),
            },
            ..Hints::NONE
        };
        let mut planner = datagram(None);
        planner.answer(now, Family::V6, &[six(1)], &hints).unwrap();
        assert_eq!(planner.next(late), Step::Wait, "{flaw}");
        planner
            .answer(late, Family::V4, &[four(1)], &hints)
            .unwrap();
        assert_eq!(planner.next(late), Step::Start(four(1)), "{flaw}");

        // A stream finds out for itself.
        let mut planner = expecting_both(None);
        planner.answer(now, Family::V6, &[six(1)], &hints).unwrap();
        assert_eq!(planner.next(now), Step::WaitUntil(now + RESOLUTION));
    }
}

#[test]
fn policy_and_mapping_apply() {
    let now = Instant::now();
    let dual = Policy {
        families: Families::Only(Family::V6),
        v4: V4Form::Mapped,
    };
    let mut planner = Planner::new(
        PlanSettings::DEFAULT,
        Order {
            policy: dual,
            ..order(None)
        },
    );
    answer(&mut planner, now, Family::V4, &[four(1)]);
    assert_eq!(planner.next(now), Step::Start(map(four(1))));
    answer(&mut planner, now, Family::V6, &[map(four(1))]);
    planner.failed();
    assert_eq!(
        planner.next(now),
        Step::Exhausted,
        "known in the other form"
    );

    let only = Policy {
        families: Families::Only(Family::V4),
        v4: V4Form::Native,
    };
    let mut planner = Planner::new(
        PlanSettings::DEFAULT,
        Order {
            policy: only,
            ..order(None)
        },
    );
    answer(&mut planner, now, Family::V6, &[six(1)]);
    assert_eq!(planner.next(now), Step::Exhausted);
}

#[test]
fn absurd_settings_do_no_harm() {
    let now = Instant::now();
    let endless = PlanSettings {
        attempt_delay: Duration::MAX,
        resolution_delay: Duration::MAX,
    };
    let mut planner = Planner::new(endless, order(None));
    planner.expect(Family::V6);
    answer(&mut planner, now, Family::V4, &[four(1), four(2)]);
    assert!(matches!(planner.next(now), Step::WaitUntil(_)));
    answer(&mut planner, now, Family::V6, &[]);
    started(planner.next(now));
    assert!(matches!(planner.next(now), Step::WaitUntil(_)));
    planner.failed();
    started(planner.next(now));

    let zero = PlanSettings {
        attempt_delay: Duration::ZERO,
        resolution_delay: Duration::ZERO,
    };
    let mut planner = Planner::new(zero, order(None));
    answer(&mut planner, now, Family::V4, &[four(1), four(2)]);
    for _ in 0..2 {
        started(planner.next(now));
    }
    assert_eq!(planner.next(now), Step::Exhausted);
}

#[test]
fn seven_dead_of_eight_cost_less_than_two_seconds() {
    for _ in 0..200 {
        let begin = Instant::now();
        let mut planner = planner(None);
        let pool: Vec<_> = (1..=8).map(four).collect();
        answer(&mut planner, begin, Family::V4, &pool);
        let mut now = begin;
        loop {
            match planner.next(now) {
                Step::Start(addr) if same_endpoint(&addr, &four(5)) => break,
                Step::Start(_) => {}
                Step::WaitUntil(instant) => now = instant,
                step => panic!("{step:?}"),
            }
        }
        assert!(now - begin <= 7 * DELAY);
    }
}

#[test]
fn the_first_start_is_fair() {
    let pool: Vec<_> = (1..=8).map(four).collect();
    let now = Instant::now();
    let mut firsts = [0u32; 8];
    for _ in 0..10_000 {
        let mut planner = planner(None);
        answer(&mut planner, now, Family::V4, &pool);
        let first = started(planner.next(now));
        firsts[pool.iter().position(|addr| *addr == first).unwrap()] += 1;
    }
    for first in firsts {
        assert!((1_100..=1_400).contains(&first), "{firsts:?}");
    }
}
