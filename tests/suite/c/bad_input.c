/*
 * Arguments that no correct caller passes: refused, never a crash. What a
 * memory checker sees while these run matters as much as the results.
 */

#include "pair.h"

#include <stdlib.h>

static const int BOTH_TYPES[] = { ANJAY_NET_SOCKET_TYPE_TCP,
                                  ANJAY_NET_SOCKET_TYPE_UDP };

TEST(no_place_for_the_new_socket) {
    config_t config = default_config();
    CHECK_ERR(EINVAL, _avs_net_create_tcp_socket(NULL, &config));
    CHECK_ERR(EINVAL, _avs_net_create_tcp_socket(NULL, NULL));
    CHECK_ERR(EINVAL, _avs_net_create_udp_socket(NULL, &config));
    CHECK_ERR(EINVAL, _avs_net_create_udp_socket(NULL, NULL));
}

TEST(null_socket) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        sock_t *socket = new_socket(BOTH_TYPES[i], NULL);
        const anjay_net_socket_v_table_t *v = V(socket);
        char text[64];
        char port[16];
        size_t length = 99;
        value_t value;
        memset(&value, 0, sizeof(value));
        CHECK_ERR(EINVAL, v->connect(NULL, "127.0.0.1", "9"));
        CHECK_ERR(EINVAL, v->decorate(NULL, socket));
        CHECK_ERR(EINVAL, v->send(NULL, "x", 1));
        CHECK_ERR(EINVAL, v->send_to(NULL, "x", 1, "127.0.0.1", "9"));
        CHECK_ERR(EINVAL, v->receive(NULL, &length, text, sizeof(text)));
        CHECK_INT(0, length);
        length = 99;
        CHECK_ERR(EINVAL, v->receive_from(NULL, &length, text, sizeof(text),
                                          text, sizeof(text), port,
                                          sizeof(port)));
        CHECK_INT(0, length);
        CHECK_ERR(EINVAL, v->bind(NULL, "127.0.0.1", "0"));
        CHECK_ERR(EINVAL, v->accept(NULL, socket));
        CHECK_ERR(EINVAL, v->close(NULL));
        CHECK_ERR(EINVAL, v->shutdown(NULL));
        CHECK_OK(v->cleanup(NULL));
        CHECK(v->get_system_socket(NULL) == NULL);
        CHECK_ERR(EINVAL, v->get_interface_name(NULL, text));
        CHECK_ERR(EINVAL, v->get_remote_host(NULL, text, sizeof(text)));
        CHECK_ERR(EINVAL, v->get_remote_hostname(NULL, text, sizeof(text)));
        CHECK_ERR(EINVAL, v->get_remote_port(NULL, text, sizeof(text)));
        CHECK_ERR(EINVAL, v->get_local_host(NULL, text, sizeof(text)));
        CHECK_ERR(EINVAL, v->get_local_port(NULL, text, sizeof(text)));
        CHECK_ERR(EINVAL,
                  v->get_opt(NULL, ANJAY_NET_SOCKET_OPT_STATE, &value));
        CHECK_ERR(EINVAL,
                  v->set_opt(NULL, ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT, value));
        dispose(&socket);
    }
}

TEST(null_output_of_information) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        peer_t peer;
        sock_t *socket = connected_pair(BOTH_TYPES[i], &peer);
        int key;
        CHECK_ERR(EINVAL, V(socket)->get_interface_name(socket, NULL));
        CHECK_ERR(EINVAL, V(socket)->get_remote_host(socket, NULL, 64));
        CHECK_ERR(EINVAL, V(socket)->get_remote_hostname(socket, NULL, 64));
        CHECK_ERR(EINVAL, V(socket)->get_remote_port(socket, NULL, 64));
        CHECK_ERR(EINVAL, V(socket)->get_local_host(socket, NULL, 64));
        CHECK_ERR(EINVAL, V(socket)->get_local_port(socket, NULL, 64));
        for (key = -1; key <= 14; ++key) {
            CHECK_ERR(EINVAL, V(socket)->get_opt(socket, key, NULL));
        }
        dispose(&socket);
        peer_close(&peer);
    }
}

TEST(null_buffer_with_a_length) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        peer_t peer;
        sock_t *socket = connected_pair(BOTH_TYPES[i], &peer);
        char host[64];
        char port[16];
        size_t length = 99;
        CHECK_ERR(EFAULT, V(socket)->send(socket, NULL, 1));
        CHECK_ERR(EFAULT,
                  V(socket)->send_to(socket, NULL, 1, "127.0.0.1", peer.port));
        CHECK_ERR(EFAULT, V(socket)->receive(socket, &length, NULL, 8));
        CHECK_INT(0, length);
        length = 99;
        CHECK_ERR(EFAULT, V(socket)->receive_from(
                                  socket, &length, NULL, 8, host, sizeof(host),
                                  port, sizeof(port)));
        CHECK_INT(0, length);
        CHECK_INT(0, bytes_sent(socket));
        send_text(socket, "fine");
        peer_expect(&peer, "fine");
        dispose(&socket);
        peer_close(&peer);
    }
}

