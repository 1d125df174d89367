/*
 * get_opt and set_opt: every key in every state that matters.
 */

#include "peer.h"
#include "sock.h"

#include <netinet/ip.h>

static const int BOTH_TYPES[] = { ANJAY_NET_SOCKET_TYPE_TCP,
                                  ANJAY_NET_SOCKET_TYPE_UDP };

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

static void check_get_fails(unsigned code, sock_t *socket, int key) {
    value_t value;
    value_t before;
    memset(&value, 0xA5, sizeof(value));
    before = value;
    check_code(__FILE__, __LINE__, "get_opt", code,
               V(socket)->get_opt(socket, key, &value));
    CHECK_BYTES(&before, &value, sizeof(value));
}

static void check_set_is_invalid(sock_t *socket, int key) {
    value_t value;
    memset(&value, 0, sizeof(value));
    CHECK_ERR(EINVAL, V(socket)->set_opt(socket, key, value));
}

TEST(receive_timeout_is_kept_as_given) {
    static const struct {
        int64_t seconds;
        int32_t nanoseconds;
    } VALUES[] = { { 0, 0 },          { 5, 250000000 },  { -1, 0 },
                   { -3, 999999999 }, { 0, -1 },         { 7, 1000000000 },
                   { INT64_MAX, INT32_MAX }, { INT64_MIN, INT32_MIN } };
    size_t type;
    size_t i;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        sock_t *socket = new_socket(BOTH_TYPES[type], NULL);
        for (i = 0; i < LEN(VALUES); ++i) {
            value_t value;
            CHECK_OK(V(socket)->set_opt(socket, RECV_TIMEOUT,
                                        duration_value(VALUES[i].seconds,
                                                       VALUES[i].nanoseconds)));
            value = get_opt(socket, RECV_TIMEOUT);
            CHECK_INT(VALUES[i].seconds, value.recv_timeout.seconds);
            CHECK_INT(VALUES[i].nanoseconds, value.recv_timeout.nanoseconds);
        }
        dispose(&socket);
    }
}

TEST(receive_timeout_survives_close) {
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    set_timeout_us(socket, 1234000);
    CHECK_OK(V(socket)->close(socket));
    CHECK_INT(1, get_opt(socket, RECV_TIMEOUT).recv_timeout.seconds);
    CHECK_INT(234000000, get_opt(socket, RECV_TIMEOUT).recv_timeout.nanoseconds);
    dispose(&socket);
}

TEST(state_is_read_only) {
    sock_t *socket = new_udp(NULL);
    check_set_is_invalid(socket, STATE);
    CHECK_STATE(CLOSED, socket);
    dispose(&socket);
}

TEST(address_family_is_that_of_the_descriptor) {
    static const struct {
        const char *address;
        int family;
    } SCENES[] = { { "127.0.0.1", ANJAY_NET_AF_INET4 },
                   { "::1", ANJAY_NET_AF_INET6 },
                   { "::", ANJAY_NET_AF_INET6 },
                   { "0.0.0.0", ANJAY_NET_AF_INET4 } };
    size_t type;
    size_t i;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        for (i = 0; i < LEN(SCENES); ++i) {
            sock_t *socket = new_socket(BOTH_TYPES[type], NULL);
            CHECK_INT(ANJAY_NET_AF_UNSPEC,
                      get_opt(socket, ADDR_FAMILY).addr_family);
            CHECK_OK(V(socket)->bind(socket, SCENES[i].address, "0"));
            CHECK_INT(SCENES[i].family,
                      get_opt(socket, ADDR_FAMILY).addr_family);
            check_set_is_invalid(socket, ADDR_FAMILY);
            CHECK_OK(V(socket)->close(socket));
            CHECK_INT(ANJAY_NET_AF_UNSPEC,
                      get_opt(socket, ADDR_FAMILY).addr_family);
            dispose(&socket);
        }
    }
}

/* What the kernel says about the path of a connected descriptor. */
static int kernel_mtu_v4(sock_t *socket) {
    return int_option(descriptor_of(socket), IPPROTO_IP, IP_MTU);
}

