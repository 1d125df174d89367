/*
 * What is behind a buffer's end, and what is in a buffer that nothing was
 * written to, stays as it was: no byte more than was reported is written, and
 * nothing that nobody initialised. Buffers are poisoned before every call.
 */

#include "pair.h"

#include <netinet/in.h>
#include <poll.h>

#define POISON 0xA5

enum { ROOM = 128 };

typedef struct {
    unsigned char bytes[ROOM];
} buffer_t;

static void poison(buffer_t *buffer) {
    memset(buffer->bytes, POISON, ROOM);
}

/* The first `written` bytes may be anything. */
static void check_untouched(const buffer_t *buffer, size_t written) {
    size_t i;
    for (i = written; i < ROOM; ++i) {
        if (buffer->bytes[i] != POISON) {
            FAIL("byte %d is written, of %d", (int) i, (int) written);
        }
    }
}

/* Text and its NUL, or nothing. */
static void check_text(const buffer_t *buffer, anjay_net_error_t error) {
    if (error.code) {
        CHECK_ERR(ERANGE, error);
        check_untouched(buffer, 0);
    } else {
        check_untouched(buffer, strlen((const char *) buffer->bytes) + 1);
    }
}

static const int BOTH_TYPES[] = { ANJAY_NET_SOCKET_TYPE_TCP,
                                  ANJAY_NET_SOCKET_TYPE_UDP };

TEST(receive_writes_what_it_reports) {
    size_t type;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        peer_t peer;
        sock_t *socket = connected_pair(BOTH_TYPES[type], &peer);
        bool udp = BOTH_TYPES[type] == ANJAY_NET_SOCKET_TYPE_UDP;
        size_t size;
        for (size = 1; size <= 40; ++size) {
            buffer_t buffer;
            size_t length = 99;
            anjay_net_error_t error;
            poison(&buffer);
            if (udp) {
                peer_send_to(&peer, local_port(socket), "twenty bytes of text",
                             20);
            } else {
                SYS(send(peer.fd, "twenty bytes of text", 20, 0));
                CHECK(wait_for(descriptor_of(socket), POLLIN, 10000));
            }
            error = V(socket)->receive(socket, &length, buffer.bytes, size);
            if (udp && size < 20) {
                CHECK_ERR(EMSGSIZE, error);
                CHECK_INT(size, length);
            } else {
                CHECK_OK(error);
                CHECK(length <= size);
            }
            check_untouched(&buffer, length);
        }
        dispose(&socket);
        peer_close(&peer);
    }
}

TEST(receive_that_fails_writes_nothing) {
    size_t type;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        peer_t peer;
        sock_t *socket = connected_pair(BOTH_TYPES[type], &peer);
        buffer_t buffer;
        buffer_t host;
        buffer_t port;
        size_t length = 99;
        poison(&buffer);
        poison(&host);
        poison(&port);
        set_timeout_us(socket, 0);
        CHECK_ERR(ETIMEDOUT,
                  V(socket)->receive(socket, &length, buffer.bytes, ROOM));
        CHECK_INT(0, length);
        CHECK_ERR(ETIMEDOUT,
                  V(socket)->receive_from(socket, &length, buffer.bytes, ROOM,
                                          (char *) host.bytes, ROOM,
                                          (char *) port.bytes, ROOM));
        CHECK_INT(0, length);
        check_untouched(&buffer, 0);
        check_untouched(&host, 0);
        check_untouched(&port, 0);
        dispose(&socket);
        peer_close(&peer);
    }
}

TEST(sender_text_is_all_that_is_written_of_a_sender) {
    peer_t peer;
    sock_t *socket = connected_pair(ANJAY_NET_SOCKET_TYPE_UDP, &peer);
    size_t size;
    for (size = 0; size <= 20; ++size) {
        buffer_t buffer;
        buffer_t host;
        buffer_t port;
        size_t length = 99;
        anjay_net_error_t error;
        poison(&buffer);
        poison(&host);
        poison(&port);
        peer_send_to(&peer, local_port(socket), "four", 4);
        error = V(socket)->receive_from(socket, &length, buffer.bytes, ROOM,
                                        (char *) host.bytes, size,
                                        (char *) port.bytes, size);
        if (size > strlen("127.0.0.1")) {
            CHECK_OK(error);
        } else {
            CHECK_ERR(ERANGE, error);
        }
        CHECK_INT(4, length);
        check_untouched(&buffer, 4);
        check_untouched(&host, size > strlen("127.0.0.1") ? 10 : 0);
        check_untouched(&port, size > strlen(peer.port) ? strlen(peer.port) + 1 : 0);
    }
    dispose(&socket);
    peer_close(&peer);
}

typedef anjay_net_error_t (*getter_t)(sock_t *, char *, size_t);

