//! What never allocates, once it runs.

use anjay_net::abi::{AddressFamily, SocketOptKey};
use anjay_net_bench::counting::{self, Counting};
use anjay_net_bench::operations::{Kind, OPERATIONS, Patience, Transport};
use anjay_net_bench::{Layer, Who};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread meanwhile.
fn allocations(act: impl FnOnce()) -> u64 {
    let before = counting::allocations();
    act();
    counting::allocations() - before
}

#[test]
fn transfers_do_not_allocate() {
    for operation in OPERATIONS {
        if operation.goals.allocations != Some(0) {
            continue;
        }
        let mut contender = operation.contender(Who::Layer);
        // The first one may.
        contender.prepare(1);
        contender.run(1);
        contender.prepare(operation.batch);
        let counted = allocations(|| contender.run(operation.batch));
        assert_eq!(counted, 0, "{}", operation.title);
    }
}

fn sockets() -> [(Kind, Layer); 2] {
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = Layer::udp_to(peer.local_addr().unwrap(), Patience::None);
    let (tcp, _) = Layer::tcp_pair();
    [(Kind::Udp, udp), (Kind::Tcp, tcp)]
}

#[test]
fn options_do_not_allocate() {
    use SocketOptKey::{
        AddrFamily, BytesReceived, BytesSent, ForcedAddrFamily, HasBufferedData, InnerMtu, Mtu,
        PreferredAddrFamily, RecvTimeout, State,
    };
    for (kind, socket) in sockets() {
        let counted = allocations(|| {
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
                socket.get_opt(key);
            }
            if kind == Kind::Udp {
                socket.get_opt(InnerMtu);
            }
            socket.set_timeout(Patience::Second);
            socket.set_preferred_family(AddressFamily::Inet4);
        });
        assert_eq!(counted, 0, "{kind:?}");
    }
}

#[test]
fn asking_who_is_where_does_not_allocate() {
    for (kind, socket) in sockets() {
        let counted = allocations(|| {
            socket.get_texts();
            socket.get_interface_name();
            assert!(socket.descriptor() >= 0);
        });
        assert_eq!(counted, 0, "{kind:?}");
    }
}
