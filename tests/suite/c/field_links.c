/*
 * Links, addresses and interfaces that go away and come back under a socket,
 * and what a socket tells of them.
 */

#include "fixture.h"
#include "netns.h"

#include "anjay_net.h"
#include "warnings.h"

#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static const int FAMILIES[] = { AF_INET, AF_INET6 };

#define PORT "5683"

static const char HOSTS[] = "127.0.0.1 localhost\n";

/* ---------------------------------------------------------- exchanges --- */

/* A socket's port as the peer has seen it, which stays. */
typedef struct {
    peer_t peer;
    sender_t sender;
    sock_t *socket;
} session_t;

/* A peer at the far end, and a socket connected to it; `bound` may be NULL. */
static session_t open_session(const cable_t *cable,
                              int family,
                              const char *bound,
                              const config_t *config) {
    session_t session;
    session.peer = peer_in(&cable->away, SOCK_DGRAM,
                           any_literal(family), 0);
    session.socket = new_udp(config);
    if (bound) {
        CHECK_OK(V(session.socket)->bind(session.socket, bound, "0"));
    }
    CHECK_OK(V(session.socket)->connect(session.socket, away_literal(family),
                                        session.peer.port));
    set_timeout_us(session.socket, MS(5000));
    send_text(session.socket, "ping");
    session.sender = peer_expect_from(&session.peer, "ping");
    peer_reply(&session.peer, &session.sender, "pong");
    expect_text(session.socket, "pong");
    return session;
}

/* Of several that the peer sends: its kernel may drop one while it looks for the
   neighbour. */
static void expect_answer(session_t *session, const sender_t *sender) {
    char buffer[16];
    size_t length = 0;
    int attempts = 0;
    set_timeout_us(session->socket, MS(1000));
    do {
        CHECK(++attempts < 20);
        peer_reply(&session->peer, sender, "so am I");
    } while (V(session->socket)->receive(session->socket, &length, buffer,
                                         sizeof(buffer)).code != 0);
    CHECK_INT(7, length);
    CHECK(memcmp("so am I", buffer, length) == 0);
    set_timeout_us(session->socket, MS(5000));
}

/* The next datagram gets there, from the same port, and so does its answer. */
static void check_goes_on(session_t *session, const char *host) {
    sender_t sender;
    send_text(session->socket, "still here");
    sender = peer_expect_from(&session->peer, "still here");
    CHECK_STR(session->sender.port, sender.port);
    CHECK_STR(host, sender.host);
    expect_answer(session, &sender);
    CHECK_STR(host, local_host(session->socket));
}

/* ------------------------------------------------------------ outages --- */

/* How a way is lost, and how it comes back. */
static const struct {
    int family;
    const char *lose;
    const char *restore;
} OUTAGES[] = {
    { AF_INET, "ip link set eth0 down", "ip link set eth0 up" },
    { AF_INET6, "ip link set eth0 down",
      "ip link set eth0 up; ip addr add " HOME_V6 "/64 dev eth0 nodad" },
    { AF_INET, "ip route del 192.0.2.0/24",
      "ip route add 192.0.2.0/24 dev eth0" },
    { AF_INET6, "ip -6 route del 2001:db8::/64",
      "ip -6 route add 2001:db8::/64 dev eth0" },
    { AF_INET, "ip route add unreachable " AWAY_V4,
      "ip route del unreachable " AWAY_V4 },
    { AF_INET6, "ip -6 route add unreachable " AWAY_V6 " metric 1",
      "ip -6 route del unreachable " AWAY_V6 " metric 1" },
    { AF_INET, "ip route add prohibit " AWAY_V4,
      "ip route del prohibit " AWAY_V4 },
    { AF_INET6, "ip -6 route add prohibit " AWAY_V6 " metric 1",
      "ip -6 route del prohibit " AWAY_V6 " metric 1" },
    { AF_INET, "ip route add blackhole " AWAY_V4,
      "ip route del blackhole " AWAY_V4 },
    { AF_INET6, "ip -6 route add blackhole " AWAY_V6 " metric 1",
      "ip -6 route del blackhole " AWAY_V6 " metric 1" },
    { AF_INET, "ip addr del " HOME_V4 "/24 dev eth0",
      "ip addr add " HOME_V4 "/24 dev eth0" },
    { AF_INET6, "ip addr del " HOME_V6 "/64 dev eth0",
      "ip addr add " HOME_V6 "/64 dev eth0 nodad" },
};

