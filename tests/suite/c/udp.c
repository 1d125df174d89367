/*
 * UDP: connecting, datagrams out, families, ICMP errors.
 */

#include "peer.h"
#include "sandbox.h"
#include "sock.h"

#include <stdlib.h>
#include <unistd.h>

static const struct {
    int family;
    const char *host;
} FAMILIES[] = { { AF_INET, "127.0.0.1" }, { AF_INET6, "::1" } };

TEST(connect_and_exchange) {
    size_t i;
    for (i = 0; i < LEN(FAMILIES); ++i) {
        peer_t peer = peer_udp(FAMILIES[i].family);
        sock_t *socket = new_udp(NULL);
        CHECK_OK(V(socket)->connect(socket, FAMILIES[i].host, peer.port));
        send_text(socket, "ping");
        peer_expect(&peer, "ping");
        peer_send_to(&peer, local_port(socket), "pong", 4);
        expect_text(socket, "pong");
        CHECK_INT(4, bytes_sent(socket));
        CHECK_INT(4, bytes_received(socket));
        CHECK_STR(FAMILIES[i].host, remote_host(socket));
        CHECK_STR(peer.port, remote_port(socket));
        dispose(&socket);
        peer_close(&peer);
    }
}

TEST(connect_by_name) {
    peer_t peer;
    config_t config = ipv4_config();
    sock_t *socket = new_udp(&config);
    char name[32];
    sandbox_enter("127.0.0.1 localhost\n::1 localhost\n", NULL);
    peer = peer_udp(AF_INET);
    CHECK_OK(V(socket)->connect(socket, "localhost", peer.port));
    CHECK_OK(V(socket)->get_remote_hostname(socket, name, sizeof(name)));
    CHECK_STR("localhost", name);
    CHECK_STR("127.0.0.1", remote_host(socket));
    send_text(socket, "ping");
    peer_expect(&peer, "ping");
    dispose(&socket);
    peer_close(&peer);
}

TEST(connect_to_an_ipv6_literal_in_brackets) {
    peer_t peer = peer_udp(AF_INET6);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, "[::1]", peer.port));
    CHECK_STR("::1", remote_host(socket));
    send_text(socket, "ping");
    peer_expect(&peer, "ping");
    dispose(&socket);
    peer_close(&peer);
}

TEST(connect_without_host_is_refused) {
    sock_t *socket = new_udp(NULL);
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, NULL, "5683"));
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, "", "5683"));
    CHECK_STATE(CLOSED, socket);
    dispose(&socket);
}

TEST(bad_text_is_refused_by_connect_and_send_to) {
    static const char *const PORTS[] = { "65536", "-1",  "+1", " 80", "80 ",
                                         "0x50",  "coap", "8\xFF" };
    sock_t *bound = bound_udp("127.0.0.1", NULL);
    sock_t *socket = new_udp(NULL);
    char name[257];
    size_t i;
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (i = 0; i < LEN(PORTS); ++i) {
        CHECK_ERR(EADDRNOTAVAIL,
                  V(socket)->connect(socket, "127.0.0.1", PORTS[i]));
        CHECK_ERR(EADDRNOTAVAIL,
                  V(bound)->send_to(bound, "x", 1, "127.0.0.1", PORTS[i]));
    }
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, name, "80"));
    CHECK_ERR(EADDRNOTAVAIL, V(bound)->send_to(bound, "x", 1, name, "80"));
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, "\xFF\xFE", "80"));
    CHECK_ERR(EADDRNOTAVAIL, V(bound)->send_to(bound, "x", 1, "\xFF\xFE", "80"));
    CHECK_ERR(EADDRNOTAVAIL, V(bound)->send_to(bound, "x", 1, NULL, "80"));
    CHECK_ERR(EADDRNOTAVAIL, V(bound)->send_to(bound, "x", 1, "", "80"));
    CHECK_STATE(CLOSED, socket);
    CHECK_STATE(BOUND, bound);
    CHECK_INT(0, bytes_sent(bound));
    dispose(&socket);
    dispose(&bound);
}

TEST(forced_family_excludes_literals_of_the_other) {
    config_t config = default_config();
    sock_t *socket;
    config.address_family = ANJAY_NET_AF_INET6;
    socket = new_udp(&config);
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, "127.0.0.1", "5683"));
    CHECK_STATE(CLOSED, socket);
    dispose(&socket);
    config.address_family = ANJAY_NET_AF_INET4;
    socket = new_udp(&config);
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, "::1", "5683"));
    CHECK_STATE(CLOSED, socket);
    dispose(&socket);
}

