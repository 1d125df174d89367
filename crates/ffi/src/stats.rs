//! Statistics for C: `include/anjay_net.h`.

use core::ffi::{c_char, c_int, c_void};
use core::fmt;
use core::mem::MaybeUninit;
use core::time::Duration;

use anjay_net_socket::stats::{ConnectOutcome, Event, HistogramSnapshot, LookupOutcome, Totals};
use anjay_net_socket::{Socket as Core, process_totals};
use anjay_net_watch::metrics;

use crate::abi::Socket;
use crate::convert::{self, Growing, OutGrowing};
use crate::errno::errno_of;
use crate::object::Object;
use crate::panic::{catch, not_null};
use crate::vtable::object;

/// A histogram of durations.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Observations in each bucket. The upper bounds are 1, 5, 10, 25, 50, 100,
    /// 250, 500, 1000, 2500, 5000 and 10000 ms; the last bucket has none. Each
    /// observation is in one bucket only: unlike the buckets of Prometheus,
    /// these are not cumulative.
    pub buckets: [u64; 13],
    /// Sum of all observations, in microseconds.
    pub sum_us: u64,
}

/// Traffic and errors of all sockets of the process since it started. All
/// values except `sockets` only grow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// sizeof(anjay_net_stats_t), so that the struct can grow.
    pub size: usize,
    /// Sockets that exist now.
    pub sockets: u64,
    /// The largest number of sockets at one time.
    pub sockets_max: u64,
    /// Sockets created.
    pub sockets_created: u64,
    /// Payload bytes that the kernel took.
    pub bytes_sent: u64,
    /// Payload bytes that callers got.
    pub bytes_received: u64,
    /// Datagrams sent, or pieces of a stream that the kernel took.
    pub datagrams_sent: u64,
    /// Datagrams received, or pieces of a stream.
    pub datagrams_received: u64,
    /// Received datagrams that were longer than the caller's buffer.
    pub truncated: u64,
    /// Received datagrams that were dropped because they did not come from the
    /// connected peer.
    pub unexpected_source: u64,
    /// Empty datagrams from the connected peer that were dropped.
    pub dropped_empty: u64,
    /// Datagrams that waited to be received and were dropped, because connect
    /// replaced the descriptor by one of the other address family.
    pub dropped_queued: u64,
    /// Datagrams lost on this host while they were sent: a firewall dropped
    /// them (EPERM), a queue was full (ENOBUFS), or WireGuard had no peer for
    /// them (ENOKEY).
    pub dropped_local: u64,
    /// Datagrams lost because there was no route while they were sent
    /// (ENETUNREACH, EHOSTUNREACH, ENETDOWN, EACCES).
    pub dropped_outage: u64,
    /// ICMP errors about earlier datagrams.
    pub icmp_errors: u64,
    /// Datagram sockets that were connected to their peer again because their
    /// address or interface was gone.
    pub reconnects: u64,
    /// Calls that returned ECONNREFUSED: connect, send and receive.
    pub connection_refused: u64,
    /// Waits that ended at their deadline.
    pub timeouts: u64,
    /// Stream writes of which the kernel took only a part at first.
    pub short_writes: u64,
    /// System calls repeated after EINTR, or after EAGAIN despite readiness.
    pub syscall_retries: u64,
    /// Connects that succeeded.
    pub connects_succeeded: u64,
    /// Connects to an address where nothing listens.
    pub connects_refused: u64,
    /// Connects that the peer or the name service did not answer in time.
    pub connects_timed_out: u64,
    /// Connects without a route to the peer.
    pub connects_unreachable: u64,
    /// Connects to a name without a usable address.
    pub connects_unresolved: u64,
    /// Connects that were ended by shutdown or close.
    pub connects_cancelled: u64,
    /// Connects that failed for any other reason.
    pub connects_failed: u64,
    /// Duration of connects that had to wait for the network: for a TCP
    /// handshake or a lookup.
    pub connect_duration: Histogram,
    /// Lookups of names that have addresses. Lookups are counted once for each
    /// address family.
    pub lookups_found: u64,
    /// Lookups of names that do not exist or have no address of the family.
    pub lookups_not_found: u64,
    /// Lookups that were not answered in time.
    pub lookups_timed_out: u64,
    /// Lookups whose answer was no longer needed.
    pub lookups_cancelled: u64,
    /// Lookups that failed for any other reason.
    pub lookups_failed: u64,
    /// Duration of lookups.
    pub lookup_duration: Histogram,
    /// Bytes of IP packets sent, which is what carriers bill: headers, payload,
    /// and what the kernel sent again. See docs/observability.md for what is not
    /// in them.
    pub ip_bytes_sent: u64,
    /// Bytes of IP packets received, also those that no caller got.
    pub ip_bytes_received: u64,
}

