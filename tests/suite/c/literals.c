/*
 * Addresses given as literals cost nothing but the system calls they are for:
 * the system resolver is not asked, no thread is started. This program stands
 * in for the C library's functions and counts.
 */

#include "peer.h"
#include "sandbox.h"
#include "sock.h"

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

int getaddrinfo(const char *host,
                const char *port,
                const struct addrinfo *hints,
                struct addrinfo **result) {
    int (*next)(const char *, const char *, const struct addrinfo *,
                struct addrinfo **);
    next_function("getaddrinfo", &next, sizeof(next));
    __atomic_add_fetch(&lookups, 1, __ATOMIC_SEQ_CST);
    return next(host, port, hints, result);
}

int pthread_create(pthread_t *thread,
                   const pthread_attr_t *attributes,
                   void *(*body)(void *),
                   void *arg) {
    int (*next)(pthread_t *, const pthread_attr_t *, void *(*) (void *), void *);
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

static const char *const HOSTS[] = { "127.0.0.1", "::1", "[::1]",
                                     "::ffff:127.0.0.1" };

TEST(resolving_literals_asks_nobody) {
    size_t i;
    for (i = 0; i < 1000; ++i) {
        anjay_net_addrinfo_t *list = avs_net_addrinfo_resolve_ex(
                ANJAY_NET_SOCKET_TYPE_UDP, ANJAY_NET_AF_UNSPEC,
                HOSTS[i % LEN(HOSTS)], "5683", 0, NULL);
        CHECK(list != NULL);
        avs_net_addrinfo_delete(&list);
        list = avs_net_addrinfo_resolve_ex(
                ANJAY_NET_SOCKET_TYPE_TCP, ANJAY_NET_AF_UNSPEC, NULL, "5683",
                ANJAY_NET_ADDRINFO_RESOLVE_F_PASSIVE, NULL);
        CHECK(list != NULL);
        avs_net_addrinfo_delete(&list);
    }
    check_cost_nothing();
}

/* The reference calls getaddrinfo for every single datagram. */
TEST(sending_to_literals_asks_nobody) {
    peer_t v4 = peer_udp(AF_INET);
    peer_t v6 = peer_udp(AF_INET6);
    sock_t *socket = bound_udp("::", NULL);
    int i;
    for (i = 0; i < 100; ++i) {
        CHECK_OK(V(socket)->send_to(socket, "x", 1, "127.0.0.1", v4.port));
        CHECK_OK(V(socket)->send_to(socket, "x", 1, "::1", v6.port));
    }
    check_cost_nothing();
    dispose(&socket);
    peer_close(&v4);
    peer_close(&v6);
}

/* The reference asks the kernel for its address list twice. */
TEST(binding_to_literals_asks_nobody) {
    static const int TYPES[] = { ANJAY_NET_SOCKET_TYPE_TCP,
                                 ANJAY_NET_SOCKET_TYPE_UDP };
    size_t type;
    size_t i;
    for (type = 0; type < LEN(TYPES); ++type) {
        sock_t *socket = new_socket(TYPES[type], NULL);
        for (i = 0; i < LEN(HOSTS) - 1; ++i) {
            CHECK_OK(V(socket)->bind(socket, HOSTS[i], "0"));
            CHECK_OK(V(socket)->close(socket));
        }
        CHECK_OK(V(socket)->bind(socket, NULL, NULL));
        dispose(&socket);
    }
    check_cost_nothing();
}

TEST(connecting_to_literals_asks_nobody) {
    peer_t udp = peer_udp(AF_INET);
    peer_t tcp = peer_listen(AF_INET);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", udp.port));
    dispose(&socket);
    socket = new_tcp(NULL);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", tcp.port));
    CHECK_STR("127.0.0.1", remote_host(socket));
    dispose(&socket);
    check_cost_nothing();
    peer_close(&udp);
    peer_close(&tcp);
}

/* That this program would notice. */
TEST(names_are_asked_for_and_counted) {
    anjay_net_addrinfo_t *list;
    sandbox_enter("127.0.0.1 localhost\n", NULL);
    list = avs_net_addrinfo_resolve_ex(ANJAY_NET_SOCKET_TYPE_UDP,
                                       ANJAY_NET_AF_INET4, "localhost", "5683",
                                       0, NULL);
    CHECK(list != NULL);
    avs_net_addrinfo_delete(&list);
    CHECK(lookups > 0);
}
