/*
 * Calls in the wrong state: which code each gives, and that a refused or
 * failed call changes nothing.
 */

#include "pair.h"

#include <unistd.h>

static const int BOTH_TYPES[] = { ANJAY_NET_SOCKET_TYPE_TCP,
                                  ANJAY_NET_SOCKET_TYPE_UDP };

/* bind and connect are refused, and the socket stays what it was. */
static void check_refuses_new_address(sock_t *socket) {
    int state = state_of(socket);
    int descriptor = descriptor_of(socket);
    const char *port = local_port(socket);
    CHECK_ERR(EISCONN, V(socket)->bind(socket, "127.0.0.1", "0"));
    CHECK_ERR(EISCONN, V(socket)->bind(socket, NULL, NULL));
    CHECK_ERR(EISCONN, V(socket)->connect(socket, "127.0.0.1", "9"));
    CHECK_INT(state, state_of(socket));
    CHECK_INT(descriptor, descriptor_of(socket));
    CHECK_STR(port, local_port(socket));
}

TEST(bind_and_connect_are_refused_when_connected) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        peer_t peer;
        sock_t *socket = connected_pair(BOTH_TYPES[i], &peer);
        check_refuses_new_address(socket);
        check_works(socket, &peer);
        peer_close(&peer);
        dispose(&socket);
    }
}

TEST(bind_and_connect_are_refused_when_accepted) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        peer_t peer;
        sock_t *socket = accepted_pair(BOTH_TYPES[i], &peer);
        check_refuses_new_address(socket);
        check_works(socket, &peer);
        peer_close(&peer);
        dispose(&socket);
    }
}

TEST(bind_and_connect_are_refused_when_shut_down) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        peer_t peer;
        sock_t *socket = connected_pair(BOTH_TYPES[i], &peer);
        CHECK_OK(V(socket)->shutdown(socket));
        check_refuses_new_address(socket);
        peer_close(&peer);
        dispose(&socket);
    }
}

TEST(bind_and_connect_are_refused_on_a_listening_tcp_socket) {
    sock_t *socket = listening_tcp("127.0.0.1", NULL);
    peer_t peer;
    check_refuses_new_address(socket);
    peer = peer_connect(AF_INET, SOCK_STREAM, local_port(socket));
    peer_close(&peer);
    dispose(&socket);
}

TEST(closed_socket_refuses_transfer) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        sock_t *socket = new_socket(BOTH_TYPES[i], NULL);
        char buffer[16];
        char host[64];
        char port[16];
        size_t length = 77;
        CHECK_ERR(EBADF, V(socket)->send(socket, "x", 1));
        CHECK_ERR(EBADF,
                  V(socket)->send_to(socket, "x", 1, "127.0.0.1", "9"));
        CHECK_ERR(EBADF,
                  V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
        CHECK_INT(0, length);
        length = 77;
        CHECK_ERR(EBADF, V(socket)->receive_from(
                                 socket, &length, buffer, sizeof(buffer), host,
                                 sizeof(host), port, sizeof(port)));
        CHECK_INT(0, length);
        dispose(&socket);
    }
}

TEST(closed_socket_refuses_information) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        sock_t *socket = new_socket(BOTH_TYPES[i], NULL);
        char text[64];
        value_t value;
        CHECK_ERR(EBADF, V(socket)->get_remote_host(socket, text, 64));
        CHECK_ERR(EBADF, V(socket)->get_remote_hostname(socket, text, 64));
        CHECK_ERR(EBADF, V(socket)->get_remote_port(socket, text, 64));
        CHECK_ERR(EBADF, V(socket)->get_local_host(socket, text, 64));
        CHECK_ERR(EBADF, V(socket)->get_local_port(socket, text, 64));
        CHECK_ERR(EBADF, V(socket)->get_interface_name(socket, text));
        CHECK_ERR(EBADF, V(socket)->get_opt(
                                 socket, ANJAY_NET_SOCKET_OPT_MTU, &value));
        dispose(&socket);
    }
}

/* The reference turns a closed socket into one that is "shutdown". */
TEST(shutdown_of_a_closed_socket_is_refused_and_leaves_it_closed) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        sock_t *socket = new_socket(BOTH_TYPES[i], NULL);
        CHECK_ERR(EBADF, V(socket)->shutdown(socket));
        CHECK_STATE(CLOSED, socket);
        CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
        dispose(&socket);
    }
}

/* The reference waits 30 s here. */
TEST(send_on_a_listening_tcp_socket_fails_at_once) {
    sock_t *socket = listening_tcp("127.0.0.1", NULL);
    int64_t start = now_us();
    CHECK_ERR(ENOTCONN, V(socket)->send(socket, "x", 1));
    CHECK_WAITED(start, 0, PROMPT);
    CHECK_STATE(BOUND, socket);
    CHECK_INT(0, bytes_sent(socket));
    dispose(&socket);
}

