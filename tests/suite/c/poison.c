/*
 * What is behind a buffer's end, and what is in a buffer that nothing was
 * written to, stays as it was: no byte more than was reported is written, and
 * nothing that nobody initialised. Buffers are poisoned before every call.
 */

#include "fixture.h"

#include <netinet/in.h>
#include <poll.h>

#define POISON 0xA5

enum { ROOM = 128 };

static unsigned char buffer[ROOM];
static char host[ROOM];
static char port[ROOM];

static void poison(void) {
    memset(buffer, POISON, ROOM);
    memset(host, POISON, ROOM);
    memset(port, POISON, ROOM);
}

/* The first `written` bytes may be anything. */
static void check_untouched(const void *bytes, size_t written) {
    for (size_t i = written; i < ROOM; ++i) {
        if (((const unsigned char *) bytes)[i] != POISON) {
            FAIL("byte %d is written, of %d", (int) i, (int) written);
        }
    }
}

/* Text and its NUL, or nothing. */
static void check_text(const char *text, anjay_net_error_t error) {
    CHECK_EITHER(NO_ERROR, ERANGE, error);
    check_untouched(text, error.code ? 0 : strlen(text) + 1);
}

TEST_EACH_TYPE(receive_writes_what_it_reports) {
    peer_t peer;
    sock_t *socket = connected_pair(type, &peer);
    for (size_t size = 1; size <= 40; ++size) {
        size_t length = 99;
        poison();
        peer_say(&peer, socket, "twenty bytes of text");
        CHECK(wait_for(descriptor_of(socket), POLLIN, 10000));
        anjay_net_error_t error = V(socket)->receive(socket, &length, buffer, size);
        if (type == UDP && size < 20) {
            CHECK_ERR(EMSGSIZE, error);
            CHECK_INT(size, length);
        } else {
            CHECK_OK(error);
            CHECK(length <= size);
        }
        check_untouched(buffer, length);
    }
}

TEST_EACH_TYPE(receive_that_fails_writes_nothing) {
    peer_t peer;
    sock_t *socket = connected_pair(type, &peer);
    set_timeout_us(socket, 0);
    CHECK_RECEIVE(ETIMEDOUT, "", socket, ROOM);
    CHECK_RECEIVE_FROM(ETIMEDOUT, "", NULL, socket, ROOM);
}

TEST(sender_text_is_all_that_is_written_of_a_sender) {
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    for (size_t size = 0; size <= 20; ++size) {
        bool host_fits = size > strlen("127.0.0.1");
        bool port_fits = size > strlen(peer.port);
        size_t length = 99;
        poison();
        peer_say(&peer, socket, "four");
        anjay_net_error_t error =
                V(socket)->receive_from(socket, &length, buffer, ROOM, host, size, port, size);
        check_code(HERE "receive_from", host_fits ? 0 : ANJAY_NET_ERRNO_ERANGE, error);
        CHECK_INT(4, length);
        check_untouched(buffer, 4);
        check_untouched(host, host_fits ? 10 : 0);
        check_untouched(port, port_fits ? strlen(peer.port) + 1 : 0);
    }
}

TEST(information_is_its_text_and_no_more) {
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    for (int i = 0; i < GETTERS; ++i) {
        for (size_t size = 0; size < 20; ++size) {
            poison();
            check_text(host, getter_of(socket, i)(socket, host, size));
        }
    }
    poison();
    CHECK_OK(V(socket)->get_interface_name(socket, host));
    check_text(host, V(socket)->get_interface_name(socket, host));
}

/* All of it, whatever was there before: what is behind the address is zero. */
static void check_filled(const endpoint_t *endpoint, size_t size) {
    static const char ZEROS[sizeof(endpoint->data.buf)];
    CHECK_INT(size, endpoint->size);
    CHECK_BYTES(ZEROS, endpoint->data.buf + size, sizeof(ZEROS) - size);
    if (size == sizeof(struct sockaddr_in)) {
        struct sockaddr_in address;
        memcpy(&address, endpoint->data.buf, sizeof(address));
        CHECK_BYTES(ZEROS, address.sin_zero, sizeof(address.sin_zero));
    }
}

TEST(endpoints_are_filled_to_their_end) {
    endpoint_t endpoint;
    config_t config = config_with(&endpoint);
    sock_t *socket = new_udp(&config);
    memset(&endpoint, POISON, sizeof(endpoint));
    connect_to_peer(socket, UDP, AF_INET);
    check_filled(&endpoint, sizeof(struct sockaddr_in));
    CHECK_OK(V(socket)->close(socket));
    memset(&endpoint, POISON, sizeof(endpoint));
    connect_to_peer(socket, UDP, AF_INET6);
    check_filled(&endpoint, sizeof(struct sockaddr_in6));

    anjay_net_addrinfo_t *list = avs_net_addrinfo_resolve_ex(
            UDP, ANY, NULL, "1", ANJAY_NET_ADDRINFO_RESOLVE_F_PASSIVE, NULL);
    memset(&endpoint, POISON, sizeof(endpoint));
    CHECK_INT(0, avs_net_addrinfo_next(list, &endpoint));
    check_filled(&endpoint, sizeof(struct sockaddr_in6));
    memset(&endpoint, POISON, sizeof(endpoint));
    CHECK_INT(0, avs_net_addrinfo_next(list, &endpoint));
    check_filled(&endpoint, sizeof(struct sockaddr_in));
    /* The end of the list. */
    memset(&endpoint, POISON, sizeof(endpoint));
    CHECK_INT(1, avs_net_addrinfo_next(list, &endpoint));
    CHECK_INT(POISON, endpoint.size);
    avs_net_addrinfo_delete(&list);
}

/* However long it says it is, and whatever is in it. */
TEST_ROWS(stored_endpoints_are_not_trusted, int size, 256, row) {
    for (uint16_t family = 0; family <= 20; ++family) {
        endpoint_t endpoint;
        memset(&endpoint, POISON, sizeof(endpoint));
        endpoint.size = (uint8_t) size;
        memcpy(endpoint.data.buf, &family, sizeof(family));
        poison();
        anjay_net_error_t error =
                avs_net_resolved_endpoint_get_host_port(&endpoint, host, 64, port, 8);
        if (error.code) {
            CHECK_ERR(EINVAL, error);
            check_untouched(host, 0);
            check_untouched(port, 0);
        } else {
            CHECK(family == AF_INET || family == AF_INET6);
            check_text(host, error);
            check_text(port, error);
        }
    }
}
