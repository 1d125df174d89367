/*
 * Arguments that no correct caller passes: refused, never a crash. What a
 * memory checker sees while these run matters as much as the results.
 */

#include "fixture.h"

#include <stdlib.h>

TEST(no_place_for_the_new_socket) {
    config_t config = default_config();
    CHECK_ERR(EINVAL, _avs_net_create_tcp_socket(NULL, &config));
    CHECK_ERR(EINVAL, _avs_net_create_tcp_socket(NULL, NULL));
    CHECK_ERR(EINVAL, _avs_net_create_udp_socket(NULL, &config));
    CHECK_ERR(EINVAL, _avs_net_create_udp_socket(NULL, NULL));
}

/* The call fails with this code, and says that it received nothing. */
#define CHECK_RECEIVES_NOTHING(Code, Call) \
    do {                                   \
        size_t length = 99;                \
        CHECK_ERR(Code, Call);             \
        CHECK_INT(0, length);              \
    } while (0)

static char text[64];
static char port[16];

TEST_EACH_TYPE(null_socket) {
    sock_t *socket = new_socket(type, NULL);
    const anjay_net_socket_v_table_t *v = V(socket);
    value_t value = duration_value(0, 0);
    CHECK_ERR(EINVAL, v->connect(NULL, "127.0.0.1", "9"));
    CHECK_ERR(EINVAL, v->decorate(NULL, socket));
    CHECK_ERR(EINVAL, v->send(NULL, "x", 1));
    CHECK_ERR(EINVAL, v->send_to(NULL, "x", 1, "127.0.0.1", "9"));
    CHECK_RECEIVES_NOTHING(EINVAL, v->receive(NULL, &length, text, sizeof(text)));
    CHECK_RECEIVES_NOTHING(
            EINVAL, v->receive_from(NULL, &length, text, 64, text, 64, port, sizeof(port)));
    CHECK_ERR(EINVAL, v->bind(NULL, "127.0.0.1", "0"));
    CHECK_ERR(EINVAL, v->accept(NULL, socket));
    CHECK_ERR(EINVAL, v->close(NULL));
    CHECK_ERR(EINVAL, v->shutdown(NULL));
    CHECK_OK(v->cleanup(NULL));
    CHECK(v->get_system_socket(NULL) == NULL);
    CHECK_ERR(EINVAL, v->get_interface_name(NULL, text));
    for (int i = 0; i < GETTERS; ++i) {
        CHECK_ERR(EINVAL, getter_of(socket, i)(NULL, text, sizeof(text)));
    }
    CHECK_ERR(EINVAL, v->get_opt(NULL, ANJAY_NET_SOCKET_OPT_STATE, &value));
    CHECK_ERR(EINVAL, v->set_opt(NULL, ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT, value));
}

TEST_EACH_TYPE(null_output_of_information) {
    peer_t peer;
    sock_t *socket = connected_pair(type, &peer);
    CHECK_ERR(EINVAL, V(socket)->get_interface_name(socket, NULL));
    for (int i = 0; i < GETTERS; ++i) {
        CHECK_ERR(EINVAL, getter_of(socket, i)(socket, NULL, 64));
    }
    for (int key = -1; key <= 14; ++key) {
        CHECK_ERR(EINVAL, V(socket)->get_opt(socket, key, NULL));
    }
}

TEST_EACH_TYPE(null_buffer_with_a_length) {
    peer_t peer;
    sock_t *socket = connected_pair(type, &peer);
    CHECK_ERR(EFAULT, V(socket)->send(socket, NULL, 1));
    CHECK_ERR(EFAULT, V(socket)->send_to(socket, NULL, 1, "127.0.0.1", peer.port));
    CHECK_RECEIVES_NOTHING(EFAULT, V(socket)->receive(socket, &length, NULL, 8));
    CHECK_RECEIVES_NOTHING(EFAULT,
            V(socket)->receive_from(socket, &length, NULL, 8, text, 64, port, sizeof(port)));
    CHECK_INT(0, bytes_sent(socket));
    check_works(socket, &peer);
}

