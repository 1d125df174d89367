/*
 * anjay-net: the library's own API. May be included next to avs_commons'
 * headers. C99 and C++.
 */

#ifndef ANJAY_NET_H
#define ANJAY_NET_H

/* Generated from crates/ffi by `cargo headers`; do not edit. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>


/*
 The severity of a log line. The values are those of avs_log_level_t.
 */
typedef enum anjay_net_log_level {
  /*
   Every transfer.
   */
  ANJAY_NET_LOG_LEVEL_TRACE = 0,
  /*
   The steps of a call: lookups, attempts, connections.
   */
  ANJAY_NET_LOG_LEVEL_DEBUG = 1,
  /*
   Events that affect later calls.
   */
  ANJAY_NET_LOG_LEVEL_INFO = 2,
  /*
   Failures that a call returns as its error.
   */
  ANJAY_NET_LOG_LEVEL_WARNING = 3,
  /*
   Failures that no call returns.
   */
  ANJAY_NET_LOG_LEVEL_ERROR = 4,
  /*
   No lines.
   */
  ANJAY_NET_LOG_LEVEL_QUIET = 5,
} anjay_net_log_level;

/*
 Settings of all sockets of the process. Times are in milliseconds.

 Get the current settings, change some, and configure them:

 ```c
 anjay_net_settings_t settings = { .size = sizeof(settings) };
 anjay_net_get_settings(&settings);
 settings.resolve_timeout_ms = 3000;
 anjay_net_configure(&settings, NULL);
 ```
 */
typedef struct anjay_net_settings_t {
  /*
   sizeof(anjay_net_settings_t), so that the struct can grow.
   */
  size_t size;
  /*
   The time limit for the lookups of one name, for all families together. 1 ms
   to 1 h, default 10 s.
   */
  uint32_t resolve_timeout_ms;
  /*
   The time limit for a TCP connect to one address. 1 ms to 1 h, default
   10 s.
   */
  uint32_t connect_timeout_ms;
  /*
   The delay between the starts of two connection attempts (RFC 8305
   section 5). 10 ms to 2 s, default 250 ms.
   */
  uint32_t attempt_delay_ms;
  /*
   How long a connect that has addresses of the other family waits for those
   of the preferred one (RFC 8305 section 3). 0 to 2 s, default 50 ms.
   */
  uint32_t resolution_delay_ms;
  /*
   How long a UDP server that did not answer is tried last of the addresses
   of its name. 0 to 1 day, default 5 min.
   */
  uint32_t udp_penalty_ms;
  /*
   The time limit for a send that makes no progress. 1 ms to 1 h, default
   30 s.
   */
  uint32_t send_timeout_ms;
  /*
   The time limit for a TCP accept. 1 ms to 1 h, default 5 s.
   */
  uint32_t accept_timeout_ms;
  /*
   The maximum number of lookups that run in the system resolver at one time.
   1 to 64, default 8.
   */
  uint32_t max_lookups;
  /*
   1: if a lookup fails, connect to the preferred endpoint (RFC 8767), unless
   the name is known not to exist. Default 0.
   */
  uint32_t serve_stale;
  /*
   For how long a connected UDP socket without a route reports its datagrams
   as sent, so that retransmissions bridge the outage, before it returns the
   error. 0 to 1 day, 0 = return it at once, default 60 s.
   */
  uint32_t udp_outage_ms;
  /*
   TCP_KEEPIDLE and TCP_KEEPINTVL of every connection, in seconds: how soon a
   peer that is gone is noticed while nothing is sent. 0 to 32767, 0 = off, the
   default.
   */
  uint32_t tcp_keepalive_s;
  /*
   TCP_USER_TIMEOUT of every connection (RFC 5482): for how long data that was
   sent may stay unacknowledged before the connection ends. 0 to 1 day, 0 = as
   the system has it, about 15 min, the default.
   */
  uint32_t tcp_user_timeout_ms;
  /*
   1: TCP_NODELAY, small messages leave at once. Default 1.
   */
  uint32_t tcp_nodelay;
  /*
   1: connected UDP sockets deliver empty datagrams, which TLS libraries take
   for the end of the connection. Default 0.
   */
  uint32_t deliver_empty_datagrams;
} anjay_net_settings_t;