TEST(null_output_of_receive) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        peer_t peer;
        sock_t *socket = connected_pair(BOTH_TYPES[i], &peer);
        char buffer[8];
        char host[64];
        char port[16];
        size_t length = 99;
        set_timeout_us(socket, MS(20));
        CHECK_ERR(EINVAL, V(socket)->receive(socket, NULL, buffer, 8));
        CHECK_ERR(EINVAL,
                  V(socket)->receive_from(socket, NULL, buffer, 8, host,
                                          sizeof(host), port, sizeof(port)));
        CHECK_ERR(EINVAL,
                  V(socket)->receive_from(socket, &length, buffer, 8, NULL,
                                          sizeof(host), port, sizeof(port)));
        CHECK_INT(0, length);
        length = 99;
        CHECK_ERR(EINVAL,
                  V(socket)->receive_from(socket, &length, buffer, 8, host,
                                          sizeof(host), NULL, sizeof(port)));
        CHECK_INT(0, length);
        dispose(&socket);
        peer_close(&peer);
    }
}

TEST(absurd_lengths) {
    static const size_t LENGTHS[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 1 };
    size_t i;
    size_t length_index;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        peer_t peer;
        sock_t *socket = connected_pair(BOTH_TYPES[i], &peer);
        for (length_index = 0; length_index < LEN(LENGTHS); ++length_index) {
            size_t size = LENGTHS[length_index];
            char buffer[8];
            char host[64];
            char port[16];
            size_t length = 99;
            CHECK_ERR(EINVAL, V(socket)->send(socket, "x", size));
            CHECK_ERR(EINVAL, V(socket)->send_to(socket, "x", size, "127.0.0.1",
                                                 peer.port));
            CHECK_ERR(EINVAL, V(socket)->receive(socket, &length, buffer, size));
            CHECK_INT(0, length);
            length = 99;
            CHECK_ERR(EINVAL, V(socket)->receive_from(
                                      socket, &length, buffer, size, host,
                                      sizeof(host), port, sizeof(port)));
            CHECK_INT(0, length);
        }
        CHECK_INT(0, bytes_sent(socket));
        send_text(socket, "fine");
        peer_expect(&peer, "fine");
        dispose(&socket);
        peer_close(&peer);
    }
}

typedef anjay_net_error_t (*getter_t)(sock_t *, char *, size_t);

/* Refused, or the text and nothing else is written. */
TEST(absurd_lengths_of_text) {
    peer_t peer;
    sock_t *socket = connected_pair(ANJAY_NET_SOCKET_TYPE_UDP, &peer);
    getter_t getters[5];
    size_t i;
    getters[0] = V(socket)->get_remote_host;
    getters[1] = V(socket)->get_remote_hostname;
    getters[2] = V(socket)->get_remote_port;
    getters[3] = V(socket)->get_local_host;
    getters[4] = V(socket)->get_local_port;
    for (i = 0; i < LEN(getters); ++i) {
        char text[64];
        char expected[64];
        anjay_net_error_t error;
        CHECK_OK(getters[i](socket, expected, sizeof(expected)));
        memset(text, 'x', sizeof(text));
        error = getters[i](socket, text, SIZE_MAX);
        if (error.code != 0) {
            CHECK_ERR(EINVAL, error);
        } else {
            CHECK_STR(expected, text);
            CHECK_INT('x', text[strlen(expected) + 1]);
        }
    }
    dispose(&socket);
    peer_close(&peer);
}

static anjay_net_error_t must_not_be_called(sock_t *socket) {
    (void) socket;
    FAIL("%s", "a method of another library's socket was called");
}

/* An object of another library: just the v-table pointer, so that a memory
   checker sees every read behind it. */
static sock_t *foreign_socket(anjay_net_socket_v_table_t *v) {
    sock_t *socket = (sock_t *) malloc(sizeof(sock_t));
    void (*method)(void) = (void (*)(void)) must_not_be_called;
    size_t i;
    for (i = 0; i < sizeof(*v) / sizeof(method); ++i) {
        memcpy((char *) v + i * sizeof(method), &method, sizeof(method));
    }
    socket->operations = v;
    return socket;
}

