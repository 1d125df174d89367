/*
 * What receive and receive_from deliver: truncation, empty datagrams, output
 * arguments, text of the sender.
 */

#include "fixture.h"

#include <poll.h>

/* A bound UDP socket that waits long enough for loopback. */
static sock_t *receiver(void) {
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    set_timeout_us(socket, MS(5000));
    return socket;
}

/* Nothing is queued: a receive that does not wait times out. */
static void check_empty(sock_t *socket) {
    set_timeout_us(socket, 0);
    CHECK_RECEIVE(ETIMEDOUT, "", socket, 1);
    set_timeout_us(socket, MS(5000));
}

TEST(datagram_that_fits_exactly_is_a_success) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = receiver();
    peer_say(&peer, socket, "12345678");
    CHECK_RECEIVE(NO_ERROR, "12345678", socket, 8);
    CHECK_INT(8, bytes_received(socket));
}

TEST(longer_datagram_is_truncated_and_said_so) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = receiver();
    peer_say(&peer, socket, "123456789");
    CHECK_RECEIVE(EMSGSIZE, "12345678", socket, 8);
    CHECK_INT(8, bytes_received(socket));
    /* The rest is gone, the next datagram is whole. */
    peer_say(&peer, socket, "next");
    expect_text(socket, "next");
    check_empty(socket);
}

TEST(truncation_is_found_by_receive_from_too) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = receiver();
    peer_say(&peer, socket, "123456789");
    CHECK_RECEIVE_FROM(EMSGSIZE, "12345678", &peer, socket, 8);
}

TEST(empty_datagram_is_a_success) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = receiver();
    peer_say(&peer, socket, "");
    CHECK_RECEIVE(NO_ERROR, "", socket, 8);
    peer_say(&peer, socket, "");
    CHECK_RECEIVE_FROM(NO_ERROR, "", &peer, socket, 8);
    check_empty(socket);
}

TEST(buffer_of_no_bytes_takes_an_empty_datagram_only) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = receiver();
    size_t length = 99;
    peer_say(&peer, socket, "");
    CHECK_RECEIVE(NO_ERROR, "", socket, 0);
    peer_say(&peer, socket, "x");
    CHECK_RECEIVE(EMSGSIZE, "", socket, 0);
    peer_say(&peer, socket, "");
    CHECK_OK(V(socket)->receive(socket, &length, NULL, 0));
    CHECK_INT(0, length);
    check_empty(socket);
}

TEST(length_is_written_even_on_errors) {
    sock_t *socket = new_udp(NULL);
    size_t length = 99;
    CHECK_RECEIVE(EBADF, "", socket, 8);
    connect_to_peer(socket, UDP, AF_INET);
    set_timeout_us(socket, MS(1));
    CHECK_RECEIVE(ETIMEDOUT, "", socket, 8);
    CHECK_RECEIVE_FROM(ETIMEDOUT, "", NULL, socket, 8);
    CHECK_ERR(EFAULT, V(socket)->receive(socket, &length, NULL, 8));
    CHECK_INT(0, length);
}

/* receive_from with so much room for the sender's host and port fails, delivers
   "data", and leaves the text that does not fit alone. */
static void check_does_not_fit(
        sock_t *socket, const peer_t *peer, size_t host_size, size_t port_size) {
    char buffer[8];
    char host[24];
    char port[24];
    size_t length = 99;
    memset(host, 'x', sizeof(host));
    memset(port, 'x', sizeof(port));
    peer_say(peer, socket, "data");
    CHECK_ERR(ERANGE,
            V(socket)->receive_from(
                    socket, &length, buffer, sizeof(buffer), host, host_size, port, port_size));
    CHECK_INT(4, length);
    CHECK_BYTES("data", buffer, 4);
    CHECK_BYTES("xxxxxxxxxxxxxxxxxxxxxxxx", host + host_size, sizeof(host) - host_size);
    CHECK_BYTES("xxxxxxxxxxxxxxxxxxxxxxxx", port + port_size, sizeof(port) - port_size);
}

/* The reference returns whatever errno was left over. */
TEST(sender_text_that_does_not_fit_is_a_range_error_with_the_data_delivered) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = receiver();
    size_t port_size = strlen(peer.port) + 1;
    for (size_t size = 0; size < 10; ++size) {
        check_does_not_fit(socket, &peer, size, 16);
    }
    for (size_t size = 0; size < port_size; ++size) {
        check_does_not_fit(socket, &peer, 24, size);
    }
    CHECK_INT(4 * (10 + port_size), bytes_received(socket));
    check_empty(socket);
}

TEST(sender_text_may_fit_exactly) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = receiver();
    char buffer[8];
    char host[10];
    char port[8];
    size_t length;
    peer_say(&peer, socket, "data");
    CHECK_OK(V(socket)->receive_from(socket, &length, buffer, sizeof(buffer), host, sizeof(host),
            port, strlen(peer.port) + 1));
    CHECK_INT(4, length);
    CHECK_STR("127.0.0.1", host);
    CHECK_STR(peer.port, port);
}

TEST(sender_of_a_dual_stack_socket_is_named_in_plain_form) {
    peer_t v4 = peer_udp(AF_INET);
    peer_t v6 = peer_udp(AF_INET6);
    sock_t *socket = bound_udp("::", NULL);
    set_timeout_us(socket, MS(5000));
    peer_say(&v4, socket, "4");
    CHECK_RECEIVE_FROM(NO_ERROR, "4", &v4, socket, 8);
    peer_say(&v6, socket, "6");
    CHECK_RECEIVE_FROM(NO_ERROR, "6", &v6, socket, 8);
}

TEST(datagrams_arrive_in_order_and_one_by_one) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = receiver();
    for (char text[] = "a"; text[0] < 'a' + 20; ++text[0]) {
        peer_say(&peer, socket, text);
    }
    for (char text[] = "a"; text[0] < 'a' + 20; ++text[0]) {
        expect_text(socket, text);
    }
    check_empty(socket);
    CHECK_INT(20, bytes_received(socket));
}

/* The reference spins for ever at 100 % CPU here, whatever the timeout. */
TEST(udp_after_shutdown_delivers_what_arrived_then_aborts) {
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    peer_say(&peer, socket, "one");
    peer_say(&peer, socket, "two");
    CHECK(wait_for(descriptor_of(socket), POLLIN, 5000));
    CHECK_OK(V(socket)->shutdown(socket));
    expect_text(socket, "one");
    expect_text(socket, "two");
    for (int round = 0; round < 3; ++round) {
        int64_t start = now_us();
        CHECK_RECEIVE(ECONNABORTED, "", socket, 8);
        CHECK_WAITED(start, 0, PROMPT);
    }
    /* A receive that only looks is no exception. */
    set_timeout_us(socket, 0);
    CHECK_RECEIVE(ECONNABORTED, "", socket, 8);
}

TEST(udp_after_shutdown_keeps_its_ports) {
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    const char *own = local_port(socket);
    CHECK_OK(V(socket)->shutdown(socket));
    CHECK_STATE(SHUTDOWN, socket);
    CHECK_STR(own, local_port(socket));
    CHECK_REMOTE("127.0.0.1", peer.port, socket);
}

TEST(tcp_sender_text_that_does_not_fit_is_a_range_error) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    check_does_not_fit(socket, &peer, 8, 8);
}
