/*
 * Which calls are allowed in which state, what the others return, and that a
 * refused call changes nothing.
 */

#include "peer.h"
#include "sock.h"

#include <unistd.h>

static const int BOTH_TYPES[] = { ANJAY_NET_SOCKET_TYPE_TCP,
                                  ANJAY_NET_SOCKET_TYPE_UDP };

/* A TCP socket connected to a plain peer, and that peer. */
static sock_t *connected_tcp(peer_t *peer) {
    peer_t listener = peer_listen(AF_INET);
    sock_t *socket = new_tcp(NULL);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", listener.port));
    *peer = peer_accept(&listener);
    peer_close(&listener);
    return socket;
}

/* A UDP socket connected to a plain peer, and that peer. */
static sock_t *connected_udp(peer_t *peer) {
    sock_t *socket = new_udp(NULL);
    *peer = peer_udp(AF_INET);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer->port));
    return socket;
}

static sock_t *connected(int type, peer_t *peer) {
    return type == ANJAY_NET_SOCKET_TYPE_TCP ? connected_tcp(peer)
                                             : connected_udp(peer);
}

/* A socket made by accept, and the plain peer at its other end. */
static sock_t *accepted(int type, peer_t *peer) {
    config_t config = reuse_config();
    sock_t *server = new_socket(type, &config);
    sock_t *socket = new_socket(type, &config);
    CHECK_OK(V(server)->bind(server, "127.0.0.1", "0"));
    *peer = peer_connect(AF_INET,
                         type == ANJAY_NET_SOCKET_TYPE_TCP ? SOCK_STREAM
                                                           : SOCK_DGRAM,
                         local_port(server));
    if (type == ANJAY_NET_SOCKET_TYPE_UDP) {
        SYS(send(peer->fd, "hello", 5, 0));
    }
    CHECK_OK(V(server)->accept(server, socket));
    dispose(&server);
    if (type == ANJAY_NET_SOCKET_TYPE_UDP) {
        expect_text(socket, "hello");
    }
    return socket;
}

/* The socket still talks to the peer. */
static void check_works(sock_t *socket, const peer_t *peer) {
    send_text(socket, "still here");
    peer_expect(peer, "still here");
}

TEST(new_socket_is_closed) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        sock_t *socket = new_socket(BOTH_TYPES[i], NULL);
        CHECK_STATE(CLOSED, socket);
        CHECK(V(socket)->get_system_socket(socket) == NULL);
        dispose(&socket);
    }
}

TEST(every_slot_of_the_v_table_is_filled) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        sock_t *socket = new_socket(BOTH_TYPES[i], NULL);
        void (*slots[20])(void);
        size_t slot;
        CHECK_INT(sizeof(slots), sizeof(anjay_net_socket_v_table_t));
        memcpy(slots, V(socket), sizeof(slots));
        for (slot = 0; slot < LEN(slots); ++slot) {
            CHECK(slots[slot] != NULL);
        }
        dispose(&socket);
    }
}

TEST(global_state_can_be_initialised_and_cleaned_up) {
    sock_t *socket;
    CHECK_OK(_avs_net_initialize_global_compat_state());
    socket = new_udp(NULL);
    dispose(&socket);
    _avs_net_cleanup_global_compat_state();
    CHECK_OK(_avs_net_initialize_global_compat_state());
    _avs_net_cleanup_global_compat_state();
}

TEST(bind_makes_bound) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        sock_t *socket = new_socket(BOTH_TYPES[i], NULL);
        CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
        CHECK_STATE(BOUND, socket);
        CHECK(descriptor_of(socket) >= 0);
        dispose(&socket);
    }
}

TEST(bound_tcp_listens) {
    sock_t *socket = listening_tcp("127.0.0.1", NULL);
    peer_t peer = peer_connect(AF_INET, SOCK_STREAM, local_port(socket));
    CHECK_INT(1, int_option(descriptor_of(socket), SOL_SOCKET, SO_ACCEPTCONN));
    peer_close(&peer);
    dispose(&socket);
}

TEST(connect_makes_connected) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        peer_t peer;
        sock_t *socket = connected(BOTH_TYPES[i], &peer);
        CHECK_STATE(CONNECTED, socket);
        check_works(socket, &peer);
        peer_close(&peer);
        dispose(&socket);
    }
}

TEST(bound_udp_can_be_connected_and_keeps_its_port) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    const char *before = local_port(socket);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    CHECK_STATE(CONNECTED, socket);
    CHECK_STR(before, local_port(socket));
    check_works(socket, &peer);
    peer_close(&peer);
    dispose(&socket);
}

TEST(accept_makes_accepted) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        peer_t peer;
        sock_t *socket = accepted(BOTH_TYPES[i], &peer);
        CHECK_STATE(ACCEPTED, socket);
        check_works(socket, &peer);
        peer_close(&peer);
        dispose(&socket);
    }
}

TEST(shutdown_makes_shutdown) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        peer_t peer;
        sock_t *socket = connected(BOTH_TYPES[i], &peer);
        CHECK_OK(V(socket)->shutdown(socket));
        CHECK_STATE(SHUTDOWN, socket);
        peer_close(&peer);
        dispose(&socket);

        socket = accepted(BOTH_TYPES[i], &peer);
        CHECK_OK(V(socket)->shutdown(socket));
        CHECK_STATE(SHUTDOWN, socket);
        peer_close(&peer);
        dispose(&socket);

        socket = new_socket(BOTH_TYPES[i], NULL);
        CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
        CHECK_OK(V(socket)->shutdown(socket));
        CHECK_STATE(SHUTDOWN, socket);
        dispose(&socket);
    }
}

