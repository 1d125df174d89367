/*
 * accept: TCP connections, and UDP "connections" made from the first datagram
 * of a new peer.
 */

#include "fixture.h"
#include "settings.h"

#include <fcntl.h>
#include <netinet/ip.h>

/* Where a server is bound, and the family of a peer that reaches it. */
static const struct {
    const char *address;
    int family;
} PLACES[] = { { "127.0.0.1", AF_INET }, { "0.0.0.0", AF_INET }, { "::1", AF_INET6 },
    { "::", AF_INET6 }, { "::", AF_INET }, { NULL, AF_INET } };

/* A peer whose datagram has come. */
static peer_t peer_that_says(const char *text, sock_t *server, int family) {
    peer_t peer = peer_connected_to(server, UDP, family);
    peer_say(&peer, server, text);
    return peer;
}

static void check_accepted(sock_t *socket, sock_t *server, const peer_t *peer) {
    CHECK_STATE(ACCEPTED, socket);
    CHECK_STATE(BOUND, server);
    CHECK_REMOTE(peer->host, peer->port, socket);
    CHECK_STR(peer->host, remote_hostname(socket));
    CHECK_STR(peer->host, local_host(socket));
    CHECK_STR(local_port(server), local_port(socket));
}

TEST_EACH(tcp_accept_knows_its_peer, PLACES) {
    sock_t *server = listening_tcp(it->address, NULL);
    sock_t *socket = new_tcp(NULL);
    peer_t peer = peer_connected_to(server, TCP, it->family);
    CHECK_OK(V(server)->accept(server, socket));
    check_accepted(socket, server, &peer);
    check_exchange(socket, &peer);
}

TEST(tcp_accept_takes_one_connection_after_the_other) {
    sock_t *server = listening_tcp("127.0.0.1", NULL);
    peer_t peers[5];
    for (size_t i = 0; i < LEN(peers); ++i) {
        peers[i] = peer_connected_to(server, TCP, AF_INET);
    }
    for (size_t i = 0; i < LEN(peers); ++i) {
        sock_t *socket = new_tcp(NULL);
        CHECK_OK(V(server)->accept(server, socket));
        CHECK_STR(peers[i].port, remote_port(socket));
    }
}

SLOW_TEST(tcp_accept_gives_up_after_five_seconds) {
    sock_t *server = listening_tcp("127.0.0.1", NULL);
    sock_t *socket = new_tcp(NULL);
    /* The receive timeout is not what counts here. */
    set_timeout_us(server, MS(10));
    int64_t start = now_us();
    CHECK_ERR(ETIMEDOUT, V(server)->accept(server, socket));
    CHECK_WAITED(start, MS(5000), MS(6000));
    CHECK_STATE(BOUND, server);
    CHECK_STATE(CLOSED, socket);
}

/* As a program may do with the descriptor that it was told. */
TEST(tcp_accept_of_a_blocking_descriptor_gives_up_in_time) {
    anjay_net_settings_t settings = settings_in_force();
    sock_t *server = listening_tcp("127.0.0.1", NULL);
    sock_t *socket = new_tcp(NULL);
    settings.accept_timeout_ms = 50;
    configure(&settings);
    SYS(fcntl(descriptor_of(server), F_SETFL, 0));
    CHECK_ERR(ETIMEDOUT, V(server)->accept(server, socket));
    CHECK_STATE(BOUND, server);
}

TEST(tcp_accept_applies_the_new_sockets_configuration) {
    sock_t *server = listening_tcp("127.0.0.1", NULL);
    sock_t *socket = new_tcp(&(config_t){ .dscp = 46, .priority = 5 });
    peer_connected_to(server, TCP, AF_INET);
    CHECK_OK(V(server)->accept(server, socket));
    CHECK_INT(46, int_option(descriptor_of(socket), IPPROTO_IP, IP_TOS) >> 2);
    CHECK_INT(5, int_option(descriptor_of(socket), SOL_SOCKET, SO_PRIORITY));
    CHECK_INT(0, int_option(descriptor_of(server), IPPROTO_IP, IP_TOS) >> 2);
}

