//! The socket object and the end of its life.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicI32, AtomicU16, AtomicU32, AtomicU64};
use core::{fmt, mem};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anjay_net_resolve::unmap;
use anjay_net_stats::{Registry, Snapshot, SocketCounters, Totals};
use parking_lot::{Mutex, MutexGuard};

use crate::config::Configuration;
use crate::exchange::Unanswered;
use crate::gate::{Flags, Gate, Held};
use crate::options::{FamilyChoice, TimeSpan};
use crate::state::{Peer, State, Status};
use crate::sys::{self, Notifier, memory};

/// The counters of all sockets of the process.
pub(crate) static REGISTRY: Registry = Registry::new();

/// Of the next socket; ids are used again after 4 billion sockets.
static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// Traffic and errors of all sockets of this process.
pub fn process_totals() -> Totals {
    REGISTRY.totals()
}

/// The transport of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A stream, TCP.
    Tcp,
    /// Datagrams, UDP.
    Udp,
}

impl Kind {
    /// What calls must know of every descriptor of this kind.
    pub(crate) fn flags(self) -> Flags {
        match self {
            Kind::Tcp => Flags::STREAM,
            Kind::Udp => Flags::NONE,
        }
    }
}

/// A TCP or UDP socket; see the [crate's page](crate).
///
/// All methods may be called from several threads at once. A lock is never
/// held while a call waits, so none waits for another.
pub struct Socket {
    /// Tells this socket from others in log lines.
    pub(crate) id: u32,
    pub(crate) gate: Gate,
    pub(crate) kind: Kind,
    /// The receive timeout in nanoseconds, so that a receive needs no lock:
    /// 0 = do not wait, `u64::MAX` = for ever.
    pub(crate) patience: AtomicU64,
    pub(crate) families: FamilyChoice,
    guests: AtomicU16,
    pub(crate) counters: SocketCounters,
    pub(crate) config: Configuration,
    pub(crate) inner: Mutex<Inner>,
}

/// Announces a call to who waits for the end of all calls, with
/// [`Socket::await_leavers`]: connect, bind and accept may wait without being
/// inside the gate.
#[must_use = "the call is announced while this lives"]
#[derive(Debug)]
pub struct Guest<'a>(&'a AtomicU16);

impl Drop for Guest<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: all use of the socket comes before who finds nobody.
        self.0.fetch_sub(1, Release);
    }
}

/// What is looked at only when no datagram is under way.
pub(crate) struct Inner {
    pub(crate) state: State,
    /// Of the last pending operation.
    pub(crate) serial: u32,
    rare: Option<Box<Rare>>,
}

/// What hardly any socket has.
#[derive(Default)]
pub(crate) struct Rare {
    /// A receive timeout that [`Socket::patience`] does not tell in full.
    pub(crate) odd_timeout: Option<TimeSpan>,
    /// Rung when another socket was put behind the descriptor's number: poll(2)
    /// goes on waiting for the one before. Also by close and shutdown where
    /// shutdown(2) does not wake all. Made when a call waits.
    pub(crate) bell: Option<Arc<Notifier>>,
}

impl Inner {
    pub(crate) fn rare(&self) -> Option<&Rare> {
        self.rare.as_deref()
    }

    /// Made when it is first written to; `ENOMEM`.
    pub(crate) fn rare_mut(&mut self) -> io::Result<&mut Rare> {
        match &mut self.rare {
            Some(rare) => Ok(rare),
            rare => Ok(rare.insert(memory::boxed(Rare::default())?)),
        }
    }

    /// Tells all calls that wait to look again. The next wait gets a new bell.
    pub(crate) fn ring_bell(&mut self) {
        if let Some(bell) = self.take_bell() {
            bell.notify();
        }
    }

    fn take_bell(&mut self) -> Option<Arc<Notifier>> {
        self.rare.as_mut()?.bell.take()
    }
}

