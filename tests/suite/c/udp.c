/*
 * UDP: connecting, datagrams out, families, ICMP errors.
 */

#include "fixture.h"

#include <stdlib.h>

static const char LOCALHOST[] = "127.0.0.1 localhost\n::1 localhost\n";

TEST_EACH_FAMILY(connect_and_exchange) {
    peer_t peer;
    sock_t *socket = connected_pair_of(UDP, family, NULL, &peer);
    check_exchange(socket, &peer);
    CHECK_INT(4, bytes_sent(socket));
    CHECK_INT(4, bytes_received(socket));
    CHECK_REMOTE(peer.host, peer.port, socket);
}

TEST(connect_by_name) {
    config_t config = ipv4_config();
    sandbox_enter(LOCALHOST, NULL);
    sock_t *socket = new_udp(&config);
    peer_t peer = peer_udp(AF_INET);
    CHECK_OK(V(socket)->connect(socket, "localhost", peer.port));
    CHECK_STR("localhost", remote_hostname(socket));
    CHECK_STR("127.0.0.1", remote_host(socket));
    check_works(socket, &peer);
}

TEST(connect_to_an_ipv6_literal_in_brackets) {
    peer_t peer = peer_udp(AF_INET6);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, "[::1]", peer.port));
    CHECK_STR("::1", remote_host(socket));
    check_works(socket, &peer);
}

TEST(connect_without_host_is_refused) {
    sock_t *socket = new_udp(NULL);
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, NULL, "5683"));
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, "", "5683"));
    CHECK_STATE(CLOSED, socket);
}

static char overlong[257];

static const struct {
    const char *host;
    const char *port;
} BAD_TEXTS[] = { { "127.0.0.1", "65536" }, { "127.0.0.1", "-1" }, { "127.0.0.1", "+1" },
    { "127.0.0.1", " 80" }, { "127.0.0.1", "80 " }, { "127.0.0.1", "0x50" },
    { "127.0.0.1", "coap" }, { "127.0.0.1", "8\xFF" }, { overlong, "80" }, { "\xFF\xFE", "80" },
    { NULL, "80" }, { "", "80" } };

TEST(bad_text_is_refused_by_connect_and_send_to) {
    sock_t *bound = bound_udp("127.0.0.1", NULL);
    sock_t *socket = new_udp(NULL);
    memset(overlong, 'a', sizeof(overlong) - 1);
    for (size_t i = 0; i < LEN(BAD_TEXTS); ++i) {
        CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, BAD_TEXTS[i].host, BAD_TEXTS[i].port));
        CHECK_ERR(EADDRNOTAVAIL,
                V(bound)->send_to(bound, "x", 1, BAD_TEXTS[i].host, BAD_TEXTS[i].port));
    }
    CHECK_STATE(CLOSED, socket);
    CHECK_STATE(BOUND, bound);
    CHECK_INT(0, bytes_sent(bound));
}

TEST_EACH_FAMILY(forced_family_excludes_literals_of_the_other) {
    sock_t *socket = new_udp(&(config_t){ .address_family = family == AF_INET ? V6 : V4 });
    const char *other = family == AF_INET ? "127.0.0.1" : "::1";
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, other, "5683"));
    CHECK_STATE(CLOSED, socket);
}

TEST(preferred_family_still_allows_the_other) {
    peer_t peer;
    sock_t *socket = connected_pair_of(UDP, AF_INET, &(config_t){ .preferred_family = V6 }, &peer);
    check_works(socket, &peer);
}

TEST_EACH_FAMILY(send_to_and_receive_from) {
    peer_t peer = peer_udp(family);
    sock_t *socket = bound_udp(peer.host, NULL);
    CHECK_OK(V(socket)->send_to(socket, "ping", 4, peer.host, peer.port));
    peer_expect(&peer, "ping");
    CHECK_INT(4, bytes_sent(socket));
    peer_say(&peer, socket, "pong!");
    CHECK_RECEIVE_FROM(NO_ERROR, "pong!", &peer, socket, 64);
    CHECK_INT(5, bytes_received(socket));
    CHECK_STATE(BOUND, socket);
}

TEST(send_to_by_name) {
    sandbox_enter(LOCALHOST, NULL);
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    CHECK_OK(V(socket)->send_to(socket, "ping", 4, "localhost", peer.port));
    peer_expect(&peer, "ping");
}

TEST(zero_length_datagrams_are_sent) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    CHECK_OK(V(socket)->send_to(socket, "", 0, "127.0.0.1", peer.port));
    peer_expect(&peer, "");
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    CHECK_OK(V(socket)->send(socket, "", 0));
    peer_expect(&peer, "");
    CHECK_OK(V(socket)->send(socket, NULL, 0));
    peer_expect(&peer, "");
    CHECK_INT(0, bytes_sent(socket));
}