static void check_is_bridged(const char *bound_v4, const char *bound_v6) {
    size_t i;
    for (i = 0; i < LEN(OUTAGES); ++i) {
        int family = OUTAGES[i].family;
        cable_t cable = netns_cable(HOSTS, NULL);
        session_t session = open_session(
                &cable, family, family == AF_INET6 ? bound_v6 : bound_v4, NULL);
        int round;
        count_warnings();
        run("%s", OUTAGES[i].lose);
        for (round = 0; round < 10; ++round) {
            anjay_net_error_t error =
                    V(session.socket)->send(session.socket, "lost", 4);
            if (error.code != 0) {
                FAIL("%s: send gives %s", OUTAGES[i].lose,
                     code_name(error.code));
            }
        }
        CHECK_INT(1, warnings_counted());
        set_timeout_us(session.socket, MS(50));
        CHECK_RECEIVE(ETIMEDOUT, "", session.socket, 16);
        set_timeout_us(session.socket, MS(5000));
        CHECK_INT(0, anjay_net_set_log_handler(NULL, NULL,
                                               ANJAY_NET_LOG_LEVEL_QUIET));
        run("%s", OUTAGES[i].restore);
        peer_drain(&session.peer);
        check_goes_on(&session, session.sender.host);
        run_deferred(0);
    }
}

/* CoAP's retransmissions bridge it. */
SLOW_TEST(datagrams_are_lost_while_the_way_is_gone) {
    check_is_bridged(NULL, NULL);
}

SLOW_TEST(datagrams_of_a_socket_that_was_bound_are_lost_while_the_way_is_gone) {
    check_is_bridged("0.0.0.0", "::");
}

SLOW_TEST(datagrams_of_an_ipv6_socket_to_ipv4_are_lost_while_the_way_is_gone) {
    check_is_bridged("::", "::");
}

/* Whatever is done to the socket meanwhile, it hears nobody else. */
SLOW_TEST_EACH_FAMILY(strangers_are_not_heard_while_the_way_is_gone) {
    bool is_v6 = family == AF_INET6;
    cable_t cable = netns_cable(HOSTS, NULL);
    session_t session = open_session(&cable, family, NULL, NULL);
    peer_t stranger;
    run_away(&cable, "ip addr add 192.0.2.3/24 dev eth0; ip addr add "
                     "2001:db8::3/64 dev eth0 nodad preferred_lft 0");
    stranger = peer_in(&cable.away, SOCK_DGRAM,
                       is_v6 ? "2001:db8::3" : "192.0.2.3", 0);
    run("ip route add unreachable %s metric 1", away_literal(family));
    send_text(session.socket, "lost");
    peer_reply(&stranger, &session.sender, "hello");
    set_timeout_us(session.socket, MS(100));
    CHECK_RECEIVE(ETIMEDOUT, "", session.socket, 16);
    set_timeout_us(session.socket, MS(5000));
    run("ip route del unreachable %s metric 1", away_literal(family));
    check_goes_on(&session, session.sender.host);
}

