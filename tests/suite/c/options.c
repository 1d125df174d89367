/*
 * get_opt and set_opt: every key in every state that matters.
 */

#include "fixture.h"

#include <netinet/ip.h>

enum {
    RECV_TIMEOUT = ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT,
    STATE = ANJAY_NET_SOCKET_OPT_STATE,
    ADDR_FAMILY = ANJAY_NET_SOCKET_OPT_ADDR_FAMILY,
    MTU = ANJAY_NET_SOCKET_OPT_MTU,
    INNER_MTU = ANJAY_NET_SOCKET_OPT_INNER_MTU,
    SENT = ANJAY_NET_SOCKET_OPT_BYTES_SENT,
    RECEIVED = ANJAY_NET_SOCKET_OPT_BYTES_RECEIVED,
    BUFFERED = ANJAY_NET_SOCKET_OPT_HAS_BUFFERED_DATA,
    /* The names came with avs_commons 5.1; before, nobody knows the numbers. */
    DTLS_TIMEOUTS = 10,
    CONNECTION_ID = 11,
    PREFERRED = 12,
    FORCED = 13
};

/* The key can't be read, and nothing is written. */
#define CHECK_GET_FAILS(Code, Socket, Key)                            \
    do {                                                              \
        value_t value;                                                \
        memset(&value, 0xA5, sizeof(value));                          \
        value_t before = value;                                       \
        CHECK_ERR(Code, V(Socket)->get_opt((Socket), (Key), &value)); \
        CHECK_BYTES(&before, &value, sizeof(value));                  \
    } while (0)

#define CHECK_SET_IS_INVALID(Socket, Key) \
    CHECK_ERR(EINVAL, V(Socket)->set_opt((Socket), (Key), duration_value(0, 0)))

#define CHECK_FAMILY(Expected, Socket, Key) CHECK_INT(Expected, get_opt(Socket, Key).addr_family)

#define CHECK_MTUS(Mtu, InnerMtu, Socket)                    \
    do {                                                     \
        CHECK_INT(Mtu, get_opt(Socket, MTU).mtu);            \
        CHECK_INT(InnerMtu, get_opt(Socket, INNER_MTU).mtu); \
    } while (0)

TEST_EACH_TYPE(receive_timeout_is_kept_as_given) {
    static const anjay_net_duration_t VALUES[] = { { 0, 0 }, { 5, 250000000 }, { -1, 0 },
        { -3, 999999999 }, { 0, -1 }, { 7, 1000000000 }, { INT64_MAX, INT32_MAX },
        { INT64_MIN, INT32_MIN } };
    sock_t *socket = new_socket(type, NULL);
    for (size_t i = 0; i < LEN(VALUES); ++i) {
        CHECK_OK(V(socket)->set_opt(
                socket, RECV_TIMEOUT, duration_value(VALUES[i].seconds, VALUES[i].nanoseconds)));
        value_t value = get_opt(socket, RECV_TIMEOUT);
        CHECK_INT(VALUES[i].seconds, value.recv_timeout.seconds);
        CHECK_INT(VALUES[i].nanoseconds, value.recv_timeout.nanoseconds);
    }
}

TEST(receive_timeout_survives_close) {
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    set_timeout_us(socket, 1234000);
    CHECK_OK(V(socket)->close(socket));
    CHECK_INT(1, get_opt(socket, RECV_TIMEOUT).recv_timeout.seconds);
    CHECK_INT(234000000, get_opt(socket, RECV_TIMEOUT).recv_timeout.nanoseconds);
}

TEST(state_is_read_only) {
    sock_t *socket = new_udp(NULL);
    CHECK_SET_IS_INVALID(socket, STATE);
    CHECK_STATE(CLOSED, socket);
}

TEST_EACH_TYPE(address_family_is_that_of_the_descriptor) {
    static const struct {
        const char *address;
        int family;
    } PLACES[] = { { "127.0.0.1", V4 }, { "::1", V6 }, { "::", V6 }, { "0.0.0.0", V4 } };
    for (size_t i = 0; i < LEN(PLACES); ++i) {
        sock_t *socket = new_socket(type, NULL);
        CHECK_FAMILY(ANY, socket, ADDR_FAMILY);
        CHECK_OK(V(socket)->bind(socket, PLACES[i].address, "0"));
        CHECK_FAMILY(PLACES[i].family, socket, ADDR_FAMILY);
        CHECK_SET_IS_INVALID(socket, ADDR_FAMILY);
        CHECK_OK(V(socket)->close(socket));
        CHECK_FAMILY(ANY, socket, ADDR_FAMILY);
    }
}

