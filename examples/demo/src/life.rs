//! The life as a list of steps, and what they share.

use std::sync::mpsc::Sender;
use std::time::Instant;

use anjay_net_vtable as vtable;

use crate::Arguments;
use crate::client::Client;
use crate::names;
use crate::report::{Outcome, Step, Stop};
use crate::server::Server;
use crate::slow_reader::Request;
use crate::steps;
use crate::target::{Target, Transport};

/// A title, and what is played.
type Entry = (&'static str, fn(&mut Life) -> Outcome);

/// The steps, by number.
pub const STEPS: [Entry; 9] = [
    ("archive", steps::archive),
    ("register", steps::register),
    ("read", steps::read),
    ("truncate", steps::truncate),
    ("download", steps::download),
    ("reconnect", steps::reconnect),
    ("outage", steps::outage),
    ("stream", steps::stream),
    ("counters", steps::counters),
];

/// What the steps share.
pub struct Life {
    /// The client; registered, once step 1 held.
    pub client: Client,
    /// Step 7: what the slow reader got, and what the socket counted.
    pub stream: Option<(Request, (u64, u64))>,
    /// The embedded server.
    server: Option<Server>,
    pub endpoint: String,
    pub udp_listen_port: Option<u16>,
}

/// Plays every step that can be played, and tells how it ended.
pub fn play(arguments: &Arguments, tell: &Sender<Step>) {
    let mut life = match Life::start(arguments) {
        Ok(life) => life,
        Err(problem) => {
            let mut step = Step::hung(1, Default::default());
            step.outcome = Err(Stop::Failed(problem));
            let _ = tell.send(step);
            return;
        }
    };
    for (number, (_, step)) in STEPS.iter().enumerate() {
        let (before, started) = (life.traffic(), Instant::now());
        let outcome = step(&mut life);
        let after = life.traffic();
        let _ = tell.send(Step {
            number,
            time: started.elapsed(),
            bytes: (after.0 - before.0, after.1 - before.1),
            outcome,
        });
    }
    drop(life);
    vtable::clean_up();
}

impl Life {
    fn start(arguments: &Arguments) -> Result<Life, String> {
        let initialized = vtable::initialize().ok();
        initialized.map_err(|code| format!("the library can't be initialized: {code}"))?;
        let (target, server) = match &arguments.server {
            Some(target) => (target.clone(), None),
            None => {
                let server = Server::start(&names::ADDRESSES)
                    .map_err(|error| format!("the embedded server can't start: {error}"))?;
                let target = Target {
                    transport: Transport::Udp,
                    host: names::NAME.to_owned(),
                    port: server.addresses[0].port().to_string(),
                };
                (target, Some(server))
            }
        };
        Ok(Life {
            client: Client::new(target),
            stream: None,
            server,
            endpoint: arguments.endpoint.clone(),
            udp_listen_port: arguments.udp_listen_port,
        })
    }

    /// The embedded server and the client together.
    pub fn server_and_client(&mut self) -> Result<(&mut Server, &mut Client), Stop> {
        match &mut self.server {
            Some(server) => Ok((server, &mut self.client)),
            None => Err(skipped(
                "needs control of the server, which only the embedded one gives",
            )),
        }
    }

    /// The embedded server, if it is played against.
    pub fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// Skips a step that needs a registration.
    pub fn need_registration(&self) -> Result<(), Stop> {
        match self.client.location {
            Some(_) => Ok(()),
            None => Err(skipped("the client is not registered")),
        }
    }

    /// Skips a step that is about datagrams.
    pub fn need_datagrams(&self) -> Result<(), Stop> {
        self.need_registration()?;
        match self.client.target.transport {
            Transport::Udp => Ok(()),
            Transport::Tcp => Err(skipped(
                "is about datagrams, and the server is reached over TCP",
            )),
        }
    }

    /// What the option keys of the client's sockets say.
    fn traffic(&self) -> (u64, u64) {
        let stream = self.stream.as_ref().map_or((0, 0), |(_, counted)| *counted);
        let socket = &self.client.socket;
        (
            socket.bytes_sent() + stream.0,
            socket.bytes_received() + stream.1,
        )
    }
}

pub fn skipped(reason: &str) -> Stop {
    Stop::Skipped(reason.to_owned())
}
