/*
 * Names: which addresses, and in which order. All in a network of the test's
 * own.
 */

#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { V4MAPPED = ANJAY_NET_ADDRINFO_RESOLVE_F_V4MAPPED, MANY = 8 };

static const char HOSTS[] = "127.0.0.1 localhost\n"
                            "127.0.1.1 many\n127.0.1.2 many\n127.0.1.3 many\n127.0.1.4 many\n"
                            "127.0.1.5 many\n127.0.1.6 many\n127.0.1.7 many\n127.0.1.8 many\n"
                            "127.0.0.1 both\n::1 both\n"
                            "127.0.0.1 halfway\n2001:db8::1 halfway\n"
                            "127.0.0.1 rejected\n192.0.2.1 rejected\n"
                            "192.0.2.2 hopeless\n"
                            "2001:db8::2 nowhere\n";

/* Reads the list of "many" from where it is: 1 to 8, 0 at its end. */
static int next_of_many(anjay_net_addrinfo_t *list) {
    endpoint_t endpoint;
    int number;
    if (avs_net_addrinfo_next(list, &endpoint) == ANJAY_NET_ADDRINFO_END) {
        return 0;
    }
    CHECK_INT(1, sscanf(endpoint_text(&endpoint), "127.0.1.%d|5683", &number));
    CHECK(number >= 1 && number <= MANY);
    return number;
}

static anjay_net_addrinfo_t *resolve_many(int family) {
    anjay_net_addrinfo_t *list = avs_net_addrinfo_resolve_ex(UDP, family, "many", "5683", 0, NULL);
    CHECK(list != NULL);
    return list;
}

TEST(all_addresses_of_a_name_are_listed_once) {
    int seen[MANY + 1] = { 0 };
    sandbox_enter(HOSTS, NULL);
    anjay_net_addrinfo_t *list = resolve_many(ANY);
    for (int i = 0; i <= MANY; ++i) {
        ++seen[next_of_many(list)];
    }
    for (int i = 0; i <= MANY; ++i) {
        CHECK_INT(1, seen[i]);
    }
    avs_net_addrinfo_delete(&list);
}

/* The reference seeds with the second of the day. */
TEST(order_is_drawn_anew_for_every_lookup) {
    enum { ROUNDS = 400 };
    int firsts[MANY + 1] = { 0 };
    sandbox_enter(HOSTS, NULL);
    for (int i = 0; i < ROUNDS; ++i) {
        anjay_net_addrinfo_t *list = resolve_many(V4);
        ++firsts[next_of_many(list)];
        avs_net_addrinfo_delete(&list);
    }
    /* Each comes first 50 times on average; 10 is six sigma away. */
    for (int i = 1; i <= MANY; ++i) {
        CHECK(firsts[i] > 10);
    }
}

TEST(rewound_list_keeps_its_order) {
    int order[MANY];
    sandbox_enter(HOSTS, NULL);
    anjay_net_addrinfo_t *list = resolve_many(V4);
    for (int i = 0; i < MANY; ++i) {
        order[i] = next_of_many(list);
    }
    avs_net_addrinfo_rewind(list);
    for (int i = 0; i < MANY; ++i) {
        CHECK_INT(order[i], next_of_many(list));
    }
    avs_net_addrinfo_delete(&list);
}

static const char IPV6_FIRST[] = "::1|5683 127.0.0.1|5683";
static const char IPV4_FIRST[] = "127.0.0.1|5683 ::1|5683";

/* "both", with that preferred endpoint. */
static const char *both(const endpoint_t *preferred) {
    return listed(UDP, ANY, "both", "5683", 0, preferred);
}

TEST(ipv6_comes_first_without_a_preference) {
    sandbox_enter(HOSTS, NULL);
    CHECK_STR(IPV6_FIRST, both(NULL));
}

TEST(preferred_endpoint_comes_first_of_all) {
    sandbox_enter(HOSTS, NULL);
    endpoint_t preferred = endpoint_of(ANY, "127.0.0.1", "5683", 0);
    CHECK_STR(IPV4_FIRST, both(&preferred));
}