TEST(largest_datagram_passes_and_a_larger_one_is_refused) {
    enum { LARGEST = 65507 };
    static char out[LARGEST + 1];
    static char in[LARGEST + 1];
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    for (size_t i = 0; i <= LARGEST; ++i) {
        out[i] = (char) (i * 7);
    }
    CHECK_OK(V(socket)->send(socket, out, LARGEST));
    CHECK_INT(LARGEST, peer_receive(&peer, in, LARGEST + 1));
    CHECK_BYTES(out, in, LARGEST);
    CHECK_INT(LARGEST, bytes_sent(socket));
    CHECK_ERR(EMSGSIZE, V(socket)->send(socket, out, LARGEST + 1));
    CHECK_INT(LARGEST, bytes_sent(socket));
    peer_expect_nothing(&peer);
}

TEST(one_send_is_one_datagram) {
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    send_text(socket, "one");
    send_text(socket, "two");
    peer_expect(&peer, "one");
    peer_expect(&peer, "two");
}

TEST(ipv6_wildcard_socket_reaches_ipv4_peers) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("::", NULL);
    const char *port = local_port(socket);
    CHECK_OK(V(socket)->send_to(socket, "ping", 4, "127.0.0.1", peer.port));
    peer_expect(&peer, "ping");
    CHECK_STR(port, local_port(socket));
    peer_say(&peer, socket, "pong");
    CHECK_RECEIVE_FROM(NO_ERROR, "pong", &peer, socket, 16);
}

static void check_connects_across(const char *bound_to, int peer_family) {
    sock_t *socket = bound_udp(bound_to, NULL);
    const char *port = local_port(socket);
    peer_t peer = connect_to_peer(socket, UDP, peer_family);
    CHECK_STATE(CONNECTED, socket);
    CHECK_STR(port, local_port(socket));
    CHECK_STR(peer.host, remote_host(socket));
    CHECK_INT(V6, get_opt(socket, ANJAY_NET_SOCKET_OPT_ADDR_FAMILY).addr_family);
    check_exchange(socket, &peer);
}

TEST(ipv6_wildcard_socket_connects_to_an_ipv4_peer) {
    check_connects_across("::", AF_INET);
}

/* Recreated in the other family, on the same port. */
TEST(ipv4_wildcard_socket_connects_to_an_ipv6_peer) {
    check_connects_across("0.0.0.0", AF_INET6);
}

/* send_to never recreates the socket: what is queued on it stays. */
TEST(ipv4_socket_does_not_send_to_ipv6_peers) {
    peer_t v6 = peer_udp(AF_INET6);
    peer_t v4 = peer_udp(AF_INET);
    sock_t *socket = bound_udp("0.0.0.0", NULL);
    peer_say(&v4, socket, "queued");
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->send_to(socket, "six", 3, "::1", v6.port));
    CHECK_STATE(BOUND, socket);
    CHECK_OK(V(socket)->send_to(socket, "four", 4, "127.0.0.1", v4.port));
    peer_expect(&v4, "four");
    CHECK_INT(4, bytes_sent(socket));
    expect_text(socket, "queued");
}

/* Only the addresses that the descriptor reaches are asked for, whichever
   family is preferred. */
TEST(ipv4_socket_sends_to_the_ipv4_address_of_a_dual_stack_name) {
    sandbox_enter("::1 server.test\n127.0.0.1 server.test\n", NULL);
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("0.0.0.0", NULL);
    peer_say(&peer, socket, "queued");
    CHECK_OK(V(socket)->send_to(socket, "ping", 4, "server.test", peer.port));
    peer_expect(&peer, "ping");
    expect_text(socket, "queued");
}

/* An option that restricts the socket to IPv6 holds for names as it does for
   literals: no IPv4 datagram leaves. */
TEST(forced_ipv6_socket_does_not_send_to_an_ipv4_name) {
    sandbox_enter("127.0.0.1 server.test\n", NULL);
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp(NULL, &(config_t){ .address_family = V6 });
    CHECK(V(socket)->send_to(socket, "x", 1, "server.test", peer.port).code != 0);
    CHECK_INT(0, bytes_sent(socket));
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->send_to(socket, "x", 1, "127.0.0.1", peer.port));
}

/* EADDRNOTAVAIL, or ENETUNREACH where the kernel says so first; nothing else,
   and the socket stays bound where it was. */
