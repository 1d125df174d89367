/*
 * The preferred endpoint: stored by connect, first choice of the next one.
 */

#include "peer.h"
#include "sandbox.h"
#include "sock.h"

#include <unistd.h>

static const int BOTH_TYPES[] = { ANJAY_NET_SOCKET_TYPE_TCP,
                                  ANJAY_NET_SOCKET_TYPE_UDP };

static const char HOSTS[] = "127.0.0.1 both\n"
                            "::1 both\n"
                            "127.0.1.1 pool\n"
                            "127.0.1.2 pool\n"
                            "127.0.1.3 pool\n"
                            "127.0.1.4 pool\n"
                            "127.0.1.5 pool\n"
                            "127.0.1.6 pool\n"
                            "127.0.1.7 pool\n"
                            "127.0.1.8 pool\n";

static void check_endpoint(const endpoint_t *endpoint,
                           const char *host,
                           const char *port) {
    char stored_host[64];
    char stored_port[16];
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(
            endpoint, stored_host, sizeof(stored_host), stored_port,
            sizeof(stored_port)));
    CHECK_STR(host, stored_host);
    CHECK_STR(port, stored_port);
}

static config_t config_with(endpoint_t *preferred) {
    config_t config = default_config();
    config.preferred_endpoint = preferred;
    return config;
}

TEST(connect_stores_the_endpoint) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        int family;
        for (family = 0; family < 2; ++family) {
            endpoint_t preferred;
            config_t config = config_with(&preferred);
            peer_t peer = BOTH_TYPES[i] == ANJAY_NET_SOCKET_TYPE_TCP
                                  ? peer_listen(family ? AF_INET6 : AF_INET)
                                  : peer_udp(family ? AF_INET6 : AF_INET);
            sock_t *socket;
            memset(&preferred, 0, sizeof(preferred));
            socket = new_socket(BOTH_TYPES[i], &config);
            CHECK_OK(V(socket)->connect(socket, peer.host, peer.port));
            check_endpoint(&preferred, peer.host, peer.port);
            dispose(&socket);
            check_endpoint(&preferred, peer.host, peer.port);
            peer_close(&peer);
        }
    }
}

TEST(stored_endpoint_does_not_leak_old_bytes) {
    endpoint_t preferred;
    endpoint_t zeros;
    config_t config = config_with(&preferred);
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(&config);
    memset(&preferred, 0, sizeof(preferred));
    memset(&zeros, 0, sizeof(zeros));
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    CHECK(preferred.size >= sizeof(struct sockaddr_in));
    CHECK_BYTES(zeros.data.buf, preferred.data.buf + preferred.size,
                sizeof(zeros.data.buf) - preferred.size);
    dispose(&socket);
    peer_close(&peer);
}

TEST(failed_connect_leaves_the_stored_endpoint_alone) {
    char host[16];
    char port[8];
    int keeper = refused_endpoint(SOCK_STREAM, host, port);
    endpoint_t preferred;
    endpoint_t before;
    config_t config = config_with(&preferred);
    peer_t listener = peer_listen(AF_INET);
    sock_t *socket = new_tcp(&config);
    memset(&preferred, 0, sizeof(preferred));
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", listener.port));
    before = preferred;
    CHECK_OK(V(socket)->close(socket));
    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, host, port));
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, host, "bad port"));
    CHECK_BYTES(&before, &preferred, sizeof(before));
    dispose(&socket);
    peer_close(&listener);
    SYS(close(keeper));
}

TEST(endpoint_of_another_server_is_replaced) {
    endpoint_t preferred;
    config_t config = config_with(&preferred);
    peer_t one = peer_udp(AF_INET);
    peer_t two = peer_udp(AF_INET6);
    sock_t *socket = new_udp(&config);
    memset(&preferred, 0, sizeof(preferred));
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", one.port));
    CHECK_OK(V(socket)->close(socket));
    CHECK_OK(V(socket)->connect(socket, "::1", two.port));
    check_endpoint(&preferred, "::1", two.port);
    dispose(&socket);
    peer_close(&one);
    peer_close(&two);
}

TEST(stored_garbage_is_ignored_and_replaced) {
    peer_t peer = peer_udp(AF_INET);
    unsigned size;
    for (size = 0; size <= 255; size += 5) {
        endpoint_t preferred;
        config_t config = config_with(&preferred);
        sock_t *socket = new_udp(&config);
        memset(&preferred, 0xA5, sizeof(preferred));
        preferred.size = (uint8_t) size;
        CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
        check_endpoint(&preferred, "127.0.0.1", peer.port);
        dispose(&socket);
    }
    peer_close(&peer);
}

static void connect_to_pool(sock_t *socket, char host[64]) {
    CHECK_OK(V(socket)->connect(socket, "pool", "5683"));
    strcpy(host, remote_host(socket));
    CHECK(strncmp(host, "127.0.1.", 8) == 0);
}