/* These begin something, and their callers have other addresses. */
SLOW_TEST_EACH_FAMILY(connect_and_send_to_say_at_once_that_there_is_no_way) {
    netns_cable(HOSTS, NULL);
    run("ip route del 192.0.2.0/24");
    run("ip -6 route del 2001:db8::/64");
    const char *host = away_literal(family);
    sock_t *bound =
            bound_udp(any_literal(family), NULL);
    sock_t *socket = new_udp(NULL);
    CHECK_ERR(ENETUNREACH, V(bound)->send_to(bound, "x", 1, host, PORT));
    CHECK_ERR(ENETUNREACH, V(socket)->connect(socket, host, PORT));
    CHECK_ERR(ENETUNREACH, V(bound)->connect(bound, host, PORT));
    CHECK_STATE(BOUND, bound);
    CHECK_STATE(CLOSED, socket);
}

/* ---------------------------------------------------------- renumbering --- */

#define NEXT_V4 "192.0.2.7"
#define NEXT_V6 "2001:db8::7"

static const char *next_literal(int family) {
    return family == AF_INET6 ? NEXT_V6 : NEXT_V4;
}

static void renumber(void) {
    run("ip addr del " HOME_V4 "/24 dev eth0");
    run("ip addr del " HOME_V6 "/64 dev eth0");
    run("ip addr add " NEXT_V4 "/24 dev eth0");
    run("ip addr add " NEXT_V6 "/64 dev eth0 nodad");
}

/* Any line, about any socket. */
static void look_at_socket(void *arg, int level, const char *line) {
    sock_t *socket = *(sock_t **) arg;
    char host[64];
    (void) level;
    (void) line;
    if (socket) {
        CHECK_OK(V(socket)->get_remote_host(socket, host, sizeof(host)));
    }
}

SLOW_TEST(log_handler_may_use_the_socket_that_is_connected_again) {
    static sock_t *socket;
    cable_t cable = netns_cable(HOSTS, NULL);
    session_t session = open_session(&cable, AF_INET, NULL, NULL);
    socket = session.socket;
    CHECK_INT(0, anjay_net_set_log_handler(look_at_socket, &socket,
                                           ANJAY_NET_LOG_LEVEL_TRACE));
    renumber();
    check_goes_on(&session, NEXT_V4);
    CHECK_INT(0, anjay_net_set_log_handler(NULL, NULL, ANJAY_NET_LOG_LEVEL_TRACE));
}

SLOW_TEST_EACH(socket_goes_on_when_its_address_is_replaced, CONNECTIONS) {
    cable_t cable = netns_cable(HOSTS, NULL);
    session_t session = open_session(&cable, it->family,
                                     it->bound, NULL);
    count_warnings();
    renumber();
    if (it->family == AF_INET6) {
        /* IPv6 goes on from a source that is gone, until nothing comes
           back. */
        send_text(session.socket, "anybody there?");
        peer_expect(&session.peer, "anybody there?");
    }
    check_goes_on(&session, next_literal(it->family));
    CHECK_INT(0, warnings_counted());
}

/* A dial-up link: the interface is gone for a while, and comes back with
   another address. */
SLOW_TEST_EACH(socket_goes_on_when_the_interface_comes_back_with_another_address, CONNECTIONS) {
    cable_t cable = netns_cable(HOSTS, NULL);
    session_t session = open_session(&cable, it->family,
                                     it->bound, NULL);
    run("ip link del eth0");
    send_text(session.socket, "lost");
    cable_lay(&cable, "eth0", "eth0");
    cable_number(&cable);
    renumber();
    if (it->family == AF_INET6) {
        send_text(session.socket, "anybody there?");
        peer_expect(&session.peer, "anybody there?");
    }
    check_goes_on(&session, next_literal(it->family));
}

/* The descriptor's own route went with the interface. What the kernel tells of it
   depends on whether something was sent meanwhile. */
SLOW_TEST_ROWS(mtu_is_that_of_the_new_route, int i, 2 * LEN(CONNECTIONS), row) {
    const size_t row = i / 2;
    int headers = CONNECTIONS[row].family == AF_INET6 ? 48 : 28;
    cable_t cable = netns_cable(HOSTS, NULL);
    session_t session = open_session(
            &cable, CONNECTIONS[row].family, CONNECTIONS[row].bound, NULL);
    run("ip link del eth0");
    if (i % 2) {
        send_text(session.socket, "lost");
    }
    cable_lay(&cable, "eth0", "eth0");
    cable_number(&cable);
    CHECK_INT(1500, get_opt(session.socket, ANJAY_NET_SOCKET_OPT_MTU).mtu);
    CHECK_INT(1500 - headers, get_opt(session.socket, ANJAY_NET_SOCKET_OPT_INNER_MTU).mtu);
}

