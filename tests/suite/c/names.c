/*
 * Names: which addresses, and in which order. All in a network of the test's
 * own.
 */

#include "peer.h"
#include "sandbox.h"
#include "sock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char HOSTS[] = "127.0.0.1 localhost\n"
                            "127.0.1.1 many\n"
                            "127.0.1.2 many\n"
                            "127.0.1.3 many\n"
                            "127.0.1.4 many\n"
                            "127.0.1.5 many\n"
                            "127.0.1.6 many\n"
                            "127.0.1.7 many\n"
                            "127.0.1.8 many\n"
                            "127.0.0.1 both\n"
                            "::1 both\n"
                            "127.0.0.1 halfway\n"
                            "2001:db8::1 halfway\n"
                            "127.0.0.1 rejected\n"
                            "192.0.2.1 rejected\n"
                            "192.0.2.2 hopeless\n"
                            "2001:db8::2 nowhere\n";

static anjay_net_addrinfo_t *resolve(int family, const char *name) {
    anjay_net_addrinfo_t *list = avs_net_addrinfo_resolve_ex(
            ANJAY_NET_SOCKET_TYPE_UDP, family, name, "5683", 0, NULL);
    CHECK(list != NULL);
    return list;
}

/* The next host of a list; NULL at its end. */
static const char *next_host(anjay_net_addrinfo_t *list) {
    static char host[64];
    endpoint_t endpoint;
    int result = avs_net_addrinfo_next(list, &endpoint);
    if (result == ANJAY_NET_ADDRINFO_END) {
        return NULL;
    }
    CHECK_INT(0, result);
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(&endpoint, host,
                                                     sizeof(host), NULL, 0));
    return host;
}

/* 1 to 8: the number of an address of "many". */
static int number_of(const char *host) {
    CHECK(host != NULL);
    CHECK(strncmp(host, "127.0.1.", 8) == 0);
    return atoi(host + 8);
}

TEST(all_addresses_of_a_name_are_listed_once) {
    anjay_net_addrinfo_t *list;
    int seen[9] = { 0 };
    int i;
    sandbox_enter(HOSTS, NULL);
    list = resolve(ANJAY_NET_AF_UNSPEC, "many");
    for (i = 0; i < 8; ++i) {
        ++seen[number_of(next_host(list))];
    }
    CHECK(next_host(list) == NULL);
    for (i = 1; i <= 8; ++i) {
        CHECK_INT(1, seen[i]);
    }
    avs_net_addrinfo_delete(&list);
}

/* The reference seeds with the second of the day. */
TEST(order_is_drawn_anew_for_every_lookup) {
    enum { ROUNDS = 400 };
    int firsts[9] = { 0 };
    int i;
    sandbox_enter(HOSTS, NULL);
    for (i = 0; i < ROUNDS; ++i) {
        anjay_net_addrinfo_t *list = resolve(ANJAY_NET_AF_INET4, "many");
        ++firsts[number_of(next_host(list))];
        avs_net_addrinfo_delete(&list);
    }
    /* Each comes first 50 times on average; 10 is six sigma away. */
    for (i = 1; i <= 8; ++i) {
        CHECK(firsts[i] > 10);
    }
}

TEST(rewound_list_keeps_its_order) {
    anjay_net_addrinfo_t *list;
    int order[8];
    int i;
    sandbox_enter(HOSTS, NULL);
    list = resolve(ANJAY_NET_AF_INET4, "many");
    for (i = 0; i < 8; ++i) {
        order[i] = number_of(next_host(list));
    }
    avs_net_addrinfo_rewind(list);
    for (i = 0; i < 8; ++i) {
        CHECK_INT(order[i], number_of(next_host(list)));
    }
    avs_net_addrinfo_delete(&list);
}

TEST(ipv6_comes_first_without_a_preference) {
    anjay_net_addrinfo_t *list;
    sandbox_enter(HOSTS, NULL);
    list = resolve(ANJAY_NET_AF_UNSPEC, "both");
    CHECK_STR("::1", next_host(list));
    CHECK_STR("127.0.0.1", next_host(list));
    CHECK(next_host(list) == NULL);
    avs_net_addrinfo_delete(&list);
}

static endpoint_t literal(const char *host, const char *port, int flags) {
    endpoint_t endpoint;
    anjay_net_addrinfo_t *list = avs_net_addrinfo_resolve_ex(
            ANJAY_NET_SOCKET_TYPE_UDP,
            flags ? ANJAY_NET_AF_INET6 : ANJAY_NET_AF_UNSPEC, host, port, flags,
            NULL);
    CHECK(list != NULL);
    CHECK_INT(0, avs_net_addrinfo_next(list, &endpoint));
    avs_net_addrinfo_delete(&list);
    return endpoint;
}

/* First address of "both", given a preferred endpoint. */
static void check_first_with(const endpoint_t *preferred, const char *expected) {
    anjay_net_addrinfo_t *list = avs_net_addrinfo_resolve_ex(
            ANJAY_NET_SOCKET_TYPE_UDP, ANJAY_NET_AF_UNSPEC, "both", "5683", 0,
            preferred);
    CHECK(list != NULL);
    CHECK_STR(expected, next_host(list));
    avs_net_addrinfo_delete(&list);
}