/// Traffic and errors of one socket since it was created; close and connect do
/// not reset them. All values except `last_connect_us` only grow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketStats {
    /// sizeof(anjay_net_socket_stats_t), so that the struct can grow.
    pub size: usize,
    /// The number of this socket in log lines and captures.
    pub id: u64,
    /// Payload bytes that the kernel took.
    pub bytes_sent: u64,
    /// Payload bytes that callers got.
    pub bytes_received: u64,
    /// Datagrams sent, or pieces of a stream that the kernel took.
    pub datagrams_sent: u64,
    /// Datagrams received, or pieces of a stream.
    pub datagrams_received: u64,
    /// Received datagrams that were longer than the caller's buffer.
    pub truncated: u64,
    /// Received datagrams that were dropped because they did not come from the
    /// connected peer.
    pub unexpected_source: u64,
    /// Empty datagrams from the connected peer that were dropped.
    pub dropped_empty: u64,
    /// Datagrams that waited to be received and were dropped, because connect
    /// replaced the descriptor by one of the other address family.
    pub dropped_queued: u64,
    /// Datagrams lost on this host while they were sent: a firewall dropped
    /// them (EPERM), a queue was full (ENOBUFS), or WireGuard had no peer for
    /// them (ENOKEY).
    pub dropped_local: u64,
    /// Datagrams lost because there was no route while they were sent
    /// (ENETUNREACH, EHOSTUNREACH, ENETDOWN, EACCES).
    pub dropped_outage: u64,
    /// ICMP errors about earlier datagrams.
    pub icmp_errors: u64,
    /// How often a datagram socket was connected to its peer again because its
    /// address or interface was gone.
    pub reconnects: u64,
    /// Calls that returned ECONNREFUSED: connect, send and receive.
    pub connection_refused: u64,
    /// Waits that ended at their deadline.
    pub timeouts: u64,
    /// Stream writes of which the kernel took only a part at first.
    pub short_writes: u64,
    /// System calls repeated after EINTR, or after EAGAIN despite readiness.
    pub syscall_retries: u64,
    /// Connections established, by connect or accept.
    pub connections: u64,
    /// Connects that failed.
    pub connect_failures: u64,
    /// How long the last connect waited for the network, in microseconds,
    /// whether it succeeded or not. 0 if it did not have to wait, such as UDP
    /// to an address.
    pub last_connect_us: u64,
    /// Lookups of names that have addresses, one for each address family.
    pub lookups_found: u64,
    /// Lookups without an address, for any reason.
    pub lookup_failures: u64,
    /// Bytes of IP packets sent, which is what carriers bill: headers, payload,
    /// and what the kernel sent again. See docs/observability.md for what is not
    /// in them.
    pub ip_bytes_sent: u64,
    /// Bytes of IP packets received, also those that no caller got.
    pub ip_bytes_received: u64,
}

/// Stores the statistics of the process in the first `stats->size` bytes of
/// `*stats`.
///
/// The values are consistent: a datagram that is counted has its bytes counted,
/// and a socket that is cleaned up meanwhile is counted once. Returns 0, or -1
/// if `stats` is NULL or `stats->size` is smaller than the field itself. May be
/// called from any thread; the time it takes grows with the number of sockets.
///
/// # Safety
/// `stats` is NULL or writable for `stats->size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anjay_net_get_stats(stats: *mut Stats) -> c_int {
    // SAFETY: a struct that begins with its size, the call's own, or NULL.
    let stats = unsafe { OutGrowing::new(stats) };
    catch(|| {
        not_null!(stats).put(Stats::from(&totals()));
        0
    })
}