/* A healthy exchange pays nothing, so a second look comes after 2 s at the
   earliest; the address may be replaced again meanwhile. */
SLOW_TEST(ipv6_source_is_looked_at_again) {
    cable_t cable = netns_cable(HOSTS, NULL);
    session_t session = open_session(&cable, AF_INET6, NULL, NULL);
    int64_t give_up;
    sender_t sender;
    renumber();
    send_text(session.socket, "anybody there?");
    peer_expect(&session.peer, "anybody there?");
    check_goes_on(&session, NEXT_V6);
    run("ip addr del " NEXT_V6 "/64 dev eth0");
    run("ip addr add " HOME_V6 "/64 dev eth0 nodad");
    give_up = now_us() + MS(4500);
    do {
        CHECK(now_us() < give_up);
        send_text(session.socket, "hello?");
        sender = peer_expect_from(&session.peer, "hello?");
        /* Retransmissions have pauses. */
        wait_for(session.peer.fd, POLLIN, 100);
    } while (strcmp(sender.host, HOME_V6) != 0);
}

#define FAR_V6 "2001:db8:5::5"

/* Sends until a datagram comes from there, as retransmissions do: the source is
   looked at every 2 s. */
static void await_sender(sock_t *socket, const peer_t *peer, const char *host) {
    int64_t give_up = now_us() + MS(10000);
    sender_t sender;
    memset(&sender, 0, sizeof(sender));
    do {
        CHECK(now_us() < give_up);
        send_text(socket, "hello?");
        if (wait_for(peer->fd, POLLIN, 100)) {
            sender = peer_expect_from(peer, "hello?");
        }
    } while (strcmp(sender.host, host) != 0);
    CHECK_STR(local_port(socket), sender.port);
}

/* No router has been heard yet when it connects: the kernel takes a link-local
   source, or ::1 while even that is being checked. */
SLOW_TEST(source_of_this_link_is_left_when_there_is_a_better_one) {
    cable_t cable = netns_bare_cable(HOSTS, NULL);
    peer_t peer;
    sock_t *socket = new_udp(NULL);
    char port[8];
    run_away(&cable, "ip addr add " FAR_V6 "/128 dev eth0 nodad; "
                     "ip -6 route add 2001:db8::/64 dev eth0");
    run("ip -6 route add default dev eth0");
    peer = peer_in(&cable.away, SOCK_DGRAM, FAR_V6, 0);
    CHECK_OK(V(socket)->connect(socket, FAR_V6, peer.port));
    CHECK(strcmp(HOME_V6, local_host(socket)) != 0);
    strcpy(port, local_port(socket));
    run("ip addr add " HOME_V6 "/64 dev eth0 nodad");
    await_sender(socket, &peer, HOME_V6);
    CHECK_STR(HOME_V6, local_host(socket));
    CHECK_STR(port, local_port(socket));
}

#define FAR_V4 "198.51.100.5"
#define SECOND_V4 "198.18.0.1"
#define SECOND_V6 "2001:db8:18::1"

/* IPv4 keeps the address of an interface that is down, and the kernel sends from it
   by the other uplink, where no answer comes back. */
