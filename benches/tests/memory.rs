//! How much memory an open socket takes, and that it is the same for each.

use std::net::UdpSocket;

use anjay_net_bench::Layer;
use anjay_net_bench::counting::{self, Weighing};
use anjay_net_bench::measure::descriptors;
use anjay_net_bench::operations::{Patience, Transport};

#[global_allocator]
static ALLOCATOR: Weighing = Weighing;

/// Bytes of the object and everything that belongs to it.
const GOAL: i64 = 512;

#[test]
fn an_open_socket_takes_little_however_many_there_are() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = peer.local_addr().unwrap();
    let most = descriptors(10_000);
    let mut sockets = Vec::with_capacity(most);
    let before = counting::bytes();
    for count in [most / 10, most] {
        while sockets.len() < count {
            sockets.push(Layer::udp_to(to, Patience::None));
        }
        let each = (counting::bytes() - before) / count as i64;
        println!("{count} sockets: {each} bytes each");
        assert!(each <= GOAL, "{each} bytes each of {count}");
    }
}
