/*
 * Settings about how networks treat sockets: how long an outage is bridged,
 * how soon a dead stream is noticed, what small messages and empty datagrams
 * do.
 */

#include "fixture.h"
#include "netns.h"
#include "settings.h"

#include "anjay_net.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static const int FAMILIES[] = { AF_INET, AF_INET6 };

SLOW_TEST(defaults_suit_unattended_devices) {
    anjay_net_settings_t settings = settings_in_force();
    CHECK_INT(60000, settings.udp_outage_ms);
    CHECK_INT(0, settings.tcp_keepalive_s);
    CHECK_INT(0, settings.tcp_user_timeout_ms);
    CHECK_INT(1, settings.tcp_nodelay);
    CHECK_INT(0, settings.deliver_empty_datagrams);
}

/* A program that was compiled before they were there. */
SLOW_TEST(shorter_struct_leaves_them_alone) {
    anjay_net_settings_t settings = settings_in_force();
    settings.udp_outage_ms = 1000;
    settings.tcp_keepalive_s = 7;
    settings.tcp_user_timeout_ms = 1234;
    settings.tcp_nodelay = 0;
    settings.deliver_empty_datagrams = 1;
    configure(&settings);
    memset(&settings.udp_outage_ms, 0,
           sizeof(settings) - offsetof(anjay_net_settings_t, udp_outage_ms));
    settings.size = offsetof(anjay_net_settings_t, udp_outage_ms);
    configure(&settings);
    settings = settings_in_force();
    CHECK_INT(1000, settings.udp_outage_ms);
    CHECK_INT(7, settings.tcp_keepalive_s);
    CHECK_INT(1234, settings.tcp_user_timeout_ms);
    CHECK_INT(0, settings.tcp_nodelay);
    CHECK_INT(1, settings.deliver_empty_datagrams);
}

/* ------------------------------------------------------------- streams --- */

/* Calls `check` with every kind of stream: connected and accepted, of both
   families. */
static void with_every_stream(void (*check)(int fd)) {
    size_t i;
    for (i = 0; i < LEN(FAMILIES); ++i) {
        peer_t listener = peer_listen(FAMILIES[i]);
        sock_t *socket = new_tcp(NULL);
        sock_t *server = listening_tcp(listener.host, NULL);
        sock_t *accepted = new_tcp(NULL);
        peer_connect(FAMILIES[i], SOCK_STREAM, local_port(server));
        CHECK_OK(V(socket)->connect(socket, listener.host, listener.port));
        check(descriptor_of(socket));
        CHECK_OK(V(server)->accept(server, accepted));
        check(descriptor_of(accepted));
    }
}

static void check_delays(int fd) {
    CHECK_INT(0, int_option(fd, IPPROTO_TCP, TCP_NODELAY));
}

SLOW_TEST(nagle_may_be_asked_for) {
    anjay_net_settings_t settings = settings_in_force();
    settings.tcp_nodelay = 0;
    configure(&settings);
    with_every_stream(check_delays);
}

static void check_has_no_timers(int fd) {
    CHECK_INT(0, int_option(fd, SOL_SOCKET, SO_KEEPALIVE));
    CHECK_INT(0, int_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT));
}

SLOW_TEST(streams_have_no_timers_by_default) {
    with_every_stream(check_has_no_timers);
}

static void check_is_kept_alive(int fd) {
    CHECK_INT(1, int_option(fd, SOL_SOCKET, SO_KEEPALIVE));
    CHECK_INT(7, int_option(fd, IPPROTO_TCP, TCP_KEEPIDLE));
}

SLOW_TEST(streams_are_kept_alive) {
    anjay_net_settings_t settings = settings_in_force();
    settings.tcp_keepalive_s = 7;
    configure(&settings);
    with_every_stream(check_is_kept_alive);
}

static void check_has_a_user_timeout(int fd) {
    CHECK_INT(1234, int_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT));
}

SLOW_TEST(streams_have_a_user_timeout) {
    anjay_net_settings_t settings = settings_in_force();
    settings.tcp_user_timeout_ms = 1234;
    configure(&settings);
    with_every_stream(check_has_a_user_timeout);
}

/* A connection over the cable, whose far end then hears and says nothing. */
static sock_t *connect_to_a_host_that_vanishes(const cable_t *cable,
                                               peer_t *peer) {
    peer_t listener = peer_in(&cable->away, SOCK_STREAM, AWAY_V4, 0);
    sock_t *socket = new_tcp(NULL);
    CHECK_OK(V(socket)->connect(socket, AWAY_V4, listener.port));
    *peer = peer_accept(&listener);
    peer_close(&listener);
    send_text(socket, "ping");
    peer_expect(peer, "ping");
    run_away(cable, "nft 'add table inet t; add chain inet t in { type filter "
                    "hook input priority 0; }; add rule inet t in meta l4proto "
                    "tcp drop'");
    return socket;
}

static void check_is_noticed(bool by_sending, int64_t at_most_us) {
    cable_t cable = netns_cable("127.0.0.1 localhost\n", NULL);
    peer_t peer;
    sock_t *socket = connect_to_a_host_that_vanishes(&cable, &peer);
    int64_t start = now_us();
    set_timeout_us(socket, MS(30000));
    if (by_sending) {
        send_text(socket, "anybody there?");
    }
    CHECK_RECEIVE(ECONNRESET, "", socket, 1);
    CHECK_WAITED(start, 0, at_most_us);
}