SLOW_TEST_EACH_FAMILY(socket_goes_on_by_another_uplink) {
    bool is_v6 = family == AF_INET6;
    const char *far = is_v6 ? FAR_V6 : FAR_V4;
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer;
    sock_t *socket = new_udp(NULL);
    cable_lay(&cable, "eth1", "eth1");
    run("ip addr add " SECOND_V4 "/24 dev eth1");
    run("ip addr add " SECOND_V6 "/64 dev eth1 nodad");
    run_away(&cable, "ip addr add 198.18.0.2/24 dev eth1; "
                     "ip addr add 2001:db8:18::2/64 dev eth1 nodad; "
                     "ip addr add " FAR_V4 "/32 dev lo; "
                     "ip addr add " FAR_V6 "/128 dev lo nodad");
    run("ip route add default via " AWAY_V4);
    run("ip -6 route add default via " AWAY_V6);
    peer = peer_in(&cable.away, SOCK_DGRAM, far, 0);
    CHECK_OK(V(socket)->connect(socket, far, peer.port));
    await_hello(socket, &peer);
    run("ip link set eth0 down");
    run("ip route add default via 198.18.0.2");
    run("ip -6 route add default via 2001:db8:18::2");
    await_sender(socket, &peer, is_v6 ? SECOND_V6 : SECOND_V4);
}

/* --------------------------------------- tied to an interface --- */

SLOW_TEST_EACH(tied_socket_sends_when_its_interface_was_made_again, CONNECTIONS) {
    config_t config = tied_config("eth0");
    cable_t cable = netns_cable(HOSTS, NULL);
    session_t session = open_session(&cable, it->family,
                                     it->bound, &config);
    run("ip link del eth0");
    send_text(session.socket, "lost");
    cable_lay(&cable, "eth0", "eth0");
    cable_number(&cable);
    check_goes_on(&session, session.sender.host);
    cable_remake(&cable);
    check_goes_on(&session, session.sender.host);
}

/* A server of an interface that comes and goes: not connected. */
SLOW_TEST_EACH_FAMILY(tied_socket_sends_to_anybody_when_its_interface_was_made_again) {
    config_t config = tied_config("eth0");
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM,
                          any_literal(family), 0);
    const char *host = away_literal(family);
    sock_t *socket = bound_udp(any_literal(family), &config);
    CHECK_OK(V(socket)->send_to(socket, "one", 3, host, peer.port));
    peer_expect(&peer, "one");
    run("ip link del eth0");
    CHECK_EITHER(ENODEV, ENETUNREACH,
                 V(socket)->send_to(socket, "lost", 4, host, peer.port));
    cable_lay(&cable, "eth0", "eth0");
    cable_number(&cable);
    CHECK_OK(V(socket)->send_to(socket, "two", 3, host, peer.port));
    peer_expect(&peer, "two");
}

static void check_receive_times_out(sock_t *socket) {
    set_timeout_us(socket, MS(50));
    CHECK_RECEIVE(ETIMEDOUT, "", socket, 16);
    set_timeout_us(socket, MS(2000));
}

/* Nothing is sent: a receive that times out looks. */
SLOW_TEST_EACH(tied_socket_hears_again_when_its_interface_was_made_again, CONNECTIONS) {
    config_t config = tied_config("eth0");
    cable_t cable = netns_cable(HOSTS, NULL);
    session_t session = open_session(&cable, it->family,
                                     it->bound, &config);
    cable_remake(&cable);
    check_receive_times_out(session.socket);
    peer_reply(&session.peer, &session.sender, "are you there?");
    expect_text(session.socket, "are you there?");
}

SLOW_TEST_EACH_FAMILY(tied_server_hears_again_when_its_interface_was_made_again) {
    config_t config = tied_config("eth0");
    cable_t cable = netns_cable(HOSTS, NULL);
    sock_t *socket = bound_udp(any_literal(family),
                               &config);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM,
                          away_literal(family), 0);
    sender_t home;
    home = home_at(family, local_port(socket));
    set_timeout_us(socket, MS(2000));
    peer_reply(&peer, &home, "hello");
    expect_text(socket, "hello");
    cable_remake(&cable);
    check_receive_times_out(socket);
    peer_reply(&peer, &home, "hello again");
    CHECK_RECEIVE_FROM(NO_ERROR, "hello again", &peer, socket, 16);
}

