/*
 * All that Anjay's event loop takes from a POSIX compatibility header, as its
 * manual lists it, in both forms. It comes first, as in Anjay. C99 and C++.
 */

#include <anjay_net_posix_compat.h>

#ifndef AVS_COMMONS_NET_POSIX_AVS_SOCKET_HAVE_POLL
#    error "the event loop would take select()"
#endif

static int ready_by_poll(sockfd_t fd) {
    struct pollfd wanted;
    wanted.fd = fd;
    wanted.events = POLLIN;
    wanted.revents = 0;
    return poll(&wanted, 1, 0) == 1 && (wanted.revents & POLLIN);
}

static int ready_by_select(sockfd_t fd) {
    fd_set wanted;
    struct timeval at_once;
    at_once.tv_sec = 0;
    at_once.tv_usec = 0;
    FD_ZERO(&wanted);
    if (fd == INVALID_SOCKET || fd >= FD_SETSIZE) {
        return 0;
    }
    FD_SET(fd, &wanted);
    return select(fd + 1, &wanted, NULL, NULL, &at_once) == 1 && FD_ISSET(fd, &wanted);
}

/* What avs_time and avs_compat_threading need on top. */
static int has_clocks_and_threads(void) {
    struct timespec now;
    pthread_mutexattr_t attributes;
    return !clock_gettime(CLOCK_MONOTONIC, &now) && !pthread_mutexattr_init(&attributes)
           && !pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE)
           && !pthread_mutexattr_destroy(&attributes);
}

int main(void) {
    int ends[2];
    if (pipe(ends) || ready_by_poll(ends[0]) || ready_by_select(ends[0])) {
        return 1;
    }
    if (write(ends[1], "x", 1) != 1 || !ready_by_poll(ends[0]) || !ready_by_select(ends[0])) {
        return 2;
    }
    return has_clocks_and_threads() ? 0 : 3;
}
