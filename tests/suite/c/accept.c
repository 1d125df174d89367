/*
 * accept: TCP connections, and UDP "connections" made from the first datagram
 * of a new peer.
 */

#include "peer.h"
#include "sock.h"

#include <netinet/ip.h>

/* Where a server is bound, and the family of a peer that reaches it. */
static const struct {
    const char *address;
    int peer_family;
    const char *peer_host;
} SCENES[] = { { "127.0.0.1", AF_INET, "127.0.0.1" },
               { "0.0.0.0", AF_INET, "127.0.0.1" },
               { "::1", AF_INET6, "::1" },
               { "::", AF_INET6, "::1" },
               { "::", AF_INET, "127.0.0.1" },
               { NULL, AF_INET, "127.0.0.1" } };

/* A server with reuse_addr that waits long enough for loopback. */
static sock_t *udp_server(const char *address) {
    config_t config = reuse_config();
    sock_t *server = bound_udp(address, &config);
    set_timeout_us(server, MS(5000));
    return server;
}

static sock_t *udp_target(void) {
    config_t config = reuse_config();
    sock_t *socket = new_udp(&config);
    set_timeout_us(socket, MS(5000));
    return socket;
}

static void check_knows_peer(sock_t *socket, const char *host, const char *port) {
    char name[64];
    CHECK_STATE(ACCEPTED, socket);
    CHECK_STR(host, remote_host(socket));
    CHECK_STR(port, remote_port(socket));
    CHECK_OK(V(socket)->get_remote_hostname(socket, name, sizeof(name)));
    CHECK_STR(host, name);
}

TEST(tcp_accept_knows_its_peer) {
    size_t i;
    for (i = 0; i < LEN(SCENES); ++i) {
        sock_t *server = listening_tcp(SCENES[i].address, NULL);
        sock_t *socket = new_tcp(NULL);
        peer_t peer = peer_connect(SCENES[i].peer_family, SOCK_STREAM,
                                   local_port(server));
        CHECK_OK(V(server)->accept(server, socket));
        check_knows_peer(socket, SCENES[i].peer_host, peer.port);
        CHECK_STR(local_port(server), local_port(socket));
        CHECK_STR(SCENES[i].peer_host, local_host(socket));
        CHECK_STATE(BOUND, server);
        send_text(socket, "hello");
        peer_expect(&peer, "hello");
        SYS(send(peer.fd, "you", 3, 0));
        expect_text(socket, "you");
        dispose(&socket);
        dispose(&server);
        peer_close(&peer);
    }
}

TEST(tcp_accept_takes_one_connection_after_the_other) {
    sock_t *server = listening_tcp("127.0.0.1", NULL);
    sock_t *sockets[5];
    peer_t peers[5];
    int i;
    for (i = 0; i < 5; ++i) {
        peers[i] = peer_connect(AF_INET, SOCK_STREAM, local_port(server));
    }
    for (i = 0; i < 5; ++i) {
        sockets[i] = new_tcp(NULL);
        CHECK_OK(V(server)->accept(server, sockets[i]));
        CHECK_STR(peers[i].port, remote_port(sockets[i]));
    }
    for (i = 0; i < 5; ++i) {
        dispose(&sockets[i]);
        peer_close(&peers[i]);
    }
    dispose(&server);
}

SLOW_TEST(tcp_accept_gives_up_after_five_seconds) {
    sock_t *server = listening_tcp("127.0.0.1", NULL);
    sock_t *socket = new_tcp(NULL);
    int64_t start;
    /* The receive timeout is not what counts here. */
    set_timeout_us(server, MS(10));
    start = now_us();
    CHECK_ERR(ETIMEDOUT, V(server)->accept(server, socket));
    CHECK_WAITED(start, MS(5000), MS(6000));
    CHECK_STATE(BOUND, server);
    CHECK_STATE(CLOSED, socket);
    dispose(&socket);
    dispose(&server);
}

