//! A connected datagram socket whose network changed: renumbered interfaces,
//! interfaces that were made again, routes that went and came back.
//!
//! The kernel keeps the source address that connect(2) chose, and the interface
//! that `SO_BINDTODEVICE` named by its index, whatever becomes of them. So the
//! socket is tied to its interface by name again, dissolved, and connected to
//! the same peer again: same port, and the source that the routes choose now.

use core::sync::atomic::Ordering::Relaxed;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use anjay_net_resolve::{Family, unmap};
use anjay_net_stats::Event;

use crate::error::{Errno, Result};
use crate::family::is_confined;
use crate::fd_lock::{FdGuard, Flags};
use crate::log_line;
use crate::logging::PeerForLog;
use crate::lookup::{Target, is_usable, probe};
use crate::socket::{Socket, check_not_closed};
use crate::socket_config::{is_tie_broken, tie};
use crate::state::Peer;
use crate::sys::{self, InterfaceName};

/// Errors of a send that tell of a change of the network. `EACCES`: a route that
/// prohibits, as those that keep traffic inside a VPN. `EDESTADDRREQ`: another
/// thread reconnects the socket at this moment, or could not finish; or WireGuard
/// has no endpoint yet.
pub(crate) const NETWORK_CHANGED: [i32; 8] = [
    libc::ENETUNREACH,
    libc::EHOSTUNREACH,
    libc::ENETDOWN,
    libc::EADDRNOTAVAIL,
    libc::EINVAL,
    libc::ENODEV,
    libc::EACCES,
    libc::EDESTADDRREQ,
];

/// Connects the socket to its peer again. Fails without a change when there is
/// no way to the peer.
pub(crate) fn reconnect(socket: &Socket, guard: &mut FdGuard<'_>) -> Result<()> {
    let mut inner = socket.inner.lock();
    check_not_closed(guard)?;
    let Some(peer) = inner.state.peer_mut() else {
        return Err(Errno(libc::EDESTADDRREQ));
    };
    let interface = interface_of(socket, Some(peer));
    let addr = current_scope(interface, peer);
    // On a spare descriptor first: one that was dissolved in vain would have no
    // peer at all. Where there is none to spare, that chance is taken.
    match try_spare(socket, guard.as_fd(), interface, &addr) {
        Err(Errno(libc::EMFILE | libc::ENFILE)) => {}
        tried => tried?,
    }
    // From here to connect(2), datagrams of other sources may be queued.
    guard.set(Flags::FILTER_QUEUE);
    let port_kept = dissolve(guard.as_fd(), interface)?;
    sys::connect(guard.as_fd(), &addr)?;
    peer.addr = addr;
    socket.counters.record(Event::Reconnected);
    // A log handler may use the socket.
    drop(inner);
    if !port_kept {
        log_line!(Warn, socket.id, "its port is taken; another one is used");
    }
    log_line!(
        Info,
        socket.id,
        "{}: connected again after a change of the network",
        PeerForLog(Some(addr))
    );
    Ok(())
}

/// Connects a spare descriptor to `addr`, as `fd` is to be.
#[inline(never)]
fn try_spare(
    socket: &Socket,
    fd: BorrowedFd<'_>,
    interface: Option<InterfaceName>,
    addr: &SocketAddr,
) -> Result<()> {
    let spare = socket.config.open_for(addr, false)?;
    tie(spare.as_fd(), interface)?;
    if socket.has_own_address.load(Relaxed) {
        let own = own_address(fd, addr)?;
        sys::bind(spare.as_fd(), &own)?;
    }
    sys::connect(spare.as_fd(), addr)?;
    // The interface may have no address yet.
    if !is_usable(interface, &sys::local_addr(spare.as_fd())?) {
        return Err(Errno(libc::ENETUNREACH));
    }
    Ok(())
}

/// The address that the descriptor was bound to, with any port. One of a link is
/// on that of the peer; the kernel reads the scope of no other.
fn own_address(fd: BorrowedFd<'_>, peer: &SocketAddr) -> Result<SocketAddr> {
    let mut own = sys::local_addr(fd)?;
    own.set_port(0);
    if let (SocketAddr::V6(own), SocketAddr::V6(peer)) = (&mut own, peer) {
        if peer.scope_id() != 0 {
            own.set_scope_id(peer.scope_id());
        }
    }
    Ok(own)
}

/// Makes a connected datagram socket one that is bound only, to the same interface
/// and, unless that is taken, the same port: whether it is. The kernel unties it, and
/// takes a port back that it chose itself (`__udp_disconnect` in net/ipv4/udp.c).
pub(crate) fn dissolve(fd: BorrowedFd<'_>, interface: Option<InterfaceName>) -> Result<bool> {
    let port = sys::local_addr(fd)?.port();
    for _ in 0..DISSOLUTIONS {
        sys::disconnect(fd)?;
        let tied = tie(fd, interface);
        let mut local = sys::local_addr(fd)?;
        let bound = if local.port() == port {
            Ok(())
        } else {
            local.set_port(port);
            sys::bind(fd, &local)
        };
        tied?;
        // EINVAL: the kernel has just chosen a port for a send of another thread.
        if bound != Err(Errno(libc::EINVAL)) {
            return Ok(bound.is_ok());
        }
    }
    Ok(false)
}