TEST(send_on_an_unconnected_udp_socket_wants_an_address) {
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    CHECK_ERR(EDESTADDRREQ, V(socket)->send(socket, "x", 1));
    CHECK_STATE(BOUND, socket);
    dispose(&socket);
}

TEST(accept_needs_a_bound_socket) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        config_t config = reuse_config();
        peer_t peer;
        sock_t *server = new_socket(BOTH_TYPES[i], &config);
        sock_t *socket = new_socket(BOTH_TYPES[i], &config);
        CHECK_ERR(ENETDOWN, V(server)->accept(server, socket));
        CHECK_STATE(CLOSED, socket);
        dispose(&server);

        server = connected_pair(BOTH_TYPES[i], &peer);
        CHECK_ERR(ENETDOWN, V(server)->accept(server, socket));
        CHECK_STATE(CONNECTED, server);
        CHECK_STATE(CLOSED, socket);
        peer_close(&peer);
        dispose(&server);
        dispose(&socket);
    }
}

TEST(accept_needs_a_closed_target) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        config_t config = reuse_config();
        peer_t peer;
        sock_t *server = new_socket(BOTH_TYPES[i], &config);
        sock_t *socket = connected_pair(BOTH_TYPES[i], &peer);
        CHECK_OK(V(server)->bind(server, "127.0.0.1", "0"));
        CHECK_ERR(EISCONN, V(server)->accept(server, socket));
        CHECK_STATE(CONNECTED, socket);
        CHECK_STATE(BOUND, server);
        check_works(socket, &peer);
        peer_close(&peer);
        dispose(&server);
        dispose(&socket);
    }
}

TEST(accept_refuses_a_target_of_the_other_type) {
    config_t config = reuse_config();
    sock_t *udp = bound_udp("127.0.0.1", &config);
    sock_t *tcp = listening_tcp("127.0.0.1", &config);
    sock_t *new_one = new_tcp(&config);
    CHECK_ERR(EINVAL, V(udp)->accept(udp, new_one));
    CHECK_STATE(CLOSED, new_one);
    dispose(&new_one);
    new_one = new_udp(&config);
    CHECK_ERR(EINVAL, V(tcp)->accept(tcp, new_one));
    CHECK_STATE(CLOSED, new_one);
    CHECK_STATE(BOUND, tcp);
    CHECK_STATE(BOUND, udp);
    dispose(&new_one);
    dispose(&tcp);
    dispose(&udp);
}

TEST(decorate_is_not_supported) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        sock_t *socket = new_socket(BOTH_TYPES[i], NULL);
        sock_t *backend = new_socket(BOTH_TYPES[i], NULL);
        CHECK_ERR(ENOTSUP, V(socket)->decorate(socket, backend));
        CHECK_STATE(CLOSED, socket);
        dispose(&backend);
        dispose(&socket);
    }
}

/* The reference can leave a socket "bound" that has no descriptor. */
TEST(failed_bind_leaves_the_socket_closed) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        sock_t *other = new_socket(BOTH_TYPES[i], NULL);
        sock_t *socket = new_socket(BOTH_TYPES[i], NULL);
        size_t attempt;
        const char *taken;
        CHECK_OK(V(other)->bind(other, "127.0.0.1", "0"));
        taken = local_port(other);
        for (attempt = 0; attempt < 4; ++attempt) {
            switch (attempt) {
            case 0:
                CHECK_ERR(EADDRINUSE,
                          V(socket)->bind(socket, "127.0.0.1", taken));
                break;
            case 1:
                CHECK_ERR(EADDRNOTAVAIL,
                          V(socket)->bind(socket, "203.0.113.77", "0"));
                break;
            case 2:
                CHECK_ERR(EADDRNOTAVAIL,
                          V(socket)->bind(socket, "2001:db8::77", "0"));
                break;
            default:
                CHECK_ERR(EINVAL,
                          V(socket)->bind(socket, "127.0.0.1", "no port"));
            }
            CHECK_STATE(CLOSED, socket);
            CHECK(V(socket)->get_system_socket(socket) == NULL);
        }
        CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
        CHECK_STATE(BOUND, socket);
        dispose(&socket);
        dispose(&other);
    }
}

TEST(failed_connect_leaves_the_socket_closed) {
    char host[16];
    char port[8];
    int keeper = refused_endpoint(SOCK_STREAM, host, port);
    sock_t *socket = new_tcp(NULL);
    peer_t listener = peer_listen(AF_INET);
    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, host, port));
    CHECK_STATE(CLOSED, socket);
    CHECK(V(socket)->get_system_socket(socket) == NULL);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", listener.port));
    dispose(&socket);
    peer_close(&listener);
    SYS(close(keeper));
}
