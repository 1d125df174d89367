//! The socket object, and the end of its use.

use core::fmt;
use core::mem;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::AtomicI32;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;
use std::os::fd::{AsFd, OwnedFd};

use anjay_net_resolve::{Family, Kind, unmap};
use anjay_net_stats::{Counters, Event, Registry, Snapshot, SocketCounters, Totals};

use crate::error::{Errno, Result};
use crate::family::{AtomicFamily, FamilyChoice};
use crate::fd_lock::{Descriptor, FdGuard, FdLock, FdOwner, Flags};
use crate::locks::Mutex;
use crate::log_line;
use crate::logging::{PeerForLog, log_peer_line};
use crate::network_state::NetworkState;
use crate::own_port::OwnPort;
use crate::reachability::{UnresponsivePeer, note_close};
use crate::socket_config::SocketConfig;
use crate::state::{Link, State, Status};
use crate::sys::{self, StreamBytes, Waker};
use crate::timeout::{AtomicTimeout, Timeout};

/// Every socket of the process, and those that were.
pub(crate) static REGISTRY: Registry = Registry::new();

/// The next socket's id; ids repeat after 4 billion sockets.
static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// Traffic and errors of all sockets of this process.
pub fn process_totals() -> Totals {
    REGISTRY.totals()
}

/// What a receive put into the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes in the buffer.
    pub len: usize,
    /// The datagram was longer than the buffer, and its rest is lost. C
    /// callers get `EMSGSIZE`.
    pub truncated: bool,
}

/// A TCP or UDP socket; see the [crate's page](crate).
///
/// All methods may be called from several threads at once. No lock is held
/// while a call waits, so none waits for another.
pub struct Socket {
    /// Tells this socket from others in log lines.
    pub(crate) id: u32,
    pub(crate) kind: Kind,
    pub(crate) families: FamilyChoice,
    pub(crate) lock: FdLock,
    pub(crate) receive_timeout: AtomicTimeout,
    /// The errno that ended the stream behind the descriptor, 0 while it is
    /// whole. The kernel reports it once; callers are told each time.
    pub(crate) stream_end: AtomicI32,
    pub(crate) network: NetworkState,
    pub(crate) own_port: OwnPort,
    /// Whether the descriptor was bound to an address, which it keeps whatever it
    /// is connected to.
    pub(crate) has_own_address: AtomicBool,
    pub(crate) counters: SocketCounters,
    pub(crate) config: SocketConfig,
    pub(crate) inner: Mutex<Inner>,
}

/// What is looked at only when no datagram is under way.
pub(crate) struct Inner {
    pub(crate) state: State,
    /// Of the last connect, bind or accept.
    pub(crate) generation: u32,
    /// As it was set.
    pub(crate) receive_timeout: Timeout,
    /// Ends the waits of receives whose descriptor becomes another socket's.
    /// Made when such a call waits.
    pub(crate) waker: Option<Waker>,
    /// What of the stream's packets is in the counters.
    stream_counted: StreamBytes,
}

impl Socket {
    /// A closed socket.
    ///
    /// # Errors
    /// `EINVAL` when a value of the configuration is out of its limits;
    /// `ENOMEM`.
    pub fn new(kind: Kind, config: SocketConfig) -> Result<Socket> {
        if config.dscp > 63 || config.priority > 7 {
            return Err(Errno(libc::EINVAL));
        }
        if !OwnedFd::closing_list().reserve() {
            return Err(Errno(libc::ENOMEM));
        }
        Ok(Socket {
            id: NEXT_ID.fetch_add(1, Relaxed),
            kind,
            families: FamilyChoice {
                forced: AtomicFamily::new(config.forced_family),
                preferred: AtomicFamily::new(config.preferred_family),
            },
            lock: FdLock::new(),
            receive_timeout: AtomicTimeout::new(Timeout::DEFAULT_RECEIVE.duration()),
            stream_end: AtomicI32::new(0),
            network: NetworkState::default(),
            own_port: OwnPort::default(),
            has_own_address: AtomicBool::new(false),
            counters: REGISTRY
                .register(kind == Kind::Tcp)
                .ok_or(Errno(libc::ENOMEM))?,
            config,
            inner: Mutex::new(Inner {
                state: State::Closed,
                generation: 0,
                receive_timeout: Timeout::DEFAULT_RECEIVE,
                waker: None,
                stream_counted: StreamBytes::default(),
            }),
        })
    }

