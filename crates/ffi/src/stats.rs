//! Statistics for C: `include/anjay_net.h`.

use core::ffi::{c_char, c_int, c_void};
use core::time::Duration;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anjay_net_socket::process_totals;
use anjay_net_socket::stats::{ConnectOutcome, LookupOutcome, Snapshot, Times, Totals};
use anjay_net_watch::exporter;

use crate::capture::status;
use crate::convert;
use crate::guard::{function, some_or_return};
use crate::object::Object;

/// How long things took.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeClasses {
    /// How many fall into each class: at most 1, 5, 10, 25, 50, 100, 250, 500,
    /// 1000, 2500, 5000, 10000 ms and longer than the class before; the last
    /// has those that took longer.
    pub classes: [u64; 13],
    /// All of them together, in microseconds.
    pub sum_us: u64,
}

/// What all sockets of the process carried and met since it started. All
/// values but `sockets` only grow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// sizeof(anjay_net_stats_t), so that the struct can grow.
    pub size: usize,
    /// Sockets that exist now.
    pub sockets: u64,
    /// The largest number of sockets at one time.
    pub sockets_at_most: u64,
    /// Sockets made.
    pub sockets_created: u64,
    /// Payload bytes that the kernel took.
    pub bytes_sent: u64,
    /// Payload bytes that callers got.
    pub bytes_received: u64,
    /// Datagrams sent, or pieces that the kernel took of a stream.
    pub datagrams_sent: u64,
    /// Datagrams received, or pieces of a stream.
    pub datagrams_received: u64,
    /// Datagrams that were longer than the caller's buffer.
    pub truncated: u64,
    /// Datagrams of others than the connected peer, thrown away.
    pub foreign: u64,
    /// Calls that ended with ECONNREFUSED.
    pub refused: u64,
    /// Waits that ended without what they waited for.
    pub timeouts: u64,
    /// Stream writes of which the kernel took a part at first.
    pub short_writes: u64,
    /// System calls repeated after a signal.
    pub retries: u64,
    /// Connects that succeeded.
    pub connects_connected: u64,
    /// Connects where nobody listens.
    pub connects_refused: u64,
    /// Connects that nobody answered in time, the name service included.
    pub connects_timed_out: u64,
    /// Connects to where there is no way.
    pub connects_unreachable: u64,
    /// Connects to what has no address that can be used.
    pub connects_unresolved: u64,
    /// Connects that shutdown or close ended.
    pub connects_ended: u64,
    /// Connects that failed otherwise.
    pub connects_failed: u64,
    /// How long connects took that had to wait for the network: TCP
    /// handshakes and names.
    pub connect_times: TimeClasses,
    /// Names that have addresses. Lookups are counted once for each address
    /// family.
    pub lookups_found: u64,
    /// Names that do not exist, or have no address of the family.
    pub lookups_not_found: u64,
    /// Lookups that were not answered in time.
    pub lookups_timed_out: u64,
    /// Lookups whose answer was not needed any more.
    pub lookups_ended: u64,
    /// Lookups that failed otherwise.
    pub lookups_failed: u64,
    /// How long lookups took.
    pub lookup_times: TimeClasses,
}

/// What one socket carried and met since it was made; close and connect go on
/// counting. All values but `last_connect_us` only grow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketStats {
    /// sizeof(anjay_net_socket_stats_t), so that the struct can grow.
    pub size: usize,
    /// What log lines and captures call this socket.
    pub id: u64,
    /// Payload bytes that the kernel took.
    pub bytes_sent: u64,
    /// Payload bytes that callers got.
    pub bytes_received: u64,
    /// Datagrams sent, or pieces that the kernel took of a stream.
    pub datagrams_sent: u64,
    /// Datagrams received, or pieces of a stream.
    pub datagrams_received: u64,
    /// Datagrams that were longer than the caller's buffer.
    pub truncated: u64,
    /// Datagrams of others than the connected peer, thrown away.
    pub foreign: u64,
    /// Calls that ended with ECONNREFUSED.
    pub refused: u64,
    /// Waits that ended without what they waited for.
    pub timeouts: u64,
    /// Stream writes of which the kernel took a part at first.
    pub short_writes: u64,
    /// System calls repeated after a signal.
    pub retries: u64,
    /// Connects that succeeded, and the accept that made it.
    pub connected: u64,
    /// Connects that failed.
    pub connect_failures: u64,
    /// How long the last connect waited for the network, in microseconds,
    /// whatever came of it. 0 for none that had to wait, such as UDP to an
    /// address.
    pub last_connect_us: u64,
    /// Names looked up that have addresses, once for each address family.
    pub lookups: u64,
    /// Lookups without an address, for any reason.
    pub lookup_failures: u64,
}

/// Stores what all sockets of the process carried and met, as much of it as
/// `stats->size` says that there is room for.
///
/// The values fit together: a datagram that is counted has its bytes counted,
/// and a socket that is closed meanwhile is counted once. 0, or -1 for NULL and
/// a size that holds not even itself. May be called from any thread; its time
/// grows with the number of sockets.
///
/// # Safety
/// `stats` is NULL or writable for `stats->size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anjay_net_get_stats(stats: *mut Stats) -> c_int {
    function(-1, || {
        // SAFETY: the caller's promise.
        unsafe { convert::put_sized(stats, Stats::from(&process_totals())) }.map_or(-1, |()| 0)
    })
}

