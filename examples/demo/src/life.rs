//! The life as a list of steps, and what they share.

use std::net::SocketAddr;

use crate::client::Client;
use crate::names;
use crate::outcome::{Done, Failure, Outcome, Traffic};
use crate::report::Report;
use crate::server::Server;
use crate::slow_reader::Summary;
use crate::steps;
use crate::target::Target;
use crate::tcp_client::TcpClient;
use crate::vtable_client::{Library, Socket};

/// What a step can't do without.
#[derive(Clone, Copy, Debug)]
enum Need {
    /// A server that is reached over UDP.
    Datagrams,
    /// A server that this process can read from, kill and revive.
    OwnServer,
    /// A server that answered before.
    Answers,
    /// A registration.
    Registration,
}

/// A part of the life.
struct Step {
    number: u8,
    title: &'static str,
    needs: &'static [Need],
    play: fn(&mut Life) -> Outcome,
}

const STEPS: [Step; 8] = [
    Step {
        number: 1,
        title: "register",
        needs: &[],
        play: steps::registration::play,
    },
    Step {
        number: 2,
        title: "read",
        needs: &[Need::OwnServer, Need::Registration],
        play: steps::reads::play,
    },
    Step {
        number: 3,
        title: "truncate",
        needs: &[Need::Datagrams, Need::Answers],
        play: steps::truncation::play,
    },
    Step {
        number: 4,
        title: "download",
        needs: &[Need::Datagrams, Need::Answers],
        play: steps::download::play,
    },
    Step {
        number: 5,
        title: "reconnect",
        needs: &[Need::Datagrams, Need::Answers],
        play: steps::reconnect::play,
    },
    Step {
        number: 6,
        title: "outage",
        needs: &[Need::OwnServer, Need::Registration],
        play: steps::outage::play,
    },
    Step {
        number: 7,
        title: "stream",
        needs: &[],
        play: steps::stream::play,
    },
    Step {
        number: 8,
        title: "counters",
        needs: &[Need::Answers],
        play: steps::counters::play,
    },
];

/// What the steps share.
pub struct Life {
    // Sockets go before the library that made them.
    /// The client over UDP, from step 1 on.
    pub client: Option<Client>,
    /// The client over TCP, from step 1 on if the target is reached so.
    pub tcp: Option<TcpClient>,
    /// What the slow reader of step 7 counted, and what the socket did.
    pub stream: Option<(Summary, Traffic)>,
    /// The embedded server.
    pub server: Option<Server>,
    /// The library under test.
    pub library: Library,
    /// The server played against.
    pub target: Target,
    /// The endpoint name.
    pub endpoint: String,
    /// The client's port, if the user chose one.
    pub udp_listen_port: Option<u16>,
}

impl Life {
    /// Initializes the library and starts the embedded server if it is wanted.
    pub fn start(
        target: Target,
        endpoint: String,
        udp_listen_port: Option<u16>,
    ) -> Result<Self, String> {
        let library = Library::initialize().map_err(|error| error.to_string())?;
        let server = match target {
            Target::Embedded => {
                let addresses = if names::AVAILABLE {
                    &names::ADDRESSES[..]
                } else {
                    &names::ADDRESSES[..1]
                };
                let server = Server::start(addresses)
                    .map_err(|error| format!("the embedded server can't start: {error}"))?;
                Some(server)
            }
            Target::Udp { .. } | Target::Tcp { .. } => None,
        };
        Ok(Self {
            client: None,
            tcp: None,
            stream: None,
            server,
            library,
            target,
            endpoint,
            udp_listen_port,
        })
    }

    /// Plays every step that can be played.
    pub fn play(&mut self, report: &Report) {
        for step in &STEPS {
            report.begin(step.number, step.title);
            let before = self.traffic();
            let outcome = match step.needs.iter().find_map(|&need| self.lacks(need)) {
                Some(reason) => Ok(Done::skipped(reason)),
                None => (step.play)(self),
            };
            let after = self.traffic();
            let traffic = Traffic {
                sent: after.sent.saturating_sub(before.sent),
                received: after.received.saturating_sub(before.received),
            };
            report.end(outcome, traffic);
        }
    }

    /// The server's host and port as a client is configured with them.
    pub fn server_host_port(&self) -> (String, String) {
        match (&self.target, &self.server) {
            (Target::Udp { host, port } | Target::Tcp { host, port }, _) => {
                (host.clone(), port.clone())
            }
            (Target::Embedded, server) => {
                let address = server.as_ref().map(|server| server.addresses()[0]);
                let host = match address {
                    Some(address) if !names::AVAILABLE => address.ip().to_string(),
                    _ => names::NAME.to_owned(),
                };
                (
                    host,
                    address.map_or(0, |address| address.port()).to_string(),
                )
            }
        }
    }

    /// The server in words.
    pub fn server_text(&self) -> String {
        let (host, port) = self.server_host_port();
        match (&self.target, &self.server) {
            (Target::Embedded, Some(server)) => {
                let addresses: Vec<String> = server
                    .addresses()
                    .iter()
                    .map(|address| address.ip().to_string())
                    .collect();
                format!("embedded, coap://{host}:{port} at {}", addresses.join(" "))
            }
            _ => self.target.to_string(),
        }
    }

    /// The client, or the failure of a step that is played without one.
    pub fn client(&mut self) -> Result<&mut Client, Failure> {
        self.client
            .as_mut()
            .ok_or_else(|| Failure::new("the client of step 1", "none"))
    }

    /// The embedded server and the client together.
    pub fn server_and_client(&mut self) -> Result<(&mut Server, &mut Client), Failure> {
        match (&mut self.server, &mut self.client) {
            (Some(server), Some(client)) => Ok((server, client)),
            _ => Err(Failure::new(
                "the embedded server and the client of step 1",
                "not both",
            )),
        }
    }

    /// Why a step with this need can't be played, if it can't.
    fn lacks(&self, need: Need) -> Option<String> {
        let client = self.client.as_ref();
        let (lacking, reason) = match need {
            Need::Datagrams => (
                matches!(self.target, Target::Tcp { .. }),
                "is about datagrams, and the server is reached over TCP",
            ),
            Need::OwnServer => (
                self.server.is_none(),
                "needs control of the server, which only the embedded one gives",
            ),
            Need::Answers => (
                self.tcp.is_none() && !client.is_some_and(|client| client.was_answered),
                "the server did not answer in step 1",
            ),
            Need::Registration => (
                client.is_none_or(|client| client.location.is_none()),
                "the client is not registered",
            ),
        };
        lacking.then(|| reason.to_owned())
    }

    /// What the option keys of the client's sockets say; 0 for no socket.
    fn traffic(&self) -> Traffic {
        let sockets = [
            self.client.as_ref().map(|c| &c.socket),
            self.tcp.as_ref().map(|t| &t.socket),
        ];
        sockets
            .into_iter()
            .flatten()
            .map(traffic_of)
            .fold(Traffic::default(), |sum, one| Traffic {
                sent: sum.sent + one.sent,
                received: sum.received + one.received,
            })
    }
}

/// What a socket's option keys say; 0 for one that fails to say.
pub fn traffic_of(socket: &Socket) -> Traffic {
    Traffic {
        sent: socket.bytes_sent().unwrap_or(0),
        received: socket.bytes_received().unwrap_or(0),
    }
}

/// The address in text as the library prints it: no port, no brackets.
pub fn host_of(address: SocketAddr) -> String {
    address.ip().to_string()
}
