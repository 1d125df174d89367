//! Sockets that come and go, and what comes before them.

use core::marker::PhantomData;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

use super::{Contender, Kind, Transport};

/// create, connect, close, cleanup.
pub(super) struct Connect<T: Transport> {
    kind: Kind,
    address: T::Address,
    peer: Peer,
}

enum Peer {
    Udp(#[allow(dead_code)] UdpSocket), // only has to be there
    Tcp(TcpListener),
}

impl<T: Transport> Connect<T> {
    pub(super) fn new(kind: Kind) -> Self {
        let (peer, address) = match kind {
            Kind::Udp => {
                let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
                let address = peer.local_addr();
                (Peer::Udp(peer), address)
            }
            Kind::Tcp => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                listener.set_nonblocking(true).unwrap();
                let address = listener.local_addr();
                (Peer::Tcp(listener), address)
            }
        };
        Connect {
            kind,
            address: T::address(address.unwrap()),
            peer,
        }
    }
}

impl<T: Transport> Contender for Connect<T> {
    fn prepare(&mut self, _n: u64) {
        if let Peer::Tcp(listener) = &self.peer {
            while let Ok((connection, _)) = listener.accept() {
                reset(&connection).unwrap();
            }
        }
    }

    fn run(&mut self, n: u64) {
        for _ in 0..n {
            T::connect_and_close(self.kind, &self.address);
        }
    }
}

/// Makes the end of a connection a reset, so that none waits in TIME-WAIT for
/// a minute and the ports last.
fn reset(connection: &TcpStream) -> io::Result<()> {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: pointer and length describe the linger.
    let result = unsafe {
        libc::setsockopt(
            connection.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of_val(&linger) as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// create, bind, connect, close, cleanup over UDP.
pub(super) struct BindAndConnect<T: Transport> {
    address: T::Address,
    _peer: UdpSocket,
}

impl<T: Transport> BindAndConnect<T> {
    pub(super) fn new() -> Self {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        BindAndConnect {
            address: T::address(peer.local_addr().unwrap()),
            _peer: peer,
        }
    }
}

impl<T: Transport> Contender for BindAndConnect<T> {
    fn run(&mut self, n: u64) {
        for _ in 0..n {
            T::bind_connect_and_close(&self.address);
        }
    }
}

/// A numeric address from text to an endpoint.
pub(super) struct Resolve<T>(PhantomData<T>);

impl<T: Transport> Resolve<T> {
    pub(super) fn new() -> Self {
        Resolve(PhantomData)
    }
}

impl<T: Transport> Contender for Resolve<T> {
    fn run(&mut self, n: u64) {
        for _ in 0..n {
            T::resolve(c"127.0.0.1", c"5683");
        }
    }
}
