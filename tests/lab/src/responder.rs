//! A name server that behaves as badly as it is told to.
//!
//! As much of RFC 1035 as an answer of A or AAAA records takes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anjay_net_resolve::Family;

use crate::world::{NAME_SERVER, World};

/// What becomes of a question.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// These addresses, those of the family that was asked for; perhaps none.
    Addresses(Vec<IpAddr>),
    /// NXDOMAIN.
    NoSuchName,
    /// SERVFAIL.
    ServerFailure,
    /// Nothing, ever.
    Silence,
    /// The same, but later.
    Later(Duration, Box<Reply>),
}

impl Reply {
    /// These addresses.
    pub(crate) fn addresses(addrs: &[IpAddr]) -> Reply {
        Reply::Addresses(addrs.to_vec())
    }

    /// The reply, later.
    pub(crate) fn after(self, delay: Duration) -> Reply {
        Reply::Later(delay, Box::new(self))
    }
}

/// A name server at [`NAME_SERVER`].
pub(crate) struct Responder {
    asked: Arc<Mutex<Vec<(String, Family)>>>,
}

impl Responder {
    /// Starts it; `decide` tells what becomes of a question.
    pub(crate) fn start(
        world: &World,
        decide: impl Fn(&str, Family) -> Reply + Send + 'static,
    ) -> Responder {
        Responder::start_at(world, NAME_SERVER, decide)
    }

    /// [`Responder::start`] at another address.
    pub(crate) fn start_at(
        world: &World,
        addr: IpAddr,
        decide: impl Fn(&str, Family) -> Reply + Send + 'static,
    ) -> Responder {
        world.add_away(&[addr]);
        let socket = world
            .away(|| UdpSocket::bind((addr, 53)))
            .expect("a free port");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let service = Service {
            socket,
            decide,
            asked: Arc::clone(&asked),
            due: BinaryHeap::new(),
        };
        thread::Builder::new()
            .name("name server".into())
            .spawn(move || service.run())
            .expect("a thread");
        Responder { asked }
    }

    /// How often this question came.
    pub(crate) fn asked(&self, name: &str, family: Family) -> usize {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked
            .iter()
            .filter(|(other, of)| other == name && *of == family)
            .count()
    }
}

struct Service<F> {
    socket: UdpSocket,
    decide: F,
    asked: Arc<Mutex<Vec<(String, Family)>>>,
    /// Answers for later, the soonest on top.
    due: BinaryHeap<Reverse<(Instant, Vec<u8>, SocketAddr)>>,
}

impl<F: Fn(&str, Family) -> Reply> Service<F> {
    fn run(mut self) {
        let mut buf = [0; 512];
        loop {
            let patience = self.send_due();
            self.socket
                .set_read_timeout(patience)
                .expect("a timeout above zero");
            match self.socket.recv_from(&mut buf) {
                Ok((len, from)) => self.hear(&buf[..len], from),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => eprintln!("the name server of the lab: {error}"),
            }
        }
    }

    /// Sends what is due, and says how long nothing will be.
    fn send_due(&mut self) -> Option<Duration> {
        loop {
            let Reverse((at, ..)) = self.due.peek()?;
            let left = at.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Some(left);
            }
            if let Some(Reverse((_, answer, to))) = self.due.pop() {
                // Nobody may be there any more to hear it.
                let _ = self.socket.send_to(&answer, to);
            }
        }
    }

    fn hear(&mut self, query: &[u8], from: SocketAddr) {
        let Some(question) = Question::read(query) else {
            return;
        };
        let family = question.family;
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((question.name.clone(), family));
        let (mut at, mut reply) = (Instant::now(), (self.decide)(&question.name, family));
        while let Reply::Later(delay, later) = reply {
            at += delay;
            reply = *later;
        }
        let answer = match reply {
            Reply::Addresses(addrs) => question.answer(NO_ERROR, &addrs),
            Reply::NoSuchName => question.answer(NAME_ERROR, &[]),
            Reply::ServerFailure => question.answer(SERVER_FAILURE, &[]),
            Reply::Silence | Reply::Later(..) => return,
        };
        self.due.push(Reverse((at, answer, from)));
    }
}

/// RFC 1035 section 4.1.1.
const NO_ERROR: u8 = 0;
const SERVER_FAILURE: u8 = 2;
const NAME_ERROR: u8 = 3;

/// Bytes before the question.
const HEADER: usize = 12;

struct Question<'a> {
    /// The query up to the end of its question.
    query: &'a [u8],
    name: String,
    family: Family,
}

impl<'a> Question<'a> {
    /// `None` for what asks for no address.
    fn read(query: &'a [u8]) -> Option<Question<'a>> {
        let mut rest = query.get(HEADER..)?;
        let mut labels = Vec::new();
        loop {
            let (&len, after) = rest.split_first()?;
            let (label, after) = after.split_at_checked(len.into())?;
            rest = after;
            if label.is_empty() {
                break;
            }
            labels.push(String::from_utf8_lossy(label).to_lowercase());
        }
        let family = match rest.get(..4)? {
            [0, 1, 0, 1] => Family::V4,
            [0, 28, 0, 1] => Family::V6,
            _ => return None,
        };
        Some(Question {
            query: &query[..query.len() - rest.len() + 4],
            name: labels.join("."),
            family,
        })
    }

    fn answer(&self, code: u8, addrs: &[IpAddr]) -> Vec<u8> {
        let records: Vec<u8> = addrs
            .iter()
            .filter_map(|addr| match (addr, self.family) {
                (IpAddr::V4(addr), Family::V4) => Some((1, addr.octets().to_vec())),
                (IpAddr::V6(addr), Family::V6) => Some((28, addr.octets().to_vec())),
                _ => None,
            })
            // The name of the question; type, class IN, TTL 0; the address.
            .flat_map(|(kind, data)| {
                let len = data.len() as u8;
                [0xC0, HEADER as u8, 0, kind, 0, 1, 0, 0, 0, 0, 0, len]
                    .into_iter()
                    .chain(data)
            })
            .collect();
        let record_len = match self.family {
            Family::V4 => 16,
            Family::V6 => 28,
        };
        let count = records.len() / record_len;
        // An answer, authoritative; recursion desired and available.
        let flags = [0x85, 0x80 | code];
        let counts = [0, 1, 0, count as u8, 0, 0, 0, 0];
        [
            &self.query[..2],
            &flags,
            &counts,
            &self.query[HEADER..],
            &records,
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "a.test IN AAAA" with id 7, and one more byte.
    const QUERY: &[u8] = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01A\x04test\0\0\x1c\0\x01!";

    #[test]
    fn an_answer_repeats_the_question() {
        let question = Question::read(QUERY).unwrap();
        assert_eq!(question.name, "a.test");
        assert_eq!(question.family, Family::V6);
        let addrs = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().unwrap());
        let answer = question.answer(NO_ERROR, &addrs);
        assert_eq!(answer[..2], [0, 7]);
        assert_eq!(answer[6..8], [0, 1]);
        assert_eq!(
            answer[HEADER..QUERY.len() - 1],
            QUERY[HEADER..QUERY.len() - 1]
        );
        assert_eq!(answer[answer.len() - 2..], [0, 1]);
        assert_eq!(answer.len(), QUERY.len() - 1 + 28);
    }

    #[test]
    fn what_is_cut_is_no_question() {
        for len in 0..QUERY.len() - 1 {
            assert!(Question::read(&QUERY[..len]).is_none(), "{len}");
        }
    }
}
