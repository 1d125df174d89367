/*
 * How a socket gets from state to state.
 */

#include "pair.h"

static const int BOTH_TYPES[] = { ANJAY_NET_SOCKET_TYPE_TCP,
                                  ANJAY_NET_SOCKET_TYPE_UDP };

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
        sock_t *socket = connected_pair(BOTH_TYPES[i], &peer);
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
        sock_t *socket = accepted_pair(BOTH_TYPES[i], &peer);
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
        sock_t *socket = connected_pair(BOTH_TYPES[i], &peer);
        CHECK_OK(V(socket)->shutdown(socket));
        CHECK_STATE(SHUTDOWN, socket);
        peer_close(&peer);
        dispose(&socket);

        socket = accepted_pair(BOTH_TYPES[i], &peer);
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
    sock_t *socket = connected_pair(ANJAY_NET_SOCKET_TYPE_TCP, &peer);
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
                socket = connected_pair(BOTH_TYPES[i], &peer);
            } else if (state == ACCEPTED) {
                socket = accepted_pair(BOTH_TYPES[i], &peer);
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
        sock_t *socket = connected_pair(BOTH_TYPES[i], &peer);
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
    sock_t *socket = connected_pair(ANJAY_NET_SOCKET_TYPE_UDP, &peer);
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
    sock_t *socket = connected_pair(ANJAY_NET_SOCKET_TYPE_TCP, &peer);
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
        sock_t *socket = connected_pair(BOTH_TYPES[i], &peer);
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