/*
 A histogram of durations.
 */
typedef struct anjay_net_histogram_t {
  /*
   Observations in each bucket. The upper bounds are 1, 5, 10, 25, 50, 100,
   250, 500, 1000, 2500, 5000 and 10000 ms; the last bucket has none. Each
   observation is in one bucket only: unlike the buckets of Prometheus,
   these are not cumulative.
   */
  uint64_t buckets[13];
  /*
   Sum of all observations, in microseconds.
   */
  uint64_t sum_us;
} anjay_net_histogram_t;

/*
 Traffic and errors of all sockets of the process since it started. All
 values except `sockets` only grow.
 */
typedef struct anjay_net_stats_t {
  /*
   sizeof(anjay_net_stats_t), so that the struct can grow.
   */
  size_t size;
  /*
   Sockets that exist now.
   */
  uint64_t sockets;
  /*
   The largest number of sockets at one time.
   */
  uint64_t sockets_max;
  /*
   Sockets created.
   */
  uint64_t sockets_created;
  /*
   Payload bytes that the kernel took.
   */
  uint64_t bytes_sent;
  /*
   Payload bytes that callers got.
   */
  uint64_t bytes_received;
  /*
   Datagrams sent, or pieces of a stream that the kernel took.
   */
  uint64_t datagrams_sent;
  /*
   Datagrams received, or pieces of a stream.
   */
  uint64_t datagrams_received;
  /*
   Received datagrams that were longer than the caller's buffer.
   */
  uint64_t truncated;
  /*
   Received datagrams that were dropped because they did not come from the
   connected peer.
   */
  uint64_t unexpected_source;
  /*
   Empty datagrams from the connected peer that were dropped.
   */
  uint64_t dropped_empty;
  /*
   Datagrams that waited to be received and were dropped, because connect
   replaced the descriptor by one of the other address family.
   */
  uint64_t dropped_queued;
  /*
   Datagrams lost on this host while they were sent: a firewall dropped
   them (EPERM), a queue was full (ENOBUFS), or WireGuard had no peer for
   them (ENOKEY).
   */
  uint64_t dropped_local;
  /*
   Datagrams lost because there was no route while they were sent
   (ENETUNREACH, EHOSTUNREACH, ENETDOWN, EACCES).
   */
  uint64_t dropped_outage;
  /*
   ICMP errors about earlier datagrams.
   */
  uint64_t icmp_errors;
  /*
   Datagram sockets that were connected to their peer again because their
   address or interface was gone.
   */
  uint64_t reconnects;
  /*
   Calls that returned ECONNREFUSED: connect, send and receive.
   */
  uint64_t connection_refused;
  /*
   Waits that ended at their deadline.
   */
  uint64_t timeouts;
  /*
   Stream writes of which the kernel took only a part at first.
   */
  uint64_t short_writes;
  /*
   System calls repeated after EINTR, or after EAGAIN despite readiness.
   */
  uint64_t syscall_retries;
  /*
   Connects that succeeded.
   */
  uint64_t connects_succeeded;
  /*
   Connects to an address where nothing listens.
   */
  uint64_t connects_refused;
  /*
   Connects that the peer or the name service did not answer in time.
   */
  uint64_t connects_timed_out;
  /*
   Connects without a route to the peer.
   */
  uint64_t connects_unreachable;
  /*
   Connects to a name without a usable address.
   */
  uint64_t connects_unresolved;
  /*
   Connects that were ended by shutdown or close.
   */
  uint64_t connects_cancelled;
  /*
   Connects that failed for any other reason.
   */
  uint64_t connects_failed;
  /*
   Duration of connects that had to wait for the network: for a TCP
   handshake or a lookup.
   */
  struct anjay_net_histogram_t connect_duration;
  /*
   Lookups of names that have addresses. Lookups are counted once for each
   address family.
   */
  uint64_t lookups_found;
  /*
   Lookups of names that do not exist or have no address of the family.
   */
  uint64_t lookups_not_found;
  /*
   Lookups that were not answered in time.
   */
  uint64_t lookups_timed_out;
  /*
   Lookups whose answer was no longer needed.
   */
  uint64_t lookups_cancelled;
  /*
   Lookups that failed for any other reason.
   */
  uint64_t lookups_failed;
  /*
   Duration of lookups.
   */
  struct anjay_net_histogram_t lookup_duration;
  /*
   Bytes of IP packets sent, which is what carriers bill: headers, payload,
   and what the kernel sent again. See docs/observability.md for what is not
   in them.
   */
  uint64_t ip_bytes_sent;
  /*
   Bytes of IP packets received, also those that no caller got.
   */
  uint64_t ip_bytes_received;
} anjay_net_stats_t;

