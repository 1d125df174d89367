//! Who is away and answers, or does not.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::thread;

use crate::world::World;

/// Where all servers listen.
pub(crate) const PORT: u16 = 5683;

/// [`PORT`] as text.
pub(crate) const PORT_TEXT: &[u8] = b"5683";

/// Where no server listens: connections are refused.
pub(crate) const CLOSED_PORT_TEXT: &[u8] = b"9";

/// What a UDP server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Udp {
    /// Sends back what it gets.
    Echo,
    /// Receives and says nothing.
    Silent,
}

impl World {
    /// A TCP server away, on all its addresses: accepts and hangs up.
    pub(crate) fn serve_tcp(&self) {
        self.serve_tcp_at((Ipv6Addr::UNSPECIFIED, PORT).into());
    }

    /// [`World::serve_tcp`] on one address.
    pub(crate) fn serve_tcp_at(&self, addr: SocketAddr) {
        let listener = self.away(|| TcpListener::bind(addr));
        accept_all(listener.expect("a free port"));
    }

    /// A UDP server away, on this address alone, so that its answers come from
    /// there.
    pub(crate) fn serve_udp(&self, addr: IpAddr, what: Udp) {
        self.serve_udp_at(SocketAddr::new(addr, PORT), what);
    }

    /// [`World::serve_udp`] with a port and perhaps a scope.
    pub(crate) fn serve_udp_at(&self, addr: SocketAddr, what: Udp) {
        let socket = self.away(|| UdpSocket::bind(addr)).expect("a free port");
        answer_all(socket, what);
    }
}

/// A TCP server at home.
pub(crate) fn serve_tcp_here(addr: SocketAddr) {
    accept_all(TcpListener::bind(addr).expect("a free port"));
}

/// A UDP server at home that echoes.
pub(crate) fn serve_udp_here(addr: SocketAddr) {
    answer_all(UdpSocket::bind(addr).expect("a free port"), Udp::Echo);
}

fn accept_all(listener: TcpListener) {
    spawn("tcp server", move || {
        loop {
            listener.accept()?;
        }
    });
}

fn answer_all(socket: UdpSocket, what: Udp) {
    spawn("udp server", move || {
        let mut buf = [0; 2048];
        loop {
            let (len, from) = socket.recv_from(&mut buf)?;
            if what == Udp::Echo {
                socket.send_to(&buf[..len], from)?;
            }
        }
    });
}

/// A thread that serves until the process ends.
fn spawn(name: &str, serve: impl FnOnce() -> io::Result<()> + Send + 'static) {
    let thread = thread::Builder::new().name(name.into());
    thread
        .spawn(move || {
            if let Err(error) = serve() {
                eprintln!("a server of the lab ended: {error}");
            }
        })
        .expect("a thread");
}