/// Stores what one socket carried and met, as much of it as `stats->size` says
/// that there is room for.
///
/// `socket` is an avs_net_socket_t that this library made: not the TLS socket
/// around it. 0, or -1 for NULL, a socket of another library and a size that
/// holds not even itself. May be called from any thread, as any method of the
/// socket.
///
/// # Safety
/// `socket` is NULL or a socket; `stats` is NULL or writable for
/// `stats->size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anjay_net_socket_get_stats(
    socket: *const c_void,
    stats: *mut SocketStats,
) -> c_int {
    function(-1, || {
        // SAFETY: the caller's promise.
        let object = some_or_return!(unsafe { Object::from_ptr(socket.cast()) }, -1);
        let socket = object.socket();
        let now = SocketStats::of(socket.id(), &socket.stats());
        // SAFETY: as above.
        unsafe { convert::put_sized(stats, now) }.map_or(-1, |()| 0)
    })
}

/// Writes the statistics of the process as text, in Prometheus' exposition
/// format, and a NUL: as much as fits into `size` bytes.
///
/// The length of all of the text, without the NUL: it was cut when that is not
/// less than `size`. 0 when memory ran out. `buf` may be NULL: nothing is
/// written then. May be called from any thread.
///
/// # Safety
/// `buf` is NULL or writable for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anjay_net_stats_text(buf: *mut c_char, size: usize) -> usize {
    function(0, || {
        let Ok(text) = exporter::text() else {
            return 0;
        };
        if !buf.is_null() && size > 0 {
            let fitting = text.len().min(size - 1);
            // SAFETY: text and NUL fit, and the caller's promise.
            unsafe {
                buf.cast::<u8>()
                    .copy_from_nonoverlapping(text.as_ptr(), fitting);
                buf.add(fitting).write(0);
            }
        }
        text.len()
    })
}

/// Writes the statistics of the process as text to a file, for node_exporter's
/// textfile collector and for `anjay-net watch`. Whoever reads the file finds
/// it complete: it is written beside and renamed.
///
/// 0, or an errno: EINVAL for NULL and a path that is a pipe, a socket or a
/// device; what the file system says. Then the file is as it was. May be called
/// from any thread.
///
/// # Safety
/// `path` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn anjay_net_stats_write(path: *const c_char) -> c_int {
    function(libc::EIO, || {
        if path.is_null() {
            return libc::EINVAL;
        }
        // SAFETY: not NULL, and the caller's promise.
        let path = Path::new(OsStr::from_bytes(unsafe { convert::text(path) }));
        status(exporter::write_file(path))
    })
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl From<&Times> for TimeClasses {
    fn from(times: &Times) -> TimeClasses {
        TimeClasses {
            classes: times.classes,
            sum_us: micros(times.sum),
        }
    }
}

impl From<&Totals> for Stats {
    fn from(totals: &Totals) -> Stats {
        let Totals {
            traffic,
            connects,
            lookups,
            ..
        } = totals;
        Stats {
            size: size_of::<Stats>(),
            sockets: totals.open_now as u64,
            sockets_at_most: totals.open_at_most as u64,
            sockets_created: totals.opened,
            bytes_sent: traffic.bytes_sent,
            bytes_received: traffic.bytes_received,
            datagrams_sent: traffic.sends,
            datagrams_received: traffic.receives,
            truncated: traffic.truncated,
            foreign: traffic.foreign,
            refused: traffic.refused,
            timeouts: traffic.timed_out,
            short_writes: traffic.short_writes,
            retries: traffic.retries,
            connects_connected: connects.of(ConnectOutcome::Connected),
            connects_refused: connects.of(ConnectOutcome::Refused),
            connects_timed_out: connects.of(ConnectOutcome::TimedOut),
            connects_unreachable: connects.of(ConnectOutcome::Unreachable),
            connects_unresolved: connects.of(ConnectOutcome::Unresolved),
            connects_ended: connects.of(ConnectOutcome::Ended),
            connects_failed: connects.of(ConnectOutcome::Failed),
            connect_times: TimeClasses::from(&connects.times),
            lookups_found: lookups.of(LookupOutcome::Found),
            lookups_not_found: lookups.of(LookupOutcome::NotFound),
            lookups_timed_out: lookups.of(LookupOutcome::TimedOut),
            lookups_ended: lookups.of(LookupOutcome::Ended),
            lookups_failed: lookups.of(LookupOutcome::Failed),
            lookup_times: TimeClasses::from(&lookups.times),
        }
    }
}

impl SocketStats {
    fn of(id: u32, now: &Snapshot) -> SocketStats {
        SocketStats {
            size: size_of::<SocketStats>(),
            id: id.into(),
            bytes_sent: now.bytes_sent,
            bytes_received: now.bytes_received,
            datagrams_sent: now.sends,
            datagrams_received: now.receives,
            truncated: now.truncated,
            foreign: now.foreign,
            refused: now.refused,
            timeouts: now.timed_out,
            short_writes: now.short_writes,
            retries: now.retries,
            connected: now.connected,
            connect_failures: now.connect_failures,
            last_connect_us: micros(now.last_connect),
            lookups: now.looked_up,
            lookup_failures: now.lookup_failures,
        }
    }
}
