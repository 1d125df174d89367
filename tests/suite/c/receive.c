/*
 * What receive and receive_from deliver: truncation, empty datagrams, output
 * arguments, text of the sender.
 */

#include "peer.h"
#include "sock.h"

#include <poll.h>

/* A bound UDP socket that waits long enough for loopback. */
static sock_t *receiver(void) {
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    set_timeout_us(socket, MS(5000));
    return socket;
}

/* Nothing is queued: a receive that does not wait times out. */
static void check_empty(sock_t *socket) {
    char byte;
    size_t length = 99;
    set_timeout_us(socket, 0);
    CHECK_ERR(ETIMEDOUT, V(socket)->receive(socket, &length, &byte, 1));
    CHECK_INT(0, length);
    set_timeout_us(socket, MS(5000));
}

TEST(datagram_that_fits_exactly_is_a_success) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = receiver();
    char buffer[9];
    size_t length = 99;
    memset(buffer, 'x', sizeof(buffer));
    peer_send_to(&peer, local_port(socket), "12345678", 8);
    CHECK_OK(V(socket)->receive(socket, &length, buffer, 8));
    CHECK_INT(8, length);
    CHECK_BYTES("12345678x", buffer, 9);
    CHECK_INT(8, bytes_received(socket));
    dispose(&socket);
    peer_close(&peer);
}

TEST(longer_datagram_is_truncated_and_said_so) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = receiver();
    char buffer[9];
    size_t length = 99;
    memset(buffer, 'x', sizeof(buffer));
    peer_send_to(&peer, local_port(socket), "123456789", 9);
    CHECK_ERR(EMSGSIZE, V(socket)->receive(socket, &length, buffer, 8));
    CHECK_INT(8, length);
    CHECK_BYTES("12345678x", buffer, 9);
    CHECK_INT(8, bytes_received(socket));
    /* The rest is gone, the next datagram is whole. */
    peer_send_to(&peer, local_port(socket), "next", 4);
    expect_text(socket, "next");
    check_empty(socket);
    dispose(&socket);
    peer_close(&peer);
}

TEST(truncation_is_found_by_receive_from_too) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = receiver();
    char buffer[8];
    char host[64] = "";
    char port[16] = "";
    size_t length = 99;
    peer_send_to(&peer, local_port(socket), "123456789", 9);
    CHECK_ERR(EMSGSIZE, V(socket)->receive_from(
                                socket, &length, buffer, sizeof(buffer), host,
                                sizeof(host), port, sizeof(port)));
    CHECK_INT(8, length);
    CHECK_BYTES("12345678", buffer, 8);
    CHECK_STR("127.0.0.1", host);
    CHECK_STR(peer.port, port);
    dispose(&socket);
    peer_close(&peer);
}

TEST(empty_datagram_is_a_success) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = receiver();
    char buffer[8];
    char host[64] = "";
    char port[16] = "";
    size_t length = 99;
    peer_send_to(&peer, local_port(socket), "", 0);
    CHECK_OK(V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
    CHECK_INT(0, length);
    length = 99;
    peer_send_to(&peer, local_port(socket), "", 0);
    CHECK_OK(V(socket)->receive_from(socket, &length, buffer, sizeof(buffer),
                                     host, sizeof(host), port, sizeof(port)));
    CHECK_INT(0, length);
    CHECK_STR(peer.port, port);
    check_empty(socket);
    dispose(&socket);
    peer_close(&peer);
}

TEST(buffer_of_no_bytes_takes_an_empty_datagram_only) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = receiver();
    char buffer[1];
    size_t length = 99;
    peer_send_to(&peer, local_port(socket), "", 0);
    CHECK_OK(V(socket)->receive(socket, &length, buffer, 0));
    CHECK_INT(0, length);
    length = 99;
    peer_send_to(&peer, local_port(socket), "x", 1);
    CHECK_ERR(EMSGSIZE, V(socket)->receive(socket, &length, buffer, 0));
    CHECK_INT(0, length);
    length = 99;
    peer_send_to(&peer, local_port(socket), "", 0);
    CHECK_OK(V(socket)->receive(socket, &length, NULL, 0));
    CHECK_INT(0, length);
    check_empty(socket);
    dispose(&socket);
    peer_close(&peer);
}

TEST(length_is_written_even_on_errors) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    char buffer[8];
    char host[64];
    char port[16];
    size_t length = 99;
    CHECK_ERR(EBADF,
              V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
    CHECK_INT(0, length);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    set_timeout_us(socket, MS(1));
    length = 99;
    CHECK_ERR(ETIMEDOUT,
              V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
    CHECK_INT(0, length);
    length = 99;
    CHECK_ERR(ETIMEDOUT, V(socket)->receive_from(
                                 socket, &length, buffer, sizeof(buffer), host,
                                 sizeof(host), port, sizeof(port)));
    CHECK_INT(0, length);
    length = 99;
    CHECK_ERR(EFAULT, V(socket)->receive(socket, &length, NULL, 8));
    CHECK_INT(0, length);
    dispose(&socket);
    peer_close(&peer);
}

/* The reference returns whatever errno was left over. */
TEST(sender_text_that_does_not_fit_is_a_range_error_with_the_data_delivered) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = receiver();
    size_t port_size = strlen(peer.port) + 1;
    size_t size;
    for (size = 0; size < 10; ++size) {
        char buffer[8];
        char host[24];
        char port[16];
        size_t length = 99;
        memset(host, 'x', sizeof(host));
        peer_send_to(&peer, local_port(socket), "data", 4);
        CHECK_ERR(ERANGE, V(socket)->receive_from(
                                  socket, &length, buffer, sizeof(buffer), host,
                                  size, port, sizeof(port)));
        CHECK_BYTES("data", buffer, 4);
        CHECK_BYTES("xxxxxxxxxxxxxxxxxxxxxxxx", host + size,
                    sizeof(host) - size);
    }
    for (size = 0; size < port_size; ++size) {
        char buffer[8];
        char host[64];
        char port[16];
        size_t length = 99;
        memset(port, 'x', sizeof(port));
        peer_send_to(&peer, local_port(socket), "data", 4);
        CHECK_ERR(ERANGE, V(socket)->receive_from(
                                  socket, &length, buffer, sizeof(buffer), host,
                                  sizeof(host), port, size));
        CHECK_BYTES("data", buffer, 4);
        CHECK_BYTES("xxxxxxxxxxxxxxxx", port + size, sizeof(port) - size);
    }
    CHECK_INT(4 * (10 + port_size), bytes_received(socket));
    check_empty(socket);
    dispose(&socket);
    peer_close(&peer);
}