TEST(preferred_endpoint_comes_first_of_all) {
    endpoint_t preferred;
    anjay_net_addrinfo_t *list;
    sandbox_enter(HOSTS, NULL);
    preferred = literal("127.0.0.1", "5683", 0);
    list = avs_net_addrinfo_resolve_ex(ANJAY_NET_SOCKET_TYPE_UDP,
                                       ANJAY_NET_AF_UNSPEC, "both", "5683", 0,
                                       &preferred);
    CHECK(list != NULL);
    CHECK_STR("127.0.0.1", next_host(list));
    CHECK_STR("::1", next_host(list));
    CHECK(next_host(list) == NULL);
    avs_net_addrinfo_delete(&list);
}

TEST(preferred_endpoint_counts_as_a_whole) {
    endpoint_t preferred;
    sandbox_enter(HOSTS, NULL);
    memset(&preferred, 0, sizeof(preferred));
    check_first_with(&preferred, "::1");
    preferred = literal("127.0.0.1", "5684", 0);
    check_first_with(&preferred, "::1");
    preferred = literal("127.0.0.2", "5683", 0);
    check_first_with(&preferred, "::1");
}

TEST(preferred_endpoint_is_compared_without_v4_mapping) {
    endpoint_t preferred;
    anjay_net_addrinfo_t *list;
    sandbox_enter(HOSTS, NULL);
    preferred = literal("127.0.0.1", "5683",
                        ANJAY_NET_ADDRINFO_RESOLVE_F_V4MAPPED);
    CHECK_INT(sizeof(struct sockaddr_in6), preferred.size);
    check_first_with(&preferred, "127.0.0.1");
    preferred = literal("127.0.0.1", "5683", 0);
    list = avs_net_addrinfo_resolve_ex(
            ANJAY_NET_SOCKET_TYPE_UDP, ANJAY_NET_AF_INET6, "both", "5683",
            ANJAY_NET_ADDRINFO_RESOLVE_F_V4MAPPED, &preferred);
    CHECK(list != NULL);
    CHECK_STR("127.0.0.1", next_host(list));
    avs_net_addrinfo_delete(&list);
}

TEST(preferred_endpoint_of_garbage_is_harmless) {
    unsigned size;
    sandbox_enter(HOSTS, NULL);
    for (size = 0; size <= 255; ++size) {
        endpoint_t preferred;
        memset(&preferred, 0xA5, sizeof(preferred));
        preferred.size = (uint8_t) size;
        check_first_with(&preferred, "::1");
        preferred = literal("127.0.0.1", "5683", 0);
        if (size < preferred.size) { /* cut short: no endpoint */
            preferred.size = (uint8_t) size;
            check_first_with(&preferred, "::1");
        }
    }
}

TEST(forced_family_lists_no_other) {
    anjay_net_addrinfo_t *list;
    sandbox_enter(HOSTS, NULL);
    list = resolve(ANJAY_NET_AF_INET4, "both");
    CHECK_STR("127.0.0.1", next_host(list));
    CHECK(next_host(list) == NULL);
    avs_net_addrinfo_delete(&list);
    list = resolve(ANJAY_NET_AF_INET6, "both");
    CHECK_STR("::1", next_host(list));
    CHECK(next_host(list) == NULL);
    avs_net_addrinfo_delete(&list);
    CHECK(avs_net_addrinfo_resolve_ex(ANJAY_NET_SOCKET_TYPE_UDP,
                                      ANJAY_NET_AF_INET6, "many", "5683", 0,
                                      NULL)
          == NULL);
}

static void check_connects_to(const config_t *config, const char *expected) {
    sock_t *socket = new_udp(config);
    CHECK_OK(V(socket)->connect(socket, "both", "5683"));
    CHECK_STR(expected, remote_host(socket));
    dispose(&socket);
}

TEST(connect_follows_the_family_policy) {
    config_t config = default_config();
    sandbox_enter(HOSTS, NULL);
    sandbox_await_all_answers();
    check_connects_to(NULL, "::1");
    config.preferred_family = ANJAY_NET_AF_INET4;
    check_connects_to(&config, "127.0.0.1");
    config.preferred_family = ANJAY_NET_AF_INET6;
    check_connects_to(&config, "::1");
    config.address_family = ANJAY_NET_AF_INET4;
    check_connects_to(&config, "127.0.0.1");
    config.preferred_family = ANJAY_NET_AF_INET4;
    config.address_family = ANJAY_NET_AF_INET6;
    check_connects_to(&config, "::1");
}