/* What the kernel says about the path of a connected descriptor. */
static int kernel_mtu(sock_t *socket, int family) {
    return family == AF_INET ? int_option(descriptor_of(socket), IPPROTO_IP, IP_MTU)
                             : int_option(descriptor_of(socket), IPPROTO_IPV6, IPV6_MTU);
}

TEST_EACH_FAMILY(mtu_is_that_of_the_path) {
    peer_t peer;
    sock_t *socket = connected_pair_of(UDP, family, NULL, &peer);
    int mtu = kernel_mtu(socket, family);
    CHECK_MTUS(mtu, mtu - (family == AF_INET ? 28 : 48), socket);
    CHECK_SET_IS_INVALID(socket, MTU);
    CHECK_SET_IS_INVALID(socket, INNER_MTU);
}

/* The reference asks for the wrong family here. */
TEST(mtu_of_a_v4mapped_connection_is_that_of_ipv4) {
    sock_t *socket = bound_udp("::", NULL);
    connect_to_peer(socket, UDP, AF_INET);
    CHECK_FAMILY(V6, socket, ADDR_FAMILY);
    int mtu = kernel_mtu(socket, AF_INET);
    CHECK_MTUS(mtu, mtu - 28, socket);
}

TEST(mtu_of_a_tcp_connection_is_that_of_the_path) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    CHECK_INT(kernel_mtu(socket, AF_INET), get_opt(socket, MTU).mtu);
}

TEST(mtu_without_a_path_is_unknown) {
    sock_t *socket = new_udp(NULL);
    CHECK_GET_FAILS(EBADF, socket, MTU);
    CHECK_GET_FAILS(EBADF, socket, INNER_MTU);
    CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
    CHECK_GET_FAILS(ENOTCONN, socket, MTU);
}

TEST(inner_mtu_without_a_path_is_the_smallest_that_must_work) {
    CHECK_INT(548, get_opt(bound_udp("127.0.0.1", NULL), INNER_MTU).mtu);
    CHECK_INT(1232, get_opt(bound_udp("::1", NULL), INNER_MTU).mtu);
}

TEST(forced_mtu_overrides_the_path) {
    sock_t *socket = bound_udp("127.0.0.1", &(config_t){ .forced_mtu = 1280 });
    CHECK_MTUS(1280, 1252, socket);
    connect_to_peer(socket, UDP, AF_INET);
    CHECK_MTUS(1280, 1252, socket);
    CHECK_OK(V(socket)->close(socket));
    connect_to_peer(socket, UDP, AF_INET6);
    CHECK_MTUS(1280, 1232, socket);
}

TEST(inner_mtu_is_never_negative) {
    peer_t peer;
    CHECK_MTUS(20, 0, connected_pair_of(UDP, AF_INET6, &(config_t){ .forced_mtu = 20 }, &peer));
}

static const int NOTHING_FORCED[] = { 0, -1, -1280, INT32_MIN };

TEST_EACH(forced_mtu_of_zero_or_less_forces_nothing, NOTHING_FORCED) {
    peer_t peer;
    sock_t *socket = connected_pair_of(UDP, AF_INET, &(config_t){ .forced_mtu = *it }, &peer);
    CHECK_INT(kernel_mtu(socket, AF_INET), get_opt(socket, MTU).mtu);
}

TEST(inner_mtu_is_for_udp_only) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    CHECK_GET_FAILS(ENOTSUP, socket, INNER_MTU);
    CHECK_SET_IS_INVALID(socket, INNER_MTU);
}

TEST_EACH_TYPE(counters_can_be_read_in_every_state_and_not_set) {
    sock_t *socket = new_socket(type, NULL);
    CHECK_INT(0, bytes_sent(socket));
    CHECK_INT(0, bytes_received(socket));
    CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
    CHECK_INT(0, bytes_sent(socket));
    CHECK_INT(0, bytes_received(socket));
    CHECK_SET_IS_INVALID(socket, SENT);
    CHECK_SET_IS_INVALID(socket, RECEIVED);
}

TEST(nothing_is_ever_buffered) {
    sock_t *socket = new_udp(NULL);
    CHECK(!get_opt(socket, BUFFERED).flag);
    peer_t peer = connect_to_peer(socket, UDP, AF_INET);
    peer_say(&peer, socket, "data");
    CHECK(!get_opt(socket, BUFFERED).flag);
    CHECK_SET_IS_INVALID(socket, BUFFERED);
}