static int kernel_mtu_v6(sock_t *socket) {
    return int_option(descriptor_of(socket), IPPROTO_IPV6, IPV6_MTU);
}

TEST(mtu_is_that_of_the_path) {
    peer_t v4 = peer_udp(AF_INET);
    peer_t v6 = peer_udp(AF_INET6);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", v4.port));
    CHECK_INT(kernel_mtu_v4(socket), get_opt(socket, MTU).mtu);
    CHECK_INT(kernel_mtu_v4(socket) - 28, get_opt(socket, INNER_MTU).mtu);
    CHECK_OK(V(socket)->close(socket));
    CHECK_OK(V(socket)->connect(socket, "::1", v6.port));
    CHECK_INT(kernel_mtu_v6(socket), get_opt(socket, MTU).mtu);
    CHECK_INT(kernel_mtu_v6(socket) - 48, get_opt(socket, INNER_MTU).mtu);
    check_set_is_invalid(socket, MTU);
    check_set_is_invalid(socket, INNER_MTU);
    dispose(&socket);
    peer_close(&v4);
    peer_close(&v6);
}

/* The reference asks for the wrong family here. */
TEST(mtu_of_a_v4mapped_connection_is_that_of_ipv4) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("::", NULL);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    if (get_opt(socket, ADDR_FAMILY).addr_family == ANJAY_NET_AF_INET6) {
        CHECK_INT(kernel_mtu_v4(socket), get_opt(socket, MTU).mtu);
        CHECK_INT(kernel_mtu_v4(socket) - 28, get_opt(socket, INNER_MTU).mtu);
    } else {
        FAIL("%s", "an IPv6 socket was to stay one");
    }
    dispose(&socket);
    peer_close(&peer);
}

TEST(mtu_of_a_tcp_connection_is_that_of_the_path) {
    peer_t listener = peer_listen(AF_INET);
    sock_t *socket = new_tcp(NULL);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", listener.port));
    CHECK_INT(kernel_mtu_v4(socket), get_opt(socket, MTU).mtu);
    dispose(&socket);
    peer_close(&listener);
}

TEST(mtu_without_a_path_is_unknown) {
    sock_t *socket = new_udp(NULL);
    check_get_fails(ANJAY_NET_ERRNO_EBADF, socket, MTU);
    check_get_fails(ANJAY_NET_ERRNO_EBADF, socket, INNER_MTU);
    CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
    check_get_fails(ANJAY_NET_ERRNO_ENOTCONN, socket, MTU);
    dispose(&socket);
}

TEST(inner_mtu_without_a_path_is_the_smallest_that_must_work) {
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    CHECK_INT(548, get_opt(socket, INNER_MTU).mtu);
    dispose(&socket);
    socket = bound_udp("::1", NULL);
    CHECK_INT(1232, get_opt(socket, INNER_MTU).mtu);
    dispose(&socket);
}

TEST(forced_mtu_overrides_the_path) {
    peer_t v4 = peer_udp(AF_INET);
    peer_t v6 = peer_udp(AF_INET6);
    config_t config = default_config();
    sock_t *socket;
    config.forced_mtu = 1280;
    socket = new_udp(&config);
    CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
    CHECK_INT(1280, get_opt(socket, MTU).mtu);
    CHECK_INT(1252, get_opt(socket, INNER_MTU).mtu);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", v4.port));
    CHECK_INT(1280, get_opt(socket, MTU).mtu);
    CHECK_INT(1252, get_opt(socket, INNER_MTU).mtu);
    CHECK_OK(V(socket)->close(socket));
    CHECK_OK(V(socket)->connect(socket, "::1", v6.port));
    CHECK_INT(1280, get_opt(socket, MTU).mtu);
    CHECK_INT(1232, get_opt(socket, INNER_MTU).mtu);
    dispose(&socket);
    peer_close(&v4);
    peer_close(&v6);
}