TEST(family_without_a_route_is_passed_over) {
    peer_t udp_peer;
    peer_t tcp_peer;
    sock_t *socket;
    sandbox_enter(HOSTS, NULL);
    udp_peer = peer_udp(AF_INET);
    socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, "halfway", udp_peer.port));
    CHECK_STR("127.0.0.1", remote_host(socket));
    send_text(socket, "ping");
    peer_expect(&udp_peer, "ping");
    dispose(&socket);

    tcp_peer = peer_listen(AF_INET);
    socket = new_tcp(NULL);
    CHECK_OK(V(socket)->connect(socket, "halfway", tcp_peer.port));
    CHECK_STR("127.0.0.1", remote_host(socket));
    dispose(&socket);

    /* Nothing left to pass over to: the error of the last attempt. */
    socket = new_udp(NULL);
    CHECK_ERR(ENETUNREACH, V(socket)->connect(socket, "nowhere", "5683"));
    CHECK_STATE(CLOSED, socket);
    dispose(&socket);
    socket = new_tcp(NULL);
    CHECK_ERR(ENETUNREACH, V(socket)->connect(socket, "nowhere", "5683"));
    CHECK_STATE(CLOSED, socket);
    dispose(&socket);
    peer_close(&udp_peer);
    peer_close(&tcp_peer);
}

TEST(send_to_passes_over_unreachable_networks) {
    peer_t peer;
    sock_t *socket;
    sandbox_enter(HOSTS, NULL);
    peer = peer_udp(AF_INET);
    socket = bound_udp("::", NULL);
    CHECK_OK(V(socket)->send_to(socket, "ping", 4, "halfway", peer.port));
    peer_expect(&peer, "ping");
    CHECK_INT(4, bytes_sent(socket));
    CHECK_ERR(ENETUNREACH,
              V(socket)->send_to(socket, "ping", 4, "nowhere", peer.port));
    CHECK_INT(4, bytes_sent(socket));
    dispose(&socket);
    peer_close(&peer);
}

/* The reference goes on after ENETUNREACH only. */
TEST(send_to_passes_over_unreachable_hosts) {
    peer_t peer;
    sock_t *socket;
    int round;
    sandbox_enter(HOSTS, NULL);
    sandbox_make_unreachable("192.0.2.0");
    peer = peer_udp(AF_INET);
    socket = bound_udp("0.0.0.0", NULL);
    /* In random order, so half of the rounds begin with the bad address. */
    for (round = 0; round < 20; ++round) {
        CHECK_OK(V(socket)->send_to(socket, "ping", 4, "rejected", peer.port));
        peer_expect(&peer, "ping");
    }
    CHECK_ERR(EHOSTUNREACH,
              V(socket)->send_to(socket, "ping", 4, "hopeless", peer.port));
    CHECK_INT(80, bytes_sent(socket));
    dispose(&socket);
    peer_close(&peer);
}

/* The reference asks the system for its addresses and finds none that
   counts. */
TEST(bind_works_with_loopback_only) {
    static const char *const ADDRESSES[] = { NULL, "127.0.0.1", "::1",
                                             "0.0.0.0", "::", "localhost" };
    static const int TYPES[] = { ANJAY_NET_SOCKET_TYPE_TCP,
                                 ANJAY_NET_SOCKET_TYPE_UDP };
    size_t type;
    size_t i;
    sandbox_enter(HOSTS, NULL);
    for (type = 0; type < LEN(TYPES); ++type) {
        for (i = 0; i < LEN(ADDRESSES); ++i) {
            sock_t *socket = new_socket(TYPES[type], NULL);
            CHECK_OK(V(socket)->bind(socket, ADDRESSES[i], "0"));
            CHECK(atoi(local_port(socket)) > 0);
            dispose(&socket);
        }
    }
}

TEST(ipv6_wildcard_reaches_ipv4_where_the_system_separates_them) {
    peer_t peer;
    sock_t *socket;
    const char *port;
    int fd;
    sandbox_enter(HOSTS, NULL);
    fd = (int) SYS(open("/proc/sys/net/ipv6/bindv6only", O_WRONLY | O_CLOEXEC));
    SYS(write(fd, "1", 1));
    SYS(close(fd));
    peer = peer_udp(AF_INET);
    socket = bound_udp("::", NULL);
    port = local_port(socket);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    CHECK_STR(port, local_port(socket));
    send_text(socket, "ping");
    peer_expect(&peer, "ping");
    dispose(&socket);
    peer_close(&peer);
}

TEST(longest_name_works_and_is_remembered) {
    char name[256];
    char hosts[512];
    char text[256];
    peer_t peer;
    sock_t *socket;
    size_t i;
    for (i = 0; i < 255; ++i) {
        name[i] = i % 64 == 63 ? '.' : 'n';
    }
    name[255] = '\0';
    snprintf(hosts, sizeof(hosts), "127.0.0.1 %s\n", name);
    sandbox_enter(hosts, NULL);
    peer = peer_udp(AF_INET);
    socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, name, peer.port));
    CHECK_OK(V(socket)->get_remote_hostname(socket, text, sizeof(text)));
    CHECK_STR(name, text);
    CHECK_ERR(ERANGE, V(socket)->get_remote_hostname(socket, text, 255));
    dispose(&socket);
    peer_close(&peer);
}
