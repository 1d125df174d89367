//! Name servers that do not answer in time.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anjay_net_resolve::Family;
use anjay_net_socket::{Kind, Socket, resolver};
use anjay_net_support::time::{median, timed};
use anjay_net_vtable::{code, configure};

use crate::c_api;
use crate::client::{
    AT_ONCE, assert_errno, assert_within, connect, connect_again, exchange, forced, ms, server,
    set, tcp, udp,
};
use crate::journal;
use crate::meter::{Figures, Meter, Millis};
use crate::responder::{Reply, Responder};
use crate::servers::{PORT_TEXT, Udp};
use crate::world::{NAME_SERVER, World, v4, v6};

pub(super) fn dead_name_server() -> Figures {
    const DEADLINE: Duration = ms(1_500);
    let world = World::cabled();
    world.serve_tcp();
    world.swallow(&[NAME_SERVER]);
    world.set_name_server(NAME_SERVER, 2, 2);
    configure(|settings| settings.resolve_timeout_ms = 1_500);
    let in_time = |time: Duration, what: &str| {
        assert!(time >= DEADLINE, "{what}: early, {time:?}");
        assert_within(time, DEADLINE + ms(100), what);
    };

    let mut meter = Meter::start();
    let socket = tcp();
    let (_quiet, quiet) = mpsc::channel();
    let undisturbed = literals(&socket, &quiet, 50);
    let mut times = Vec::new();
    let literal_times = thread::scope(|scope| {
        let (finish, finished) = mpsc::channel();
        let threads = ["a.test", "b.test", "c.test"].map(|name| {
            let finish = finish.clone();
            scope.spawn(move || {
                let outcome = timed(|| connect(&tcp(), name));
                let _ = finish.send(());
                outcome
            })
        });
        let in_c = scope.spawn(|| timed(|| c_api::tcp().connect("a.test", "5683")));
        let list = scope.spawn(|| timed(|| c_api::resolve("d.test", None, None)));
        let literal_times = literals(&socket, &finished, usize::MAX);
        for thread in threads {
            let (failed, time) = thread.join().expect("a time");
            assert_errno(failed, libc::ETIMEDOUT, "TCP by name");
            times.push((time, "TCP by name"));
        }
        let (failed, time) = in_c.join().expect("a time");
        assert_eq!(failed, code::ETIMEDOUT);
        times.push((time, "TCP by name, in C"));
        let (list, time) = list.join().expect("a time");
        assert!(list.is_none(), "a list of nothing");
        times.push((time, "address list, in C"));
        literal_times
    });
    for (time, what) in times {
        in_time(time, what);
        meter.note(time);
    }
    let (before, during) = (median(undisturbed), median(literal_times.clone()));
    let worst = literal_times.into_iter().max().unwrap_or_default();
    assert_within(during, 2 * before + ms(1), "literals during dead lookups");
    assert_within(worst, ms(100), "the slowest literal during dead lookups");

    let busy = resolver().unwrap().load();
    assert!(busy.threads <= 8, "{busy:?}");
    // All helper threads are with the system resolver now: more names wait for
    // their turn until the deadline.
    let (failed, time) = timed(|| connect(&udp(), "e.test"));
    assert_errno(failed, libc::EAGAIN, "UDP by name, too many lookups");
    in_time(time, "UDP by name");
    connect(&tcp(), "192.0.2.2").expect("literals need no thread");
    drop(socket);
    meter.end(format!(
        "deadline 1.5 s; literals meanwhile: median {} (before {}), worst {}",
        Millis(during),
        Millis(before),
        Millis(worst)
    ))
}

/// Connects to a literal every 10 ms, `most` times or until something is heard.
fn literals(socket: &Socket, end: &Receiver<()>, most: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    while times.len() < most && end.recv_timeout(ms(10)) == Err(RecvTimeoutError::Timeout) {
        let (reached, time) = timed(|| connect(socket, "192.0.2.2"));
        reached.expect("a server");
        socket.close();
        times.push(time);
    }
    times
}

pub(super) fn dead_name_server_default() -> Figures {
    let world = World::cabled();
    world.swallow(&[NAME_SERVER]);
    world.set_name_server(NAME_SERVER, 6, 2);
    let mut meter = Meter::start();
    let (failed, time) = meter.time(|| connect(&tcp(), "server.test"));
    assert_errno(failed, libc::ETIMEDOUT, "no answer");
    assert!(time >= ms(10_000), "{time:?}");
    assert_within(time, ms(10_100), "the default deadline");
    meter.end("gave up, while the system resolver still waited")
}