/* A configuration that can't be applied is the error of accept. */
TEST(tcp_accept_that_fails_leaves_the_server_listening) {
    sock_t *server = listening_tcp("127.0.0.1", NULL);
    sock_t *unfit = new_tcp(&(config_t){ .interface_name = "nosuchif0" });
    sock_t *socket = new_tcp(NULL);
    peer_connected_to(server, TCP, AF_INET);
    CHECK_ERR(ENODEV, V(server)->accept(server, unfit));
    CHECK_STATE(CLOSED, unfit);
    CHECK_STATE(BOUND, server);
    peer_connected_to(server, TCP, AF_INET);
    CHECK_OK(V(server)->accept(server, socket));
}

/* On IPv6 and dual-stack sockets the reference always fails. */
TEST_EACH(udp_accept_makes_a_connected_socket, PLACES) {
    sock_t *server = udp_server(it->address);
    sock_t *socket = udp_target();
    peer_t peer = peer_that_says("first", server, it->family);
    CHECK_OK(V(server)->accept(server, socket));
    check_accepted(socket, server, &peer);
    CHECK_INT(0, bytes_received(server));
    /* The datagram was looked at, not taken. */
    expect_text(socket, "first");
    check_exchange(socket, &peer);
    CHECK_STATE(BOUND, server);
}

TEST_EACH(udp_server_is_bound_anew_on_the_same_address, PLACES) {
    sock_t *server = udp_server(it->address);
    sock_t *first = udp_target();
    sock_t *second = udp_target();
    const char *host = local_host(server);
    const char *port = local_port(server);
    uint64_t cookie = cookie_of(descriptor_of(server));
    peer_t one = peer_that_says("one", server, it->family);
    CHECK_OK(V(server)->accept(server, first));
    CHECK(cookie == cookie_of(descriptor_of(first)));
    CHECK(cookie != cookie_of(descriptor_of(server)));
    CHECK_STATE(BOUND, server);
    CHECK_STR(host, local_host(server));
    CHECK_STR(port, local_port(server));

    peer_t two = peer_that_says("two", server, it->family);
    CHECK_OK(V(server)->accept(server, second));
    expect_text(first, "one");
    expect_text(second, "two");
    peer_say(&one, first, "one again");
    peer_say(&two, second, "two again");
    expect_text(first, "one again");
    expect_text(second, "two again");
}

TEST_EACH(udp_datagrams_of_other_peers_never_reach_the_new_socket, PLACES) {
    peer_t others[5];
    char buffer[64];
    size_t length;
    sock_t *server = udp_server(it->address);
    sock_t *socket = udp_target();
    peer_t peer = peer_that_says("mine 1", server, it->family);
    for (size_t i = 0; i < LEN(others); ++i) {
        others[i] = peer_that_says("not yours", server, it->family);
    }
    peer_say(&peer, server, "mine 2");
    CHECK_OK(V(server)->accept(server, socket));
    CHECK_STR(peer.port, remote_port(socket));
    expect_text(socket, "mine 1");
    expect_text(socket, "mine 2");
    for (size_t i = 0; i < LEN(others); ++i) {
        peer_say(&others[i], server, "nor this");
    }
    set_timeout_us(socket, MS(50));
    CHECK_RECEIVE(ETIMEDOUT, "", socket, 64);
    CHECK_INT(12, bytes_received(socket));
    /* What they send from now on reaches the server. */
    do {
        CHECK_OK(V(server)->receive(server, &length, buffer, sizeof(buffer)));
        buffer[length] = '\0';
    } while (strcmp(buffer, "not yours") == 0);
    CHECK_STR("nor this", buffer);
}

TEST(udp_accept_waits_under_the_receive_timeout) {
    sock_t *server = udp_server("127.0.0.1");
    sock_t *socket = udp_target();
    uint64_t cookie = cookie_of(descriptor_of(server));
    set_timeout_us(server, 150500);
    int64_t start = now_us();
    CHECK_ERR(ETIMEDOUT, V(server)->accept(server, socket));
    CHECK_WAITED(start, 150500, MS(1150));
    CHECK_STATE(BOUND, server);
    CHECK_STATE(CLOSED, socket);
    CHECK(cookie == cookie_of(descriptor_of(server)));
}

