//! send, send_to and receive of datagrams.
//!
//! Each tries first and waits only when the kernel returns `EAGAIN`: the clock
//! is not read before that, and a transfer that is ready is one system call.

use core::mem::MaybeUninit;
use core::time::Duration;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use anjay_net_resolve::{Family, IPV4ONLY_ARPA, alloc, same_endpoint, unmap};
use anjay_net_stats::Event;

use crate::datagram_counters::{count_dropped, count_received, count_sent, lost};
use crate::error::{Errno, Result};
use crate::family::in_family;
use crate::fd_lock::{FdGuard, Flags};
use crate::logging::log_peer_line;
use crate::lookup::{Target, lookup_for_send, ordered_for, unknown_host};
use crate::nat64::{self, Translation};
use crate::reachability::Reachability;
use crate::reconnect::{NETWORK_CHANGED, check_interface, check_source, heal};
use crate::settings::Settings;
use crate::socket::{Received, Socket, check_not_closed, check_open, note_hang_up};
use crate::sys::{self, Datagram, PollFd, SockAddr};
use crate::timeout::TimeLimit;

/// Sends one datagram to the connected peer.
#[inline]
pub(crate) fn send(socket: &Socket, buf: &[u8]) -> Result<()> {
    let mut guard = socket.fd()?;
    if guard.flags().has(Flags::CHECK_SOURCE) {
        check_source(socket, &mut guard);
    }
    match sys::send(guard.as_fd(), buf) {
        Ok(sent) if !guard.flags().has(SEND_CHECKS) => {
            socket.counters.sent(sent);
            Ok(())
        }
        outcome => send_checked(socket, guard, buf, outcome),
    }
}

/// What a send must look at after it was done.
const SEND_CHECKS: Flags = Flags::UNANSWERED
    .with(Flags::OUTAGE)
    .with(Flags::V6_PACKETS);

/// Goes on with a send to the connected peer that failed, or that something has
/// to be noted about.
#[inline(never)]
fn send_checked(
    socket: &Socket,
    mut guard: FdGuard<'_>,
    buf: &[u8],
    outcome: Result<usize>,
) -> Result<()> {
    let mut send = |fd: BorrowedFd<'_>| sys::send(fd, buf);
    let flags = guard.flags();
    if flags.has(Flags::UNANSWERED) {
        note(socket, |reachability| reachability.sent(buf));
    }
    let (packets, changed) = (flags.packets(), &NETWORK_CHANGED);
    match finish_send(socket, &mut guard, outcome, packets, changed, &mut send) {
        Err(error) if error.is_any(&NETWORK_CHANGED) && guard.flags().has(Flags::CONNECTED) => {
            // There is no way to the peer: a lost datagram while the outage is short.
            if !socket.network.is_bridged() {
                return Err(transfer_error(socket, error));
            }
            guard.set(Flags::OUTAGE);
            lost(socket, Event::DroppedOutage, error);
            Ok(())
        }
        Ok(()) if flags.has(Flags::OUTAGE) => {
            guard.clear(Flags::OUTAGE);
            socket.network.end_outage();
            Ok(())
        }
        done => done,
    }
}

/// Sends one datagram to a host; see [`Socket::send_to`].
#[inline]
pub(crate) fn send_to(socket: &Socket, buf: &[u8], host: &[u8], port: &[u8]) -> Result<SocketAddr> {
    let mut guard = socket.fd()?;
    match Target::parse(host, port) {
        Ok(Target::Literal(addr)) => {
            let addr = socket.families.usable(addr).ok_or_else(unknown_host)?;
            match send_to_addr(socket, &mut guard, buf, addr) {
                Err(error) => send_translated(socket, &mut guard, buf, &[addr], error),
                Ok(()) => Ok(addr),
            }
        }
        Ok(Target::Name { name, port }) => send_to_name(socket, guard, buf, (name, port)),
        Ok(Target::Wildcard(_)) | Err(_) => Err(unknown_host()),
    }
}

