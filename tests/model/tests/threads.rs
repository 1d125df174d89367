//! Threads on the same two UDP sockets: what their calls return must be what one
//! thread gets that makes the same calls in some order (Herlihy and Wing's
//! linearizability). One test, so that nothing else in this process opens descriptors.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anjay_net_support::process;
use anjay_net_vtable::{Code, Kind, Socket, code, default_configuration};
use proptest::prelude::*;

/// After how long a call that waits is ended by a third thread, and after how long it
/// must have ended.
const PATIENCE: Duration = Duration::from_millis(2);
const HANG: Duration = Duration::from_secs(10);

/// Datagrams that wait for each socket in the beginning.
const QUEUE: u8 = 4;

#[derive(Clone, Copy, PartialEq, Debug)]
enum What {
    Send,
    /// Without a limit on the first socket, without waiting on the second.
    Receive,
    Shutdown,
    Close,
    Bind,
    Connect,
    GetState,
    BytesSent,
}

use What::{Bind, BytesSent, Connect, GetState, Receive, Send};

/// Some more often than others.
const CALLS: [What; 16] = [
    Send,
    Send,
    Send,
    Receive,
    Receive,
    Receive,
    What::Shutdown,
    What::Close,
    What::Close,
    Bind,
    Bind,
    Connect,
    Connect,
    Connect,
    GetState,
    BytesSent,
];

/// A call that was made.
#[derive(Clone, Copy, Debug)]
struct Call {
    what: What,
    socket: usize,
    code: Code,
    /// What else it returned, or sent.
    value: u64,
    began: usize,
    ended: usize,
}

/// A socket, and the one that it is connected to.
struct Place {
    socket: Socket,
    peer: UdpSocket,
    port: String,
}

impl Place {
    fn new(index: usize) -> Place {
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a UDP socket");
        peer.set_read_timeout(Some(HANG)).expect("an option");
        let port = peer.local_addr().expect("it is bound").port().to_string();
        let socket = Socket::create(Kind::Udp, default_configuration()).expect("a socket");
        assert_eq!(socket.connect("127.0.0.1", port.as_str()), code::OK);
        let limit = [(0, -1), (0, 0)][index];
        assert_eq!(socket.set_receive_timeout(limit), code::OK);
        assert_eq!(socket.send(&[u8::MAX]), code::OK);
        let (_, own) = peer.recv_from(&mut [0]).expect("it was sent");
        for id in 0..QUEUE {
            peer.send_to(&[id], own).expect("it listens");
        }
        Place { socket, peer, port }
    }

    fn call(&self, what: What, index: usize) -> Call {
        static CLOCK: AtomicUsize = AtomicUsize::new(0);
        let began = CLOCK.fetch_add(1, SeqCst);
        let (socket, port) = (&self.socket, self.port.as_str());
        let (code, value) = match what {
            Send => (socket.send(&(began as u64).to_le_bytes()), began as u64),
            Receive => {
                let received = socket.receive(64);
                (
                    received.code,
                    received.data.first().copied().unwrap_or(0).into(),
                )
            }
            What::Shutdown => (socket.shutdown(), 0),
            What::Close => (socket.close(), 0),
            Bind => (socket.bind("127.0.0.1", "0"), 0),
            Connect => (socket.connect("127.0.0.1", port), 0),
            GetState => (code::OK, socket.int_option(1).expect("always there") as u64),
            BytesSent => (code::OK, socket.bytes_sent()),
        };
        let ended = CLOCK.fetch_add(1, SeqCst);
        Call {
            what,
            socket: index,
            code,
            value,
            began,
            ended,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum State {
    Closed,
    Bound,
    Connected,
    Shutdown,
    Pending(Operation),
}

/// A bind or connect that a thread is in.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Operation {
    by: usize,
    is_bound: bool,
    is_shutdown: bool,
}

#[derive(Clone)]
struct Model {
    state: State,
    queue: VecDeque<u64>,
    sent: u64,
}

impl Model {
    /// What becomes of a call at one moment: whether it is over then, or `None` if it
    /// can't have returned what it did. A call that changes something at its end, too, has
    /// two moments.
    fn take(&mut self, by: usize, call: &Call, has_begun: bool) -> Option<bool> {
        use State::{Bound, Closed, Connected, Pending, Shutdown};
        if has_begun && call.what == Send {
            self.sent += size_of::<u64>() as u64;
            return Some(true);
        }
        if has_begun && call.what == Receive {
            return (self.state == Closed).then_some(true);
        }
        if has_begun {
            let (expected, state) = match (self.state, call.what) {
                (Pending(pending), what) if pending.by == by => match pending {
                    Operation {
                        is_shutdown: false, ..
                    } if what == Bind => (code::OK, Bound),
                    Operation {
                        is_shutdown: false, ..
                    } => (code::OK, Connected),
                    Operation { is_bound: true, .. } => (code::ECONNABORTED, Shutdown),
                    _ => (code::ECONNABORTED, Closed),
                },
                // Closed meanwhile.
                (other, _) => (code::EBADF, other),
            };
            self.state = state;
            return (call.code == expected).then_some(true);
        }
        let (is_bound, is_shutdown) = match self.state {
            Pending(pending) => (pending.is_bound, pending.is_shutdown),
            other => (other == Bound, other == Shutdown),
        };
        let is_open = is_bound || matches!(self.state, Connected | Shutdown);
        let expected: &[Code] = match (call.what, &mut self.state) {
            (GetState, state) => {
                let number = match state {
                    _ if !is_open => 0,
                    Shutdown => 1,
                    Connected => 4,
                    _ => 2,
                };
                return (call.value == number).then_some(true);
            }
            (BytesSent, _) => return (call.value == self.sent).then_some(true),
            (Bind | Connect, Pending(_)) => &[code::EALREADY],
            (Bind | Connect, Connected | Shutdown) | (Bind, Bound) => &[code::EISCONN],
            (Bind | Connect, state) => {
                *state = Pending(Operation {
                    by,
                    is_bound,
                    is_shutdown,
                });
                return Some(false);
            }
            (What::Close, state) => {
                *state = Closed;
                self.queue.clear();
                &[code::OK]
            }
            (What::Shutdown, Closed) => &[code::EBADF],
            (What::Shutdown, Shutdown) => &[code::OK, code::ENOTCONN],
            (What::Shutdown, Pending(pending)) => {
                pending.is_shutdown = true;
                &[code::OK]
            }
            (What::Shutdown, state) => {
                *state = Shutdown;
                &[code::OK]
            }
            (Send | Receive, _) if !is_open => &[code::EBADF],
            (Send, Connected) => &[code::OK],
            (Send, Bound) => &[code::EDESTADDRREQ],
            (Send, _) if is_shutdown => &[code::EPIPE, code::EDESTADDRREQ],
            // What becomes connected may be so already.
            (Send, _) => &[code::OK, code::EDESTADDRREQ],
            (Receive, _) => match self.queue.pop_front() {
                // It took one, and then its socket was closed.
                Some(_) if call.code == code::EBADF => return Some(false),
                Some(id) if id == call.value => &[code::OK],
                Some(_) => &[],
                None if is_shutdown => &[code::ECONNABORTED],
                None if call.socket == 0 => &[],
                None => &[code::ETIMEDOUT],
            },
        };
        let is_counted = call.what == Send && call.code == code::OK;
        expected.contains(&call.code).then_some(!is_counted)
    }
}

/// The calls of each thread that are left, and whether the first of them has begun.
type Left<'a> = [(&'a [Call], bool); 3];