TEST_EACH_TYPE(null_output_of_receive) {
    peer_t peer;
    sock_t *socket = connected_pair(type, &peer);
    char buffer[8];
    set_timeout_us(socket, MS(20));
    CHECK_ERR(EINVAL, V(socket)->receive(socket, NULL, buffer, 8));
    CHECK_ERR(
            EINVAL, V(socket)->receive_from(socket, NULL, buffer, 8, text, 64, port, sizeof(port)));
    CHECK_RECEIVES_NOTHING(EINVAL,
            V(socket)->receive_from(socket, &length, buffer, 8, NULL, 64, port, sizeof(port)));
    CHECK_RECEIVES_NOTHING(EINVAL,
            V(socket)->receive_from(socket, &length, buffer, 8, text, 64, NULL, sizeof(port)));
}

TEST_EACH_TYPE(absurd_lengths) {
    static const size_t LENGTHS[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 1 };
    peer_t peer;
    sock_t *socket = connected_pair(type, &peer);
    for (size_t i = 0; i < LEN(LENGTHS); ++i) {
        size_t size = LENGTHS[i];
        char buffer[8];
        CHECK_ERR(EINVAL, V(socket)->send(socket, "x", size));
        CHECK_ERR(EINVAL, V(socket)->send_to(socket, "x", size, "127.0.0.1", peer.port));
        CHECK_RECEIVES_NOTHING(EINVAL, V(socket)->receive(socket, &length, buffer, size));
        CHECK_RECEIVES_NOTHING(EINVAL,
                V(socket)->receive_from(
                        socket, &length, buffer, size, text, 64, port, sizeof(port)));
    }
    CHECK_INT(0, bytes_sent(socket));
    check_works(socket, &peer);
}

/* Refused, or the text and nothing else is written. */
TEST_ROWS(absurd_lengths_of_text, int getter, GETTERS, row) {
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    char expected[64];
    CHECK_OK(getter_of(socket, getter)(socket, expected, sizeof(expected)));
    memset(text, 'x', sizeof(text));
    anjay_net_error_t error = getter_of(socket, getter)(socket, text, SIZE_MAX);
    CHECK_EITHER(EINVAL, NO_ERROR, error);
    if (error.code == 0) {
        CHECK_STR(expected, text);
        CHECK_INT('x', text[strlen(expected) + 1]);
    }
}

static anjay_net_error_t must_not_be_called(sock_t *socket) {
    (void) socket;
    FAIL("a method of another library's socket was called");
}

/* An object of another library: just the v-table pointer, so that a memory
   checker sees every read behind it. */
static sock_t *foreign_socket(anjay_net_socket_v_table_t *v) {
    sock_t *socket = (sock_t *) malloc(sizeof(sock_t));
    void (*method)(void) = (void (*)(void)) must_not_be_called;
    for (size_t i = 0; i < sizeof(*v) / sizeof(method); ++i) {
        memcpy((char *) v + i * sizeof(method), &method, sizeof(method));
    }
    socket->operations = v;
    defer(free, socket);
    return socket;
}

static sock_t *bound_server(int type) {
    config_t config = reuse_config();
    return bound_socket(type, "127.0.0.1", &config);
}

TEST_EACH_TYPE(accept_into_a_socket_of_another_library) {
    anjay_net_socket_v_table_t table;
    sock_t *foreign = foreign_socket(&table);
    sock_t *server = bound_server(type);
    CHECK_ERR(EINVAL, V(server)->accept(server, foreign));
    CHECK_STATE(BOUND, server);
    foreign->operations = NULL;
    CHECK_ERR(EINVAL, V(server)->accept(server, foreign));
    CHECK_STATE(BOUND, server);
}