TEST(inner_mtu_is_never_negative) {
    peer_t peer = peer_udp(AF_INET6);
    config_t config = default_config();
    sock_t *socket;
    config.forced_mtu = 20;
    socket = new_udp(&config);
    CHECK_OK(V(socket)->connect(socket, "::1", peer.port));
    CHECK_INT(20, get_opt(socket, MTU).mtu);
    CHECK_INT(0, get_opt(socket, INNER_MTU).mtu);
    dispose(&socket);
    peer_close(&peer);
}

TEST(forced_mtu_of_zero_or_less_forces_nothing) {
    static const int VALUES[] = { 0, -1, -1280, INT32_MIN };
    peer_t peer = peer_udp(AF_INET);
    size_t i;
    for (i = 0; i < LEN(VALUES); ++i) {
        config_t config = default_config();
        sock_t *socket;
        config.forced_mtu = VALUES[i];
        socket = new_udp(&config);
        CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
        CHECK_INT(kernel_mtu_v4(socket), get_opt(socket, MTU).mtu);
        dispose(&socket);
    }
    peer_close(&peer);
}

TEST(inner_mtu_is_for_udp_only) {
    peer_t listener = peer_listen(AF_INET);
    sock_t *socket = new_tcp(NULL);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", listener.port));
    check_get_fails(ANJAY_NET_ERRNO_ENOTSUP, socket, INNER_MTU);
    check_set_is_invalid(socket, INNER_MTU);
    dispose(&socket);
    peer_close(&listener);
}

TEST(counters_can_be_read_in_every_state_and_not_set) {
    size_t type;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        sock_t *socket = new_socket(BOTH_TYPES[type], NULL);
        CHECK_INT(0, bytes_sent(socket));
        CHECK_INT(0, bytes_received(socket));
        CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
        CHECK_INT(0, bytes_sent(socket));
        CHECK_INT(0, bytes_received(socket));
        check_set_is_invalid(socket, SENT);
        check_set_is_invalid(socket, RECEIVED);
        dispose(&socket);
    }
}

TEST(nothing_is_ever_buffered) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    CHECK(!get_opt(socket, BUFFERED).flag);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    peer_send_to(&peer, local_port(socket), "data", 4);
    CHECK(!get_opt(socket, BUFFERED).flag);
    check_set_is_invalid(socket, BUFFERED);
    dispose(&socket);
    peer_close(&peer);
}

#ifndef ANJAY_NET_AVS_COMMONS_4

TEST(families_can_be_read_and_set) {
    static const int KEYS[] = { PREFERRED, FORCED };
    static const int KNOWN[] = { ANJAY_NET_AF_INET4, ANJAY_NET_AF_INET6,
                                 ANJAY_NET_AF_UNSPEC };
    static const int UNKNOWN[] = { 3, -1, 10, INT32_MAX, INT32_MIN };
    size_t type;
    size_t key;
    size_t i;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        for (key = 0; key < LEN(KEYS); ++key) {
            sock_t *socket = new_socket(BOTH_TYPES[type], NULL);
            CHECK_INT(ANJAY_NET_AF_UNSPEC,
                      get_opt(socket, KEYS[key]).addr_family);
            for (i = 0; i < LEN(KNOWN); ++i) {
                CHECK_OK(V(socket)->set_opt(socket, KEYS[key],
                                            family_value(KNOWN[i])));
                CHECK_INT(KNOWN[i], get_opt(socket, KEYS[key]).addr_family);
            }
            CHECK_OK(V(socket)->set_opt(socket, KEYS[key],
                                        family_value(ANJAY_NET_AF_INET6)));
            for (i = 0; i < LEN(UNKNOWN); ++i) {
                CHECK_ERR(EINVAL, V(socket)->set_opt(socket, KEYS[key],
                                                     family_value(UNKNOWN[i])));
                CHECK_INT(ANJAY_NET_AF_INET6,
                          get_opt(socket, KEYS[key]).addr_family);
            }
            dispose(&socket);
        }
    }
}