TEST(accept_into_a_socket_of_another_library) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        config_t config = reuse_config();
        anjay_net_socket_v_table_t table;
        sock_t *foreign = foreign_socket(&table);
        sock_t *server = new_socket(BOTH_TYPES[i], &config);
        CHECK_OK(V(server)->bind(server, "127.0.0.1", "0"));
        CHECK_ERR(EINVAL, V(server)->accept(server, foreign));
        CHECK_STATE(BOUND, server);
        foreign->operations = NULL;
        CHECK_ERR(EINVAL, V(server)->accept(server, foreign));
        CHECK_STATE(BOUND, server);
        free(foreign);
        dispose(&server);
    }
}

/* A wrapper library may copy our v-table; the object behind is its own. */
TEST(accept_into_a_socket_with_a_copy_of_the_v_table) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        config_t config = reuse_config();
        sock_t *server = new_socket(BOTH_TYPES[i], &config);
        anjay_net_socket_v_table_t copy = *V(server);
        sock_t *foreign = foreign_socket(&copy);
        copy = *V(server);
        CHECK_OK(V(server)->bind(server, "127.0.0.1", "0"));
        CHECK_ERR(EINVAL, V(server)->accept(server, foreign));
        CHECK_STATE(BOUND, server);
        free(foreign);
        dispose(&server);
    }
}

TEST(accept_into_nothing) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        config_t config = reuse_config();
        sock_t *server = new_socket(BOTH_TYPES[i], &config);
        CHECK_OK(V(server)->bind(server, "127.0.0.1", "0"));
        CHECK_ERR(EINVAL, V(server)->accept(server, NULL));
        CHECK_STATE(BOUND, server);
        dispose(&server);
    }
}

/* Refused without hanging on itself; as target it is not closed. */
TEST(accept_into_itself) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        config_t config = reuse_config();
        sock_t *server = new_socket(BOTH_TYPES[i], &config);
        anjay_net_error_t error;
        CHECK(V(server)->accept(server, server).code != 0);
        CHECK_OK(V(server)->bind(server, "127.0.0.1", "0"));
        error = V(server)->accept(server, server);
        if (error.code != ANJAY_NET_ERRNO_EINVAL) {
            CHECK_ERR(EISCONN, error);
        }
        CHECK_STATE(BOUND, server);
        dispose(&server);
    }
}

TEST(decorate_with_anything) {
    anjay_net_socket_v_table_t table;
    sock_t *foreign = foreign_socket(&table);
    sock_t *socket = new_udp(NULL);
    anjay_net_error_t error;
    CHECK_ERR(ENOTSUP, V(socket)->decorate(socket, foreign));
    CHECK_ERR(ENOTSUP, V(socket)->decorate(socket, socket));
    error = V(socket)->decorate(socket, NULL);
    if (error.code != ANJAY_NET_ERRNO_EINVAL) {
        CHECK_ERR(ENOTSUP, error);
    }
    CHECK_STATE(CLOSED, socket);
    free(foreign);
    dispose(&socket);
}

TEST(null_address_list) {
    anjay_net_resolved_endpoint_t endpoint;
    anjay_net_addrinfo_t *list = avs_net_addrinfo_resolve_ex(
            ANJAY_NET_SOCKET_TYPE_UDP, ANJAY_NET_AF_UNSPEC, "127.0.0.1", "1", 0,
            NULL);
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
    char host[64];
    char port[16];
    CHECK_ERR(EINVAL,
              avs_net_resolved_endpoint_get_host_port(
                      NULL, host, sizeof(host), port, sizeof(port)));
    CHECK_ERR(EINVAL,
              avs_net_resolved_endpoint_get_host_port(NULL, NULL, 0, NULL, 0));
}

TEST(texts_of_every_single_byte) {
    sock_t *socket = new_udp(NULL);
    int byte;
    for (byte = 1; byte <= 255; ++byte) {
        char text[2];
        bool digit = byte >= '0' && byte <= '9';
        anjay_net_error_t error;
        text[0] = (char) byte;
        text[1] = '\0';
        error = V(socket)->connect(socket, "127.0.0.1", text);
        if (digit) {
            CHECK_OK(V(socket)->close(socket));
        } else {
            CHECK_ERR(EADDRNOTAVAIL, error);
            CHECK_ERR(EINVAL, V(socket)->bind(socket, "127.0.0.1", text));
        }
        CHECK_STATE(CLOSED, socket);
    }
    dispose(&socket);
}

/* No method reads past the NUL: the strings end where their memory does. */
TEST(texts_are_read_to_their_end_only) {
    peer_t peer = peer_udp(AF_INET);
    char *host = strdup("127.0.0.1");
    char *port = strdup(peer.port);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->bind(socket, host, "0"));
    CHECK_OK(V(socket)->send_to(socket, "x", 1, host, port));
    CHECK_OK(V(socket)->connect(socket, host, port));
    free(host);
    free(port);
    CHECK_STR(peer.port, remote_port(socket));
    CHECK_STR("127.0.0.1", remote_host(socket));
    dispose(&socket);
    peer_close(&peer);
}