SLOW_TEST(user_timeout_ends_a_send_that_nobody_acknowledges) {
    anjay_net_settings_t settings = settings_in_force();
    settings.tcp_user_timeout_ms = 500;
    configure(&settings);
    check_is_noticed(true, MS(3000));
}

/* Nothing is sent at all. */
SLOW_TEST(keepalive_ends_a_connection_that_died_without_a_word) {
    anjay_net_settings_t settings = settings_in_force();
    settings.tcp_keepalive_s = 1;
    settings.tcp_user_timeout_ms = 500;
    configure(&settings);
    check_is_noticed(false, MS(4500));
}

/* ----------------------------------------------------------- datagrams --- */

static sock_t *connect_and_exchange(const cable_t *cable,
                                    int family,
                                    peer_t *peer) {
    sock_t *socket = new_udp(NULL);
    *peer = peer_in(&cable->away, SOCK_DGRAM, away_literal(family), 0);
    CHECK_OK(V(socket)->connect(socket, away_literal(family), peer->port));
    send_text(socket, "ping");
    peer_expect(peer, "ping");
    return socket;
}

static void lose_routes(void) {
    run("ip -4 route del 192.0.2.0/24; ip -6 route del 2001:db8::/64");
}

static void restore_routes(void) {
    run("ip -4 route add 192.0.2.0/24 dev eth0; ip -6 route add 2001:db8::/64 "
        "dev eth0");
}

enum { OUTAGE = 400 };

SLOW_TEST_EACH_FAMILY(outage_is_bridged_for_so_long) {
    anjay_net_settings_t settings = settings_in_force();
    cable_t cable = netns_cable("127.0.0.1 localhost\n", NULL);
    settings.udp_outage_ms = OUTAGE;
    configure(&settings);
    int round;
    peer_t peer;
    sock_t *socket = connect_and_exchange(&cable, family, &peer);
    for (round = 0; round < 2; ++round) {
        int64_t before = now_us();
        int64_t worked;
        anjay_net_error_t error;
        send_text(socket, "works");
        peer_expect(&peer, "works");
        worked = now_us();
        lose_routes();
        do {
            error = V(socket)->send(socket, "lost", 4);
            poll(NULL, 0, 10);
        } while (error.code == 0 && now_us() < worked + MS(5000));
        CHECK_ERR(ENETUNREACH, error);
        CHECK_WAITED(before, MS(OUTAGE), MS(OUTAGE) + PROMPT);
        CHECK_STATE(CONNECTED, socket);
        /* And so it goes on until there is a way again. */
        CHECK_ERR(ENETUNREACH, V(socket)->send(socket, "lost", 4));
        restore_routes();
    }
    send_text(socket, "works");
    peer_expect(&peer, "works");
}

/* The next one of an object that is used again begins anew, however it is used. */
SLOW_TEST(outage_is_over_when_the_socket_is_closed) {
    anjay_net_settings_t settings = settings_in_force();
    cable_t cable = netns_cable("127.0.0.1 localhost\n", NULL);
    config_t config = reuse_config();
    sock_t *server = bound_udp("0.0.0.0", &config);
    sock_t *socket = new_udp(&config);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, "0.0.0.0", 0);
    sender_t home = home_at(AF_INET, local_port(server));
    settings.udp_outage_ms = 100;
    configure(&settings);
    set_timeout_us(server, MS(5000));
    CHECK_OK(V(socket)->connect(socket, AWAY_V4, peer.port));
    lose_routes();
    while (V(socket)->send(socket, "lost", 4).code == 0) {
        poll(NULL, 0, 10);
    }
    CHECK_OK(V(socket)->close(socket));
    restore_routes();
    peer_reply(&peer, &home, "hello");
    CHECK_OK(V(server)->accept(server, socket));
    lose_routes();
    send_text(socket, "lost");
}

SLOW_TEST_EACH_FAMILY(outage_may_be_an_error_at_once) {
    anjay_net_settings_t settings = settings_in_force();
    cable_t cable = netns_cable("127.0.0.1 localhost\n", NULL);
    settings.udp_outage_ms = 0;
    configure(&settings);
    peer_t peer;
    sock_t *socket = connect_and_exchange(&cable, family, &peer);
    lose_routes();
    CHECK_ERR(ENETUNREACH, V(socket)->send(socket, "lost", 4));
    restore_routes();
    send_text(socket, "found");
    peer_expect(&peer, "found");
}

SLOW_TEST_EACH_FAMILY(empty_datagrams_may_be_asked_for) {
    anjay_net_settings_t settings = settings_in_force();
    settings.deliver_empty_datagrams = 1;
    configure(&settings);
    peer_t peer = peer_udp(family);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, peer.host, peer.port));
    peer_send_to(&peer, local_port(socket), "", 0);
    peer_send_to(&peer, local_port(socket), "one", 3);
    expect_text(socket, "");
    expect_text(socket, "one");
}