/// Stores the statistics of one socket in the first `stats->size` bytes of
/// `*stats`.
///
/// `socket` is an avs_net_socket_t. One that another library created, such as
/// the (D)TLS socket around ours, is asked for its descriptor, by its method
/// get_system_socket, and has the statistics of the socket of ours that owns the
/// descriptor: only while that is open. Returns 0, or -1 if an argument is NULL,
/// no socket of ours is behind it, or `stats->size` is smaller than the field
/// itself. May be called from any thread, like the methods of the socket.
///
/// # Safety
/// `socket` is NULL or a socket; `stats` is NULL or writable for
/// `stats->size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anjay_net_socket_get_stats(
    socket: *const c_void,
    stats: *mut SocketStats,
) -> c_int {
    let socket: *mut Socket = socket.cast_mut().cast();
    // SAFETY: a socket in use and a struct that begins with its size, the call's
    // own, or NULL.
    let (object, stats) = unsafe { (object(socket), OutGrowing::new(stats)) };
    let descriptor = match object {
        Some(_) => None,
        // SAFETY: a socket of another library in use, or NULL.
        None => unsafe { descriptor(socket) },
    };
    catch(|| {
        let found = match object {
            Some(object) => Some(SocketStats::of(object.socket())),
            None => Object::with_descriptor(not_null!(descriptor), SocketStats::of),
        };
        not_null!(stats).put(not_null!(found));
        0
    })
}

/// The descriptor of a socket of another library; `None` for NULL, for what is
/// no socket, and while there is no descriptor.
///
/// # Safety
/// A `socket` that is not NULL, is aligned and does not begin with a NULL
/// pointer is a socket in use.
unsafe fn descriptor(socket: *mut Socket) -> Option<c_int> {
    if socket.is_null() || !socket.is_aligned() {
        return None;
    }
    // SAFETY: not NULL and aligned, so it begins with a pointer: NULL, or to the
    // v-table, which stays while the socket is in use.
    let operations = unsafe { (*socket).operations.as_ref() }?;
    // SAFETY: the method of this socket, which is in use.
    let descriptor: *const c_int = unsafe { (operations.get_system_socket)(socket) }.cast();
    // SAFETY: NULL, or it points at the descriptor.
    unsafe { descriptor.as_ref() }.copied()
}

/// Writes the statistics of the process to `buf` in the Prometheus text
/// exposition format, truncated to `size` bytes including the terminating NUL.
///
/// Like snprintf(), returns the length of the whole text without the NUL: if
/// that is `size` or more, the text was truncated. `buf` may be NULL to ask for
/// the length only, which is below 16384. Allocates no memory. May be called
/// from any thread.
///
/// # Safety
/// `buf` is NULL or writable for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anjay_net_stats_text(buf: *mut c_char, size: usize) -> usize {
    // More than the text can have is not looked at.
    let size = size.min(1 << 20);
    // SAFETY: a buffer of that size, the call's own, or NULL.
    let room = unsafe { convert::output(buf.cast(), size) }.unwrap_or_default();
    catch(|| {
        let mut text = Truncated { room, len: 0 };
        // Writing to it never fails.
        let _ = metrics::write_text(&mut text, &totals());
        if let Some(last) = text.room.len().checked_sub(1) {
            text.room[text.len.min(last)].write(0);
        }
        text.len
    })
}

/// The totals of the process, with the packets of open streams.
fn totals() -> Totals {
    Object::for_each(Core::count_stream);
    process_totals()
}

/// Text in a buffer of C, as much of it as fits.
struct Truncated<'a> {
    room: &'a mut [MaybeUninit<u8>],
    /// Of the whole text.
    len: usize,
}

impl fmt::Write for Truncated<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let rest = self.room.get_mut(self.len..).unwrap_or_default();
        for (place, byte) in rest.iter_mut().zip(text.bytes()) {
            place.write(byte);
        }
        self.len += text.len();
        Ok(())
    }
}

/// Writes the statistics of the process to a file in the Prometheus text
/// exposition format, for node_exporter's textfile collector and for
/// `anjay-net watch`.
///
/// The text is written to a new file in the same directory, which then replaces
/// whatever regular file of the effective user is at `path`: readers always find
/// a complete file. Its mode is 0666 without the bits of the umask. Links are
/// not followed. Choose a directory in which no other user can create files.
///
/// Returns 0, or an errno: EINVAL if `path` is NULL or names a pipe, a socket or
/// a device; ELOOP for a symbolic link; EISDIR; EPERM for a file of another user;
/// ENOMEM; otherwise the error of the file system. On error the file is
/// unchanged. May be called from any thread.
///
/// # Safety
/// `path` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anjay_net_stats_write(path: *const c_char) -> c_int {
    // SAFETY: a path, or NULL.
    let path = unsafe { convert::path(path) };
    catch(|| errno_of(metrics::write_file(not_null!(path), &totals()))).0
}