/* --------------------------------------------- scopes without a meaning --- */

static const struct {
    const char *host;
    const char *plain;
} HOSTS_WITH_SCOPES[] = { { "::1%lo", "::1" },
                          { "fd00::2%eth0", "fd00::2" },
                          { AWAY_V6 "%eth0", AWAY_V6 } };

/* The kernel reports no scope for addresses that are not of a link. */
SLOW_TEST_ROWS(scope_of_an_address_that_needs_none_does_no_harm, int i,
               LEN(HOSTS_WITH_SCOPES), row) {
    cable_t cable = netns_cable(HOSTS, NULL);
    run("ip addr add fd00::1/64 dev eth0 nodad");
    run_away(&cable, "ip addr add fd00::2/64 dev eth0 nodad");
    const char *host = HOSTS_WITH_SCOPES[i].host;
    const netns_t *ns = i == 0 ? &cable.home : &cable.away;
    peer_t udp = peer_in(ns, SOCK_DGRAM, HOSTS_WITH_SCOPES[i].plain, 0);
    peer_t tcp = peer_in(ns, SOCK_STREAM, HOSTS_WITH_SCOPES[i].plain, 0);
    sock_t *socket = new_udp(NULL);
    sock_t *bound = bound_udp("::", NULL);
    sock_t *stream = new_tcp(NULL);
    sender_t sender;
    int round;
    CHECK_OK(V(socket)->connect(socket, host, udp.port));
    set_timeout_us(socket, MS(5000));
    set_timeout_us(bound, MS(5000));
    for (round = 0; round < 2; ++round) {
        send_text(socket, "ping");
        sender = peer_expect_from(&udp, "ping");
        peer_reply(&udp, &sender, "pong");
        expect_text(socket, "pong");
    }
    CHECK_OK(V(bound)->send_to(bound, "ping", 4, host, udp.port));
    sender = peer_expect_from(&udp, "ping");
    peer_reply(&udp, &sender, "pong");
    expect_text(bound, "pong");
    /* What came before the connect is the peer's own. */
    peer_reply(&udp, &sender, "early");
    CHECK_OK(V(bound)->connect(bound, host, udp.port));
    expect_text(bound, "early");
    CHECK_OK(V(stream)->connect(stream, host, tcp.port));
}

/* ---------------------------------------------------- interface names --- */

static const char *interface_of(sock_t *socket) {
    static char name[IF_NAMESIZE];
    CHECK_OK(V(socket)->get_interface_name(socket, name));
    return name;
}

/* A second cable, whose near end has the same addresses. */
static void lay_a_twin(const cable_t *cable) {
    cable_lay(cable, "eth1", "eth1");
    run("ip addr add " HOME_V4 "/24 dev eth1 noprefixroute");
    run("ip addr add " HOME_V6 "/64 dev eth1 nodad noprefixroute");
}

static void check_interface(const cable_t *cable,
                            int family,
                            const config_t *config,
                            const char *expected) {
    int type;
    for (type = TCP; type <= UDP; ++type) {
        peer_t peer = peer_in(&cable->away, raw_type(type), any_literal(family), 0);
        sock_t *socket = new_socket(type, config);
        CHECK_OK(V(socket)->connect(socket, away_literal(family), peer.port));
        CHECK_STR(expected, interface_of(socket));
    }
}

SLOW_TEST(interface_is_the_one_by_which_packets_leave) {
    cable_t cable = netns_cable(HOSTS, NULL);
    config_t config = default_config();
    size_t i;
    lay_a_twin(&cable);
    for (i = 0; i < LEN(FAMILIES); ++i) {
        check_interface(&cable, FAMILIES[i], NULL, "eth0");
    }
    run_away(&cable, "ip addr flush dev eth0; ip addr flush dev eth1");
    run_away(&cable, "ip addr add " AWAY_V4 "/24 dev eth1; ip addr add " AWAY_V6
                     "/64 dev eth1 nodad");
    run("ip route add " AWAY_V4 " dev eth1 src " HOME_V4);
    run("ip -6 route add " AWAY_V6 " dev eth1 src " HOME_V6 " metric 1");
    for (i = 0; i < LEN(FAMILIES); ++i) {
        check_interface(&cable, FAMILIES[i], NULL, "eth1");
    }
    /* Without a route only the configuration knows. */
    strcpy(config.interface_name, "eth1");
    check_interface(&cable, AF_INET, &config, "eth1");
}