impl Socket {
    /// A closed socket.
    ///
    /// # Errors
    /// `EINVAL` when a value of the configuration is out of its limits;
    /// `ENOMEM`.
    #[inline]
    pub fn new(kind: Kind, config: Configuration) -> io::Result<Socket> {
        config.validate()?;
        Ok(Socket {
            id: NEXT_ID.fetch_add(1, Relaxed),
            gate: Gate::new(),
            kind,
            patience: AtomicU64::new(TimeSpan::DEFAULT_RECEIVE_TIMEOUT.as_patience()),
            families: FamilyChoice::new(config.forced_family, config.preferred_family),
            guests: AtomicU16::new(0),
            counters: REGISTRY
                .register()
                .ok_or_else(|| sys::errno(libc::ENOMEM))?,
            inner: Mutex::new(Inner {
                state: State::Closed,
                serial: 0,
                rare: None,
            }),
            config,
        })
    }

    /// What log lines and captures call this socket. No other socket has the
    /// number, unless there were 4 billion in between.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// TCP or UDP.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it is a TCP socket.
    pub(crate) fn is_stream(&self) -> bool {
        self.kind == Kind::Tcp
    }

    /// Where the descriptor's number stands, for who must hand out a pointer
    /// to it: stable from the moment the socket has a descriptor until it is
    /// closed. `None` when there is no descriptor.
    #[inline]
    pub fn descriptor_slot(&self) -> Option<&AtomicI32> {
        let slot = self.gate.slot();
        if slot.is_some() && !self.gate.flags().has(Flags::SHOWN) {
            self.show();
        }
        slot
    }

    /// Whether the socket has a descriptor.
    #[inline]
    pub fn has_descriptor(&self) -> bool {
        self.gate.slot().is_some()
    }

    /// The state now.
    pub fn status(&self) -> Status {
        self.inner.lock().state.status()
    }

    /// This socket's counters; they survive close and reconnect.
    pub fn stats(&self) -> Snapshot {
        self.counters.snapshot()
    }

    /// Gives the descriptor back. The object may be bound or connected again.
    ///
    /// Calls that wait on other threads end at once with `EBADF`. Closing a
    /// closed socket changes nothing.
    ///
    /// Tells of a UDP peer, one address of a name, that did not answer: the
    /// next connect to that name will rather take another address, and who
    /// remembers endpoints had better forget this one.
    pub fn close(&self) -> Option<Unanswered> {
        let mut inner = self.inner.lock();
        // The usual case is worth its own few instructions.
        if !log::log_enabled!(log::Level::Debug) {
            if let Some(held) = inner.state.close_plain() {
                self.give_back(inner, held);
                return None;
            }
        }
        self.close_otherwise(inner)
    }

    #[inline(never)]
    fn close_otherwise(&self, mut inner: MutexGuard<'_, Inner>) -> Option<Unanswered> {
        let (held, peer) = match mem::replace(&mut inner.state, State::Closed) {
            State::Closed => return None,
            State::Pending(mut pending) => {
                pending.wake();
                (pending.base, None)
            }
            State::Bound(held) => (Some(held), None),
            State::Shut(held, peer) => (Some(held), peer),
            State::Connected(link) | State::Accepted(link) => (Some(link.held), Some(link.peer)),
        };
        if let Some(held) = held {
            self.give_back(inner, held);
            let peer = PeerForLog::of(peer.as_ref());
            log::debug!("socket {}: {peer}: closed", self.id);
        }
        peer.and_then(|peer| peer.part(self.id, &self.counters))
    }

    #[inline(always)]
    fn give_back(&self, mut inner: MutexGuard<'_, Inner>, held: Held) {
        let idle = self.gate.retire(held);
        let bell = inner.take_bell();
        if !sys::SHUTDOWN_WAKES_UNCONNECTED {
            if let Some(bell) = &bell {
                bell.notify();
            }
        }
        drop(bell);
        drop(inner);
        // The system call that may linger, without the lock.
        drop(idle);
    }

