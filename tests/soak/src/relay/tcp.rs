//! Streams: cut into other pieces and delayed.

use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::{DOORS, FRONTS, Relay, Weather, number_of, open_doors};
use crate::alarms::Alarms;

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
    /// Connections.
    pub(crate) accepted: u64,
    pub(crate) reset: u64,
    /// Those that ended with as many bytes back as forth.
    pub(crate) complete: u64,
    /// Those that sent something, but no client's number.
    pub(crate) nameless: u64,
}

/// Starts the thread for so many clients.
pub(crate) fn start(clients: usize, seed: u64) -> Relay<Totals> {
    let (ports, mut road) = Road::build(clients, seed);
    Relay::start(ports, move |stop| road.run(stop))
}

struct Connection {
    stream: TcpStream,
    /// What waits to be written, and when; nothing is the end of the stream.
    queue: VecDeque<(Instant, Vec<u8>)>,
    client: Option<usize>,
    /// Bytes forth and back.
    forth: u64,
    back: u64,
    /// Nothing more comes.
    has_ended: bool,
}

struct Road {
    poll: Poll,
    doors: Vec<TcpListener>,
    weather: Weather,
    /// By their tokens, which begin after those of the doors.
    connections: HashMap<usize, Connection>,
    /// When something is due, for whom.
    alarms: Alarms,
    next: usize,
    totals: Totals,
}

impl Road {
    fn build(clients: usize, seed: u64) -> ([u16; FRONTS], Road) {
        let (ports, doors, poll) = open_doors(TcpListener::bind, TcpListener::local_addr);
        let road = Road {
            poll,
            doors,
            weather: Weather::new(seed),
            connections: HashMap::new(),
            alarms: Alarms::default(),
            next: DOORS,
            totals: Totals {
                clients: vec![Tally::default(); clients],
                ..Totals::default()
            },
        };
        (ports, road)
    }

    fn run(&mut self, stop: &AtomicBool) -> Totals {
        let mut events = Events::with_capacity(256);
        while !(stop.load(SeqCst) && self.connections.is_empty() && events.is_empty()) {
            let wait = self.alarms.wait();
            if self.poll.poll(&mut events, Some(wait)).is_ok() {
                for event in &events {
                    match event.token() {
                        Token(door) if door < DOORS => self.accept(door),
                        Token(id) => self.read(id),
                    }
                }
            }
            let now = Instant::now();
            while let Some(id) = self.alarms.next_due(now) {
                self.write(id, now);
            }
        }
        std::mem::take(&mut self.totals)
    }

    fn accept(&mut self, door: usize) {
        while let Ok((mut stream, _)) = self.doors[door].accept() {
            let id = self.next;
            self.next += 1;
            self.totals.accepted += 1;
            let registry = self.poll.registry();
            registry
                .register(&mut stream, Token(id), Interest::READABLE)
                .expect("it can be waited for");
            self.connections.insert(
                id,
                Connection {
                    stream,
                    queue: VecDeque::new(),
                    client: None,
                    forth: 0,
                    back: 0,
                    has_ended: false,
                },
            );
        }
    }

    fn read(&mut self, id: usize) {
        let mut buf = [0; 2048];
        loop {
            let (piece, delay) = (
                self.weather.piece(),
                self.weather.delay() + self.weather.delay(),
            );
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            if connection.has_ended {
                return;
            }
            // The number at the start is taken in one piece.
            let piece = if connection.forth == 0 {
                buf.len()
            } else {
                piece
            };
            let len = match connection.stream.read(&mut buf[..piece]) {
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => {
                    self.totals.reset += 1;
                    self.connections.remove(&id);
                    return;
                }
            };
            let data = &buf[..len];
            connection.has_ended = len == 0;
            if connection.forth == 0 {
                connection.client = number_of(data, self.totals.clients.len());
                self.totals.nameless += u64::from(connection.client.is_none() && len > 0);
            }
            if let Some(client) = connection.client {
                self.totals.clients[client].from_client += len as u64;
            }
            connection.forth += len as u64;
            // In order, whatever the delays.
            let earliest = connection.queue.back().map(|(due, _)| *due);
            let due = (Instant::now() + delay).max(earliest.unwrap_or_else(Instant::now));
            connection.queue.push_back((due, data.to_vec()));
            self.alarms.set(due, id);
        }
    }

    fn write(&mut self, id: usize, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        while let Some((_, data)) = connection.queue.front_mut().filter(|(due, _)| *due <= now) {
            if data.is_empty() {
                // Fails when the other side is gone, which ends it as well.
                let _ = connection.stream.shutdown(Shutdown::Write);
                self.totals.complete += u64::from(connection.forth == connection.back);
                self.connections.remove(&id);
                return;
            }
            match connection.stream.write(data) {
                Ok(len) => {
                    data.drain(..len);
                    connection.back += len as u64;
                    if let Some(client) = connection.client {
                        self.totals.clients[client].to_client += len as u64;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.totals.reset += 1;
                    self.connections.remove(&id);
                    return;
                }
            }
            if data.is_empty() {
                connection.queue.pop_front();
            } else {
                self.alarms.set(now + RETRY, id);
                return;
            }
        }
    }
}