TEST(preferred_endpoint_counts_as_a_whole) {
    endpoint_t preferred;
    sandbox_enter(HOSTS, NULL);
    memset(&preferred, 0, sizeof(preferred));
    CHECK_STR(IPV6_FIRST, both(&preferred));
    preferred = endpoint_of(ANY, "127.0.0.1", "5684", 0);
    CHECK_STR(IPV6_FIRST, both(&preferred));
    preferred = endpoint_of(ANY, "127.0.0.2", "5683", 0);
    CHECK_STR(IPV6_FIRST, both(&preferred));
}

TEST(preferred_endpoint_is_compared_without_v4_mapping) {
    sandbox_enter(HOSTS, NULL);
    endpoint_t preferred = endpoint_of(V6, "127.0.0.1", "5683", V4MAPPED);
    CHECK_INT(sizeof(struct sockaddr_in6), preferred.size);
    CHECK_STR(IPV4_FIRST, both(&preferred));
    preferred = endpoint_of(ANY, "127.0.0.1", "5683", 0);
    CHECK_STR(IPV4_FIRST, listed(UDP, V6, "both", "5683", V4MAPPED, &preferred));
}

TEST(preferred_endpoint_of_garbage_is_harmless) {
    sandbox_enter(HOSTS, NULL);
    for (unsigned size = 0; size <= 255; ++size) {
        endpoint_t preferred;
        memset(&preferred, 0xA5, sizeof(preferred));
        preferred.size = (uint8_t) size;
        CHECK_STR(IPV6_FIRST, both(&preferred));
        preferred = endpoint_of(ANY, "127.0.0.1", "5683", 0);
        if (size < preferred.size) { /* cut short: no endpoint */
            preferred.size = (uint8_t) size;
            CHECK_STR(IPV6_FIRST, both(&preferred));
        }
    }
}

TEST(forced_family_lists_no_other) {
    sandbox_enter(HOSTS, NULL);
    CHECK_STR("127.0.0.1|5683", listed(UDP, V4, "both", "5683", 0, NULL));
    CHECK_STR("::1|5683", listed(UDP, V6, "both", "5683", 0, NULL));
    CHECK_STR("nothing", listed(UDP, V6, "many", "5683", 0, NULL));
}

TEST(connect_follows_the_family_policy) {
    static const struct {
        const char *host;
        int preferred;
        int forced;
    } POLICIES[] = { { "::1", ANY, ANY }, { "127.0.0.1", V4, ANY }, { "::1", V6, ANY },
        { "127.0.0.1", V6, V4 }, { "::1", V4, V6 } };
    sandbox_enter(HOSTS, NULL);
    sandbox_await_all_answers();
    for (size_t i = 0; i < LEN(POLICIES); ++i) {
        sock_t *socket = new_udp(&(config_t){
                .preferred_family = POLICIES[i].preferred, .address_family = POLICIES[i].forced });
        CHECK_OK(V(socket)->connect(socket, "both", "5683"));
        CHECK_STR(POLICIES[i].host, remote_host(socket));
    }
    /* What the socket reaches as it is comes first. */
    sock_t *bound = bound_udp("0.0.0.0", NULL);
    CHECK_OK(V(bound)->connect(bound, "both", "5683"));
    CHECK_STR("127.0.0.1", remote_host(bound));
}

static const int TYPES[] = { TCP, UDP };

TEST(family_without_a_route_is_passed_over) {
    sandbox_enter(HOSTS, NULL);
    for (size_t i = 0; i < LEN(TYPES); ++i) {
        peer_t peer = peer_to_connect_to(TYPES[i], AF_INET);
        sock_t *socket = new_socket(TYPES[i], NULL);
        CHECK_OK(V(socket)->connect(socket, "halfway", peer.port));
        CHECK_STR("127.0.0.1", remote_host(socket));
        if (TYPES[i] == UDP) {
            check_works(socket, &peer);
        }
        /* Nothing left to pass over to: the error of the last attempt. */
        CHECK_OK(V(socket)->close(socket));
        CHECK_ERR(ENETUNREACH, V(socket)->connect(socket, "nowhere", "5683"));
        CHECK_STATE(CLOSED, socket);
    }
}