TEST(preferred_family_still_allows_the_other) {
    config_t config = default_config();
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket;
    config.preferred_family = ANJAY_NET_AF_INET6;
    socket = new_udp(&config);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    send_text(socket, "ping");
    peer_expect(&peer, "ping");
    dispose(&socket);
    peer_close(&peer);
}

TEST(send_to_and_receive_from) {
    size_t i;
    for (i = 0; i < LEN(FAMILIES); ++i) {
        peer_t peer = peer_udp(FAMILIES[i].family);
        sock_t *socket = bound_udp(FAMILIES[i].host, NULL);
        char buffer[64];
        char host[64];
        char port[16];
        size_t length;
        CHECK_OK(V(socket)->send_to(socket, "ping", 4, FAMILIES[i].host,
                                    peer.port));
        peer_expect(&peer, "ping");
        CHECK_INT(4, bytes_sent(socket));
        peer_send_to(&peer, local_port(socket), "pong!", 5);
        CHECK_OK(V(socket)->receive_from(socket, &length, buffer,
                                         sizeof(buffer), host, sizeof(host),
                                         port, sizeof(port)));
        CHECK_INT(5, length);
        CHECK_BYTES("pong!", buffer, 5);
        CHECK_STR(FAMILIES[i].host, host);
        CHECK_STR(peer.port, port);
        CHECK_INT(5, bytes_received(socket));
        CHECK_STATE(BOUND, socket);
        dispose(&socket);
        peer_close(&peer);
    }
}

TEST(send_to_by_name) {
    peer_t peer;
    sock_t *socket;
    sandbox_enter("127.0.0.1 localhost\n::1 localhost\n", NULL);
    peer = peer_udp(AF_INET);
    socket = bound_udp("127.0.0.1", NULL);
    CHECK_OK(V(socket)->send_to(socket, "ping", 4, "localhost", peer.port));
    peer_expect(&peer, "ping");
    dispose(&socket);
    peer_close(&peer);
}

TEST(zero_length_datagrams_are_sent) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    char byte;
    CHECK_OK(V(socket)->send_to(socket, "", 0, "127.0.0.1", peer.port));
    CHECK_INT(0, peer_receive(&peer, &byte, 1));
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    CHECK_OK(V(socket)->send(socket, "", 0));
    CHECK_INT(0, peer_receive(&peer, &byte, 1));
    CHECK_OK(V(socket)->send(socket, NULL, 0));
    CHECK_INT(0, peer_receive(&peer, &byte, 1));
    CHECK_INT(0, bytes_sent(socket));
    dispose(&socket);
    peer_close(&peer);
}

TEST(largest_datagram_passes_and_a_larger_one_is_refused) {
    enum { LARGEST = 65507 };
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    char *out = (char *) malloc(LARGEST + 1);
    char *in = (char *) malloc(LARGEST + 1);
    size_t i;
    for (i = 0; i <= LARGEST; ++i) {
        out[i] = (char) (i * 7);
    }
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    CHECK_OK(V(socket)->send(socket, out, LARGEST));
    CHECK_INT(LARGEST, peer_receive(&peer, in, LARGEST + 1));
    CHECK_BYTES(out, in, LARGEST);
    CHECK_INT(LARGEST, bytes_sent(socket));
    CHECK_ERR(EMSGSIZE, V(socket)->send(socket, out, LARGEST + 1));
    CHECK_INT(LARGEST, bytes_sent(socket));
    peer_expect_nothing(&peer);
    free(out);
    free(in);
    dispose(&socket);
    peer_close(&peer);
}

TEST(one_send_is_one_datagram) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    send_text(socket, "one");
    send_text(socket, "two");
    peer_expect(&peer, "one");
    peer_expect(&peer, "two");
    dispose(&socket);
    peer_close(&peer);
}

TEST(ipv6_wildcard_socket_reaches_ipv4_peers) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("::", NULL);
    const char *port = local_port(socket);
    char buffer[16];
    char host[64];
    char from[16];
    size_t length;
    CHECK_OK(V(socket)->send_to(socket, "ping", 4, "127.0.0.1", peer.port));
    peer_expect(&peer, "ping");
    CHECK_STR(port, local_port(socket));
    peer_send_to(&peer, port, "pong", 4);
    CHECK_OK(V(socket)->receive_from(socket, &length, buffer, sizeof(buffer),
                                     host, sizeof(host), from, sizeof(from)));
    CHECK_INT(4, length);
    CHECK_STR("127.0.0.1", host);
    CHECK_STR(peer.port, from);
    dispose(&socket);
    peer_close(&peer);
}