/* Everybody in the pool answers; the choice among them is free only once. */
TEST(server_of_a_pool_is_kept) {
    size_t i;
    peer_t listener;
    struct sockaddr_storage address;
    socklen_t size;
    sandbox_enter(HOSTS, NULL);
    memset(&listener, 0, sizeof(listener));
    size = make_address(&address, "0.0.0.0", 5683);
    listener.fd = (int) SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    SYS(bind(listener.fd, (struct sockaddr *) &address, size));
    SYS(listen(listener.fd, 128));
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        endpoint_t preferred;
        config_t config = config_with(&preferred);
        char first[64];
        char again[64];
        int round;
        sock_t *socket;
        memset(&preferred, 0, sizeof(preferred));
        socket = new_socket(BOTH_TYPES[i], &config);
        connect_to_pool(socket, first);
        /* By chance alone: one in eight to the power of 15. */
        for (round = 0; round < 15; ++round) {
            CHECK_OK(V(socket)->close(socket));
            connect_to_pool(socket, again);
            CHECK_STR(first, again);
        }
        dispose(&socket);
    }
    peer_close(&listener);
}

TEST(without_a_stored_endpoint_the_choice_is_free) {
    int seen_other = 0;
    char first[64] = "";
    int round;
    sandbox_enter(HOSTS, NULL);
    for (round = 0; round < 30; ++round) {
        sock_t *socket = new_udp(NULL);
        char host[64];
        connect_to_pool(socket, host);
        if (round == 0) {
            strcpy(first, host);
        } else {
            seen_other |= strcmp(first, host) != 0;
        }
        dispose(&socket);
    }
    CHECK(seen_other);
}

/* The reference compares ::ffff:127.0.1.3 with 127.0.1.3 and finds nothing. */
TEST(ipv4_server_is_kept_on_an_ipv6_bound_socket) {
    endpoint_t preferred;
    config_t config = config_with(&preferred);
    char first[64];
    char again[64];
    int round;
    sock_t *socket;
    sandbox_enter(HOSTS, NULL);
    memset(&preferred, 0, sizeof(preferred));
    socket = new_udp(&config);
    CHECK_OK(V(socket)->bind(socket, "::", "0"));
    connect_to_pool(socket, first);
    CHECK_INT(ANJAY_NET_AF_INET6,
              get_opt(socket, ANJAY_NET_SOCKET_OPT_ADDR_FAMILY).addr_family);
    for (round = 0; round < 15; ++round) {
        CHECK_OK(V(socket)->close(socket));
        /* And the other way round: stored by one kind, used by the other. */
        if (round % 2) {
            CHECK_OK(V(socket)->bind(socket, "::", "0"));
        }
        connect_to_pool(socket, again);
        CHECK_STR(first, again);
    }
    dispose(&socket);
}

/* As another implementation may have stored it. */
TEST(stored_endpoint_may_be_v4mapped) {
    endpoint_t stored;
    anjay_net_addrinfo_t *list;
    int round;
    sandbox_enter(HOSTS, NULL);
    list = avs_net_addrinfo_resolve_ex(
            ANJAY_NET_SOCKET_TYPE_UDP, ANJAY_NET_AF_INET6, "127.0.1.3", "5683",
            ANJAY_NET_ADDRINFO_RESOLVE_F_V4MAPPED, NULL);
    CHECK(list != NULL);
    CHECK_INT(0, avs_net_addrinfo_next(list, &stored));
    CHECK_INT(sizeof(struct sockaddr_in6), stored.size);
    avs_net_addrinfo_delete(&list);
    for (round = 0; round < 16; ++round) {
        endpoint_t preferred = stored;
        config_t config = config_with(&preferred);
        sock_t *socket = new_udp(&config);
        char host[64];
        if (round % 2) {
            CHECK_OK(V(socket)->bind(socket, "::", "0"));
        }
        connect_to_pool(socket, host);
        CHECK_STR("127.0.1.3", host);
        dispose(&socket);
    }
}

TEST(stored_endpoint_comes_before_the_preferred_family) {
    endpoint_t preferred;
    config_t config = config_with(&preferred);
    sock_t *socket;
    sandbox_enter(HOSTS, NULL);
    sandbox_await_all_answers();
    memset(&preferred, 0, sizeof(preferred));
    socket = new_udp(&config);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", "5683"));
    CHECK_OK(V(socket)->close(socket));
    CHECK_OK(V(socket)->set_opt(socket,
                                ANJAY_NET_SOCKET_OPT_PREFERRED_ADDR_FAMILY,
                                family_value(ANJAY_NET_AF_INET6)));
    CHECK_OK(V(socket)->connect(socket, "both", "5683"));
    CHECK_STR("127.0.0.1", remote_host(socket));
    CHECK_OK(V(socket)->close(socket));
    /* Another port is another endpoint. */
    CHECK_OK(V(socket)->connect(socket, "both", "5684"));
    CHECK_STR("::1", remote_host(socket));
    dispose(&socket);
}

TEST(stored_endpoint_that_the_name_no_longer_has_is_not_used) {
    endpoint_t preferred;
    config_t config = config_with(&preferred);
    sock_t *socket;
    sandbox_enter(HOSTS, NULL);
    sandbox_await_all_answers();
    memset(&preferred, 0, sizeof(preferred));
    socket = new_udp(&config);
    CHECK_OK(V(socket)->connect(socket, "127.0.9.9", "5683"));
    CHECK_OK(V(socket)->close(socket));
    CHECK_OK(V(socket)->connect(socket, "both", "5683"));
    CHECK_STR("::1", remote_host(socket));
    check_endpoint(&preferred, "::1", "5683");
    dispose(&socket);
}
