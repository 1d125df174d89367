//! send, send_to, receive, receive_from.
//!
//! Each tries first and waits only when the kernel says `EAGAIN`: the clock is
//! not read before that, and a transfer that is ready is one system call.

use core::mem::{self, MaybeUninit};
use core::sync::atomic::Ordering::Relaxed;
use std::io;
use std::net::SocketAddr;

use anjay_net_resolve::{Family, V4Form, map, same_endpoint};
use anjay_net_stats::Event;

use crate::exchange::Exchange;
use crate::gate::{Flags, Pass};
use crate::names::{self, Target};
use crate::options::patience_of;
use crate::settings::Settings;
use crate::socket::{Kind, Socket};
use crate::state::{Peer, State};
use crate::sys::{self, Datagram, Interest, Notifier, PollFd, SockAddr};
use crate::wait::{Deadline, Patience, Waits};

/// What a UDP receive says of an ICMP error: icmp_err_convert of the kernel's
/// net/ipv4/icmp.c and icmpv6_err_convert of net/ipv6/icmp.c. Not `EMSGSIZE`,
/// as then the peer is there.
const ICMP: &[i32] = &[
    libc::ECONNREFUSED,
    libc::EHOSTUNREACH,
    libc::ENETUNREACH,
    libc::EHOSTDOWN,
    libc::ENONET,
    libc::ENOPROTOOPT,
    libc::EACCES,
    libc::EPROTO,
];

/// Those of [`ICMP`] that a send says of an ICMP error only. The others it says
/// as well where this machine has no way out, for which no peer is to blame.
const ICMP_OF_SEND: &[i32] = &[
    libc::ECONNREFUSED,
    libc::EHOSTDOWN,
    libc::ENONET,
    libc::ENOPROTOOPT,
    libc::EPROTO,
];

/// What a receive put into the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes in the buffer.
    pub len: usize,
    /// The datagram was longer than the buffer, and its rest is lost. C
    /// callers get `EMSGSIZE`.
    pub truncated: bool,
}

