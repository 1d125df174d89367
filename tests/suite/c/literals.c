/*
 * Addresses given as literals cost nothing but the system calls they are for:
 * the system resolver is not asked, no thread is started. This program stands
 * in for the C library's functions and counts.
 */

#include "fixture.h"

#include <dlfcn.h>
#include <netdb.h>

static int lookups;
static int threads;
static int netlink_sockets;

/* The C library's function of that name. */
static void next_function(const char *name, void *pointer, size_t size) {
    void *function = dlsym(RTLD_NEXT, name);
    CHECK(function != NULL);
    memcpy(pointer, &function, size);
}

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
        struct addrinfo **result) {
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    next_function("getaddrinfo", &next, sizeof(next));
    __atomic_add_fetch(&lookups, 1, __ATOMIC_SEQ_CST);
    return next(host, port, hints, result);
}

int pthread_create(
        pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *arg) {
    int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    next_function("pthread_create", &next, sizeof(next));
    __atomic_add_fetch(&threads, 1, __ATOMIC_SEQ_CST);
    return next(thread, attributes, body, arg);
}

int socket(int family, int type, int protocol) {
    int (*next)(int, int, int);
    next_function("socket", &next, sizeof(next));
    if (family == AF_NETLINK) {
        __atomic_add_fetch(&netlink_sockets, 1, __ATOMIC_SEQ_CST);
    }
    return next(family, type, protocol);
}

static void check_cost_nothing(void) {
    CHECK_INT(0, lookups);
    CHECK_INT(0, threads);
    CHECK_INT(0, netlink_sockets);
}

static const char *const HOSTS[] = { "127.0.0.1", "::1", "[::1]", "::ffff:127.0.0.1" };

TEST(resolving_literals_asks_nobody) {
    for (size_t i = 0; i < 1000; ++i) {
        (void) endpoint_of(ANY, HOSTS[i % LEN(HOSTS)], "5683", 0);
        CHECK_STR("::|5683 0.0.0.0|5683",
                listed(TCP, ANY, NULL, "5683", ANJAY_NET_ADDRINFO_RESOLVE_F_PASSIVE, NULL));
    }
    check_cost_nothing();
}

/* The reference calls getaddrinfo for every single datagram. */
TEST(sending_to_literals_asks_nobody) {
    peer_t v4 = peer_udp(AF_INET);
    peer_t v6 = peer_udp(AF_INET6);
    sock_t *socket = bound_udp("::", NULL);
    for (int i = 0; i < 100; ++i) {
        CHECK_OK(V(socket)->send_to(socket, "x", 1, "127.0.0.1", v4.port));
        CHECK_OK(V(socket)->send_to(socket, "x", 1, "::1", v6.port));
    }
    check_cost_nothing();
}

/* The reference asks the kernel for its address list twice. */
TEST_EACH_TYPE(binding_to_literals_asks_nobody) {
    sock_t *socket = new_socket(type, NULL);
    for (size_t i = 0; i < LEN(HOSTS) - 1; ++i) {
        CHECK_OK(V(socket)->bind(socket, HOSTS[i], "0"));
        CHECK_OK(V(socket)->close(socket));
    }
    CHECK_OK(V(socket)->bind(socket, NULL, NULL));
    check_cost_nothing();
}

TEST_EACH_TYPE(connecting_to_literals_asks_nobody) {
    peer_t peer;
    sock_t *socket = connected_pair(type, &peer);
    CHECK_STR("127.0.0.1", remote_host(socket));
    check_cost_nothing();
}

/* That this program would notice. */
TEST(names_are_asked_for_and_counted) {
    sandbox_enter("127.0.0.1 localhost\n", NULL);
    CHECK_STR("nothing", listed(UDP, V4, "server.test", "5683", 0, NULL));
    CHECK(lookups > 0);
}
