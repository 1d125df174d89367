//! What never allocates, and how much memory an open socket takes.

use std::net::UdpSocket;

use anjay_net_bench::heap::{self, Counting};
use anjay_net_bench::{Layer, Transport, Wait};
use anjay_net_support::process::raise_descriptor_limit;
use anjay_net_vtable::abi::SocketOptKey::{
    AddrFamily, BytesReceived, BytesSent, ForcedAddrFamily, HasBufferedData, InnerMtu, Mtu,
    PreferredAddrFamily, RecvTimeout, State,
};
use anjay_net_vtable::{Info, Kind, code};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes of an open socket and everything that belongs to it, at most.
const BUDGET: i64 = 512;

#[test]
fn options_and_information_do_not_allocate() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = Layer::to(Kind::Udp, peer.local_addr().unwrap(), Wait::No);
    let (tcp, _server) = Layer::tcp_pair();
    for (kind, Layer(socket)) in [(Kind::Udp, udp), (Kind::Tcp, tcp)] {
        let mut text = [0; 64];
        let before = heap::allocations();
        for key in [
            RecvTimeout,
            State,
            AddrFamily,
            Mtu,
            BytesSent,
            BytesReceived,
            HasBufferedData,
            PreferredAddrFamily,
            ForcedAddrFamily,
        ] {
            assert_eq!(socket.try_option(key), code::OK);
        }
        if kind == Kind::Udp {
            assert_eq!(socket.try_option(InnerMtu), code::OK);
        }
        assert_eq!(socket.set_receive_timeout((1, 0)), code::OK);
        let set = socket.set_int_option(PreferredAddrFamily as i32, 1);
        assert_eq!(set, code::OK);
        for info in [
            Info::RemoteHost,
            Info::RemoteHostname,
            Info::RemotePort,
            Info::LocalHost,
            Info::LocalPort,
        ] {
            assert_eq!(socket.write_info(info, &mut text), code::OK);
        }
        assert_eq!(socket.write_interface_name(&mut text), code::OK);
        assert!(socket.descriptor().is_some());
        assert_eq!(heap::allocations() - before, 0, "{kind:?}");
    }
}

#[test]
fn an_open_socket_takes_little_however_many_there_are() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = peer.local_addr().unwrap();
    let most = raise_descriptor_limit().min(10_000) - 100;
    let mut sockets = Vec::with_capacity(most);
    let before = heap::bytes();
    for count in [most / 10, most] {
        while sockets.len() < count {
            sockets.push(Layer::to(Kind::Udp, to, Wait::No));
        }
        let each = (heap::bytes() - before) / count as i64;
        println!("{count} sockets: {each} bytes each");
        assert!(each <= BUDGET, "{each} bytes each of {count}");
    }
}