/* Every link has its own fe80::1. */
SLOW_TEST(interface_of_a_link_local_address_is_that_of_its_scope) {
    static const char *const NAMES[] = { "eth0", "eth1" };
    cable_t cable = netns_cable(HOSTS, NULL);
    size_t i;
    cable_lay(&cable, "eth1", "eth1");
    for (i = 0; i < LEN(NAMES); ++i) {
        run("ip addr add fe80::1/64 dev %s nodad", NAMES[i]);
    }
    for (i = 0; i < LEN(NAMES); ++i) {
        char host[64];
        sock_t *socket = new_udp(NULL);
        snprintf(host, sizeof(host), "fe80::1%%%s", NAMES[i]);
        CHECK_OK(V(socket)->bind(socket, host, "0"));
        CHECK_STR(NAMES[i], interface_of(socket));
        CHECK_OK(V(socket)->close(socket));
        snprintf(host, sizeof(host), "fe80::2%%%s", NAMES[i]);
        CHECK_OK(V(socket)->connect(socket, host, PORT));
        CHECK_STR(NAMES[i], interface_of(socket));
    }
}

/* --------------------------------------------------------- many routes --- */

enum { ROUTES = 100000, ROUNDS = 31 };

static int compare_times(const void *left, const void *right) {
    int64_t a = *(const int64_t *) left;
    int64_t b = *(const int64_t *) right;
    return (a > b) - (a < b);
}

static void add_routes(int family) {
    FILE *ip = popen(family == AF_INET6 ? "ip -6 -batch -" : "ip -4 -batch -",
                     "w");
    int i;
    CHECK(ip != NULL);
    for (i = 0; i < ROUTES; ++i) {
        if (family == AF_INET6) {
            fprintf(ip, "route add fd00:%x:%x::/48 dev eth0\n", i >> 12,
                    i & 0xFFF);
        } else {
            fprintf(ip, "route add 10.%d.%d.%d/32 dev eth0\n", i >> 16,
                    i >> 8 & 0xFF, i & 0xFF);
        }
    }
    CHECK_INT(0, pclose(ip));
}

/* The kernel is asked for a way, not for its table. */
static void check_routes_cost_nothing(int family) {
    netns_cable("127.0.0.1 localhost\n" AWAY_V4 " far both\n" AWAY_V6
                " far6 both\n",
                NULL);
    static const char *const NAMES[] = { "far", "far6", "both" };
    size_t i;
    add_routes(family);
    for (i = 0; i < LEN(NAMES); ++i) {
        int64_t times[ROUNDS];
        int round;
        for (round = 0; round < ROUNDS; ++round) {
            sock_t *socket = new_udp(NULL);
            int64_t start = now_us();
            CHECK_OK(V(socket)->connect(socket, NAMES[i], PORT));
            times[round] = now_us() - start;
            dispose(&socket);
        }
        qsort(times, ROUNDS, sizeof(times[0]), compare_times);
        if (times[ROUNDS / 2] >= MS(5)) {
            FAIL("%s: median of %lld us", NAMES[i],
                 (long long) times[ROUNDS / 2]);
        }
    }
}

SLOW_TEST(hundred_thousand_ipv4_routes_cost_a_connect_nothing) {
    check_routes_cost_nothing(AF_INET);
}

SLOW_TEST(hundred_thousand_ipv6_routes_cost_a_connect_nothing) {
    check_routes_cost_nothing(AF_INET6);
}