// SAFETY: `repr(C)`, all integers, and the first one is the size.
unsafe impl Growing for Stats {}

// SAFETY: `repr(C)`, all integers, and the first one is the size.
unsafe impl Growing for SocketStats {}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl From<&HistogramSnapshot> for Histogram {
    fn from(values: &HistogramSnapshot) -> Histogram {
        Histogram {
            buckets: values.buckets,
            sum_us: micros(values.sum),
        }
    }
}

impl From<&Totals> for Stats {
    fn from(totals: &Totals) -> Stats {
        let (traffic, connects, lookups) = (&totals.traffic, &totals.connects, &totals.lookups);
        Stats {
            size: size_of::<Stats>(),
            sockets: totals.sockets as u64,
            sockets_max: totals.sockets_max as u64,
            sockets_created: totals.sockets_created,
            bytes_sent: traffic.bytes_sent,
            bytes_received: traffic.bytes_received,
            datagrams_sent: traffic.sends,
            datagrams_received: traffic.receives,
            truncated: traffic.count(Event::Truncated),
            unexpected_source: traffic.count(Event::UnexpectedSource),
            dropped_empty: traffic.count(Event::DroppedEmpty),
            dropped_queued: traffic.count(Event::DroppedQueued),
            dropped_local: traffic.count(Event::DroppedLocal),
            dropped_outage: traffic.count(Event::DroppedOutage),
            icmp_errors: traffic.count(Event::IcmpError),
            reconnects: traffic.count(Event::Reconnected),
            connection_refused: traffic.count(Event::Refused),
            timeouts: traffic.count(Event::TimedOut),
            short_writes: traffic.count(Event::ShortWrite),
            syscall_retries: traffic.count(Event::SyscallRetried),
            connects_succeeded: connects.count(ConnectOutcome::Succeeded),
            connects_refused: connects.count(ConnectOutcome::Refused),
            connects_timed_out: connects.count(ConnectOutcome::TimedOut),
            connects_unreachable: connects.count(ConnectOutcome::Unreachable),
            connects_unresolved: connects.count(ConnectOutcome::Unresolved),
            connects_cancelled: connects.count(ConnectOutcome::Cancelled),
            connects_failed: connects.count(ConnectOutcome::Failed),
            connect_duration: Histogram::from(&connects.duration),
            lookups_found: lookups.count(LookupOutcome::Found),
            lookups_not_found: lookups.count(LookupOutcome::NotFound),
            lookups_timed_out: lookups.count(LookupOutcome::TimedOut),
            lookups_cancelled: lookups.count(LookupOutcome::Cancelled),
            lookups_failed: lookups.count(LookupOutcome::Failed),
            lookup_duration: Histogram::from(&lookups.duration),
            ip_bytes_sent: traffic.ip_bytes_sent,
            ip_bytes_received: traffic.ip_bytes_received,
        }
    }
}

impl SocketStats {
    fn of(socket: &Core) -> SocketStats {
        let now = socket.stats();
        SocketStats {
            size: size_of::<SocketStats>(),
            id: socket.id().into(),
            bytes_sent: now.bytes_sent,
            bytes_received: now.bytes_received,
            datagrams_sent: now.sends,
            datagrams_received: now.receives,
            truncated: now.count(Event::Truncated),
            unexpected_source: now.count(Event::UnexpectedSource),
            dropped_empty: now.count(Event::DroppedEmpty),
            dropped_queued: now.count(Event::DroppedQueued),
            dropped_local: now.count(Event::DroppedLocal),
            dropped_outage: now.count(Event::DroppedOutage),
            icmp_errors: now.count(Event::IcmpError),
            reconnects: now.count(Event::Reconnected),
            connection_refused: now.count(Event::Refused),
            timeouts: now.count(Event::TimedOut),
            short_writes: now.count(Event::ShortWrite),
            syscall_retries: now.count(Event::SyscallRetried),
            connections: now.count(Event::Connected),
            connect_failures: now.count(Event::ConnectFailed),
            last_connect_us: micros(now.last_connect),
            lookups_found: now.count(Event::LookupFound),
            lookup_failures: now.count(Event::LookupFailed),
            ip_bytes_sent: now.ip_bytes_sent,
            ip_bytes_received: now.ip_bytes_received,
        }
    }
}