impl From<Datagram> for Received {
    #[inline]
    fn from(datagram: Datagram) -> Received {
        Received {
            len: datagram.len,
            truncated: datagram.truncated,
        }
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
    #[inline]
    pub fn send(&self, buf: &[u8]) -> io::Result<()> {
        let mut pass = self.enter()?;
        match sys::send(pass.fd(), buf) {
            Ok(sent) => {
                self.account.sent(sent);
                if sent == buf.len() {
                    return Ok(());
                }
                self.account.record(Event::ShortWrite);
                self.send_rest(&mut pass, &buf[sent..], Waits::NONE)
            }
            Err(error) => {
                let mut waits = Waits::NONE;
                self.before_retry(&mut pass, error, &mut waits)?;
                self.send_rest(&mut pass, buf, waits)
            }
        }
    }

    /// Goes on with a send that the kernel did not take at once.
    #[cold]
    fn send_rest(&self, pass: &mut Pass<'_>, mut buf: &[u8], mut waits: Waits) -> io::Result<()> {
        loop {
            match sys::send(pass.fd(), buf) {
                Ok(sent) => {
                    self.account.sent(sent);
                    if sent == buf.len() {
                        return Ok(());
                    }
                    self.account.record(Event::ShortWrite);
                    buf = &buf[sent..];
                    // Progress: the time begins anew.
                    waits = Waits::NONE;
                }
                Err(error) => self.before_retry(pass, error, &mut waits)?,
            }
        }
    }

    /// Waits until a failed send may be tried again, or says why not.
    #[cold]
    fn before_retry(
        &self,
        pass: &mut Pass<'_>,
        error: io::Error,
        waits: &mut Waits,
    ) -> io::Result<()> {
        let Some(flags) = pass.look_again() else {
            return Err(sys::errno(libc::EBADF));
        };
        match error.raw_os_error() {
            Some(libc::EINTR) => self.account.record(Event::Retried),
            Some(libc::EAGAIN) => {
                let mut fds = [PollFd::new(pass.fd(), Interest::Writable)];
                return waits
                    .wait(&mut fds, || {
                        Deadline::after(Settings::current().send_timeout)
                    })
                    .map_err(|error| self.failed(error));
            }
            // The kernel does not tell a stream that ended from one that
            // listens.
            Some(libc::EPIPE) if self.is_stream() && self.is_listening() => {
                return Err(sys::errno(libc::ENOTCONN));
            }
            // What ended the wait was shutdown, as for all calls that wait.
            Some(libc::EPIPE) if waits.have_begun() && flags.has(Flags::SHUT) => {
                return Err(sys::errno(libc::ECONNABORTED));
            }
            _ => return Err(self.broken(error, ICMP_OF_SEND)),
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
            return self.send(buf);
        }
        let mut pass = self.enter()?;
        match Target::parse(host, port) {
            Ok(Target::Literal(addr)) if self.families.admit(Family::of(&addr)) => {
                self.send_datagram(&mut pass, buf, addr)
            }
            Ok(Target::Name { name, port }) => self.send_to_name(&mut pass, buf, name, port),
            Ok(Target::Literal(_) | Target::Wildcard(_)) | Err(_) => Err(names::unknown()),
        }
    }

    #[inline]
    fn send_datagram(&self, pass: &mut Pass<'_>, buf: &[u8], addr: SocketAddr) -> io::Result<()> {
        let mut waits = Waits::NONE;
        let mut raw = SockAddr::from(&addr);
        loop {
            let error = match sys::send_to(pass.fd(), buf, &raw) {
                Ok(sent) => {
                    self.account.sent(sent);
                    return Ok(());
                }
                Err(error) => error,
            };
            // Only now is it worth knowing the socket's own family: an IPv6
            // socket wants IPv4 addresses mapped, an IPv4 one no IPv6 at all.
            if !raw.is_family(self.family()?) {
                match addr {
                    SocketAddr::V4(_) => raw = SockAddr::from(&map(addr)),
                    SocketAddr::V6(_) => self.go_dual_stack(pass)?,
                }
            } else {
                self.before_retry(pass, error, &mut waits)?;
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
    ) -> io::Result<()> {
        let policy = self.families.policy(match self.family()? {
            Family::V4 => V4Form::Native,
            Family::V6 => V4Form::Mapped,
        });
        let fd = pass.fd();
        let mut waits = false;
        let endpoints = names::lookup_with(fd, self.askable(), (name, port), &policy, || {
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
        })?;
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
                done => return done,
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
        let mut pass = self.enter()?;
        match self.kind {
            Kind::Udp if !pass.flags().has(Flags::SIFT) => {
                match sys::receive_datagram(pass.fd(), buf) {
                    Ok(datagram) => Ok(self.got(datagram)),
                    Err(error) => self.receive_later(&mut pass, buf, error),
                }
            }
            Kind::Udp => self
                .receive_sifted(&mut pass, buf, Waits::NONE)
                .map(|(got, _)| got),
            Kind::Tcp => self.receive_stream(&mut pass, buf),
        }
    }

    /// [`Socket::receive`], and who sent it. On a TCP socket that is the
    /// connected peer.
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
        let mut pass = self.enter()?;
        if self.kind == Kind::Tcp {
            let received = self.receive_stream(&mut pass, buf)?;
            return Ok((received, self.remote_addr()?));
        }
        if pass.flags().has(Flags::SIFT) {
            return self.receive_sifted(&mut pass, buf, Waits::NONE);
        }
        match sys::receive_datagram_from(pass.fd(), buf) {
            Ok((datagram, Some(from))) => Ok((self.got(datagram), from)),
            Ok((_, None)) => Err(sys::errno(libc::EAFNOSUPPORT)),
            Err(error) => self.receive_from_later(&mut pass, buf, error),
        }
    }

    #[cold]
    fn receive_from_later(
        &self,
        pass: &mut Pass<'_>,
        buf: &mut [MaybeUninit<u8>],
        mut error: io::Error,
    ) -> io::Result<(Received, SocketAddr)> {
        let mut waits = Waits::NONE;
        loop {
            self.before_receive(pass, error, &mut waits)?;
            // It was connected while this call waited.
            if pass.flags().has(Flags::SIFT) {
                return self.receive_sifted(pass, buf, waits);
            }
            match sys::receive_datagram_from(pass.fd(), buf) {
                Ok((datagram, Some(from))) => return Ok((self.got(datagram), from)),
                Ok((_, None)) => return Err(sys::errno(libc::EAFNOSUPPORT)),
                Err(again) => error = again,
            }
        }
    }

    /// Goes on with a receive that found nothing at once.
    fn receive_later(
        &self,
        pass: &mut Pass<'_>,
        buf: &mut [MaybeUninit<u8>],
        mut error: io::Error,
    ) -> io::Result<Received> {
        let mut waits = Waits::NONE;
        loop {
            self.before_receive(pass, error, &mut waits)?;
            // It was connected while this call waited.
            if pass.flags().has(Flags::SIFT) {
                return self.receive_sifted(pass, buf, waits).map(|(got, _)| got);
            }
            match sys::receive_datagram(pass.fd(), buf) {
                Ok(datagram) => return Ok(self.got(datagram)),
                Err(again) => error = again,
            }
        }
    }

    /// Receives while the queue may hold datagrams of others than the peer,
    /// from before the socket was connected: those are thrown away. The kernel
    /// keeps others out from the moment of connect(2) on, so one look at an
    /// empty queue ends this.
    #[cold]
    fn receive_sifted(
        &self,
        pass: &mut Pass<'_>,
        buf: &mut [MaybeUninit<u8>],
        mut waits: Waits,
    ) -> io::Result<(Received, SocketAddr)> {
        let peer = self.remote_addr()?;
        loop {
            match sys::receive_datagram_from(pass.fd(), buf) {
                Ok((datagram, Some(from))) if same_endpoint(&from, &peer) => {
                    if !pass.flags().has(Flags::QUEUED) {
                        pass.lower(Flags::SIFT);
                    }
                    return Ok((self.got(datagram), from));
                }
                Ok(_) => self.account.record(Event::Foreign),
                Err(error) => {
                    if sys::is(&error, libc::EAGAIN) {
                        pass.lower(Flags::SIFT.with(Flags::QUEUED));
                    }
                    self.before_receive(pass, error, &mut waits)?;
                }
            }
        }
    }

    #[inline]
    fn receive_stream(
        &self,
        pass: &mut Pass<'_>,
        buf: &mut [MaybeUninit<u8>],
    ) -> io::Result<Received> {
        let mut waits = Waits::NONE;
        loop {
            match sys::receive_stream(pass.fd(), buf) {
                Ok(0) if !buf.is_empty() => return self.end_of_stream(pass),
                Ok(len) => {
                    self.account.received(len);
                    return Ok(Received {
                        len,
                        truncated: false,
                    });
                }
                Err(error) => self.before_receive(pass, error, &mut waits)?,
            }
        }
    }

    /// Tells a stream that the peer ended from one that broke or was closed
    /// here.
    #[cold]
    fn end_of_stream(&self, pass: &mut Pass<'_>) -> io::Result<Received> {
        if pass.look_again().is_none() {
            return Err(sys::errno(libc::EBADF));
        }
        match self.fault.load(Relaxed) {
            0 => Ok(Received {
                len: 0,
                truncated: false,
            }),
            fault => Err(sys::errno(fault)),
        }
    }

    #[inline]
    fn got(&self, datagram: Datagram) -> Received {
        self.account.received(datagram.len);
        if datagram.truncated {
            self.account.record(Event::Truncated);
        }
        datagram.into()
    }

    /// Waits until a receive may be tried again, or says why not.
    fn before_receive(
        &self,
        pass: &mut Pass<'_>,
        error: io::Error,
        waits: &mut Waits,
    ) -> io::Result<()> {
        let Some(flags) = pass.look_again() else {
            return Err(sys::errno(libc::EBADF));
        };
        match error.raw_os_error() {
            Some(libc::EINTR) => {
                self.account.record(Event::Retried);
                Ok(())
            }
            Some(libc::EAGAIN) => {
                // The kernel says "end of stream" on a stream, and on datagram
                // sockets nothing at all.
                if flags.has(Flags::SHUT) && self.kind == Kind::Udp {
                    return Err(sys::errno(libc::ECONNABORTED));
                }
                let patience = patience_of(self.patience.load(Relaxed));
                if patience == Patience::None && !waits.have_begun() {
                    return Err(sys::errno(libc::ETIMEDOUT));
                }
                self.await_arrival(pass, None, waits, || patience.deadline())
                    .map_err(|error| {
                        self.with_exchange(|exchange| exchange.timed_out(&self.account));
                        self.failed(error)
                    })
            }
            _ => Err(self.broken(error, ICMP)),
        }
    }

    /// Waits until there may be something to receive or to accept, or `wakeup`
    /// says that the call is over.
    pub(crate) fn await_arrival(
        &self,
        pass: &mut Pass<'_>,
        wakeup: Option<&Notifier>,
        waits: &mut Waits,
        deadline: impl FnOnce() -> Deadline,
    ) -> io::Result<()> {
        let bell = self.bell();
        let mut fds = [
            PollFd::new(pass.fd(), Interest::Readable),
            PollFd::of_notifier(bell.as_deref()),
            PollFd::of_notifier(wakeup),
        ];
        waits.wait(&mut fds, deadline)?;
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
            Some(libc::ETIMEDOUT) => self.account.record(Event::TimedOut),
            Some(libc::ECONNREFUSED) => self.account.record(Event::Refused),
            _ => {}
        }
        error
    }

    /// As [`Socket::failed`], for what the kernel said of a transfer: what
    /// ends a stream is kept, as the kernel says it once and then pretends
    /// that the stream came to its end. `icmp` are the codes that tell of a
    /// UDP peer.
    fn broken(&self, error: io::Error, icmp: &[i32]) -> io::Error {
        let is_icmp = error
            .raw_os_error()
            .is_some_and(|code| icmp.contains(&code));
        if is_icmp && self.kind == Kind::Udp {
            self.with_exchange(|exchange| exchange.refused(&self.account));
        }
        if let (Kind::Tcp, Some(code)) = (self.kind, error.raw_os_error()) {
            const FATAL: [i32; 4] = [
                libc::ECONNRESET,
                libc::ETIMEDOUT,
                libc::EHOSTUNREACH,
                libc::ENETUNREACH,
            ];
            if FATAL.contains(&code) {
                self.fault.store(code, Relaxed);
            }
        }
        self.failed(error)
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