/// Whether there is an order of the calls in which one thread gets the same.
fn is_explained(models: &[Model; 2], left: &Left<'_>) -> bool {
    let next = left.iter().filter_map(|(calls, _)| calls.first());
    let Some(earliest_end) = next.map(|call| call.ended).min() else {
        return true;
    };
    (0..left.len()).any(|by| {
        let ([call, rest @ ..], has_begun) = left[by] else {
            return false;
        };
        // Another one was over by then.
        if earliest_end < call.began {
            return false;
        }
        let (mut models, mut left) = (models.clone(), *left);
        match models[call.socket].take(by, call, has_begun) {
            None => return false,
            Some(true) => left[by] = (rest, false),
            Some(false) => left[by].1 = true,
        }
        is_explained(&models, &left)
    })
}

/// Runs two threads that make these calls, and a third that closes both sockets
/// whenever they wait.
fn check(programs: &[Vec<u8>; 2]) {
    let descriptors = process::descriptors();
    let places = [Place::new(0), Place::new(1)];
    let (sender, ended) = mpsc::channel();
    let waiting = AtomicUsize::new(programs.len());
    let mut closes = Vec::new();
    let histories = thread::scope(|scope| {
        let threads = programs.each_ref().map(|program| {
            let (places, waiting, sender) = (&places, &waiting, sender.clone());
            scope.spawn(move || {
                // Both at once: to be woken takes longer than most calls.
                waiting.fetch_sub(1, SeqCst);
                while waiting.load(SeqCst) > 0 {
                    thread::yield_now();
                }
                let calls = program.iter().map(|byte| {
                    let (what, index) = (CALLS[usize::from(byte >> 1 & 15)], byte & 1);
                    places[usize::from(index)].call(what, index.into())
                });
                let calls: Vec<Call> = calls.collect();
                sender.send(()).expect("the test waits");
                calls
            })
        });
        let since = Instant::now();
        for _ in &threads {
            while ended.recv_timeout(PATIENCE).is_err() {
                if since.elapsed() > HANG {
                    eprintln!("{programs:?} hangs");
                    // The other threads can't be ended.
                    std::process::abort();
                }
                closes.extend([0, 1].map(|index| places[index].call(What::Close, index)));
            }
        }
        threads.map(|thread| thread.join().expect("it has ended"))
    });
    let models = [(); 2].map(|()| Model {
        state: State::Connected,
        queue: (0..QUEUE.into()).collect(),
        sent: 1,
    });
    let [one, other] = &histories;
    let left: Left<'_> = [(one, false), (other, false), (&closes, false)];
    assert!(is_explained(&models, &left), "in no order: {left:#?}");
    for (index, Place { socket, peer, .. }) in places.into_iter().enumerate() {
        drop(socket);
        let calls = histories.iter().flatten();
        let sent = calls.filter(|it| it.socket == index && it.what == Send && it.code == code::OK);
        check_sent(&peer, sent.map(|call| call.value).collect());
    }
    assert_eq!(process::descriptors(), descriptors, "none is left open");
}

/// That what was sent has arrived, once, and nothing else has.
fn check_sent(peer: &UdpSocket, mut sent: Vec<u64>) {
    let mut buf = [0; 64];
    while !sent.is_empty() {
        let len = peer.recv(&mut buf).expect("it was sent");
        let id = u64::from_le_bytes(buf[..len].try_into().expect("eight bytes"));
        let index = sent.iter().position(|sent| id == *sent);
        sent.swap_remove(index.expect("sent once"));
    }
    peer.set_nonblocking(true).expect("an option");
    assert!(peer.recv(&mut buf).is_err(), "more than was sent");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        // The same calls need not fail again.
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn calls_of_two_threads_are_those_of_one(
        programs in prop::array::uniform2(prop::collection::vec(any::<u8>(), 1..12)),
    ) {
        check(&programs);
    }
}
