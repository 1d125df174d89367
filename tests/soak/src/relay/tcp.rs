//! Streams: cut into other pieces and delayed, and reset when either end is.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::{DOORS, FRONTS, Relay, bind_all, number_of};
use crate::weather::Weather;

/// How long to sleep when nothing is due.
const IDLE: Duration = Duration::from_millis(20);

/// How long to wait for room in a send buffer.
const RETRY: Duration = Duration::from_millis(5);

/// Bytes that passed one client's side of the relay.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) from_client: u64,
    pub(crate) to_client: u64,
}

/// What passed in all.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) clients: Vec<Tally>,
    pub(crate) echo_received: u64,
    pub(crate) echo_sent: u64,
    /// Connections.
    pub(crate) accepted: u64,
    pub(crate) reset: u64,
    /// Those that ended in both directions with as many bytes back as forth.
    pub(crate) complete: u64,
    /// Connections that sent something, but no client's number.
    pub(crate) nameless: u64,
}

/// Starts the thread for so many clients.
pub(crate) fn start(clients: usize, seed: u64) -> Relay<Totals> {
    let (ports, mut road) = Road::build(clients, seed);
    Relay::start(ports, move |stop| road.run(stop))
}

/// One end of a relayed connection.
struct End {
    stream: TcpStream,
    /// What waits to be written to it.
    queue: VecDeque<Piece>,
    /// Nothing more comes from it.
    has_ended: bool,
}

struct Piece {
    due: Instant,
    /// Empty is the end of the stream.
    data: Vec<u8>,
}

struct Pair {
    /// The client and the echo peer.
    ends: [End; 2],
    client: Option<usize>,
    forth: u64,
    back: u64,
    /// Ends of a stream that were passed on.
    closed: usize,
}

struct Road {
    poll: Poll,
    listeners: Vec<TcpListener>,
    echo: TcpListener,
    echo_addr: SocketAddr,
    weather: Weather,
    pairs: HashMap<usize, Pair>,
    echoes: HashMap<usize, TcpStream>,
    /// When something is due, for whom.
    alarms: BinaryHeap<Reverse<(Instant, usize)>>,
    next: usize,
    totals: Totals,
}

const CLIENT: usize = 0;
const ECHO: usize = 1;

const ECHO_LISTENER: Token = Token(DOORS);

/// Connections have numbers from here on; both ends of a pair and the echo
/// peer's have three tokens in a row.
const FIRST: usize = DOORS + 1;
const TOKENS: usize = 3;
const ECHO_PEER: usize = 2;

impl Road {
    fn build(clients: usize, seed: u64) -> ([u16; FRONTS], Road) {
        let port_of = |listener: &TcpListener| listener.local_addr().expect("it is bound").port();
        let mut listeners = Vec::new();
        let ports = [(); FRONTS].map(|()| {
            let (port, all) = bind_all(TcpListener::bind, port_of);
            listeners.extend(all);
            port
        });
        let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a TCP socket");
        let echo_addr = echo.local_addr().expect("it is bound");
        let mut road = Road {
            poll: Poll::new().expect("an epoll descriptor"),
            listeners,
            echo,
            echo_addr,
            weather: Weather::new(seed),
            pairs: HashMap::new(),
            echoes: HashMap::new(),
            alarms: BinaryHeap::new(),
            next: 0,
            totals: Totals {
                clients: vec![Tally::default(); clients],
                ..Totals::default()
            },
        };
        let registry = road.poll.registry();
        for (index, listener) in road.listeners.iter_mut().enumerate() {
            registry
                .register(listener, Token(index), Interest::READABLE)
                .expect("it can be waited for");
        }
        registry
            .register(&mut road.echo, ECHO_LISTENER, Interest::READABLE)
            .expect("it can be waited for");
        (ports, road)
    }

    fn run(&mut self, stop: &AtomicBool) -> Totals {
        let mut events = Events::with_capacity(256);
        loop {
            let now = Instant::now();
            let next = self.alarms.peek().map(|Reverse((due, _))| *due);
            let wait = next.map_or(IDLE, |due| due.saturating_duration_since(now).min(IDLE));
            if self.poll.poll(&mut events, Some(wait)).is_err() {
                continue;
            }
            for event in &events {
                match event.token() {
                    ECHO_LISTENER => self.accept_echoes(),
                    Token(listener) if listener < FIRST => self.accept_clients(listener),
                    Token(token) => {
                        let (id, role) = ((token - FIRST) / TOKENS, (token - FIRST) % TOKENS);
                        match role {
                            ECHO_PEER => self.echo_back(id),
                            end => self.read(id, end),
                        }
                    }
                }
            }
            self.write_what_is_due();
            let is_idle = self.pairs.is_empty() && self.echoes.is_empty() && events.is_empty();
            if stop.load(SeqCst) && is_idle {
                return std::mem::take(&mut self.totals);
            }
        }
    }

    fn register(&self, stream: &mut TcpStream, id: usize, role: usize) {
        let token = Token(FIRST + id * TOKENS + role);
        self.poll
            .registry()
            .register(stream, token, Interest::READABLE)
            .expect("it can be waited for");
    }

