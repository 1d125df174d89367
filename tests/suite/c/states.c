/*
 * How a socket gets from state to state.
 */

#include "fixture.h"

TEST_EACH_TYPE(new_socket_is_closed) {
    sock_t *socket = new_socket(type, NULL);
    CHECK_STATE(CLOSED, socket);
    CHECK_NO_DESCRIPTOR(socket);
}

TEST_EACH_TYPE(every_slot_of_the_v_table_is_filled) {
    sock_t *socket = new_socket(type, NULL);
    void (*slots[20])(void);
    CHECK_INT(sizeof(slots), sizeof(anjay_net_socket_v_table_t));
    memcpy(slots, V(socket), sizeof(slots));
    for (size_t slot = 0; slot < LEN(slots); ++slot) {
        CHECK(slots[slot] != NULL);
    }
}

TEST(global_state_can_be_initialised_and_cleaned_up) {
    CHECK_OK(_avs_net_initialize_global_compat_state());
    sock_t *socket = new_udp(NULL);
    dispose(&socket);
    _avs_net_cleanup_global_compat_state();
    CHECK_OK(_avs_net_initialize_global_compat_state());
    _avs_net_cleanup_global_compat_state();
}

TEST_EACH_TYPE(bind_makes_bound) {
    sock_t *socket = bound_socket(type, "127.0.0.1", NULL);
    CHECK_STATE(BOUND, socket);
    CHECK(descriptor_of(socket) >= 0);
}

TEST(bound_tcp_listens) {
    sock_t *socket = listening_tcp("127.0.0.1", NULL);
    peer_connected_to(socket, TCP, AF_INET);
    CHECK_INT(1, int_option(descriptor_of(socket), SOL_SOCKET, SO_ACCEPTCONN));
}

TEST_EACH_TYPE(connect_makes_connected) {
    peer_t peer;
    sock_t *socket = connected_pair(type, &peer);
    CHECK_STATE(CONNECTED, socket);
    check_works(socket, &peer);
}

TEST(bound_udp_can_be_connected_and_keeps_its_port) {
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    const char *before = local_port(socket);
    peer_t peer = connect_to_peer(socket, UDP, AF_INET);
    CHECK_STATE(CONNECTED, socket);
    CHECK_STR(before, local_port(socket));
    check_works(socket, &peer);
}

TEST_EACH_TYPE(accept_makes_accepted) {
    peer_t peer;
    sock_t *socket = accepted_pair(type, &peer);
    CHECK_STATE(ACCEPTED, socket);
    check_works(socket, &peer);
}

TEST_EACH_TYPE(shutdown_makes_shutdown) {
    peer_t peer;
    sock_t *sockets[3];
    sockets[0] = connected_pair(type, &peer);
    sockets[1] = accepted_pair(type, &peer);
    sockets[2] = bound_socket(type, "127.0.0.1", NULL);
    for (size_t i = 0; i < LEN(sockets); ++i) {
        CHECK_OK(V(sockets[i])->shutdown(sockets[i]));
        CHECK_STATE(SHUTDOWN, sockets[i]);
    }
}

TEST(tcp_shutdown_is_seen_by_the_peer) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    CHECK_OK(V(socket)->shutdown(socket));
    peer_expect(&peer, "");
}

TEST_EACH_TYPE(close_works_from_every_state_and_again) {
    peer_t peer;
    sock_t *sockets[5];
    sockets[0] = new_socket(type, NULL);
    sockets[1] = bound_socket(type, "127.0.0.1", NULL);
    sockets[2] = connected_pair(type, &peer);
    sockets[3] = accepted_pair(type, &peer);
    sockets[4] = connected_pair(type, &peer);
    CHECK_OK(V(sockets[4])->shutdown(sockets[4]));
    for (size_t i = 0; i < LEN(sockets); ++i) {
        CHECK_OK(V(sockets[i])->close(sockets[i]));
        CHECK_STATE(CLOSED, sockets[i]);
        CHECK_NO_DESCRIPTOR(sockets[i]);
        CHECK_OK(V(sockets[i])->close(sockets[i]));
        CHECK_OK(V(sockets[i])->close(sockets[i]));
        CHECK_STATE(CLOSED, sockets[i]);
    }
}

TEST_EACH_TYPE(closed_object_can_be_used_again) {
    peer_t peer;
    sock_t *socket = connected_pair(type, &peer);
    for (int round = 0; round < 3; ++round) {
        CHECK_OK(V(socket)->close(socket));
        CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
        CHECK_STATE(BOUND, socket);
        CHECK_OK(V(socket)->close(socket));
        peer = connect_to_peer(socket, type, AF_INET);
        check_works(socket, &peer);
    }
}

TEST(shut_down_object_can_be_used_again_after_close) {
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    CHECK_OK(V(socket)->shutdown(socket));
    CHECK_OK(V(socket)->close(socket));
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    check_works(socket, &peer);
}

TEST(cleanup_closes_and_clears_the_pointer) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    int before = count_descriptors();
    dispose(&socket);
    CHECK_INT(before - 1, count_descriptors());
    peer_expect(&peer, "");
}

TEST(cleanup_of_a_pointer_to_null_is_ok) {
    sock_t *socket = new_udp(NULL);
    const anjay_net_socket_v_table_t *operations = V(socket);
    sock_t *none = NULL;
    CHECK_OK(operations->cleanup(&none));
    CHECK(none == NULL);
    dispose(&socket);
    CHECK_OK(operations->cleanup(&socket));
    CHECK(socket == NULL);
}

TEST_EACH_TYPE(counters_survive_close_and_reconnect) {
    peer_t peer;
    sock_t *socket = connected_pair(type, &peer);
    CHECK_INT(0, bytes_sent(socket));
    CHECK_INT(0, bytes_received(socket));
    send_text(socket, "12345");
    peer_expect(&peer, "12345");
    peer_say(&peer, socket, "abc");
    expect_text(socket, "abc");
    CHECK_OK(V(socket)->close(socket));
    CHECK_INT(5, bytes_sent(socket));
    CHECK_INT(3, bytes_received(socket));
    connect_to_peer(socket, type, AF_INET);
    CHECK_INT(5, bytes_sent(socket));
    send_text(socket, "67");
    CHECK_INT(7, bytes_sent(socket));
    CHECK_INT(3, bytes_received(socket));
}