/*
 Traffic and errors of one socket since it was created; close and connect do
 not reset them. All values except `last_connect_us` only grow.
 */
typedef struct anjay_net_socket_stats_t {
  /*
   sizeof(anjay_net_socket_stats_t), so that the struct can grow.
   */
  size_t size;
  /*
   The number of this socket in log lines and captures.
   */
  uint64_t id;
  /*
   Payload bytes that the kernel took.
   */
  uint64_t bytes_sent;
  /*
   Payload bytes that callers got.
   */
  uint64_t bytes_received;
  /*
   Datagrams sent, or pieces of a stream that the kernel took.
   */
  uint64_t datagrams_sent;
  /*
   Datagrams received, or pieces of a stream.
   */
  uint64_t datagrams_received;
  /*
   Received datagrams that were longer than the caller's buffer.
   */
  uint64_t truncated;
  /*
   Received datagrams that were dropped because they did not come from the
   connected peer.
   */
  uint64_t unexpected_source;
  /*
   Empty datagrams from the connected peer that were dropped.
   */
  uint64_t dropped_empty;
  /*
   Datagrams that waited to be received and were dropped, because connect
   replaced the descriptor by one of the other address family.
   */
  uint64_t dropped_queued;
  /*
   Datagrams lost on this host while they were sent: a firewall dropped
   them (EPERM), a queue was full (ENOBUFS), or WireGuard had no peer for
   them (ENOKEY).
   */
  uint64_t dropped_local;
  /*
   Datagrams lost because there was no route while they were sent
   (ENETUNREACH, EHOSTUNREACH, ENETDOWN, EACCES).
   */
  uint64_t dropped_outage;
  /*
   ICMP errors about earlier datagrams.
   */
  uint64_t icmp_errors;
  /*
   How often a datagram socket was connected to its peer again because its
   address or interface was gone.
   */
  uint64_t reconnects;
  /*
   Calls that returned ECONNREFUSED: connect, send and receive.
   */
  uint64_t connection_refused;
  /*
   Waits that ended at their deadline.
   */
  uint64_t timeouts;
  /*
   Stream writes of which the kernel took only a part at first.
   */
  uint64_t short_writes;
  /*
   System calls repeated after EINTR, or after EAGAIN despite readiness.
   */
  uint64_t syscall_retries;
  /*
   Connections established, by connect or accept.
   */
  uint64_t connections;
  /*
   Connects that failed.
   */
  uint64_t connect_failures;
  /*
   How long the last connect waited for the network, in microseconds,
   whether it succeeded or not. 0 if it did not have to wait, such as UDP
   to an address.
   */
  uint64_t last_connect_us;
  /*
   Lookups of names that have addresses, one for each address family.
   */
  uint64_t lookups_found;
  /*
   Lookups without an address, for any reason.
   */
  uint64_t lookup_failures;
  /*
   Bytes of IP packets sent, which is what carriers bill: headers, payload,
   and what the kernel sent again. See docs/observability.md for what is not
   in them.
   */
  uint64_t ip_bytes_sent;
  /*
   Bytes of IP packets received, also those that no caller got.
   */
  uint64_t ip_bytes_received;
} anjay_net_socket_stats_t;