/* A wrapper library may copy our v-table; the object behind is its own. */
TEST_EACH_TYPE(accept_into_a_socket_with_a_copy_of_the_v_table) {
    sock_t *server = bound_server(type);
    anjay_net_socket_v_table_t copy;
    sock_t *foreign = foreign_socket(&copy);
    copy = *V(server);
    CHECK_ERR(EINVAL, V(server)->accept(server, foreign));
    CHECK_STATE(BOUND, server);
}

TEST_EACH_TYPE(accept_into_nothing) {
    sock_t *server = bound_server(type);
    CHECK_ERR(EINVAL, V(server)->accept(server, NULL));
    CHECK_STATE(BOUND, server);
}

/* Refused without hanging on itself; as target it is not closed. */
TEST_EACH_TYPE(accept_into_itself) {
    config_t config = reuse_config();
    sock_t *server = new_socket(type, &config);
    CHECK(V(server)->accept(server, server).code != 0);
    CHECK_OK(V(server)->bind(server, "127.0.0.1", "0"));
    CHECK_EITHER(EINVAL, EISCONN, V(server)->accept(server, server));
    CHECK_STATE(BOUND, server);
}

TEST(decorate_with_anything) {
    anjay_net_socket_v_table_t table;
    sock_t *socket = new_udp(NULL);
    CHECK_ERR(ENOTSUP, V(socket)->decorate(socket, foreign_socket(&table)));
    CHECK_ERR(ENOTSUP, V(socket)->decorate(socket, socket));
    CHECK_EITHER(EINVAL, ENOTSUP, V(socket)->decorate(socket, NULL));
    CHECK_STATE(CLOSED, socket);
}

TEST(null_address_list) {
    endpoint_t endpoint;
    anjay_net_addrinfo_t *list = avs_net_addrinfo_resolve_ex(UDP, ANY, "127.0.0.1", "1", 0, NULL);
    CHECK(list != NULL);
    CHECK(avs_net_addrinfo_next(NULL, &endpoint) < 0);
    CHECK(avs_net_addrinfo_next(NULL, NULL) < 0);
    CHECK(avs_net_addrinfo_next(list, NULL) < 0);
    avs_net_addrinfo_rewind(NULL);
    avs_net_addrinfo_rewind(list);
    CHECK_INT(0, avs_net_addrinfo_next(list, &endpoint));
    avs_net_addrinfo_delete(NULL);
    avs_net_addrinfo_delete(&list);
}

TEST(null_endpoint) {
    CHECK_ERR(EINVAL,
            avs_net_resolved_endpoint_get_host_port(NULL, text, sizeof(text), port, sizeof(port)));
    CHECK_ERR(EINVAL, avs_net_resolved_endpoint_get_host_port(NULL, NULL, 0, NULL, 0));
}

TEST(texts_of_every_single_byte) {
    sock_t *socket = new_udp(NULL);
    for (int byte = 1; byte <= 255; ++byte) {
        const char byte_text[2] = { (char) byte, '\0' };
        anjay_net_error_t error = V(socket)->connect(socket, "127.0.0.1", byte_text);
        if (byte >= '0' && byte <= '9') {
            CHECK_OK(V(socket)->close(socket));
        } else {
            CHECK_ERR(EADDRNOTAVAIL, error);
            CHECK_ERR(EINVAL, V(socket)->bind(socket, "127.0.0.1", byte_text));
        }
        CHECK_STATE(CLOSED, socket);
    }
}

/* No method reads past the NUL: the strings end where their memory does. */
TEST(texts_are_read_to_their_end_only) {
    peer_t peer = peer_udp(AF_INET);
    char *own_host = strdup("127.0.0.1");
    char *own_port = strdup(peer.port);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->bind(socket, own_host, "0"));
    CHECK_OK(V(socket)->send_to(socket, "x", 1, own_host, own_port));
    CHECK_OK(V(socket)->connect(socket, own_host, own_port));
    free(own_host);
    free(own_port);
    CHECK_REMOTE("127.0.0.1", peer.port, socket);
}