TEST_EACH_FAMILY(specifically_bound_socket_does_not_reach_the_other_family) {
    const char *own = family == AF_INET ? "127.0.0.1" : "::1";
    const char *other = family == AF_INET ? "::1" : "127.0.0.1";
    sock_t *socket = bound_udp(own, NULL);
    const char *port = local_port(socket);
    CHECK_EITHER(EADDRNOTAVAIL, ENETUNREACH, V(socket)->connect(socket, other, "5683"));
    CHECK_EITHER(EADDRNOTAVAIL, ENETUNREACH, V(socket)->send_to(socket, "x", 1, other, "5683"));
    CHECK_STATE(BOUND, socket);
    CHECK_STR(port, local_port(socket));
    CHECK_STR(own, local_host(socket));
}

TEST(failed_connect_keeps_a_bound_socket_on_its_port) {
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    const char *port = local_port(socket);
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, "127.0.0.1", "bad"));
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, NULL, "1"));
    CHECK(V(socket)->connect(socket, "::1", "5683").code != 0);
    /* The kernel's own refusal: broadcast without SO_BROADCAST. */
    CHECK_ERR(EACCES, V(socket)->connect(socket, "255.255.255.255", "5683"));
    CHECK_STATE(BOUND, socket);
    CHECK_STR(port, local_port(socket));
    peer_t peer = connect_to_peer(socket, UDP, AF_INET);
    check_works(socket, &peer);
}

static sock_t *connected_to_nobody(void) {
    refused_t nobody = refused(SOCK_DGRAM);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, nobody.host, nobody.port));
    send_text(socket, "anybody there?");
    return socket;
}

TEST(port_unreachable_is_reported_once) {
    sock_t *socket = connected_to_nobody();
    set_timeout_us(socket, MS(5000));
    CHECK_RECEIVE(ECONNREFUSED, "", socket, 16);
    set_timeout_us(socket, MS(20));
    CHECK_RECEIVE(ETIMEDOUT, "", socket, 16);
    CHECK_STATE(CONNECTED, socket);
}

/* A datagram that could go out is never lost to the error of an earlier one. */
TEST(pending_error_does_not_stop_a_send) {
    sock_t *socket = connected_to_nobody();
    CHECK(wait_for(descriptor_of(socket), 0, 5000)); /* POLLERR */
    send_text(socket, "x");
    CHECK_INT(15, bytes_sent(socket));
    /* Nobody is there yet: the next error is for receive. */
    CHECK(wait_for(descriptor_of(socket), 0, 5000));
    CHECK_RECEIVE(ECONNREFUSED, "", socket, 16);
}

TEST(connected_socket_hears_its_peer_only) {
    peer_t peer;
    peer_t stranger = peer_udp(AF_INET);
    sock_t *socket = connected_pair(UDP, &peer);
    peer_say(&stranger, socket, "bad");
    peer_say(&peer, socket, "good");
    expect_text(socket, "good");
    CHECK_INT(4, bytes_received(socket));
}

static const char *const WILDCARDS[] = { "127.0.0.1", "::" };

/* What strangers sent before connect is still queued in the kernel. */
TEST_EACH(datagrams_of_strangers_queued_before_connect_are_not_delivered, WILDCARDS) {
    peer_t peer = peer_udp(AF_INET);
    peer_t stranger = peer_udp(AF_INET);
    sock_t *socket = bound_udp(*it, NULL);
    char buffer[16];
    size_t length = 99;
    peer_say(&stranger, socket, "bad 1");
    peer_say(&peer, socket, "good 1");
    peer_say(&stranger, socket, "bad 2");
    peer_say(&peer, socket, "good 2");
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    peer_say(&stranger, socket, "bad 3");
    peer_say(&peer, socket, "good 3");
    set_timeout_us(socket, MS(20));
    /* The peer's early datagrams may be dropped along with the rest. */
    do {
        CHECK_OK(V(socket)->receive(socket, &length, buffer, sizeof(buffer) - 1));
        buffer[length] = '\0';
        CHECK_INT(0, strncmp(buffer, "good", 4));
    } while (strcmp(buffer, "good 3") != 0);
    CHECK_RECEIVE(ETIMEDOUT, "", socket, 16);
}

TEST(client_keeps_its_port_over_a_reconnect) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    char port[16];
    strcpy(port, local_port(socket));
    for (int round = 0; round < 5; ++round) {
        CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
        CHECK_STR(port, local_port(socket));
        CHECK_OK(V(socket)->close(socket));
        CHECK_OK(V(socket)->bind(socket, "127.0.0.1", port));
    }
}
