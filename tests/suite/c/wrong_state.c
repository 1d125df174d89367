/*
 * Calls in the wrong state: which code each gives, and that a refused or
 * failed call changes nothing.
 */

#include "fixture.h"

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

TEST_EACH_TYPE(bind_and_connect_are_refused_when_connected) {
    peer_t peer;
    sock_t *socket = connected_pair(type, &peer);
    check_refuses_new_address(socket);
    check_works(socket, &peer);
}

TEST_EACH_TYPE(bind_and_connect_are_refused_when_accepted) {
    peer_t peer;
    sock_t *socket = accepted_pair(type, &peer);
    check_refuses_new_address(socket);
    check_works(socket, &peer);
}

TEST_EACH_TYPE(bind_and_connect_are_refused_when_shut_down) {
    peer_t peer;
    sock_t *socket = connected_pair(type, &peer);
    CHECK_OK(V(socket)->shutdown(socket));
    check_refuses_new_address(socket);
}

TEST(bind_and_connect_are_refused_on_a_listening_tcp_socket) {
    sock_t *socket = listening_tcp("127.0.0.1", NULL);
    check_refuses_new_address(socket);
    peer_connected_to(socket, TCP, AF_INET);
}

TEST_EACH_TYPE(closed_socket_refuses_transfer) {
    sock_t *socket = new_socket(type, NULL);
    CHECK_ERR(EBADF, V(socket)->send(socket, "x", 1));
    CHECK_ERR(EBADF, V(socket)->send_to(socket, "x", 1, "127.0.0.1", "9"));
    CHECK_RECEIVE(EBADF, "", socket, 16);
    CHECK_RECEIVE_FROM(EBADF, "", NULL, socket, 16);
}

TEST_EACH_TYPE(closed_socket_refuses_information) {
    sock_t *socket = new_socket(type, NULL);
    char text[64];
    value_t value;
    for (int i = 0; i < GETTERS; ++i) {
        CHECK_ERR(EBADF, getter_of(socket, i)(socket, text, sizeof(text)));
    }
    CHECK_ERR(EBADF, V(socket)->get_interface_name(socket, text));
    CHECK_ERR(EBADF, V(socket)->get_opt(socket, ANJAY_NET_SOCKET_OPT_MTU, &value));
}

/* The reference turns a closed socket into one that is "shutdown". */
TEST_EACH_TYPE(shutdown_of_a_closed_socket_is_refused_and_leaves_it_closed) {
    sock_t *socket = new_socket(type, NULL);
    CHECK_ERR(EBADF, V(socket)->shutdown(socket));
    CHECK_STATE(CLOSED, socket);
    CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
}

/* The reference waits 30 s here. */
TEST(send_on_a_listening_tcp_socket_fails_at_once) {
    sock_t *socket = listening_tcp("127.0.0.1", NULL);
    int64_t start = now_us();
    CHECK_ERR(ENOTCONN, V(socket)->send(socket, "x", 1));
    CHECK_WAITED(start, 0, PROMPT);
    CHECK_STATE(BOUND, socket);
    CHECK_INT(0, bytes_sent(socket));
}

TEST(send_on_an_unconnected_udp_socket_wants_an_address) {
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    CHECK_ERR(EDESTADDRREQ, V(socket)->send(socket, "x", 1));
    CHECK_STATE(BOUND, socket);
}

TEST_EACH_TYPE(accept_needs_a_bound_socket) {
    config_t config = reuse_config();
    peer_t peer;
    sock_t *closed = new_socket(type, &config);
    sock_t *connected = connected_pair(type, &peer);
    sock_t *socket = new_socket(type, &config);
    CHECK_ERR(ENETDOWN, V(closed)->accept(closed, socket));
    CHECK_STATE(CLOSED, socket);
    CHECK_ERR(ENETDOWN, V(connected)->accept(connected, socket));
    CHECK_STATE(CONNECTED, connected);
    CHECK_STATE(CLOSED, socket);
}

TEST_EACH_TYPE(accept_needs_a_closed_target) {
    config_t config = reuse_config();
    peer_t peer;
    sock_t *server = bound_socket(type, "127.0.0.1", &config);
    sock_t *socket = connected_pair(type, &peer);
    CHECK_ERR(EISCONN, V(server)->accept(server, socket));
    CHECK_STATE(CONNECTED, socket);
    CHECK_STATE(BOUND, server);
    check_works(socket, &peer);
}

TEST_EACH_TYPE(accept_refuses_a_target_of_the_other_type) {
    config_t config = reuse_config();
    sock_t *server = bound_socket(type, "127.0.0.1", &config);
    sock_t *other = new_socket(type == TCP ? UDP : TCP, &config);
    CHECK_ERR(EINVAL, V(server)->accept(server, other));
    CHECK_STATE(CLOSED, other);
    CHECK_STATE(BOUND, server);
}

TEST_EACH_TYPE(decorate_is_not_supported) {
    sock_t *socket = new_socket(type, NULL);
    CHECK_ERR(ENOTSUP, V(socket)->decorate(socket, new_socket(type, NULL)));
    CHECK_STATE(CLOSED, socket);
}

/* The reference can leave a socket "bound" that has no descriptor. */
TEST_EACH_TYPE(failed_bind_leaves_the_socket_closed) {
    sock_t *other = bound_socket(type, "127.0.0.1", NULL);
    sock_t *socket = new_socket(type, NULL);
    const struct {
        unsigned code;
        const char *address;
        const char *port;
    } attempts[] = {
        { ANJAY_NET_ERRNO_EADDRINUSE, "127.0.0.1", local_port(other) },
        { ANJAY_NET_ERRNO_EADDRNOTAVAIL, "203.0.113.77", "0" },
        { ANJAY_NET_ERRNO_EADDRNOTAVAIL, "2001:db8::77", "0" },
        { ANJAY_NET_ERRNO_EINVAL, "127.0.0.1", "no port" },
    };
    for (size_t i = 0; i < LEN(attempts); ++i) {
        check_code(HERE "bind", attempts[i].code,
                V(socket)->bind(socket, attempts[i].address, attempts[i].port));
        CHECK_STATE(CLOSED, socket);
        CHECK_NO_DESCRIPTOR(socket);
    }
    CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
    CHECK_STATE(BOUND, socket);
}

TEST(failed_connect_leaves_the_socket_closed) {
    refused_t nobody = refused(SOCK_STREAM);
    sock_t *socket = new_tcp(NULL);
    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, nobody.host, nobody.port));
    CHECK_STATE(CLOSED, socket);
    CHECK_NO_DESCRIPTOR(socket);
    connect_to_peer(socket, TCP, AF_INET);
}