TEST(ipv6_wildcard_socket_connects_to_an_ipv4_peer) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("::", NULL);
    const char *port = local_port(socket);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    CHECK_STR(port, local_port(socket));
    CHECK_STR("127.0.0.1", remote_host(socket));
    send_text(socket, "ping");
    peer_expect(&peer, "ping");
    peer_send_to(&peer, port, "pong", 4);
    expect_text(socket, "pong");
    dispose(&socket);
    peer_close(&peer);
}

/* Recreated in the other family, on the same port. */
TEST(ipv4_wildcard_socket_connects_to_an_ipv6_peer) {
    peer_t peer = peer_udp(AF_INET6);
    sock_t *socket = bound_udp("0.0.0.0", NULL);
    const char *port = local_port(socket);
    CHECK_OK(V(socket)->connect(socket, "::1", peer.port));
    CHECK_STATE(CONNECTED, socket);
    send_text(socket, "ping");
    peer_expect(&peer, "ping");
    CHECK_STR(port, local_port(socket));
    CHECK_INT(ANJAY_NET_AF_INET6,
              get_opt(socket, ANJAY_NET_SOCKET_OPT_ADDR_FAMILY).addr_family);
    peer_send_to(&peer, port, "pong", 4);
    expect_text(socket, "pong");
    dispose(&socket);
    peer_close(&peer);
}

/* send_to never recreates the socket: what is queued on it stays. */
TEST(ipv4_socket_does_not_send_to_ipv6_peers) {
    peer_t v6 = peer_udp(AF_INET6);
    peer_t v4 = peer_udp(AF_INET);
    sock_t *socket = bound_udp("0.0.0.0", NULL);
    const char *port = local_port(socket);
    peer_send_to(&v4, port, "queued", 6);
    CHECK_ERR(EADDRNOTAVAIL,
              V(socket)->send_to(socket, "six", 3, "::1", v6.port));
    CHECK_STATE(BOUND, socket);
    CHECK_OK(V(socket)->send_to(socket, "four", 4, "127.0.0.1", v4.port));
    peer_expect(&v4, "four");
    CHECK_INT(4, bytes_sent(socket));
    expect_text(socket, "queued");
    dispose(&socket);
    peer_close(&v6);
    peer_close(&v4);
}

/* Only the addresses that the descriptor reaches are asked for, whichever
   family is preferred. */
TEST(ipv4_socket_sends_to_the_ipv4_address_of_a_dual_stack_name) {
    peer_t peer;
    sock_t *socket;
    const char *port;
    sandbox_enter("::1 server.test\n127.0.0.1 server.test\n", NULL);
    peer = peer_udp(AF_INET);
    socket = bound_udp("0.0.0.0", NULL);
    port = local_port(socket);
    peer_send_to(&peer, port, "queued", 6);
    CHECK_OK(V(socket)->send_to(socket, "ping", 4, "server.test", peer.port));
    peer_expect(&peer, "ping");
    expect_text(socket, "queued");
    dispose(&socket);
    peer_close(&peer);
}

/* An option that restricts the socket to IPv6 holds for names as it does for
   literals: no IPv4 datagram leaves. */
TEST(forced_ipv6_socket_does_not_send_to_an_ipv4_name) {
    peer_t peer;
    config_t config = { 0 };
    sock_t *socket;
    config.address_family = ANJAY_NET_AF_INET6;
    sandbox_enter("127.0.0.1 server.test\n", NULL);
    peer = peer_udp(AF_INET);
    socket = bound_udp(NULL, &config);
    CHECK(V(socket)->send_to(socket, "x", 1, "server.test", peer.port).code
          != 0);
    CHECK_INT(0, bytes_sent(socket));
    CHECK_ERR(EADDRNOTAVAIL,
              V(socket)->send_to(socket, "x", 1, "127.0.0.1", peer.port));
    dispose(&socket);
    peer_close(&peer);
}

/* EADDRNOTAVAIL, or ENETUNREACH where the kernel says so first; nothing else,
   and the socket stays bound where it was. */
static void check_other_family_is_refused(const char *own, const char *other) {
    sock_t *socket = bound_udp(own, NULL);
    const char *port = local_port(socket);
    anjay_net_error_t error = V(socket)->connect(socket, other, "5683");
    if (error.code != ANJAY_NET_ERRNO_ENETUNREACH) {
        CHECK_ERR(EADDRNOTAVAIL, error);
    }
    error = V(socket)->send_to(socket, "x", 1, other, "5683");
    if (error.code != ANJAY_NET_ERRNO_ENETUNREACH) {
        CHECK_ERR(EADDRNOTAVAIL, error);
    }
    CHECK_STATE(BOUND, socket);
    CHECK_STR(port, local_port(socket));
    CHECK_STR(own, local_host(socket));
    dispose(&socket);
}