TEST(tcp_accept_applies_the_new_sockets_configuration) {
    config_t config = default_config();
    sock_t *server = listening_tcp("127.0.0.1", NULL);
    peer_t peer = peer_connect(AF_INET, SOCK_STREAM, local_port(server));
    sock_t *socket;
    config.dscp = 46;
    config.priority = 5;
    socket = new_tcp(&config);
    CHECK_OK(V(server)->accept(server, socket));
    CHECK_INT(46, int_option(descriptor_of(socket), IPPROTO_IP, IP_TOS) >> 2);
    CHECK_INT(5, int_option(descriptor_of(socket), SOL_SOCKET, SO_PRIORITY));
    CHECK_INT(0, int_option(descriptor_of(server), IPPROTO_IP, IP_TOS) >> 2);
    dispose(&socket);
    dispose(&server);
    peer_close(&peer);
}

/* A configuration that can't be applied is the error of accept. */
TEST(tcp_accept_that_fails_leaves_the_server_listening) {
    config_t config = default_config();
    sock_t *server = listening_tcp("127.0.0.1", NULL);
    peer_t peer = peer_connect(AF_INET, SOCK_STREAM, local_port(server));
    peer_t next;
    sock_t *socket;
    strcpy(config.interface_name, "nosuchif0");
    socket = new_tcp(&config);
    CHECK_ERR(ENODEV, V(server)->accept(server, socket));
    CHECK_STATE(CLOSED, socket);
    CHECK_STATE(BOUND, server);
    dispose(&socket);
    socket = new_tcp(NULL);
    next = peer_connect(AF_INET, SOCK_STREAM, local_port(server));
    CHECK_OK(V(server)->accept(server, socket));
    dispose(&socket);
    dispose(&server);
    peer_close(&next);
    peer_close(&peer);
}

/* On IPv6 and dual-stack sockets the reference always fails. */
TEST(udp_accept_makes_a_connected_socket) {
    size_t i;
    for (i = 0; i < LEN(SCENES); ++i) {
        sock_t *server = udp_server(SCENES[i].address);
        sock_t *socket = udp_target();
        peer_t peer = peer_connect(SCENES[i].peer_family, SOCK_DGRAM,
                                   local_port(server));
        SYS(send(peer.fd, "first", 5, 0));
        CHECK_OK(V(server)->accept(server, socket));
        check_knows_peer(socket, SCENES[i].peer_host, peer.port);
        CHECK_STR(local_port(server), local_port(socket));
        CHECK_INT(0, bytes_received(server));
        /* The datagram was looked at, not taken. */
        expect_text(socket, "first");
        send_text(socket, "reply");
        peer_expect(&peer, "reply");
        SYS(send(peer.fd, "second", 6, 0));
        expect_text(socket, "second");
        CHECK_STATE(BOUND, server);
        dispose(&socket);
        dispose(&server);
        peer_close(&peer);
    }
}

TEST(udp_server_is_bound_anew_on_the_same_address) {
    size_t i;
    for (i = 0; i < LEN(SCENES); ++i) {
        sock_t *server = udp_server(SCENES[i].address);
        sock_t *first = udp_target();
        sock_t *second = udp_target();
        const char *host = local_host(server);
        const char *port = local_port(server);
        uint64_t cookie = cookie_of(descriptor_of(server));
        peer_t one = peer_connect(SCENES[i].peer_family, SOCK_DGRAM, port);
        peer_t two;
        SYS(send(one.fd, "one", 3, 0));
        CHECK_OK(V(server)->accept(server, first));
        CHECK(cookie == cookie_of(descriptor_of(first)));
        CHECK(cookie != cookie_of(descriptor_of(server)));
        CHECK_STATE(BOUND, server);
        CHECK_STR(host, local_host(server));
        CHECK_STR(port, local_port(server));

        two = peer_connect(SCENES[i].peer_family, SOCK_DGRAM, port);
        SYS(send(two.fd, "two", 3, 0));
        CHECK_OK(V(server)->accept(server, second));
        expect_text(first, "one");
        expect_text(second, "two");
        SYS(send(one.fd, "one again", 9, 0));
        SYS(send(two.fd, "two again", 9, 0));
        expect_text(first, "one again");
        expect_text(second, "two again");
        dispose(&first);
        dispose(&second);
        dispose(&server);
        peer_close(&one);
        peer_close(&two);
    }
}

