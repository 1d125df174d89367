/*
 * The preferred endpoint: stored by connect, first choice of the next one.
 */

#include "fixture.h"

static const char HOSTS[] = "127.0.0.1 both\n::1 both\n"
                            "127.0.1.1 pool\n127.0.1.2 pool\n127.0.1.3 pool\n127.0.1.4 pool\n"
                            "127.0.1.5 pool\n127.0.1.6 pool\n127.0.1.7 pool\n127.0.1.8 pool\n";

static void check_stored(const endpoint_t *endpoint, const char *host, const char *port) {
    endpoint_t expected = endpoint_of(ANY, host, port, 0);
    CHECK_STR(endpoint_text(&expected), endpoint_text(endpoint));
}

static void reconnect(sock_t *socket, const char *host, const char *port) {
    CHECK_OK(V(socket)->close(socket));
    CHECK_OK(V(socket)->connect(socket, host, port));
}

TEST_ROWS(connect_stores_the_endpoint, int row, 4, row) {
    endpoint_t preferred;
    config_t config = config_with(&preferred);
    int type = row % 2 ? TCP : UDP;
    peer_t peer = peer_to_connect_to(type, row / 2 ? AF_INET6 : AF_INET);
    sock_t *socket = new_socket(type, &config);
    CHECK_OK(V(socket)->connect(socket, peer.host, peer.port));
    check_stored(&preferred, peer.host, peer.port);
    dispose(&socket);
    check_stored(&preferred, peer.host, peer.port);
}

TEST(stored_endpoint_does_not_leak_old_bytes) {
    endpoint_t preferred;
    endpoint_t zeros;
    config_t config = config_with(&preferred);
    peer_t peer;
    connected_pair_of(UDP, AF_INET, &config, &peer);
    CHECK(preferred.size >= sizeof(struct sockaddr_in));
    memset(&zeros, 0, sizeof(zeros));
    CHECK_BYTES(zeros.data.buf, preferred.data.buf + preferred.size,
            sizeof(zeros.data.buf) - preferred.size);
}

TEST(failed_connect_leaves_the_stored_endpoint_alone) {
    refused_t nobody = refused(SOCK_STREAM);
    endpoint_t preferred;
    config_t config = config_with(&preferred);
    peer_t peer;
    sock_t *socket = connected_pair_of(TCP, AF_INET, &config, &peer);
    endpoint_t before = preferred;
    CHECK_OK(V(socket)->close(socket));
    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, nobody.host, nobody.port));
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, nobody.host, "bad port"));
    CHECK_BYTES(&before, &preferred, sizeof(before));
}

TEST(endpoint_of_another_server_is_replaced) {
    endpoint_t preferred;
    config_t config = config_with(&preferred);
    peer_t peer;
    sock_t *socket = connected_pair_of(UDP, AF_INET, &config, &peer);
    CHECK_OK(V(socket)->close(socket));
    peer = connect_to_peer(socket, UDP, AF_INET6);
    check_stored(&preferred, "::1", peer.port);
}

TEST_ROWS(stored_garbage_is_ignored_and_replaced, int row, 52, row) {
    endpoint_t preferred;
    config_t config = config_with(&preferred);
    sock_t *socket = new_udp(&config);
    memset(&preferred, 0xA5, sizeof(preferred));
    preferred.size = (uint8_t) (row * 5);
    peer_t peer = connect_to_peer(socket, UDP, AF_INET);
    check_stored(&preferred, "127.0.0.1", peer.port);
}

/* Gives the server that was chosen. */
static const char *connect_to_pool(sock_t *socket) {
    CHECK_OK(V(socket)->connect(socket, "pool", "5683"));
    CHECK(strncmp(remote_host(socket), "127.0.1.", 8) == 0);
    return remote_host(socket);
}