TEST(information_is_its_text_and_no_more) {
    peer_t peer;
    sock_t *socket = connected_pair(ANJAY_NET_SOCKET_TYPE_UDP, &peer);
    getter_t getters[5];
    buffer_t buffer;
    size_t i;
    size_t size;
    getters[0] = V(socket)->get_remote_host;
    getters[1] = V(socket)->get_remote_hostname;
    getters[2] = V(socket)->get_remote_port;
    getters[3] = V(socket)->get_local_host;
    getters[4] = V(socket)->get_local_port;
    for (i = 0; i < LEN(getters); ++i) {
        for (size = 0; size < 20; ++size) {
            poison(&buffer);
            check_text(&buffer,
                       getters[i](socket, (char *) buffer.bytes, size));
        }
    }
    poison(&buffer);
    CHECK_OK(V(socket)->get_interface_name(socket, (char *) buffer.bytes));
    check_text(&buffer, V(socket)->get_interface_name(socket,
                                                      (char *) buffer.bytes));
    dispose(&socket);
    peer_close(&peer);
}

/* All of it, whatever was there before: what is behind the address is zero. */
static void check_filled(const endpoint_t *endpoint, size_t size) {
    size_t i;
    CHECK_INT(size, endpoint->size);
    for (i = size; i < sizeof(endpoint->data.buf); ++i) {
        CHECK_INT(0, endpoint->data.buf[i]);
    }
}

static void check_sockaddr_in(const endpoint_t *endpoint) {
    struct sockaddr_in address;
    static const char ZEROS[sizeof(address.sin_zero)];
    check_filled(endpoint, sizeof(address));
    memcpy(&address, endpoint->data.buf, sizeof(address));
    CHECK_BYTES(ZEROS, address.sin_zero, sizeof(ZEROS));
}

TEST(endpoints_are_filled_to_their_end) {
    endpoint_t endpoint;
    config_t config = default_config();
    peer_t v4 = peer_udp(AF_INET);
    peer_t v6 = peer_udp(AF_INET6);
    anjay_net_addrinfo_t *list;
    sock_t *socket;
    config.preferred_endpoint = &endpoint;
    socket = new_udp(&config);
    memset(&endpoint, POISON, sizeof(endpoint));
    CHECK_OK(V(socket)->connect(socket, v4.host, v4.port));
    check_sockaddr_in(&endpoint);
    CHECK_OK(V(socket)->close(socket));
    memset(&endpoint, POISON, sizeof(endpoint));
    CHECK_OK(V(socket)->connect(socket, v6.host, v6.port));
    check_filled(&endpoint, sizeof(struct sockaddr_in6));
    dispose(&socket);

    list = avs_net_addrinfo_resolve_ex(ANJAY_NET_SOCKET_TYPE_UDP,
                                       ANJAY_NET_AF_UNSPEC, NULL, "1",
                                       ANJAY_NET_ADDRINFO_RESOLVE_F_PASSIVE, NULL);
    memset(&endpoint, POISON, sizeof(endpoint));
    CHECK_INT(0, avs_net_addrinfo_next(list, &endpoint));
    check_filled(&endpoint, sizeof(struct sockaddr_in6));
    memset(&endpoint, POISON, sizeof(endpoint));
    CHECK_INT(0, avs_net_addrinfo_next(list, &endpoint));
    check_sockaddr_in(&endpoint);
    /* The end of the list. */
    memset(&endpoint, POISON, sizeof(endpoint));
    CHECK_INT(1, avs_net_addrinfo_next(list, &endpoint));
    CHECK_INT(POISON, endpoint.size);
    avs_net_addrinfo_delete(&list);
    peer_close(&v4);
    peer_close(&v6);
}

/* However long it says it is, and whatever is in it. */
TEST(stored_endpoints_are_not_trusted) {
    int size;
    int family;
    for (size = 0; size <= 255; ++size) {
        for (family = 0; family <= 20; ++family) {
            endpoint_t endpoint;
            buffer_t host;
            buffer_t port;
            uint16_t code = (uint16_t) family;
            anjay_net_error_t error;
            memset(&endpoint, POISON, sizeof(endpoint));
            endpoint.size = (uint8_t) size;
            memcpy(endpoint.data.buf, &code, sizeof(code));
            poison(&host);
            poison(&port);
            error = avs_net_resolved_endpoint_get_host_port(
                    &endpoint, (char *) host.bytes, 64, (char *) port.bytes, 8);
            if (error.code) {
                CHECK_ERR(EINVAL, error);
                check_untouched(&host, 0);
                check_untouched(&port, 0);
            } else {
                CHECK(family == AF_INET || family == AF_INET6);
                check_text(&host, error);
                check_text(&port, error);
            }
        }
    }
}
