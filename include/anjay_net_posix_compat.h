/*
 * anjay-net: a POSIX compatibility header for Anjay's event loop, for builds
 * of Anjay without its own sockets that ask for one:
 *
 *     cmake -DWITH_POSIX_AVS_SOCKET=OFF -DWITH_EVENT_LOOP=ON \
 *           -DPOSIX_COMPAT_HEADER=<prefix>/include/anjay_net_posix_compat.h
 *
 * or, with configuration headers written by hand, AVS_COMMONS_POSIX_COMPAT_HEADER
 * in avs_commons_config.h. Anjay's own CMake build on Linux works without it.
 * Applications need not include it. C99 and C++.
 */

#ifndef ANJAY_NET_POSIX_COMPAT_H
#define ANJAY_NET_POSIX_COMPAT_H

/* Anjay is compiled as strict C99, which hides POSIX until it is asked for. */
#ifndef _XOPEN_SOURCE
#    define _XOPEN_SOURCE 700
#endif
#ifndef _DEFAULT_SOURCE
#    define _DEFAULT_SOURCE
#endif

/* What avs_time and avs_compat_threading take from the system; they include
   nothing themselves when there is a compatibility header. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* The event loop, in either form. */
#include <poll.h>
#include <sys/select.h>

/* avs_net_socket_get_system() points at one of these. */
typedef int sockfd_t;
#define INVALID_SOCKET (-1)

/* poll() has no limit on descriptors as select() has. */
#ifndef AVS_COMMONS_NET_POSIX_AVS_SOCKET_HAVE_POLL
#    define AVS_COMMONS_NET_POSIX_AVS_SOCKET_HAVE_POLL
#endif

#endif /* ANJAY_NET_POSIX_COMPAT_H */