/* Everybody in the pool answers; the choice among them is free only once. */
TEST(server_of_a_pool_is_kept) {
    static const int TYPES[] = { TCP, UDP };
    sandbox_enter(HOSTS, NULL);
    peer_bound_to(SOCK_STREAM, "0.0.0.0", 5683);
    for (size_t i = 0; i < LEN(TYPES); ++i) {
        endpoint_t preferred;
        config_t config = config_with(&preferred);
        char first[64];
        sock_t *socket = new_socket(TYPES[i], &config);
        strcpy(first, connect_to_pool(socket));
        /* By chance alone: one in eight to the power of 15. */
        for (int round = 0; round < 15; ++round) {
            CHECK_OK(V(socket)->close(socket));
            CHECK_STR(first, connect_to_pool(socket));
        }
    }
}

TEST(without_a_stored_endpoint_the_choice_is_free) {
    int seen_other = 0;
    char first[64] = "";
    sandbox_enter(HOSTS, NULL);
    for (int round = 0; round < 30; ++round) {
        const char *host = connect_to_pool(new_udp(NULL));
        if (round == 0) {
            strcpy(first, host);
        }
        seen_other |= strcmp(first, host) != 0;
    }
    CHECK(seen_other);
}

/* The reference compares ::ffff:127.0.1.3 with 127.0.1.3 and finds nothing. */
TEST(ipv4_server_is_kept_on_an_ipv6_bound_socket) {
    endpoint_t preferred;
    config_t config = config_with(&preferred);
    char first[64];
    sandbox_enter(HOSTS, NULL);
    sock_t *socket = bound_udp("::", &config);
    strcpy(first, connect_to_pool(socket));
    CHECK_INT(V6, get_opt(socket, ANJAY_NET_SOCKET_OPT_ADDR_FAMILY).addr_family);
    for (int round = 0; round < 15; ++round) {
        CHECK_OK(V(socket)->close(socket));
        /* And the other way round: stored by one kind, used by the other. */
        if (round % 2) {
            CHECK_OK(V(socket)->bind(socket, "::", "0"));
        }
        CHECK_STR(first, connect_to_pool(socket));
    }
}

/* As another implementation may have stored it. */
TEST(stored_endpoint_may_be_v4mapped) {
    sandbox_enter(HOSTS, NULL);
    for (int round = 0; round < 16; ++round) {
        endpoint_t preferred;
        config_t config = config_with(&preferred);
        preferred = endpoint_of(V6, "127.0.1.3", "5683", ANJAY_NET_ADDRINFO_RESOLVE_F_V4MAPPED);
        CHECK_INT(sizeof(struct sockaddr_in6), preferred.size);
        sock_t *socket = round % 2 ? bound_udp("::", &config) : new_udp(&config);
        CHECK_STR("127.0.1.3", connect_to_pool(socket));
        dispose(&socket);
    }
}

TEST(stored_endpoint_comes_before_the_preferred_family) {
    endpoint_t preferred;
    config_t config = config_with(&preferred);
    sandbox_enter(HOSTS, NULL);
    sandbox_await_all_answers();
    sock_t *socket = new_udp(&config);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", "5683"));
    CHECK_OK(V(socket)->set_opt(
            socket, ANJAY_NET_SOCKET_OPT_PREFERRED_ADDR_FAMILY, family_value(V6)));
    reconnect(socket, "both", "5683");
    CHECK_STR("127.0.0.1", remote_host(socket));
    /* Another port is another endpoint. */
    reconnect(socket, "both", "5684");
    CHECK_STR("::1", remote_host(socket));
}

TEST(stored_endpoint_that_the_name_no_longer_has_is_not_used) {
    endpoint_t preferred;
    config_t config = config_with(&preferred);
    sandbox_enter(HOSTS, NULL);
    sandbox_await_all_answers();
    sock_t *socket = new_udp(&config);
    CHECK_OK(V(socket)->connect(socket, "127.0.9.9", "5683"));
    reconnect(socket, "both", "5683");
    CHECK_STR("::1", remote_host(socket));
    check_stored(&preferred, "::1", "5683");
}
