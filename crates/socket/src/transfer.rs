//! send, send_to, receive, receive_from.
//!
//! Each tries first and waits only when the kernel says `EAGAIN`: the clock is
//! not read before that, and a transfer that is ready is one system call.

use core::mem::{self, MaybeUninit};
use core::sync::atomic::Ordering::Relaxed;
use std::io;
use std::net::SocketAddr;

use anjay_net_resolve::{Families, Family, V4Form, same_endpoint};
use anjay_net_stats::Event;

use crate::dwell::{Begin, note_wait};
use crate::exchange::Exchange;
use crate::gate::{Flags, Pass};
use crate::names::{self, Target};
use crate::options::patience_of;
use crate::reach::in_family;
use crate::settings::Settings;
use crate::socket::{Kind, Socket};
use crate::state::{Peer, State};
use crate::sys::{self, Errno, IfEmpty, Interest, Notifier, PollFd, SockAddr};
use crate::wait::{Patience, Waits};

/// What a receive of datagrams must look at before it tries.
const LATER: Flags = Flags::SIFT.with(Flags::PREPARES).with(Flags::DWELLS);

/// What a receive put into the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes in the buffer.
    pub len: usize,
    /// The datagram was longer than the buffer, and its rest is lost. C
    /// callers get `EMSGSIZE`.
    pub truncated: bool,
}

impl Received {
    /// All there was.
    #[inline]
    pub(crate) fn whole(len: usize) -> Received {
        Received {
            len,
            truncated: false,
        }
    }
}

/// What a receive comes to without waiting.
pub enum AtOnce<'a> {
    /// A datagram that was there.
    Received(Received),
    /// There is none, and the receive timeout is 0: `ETIMEDOUT`.
    Nothing,
    /// All else.
    Later(Later<'a>),
}

/// A receive that may have to wait.
pub struct Later<'a> {
    socket: &'a Socket,
    pass: Pass<'a>,
    /// What the first try said, if there was one.
    failed: Option<Errno>,
}

impl Later<'_> {
    /// Goes on with the receive, into the same buffer.
    ///
    /// # Errors
    /// As [`Socket::receive`].
    #[inline(never)]
    pub fn receive(self, buf: &mut [MaybeUninit<u8>]) -> io::Result<Received> {
        let Later {
            socket,
            pass,
            failed,
        } = self;
        if socket.is_stream() {
            return socket.receive_stream(pass, buf);
        }
        let (received, _from) = socket.receive_later(pass, failed, buf)?;
        Ok(received)
    }
}