/// Each is a chance that no other thread sends before the port is bound again.
const DISSOLUTIONS: u32 = 100;

/// The peer's address with the index that its interface has now.
fn current_scope(interface: Option<InterfaceName>, peer: &Peer) -> SocketAddr {
    let SocketAddr::V6(mut v6) = peer.addr else {
        return peer.addr;
    };
    if v6.scope_id() != 0 {
        let host = peer.given.as_ref().and_then(|given| given.host.as_deref());
        let index = match interface {
            Some(interface) => sys::interface_index(&interface),
            None => host.and_then(scope_of),
        };
        v6.set_scope_id(index.unwrap_or(v6.scope_id()));
    }
    v6.into()
}

/// The index of the interface that a literal names.
fn scope_of(host: &[u8]) -> Option<u32> {
    match Target::parse(host, b"") {
        Ok(Target::Literal(SocketAddr::V6(v6))) if v6.scope_id() != 0 => Some(v6.scope_id()),
        _ => None,
    }
}

/// The interface that the socket is tied to.
fn interface_of(socket: &Socket, peer: Option<&Peer>) -> Option<InterfaceName> {
    let inherited = peer.and_then(|peer| peer.interface.as_deref().copied());
    socket.config.interface.or(inherited)
}

/// After a change of the network: connects the socket again, or ties one without a
/// peer again. Fails without a change when that does not help.
#[cold]
pub(crate) fn heal(socket: &Socket, guard: &mut FdGuard<'_>) -> Result<()> {
    if guard.flags().has(Flags::CONNECTED) {
        reconnect(socket, guard)
    } else {
        tie_again(socket, guard.as_fd())
    }
}

/// Ties a descriptor without a peer to the interface that was made again.
pub(crate) fn tie_again(socket: &Socket, fd: BorrowedFd<'_>) -> Result<()> {
    let interface = socket.config.interface;
    if !is_tie_broken(fd, interface) {
        return Err(Errno(libc::ENODEV));
    }
    match tie(fd, interface) {
        // Without CAP_NET_RAW the kernel ties what is not tied yet, and refuses to
        // change a tie. A listener that is dissolved would listen no more.
        Err(Errno(libc::EPERM)) if !socket.is_stream() => dissolve(fd, interface).map(drop),
        tied => tied,
    }
}

/// A call waited for nothing: the interface may have been made again, and then
/// nothing is heard on the one before.
pub(crate) fn check_interface(socket: &Socket, guard: &mut FdGuard<'_>) {
    let inner = socket.inner.lock();
    let is_broken = is_tie_broken(guard.as_fd(), interface_of(socket, inner.state.peer()));
    drop(inner);
    if is_broken {
        // The interface may not be there yet: the next call looks again.
        let _ = heal(socket, guard);
    }
}

/// Before a send: connects again if the source is an address that this host no longer
/// has, or that gets no answer. The kernel reports neither for IPv6, nor for IPv4
/// where the interface is down and another one leads to the peer. Looks only when it
/// is due.
#[inline]
pub(crate) fn check_source(socket: &Socket, guard: &mut FdGuard<'_>) {
    let received = socket.counters.receives();
    if socket.network.is_source_check_due(received)
        // What can't be told is not taken for "gone".
        && is_source_useless(socket, guard.as_fd()).unwrap_or(false)
    {
        // Without a way to the peer the send reports it.
        let _ = reconnect(socket, guard);
    }
}

#[cold]
fn is_source_useless(socket: &Socket, fd: BorrowedFd<'_>) -> Result<bool> {
    // It could only be connected from the same one again.
    if socket.has_own_address.load(Relaxed) {
        return Ok(false);
    }
    let mut source = unmap(sys::local_addr(fd)?);
    let peer = sys::remote_addr(fd)?;
    // Until a router has given another one, it is all that the host has.
    if is_confined(source.ip()) && !is_confined(peer.ip()) {
        return Ok(!is_confined(probe(&socket.config, &peer)?.ip()));
    }
    if source.is_ipv4() {
        let is_up = sys::interface_addrs()?.any(|entry| entry.addr.ip() == source.ip());
        // A route may name the address of an interface that is down.
        return Ok(!is_up && unmap(probe(&socket.config, &peer)?).ip() != source.ip());
    }
    source.set_port(0);
    // Tied as this one is: the addresses of a VRF are its own.
    let spare = socket.config.open(Family::V6, false)?;
    let bound = sys::bind(spare.as_fd(), &source);
    Ok(bound == Err(Errno(libc::EADDRNOTAVAIL)))
}