/*
 Receives the log lines: `arg` as it was set, one of anjay_net_log_level, and a
 text without a line break, of at most 511 bytes, that is valid during the call only.

 It is called on the thread that the line comes from, helper threads included,
 possibly on several threads at once. It must not call
 anjay_net_set_log_handler(), nor start or stop a capture, nor clean up the
 socket that the line is about. It may use sockets; that produces no log lines.

 anjay_net_set_log_handler(), anjay_net_capture_start() and
 anjay_net_capture_stop() wait until no handler is running. A handler that
 waits for a lock therefore deadlocks with a thread that calls one of them
 while it holds that lock.
 */
typedef void (*anjay_net_log_handler_t)(void *arg, int level, const char *line);

/*
 Limits of a capture.

 ```c
 anjay_net_capture_limits_t limits = { .size = sizeof(limits) };
 limits.max_bytes = 1 << 20;
 anjay_net_capture_start("/run/my-client/client.pcapng", &limits);
 ```
 */
typedef struct anjay_net_capture_limits_t {
  /*
   sizeof(anjay_net_capture_limits_t), so that the struct can grow.
   */
  size_t size;
  /*
   Maximum size of both files together, in bytes, at least 4096. 0 selects
   the default, 10 MiB.
   */
  uint64_t max_bytes;
  /*
   Maximum number of bytes kept of each packet, headers included, at least
   64. 0 selects the default, 65535. A packet longer than half of
   `max_bytes` is cut as well.
   */
  uint32_t snaplen;
} anjay_net_capture_limits_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The library's version, such as `0.1.0`, as a NUL-terminated string that
 lives as long as the program. May be called from any thread.
 */
const char *anjay_net_version(void);

/*
 Stores the current settings in the first `settings->size` bytes of
 `*settings`.

 Returns 0, or -1 if `settings` is NULL or `settings->size` is smaller than the
 field itself. May be called from any thread.

 # Safety
 `settings` is NULL or writable for `settings->size` bytes.
 */
int anjay_net_get_settings(struct anjay_net_settings_t *settings);

/*
 Makes these the current settings, for calls that begin later. Settings beyond
 the end of a shorter struct do not change.

 Returns 0, or -1 if a setting is out of its limits, `settings` is NULL or its
 size is not supported. On error no setting changes, and `*problem` is set to a
 message that stays valid forever, unless `problem` is NULL. May be called from
 any thread.

 # Safety
 `settings` is NULL or readable for `settings->size` bytes; `problem` is NULL
 or writable.
 */
int anjay_net_configure(const struct anjay_net_settings_t *settings, const char **problem);

/*
 Stores the statistics of the process in the first `stats->size` bytes of
 `*stats`.

 The values are consistent: a datagram that is counted has its bytes counted,
 and a socket that is cleaned up meanwhile is counted once. Returns 0, or -1
 if `stats` is NULL or `stats->size` is smaller than the field itself. May be
 called from any thread; the time it takes grows with the number of sockets.

 # Safety
 `stats` is NULL or writable for `stats->size` bytes.
 */
int anjay_net_get_stats(struct anjay_net_stats_t *stats);

/*
 Stores the statistics of one socket in the first `stats->size` bytes of
 `*stats`.

 `socket` is an avs_net_socket_t. One that another library created, such as
 the (D)TLS socket around ours, is asked for its descriptor, by its method
 get_system_socket, and has the statistics of the socket of ours that owns the
 descriptor: only while that is open. Returns 0, or -1 if an argument is NULL,
 no socket of ours is behind it, or `stats->size` is smaller than the field
 itself. May be called from any thread, like the methods of the socket.

 # Safety
 `socket` is NULL or a socket; `stats` is NULL or writable for
 `stats->size` bytes.
 */
int anjay_net_socket_get_stats(const void *socket, struct anjay_net_socket_stats_t *stats);

/*
 Writes the statistics of the process to `buf` in the Prometheus text
 exposition format, truncated to `size` bytes including the terminating NUL.

 Like snprintf(), returns the length of the whole text without the NUL: if
 that is `size` or more, the text was truncated. `buf` may be NULL to ask for
 the length only, which is below 16384. Allocates no memory. May be called
 from any thread.

 # Safety
 `buf` is NULL or writable for `size` bytes.
 */
