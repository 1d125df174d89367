//! Sockets that come and go, and what comes before them.

use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

use anjay_net_vtable::Kind;

use super::Contender;
use crate::{Transport, Wait};

/// create, connect, close, cleanup.
pub(super) fn connect<T: Transport>(kind: Kind) -> Contender {
    // Both on every run: one of them is the peer.
    let (udp, tcp) = (
        UdpSocket::bind("127.0.0.1:0"),
        TcpListener::bind("127.0.0.1:0"),
    );
    let (udp, tcp) = (udp.unwrap(), tcp.unwrap());
    tcp.set_nonblocking(true).unwrap();
    let address = T::address(match kind {
        Kind::Udp => udp.local_addr().unwrap(),
        Kind::Tcp => tcp.local_addr().unwrap(),
    });
    let run = move |n| {
        let _ = &udp;
        for _ in 0..n {
            let socket = T::open(kind, Wait::Default);
            socket.connect(&address);
            socket.close();
        }
    };
    Contender::new(run).prepared(move |_| {
        while let Ok((connection, _)) = tcp.accept() {
            reset(&connection).unwrap();
        }
    })
}

/// create, bind, connect, close, cleanup, of UDP.
pub(super) fn bind_and_connect<T: Transport>() -> Contender {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = T::address(peer.local_addr().unwrap());
    Contender::new(move |n| {
        let _ = &peer;
        for _ in 0..n {
            let socket = T::bound(Wait::Default);
            socket.connect(&address);
            socket.close();
        }
    })
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

/// A numeric address from text to an endpoint.
pub(super) fn resolve<T: Transport>() -> Contender {
    Contender::new(|n| {
        for _ in 0..n {
            T::resolve(c"127.0.0.1", c"5683");
        }
    })
}