    /// Identifies this socket in log lines and captures. No other socket has the
    /// same number unless 4 billion were made in between.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// TCP or UDP.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.kind == Kind::Tcp
    }

    /// The descriptor's number, for callers that hand out a pointer to it: stable
    /// from the moment the socket has a descriptor until it is closed. `None` when
    /// there is no descriptor.
    #[inline]
    pub fn descriptor(&self) -> Option<&AtomicI32> {
        self.lock.number()
    }

    /// The state now.
    pub fn status(&self) -> Status {
        self.inner.lock().state.status()
    }

    /// This socket's counters; they survive close and reconnect.
    pub fn stats(&self) -> Snapshot {
        self.count_stream();
        self.counters.snapshot()
    }

    /// Adds the packets of an open stream to the counters. Without this call
    /// [`process_totals`] has them once the stream is closed.
    pub fn count_stream(&self) {
        if self.is_stream() {
            count_packets(&self.counters, &mut self.inner.lock());
        }
    }

    /// Payload bytes sent since the object was made.
    pub fn bytes_sent(&self) -> u64 {
        self.counters.bytes_sent()
    }

    /// Payload bytes received since the object was made.
    pub fn bytes_received(&self) -> u64 {
        self.counters.bytes_received()
    }

    /// The right to use the descriptor; `EBADF` when there is none.
    #[inline(always)]
    pub(crate) fn fd(&self) -> Result<FdGuard<'_>> {
        self.lock.acquire().ok_or(Errno(libc::EBADF))
    }

    /// Gives the descriptor back. The object may be bound or connected again.
    ///
    /// Calls that wait on other threads end at once with `EBADF`. Closing a
    /// closed socket changes nothing.
    ///
    /// Returns the UDP peer, one address of a name, if it did not answer: the
    /// next connect to that name takes another address first, and callers that
    /// store endpoints should forget this one.
    #[inline(never)]
    pub fn close(&self) -> Option<UnresponsivePeer> {
        let mut inner = self.inner.lock();
        if self.is_stream() {
            count_packets(&self.counters, &mut inner);
            inner.stream_counted = StreamBytes::default();
        }
        let (owner, peer) = match mem::replace(&mut inner.state, State::Closed) {
            State::Closed => return None,
            State::Pending(pending) => {
                pending.wake();
                (pending.base, None)
            }
            State::Bound(owner) | State::BoundShutdown(owner) => (Some(owner), None),
            State::Connected(Link { owner, peer })
            | State::Accepted(Link { owner, peer })
            | State::Shutdown(Link { owner, peer }) => (Some(owner), Some(peer)),
        };
        let unused = owner.and_then(|owner| self.lock.close(owner));
        inner.wake_receives();
        drop(inner);
        // close(2) may linger: without the mutex.
        drop(unused);
        let name = PeerForLog(peer.as_ref().map(|peer| peer.addr));
        log_line!(Debug, self.id, "{name}: closed");
        let peer = peer?;
        note_close(self.id, peer.addr, peer.reachability.as_ref()?)
    }

    /// Ends both directions and keeps the descriptor: what has arrived can
    /// still be received, addresses can still be asked for.
    ///
    /// Calls that wait on other threads end at once: a receive with the end of
    /// the stream or `ECONNABORTED`, connect and accept with `ECONNABORTED`.
    ///
    /// # Errors
    /// `EBADF` on a closed socket, which stays closed.
    #[inline(never)]
    pub fn shutdown(&self) -> Result<()> {
        let mut inner = self.inner.lock();
        if matches!(inner.state, State::Closed) {
            return Err(Errno(libc::EBADF));
        }
        inner.state.shut_down();
        if let Some(owner) = inner.state.owner() {
            // The flag first: calls that wake up must find it.
            self.lock.set(owner, Flags::SHUTDOWN);
            // ENOTCONN: bound only, or reset by the peer. There is nothing to
            // end, and the waits were ended all the same.
            let _ = sys::shutdown(owner.fd().as_fd());
        }
        inner.wake_receives();
        drop(inner);
        log_peer_line!(Debug, self, "shut down");
        Ok(())
    }

    /// Counts an error on its way to the caller.
    pub(crate) fn count_failure(&self, error: Errno) -> Errno {
        match error.0 {
            libc::ETIMEDOUT => self.counters.record(Event::TimedOut),
            libc::ECONNREFUSED => self.counters.record(Event::Refused),
            _ => {}
        }
        error
    }

    /// What to wait for beside the descriptor of a socket that may be accepted
    /// from: accept makes it another socket's, and ppoll(2) would go on waiting
    /// for it. `None` for sockets whose descriptor stays theirs.
    pub(crate) fn replaced_waker(&self) -> Result<Option<Waker>> {
        if self.is_stream() || !self.config.reuse_addr {
            return Ok(None);
        }
        let mut inner = self.inner.lock();
        if !matches!(inner.state, State::Bound(_)) {
            return Ok(None);
        }
        // An error of these is the call's: without a waker it could not be ended.
        match &inner.waker {
            Some(waker) => waker.try_clone().map(Some),
            None => inner.waker.insert(Waker::new()?).try_clone().map(Some),
        }
    }

    /// Makes `fd` the socket's descriptor. For callers that hold the mutex.
    #[inline(never)]
    pub(crate) fn install(&self, fd: OwnedFd, flags: Flags) -> FdOwner {
        self.stream_end.store(0, Relaxed);
        self.network.begin();
        self.lock.install(fd, flags)
    }

    /// The peer as log lines have it. Not for callers that hold the mutex.
    pub(crate) fn peer_for_log(&self) -> PeerForLog {
        PeerForLog(self.inner.lock().state.peer().map(|peer| peer.addr))
    }
}