TEST(sender_text_may_fit_exactly) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = receiver();
    char buffer[8];
    char host[10];
    char port[8];
    size_t length;
    peer_send_to(&peer, local_port(socket), "data", 4);
    CHECK_OK(V(socket)->receive_from(socket, &length, buffer, sizeof(buffer),
                                     host, sizeof(host), port,
                                     strlen(peer.port) + 1));
    CHECK_INT(4, length);
    CHECK_STR("127.0.0.1", host);
    CHECK_STR(peer.port, port);
    dispose(&socket);
    peer_close(&peer);
}

TEST(sender_of_a_dual_stack_socket_is_named_in_plain_form) {
    peer_t v4 = peer_udp(AF_INET);
    peer_t v6 = peer_udp(AF_INET6);
    sock_t *socket = bound_udp("::", NULL);
    char buffer[8];
    char host[10];
    char port[8];
    size_t length;
    set_timeout_us(socket, MS(5000));
    peer_send_to(&v4, local_port(socket), "4", 1);
    CHECK_OK(V(socket)->receive_from(socket, &length, buffer, sizeof(buffer),
                                     host, sizeof(host), port, sizeof(port)));
    CHECK_STR("127.0.0.1", host);
    CHECK_STR(v4.port, port);
    peer_send_to(&v6, local_port(socket), "6", 1);
    CHECK_OK(V(socket)->receive_from(socket, &length, buffer, sizeof(buffer),
                                     host, sizeof(host), port, sizeof(port)));
    CHECK_STR("::1", host);
    CHECK_STR(v6.port, port);
    dispose(&socket);
    peer_close(&v4);
    peer_close(&v6);
}

TEST(datagrams_arrive_in_order_and_one_by_one) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = receiver();
    int i;
    for (i = 0; i < 20; ++i) {
        char text[2];
        text[0] = (char) ('a' + i);
        text[1] = '\0';
        peer_send_to(&peer, local_port(socket), text, 1);
    }
    for (i = 0; i < 20; ++i) {
        char text[2];
        text[0] = (char) ('a' + i);
        text[1] = '\0';
        expect_text(socket, text);
    }
    check_empty(socket);
    CHECK_INT(20, bytes_received(socket));
    dispose(&socket);
    peer_close(&peer);
}

/* The reference spins for ever at 100 % CPU here, whatever the timeout. */
TEST(udp_after_shutdown_delivers_what_arrived_then_aborts) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    char buffer[8];
    size_t length = 99;
    int64_t start;
    int round;
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    peer_send_to(&peer, local_port(socket), "one", 3);
    peer_send_to(&peer, local_port(socket), "two", 3);
    CHECK(wait_for(descriptor_of(socket), POLLIN, 5000));
    CHECK_OK(V(socket)->shutdown(socket));
    expect_text(socket, "one");
    expect_text(socket, "two");
    for (round = 0; round < 3; ++round) {
        length = 99;
        start = now_us();
        CHECK_ERR(ECONNABORTED,
                  V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
        CHECK_WAITED(start, 0, PROMPT);
        CHECK_INT(0, length);
    }
    dispose(&socket);
    peer_close(&peer);
}

TEST(udp_after_shutdown_keeps_its_ports) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    const char *own;
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    own = local_port(socket);
    CHECK_OK(V(socket)->shutdown(socket));
    CHECK_STATE(SHUTDOWN, socket);
    CHECK_STR(own, local_port(socket));
    CHECK_STR(peer.port, remote_port(socket));
    CHECK_STR("127.0.0.1", remote_host(socket));
    dispose(&socket);
    peer_close(&peer);
}

TEST(tcp_sender_text_that_does_not_fit_is_a_range_error) {
    peer_t listener = peer_listen(AF_INET);
    sock_t *socket = new_tcp(NULL);
    peer_t peer;
    char buffer[8];
    char host[8];
    char port[8];
    size_t length = 99;
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", listener.port));
    peer = peer_accept(&listener);
    SYS(send(peer.fd, "data", 4, 0));
    CHECK_ERR(ERANGE, V(socket)->receive_from(socket, &length, buffer,
                                              sizeof(buffer), host,
                                              sizeof(host), port,
                                              sizeof(port)));
    CHECK_BYTES("data", buffer, 4);
    dispose(&socket);
    peer_close(&peer);
    peer_close(&listener);
}