    /// Announces a call of connect, bind or accept.
    #[inline]
    pub fn invite(&self) -> Guest<'_> {
        self.guests.fetch_add(1, Relaxed);
        Guest(&self.guests)
    }

    /// Whether a call that was announced has not ended.
    #[inline]
    pub fn has_guests(&self) -> bool {
        self.guests.load(Acquire) != 0
    }

    /// Waits for the end of calls on other threads that were waiting when the
    /// socket was closed: transfers, and calls that were announced with
    /// [`Socket::invite`]. close has woken them, so this does not take long.
    /// After it none of them uses the socket.
    #[inline]
    pub fn await_leavers(&self) {
        if self.has_guests() || !self.gate.await_leavers(Instant::now) {
            self.await_slow_leavers();
        }
    }

    #[cold]
    fn await_slow_leavers(&self) {
        const A_LONG_TIME: Duration = Duration::from_secs(3600);
        while !self.gate.await_leavers(|| Instant::now() + A_LONG_TIME) {}
        while self.has_guests() {
            // So rare and so short that it is not worth more.
            thread::sleep(Duration::from_micros(50));
        }
    }

    /// Ends both directions and keeps the descriptor: what has arrived can
    /// still be received, addresses can still be asked for.
    ///
    /// Calls that wait on other threads end at once: a receive with the end of
    /// the stream or `ECONNABORTED`, connect and accept with `ECONNABORTED`.
    ///
    /// # Errors
    /// `EBADF` on a closed socket, which stays closed.
    pub fn shutdown(&self) -> io::Result<()> {
        let mut inner = self.inner.lock();
        let state = mem::replace(&mut inner.state, State::Closed);
        let was_shut = matches!(state, State::Shut(..));
        inner.state = match state.shut_down() {
            Ok(state) => state,
            Err(state) => {
                inner.state = state;
                return if was_shut {
                    Ok(())
                } else {
                    Err(sys::errno(libc::EBADF))
                };
            }
        };
        if let Some(held) = inner.state.held() {
            // The mark first: who wakes up must find it.
            self.gate.raise(held, Flags::SHUT);
            if let Some(pass) = self.gate.enter() {
                // ENOTCONN: bound only, or reset by the peer. There is nothing
                // to end, and those who wait were woken all the same.
                let _ = sys::shutdown(pass.fd());
            }
            if !sys::SHUTDOWN_WAKES_UNCONNECTED {
                inner.ring_bell();
            }
        }
        drop(inner);
        log::debug!("socket {}: {}: shut down", self.id, self.peer_for_log());
        Ok(())
    }

    /// The peer as log lines have it. For who does not hold the lock.
    pub(crate) fn peer_for_log(&self) -> PeerForLog {
        PeerForLog::of(self.inner.lock().state.peer())
    }

    /// The peer as the kernel knows it.
    pub(crate) fn raw_remote_addr(&self) -> io::Result<SocketAddr> {
        let pass = self.enter()?;
        sys::remote_addr(pass.fd())
    }

    /// What to wait for beside the descriptor: [`Rare::bell`]. `None` for
    /// sockets whose descriptor stays what it is.
    pub(crate) fn bell(&self) -> Option<Arc<Notifier>> {
        let always = !sys::SHUTDOWN_WAKES_UNCONNECTED;
        if self.is_stream() && !always {
            return None;
        }
        let mut inner = self.inner.lock();
        let is_needed = match &inner.state {
            // By accept the descriptor comes to stand for another socket.
            State::Bound(_) => always || self.config.reuse_addr,
            _ => false,
        };
        if !is_needed {
            return None;
        }
        // Without one a wait may take longer than it must: no reason to fail.
        let bell = &mut inner.rare_mut().ok()?.bell;
        if bell.is_none() {
            *bell = Notifier::new().ok().map(Arc::new);
        }
        bell.clone()
    }

    /// The descriptor's local address, as [`Socket::local_addr`].
    pub(crate) fn raw_local_addr(&self) -> io::Result<SocketAddr> {
        let pass = self.enter()?;
        sys::local_addr(pass.fd())
    }
}

/// A peer as log lines have it; a dash for none.
pub(crate) struct PeerForLog(Option<SocketAddr>);

impl PeerForLog {
    fn of(peer: Option<&Peer>) -> PeerForLog {
        PeerForLog(peer.map(|peer| unmap(peer.addr)))
    }
}

impl fmt::Display for PeerForLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(addr) => addr.fmt(f),
            None => f.write_str("-"),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if !matches!(self.inner.get_mut().state, State::Closed) {
            self.close();
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("kind", &self.kind)
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}