TEST(udp_datagrams_of_other_peers_never_reach_the_new_socket) {
    enum { OTHERS = 5 };
    size_t i;
    for (i = 0; i < LEN(SCENES); ++i) {
        sock_t *server = udp_server(SCENES[i].address);
        sock_t *socket = udp_target();
        const char *port = local_port(server);
        peer_t peer = peer_connect(SCENES[i].peer_family, SOCK_DGRAM, port);
        peer_t others[OTHERS];
        char buffer[64];
        size_t length = 99;
        int other;
        SYS(send(peer.fd, "mine 1", 6, 0));
        for (other = 0; other < OTHERS; ++other) {
            others[other] =
                    peer_connect(SCENES[i].peer_family, SOCK_DGRAM, port);
            SYS(send(others[other].fd, "not yours", 9, 0));
        }
        SYS(send(peer.fd, "mine 2", 6, 0));
        CHECK_OK(V(server)->accept(server, socket));
        CHECK_STR(peer.port, remote_port(socket));
        expect_text(socket, "mine 1");
        expect_text(socket, "mine 2");
        for (other = 0; other < OTHERS; ++other) {
            SYS(send(others[other].fd, "nor this", 8, 0));
        }
        set_timeout_us(socket, MS(50));
        CHECK_ERR(ETIMEDOUT, V(socket)->receive(socket, &length, buffer,
                                                sizeof(buffer)));
        CHECK_INT(12, bytes_received(socket));
        /* What they send from now on reaches the server. */
        do {
            CHECK_OK(V(server)->receive(server, &length, buffer,
                                        sizeof(buffer)));
            buffer[length] = '\0';
        } while (strcmp(buffer, "not yours") == 0);
        CHECK_STR("nor this", buffer);
        for (other = 0; other < OTHERS; ++other) {
            peer_close(&others[other]);
        }
        dispose(&socket);
        dispose(&server);
        peer_close(&peer);
    }
}

TEST(udp_accept_waits_under_the_receive_timeout) {
    sock_t *server = udp_server("127.0.0.1");
    sock_t *socket = udp_target();
    uint64_t cookie = cookie_of(descriptor_of(server));
    int64_t start;
    set_timeout_us(server, 150500);
    start = now_us();
    CHECK_ERR(ETIMEDOUT, V(server)->accept(server, socket));
    CHECK_WAITED(start, 150500, MS(1150));
    CHECK_STATE(BOUND, server);
    CHECK_STATE(CLOSED, socket);
    CHECK(cookie == cookie_of(descriptor_of(server)));
    dispose(&socket);
    dispose(&server);
}

typedef struct {
    sock_t *server;
    sock_t *socket;
    anjay_net_error_t error;
    int64_t waited_us;
} accept_call_t;

static void accept_in_thread(void *arg) {
    accept_call_t *call = (accept_call_t *) arg;
    int64_t start = now_us();
    call->error = V(call->server)->accept(call->server, call->socket);
    call->waited_us = now_us() - start;
}

TEST(signals_do_not_restart_the_clock_of_accept) {
    accept_call_t call;
    worker_t worker;
    memset(&call, 0, sizeof(call));
    call.server = udp_server("127.0.0.1");
    call.socket = udp_target();
    set_timeout_us(call.server, MS(300));
    worker_start(&worker, accept_in_thread, &call);
    CHECK(worker_signal_storm(&worker) > 5);
    worker_join(&worker);
    CHECK_ERR(ETIMEDOUT, call.error);
    CHECK(call.waited_us >= MS(300));
    CHECK(call.waited_us <= MS(is_slow() ? 5000 : 900));
    dispose(&call.socket);
    dispose(&call.server);
}

TEST(udp_accept_wants_reuse_addr_on_both) {
    config_t reuse = reuse_config();
    sock_t *server = bound_udp("127.0.0.1", NULL);
    sock_t *socket = new_udp(&reuse);
    CHECK_ERR(EINVAL, V(server)->accept(server, socket));
    CHECK_STATE(BOUND, server);
    CHECK_STATE(CLOSED, socket);
    dispose(&server);
    dispose(&socket);

    server = bound_udp("127.0.0.1", &reuse);
    socket = new_udp(NULL);
    CHECK_ERR(EINVAL, V(server)->accept(server, socket));
    CHECK_STATE(BOUND, server);
    CHECK_STATE(CLOSED, socket);
    dispose(&server);
    dispose(&socket);
}

