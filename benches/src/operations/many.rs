//! Whether a send costs the same with many sockets open and on two threads.

use std::net::UdpSocket;
use std::thread;

use anjay_net_support::process::{pin_to, raise_descriptor_limit};
use anjay_net_vtable::Kind;

use super::Contender;
use super::transfer::{SIZE, drain, peer};
use crate::measure::cores;
use crate::{Transport, Wait};

/// Sends by each of the sockets in turn, so that nothing about them is in a
/// cache longer than so many allow.
pub(super) fn send_in_turn<T: Transport>(wanted: usize) -> Contender {
    // Both contenders are alive at once, and some descriptors are for others.
    let count = wanted.min(raise_descriptor_limit() / 2 - 50);
    let peer = peer();
    let to = peer.local_addr().unwrap();
    let sockets: Vec<T> = (0..count).map(|_| T::to(Kind::Udp, to, Wait::No)).collect();
    let mut next = 0;
    let run = move |n| {
        for _ in 0..n {
            sockets[next].send(&[7; SIZE]);
            next = (next + 1) % sockets.len();
        }
    };
    Contender::new(run).prepared(drain(peer))
}

/// Each thread has a socket and, where there are two, a core of its own.
pub(super) fn send_on_two_threads<T: Transport + Sync>() -> Contender {
    let peers = [peer(), peer()];
    let sockets = peers
        .each_ref()
        .map(|peer: &UdpSocket| -> T { T::to(Kind::Udp, peer.local_addr().unwrap(), Wait::No) });
    let run = move |n| {
        thread::scope(|scope| {
            for (socket, &core) in sockets.iter().zip(cores().iter().cycle()) {
                scope.spawn(move || {
                    pin_to(core);
                    for _ in 0..n / 2 {
                        socket.send(&[7; SIZE]);
                    }
                });
            }
        });
    };
    let mut drains = peers.map(drain);
    Contender::new(run).prepared(move |n| drains.iter_mut().for_each(|drain| drain(n)))
}
