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
 Limits that hold for all sockets of the process. Times in milliseconds.

 Get the settings in force, change some, configure:

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
   How long the names of one call may take to resolve, in total. 1 ms to
   1 h, default 10 s.
   */
  uint32_t resolve_timeout_ms;
  /*
   How long one address may take to answer a TCP connect. 1 ms to 1 h,
   default 10 s.
   */
  uint32_t connect_timeout_ms;
  /*
   How long one address has the race to itself before the next one starts
   (RFC 8305 section 5). 10 ms to 2 s, default 250 ms.
   */
  uint32_t attempt_delay_ms;
  /*
   How long addresses of the other family wait for the answer about the
   preferred one (RFC 8305 section 3). 0 to 2 s, default 50 ms.
   */
  uint32_t resolution_delay_ms;
  /*
   How long a UDP address that did not answer is tried after all others of
   its name. 0 to 1 day, default 5 min.
   */
  uint32_t udp_penalty_ms;
  /*
   How long a send may go on without any progress. 1 ms to 1 h, default
   30 s.
   */
  uint32_t send_timeout_ms;
  /*
   How long a TCP accept waits for a peer. 1 ms to 1 h, default 5 s.
   */
  uint32_t accept_timeout_ms;
  /*
   How many lookups may be with the system resolver at once. 1 to 64,
   default 8.
   */
  uint32_t max_lookups;
  /*
   1: when a name can't be resolved, connect to the preferred endpoint as
   if it had been found (RFC 8767). That there is no such name is an
   answer. Default 0.
   */
  uint32_t serve_stale;
} anjay_net_settings_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The library's version, such as `0.1.0`, as a NUL-terminated string that
 lives as long as the program. May be called from any thread.
 */
const char *anjay_net_version(void);

/*
 Stores the settings in force, as much of them as `settings->size` says that
 there is room for.

 0, or -1 for NULL and a size that holds not even itself. May be called from
 any thread.

 # Safety
 `settings` is NULL or writable for `settings->size` bytes.
 */
int anjay_net_get_settings(struct anjay_net_settings_t *settings);

/*
 Makes these the settings in force, for operations that begin later. What a
 shorter struct does not have stays as it is.

 0, or -1 when something is wrong; then nothing changes, and `problem`, if it
 is not NULL, points at a sentence that says what, which lives as long as
 the program. May be called from any thread.

 # Safety
 `settings` is NULL or readable for `settings->size` bytes; `problem` is NULL
 or writable.
 */
int anjay_net_configure(const struct anjay_net_settings_t *settings, const char **problem);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ANJAY_NET_H */