TEST(udp_accept_takes_an_empty_first_datagram) {
    sock_t *server = udp_server("127.0.0.1");
    sock_t *socket = udp_target();
    peer_t peer = peer_connect(AF_INET, SOCK_DGRAM, local_port(server));
    SYS(send(peer.fd, "", 0, 0));
    CHECK_OK(V(server)->accept(server, socket));
    CHECK_STR(peer.port, remote_port(socket));
    expect_text(socket, "");
    dispose(&socket);
    dispose(&server);
    peer_close(&peer);
}

TEST(udp_accept_applies_the_new_sockets_configuration) {
    config_t config = reuse_config();
    sock_t *server = udp_server("127.0.0.1");
    peer_t peer = peer_connect(AF_INET, SOCK_DGRAM, local_port(server));
    sock_t *socket;
    int ecn = 3;
    config.dscp = 34;
    config.priority = 4;
    socket = new_udp(&config);
    /* What a new descriptor can't show: the ECN bits are kept. */
    SYS(setsockopt(descriptor_of(server), IPPROTO_IP, IP_TOS, &ecn,
                   sizeof(ecn)));
    SYS(send(peer.fd, "x", 1, 0));
    CHECK_OK(V(server)->accept(server, socket));
    CHECK_INT(34 << 2 | 3, int_option(descriptor_of(socket), IPPROTO_IP, IP_TOS));
    CHECK_INT(4, int_option(descriptor_of(socket), SOL_SOCKET, SO_PRIORITY));
    dispose(&socket);
    dispose(&server);
    peer_close(&peer);
}

/* Both as before, or the server closed and saying so. */
TEST(udp_accept_that_fails_leaves_both_usable) {
    config_t config = reuse_config();
    sock_t *server = udp_server("127.0.0.1");
    char port[16];
    peer_t peer;
    sock_t *socket;
    strcpy(port, local_port(server));
    peer = peer_connect(AF_INET, SOCK_DGRAM, port);
    strcpy(config.interface_name, "nosuchif0");
    socket = new_udp(&config);
    SYS(send(peer.fd, "x", 1, 0));
    CHECK_ERR(ENODEV, V(server)->accept(server, socket));
    CHECK_STATE(CLOSED, socket);
    dispose(&socket);
    if (state_of(server) != ANJAY_NET_SOCKET_STATE_BOUND) {
        CHECK_STATE(CLOSED, server);
        CHECK_OK(V(server)->bind(server, "127.0.0.1", port));
        SYS(send(peer.fd, "x", 1, 0));
    }
    CHECK_STR(port, local_port(server));
    socket = udp_target();
    CHECK_OK(V(server)->accept(server, socket));
    expect_text(socket, "x");
    dispose(&socket);
    dispose(&server);
    peer_close(&peer);
}

TEST(accepted_socket_can_be_filled_again_after_close) {
    sock_t *server = udp_server("127.0.0.1");
    sock_t *socket = udp_target();
    int round;
    for (round = 0; round < 3; ++round) {
        peer_t peer = peer_connect(AF_INET, SOCK_DGRAM, local_port(server));
        SYS(send(peer.fd, "hi", 2, 0));
        CHECK_OK(V(server)->accept(server, socket));
        expect_text(socket, "hi");
        CHECK_OK(V(socket)->close(socket));
        peer_close(&peer);
    }
    dispose(&socket);
    dispose(&server);
}

TEST(closing_the_server_leaves_accepted_sockets_alone) {
    sock_t *server = udp_server("127.0.0.1");
    sock_t *socket = udp_target();
    peer_t peer = peer_connect(AF_INET, SOCK_DGRAM, local_port(server));
    SYS(send(peer.fd, "hi", 2, 0));
    CHECK_OK(V(server)->accept(server, socket));
    dispose(&server);
    expect_text(socket, "hi");
    send_text(socket, "still here");
    peer_expect(&peer, "still here");
    dispose(&socket);
    peer_close(&peer);
}