TEST(specifically_bound_socket_does_not_reach_the_other_family) {
    check_other_family_is_refused("127.0.0.1", "::1");
    check_other_family_is_refused("::1", "127.0.0.1");
}

TEST(failed_connect_keeps_a_bound_socket_on_its_port) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    const char *port = local_port(socket);
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, "127.0.0.1", "bad"));
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, NULL, "1"));
    CHECK(V(socket)->connect(socket, "::1", "5683").code != 0);
    /* The kernel's own refusal: broadcast without SO_BROADCAST. */
    CHECK_ERR(EACCES, V(socket)->connect(socket, "255.255.255.255", "5683"));
    CHECK_STATE(BOUND, socket);
    CHECK_STR(port, local_port(socket));
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    send_text(socket, "ping");
    peer_expect(&peer, "ping");
    dispose(&socket);
    peer_close(&peer);
}

TEST(port_unreachable_is_reported_once) {
    char host[16];
    char port[8];
    char buffer[16];
    size_t length = 7;
    int keeper = refused_endpoint(SOCK_DGRAM, host, port);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, host, port));
    set_timeout_us(socket, MS(5000));
    send_text(socket, "anybody there?");
    CHECK_ERR(ECONNREFUSED,
              V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
    CHECK_INT(0, length);
    set_timeout_us(socket, MS(20));
    CHECK_ERR(ETIMEDOUT,
              V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
    CHECK_STATE(CONNECTED, socket);
    dispose(&socket);
    SYS(close(keeper));
}

/* A datagram that could go out is never lost to the error of an earlier one. */
TEST(pending_error_does_not_stop_a_send) {
    size_t length;
    char buffer[16];
    char host[16];
    char port[8];
    int keeper = refused_endpoint(SOCK_DGRAM, host, port);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, host, port));
    send_text(socket, "anybody there?");
    CHECK(wait_for(descriptor_of(socket), 0, 5000)); /* POLLERR */
    send_text(socket, "x");
    CHECK_INT(15, bytes_sent(socket));
    /* Nobody is there yet: the next error is for receive. */
    CHECK(wait_for(descriptor_of(socket), 0, 5000));
    CHECK_ERR(ECONNREFUSED,
              V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
    dispose(&socket);
    SYS(close(keeper));
}

TEST(connected_socket_hears_its_peer_only) {
    peer_t peer = peer_udp(AF_INET);
    peer_t stranger = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    peer_send_to(&stranger, local_port(socket), "bad", 3);
    peer_send_to(&peer, local_port(socket), "good", 4);
    expect_text(socket, "good");
    CHECK_INT(4, bytes_received(socket));
    dispose(&socket);
    peer_close(&stranger);
    peer_close(&peer);
}

/* What strangers sent before connect is still queued in the kernel. */
TEST(datagrams_of_strangers_queued_before_connect_are_not_delivered) {
    static const char *const ADDRESSES[] = { "127.0.0.1", "::" };
    size_t i;
    for (i = 0; i < LEN(ADDRESSES); ++i) {
        peer_t peer = peer_udp(AF_INET);
        peer_t stranger = peer_udp(AF_INET);
        sock_t *socket = bound_udp(ADDRESSES[i], NULL);
        char buffer[16];
        size_t length = 99;
        peer_send_to(&stranger, local_port(socket), "bad 1", 5);
        peer_send_to(&peer, local_port(socket), "good 1", 6);
        peer_send_to(&stranger, local_port(socket), "bad 2", 5);
        peer_send_to(&peer, local_port(socket), "good 2", 6);
        CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
        peer_send_to(&stranger, local_port(socket), "bad 3", 5);
        peer_send_to(&peer, local_port(socket), "good 3", 6);
        set_timeout_us(socket, MS(20));
        /* The peer's early datagrams may be dropped along with the rest. */
        do {
            CHECK_OK(V(socket)->receive(socket, &length, buffer,
                                        sizeof(buffer) - 1));
            buffer[length] = '\0';
            CHECK_INT(0, strncmp(buffer, "good", 4));
        } while (strcmp(buffer, "good 3") != 0);
        CHECK_ERR(ETIMEDOUT, V(socket)->receive(socket, &length, buffer,
                                                sizeof(buffer)));
        dispose(&socket);
        peer_close(&stranger);
        peer_close(&peer);
    }
}

TEST(client_keeps_its_port_over_a_reconnect) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    char port[16];
    int round;
    strcpy(port, local_port(socket));
    for (round = 0; round < 5; ++round) {
        CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
        CHECK_STR(port, local_port(socket));
        CHECK_OK(V(socket)->close(socket));
        CHECK_OK(V(socket)->bind(socket, "127.0.0.1", port));
    }
    dispose(&socket);
    peer_close(&peer);
}