size_t anjay_net_stats_text(char *buf, size_t size);

/*
 Writes the statistics of the process to a file in the Prometheus text
 exposition format, for node_exporter's textfile collector and for
 `anjay-net watch`.

 The text is written to a new file in the same directory, which then replaces
 whatever regular file of the effective user is at `path`: readers always find
 a complete file. Its mode is 0666 without the bits of the umask. Links are
 not followed. Choose a directory in which no other user can create files.

 Returns 0, or an errno: EINVAL if `path` is NULL or names a pipe, a socket or
 a device; ELOOP for a symbolic link; EISDIR; EPERM for a file of another user;
 ENOMEM; otherwise the error of the file system. On error the file is
 unchanged. May be called from any thread.

 # Safety
 `path` is NULL or NUL-terminated.
 */
int anjay_net_stats_write(const char *path);

/*
 Sets the handler that receives the log lines of `level` and above. Afterwards
 the handler before is not called any more.

 With ANJAY_NET_LOG_LEVEL_TRACE there is a line for each transfer, and transfers
 are slower; with ANJAY_NET_LOG_LEVEL_QUIET there are no lines.

 If `handler` is NULL, as at first, the lines go to avs_log where the program
 has it, and nowhere else. They are lines of the module `anjay_net`, and the
 level that avs_log is set to decides, not `level`: INFO, unless
 avs_log_set_level(anjay_net, ...) or avs_log_set_default_level() has set
 another one. Only the lines for transfers need ANJAY_NET_LOG_LEVEL_TRACE here
 as well.

 Each line has the number of the socket, the peer and the reason, such as
 `socket 3: cannot establish connection to [192.0.2.1]:5683: Connection refused
 (os error 111)`.

 Returns 0, or -1 for a level that does not exist, from inside a handler, without
 memory, and in a Rust program that has set a logger of the log crate, which
 receives the lines. May be called from any thread, but not by a thread that
 holds a lock which a handler waits for.

 # Safety
 `handler` is NULL or can be called until another is set.
 */
int anjay_net_set_log_handler(anjay_net_log_handler_t handler, void *arg, int level);

/*
 Starts to capture what all sockets of the process send and receive, including
 those that are open already, in a pcapng file for Wireshark and tshark.

 The packets have the addresses and ports of the sockets; the other
 header fields are synthesized. Changes of state and failures are frames of an
 interface named "sockets", with the text as their comment.

 The file is a new one that only its owner can read (0600). When it reaches
 half of `max_bytes`, it is renamed to `path`.1 and the next one is begun, so that
 the newest packets are always kept. What is at `path` and `path`.1 is
 replaced if it is a regular file of the effective user, and is an error
 otherwise: links are not followed, pipes are not waited for. Choose a
 directory in which no other user can create files, not /tmp.

 A thread of the library writes the file. Packets that it can't keep up with
 are left out and counted in the file. When writing fails, for example because
 the disk is full, the capture ends and the sockets go on.

 `limits` may be NULL for the defaults. Returns 0, or an errno: EALREADY if a
 capture is running; EINVAL if `path` is NULL or names a pipe, a socket or a
 device, or a limit is too small; ELOOP for a symbolic link; EISDIR; EPERM for
 a file of another user; ENOMEM; EAGAIN if no thread can be created; EDEADLK
 from a log handler; ENOTSUP if the library was built without captures; otherwise
 the error of the file system.

 May be called from any thread. Waits for log handlers that are running: the
 caller must not hold a lock that a log handler takes.

 # Safety
 `path` is NULL or NUL-terminated; `limits` is NULL or readable for
 `limits->size` bytes.
 */
int anjay_net_capture_start(const char *path, const struct anjay_net_capture_limits_t *limits);

/*
 Ends the capture. The file is complete when this returns, which may take as
 long as the disk does.

 Returns 0, or an errno: ENOENT if no capture was started; EDEADLK from a log
 handler; or the error that ended the capture earlier, such as ENOSPC.

 May be called from any thread. Waits for log handlers that are running: the
 caller must not hold a lock that a log handler takes.
 */
int anjay_net_capture_stop(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ANJAY_NET_H */