TEST(tcp_shutdown_is_seen_by_the_peer) {
    peer_t peer;
    char byte;
    sock_t *socket = connected_tcp(&peer);
    CHECK_OK(V(socket)->shutdown(socket));
    CHECK_INT(0, peer_receive(&peer, &byte, 1));
    peer_close(&peer);
    dispose(&socket);
}

TEST(close_works_from_every_state_and_again) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        enum { CLOSED, BOUND, CONNECTED, ACCEPTED, SHUT_DOWN, STATES };
        int state;
        for (state = CLOSED; state < STATES; ++state) {
            peer_t peer;
            sock_t *socket;
            peer.fd = -1;
            if (state == CONNECTED || state == SHUT_DOWN) {
                socket = connected(BOTH_TYPES[i], &peer);
            } else if (state == ACCEPTED) {
                socket = accepted(BOTH_TYPES[i], &peer);
            } else {
                socket = new_socket(BOTH_TYPES[i], NULL);
            }
            if (state == BOUND) {
                CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
            } else if (state == SHUT_DOWN) {
                CHECK_OK(V(socket)->shutdown(socket));
            }
            CHECK_OK(V(socket)->close(socket));
            CHECK_STATE(CLOSED, socket);
            CHECK(V(socket)->get_system_socket(socket) == NULL);
            CHECK_OK(V(socket)->close(socket));
            CHECK_OK(V(socket)->close(socket));
            CHECK_STATE(CLOSED, socket);
            if (peer.fd >= 0) {
                peer_close(&peer);
            }
            dispose(&socket);
        }
    }
}

TEST(closed_object_can_be_used_again) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        peer_t peer;
        sock_t *socket = connected(BOTH_TYPES[i], &peer);
        int round;
        for (round = 0; round < 3; ++round) {
            peer_t next;
            peer_t listener;
            CHECK_OK(V(socket)->close(socket));
            CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
            CHECK_STATE(BOUND, socket);
            CHECK_OK(V(socket)->close(socket));
            if (BOTH_TYPES[i] == ANJAY_NET_SOCKET_TYPE_TCP) {
                listener = peer_listen(AF_INET);
                CHECK_OK(V(socket)->connect(socket, "127.0.0.1",
                                            listener.port));
                next = peer_accept(&listener);
                peer_close(&listener);
            } else {
                next = peer_udp(AF_INET);
                CHECK_OK(V(socket)->connect(socket, "127.0.0.1", next.port));
            }
            check_works(socket, &next);
            peer_close(&next);
        }
        peer_close(&peer);
        dispose(&socket);
    }
}

TEST(shut_down_object_can_be_used_again_after_close) {
    peer_t peer;
    sock_t *socket = connected_udp(&peer);
    CHECK_OK(V(socket)->shutdown(socket));
    CHECK_OK(V(socket)->close(socket));
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    check_works(socket, &peer);
    peer_close(&peer);
    dispose(&socket);
}

TEST(cleanup_closes_and_clears_the_pointer) {
    peer_t peer;
    char byte;
    sock_t *socket = connected_tcp(&peer);
    int before = count_descriptors();
    CHECK_OK(V(socket)->cleanup(&socket));
    CHECK(socket == NULL);
    CHECK_INT(before - 1, count_descriptors());
    CHECK_INT(0, peer_receive(&peer, &byte, 1));
    peer_close(&peer);
}

TEST(cleanup_of_a_pointer_to_null_is_ok) {
    sock_t *socket = new_udp(NULL);
    const anjay_net_socket_v_table_t *operations = V(socket);
    sock_t *none = NULL;
    CHECK_OK(operations->cleanup(&none));
    CHECK(none == NULL);
    CHECK_OK(operations->cleanup(&socket));
    CHECK_OK(operations->cleanup(&socket));
    CHECK(socket == NULL);
}

TEST(counters_survive_close_and_reconnect) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        peer_t peer;
        peer_t next;
        peer_t listener;
        sock_t *socket = connected(BOTH_TYPES[i], &peer);
        CHECK_INT(0, bytes_sent(socket));
        CHECK_INT(0, bytes_received(socket));
        send_text(socket, "12345");
        peer_expect(&peer, "12345");
        if (BOTH_TYPES[i] == ANJAY_NET_SOCKET_TYPE_TCP) {
            SYS(send(peer.fd, "abc", 3, 0));
        } else {
            peer_send_to(&peer, local_port(socket), "abc", 3);
        }
        expect_text(socket, "abc");
        CHECK_OK(V(socket)->close(socket));
        CHECK_INT(5, bytes_sent(socket));
        CHECK_INT(3, bytes_received(socket));
        listener = BOTH_TYPES[i] == ANJAY_NET_SOCKET_TYPE_TCP
                           ? peer_listen(AF_INET)
                           : peer_udp(AF_INET);
        CHECK_OK(V(socket)->connect(socket, "127.0.0.1", listener.port));
        CHECK_INT(5, bytes_sent(socket));
        send_text(socket, "67");
        CHECK_INT(7, bytes_sent(socket));
        CHECK_INT(3, bytes_received(socket));
        if (BOTH_TYPES[i] == ANJAY_NET_SOCKET_TYPE_TCP) {
            next = peer_accept(&listener);
            peer_close(&next);
        }
        peer_close(&listener);
        peer_close(&peer);
        dispose(&socket);
    }
}

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
        sock_t *socket = connected(BOTH_TYPES[i], &peer);
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
        sock_t *socket = accepted(BOTH_TYPES[i], &peer);
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
        sock_t *socket = connected(BOTH_TYPES[i], &peer);
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

        server = connected(BOTH_TYPES[i], &peer);
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
        sock_t *socket = connected(BOTH_TYPES[i], &peer);
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