#[cold]
#[inline(never)]
fn send_to_name(
    socket: &Socket,
    mut guard: FdGuard<'_>,
    buf: &[u8],
    name: (&str, u16),
) -> Result<SocketAddr> {
    let policy = socket
        .families
        .reachable(guard.flags().family())
        .ok_or_else(unknown_host)?;
    let found = lookup_for_send(socket, &mut guard, name, &policy)?;
    let mut failure = unknown_host();
    let mut unreachable = Vec::new();
    for endpoint in ordered_for(socket, &policy, &found)? {
        check_not_closed(&mut guard)?;
        match send_to_addr(socket, &mut guard, buf, endpoint) {
            Err(error) if error.is_any(&NO_ROUTE) => failure = error,
            done => return done.map(|()| endpoint),
        }
        alloc::push(&mut unreachable, endpoint)?;
    }
    send_translated(socket, &mut guard, buf, &unreachable, failure)
}

/// Goes on with a datagram for which all addresses failed: to a translator, if
/// that is because there is no route to IPv4.
#[cold]
fn send_translated(
    socket: &Socket,
    guard: &mut FdGuard<'_>,
    buf: &[u8],
    addrs: &[SocketAddr],
    error: Errno,
) -> Result<SocketAddr> {
    if guard.flags().family() == Family::V4 {
        return Err(error);
    }
    let mut translation = Translation::default();
    let mut failure = error;
    loop {
        let mut ask = || lookup_for_send(socket, guard, (IPV4ONLY_ARPA, 0), &nat64::IPV6_ONLY);
        let found = translation.next(socket, addrs, error, &mut ask)?;
        if found.is_empty() {
            return Err(failure);
        }
        for addr in ordered_for(socket, &nat64::IPV6_ONLY, &found)? {
            check_not_closed(guard)?;
            match send_to_addr(socket, guard, buf, addr) {
                Ok(()) => return Ok(addr),
                Err(error) => failure = error,
            }
        }
    }
}

/// Errors of an address after which another one may do.
const NO_ROUTE: [i32; 3] = [libc::ENETUNREACH, libc::EHOSTUNREACH, libc::EADDRNOTAVAIL];

#[inline]
fn send_to_addr(
    socket: &Socket,
    guard: &mut FdGuard<'_>,
    buf: &[u8],
    addr: SocketAddr,
) -> Result<()> {
    let family = guard.flags().family();
    let packets = Family::of(&unmap(addr));
    let addr = in_family(addr, family);
    if Family::of(&addr) != family {
        return Err(unknown_host());
    }
    let raw = SockAddr::from(&addr);
    match sys::send_to(guard.as_fd(), buf, &raw) {
        Ok(sent) => {
            count_sent(socket, sent, packets);
            Ok(())
        }
        failed => finish_send_to(socket, guard, buf, &raw, failed),
    }
}

/// Goes on with a send to an address that failed.
#[cold]
#[inline(never)]
fn finish_send_to(
    socket: &Socket,
    guard: &mut FdGuard<'_>,
    buf: &[u8],
    to: &SockAddr,
    failed: Result<usize>,
) -> Result<()> {
    // About another address, errors say nothing of the connection.
    let changed = match (socket.remote_addr(), to.decode()) {
        (Ok(peer), Some(to)) if !same_endpoint(&peer, &to) => &[][..],
        _ => &NETWORK_CHANGED,
    };
    let mut send = |fd: BorrowedFd<'_>| sys::send_to(fd, buf, to);
    let sent = finish_send(socket, guard, failed, to.packets(), changed, &mut send);
    sent.map_err(|error| match transfer_error(socket, error).0 {
        // An IPv6 socket that is connected to IPv4 (ipv6/udp.c).
        libc::EAFNOSUPPORT => unknown_host(),
        // Without an address to send from, as where IPv6 is switched off: the
        // name is not unknown.
        libc::EADDRNOTAVAIL => Errno(libc::ENETUNREACH),
        _ => error,
    })
}