    fn accept_clients(&mut self, listener: usize) {
        while let Ok((mut client, _)) = self.listeners[listener].accept() {
            let mut echo = TcpStream::connect(self.echo_addr).expect("a descriptor");
            let id = self.next;
            self.next += 1;
            self.register(&mut client, id, CLIENT);
            self.register(&mut echo, id, ECHO);
            let end = |stream| End {
                stream,
                queue: VecDeque::new(),
                has_ended: false,
            };
            self.totals.accepted += 1;
            self.pairs.insert(
                id,
                Pair {
                    ends: [end(client), end(echo)],
                    client: None,
                    forth: 0,
                    back: 0,
                    closed: 0,
                },
            );
        }
    }

    fn accept_echoes(&mut self) {
        while let Ok((mut stream, _)) = self.echo.accept() {
            let id = self.next;
            self.next += 1;
            self.register(&mut stream, id, ECHO_PEER);
            self.echoes.insert(id, stream);
        }
    }

    /// The echo peer: what it reads fits into its send buffer, as clients wait
    /// for their answers.
    fn echo_back(&mut self, id: usize) {
        let Some(stream) = self.echoes.get_mut(&id) else {
            return;
        };
        let mut buf = [0; 4096];
        loop {
            match stream.read(&mut buf) {
                Ok(len @ 1..) => {
                    self.totals.echo_received += len as u64;
                    if stream.write_all(&buf[..len]).is_err() {
                        break;
                    }
                    self.totals.echo_sent += len as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        self.echoes.remove(&id);
    }

    fn read(&mut self, id: usize, from: usize) {
        let mut buf = [0; 2048];
        loop {
            let piece = self.weather.piece();
            let delay = self.weather.delay();
            let Some(pair) = self.pairs.get_mut(&id) else {
                return;
            };
            if pair.ends[from].has_ended {
                return;
            }
            // The number at the start is taken in one piece.
            let piece = if pair.forth == 0 { buf.len() } else { piece };
            let len = match pair.ends[from].stream.read(&mut buf[..piece]) {
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return self.reset(id),
            };
            let data = &buf[..len];
            pair.ends[from].has_ended = len == 0;
            if from == CLIENT {
                if pair.forth == 0 && pair.client.is_none() {
                    pair.client = first_number(data, &self.totals);
                }
                if let Some(client) = pair.client {
                    self.totals.clients[client].from_client += len as u64;
                }
                pair.forth += len as u64;
            }
            let queue = &mut pair.ends[1 - from].queue;
            // In order, whatever the delays.
            let earliest = queue.back().map(|piece| piece.due);
            let due = (Instant::now() + delay).max(earliest.unwrap_or_else(Instant::now));
            queue.push_back(Piece {
                due,
                data: data.to_vec(),
            });
            self.alarms.push(Reverse((due, id)));
        }
    }

    fn write_what_is_due(&mut self) {
        let now = Instant::now();
        while let Some(&Reverse((due, id))) = self.alarms.peek() {
            if due > now {
                return;
            }
            self.alarms.pop();
            self.write(id, now);
        }
    }

    fn write(&mut self, id: usize, now: Instant) {
        let Some(pair) = self.pairs.get_mut(&id) else {
            return;
        };
        let mut is_broken = false;
        for to in [CLIENT, ECHO] {
            let end = &mut pair.ends[to];
            while end.queue.front().is_some_and(|piece| piece.due <= now) {
                let Some(mut piece) = end.queue.pop_front() else {
                    break;
                };
                if piece.data.is_empty() {
                    pair.closed += 1;
                    // Fails when the other side is gone, which is noticed.
                    let _ = end.stream.shutdown(Shutdown::Write);
                    continue;
                }
                match end.stream.write(&piece.data) {
                    Ok(len) => {
                        if to == CLIENT {
                            pair.back += len as u64;
                            if let Some(client) = pair.client {
                                self.totals.clients[client].to_client += len as u64;
                            }
                        }
                        piece.data.drain(..len);
                    }
                    Err(error) if is_passing(&error) => {}
                    Err(_) => {
                        is_broken = true;
                        break;
                    }
                }
                if !piece.data.is_empty() {
                    piece.due = now + RETRY;
                    self.alarms.push(Reverse((piece.due, id)));
                    end.queue.push_front(piece);
                    break;
                }
            }
        }
        let is_complete = pair.closed == 2;
        if is_broken {
            self.reset(id);
        } else if is_complete {
            if let Some(pair) = self.pairs.remove(&id) {
                self.totals.complete += u64::from(pair.forth == pair.back);
                self.totals.nameless += u64::from(pair.client.is_none() && pair.forth > 0);
            }
        }
    }

    /// One end was reset: so is the other.
    fn reset(&mut self, id: usize) {
        if let Some(pair) = self.pairs.remove(&id) {
            self.totals.reset += 1;
            for end in &pair.ends {
                let socket = socket2::SockRef::from(&end.stream);
                let _ = socket.set_linger(Some(Duration::ZERO));
            }
        }
    }
}

/// A send buffer that is full, or a connection to the echo peer that is not
/// there yet.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NotConnected
    )
}

fn first_number(data: &[u8], totals: &Totals) -> Option<usize> {
    number_of(data).filter(|&client| client < totals.clients.len())
}