fn count_packets(counters: &Counters, inner: &mut Inner) {
    let (Some(owner), Some(peer)) = (inner.state.owner(), inner.state.peer()) else {
        return;
    };
    let packets = Family::of(&unmap(peer.addr));
    if let Some(now) = sys::stream_bytes(owner.fd().as_fd(), packets) {
        let before = mem::replace(&mut inner.stream_counted, now);
        counters.ip_sent(now.sent.saturating_sub(before.sent));
        counters.ip_received(now.received.saturating_sub(before.received));
    }
}

/// Datagram sockets hang up only when they are shut down: here, or by another
/// process that shares the socket.
pub(crate) fn note_hang_up(socket: &Socket, guard: &mut FdGuard<'_>, hung_up: bool) {
    if hung_up && !socket.is_stream() {
        guard.set(Flags::SHUTDOWN);
    }
}

/// `EBADF` when the descriptor was closed meanwhile, `ECONNABORTED` when it was
/// shut down.
pub(crate) fn check_open(guard: &mut FdGuard<'_>) -> Result<()> {
    if check_not_closed(guard)?.has(Flags::SHUTDOWN) {
        return Err(Errno(libc::ECONNABORTED));
    }
    Ok(())
}

/// `EBADF` when the descriptor was closed meanwhile; otherwise the flags of the one
/// that the socket has now.
pub(crate) fn check_not_closed(guard: &mut FdGuard<'_>) -> Result<Flags> {
    guard.follow().ok_or(Errno(libc::EBADF))
}

impl Inner {
    /// Ends the waits of receives, which then look at the lock again.
    pub(crate) fn wake_receives(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("kind", &self.kind)
            .field("lock", &self.lock)
            .finish_non_exhaustive()
    }
}