/// Counts a datagram that the kernel took, after as many sends as that takes; one
/// error of `changed` tells of a change of the network.
#[inline(never)]
fn finish_send(
    socket: &Socket,
    guard: &mut FdGuard<'_>,
    mut outcome: Result<usize>,
    packets: Family,
    changed: &[i32],
    send: &mut dyn FnMut(BorrowedFd<'_>) -> Result<usize>,
) -> Result<()> {
    let mut limit = None;
    let (mut is_healed, mut icmp_errors) = (false, 0);
    loop {
        let Err(error) = outcome.map(|sent| count_sent(socket, sent, packets)) else {
            return Ok(());
        };
        let was_replaced = guard.revalidate().is_none();
        check_not_closed(guard)?;
        match error.0 {
            // Nothing is known yet about the new descriptor.
            _ if was_replaced => {}
            libc::EINTR => socket.counters.record(Event::SyscallRetried),
            libc::EAGAIN => limit
                .get_or_insert_with(|| TimeLimit::new(Some(Settings::current().send_timeout)))
                .wait(&mut [PollFd::new(guard.as_fd(), libc::POLLOUT)])
                .map_err(|error| socket.count_failure(error))?,
            // The error may be that of an earlier datagram, which the kernel has
            // reported now: this one was not sent yet. What comes back the second
            // time is about this one, unless only ICMP messages cause it: another
            // thread has sent meanwhile.
            code if is_icmp(code)
                && (icmp_errors == 0
                    || icmp_errors < ICMP_ERRORS_MAX && ONLY_ICMP.contains(&code)) =>
            {
                icmp_errors += 1;
                socket.counters.record(Event::IcmpError);
                // The others may as well be about this host's own routes.
                if ONLY_ICMP.contains(&code) {
                    note_refusal(socket, guard);
                }
            }
            code if !is_healed && changed.contains(&code) => {
                is_healed = true;
                if heal(socket, guard).is_err() {
                    check_not_closed(guard)?;
                    return Err(error);
                }
            }
            // As a router would: the local firewall drops it, a queue is full, or
            // WireGuard has no peer for the address.
            libc::EPERM | libc::ENOBUFS | libc::ENOKEY => {
                lost(socket, Event::DroppedLocal, error);
                return Ok(());
            }
            _ => return Err(error),
        }
        outcome = send(guard.as_fd());
    }
}

/// So many ICMP errors of other threads' datagrams are taken by one send.
const ICMP_ERRORS_MAX: u32 = 1000;

/// Errors of a send that only ICMP messages cause.
const ONLY_ICMP: [i32; 5] = [
    libc::ECONNREFUSED,
    libc::EHOSTDOWN,
    libc::ENONET,
    libc::ENOPROTOOPT,
    libc::EPROTO,
];

/// Whether this may be the report of an ICMP message, "packet too big" among
/// them.
fn is_icmp(code: i32) -> bool {
    code == libc::EMSGSIZE || sys::ICMP_ERRORS.contains(&code)
}

fn transfer_error(socket: &Socket, error: Errno) -> Errno {
    let error = socket.count_failure(error);
    log_peer_line!(Trace, socket, "transfer failed: {error}");
    error
}

/// What a receive must look at after it has a datagram.
const RECEIVE_CHECKS: Flags = Flags::FILTER.with(Flags::UNANSWERED);

/// Receives one datagram; `from` becomes its sender.
#[inline(always)]
pub(crate) fn receive(
    socket: &Socket,
    buf: &mut [MaybeUninit<u8>],
    from: &mut SockAddr,
) -> Result<Received> {
    let guard = socket.fd()?;
    match sys::receive_datagram(guard.as_fd(), buf, from) {
        // Not the flags before it: another thread may have begun to reconnect.
        Ok(datagram) if datagram.len > 0 && !guard.has_got(RECEIVE_CHECKS) => {
            Ok(count_received(socket, &datagram, from))
        }
        Err(Errno(libc::EAGAIN))
            if socket.receive_timeout.is_zero()
                && socket.config.interface.is_none()
                && !guard.flags().has(RECEIVE_CHECKS.with(Flags::SHUTDOWN)) =>
        {
            Err(Errno(libc::ETIMEDOUT))
        }
        outcome => receive_again(socket, guard, buf, from, outcome),
    }
}

/// Goes on with a receive that did not find a datagram for the caller at once.
#[inline(never)]
fn receive_again(
    socket: &Socket,
    mut guard: FdGuard<'_>,
    buf: &mut [MaybeUninit<u8>],
    from: &mut SockAddr,
    mut outcome: Result<Datagram>,
) -> Result<Received> {
    let timeout = socket.receive_timeout.get();
    let mut limit = TimeLimit::new(timeout);
    let mut looks = 0_u32;
    loop {
        let is_empty = matches!(outcome, Err(Errno(libc::EAGAIN)));
        looks = looks.wrapping_add(1);
        match outcome {
            Ok(datagram) => {
                guard.revalidate();
                if is_dropped_empty(&guard, &datagram) {
                    count_dropped(socket, Event::DroppedEmpty, &datagram, from);
                } else if is_from_peer(socket, &mut guard, from)? {
                    if guard.flags().has(Flags::UNANSWERED) {
                        guard.clear(Flags::UNANSWERED);
                        note(socket, Reachability::received);
                    }
                    return Ok(count_received(socket, &datagram, from));
                } else {
                    count_dropped(socket, Event::UnexpectedSource, &datagram, from);
                }
            }
            Err(Errno(libc::EINTR)) => socket.counters.record(Event::SyscallRetried),
            Err(Errno(libc::EAGAIN)) => {
                // The kernel keeps other sources out from connect(2) on, so an
                // empty queue ends the filter, if it was there before this look.
                if guard.flags().has(Flags::FILTER) {
                    guard.clear(Flags::FILTER_QUEUE);
                }
            }
            // It became another socket's: the error is, too.
            Err(_) if guard.revalidate().is_none() => {
                check_not_closed(&mut guard)?;
            }
            Err(error) if is_icmp(error.0) => {
                socket.counters.record(Event::IcmpError);
                // The path MTU became smaller, which concerns sends only.
                if error != Errno(libc::EMSGSIZE) {
                    note_refusal(socket, &mut guard);
                    return Err(transfer_error(socket, error));
                }
            }
            Err(error) => return Err(transfer_error(socket, error)),
        }
        if is_empty || looks % LOOKS_MAX == 0 {
            check_open(&mut guard)?;
            let waited = match timeout {
                Some(Duration::ZERO) => Err(Errno(libc::ETIMEDOUT)),
                _ => await_arrival(socket, &mut guard, &mut limit),
            };
            if let Err(error) = waited {
                if error == Errno(libc::ETIMEDOUT) {
                    let timeout = timeout.unwrap_or_default();
                    note(socket, |reachability| reachability.timed_out(timeout));
                    check_interface(socket, &mut guard);
                }
                return Err(error);
            }
        }
        outcome = sys::receive_datagram(guard.as_fd(), buf, from);
    }
}

/// After so many datagrams that were dropped, a receive looks at its deadline: nobody
/// can hold it up by sending more.
const LOOKS_MAX: u32 = 500;

/// Waits until there may be something to receive.
fn await_arrival(socket: &Socket, guard: &mut FdGuard<'_>, limit: &mut TimeLimit) -> Result<()> {
    let waker = socket.replaced_waker()?;
    let mut fds = [
        PollFd::new(guard.as_fd(), libc::POLLIN),
        PollFd::new(
            waker.as_ref().map_or(guard.as_fd(), AsFd::as_fd),
            libc::POLLIN,
        ),
    ];
    let used = if waker.is_some() { 2 } else { 1 };
    let waited = limit.wait(&mut fds[..used]);
    let hung_up = fds[0].is_hung_up();
    note_hang_up(socket, guard, hung_up);
    // What arrived on a descriptor that was closed is nobody's any more.
    check_not_closed(guard)?;
    waited.map_err(|error| socket.count_failure(error))
}

/// Whether it is an empty datagram on a connected socket, which means the end of
/// the connection to TLS libraries, and which anybody can forge. A cut one is not
/// empty.
fn is_dropped_empty(guard: &FdGuard<'_>, datagram: &Datagram) -> bool {
    datagram.full == 0
        && guard.flags().has(Flags::CONNECTED)
        && !Settings::current().deliver_empty_datagrams
}

/// Whether the datagram is for the caller. While the queue may hold datagrams
/// of other sources, from before the socket was connected, those are dropped.
fn is_from_peer(socket: &Socket, guard: &mut FdGuard<'_>, from: &SockAddr) -> Result<bool> {
    if !guard.flags().has(Flags::FILTER) {
        return Ok(true);
    }
    let from = from.decode().ok_or(Errno(libc::EAFNOSUPPORT))?;
    let peer = socket.remote_addr();
    // The peer may be that of a later descriptor.
    check_not_closed(guard)?;
    if !same_endpoint(&from, &peer?) {
        return Ok(false);
    }
    // Nothing from another source follows: the kernel's own bind in connect(2)
    // came just before.
    if !guard.flags().has(Flags::FILTER_UNTIL_EMPTY) {
        guard.clear(Flags::FILTER);
    }
    Ok(true)
}

/// An ICMP error came back from the peer.
fn note_refusal(socket: &Socket, guard: &mut FdGuard<'_>) {
    note(socket, |reachability| {
        reachability.refused();
        // The next datagram from the peer clears it.
        guard.set(Flags::UNANSWERED);
    });
}

/// Tells what happened to the peer's [`Reachability`], if it is tracked.
fn note(socket: &Socket, event: impl FnOnce(&mut Reachability)) {
    let mut inner = socket.inner.lock();
    let peer = inner.state.peer_mut();
    if let Some(reachability) = peer.and_then(|peer| peer.reachability.as_mut()) {
        event(reachability);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket_config::SocketConfig;
    use anjay_net_resolve::Kind;
    use std::net::UdpSocket;

    /// In the moment after the send failed, which no test can meet from outside.
    #[test]
    fn a_send_of_a_socket_that_was_closed_is_no_outage() {
        let socket = Socket::new(Kind::Udp, SocketConfig::default()).unwrap();
        socket.bind(b"127.0.0.1", b"0").unwrap();
        let mut guard = socket.fd().unwrap();
        socket.close();
        let failed = Err(Errno(libc::EDESTADDRREQ));
        let outcome = finish_send(&socket, &mut guard, failed, Family::V4, &[], &mut |_| Ok(1));
        assert_eq!(outcome, Err(Errno(libc::EBADF)));
    }

    #[test]
    fn an_error_that_no_icmp_message_causes_is_not_counted_as_one() {
        let socket = Socket::new(Kind::Udp, SocketConfig::default()).unwrap();
        socket.bind(b"127.0.0.1", b"0").unwrap();
        let (guard, mut from) = (socket.fd().unwrap(), SockAddr::empty());
        let failed = Err(Errno(libc::ENOMEM));
        let received = receive_again(&socket, guard, &mut [], &mut from, failed);
        assert_eq!(received.map(drop), Err(Errno(libc::ENOMEM)));
        assert_eq!(socket.stats().count(Event::IcmpError), 0);
    }

    #[test]
    fn a_look_that_finds_nothing_is_not_counted_as_a_wait() {
        let socket = Socket::new(Kind::Udp, SocketConfig::default()).unwrap();
        socket.bind(b"127.0.0.1", b"0").unwrap();
        socket.receive_timeout.set(Some(Duration::ZERO));
        let (guard, mut from) = (socket.fd().unwrap(), SockAddr::empty());
        let nothing = Err(Errno(libc::EAGAIN));
        let received = receive_again(&socket, guard, &mut [], &mut from, nothing);
        assert_eq!(received.map(drop), Err(Errno(libc::ETIMEDOUT)));
        assert_eq!(socket.stats().count(Event::TimedOut), 0);
    }

    /// In the moment after the receive failed: an accept handed the descriptor over.
    #[test]
    fn an_error_of_a_descriptor_that_was_handed_over_is_not_the_servers() {
        let config = || SocketConfig {
            reuse_addr: true,
            ..SocketConfig::default()
        };
        let server = Socket::new(Kind::Udp, config()).unwrap();
        server.bind(b"127.0.0.1", b"0").unwrap();
        let (guard, mut from) = (server.fd().unwrap(), SockAddr::empty());
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.send_to(b"x", server.local_addr().unwrap()).unwrap();
        let new = Socket::new(Kind::Udp, config()).unwrap();
        server.accept(&new).unwrap();
        server.receive_timeout.set(Some(Duration::ZERO));
        let failed = Err(Errno(libc::ECONNREFUSED));
        let received = receive_again(&server, guard, &mut [], &mut from, failed);
        assert_eq!(received.map(drop), Err(Errno(libc::ETIMEDOUT)));
    }

    #[test]
    fn a_receive_of_a_socket_that_was_closed_asks_no_later_one_for_its_peer() {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = peer.local_addr().unwrap().port().to_string();
        let socket = Socket::new(Kind::Udp, SocketConfig::default()).unwrap();
        socket.connect(b"127.0.0.1", port.as_bytes(), None).unwrap();
        peer.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        let guard = socket.fd().unwrap();
        let (mut buf, mut from) = ([MaybeUninit::uninit()], SockAddr::empty());
        let taken = sys::receive_datagram(guard.as_fd(), &mut buf, &mut from);
        socket.close();
        socket.bind(b"127.0.0.1", b"0").unwrap();
        let received = receive_again(&socket, guard, &mut buf, &mut from, taken);
        assert_eq!(received.map(drop), Err(Errno(libc::EBADF)));
    }
}