TEST(send_to_passes_over_unreachable_networks) {
    sandbox_enter(HOSTS, NULL);
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("::", NULL);
    CHECK_OK(V(socket)->send_to(socket, "ping", 4, "halfway", peer.port));
    peer_expect(&peer, "ping");
    CHECK_INT(4, bytes_sent(socket));
    CHECK_ERR(ENETUNREACH, V(socket)->send_to(socket, "ping", 4, "nowhere", peer.port));
    CHECK_INT(4, bytes_sent(socket));
}

/* The reference goes on after ENETUNREACH only. */
TEST(send_to_passes_over_unreachable_hosts) {
    sandbox_enter(HOSTS, NULL);
    sandbox_make_unreachable("192.0.2.0");
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("0.0.0.0", NULL);
    /* In random order, so half of the rounds begin with the bad address. */
    for (int round = 0; round < 20; ++round) {
        CHECK_OK(V(socket)->send_to(socket, "ping", 4, "rejected", peer.port));
        peer_expect(&peer, "ping");
    }
    CHECK_ERR(EHOSTUNREACH, V(socket)->send_to(socket, "ping", 4, "hopeless", peer.port));
    CHECK_INT(80, bytes_sent(socket));
}

/* A datagram that is too large for IPv4 alone: what IPv6 would take is not sent there. */
TEST(send_to_passes_over_no_other_error) {
    static const char TOO_LARGE[65520];
    sandbox_enter(HOSTS, NULL);
    sandbox_await_all_answers();
    peer_t peer = peer_udp(AF_INET6);
    sock_t *socket = new_udp(&(config_t){ .preferred_family = V4 });
    CHECK_OK(V(socket)->bind(socket, "::", "0"));
    CHECK_OK(V(socket)->send_to(socket, TOO_LARGE, sizeof(TOO_LARGE), "::1", peer.port));
    CHECK_ERR(EMSGSIZE,
            V(socket)->send_to(socket, TOO_LARGE, sizeof(TOO_LARGE), "both", peer.port));
    CHECK_INT(sizeof(TOO_LARGE), bytes_sent(socket));
}

/* The reference asks the system for its addresses and finds none that
   counts. */
TEST(bind_works_with_loopback_only) {
    static const char *const ADDRESSES[] = { NULL, "127.0.0.1", "::1", "0.0.0.0",
        "::", "localhost" };
    sandbox_enter(HOSTS, NULL);
    for (size_t i = 0; i < 2 * LEN(ADDRESSES); ++i) {
        sock_t *socket = bound_socket(TYPES[i % 2], ADDRESSES[i / 2], NULL);
        CHECK(atoi(local_port(socket)) > 0);
    }
}

TEST(ipv6_wildcard_reaches_ipv4_where_the_system_separates_them) {
    sandbox_enter(HOSTS, NULL);
    int fd = held((int) SYS(open("/proc/sys/net/ipv6/bindv6only", O_WRONLY | O_CLOEXEC)));
    SYS(write(fd, "1", 1));
    sock_t *socket = bound_udp("::", NULL);
    const char *port = local_port(socket);
    peer_t peer = connect_to_peer(socket, UDP, AF_INET);
    CHECK_STR(port, local_port(socket));
    check_works(socket, &peer);
}

TEST(longest_name_works_and_is_remembered) {
    char name[256];
    char hosts[512];
    char text[256];
    for (size_t i = 0; i < 255; ++i) {
        name[i] = i % 64 == 63 ? '.' : 'n';
    }
    name[255] = '\0';
    snprintf(hosts, sizeof(hosts), "127.0.0.1 %s\n", name);
    sandbox_enter(hosts, NULL);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, name, "5683"));
    CHECK_OK(V(socket)->get_remote_hostname(socket, text, sizeof(text)));
    CHECK_STR(name, text);
    CHECK_ERR(ERANGE, V(socket)->get_remote_hostname(socket, text, 255));
}

TEST(send_to_a_name_after_shutdown_fails_as_to_an_address) {
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    CHECK_OK(V(socket)->shutdown(socket));
    CHECK_ERR(EPIPE, V(socket)->send_to(socket, "x", 1, "127.0.0.1", "9"));
    CHECK_ERR(EPIPE, V(socket)->send_to(socket, "x", 1, "localhost", "9"));
}
