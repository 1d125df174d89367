//! The library as a C program uses it.

use core::ffi::{CStr, c_int};
use core::hint::black_box;
use std::ffi::CString;
use std::net::SocketAddr;

use anjay_net_vtable::abi::{AddressFamily, SocketType};
use anjay_net_vtable::{Code, Info, Kind, Question, Socket, addrinfo, code, default_configuration};

use crate::{Transport, Wait};

/// A socket of the library.
pub struct Layer(pub Socket);

#[inline]
fn succeed(outcome: Code) {
    if outcome != code::OK {
        fail(outcome);
    }
}

#[cold]
#[inline(never)]
fn fail(outcome: Code) -> ! {
    panic!("the library returned {outcome}");
}

/// An address as the methods want it.
pub struct HostPort {
    host: CString,
    port: CString,
}

impl Transport for Layer {
    type Address = HostPort;

    fn address(addr: SocketAddr) -> HostPort {
        HostPort {
            host: CString::new(addr.ip().to_string()).unwrap(),
            port: CString::new(addr.port().to_string()).unwrap(),
        }
    }

    #[inline]
    fn open(kind: Kind, wait: Wait) -> Layer {
        // From here on the compiler can't know whose v-table it has.
        let socket = black_box(Socket::create(kind, default_configuration()).unwrap());
        match wait {
            Wait::No => succeed(socket.set_receive_timeout((0, 0))),
            Wait::Second => succeed(socket.set_receive_timeout((1, 0))),
            Wait::Default => {}
        }
        Layer(socket)
    }

    #[inline]
    fn bind(&self) {
        succeed(self.0.bind(c"127.0.0.1", c"0"));
    }

    #[inline]
    fn connect(&self, to: &HostPort) {
        succeed(self.0.connect(&*to.host, &*to.port));
    }

    #[inline]
    fn close(self) {
        succeed(self.0.close());
    }

    fn tcp_pair() -> (Layer, Layer) {
        let listener = Layer::open(Kind::Tcp, Wait::Second);
        listener.bind();
        let client = Layer::to(Kind::Tcp, listener.local_addr(), Wait::Second);
        let server = Layer::open(Kind::Tcp, Wait::Second);
        succeed(listener.0.accept(&server.0));
        (client, server)
    }

    fn local_addr(&self) -> SocketAddr {
        let [host, port] = [Info::LocalHost, Info::LocalPort].map(|info| self.0.info(info, 64));
        SocketAddr::new(
            host.unwrap().parse().unwrap(),
            port.unwrap().parse().unwrap(),
        )
    }

    #[inline]
    fn send(&self, data: &[u8]) {
        succeed(self.0.send(data));
    }

    #[inline]
    fn send_to(&self, data: &[u8], to: &HostPort) {
        succeed(self.0.send_to(data, &*to.host, &*to.port));
    }

    #[inline]
    fn receive(&self, buf: &mut [u8]) -> Option<usize> {
        let (outcome, len) = self.0.receive_into(buf);
        if outcome == code::ETIMEDOUT {
            return None;
        }
        succeed(outcome);
        Some(len)
    }

    #[inline]
    fn receive_from(&self, buf: &mut [u8]) {
        let (mut host, mut port) = ([0; 46], [0; 6]);
        succeed(self.0.receive_from_into(buf, &mut host, &mut port).0);
        black_box((&host, &port));
    }

    #[inline]
    fn resolve(host: &'static CStr, port: &'static CStr) {
        let endpoint = addrinfo::first(&Question {
            socket_type: SocketType::Udp as c_int,
            family: AddressFamily::Unspec as c_int,
            host,
            port,
            flags: 0,
            preferred: None,
        });
        black_box(endpoint.expect("an address"));
    }
}