TEST(signals_do_not_restart_the_clock_of_accept) {
    call_t call = call_on(udp_server("127.0.0.1"), do_accept);
    call.other = udp_target();
    set_timeout_us(call.socket, MS(300));
    call_start(&call);
    CHECK(worker_signal_storm(&call.worker) > 5);
    CHECK_LASTED(MS(300), MS(is_slow() ? 5000 : 900), &call);
    CHECK_ERR(ETIMEDOUT, call.error);
}

TEST_ROWS(udp_accept_wants_reuse_addr_on_both, int shared, 2, row) {
    config_t reuse = reuse_config();
    sock_t *server = bound_udp("127.0.0.1", shared ? &reuse : NULL);
    sock_t *socket = new_udp(shared ? NULL : &reuse);
    CHECK_ERR(EINVAL, V(server)->accept(server, socket));
    CHECK_STATE(BOUND, server);
    CHECK_STATE(CLOSED, socket);
}

/* And the new socket, which is connected, does not deliver it. */
TEST(udp_accept_takes_an_empty_first_datagram) {
    sock_t *server = udp_server("127.0.0.1");
    sock_t *socket = udp_target();
    peer_t peer = peer_that_says("", server, AF_INET);
    CHECK_OK(V(server)->accept(server, socket));
    CHECK_STR(peer.port, remote_port(socket));
    peer_say(&peer, socket, "next");
    expect_text(socket, "next");
}

TEST(udp_accept_applies_the_new_sockets_configuration) {
    sock_t *server = udp_server("127.0.0.1");
    sock_t *socket = new_udp(&(config_t){ .reuse_addr = 1, .dscp = 34, .priority = 4 });
    /* What a new descriptor can't show: the ECN bits are kept. */
    set_int_option(descriptor_of(server), IPPROTO_IP, IP_TOS, 3);
    peer_that_says("x", server, AF_INET);
    CHECK_OK(V(server)->accept(server, socket));
    CHECK_INT(34 << 2 | 3, int_option(descriptor_of(socket), IPPROTO_IP, IP_TOS));
    CHECK_INT(4, int_option(descriptor_of(socket), SOL_SOCKET, SO_PRIORITY));
}

/* Both as before, or the server closed and saying so. */
TEST(udp_accept_that_fails_leaves_both_usable) {
    sock_t *server = udp_server("127.0.0.1");
    sock_t *unfit = new_udp(&(config_t){ .reuse_addr = 1, .interface_name = "nosuchif0" });
    sock_t *socket = udp_target();
    char port[16];
    strcpy(port, local_port(server));
    peer_t peer = peer_that_says("x", server, AF_INET);
    CHECK_ERR(ENODEV, V(server)->accept(server, unfit));
    CHECK_STATE(CLOSED, unfit);
    if (state_of(server) != ANJAY_NET_SOCKET_STATE_BOUND) {
        CHECK_STATE(CLOSED, server);
        CHECK_OK(V(server)->bind(server, "127.0.0.1", port));
        peer_say(&peer, server, "x");
    }
    CHECK_STR(port, local_port(server));
    CHECK_OK(V(server)->accept(server, socket));
    expect_text(socket, "x");
}

TEST(accepted_socket_can_be_filled_again_after_close) {
    sock_t *server = udp_server("127.0.0.1");
    sock_t *socket = udp_target();
    for (int round = 0; round < 3; ++round) {
        peer_t peer = peer_that_says("hi", server, AF_INET);
        CHECK_OK(V(server)->accept(server, socket));
        expect_text(socket, "hi");
        CHECK_OK(V(socket)->close(socket));
        peer_close(&peer);
    }
}

TEST(closing_the_server_leaves_accepted_sockets_alone) {
    sock_t *server = udp_server("127.0.0.1");
    sock_t *socket = udp_target();
    peer_t peer = peer_that_says("hi", server, AF_INET);
    CHECK_OK(V(server)->accept(server, socket));
    dispose(&server);
    expect_text(socket, "hi");
    check_works(socket, &peer);
}