pub(super) fn serve_stale() -> Figures {
    let world = World::cabled();
    world.serve_tcp();
    world.serve_udp(v4(2), Udp::Echo);
    Responder::start(&world, |name, _| match name {
        "dead.test" => Reply::Silence,
        "broken.test" => Reply::ServerFailure,
        "moved.test" => Reply::addresses(&[v4(77)]),
        _ => Reply::NoSuchName,
    });
    world.set_name_server(NAME_SERVER, 2, 1);
    world.swallow(&[v4(77)]);
    set(|settings| settings.resolve_timeout = ms(500));
    let mut meter = Meter::start();
    let socket = tcp();
    let failed = connect_again(&socket, "broken.test", v4(2));
    assert_errno(failed, libc::ETIMEDOUT, "nobody asked for stale answers");

    set(|settings| settings.serve_stale = true);
    assert_errno(
        connect(&socket, "broken.test"),
        libc::ETIMEDOUT,
        "nothing stored",
    );
    journal::take();
    let (reached, at_once) = timed(|| connect_again(&socket, "broken.test", v4(2)));
    assert_eq!(reached.expect("the old address"), server(v4(2)));
    assert_within(at_once, AT_ONCE, "SERVFAIL");
    let lines = journal::take();
    let told = |line: &&String| {
        line.starts_with("WARN") && line.contains("broken.test") && line.contains("192.0.2.2")
    };
    assert_eq!(lines.iter().filter(told).count(), 1, "{lines:?}");
    socket.close();
    let excluded = connect_again(&forced(Kind::Tcp, Family::V6), "broken.test", v4(2));
    assert_errno(
        excluded,
        libc::ETIMEDOUT,
        "an old address of the other family",
    );
    let lines = journal::take();
    assert!(!lines.iter().any(|line| told(&line)), "{lines:?}");

    let (reached, time) = meter.time(|| connect_again(&socket, "dead.test", v4(2)));
    assert_eq!(reached.expect("the old address"), server(v4(2)));
    assert_within(time, ms(500 + 100), "after the deadline");
    socket.close();

    let datagrams = udp();
    connect_again(&datagrams, "broken.test", v4(2)).expect("the old address");
    exchange(&datagrams).expect("an echo");
    let in_c = c_api::udp();
    in_c.connect("192.0.2.2", "5683").ok().expect("a literal");
    in_c.close().ok().expect("closed");
    in_c.connect("broken.test", "5683")
        .ok()
        .expect("the old address");
    assert_eq!(c_api::remote_host(&in_c).as_deref(), Some("192.0.2.2"));

    // A name server that knows says what is so: RFC 8767 section 4.
    let unknown = connect_again(&socket, "unknown.test", v4(2));
    assert_errno(
        unknown,
        libc::EADDRNOTAVAIL,
        "a name that does not exist any more",
    );
    set(|settings| settings.connect_timeout = ms(300));
    let moved = connect_again(&socket, "moved.test", v4(2));
    assert_errno(moved, libc::ETIMEDOUT, "a name that points elsewhere");
    // The error is the lookup's: that is what has to be repaired.
    let failed = connect_again(&socket, "broken.test", v4(77));
    assert_errno(failed, libc::ETIMEDOUT, "the old address is gone as well");
    drop((socket, datagrams, in_c));
    meter.end(format!(
        "after SERVFAIL {}, after the deadline of 500 ms {}; with a warning",
        Millis(at_once),
        Millis(time)
    ))
}

pub(super) fn late_answers() -> Figures {
    let world = World::cabled();
    let responder = Responder::start(&world, |_, _| {
        Reply::addresses(&[v4(2), v6(2)]).after(ms(300))
    });
    world.set_name_server(NAME_SERVER, 5, 1);
    set(|settings| {
        settings.resolve_timeout = ms(50);
        settings.max_lookups = 64;
    });
    let mut meter = Meter::start();
    let names: Vec<_> = (0..30).map(|count| format!("late-{count}.test")).collect();
    let ((), time) = timed(|| {
        thread::scope(|scope| {
            for name in &names {
                scope.spawn(move || {
                    assert_errno(connect(&tcp(), name), libc::ETIMEDOUT, name);
                    assert_errno(udp().bind(name.as_bytes(), b""), libc::ETIMEDOUT, name);
                    let sender = udp();
                    sender.bind(b"", b"").expect("a port");
                    let sent = sender.send_to(b"ping", name.as_bytes(), PORT_TEXT);
                    assert_errno(sent, libc::ETIMEDOUT, name);
                });
            }
        })
    });
    meter.note(time);
    for name in &names {
        assert_eq!(responder.asked(name, Family::V4), 1, "{name} was joined");
    }
    meter.end("90 calls by 30 names, 60 lookups, all answers too late")
}
