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


#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The library's version, such as `0.1.0`, as a NUL-terminated string that
 lives as long as the program. May be called from any thread.
 */
const char *anjay_net_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ANJAY_NET_H */