#ifndef ANJAY_NET_AVS_COMMONS_4

TEST_EACH_TYPE(families_can_be_read_and_set) {
    static const int KNOWN[] = { V4, ANY, V6 };
    static const int UNKNOWN[] = { 3, -1, 10, INT32_MAX, INT32_MIN };
    for (int key = PREFERRED; key <= FORCED; ++key) {
        sock_t *socket = new_socket(type, NULL);
        CHECK_FAMILY(ANY, socket, key);
        for (size_t i = 0; i < LEN(KNOWN); ++i) {
            CHECK_OK(V(socket)->set_opt(socket, key, family_value(KNOWN[i])));
            CHECK_FAMILY(KNOWN[i], socket, key);
        }
        for (size_t i = 0; i < LEN(UNKNOWN); ++i) {
            CHECK_ERR(EINVAL, V(socket)->set_opt(socket, key, family_value(UNKNOWN[i])));
            CHECK_FAMILY(V6, socket, key);
        }
    }
}

TEST(families_come_from_the_configuration) {
    sock_t *socket = new_udp(&(config_t){ .address_family = V4, .preferred_family = V6 });
    CHECK_FAMILY(V4, socket, FORCED);
    CHECK_FAMILY(V6, socket, PREFERRED);
}

TEST(forced_family_counts_from_the_next_resolution_on) {
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->set_opt(socket, FORCED, family_value(V4)));
    CHECK_OK(V(socket)->bind(socket, NULL, NULL));
    CHECK_STR("0.0.0.0", local_host(socket));
    CHECK_OK(V(socket)->set_opt(socket, FORCED, family_value(V6)));
    CHECK_STR("0.0.0.0", local_host(socket));
    CHECK_OK(V(socket)->close(socket));
    CHECK_OK(V(socket)->bind(socket, NULL, NULL));
    CHECK_STR("::", local_host(socket));
    CHECK_OK(V(socket)->close(socket));
    CHECK_OK(V(socket)->set_opt(socket, FORCED, family_value(ANY)));
    CHECK_OK(V(socket)->set_opt(socket, PREFERRED, family_value(V4)));
    CHECK_OK(V(socket)->bind(socket, NULL, NULL));
    CHECK_STR("0.0.0.0", local_host(socket));
}

#endif /* ANJAY_NET_AVS_COMMONS_4 */

TEST_EACH_TYPE(tls_keys_and_unknown_keys_are_invalid) {
    static const int KEYS[] = { ANJAY_NET_SOCKET_OPT_SESSION_RESUMED,
        ANJAY_NET_SOCKET_OPT_DANE_TLSA_ARRAY, DTLS_TIMEOUTS, CONNECTION_ID,
#ifdef ANJAY_NET_AVS_COMMONS_4
        PREFERRED, FORCED,
#endif
        14, 15, 1000, -1, INT32_MAX, INT32_MIN };
    sock_t *sockets[2] = { new_socket(type, NULL), bound_socket(type, "127.0.0.1", NULL) };
    for (size_t i = 0; i < 2 * LEN(KEYS); ++i) {
        CHECK_GET_FAILS(EINVAL, sockets[i % 2], KEYS[i / 2]);
        CHECK_SET_IS_INVALID(sockets[i % 2], KEYS[i / 2]);
    }
}

TEST(get_writes_the_field_of_its_key_only) {
    static const struct {
        int key;
        size_t size;
    } FIELDS[] = { { STATE, sizeof(int) }, { ADDR_FAMILY, sizeof(int) }, { MTU, sizeof(int) },
        { INNER_MTU, sizeof(int) }, { SENT, 8 }, { RECEIVED, 8 }, { BUFFERED, sizeof(bool) },
#ifndef ANJAY_NET_AVS_COMMONS_4
        { PREFERRED, sizeof(int) }, { FORCED, sizeof(int) },
#endif
        { RECV_TIMEOUT, sizeof(anjay_net_duration_t) } };
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    for (size_t i = 0; i < LEN(FIELDS); ++i) {
        unsigned char poison[sizeof(value_t)];
        value_t value;
        memset(poison, 0xA5, sizeof(poison));
        memcpy(&value, poison, sizeof(value));
        CHECK_OK(V(socket)->get_opt(socket, FIELDS[i].key, &value));
        CHECK_BYTES(poison + FIELDS[i].size, (const unsigned char *) &value + FIELDS[i].size,
                sizeof(value) - FIELDS[i].size);
    }
}