impl Socket {
    /// Uses the descriptor; `EBADF` when there is none.
    #[inline]
    pub(crate) fn enter(&self) -> io::Result<Pass<'_>> {
        self.gate.enter().ok_or_else(|| sys::errno(libc::EBADF))
    }

    /// Sends to the connected peer: a datagram (an empty one, too), or all of
    /// `buf` on a stream.
    ///
    /// # Errors
    /// `ETIMEDOUT` after [`Settings::send_timeout`] without any progress;
    /// `EBADF` closed, `EDESTADDRREQ` bound only, `ENOTCONN` listening; what
    /// send(2) says. What was written before an error is counted.
    #[inline(always)]
    pub fn send(&self, buf: &[u8]) -> io::Result<()> {
        let pass = self.enter()?;
        match sys::send(pass.fd(), buf) {
            Ok(sent) if sent == buf.len() => {
                self.counters.sent(sent);
                Ok(())
            }
            outcome => self.send_rest(pass, buf, outcome),
        }
    }

    /// Goes on with a send that the kernel did not take at once.
    #[cold]
    fn send_rest(
        &self,
        mut pass: Pass<'_>,
        mut buf: &[u8],
        mut outcome: Result<usize, Errno>,
    ) -> io::Result<()> {
        let mut waits = Waits::NONE;
        loop {
            match outcome {
                Ok(sent) => {
                    self.counters.sent(sent);
                    if sent == buf.len() {
                        return Ok(());
                    }
                    self.counters.record(Event::ShortWrite);
                    buf = &buf[sent..];
                    // Progress: the time begins anew.
                    waits = Waits::NONE;
                }
                Err(errno) => self.before_retry(&mut pass, errno, &mut waits)?,
            }
            outcome = sys::send(pass.fd(), buf);
        }
    }

    /// Waits until a failed send may be tried again, or says why not.
    #[cold]
    fn before_retry(&self, pass: &mut Pass<'_>, errno: Errno, waits: &mut Waits) -> io::Result<()> {
        let Some(flags) = pass.look_again() else {
            return Err(sys::errno(libc::EBADF));
        };
        match errno.0 {
            libc::EINTR => self.counters.record(Event::SyscallRetried),
            libc::EAGAIN => {
                let mut fds = [PollFd::new(pass.fd(), Interest::Writable)];
                return waits
                    .wait(&mut fds, || Patience::For(Settings::current().send_timeout))
                    .map_err(|error| self.failed(error));
            }
            // The kernel does not tell a stream that ended from one that
            // listens.
            libc::EPIPE if self.is_stream() && self.is_listening() => {
                return Err(sys::errno(libc::ENOTCONN));
            }
            // What ended the wait was shutdown, as for all calls that wait.
            libc::EPIPE if waits.have_begun() && flags.has(Flags::SHUT) => {
                return Err(sys::errno(libc::ECONNABORTED));
            }
            _ => return Err(self.broken(pass, errno, sys::ICMP_OF_SEND)),
        }
        Ok(())
    }

    fn is_listening(&self) -> bool {
        matches!(self.inner.lock().state, State::Bound(_))
    }

    /// Sends one datagram to `host` and `port`. Of several addresses of a name
    /// the next one is tried where there is no route. On a TCP socket it is
    /// [`Socket::send`]: the connected peer is the only one there is.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` for text that is no host or port, an unknown name, or
    /// an address of a family that the socket does not reach; `ETIMEDOUT`;
    /// `EBADF`; what sendto(2) says.
    #[inline]
    pub fn send_to(&self, buf: &[u8], host: &[u8], port: &[u8]) -> io::Result<()> {
        if self.is_stream() {
            return self.send_apart(buf);
        }
        let mut pass = self.enter()?;
        match Target::parse(host, port) {
            Ok(Target::Literal(addr)) => {
                self.send_to_literal(&mut pass, buf, self.families.in_form(addr))
            }
            Ok(Target::Name { name, port }) => {
                self.send_to_name(&mut pass, buf, name, port).map(drop)
            }
            Ok(Target::Wildcard(_)) | Err(_) => Err(names::unknown()),
        }
    }

    /// [`Socket::send_to`], and the address that it came to.
    ///
    /// # Errors
    /// As [`Socket::send_to`].
    #[cold]
    pub fn send_to_which(&self, buf: &[u8], host: &[u8], port: &[u8]) -> io::Result<SocketAddr> {
        match Target::parse(host, port) {
            Ok(Target::Name { name, port }) if !self.is_stream() => {
                self.send_to_name(&mut self.enter()?, buf, name, port)
            }
            target => {
                self.send_to(buf, host, port)?;
                match target {
                    Ok(Target::Literal(addr)) if !self.is_stream() => Ok(addr),
                    _ => self.remote_addr(),
                }
            }
        }
    }

    /// [`Socket::send_to`] where the text is an address.
    ///
    /// # Errors
    /// As [`Socket::send_to`].
    #[inline]
    pub fn send_to_addr(&self, buf: &[u8], addr: SocketAddr) -> io::Result<()> {
        if self.is_stream() {
            return self.send_apart(buf);
        }
        let mut pass = self.enter()?;
        self.send_to_literal(&mut pass, buf, addr)
    }

    #[inline]
    fn send_to_literal(&self, pass: &mut Pass<'_>, buf: &[u8], addr: SocketAddr) -> io::Result<()> {
        if !self.families.admit(Family::of(&addr)) {
            return Err(names::unknown());
        }
        self.send_datagram(pass, buf, addr)
    }

    /// [`Socket::send`], once for all who seldom call it.
    #[inline(never)]
    fn send_apart(&self, buf: &[u8]) -> io::Result<()> {
        self.send(buf)
    }

    #[inline]
    fn send_datagram(&self, pass: &mut Pass<'_>, buf: &[u8], addr: SocketAddr) -> io::Result<()> {
        match sys::send_to(pass.fd(), buf, &SockAddr::from(&addr)) {
            Ok(sent) => {
                self.counters.sent(sent);
                Ok(())
            }
            Err(errno) => self.send_datagram_later(pass, buf, addr, errno),
        }
    }

    /// Goes on with a datagram that the kernel did not take at once.
    #[cold]
    fn send_datagram_later(
        &self,
        pass: &mut Pass<'_>,
        buf: &[u8],
        addr: SocketAddr,
        mut errno: Errno,
    ) -> io::Result<()> {
        let mut waits = Waits::NONE;
        let mut raw = SockAddr::from(&addr);
        loop {
            // Else the family would be that of another descriptor.
            if pass.look_again().is_none() {
                return Err(sys::errno(libc::EBADF));
            }
            // Only now is it worth knowing the socket's own family: an IPv6
            // socket wants IPv4 addresses mapped, an IPv4 one no IPv6 at all.
            // An ICMP error of an earlier datagram says nothing about that.
            let family = self.family()?;
            let own_form = in_family(addr, family);
            if raw.is_family(family) || sys::ICMP_OF_SEND.contains(&errno.0) {
                self.before_retry(pass, errno, &mut waits)?;
            } else if Family::of(&own_form) == family {
                raw = SockAddr::from(&own_form);
            } else {
                return Err(names::unknown());
            }
            match sys::send_to(pass.fd(), buf, &raw) {
                Ok(sent) => {
                    self.counters.sent(sent);
                    return Ok(());
                }
                Err(again) => errno = again,
            }
        }
    }

    #[cold]
    fn send_to_name(
        &self,
        pass: &mut Pass<'_>,
        buf: &[u8],
        name: &str,
        port: u16,
    ) -> io::Result<SocketAddr> {
        // Only what the descriptor reaches: it is never replaced here.
        let mut policy = self.families.policy(V4Form::Native);
        match (self.family()?, policy.families) {
            (Family::V4, Families::Only(Family::V6)) => return Err(names::unknown()),
            (Family::V4, _) => policy.families = Families::Only(Family::V4),
            // The option decides, as for a literal.
            (Family::V6, Families::Only(Family::V6)) => {}
            (Family::V6, _) => policy.v4 = V4Form::Mapped,
        }
        let fd = pass.fd();
        let mut waits = false;
        let endpoints = names::lookup_with(fd, self.asker(), (name, port), &policy, || {
            // The first look is before the wait.
            let aborted = if mem::replace(&mut waits, true) {
                libc::ECONNABORTED
            } else {
                libc::EPIPE
            };
            match pass.look_again() {
                Some(flags) if flags.has(Flags::SHUT) => Err(sys::errno(aborted)),
                Some(_) => Ok(()),
                None => Err(sys::errno(libc::EBADF)),
            }
        })
        .map_err(|error| self.failed(error))?;
        let mut failure = names::unknown();
        for endpoint in endpoints {
            match self.send_datagram(pass, buf, endpoint) {
                Err(error)
                    if [libc::ENETUNREACH, libc::EHOSTUNREACH, libc::EADDRNOTAVAIL]
                        .iter()
                        .any(|&code| sys::is(&error, code)) =>
                {
                    failure = error;
                }
                done => return done.map(|()| endpoint),
            }
        }
        Err(failure)
    }

    /// Receives one datagram, or what a stream has, into `buf`, waiting at
    /// most the receive timeout. On a stream, 0 bytes are its end.
    ///
    /// # Errors
    /// `ETIMEDOUT` when nothing came; `EBADF` closed, also while waiting;
    /// `ECONNABORTED` on a UDP socket that was shut down, when nothing is left;
    /// what recvmsg(2) says: an ICMP error of an earlier datagram comes once,
    /// a reset stream says `ECONNRESET` each time.
    #[inline]
    pub fn receive(&self, buf: &mut [u8]) -> io::Result<Received> {
        self.receive_uninit(sys::as_uninit(buf))
    }

    /// [`Socket::receive`] into memory that need not be initialised; the
    /// bytes that [`Received::len`] tells are.
    #[inline]
    pub fn receive_uninit(&self, buf: &mut [MaybeUninit<u8>]) -> io::Result<Received> {
        match self.receive_at_once(buf)? {
            AtOnce::Received(received) => Ok(received),
            AtOnce::Nothing => Err(sys::errno(libc::ETIMEDOUT)),
            AtOnce::Later(later) => later.receive(buf),
        }
    }

    /// The part of [`Socket::receive_uninit`] that does not wait.
    ///
    /// # Errors
    /// `EBADF` closed. All others come later.
    #[inline(always)]
    pub fn receive_at_once(&self, buf: &mut [MaybeUninit<u8>]) -> io::Result<AtOnce<'_>> {
        let pass = self.enter()?;
        let failed = if pass.flags().has(Flags::STREAM.with(LATER)) {
            None
        } else {
            match sys::receive_datagram(pass.fd(), buf) {
                // Dropped in each arm, so that each goes its own short way.
                Ok(received) => {
                    let received = self.got(received);
                    drop(pass);
                    return Ok(AtOnce::Received(received));
                }
                Err(errno) if self.gives_up(&pass, errno) => {
                    drop(pass);
                    return Ok(AtOnce::Nothing);
                }
                Err(errno) => Some(errno),
            }
        };
        Ok(AtOnce::Later(Later {
            socket: self,
            pass,
            failed,
        }))
    }

    /// [`Socket::receive`], and who sent it, as the kernel says it: IPv4 is
    /// v4-mapped on an IPv6 socket. On a TCP socket it is the connected peer.
    ///
    /// # Errors
    /// As [`Socket::receive`].
    #[inline]
    pub fn receive_from(&self, buf: &mut [u8]) -> io::Result<(Received, SocketAddr)> {
        self.receive_from_uninit(sys::as_uninit(buf))
    }

    /// [`Socket::receive_from`] into memory that need not be initialised.
    #[inline]
    pub fn receive_from_uninit(
        &self,
        buf: &mut [MaybeUninit<u8>],
    ) -> io::Result<(Received, SocketAddr)> {
        let pass = self.enter()?;
        if self.is_stream() {
            // First, as nothing of the socket may be used after the pass.
            let peer = self.remote_addr();
            let received = self.receive_stream(pass, buf)?;
            return Ok((received, peer?));
        }
        if pass.flags().has(LATER) {
            return self.receive_later(pass, None, buf);
        }
        match sys::receive_datagram_from(pass.fd(), buf, IfEmpty::Fail) {
            Ok((received, Some(from))) => Ok((self.got(received), from)),
            Ok((_, None)) => Err(sys::errno(libc::EAFNOSUPPORT)),
            Err(errno) if self.gives_up(&pass, errno) => Err(sys::errno(libc::ETIMEDOUT)),
            Err(errno) => self.receive_later(pass, Some(errno), buf),
        }
    }

    /// Whether a receive is over that found nothing at once.
    #[inline]
    fn gives_up(&self, pass: &Pass<'_>, errno: Errno) -> bool {
        errno == Errno(libc::EAGAIN)
            && patience_of(self.patience.load(Relaxed)) == Patience::None
            && !pass.flags().has(Flags::SHUT)
    }

    /// Goes on with a receive of a datagram that could not begin at once, or
    /// of which the first try `failed`.
    ///
    /// While the queue may hold datagrams of others than the peer, from before
    /// the socket was connected, those are thrown away. The kernel keeps others
    /// out from the moment of connect(2) on, so one look at an empty queue ends
    /// this.
    #[inline(never)]
    fn receive_later(
        &self,
        mut pass: Pass<'_>,
        mut failed: Option<Errno>,
        buf: &mut [MaybeUninit<u8>],
    ) -> io::Result<(Received, SocketAddr)> {
        let (mut if_empty, mut waits) = (IfEmpty::Fail, Waits::NONE);
        if failed.is_none() && pass.flags().has(Flags::PREPARES.with(Flags::DWELLS)) {
            match self.begin_receive(&mut pass) {
                Begin::Try => {}
                Begin::Poll => failed = Some(Errno(libc::EAGAIN)),
                Begin::Dwell(begun) => (if_empty, waits) = (IfEmpty::Dwell, begun),
            }
        }
        loop {
            if let Some(errno) = failed.take() {
                self.before_receive(&mut pass, errno, &mut waits)?;
            }
            match sys::receive_datagram_from(pass.fd(), buf, if_empty) {
                // The end of a wait by shutdown, also that of close.
                Ok((_, None)) if if_empty == IfEmpty::Dwell => failed = Some(Errno(libc::EAGAIN)),
                Ok((_, None)) => return Err(sys::errno(libc::EAFNOSUPPORT)),
                Ok((received, Some(from))) => {
                    if self.is_welcome(&mut pass, &from)? {
                        return Ok((self.got(received), from));
                    }
                    self.counters.record(Event::UnexpectedSource);
                }
                Err(errno) => {
                    // Only if it was to be sifted before this look at it.
                    if errno == Errno(libc::EAGAIN) && pass.flags().has(Flags::SIFT) {
                        pass.lower(Flags::SIFT.with(Flags::QUEUED));
                    }
                    failed = Some(errno);
                }
            }
            if_empty = IfEmpty::Fail;
        }
    }

    /// Whether a datagram from there is for the caller.
    fn is_welcome(&self, pass: &mut Pass<'_>, from: &SocketAddr) -> io::Result<bool> {
        if !pass.flags().has(Flags::SIFT) {
            return Ok(true);
        }
        if !same_endpoint(from, &self.remote_addr()?) {
            return Ok(false);
        }
        if !pass.flags().has(Flags::QUEUED) {
            pass.lower(Flags::SIFT);
        }
        Ok(true)
    }

    #[inline]
    fn receive_stream(
        &self,
        mut pass: Pass<'_>,
        buf: &mut [MaybeUninit<u8>],
    ) -> io::Result<Received> {
        // With an empty buffer the kernel says "0 bytes" at the end of its wait,
        // whatever ended it (tcp_recvmsg in net/ipv4/tcp.c).
        let may_dwell = pass.flags().has(Flags::DWELLS) && !buf.is_empty();
        let (mut if_empty, mut waits) = (IfEmpty::Fail, Waits::NONE);
        if may_dwell {
            if let Begin::Dwell(begun) = self.begin_receive(&mut pass) {
                (if_empty, waits) = (IfEmpty::Dwell, begun);
            }
        }
        let len = loop {
            match sys::receive_stream(pass.fd(), buf, if_empty) {
                Ok(len) => break len,
                Err(errno) => self.before_receive(&mut pass, errno, &mut waits)?,
            }
            if_empty = IfEmpty::Fail;
        };
        if len == 0 {
            return self.nothing_of_stream(pass);
        }
        self.counters.received(len);
        Ok(Received::whole(len))
    }

    /// Tells a stream that the peer ended from one that broke or was closed
    /// here. Nothing is also what fits into an empty buffer.
    #[cold]
    fn nothing_of_stream(&self, mut pass: Pass<'_>) -> io::Result<Received> {
        if pass.look_again().is_none() {
            return Err(sys::errno(libc::EBADF));
        }
        match self.gate.fault() {
            0 => Ok(Received::whole(0)),
            fault => Err(sys::errno(fault)),
        }
    }

    /// Counts what was received.
    #[inline]
    fn got(&self, received: Received) -> Received {
        if received.truncated {
            self.record_truncated();
        }
        self.counters.received(received.len);
        received
    }

    #[cold]
    fn record_truncated(&self) {
        self.counters.record(Event::Truncated);
    }

    /// Waits until a receive may be tried again, or says why not.
    fn before_receive(
        &self,
        pass: &mut Pass<'_>,
        errno: Errno,
        waits: &mut Waits,
    ) -> io::Result<()> {
        let Some(flags) = pass.look_again() else {
            return Err(sys::errno(libc::EBADF));
        };
        match errno.0 {
            libc::EINTR => {
                self.counters.record(Event::SyscallRetried);
                Ok(())
            }
            libc::EAGAIN => {
                // The kernel says "end of stream" on a stream, and on datagram
                // sockets nothing at all.
                if flags.has(Flags::SHUT) && self.kind == Kind::Udp {
                    return Err(sys::errno(libc::ECONNABORTED));
                }
                let patience = patience_of(self.patience.load(Relaxed));
                if patience == Patience::None && !waits.have_begun() {
                    return Err(sys::errno(libc::ETIMEDOUT));
                }
                self.await_arrival(pass, None, waits, || patience)
                    .map_err(|error| {
                        self.with_exchange(|exchange| exchange.timed_out(&self.counters));
                        self.failed(error)
                    })?;
                note_wait(pass, patience);
                Ok(())
            }
            _ => Err(self.broken(pass, errno, sys::ICMP)),
        }
    }

    /// Waits until there may be something to receive or to accept, or `wakeup`
    /// says that the call is over.
    pub(crate) fn await_arrival(
        &self,
        pass: &mut Pass<'_>,
        wakeup: Option<&Notifier>,
        waits: &mut Waits,
        patience: impl FnOnce() -> Patience,
    ) -> io::Result<()> {
        let bell = self.bell();
        // Who came too late for the bell must not wait for it.
        if !sys::SHUTDOWN_WAKES_UNCONNECTED {
            match pass.look_again() {
                None => return Err(sys::errno(libc::EBADF)),
                Some(flags) if flags.has(Flags::SHUT) => return Ok(()),
                Some(_) => {}
            }
        }
        let mut fds = [
            PollFd::new(pass.fd(), Interest::Readable),
            PollFd::of_notifier(bell.as_deref()),
            PollFd::of_notifier(wakeup),
        ];
        // Mostly the first is all there is.
        let fds = match (&bell, wakeup) {
            (None, None) => &mut fds[..1],
            _ => &mut fds[..],
        };
        waits.wait(fds, patience)?;
        // Datagram sockets hang up only when they are shut down: here, or
        // behind our back by a process that shares the socket.
        if fds[0].is_hung_up() && !self.is_stream() {
            pass.raise(Flags::SHUT);
        }
        // What arrived on a descriptor that was retired is nobody's any more.
        match pass.look_again() {
            Some(_) => Ok(()),
            None => Err(sys::errno(libc::EBADF)),
        }
    }

    /// Counts an error on its way to the caller.
    pub(crate) fn failed(&self, error: io::Error) -> io::Error {
        match error.raw_os_error() {
            Some(libc::ETIMEDOUT) => self.counters.record(Event::TimedOut),
            Some(libc::ECONNREFUSED) => self.counters.record(Event::Refused),
            _ => {}
        }
        error
    }

    /// As [`Socket::failed`], for an error that the kernel returned from a
    /// transfer. The kernel reports the end of a stream once and then pretends
    /// a clean one, so the end is kept. `icmp` are the codes that tell of a UDP
    /// peer.
    #[cold]
    fn broken(&self, pass: &mut Pass<'_>, errno: Errno, icmp: &[i32]) -> io::Error {
        let mut reported = errno;
        match self.kind {
            Kind::Udp if icmp.contains(&errno.0) => {
                self.with_exchange(|exchange| exchange.refused(&self.counters));
            }
            Kind::Tcp => {
                if let Some(end) = stream_end(errno) {
                    reported = end;
                    // Under the lock, as the next connection must not inherit it.
                    let _inner = self.inner.lock();
                    if pass.look_again().is_some() {
                        self.gate.break_stream(end.0);
                    }
                }
            }
            Kind::Udp => {}
        }
        let error = self.failed(reported.into());
        // Datagrams may be refused one by one.
        let level = match self.kind {
            Kind::Udp => log::Level::Trace,
            Kind::Tcp => log::Level::Warn,
        };
        log::log!(
            level,
            "socket {}: {}: transfer failed: {}",
            self.id,
            self.peer_for_log(),
            io::Error::from(errno)
        );
        error
    }

    fn with_exchange(&self, note: impl FnOnce(&mut Exchange)) {
        let mut inner = self.inner.lock();
        if let Some(exchange) = inner.state.peer_mut().and_then(Peer::exchange) {
            note(exchange);
        }
    }

    /// The descriptor's family.
    pub(crate) fn family(&self) -> io::Result<Family> {
        let inner = self.inner.lock();
        let held = inner.state.held();
        held.map(crate::gate::Held::family)
            .ok_or_else(|| sys::errno(libc::EBADF))
    }
}

/// How callers are told that a stream ended otherwise than by the peer's FIN:
/// `ECONNRESET`, or `ECONNABORTED` when this machine ended it. `None` when
/// `errno` does not end the stream.
///
/// `ETIMEDOUT` is among the ends (a peer that no longer acknowledges: tcp(7),
/// `TCP_USER_TIMEOUT`), but from a receive it means "nothing came", so callers
/// would wait for more. The others are the errors of tcp_reset() in the kernel's
/// net/ipv4/tcp_input.c, and of ICMP as in [`sys::ICMP`].
fn stream_end(errno: Errno) -> Option<Errno> {
    match errno.0 {
        libc::ECONNABORTED => Some(errno),
        libc::EPIPE => None,
        libc::ECONNRESET | libc::ETIMEDOUT | libc::EMSGSIZE | libc::EOPNOTSUPP => {
            Some(Errno(libc::ECONNRESET))
        }
        code if sys::ICMP.contains(&code) => Some(Errno(libc::ECONNRESET)),
        _ => None,
    }
}