TEST(families_come_from_the_configuration) {
    config_t config = default_config();
    sock_t *socket;
    config.address_family = ANJAY_NET_AF_INET4;
    config.preferred_family = ANJAY_NET_AF_INET6;
    socket = new_udp(&config);
    CHECK_INT(ANJAY_NET_AF_INET4, get_opt(socket, FORCED).addr_family);
    CHECK_INT(ANJAY_NET_AF_INET6, get_opt(socket, PREFERRED).addr_family);
    dispose(&socket);
}

TEST(forced_family_counts_from_the_next_resolution_on) {
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->set_opt(socket, FORCED,
                                family_value(ANJAY_NET_AF_INET4)));
    CHECK_OK(V(socket)->bind(socket, NULL, NULL));
    CHECK_STR("0.0.0.0", local_host(socket));
    CHECK_OK(V(socket)->set_opt(socket, FORCED,
                                family_value(ANJAY_NET_AF_INET6)));
    CHECK_STR("0.0.0.0", local_host(socket));
    CHECK_OK(V(socket)->close(socket));
    CHECK_OK(V(socket)->bind(socket, NULL, NULL));
    CHECK_STR("::", local_host(socket));
    CHECK_OK(V(socket)->close(socket));
    CHECK_OK(V(socket)->set_opt(socket, FORCED,
                                family_value(ANJAY_NET_AF_UNSPEC)));
    CHECK_OK(V(socket)->set_opt(socket, PREFERRED,
                                family_value(ANJAY_NET_AF_INET4)));
    CHECK_OK(V(socket)->bind(socket, NULL, NULL));
    CHECK_STR("0.0.0.0", local_host(socket));
    dispose(&socket);
}

#endif /* ANJAY_NET_AVS_COMMONS_4 */

TEST(tls_keys_and_unknown_keys_are_invalid) {
    static const int KEYS[] = { ANJAY_NET_SOCKET_OPT_SESSION_RESUMED,
                                ANJAY_NET_SOCKET_OPT_DANE_TLSA_ARRAY,
                                DTLS_TIMEOUTS,
                                CONNECTION_ID,
#ifdef ANJAY_NET_AVS_COMMONS_4
                                PREFERRED,
                                FORCED,
#endif
                                14, 15, 1000, -1, INT32_MAX, INT32_MIN };
    size_t type;
    size_t i;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        sock_t *socket = new_socket(BOTH_TYPES[type], NULL);
        for (i = 0; i < LEN(KEYS); ++i) {
            check_get_fails(ANJAY_NET_ERRNO_EINVAL, socket, KEYS[i]);
            check_set_is_invalid(socket, KEYS[i]);
        }
        CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
        for (i = 0; i < LEN(KEYS); ++i) {
            check_get_fails(ANJAY_NET_ERRNO_EINVAL, socket, KEYS[i]);
            check_set_is_invalid(socket, KEYS[i]);
        }
        dispose(&socket);
    }
}

TEST(get_writes_the_field_of_its_key_only) {
    static const struct {
        int key;
        size_t size;
    } FIELDS[] = { { STATE, sizeof(int) },       { ADDR_FAMILY, sizeof(int) },
                   { MTU, sizeof(int) },         { INNER_MTU, sizeof(int) },
                   { SENT, 8 },                  { RECEIVED, 8 },
                   { BUFFERED, sizeof(bool) },
#ifndef ANJAY_NET_AVS_COMMONS_4
                   { PREFERRED, sizeof(int) },   { FORCED, sizeof(int) },
#endif
                   { RECV_TIMEOUT, sizeof(anjay_net_duration_t) } };
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    size_t i;
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    for (i = 0; i < LEN(FIELDS); ++i) {
        unsigned char poison[sizeof(value_t)];
        value_t value;
        memset(poison, 0xA5, sizeof(poison));
        memcpy(&value, poison, sizeof(value));
        CHECK_OK(V(socket)->get_opt(socket, FIELDS[i].key, &value));
        CHECK_BYTES(poison + FIELDS[i].size,
                    (const unsigned char *) &value + FIELDS[i].size,
                    sizeof(value) - FIELDS[i].size);
    }
    dispose(&socket);
    peer_close(&peer);
}
