/*
 * What a socket keeps when it is connected again after a change of the network,
 * its interface and its address, and what a failed accept leaves behind.
 */

#include "anjay_net.h"
#include "fixture.h"
#include "netns.h"
#include "settings.h"

#include <errno.h>
#include <linux/capability.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char HOSTS[] = "127.0.0.1 localhost\nfe80::2 near\n";

#define NEAR "fe80::2"

/* The interface that the kernel ties the descriptor to; "" for none. */
static const char *tie_of(sock_t *socket) {
    static char name[IF_NAMESIZE];
    socklen_t size = sizeof(name);
    memset(name, 0, sizeof(name));
    SYS(getsockopt(descriptor_of(socket), SOL_SOCKET, SO_BINDTODEVICE, name,
                   &size));
    return name;
}

static void number_links(const cable_t *cable) {
    run("ip addr add fe80::1/64 dev eth0 nodad");
    run_away(cable, "ip addr add " NEAR "/64 dev eth0 nodad");
}

static void remake_interface(const cable_t *cable) {
    cable_remake(cable);
    number_links(cable);
}

/* What the peer answers to the socket's address arrives. */
static void check_answered(sock_t *socket, const peer_t *peer, const sender_t *home) {
    set_timeout_us(socket, MS(5000));
    peer_reply(peer, home, "hello, client");
    expect_text(socket, "hello, client");
}

/* CAP_NET_RAW, without which a tie can't be changed. */
static void set_privilege(bool privileged) {
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2];
    SYS(syscall(SYS_capget, &header, data));
    data[0].effective &= ~(1u << CAP_NET_RAW);
    data[0].effective |= privileged ? 1u << CAP_NET_RAW : 0;
    SYS(syscall(SYS_capset, &header, data));
}

/* Binds a socket, where the row says so, and connects it. */
static void connect_as(size_t row, sock_t *socket, const char *port) {
    const char *bound = CONNECTIONS[row].bound;
    const char *away = away_literal(CONNECTIONS[row].family);
    if (bound) {
        CHECK_OK(V(socket)->bind(socket, bound, "0"));
    }
    CHECK_OK(V(socket)->connect(socket, away, port));
}

/* A connected socket, whose interface is made again; the next datagram gets
   there. */
static void check_stays_tied(size_t row, bool privileged) {
    int family = CONNECTIONS[row].family;
    config_t config = tied_config("eth0");
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, any_literal(family), 0);
    sock_t *socket = new_udp(&config);
    char port[8];
    set_privilege(privileged);
    connect_as(row, socket, peer.port);
    strcpy(port, local_port(socket));
    set_privilege(true);
    remake_interface(&cable);
    set_privilege(privileged);
    await_hello(socket, &peer);
    CHECK_STR("eth0", tie_of(socket));
    CHECK_STR(port, local_port(socket));
    set_privilege(true);
}

/* Nothing leaves by, or comes from, another interface then. */
SLOW_TEST_ROWS(socket_stays_tied_when_its_interface_was_made_again, int i, LEN(CONNECTIONS), row) {
    check_stays_tied(i, true);
}

SLOW_TEST_ROWS(socket_stays_tied_without_privilege, int i, LEN(CONNECTIONS), row) {
    check_stays_tied(i, false);
}

static const char *const PORTS[] = { "0", "5683" };

/* Which the kernel ties the socket to its scope for. */
SLOW_TEST_EACH(failed_connect_to_a_link_local_peer_leaves_no_tie, PORTS) {
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, "::", 0);
    sock_t *socket = new_udp(NULL);
    char port[8];
    cable_lay(&cable, "eth1", "eth1");
    run("ip link set eth1 down");
    CHECK_OK(V(socket)->bind(socket, "::", *it));
    strcpy(port, local_port(socket));
    CHECK_ERR(ENETUNREACH, V(socket)->connect(socket, NEAR "%eth1", peer.port));
    CHECK_STATE(BOUND, socket);
    CHECK_STR("", tie_of(socket));
    CHECK_OK(V(socket)->connect(socket, AWAY_V6, peer.port));
    CHECK_STR(port, await_hello(socket, &peer).port);
}

/* Nor does it take the one that comes with a link-local address away. */
SLOW_TEST(failed_connect_leaves_a_link_local_address_its_scope) {
    cable_t cable = netns_cable(HOSTS, NULL);
    sock_t *socket = new_udp(NULL);
    cable_lay(&cable, "eth1", "eth1");
    number_links(&cable);
    CHECK_OK(V(socket)->bind(socket, "fe80::1%eth0", "5683"));
    CHECK_ERR(EINVAL, V(socket)->connect(socket, NEAR "%eth1", "5683"));
    CHECK_STATE(BOUND, socket);
    CHECK_STR("fe80::1%eth0", local_host(socket));
    CHECK_STR("eth0", tie_of(socket));
}

/* By name again, before it is connected. */
SLOW_TEST_ROWS(bound_socket_is_connected_when_its_interface_was_made_again, int i,
               2 * LEN(CONNECTIONS), row) {
    int family = CONNECTIONS[i / 2].family;
    const char *bound = CONNECTIONS[i / 2].bound;
    config_t config = tied_config("eth0");
    cable_t cable;
    peer_t peer;
    sock_t *socket;
    char port[8];
    if (!bound) {
        return;
    }
    cable = netns_cable(HOSTS, NULL);
    peer = peer_in(&cable.away, SOCK_DGRAM, any_literal(family), 0);
    set_privilege(false);
    socket = bound_udp(bound, &config);
    strcpy(port, local_port(socket));
    set_privilege(true);
    remake_interface(&cable);
    set_privilege(i % 2);
    CHECK_OK(V(socket)->connect(socket, away_literal(family), peer.port));
    CHECK_STR("eth0", tie_of(socket));
    CHECK_STR(port, await_hello(socket, &peer).port);
    set_privilege(true);
}

/* As send does. That there is no way to somebody else says nothing of the peer. */
SLOW_TEST_ROWS(connected_socket_sends_to_its_peer_after_a_change, int i,
               2 * LEN(CONNECTIONS), row) {
    int family = CONNECTIONS[i / 2].family;
    bool is_tied = i % 2 == 0;
    config_t config = is_tied ? tied_config("eth0") : default_config();
    cable_t cable;
    peer_t peer;
    sock_t *socket;
    sender_t home;
    char port[8];
    if (!is_tied && family == AF_INET6) {
        /* A source that is gone is no error to the kernel. */
        return;
    }
    cable = netns_cable(HOSTS, NULL);
    peer = peer_in(&cable.away, SOCK_DGRAM, any_literal(family), 0);
    socket = new_udp(&config);
    connect_as(i / 2, socket, peer.port);
    strcpy(port, local_port(socket));
    if (is_tied) {
        cable_remake(&cable);
    } else {
        CHECK_ERR(ENETUNREACH, V(socket)->send_to(socket, "lost", 4, SERVER_V4, "5683"));
        CHECK_INT(0, stats_of(socket).reconnects);
        run("ip addr del " HOME_V4 "/24 dev eth0");
        run("ip addr add 192.0.2.7/24 dev eth0");
    }
    CHECK_OK(V(socket)->send_to(socket, "hello", 5, away_literal(family), peer.port));
    CHECK_INT(1, stats_of(socket).reconnects);
    home = peer_expect_from(&peer, "hello");
    CHECK_STR(port, home.port);
    check_answered(socket, &peer, &home);
}

/* Whether the way is there can't be tried before, then. */
SLOW_TEST_ROWS(socket_is_connected_again_without_a_descriptor_to_spare, int i,
               LEN(CONNECTIONS), row) {
    int family = CONNECTIONS[i].family;
    config_t config = tied_config("eth0");
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, any_literal(family), 0);
    sock_t *socket = new_udp(&config);
    struct rlimit before;
    struct rlimit none;
    connect_as(i, socket, peer.port);
    cable_remake(&cable);
    SYS(getrlimit(RLIMIT_NOFILE, &before));
    none = before;
    none.rlim_cur = 0;
    SYS(setrlimit(RLIMIT_NOFILE, &none));
    send_text(socket, "hello");
    CHECK_STR("eth0", tie_of(socket));
    SYS(setrlimit(RLIMIT_NOFILE, &before));
    await_hello(socket, &peer);
}

static const int FAMILIES[] = { AF_INET, AF_INET6 };

/* Not connected: by its next send_to, or when a receive has timed out. */
SLOW_TEST_ROWS(server_stays_tied_without_privilege, int i, 2 * LEN(FAMILIES), row) {
    int family = FAMILIES[i / 2];
    config_t config = tied_config("eth0");
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, any_literal(family), 0);
    sock_t *socket;
    sender_t home;
    set_privilege(false);
    socket = bound_udp(any_literal(family), &config);
    home = home_at(family, local_port(socket));
    set_privilege(true);
    remake_interface(&cable);
    set_privilege(false);
    if (i % 2) {
        CHECK_OK(V(socket)->send_to(socket, "hello", 5, away_literal(family),
                                    peer.port));
    } else {
        set_timeout_us(socket, MS(50));
        CHECK_RECEIVE(ETIMEDOUT, "", socket, 16);
    }
    CHECK_STR("eth0", tie_of(socket));
    set_privilege(true);
    set_timeout_us(socket, MS(5000));
    do {
        peer_reply(&peer, &home, "hello, server");
    } while (!wait_for(descriptor_of(socket), POLLIN, 200));
    expect_text(socket, "hello, server");
}

/* A receive that only looks has timed out, too. */
SLOW_TEST_ROWS(look_ties_a_socket_when_its_interface_was_made_again, int i, LEN(CONNECTIONS), row) {
    const char *bound = CONNECTIONS[i].bound;
    config_t config = tied_config("eth0");
    cable_t cable = netns_cable(HOSTS, NULL);
    sock_t *server = bound_udp(bound ? bound : "::", &config);
    sock_t *client = new_udp(&config);
    connect_as(i, client, "5683");
    set_timeout_us(server, 0);
    set_timeout_us(client, 0);
    cable_remake(&cable);
    CHECK_RECEIVE(ETIMEDOUT, "", client, 16);
    CHECK_STR("eth0", tie_of(client));
    CHECK_RECEIVE(ETIMEDOUT, "", server, 16);
    CHECK_STR("eth0", tie_of(server));
}

static const char *const PEERS[] = { NEAR, "near", NEAR "%eth0" };

/* The scope of the peer comes from the configuration, or with the address. */
SLOW_TEST_EACH(link_local_peer_is_reached_when_the_interface_was_made_again, PEERS) {
    config_t config = tied_config("eth0");
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, "::", 0);
    sock_t *socket = new_udp(strchr(*it, '%') ? NULL : &config);
    sender_t home;
    number_links(&cable);
    CHECK_OK(V(socket)->connect(socket, *it, peer.port));
    remake_interface(&cable);
    home = await_hello(socket, &peer);
    check_answered(socket, &peer, &home);
    CHECK_STR(NEAR "%eth0", remote_host(socket));
}

/* Bound to an address of the link, which has another scope then. */
SLOW_TEST(socket_on_a_link_goes_on_when_its_interface_was_made_again) {
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, "::", 0);
    sock_t *socket = new_udp(NULL);
    sender_t home;
    number_links(&cable);
    CHECK_OK(V(socket)->bind(socket, "fe80::1%eth0", "5690"));
    CHECK_OK(V(socket)->connect(socket, NEAR "%eth0", peer.port));
    remake_interface(&cable);
    home = await_hello(socket, &peer);
    CHECK_STR("5690", home.port);
    check_answered(socket, &peer, &home);
}

/* That of the address that the socket is bound to. */
SLOW_TEST(link_local_peer_without_a_scope_is_on_the_link_of_the_socket) {
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, "::", 0);
    sock_t *socket = new_udp(NULL);
    sender_t home;
    number_links(&cable);
    CHECK_OK(V(socket)->bind(socket, "fe80::1%eth0", "5690"));
    CHECK_OK(V(socket)->connect(socket, NEAR, peer.port));
    CHECK_STR(NEAR "%eth0", remote_host(socket));
    home = await_hello(socket, &peer);
    check_answered(socket, &peer, &home);
}

/* The second of two datagrams without an answer in between is a reason to look. */
SLOW_TEST(ipv6_source_that_is_there_is_kept) {
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, "::", 0);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, AWAY_V6, peer.port));
    send_text(socket, "hello");
    send_text(socket, "hello?");
    CHECK_INT(0, stats_of(socket).reconnects);
}

#define DOWN "ip link add eth1 type veth; ip addr add 203.0.113.7/32 dev eth1"
#define ROUTE DOWN "; ip route add " AWAY_V4 " dev eth0 src 203.0.113.7"

static const struct {
    const char *setup;
    const char *bound;
    const char *peer;
    unsigned char transparent;
} CASES[] = {
    { "true", NULL, AWAY_V4, 0 },
    { "true", "203.0.113.7", AWAY_V4, 1 },
    { "ip route add local 203.0.113.0/24 dev lo", "203.0.113.7", AWAY_V4, 0 },
    { DOWN, "203.0.113.7", AWAY_V4, 0 },
    { ROUTE, NULL, AWAY_V4, 0 },
    { ROUTE, "::", AWAY_V4, 0 },
    { "ip addr add fe80::1/64 dev eth0 nodad", "fe80::1%eth0", AWAY_V6, 0 }
};

/* Nor is one left for which there is no other: that the socket was bound to, or that the
   route names. */
SLOW_TEST_EACH(source_without_another_one_is_kept, CASES) {
    config_t config = default_config();
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, "::", 0);
    sock_t *socket;
    config.transparent = it->transparent;
    socket = new_udp(&config);
    run("%s", it->setup);
    if (it->bound) {
        CHECK_OK(V(socket)->bind(socket, it->bound, "0"));
    }
    CHECK_OK(V(socket)->connect(socket, it->peer, peer.port));
    send_text(socket, "hello");
    send_text(socket, "hello?");
    CHECK_INT(0, stats_of(socket).reconnects);
}

/* Which it gets a while after it was made. Until then the kernel would send from
   0.0.0.0, and go on with that. */
SLOW_TEST_ROWS(socket_waits_for_an_address_of_its_interface, int i, 2 * LEN(CONNECTIONS), row) {
    int family = CONNECTIONS[i / 2].family;
    config_t config = i % 2 ? default_config() : tied_config("eth0");
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, any_literal(family), 0);
    sock_t *socket = new_udp(&config);
    int hellos;
    connect_as(i / 2, socket, peer.port);
    run("ip link del eth0");
    send_text(socket, "lost");
    cable_lay(&cable, "eth0", "eth0");
    /* Without it only sockets that are tied have a way. */
    run("ip route add " AWAY_V4 " dev eth0");
    send_text(socket, "lost");
    cable_number(&cable);
    for (hellos = 0; hellos < 3; ++hellos) {
        CHECK_STR(family == AF_INET6 ? HOME_V6 : HOME_V4,
                  await_hello(socket, &peer).host);
        peer_drain(&peer);
    }
}

/* Nor from that of another interface, to which no answer to this one comes. */
SLOW_TEST_ROWS(tied_socket_takes_no_address_of_another_interface, int i, LEN(CONNECTIONS), row) {
    int family = CONNECTIONS[i].family;
    config_t config = tied_config("eth0");
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, any_literal(family), 0);
    sock_t *socket = new_udp(&config);
    sender_t home;
    cable_lay(&cable, "eth1", "eth1");
    run("ip addr add 198.51.100.1/24 dev eth1");
    run("ip addr add 2001:db8:1::1/64 dev eth1 nodad");
    connect_as(i, socket, peer.port);
    run("ip addr del " HOME_V4 "/24 dev eth0");
    run("ip addr del " HOME_V6 "/64 dev eth0");
    run("ip -6 route add " AWAY_V6 " dev eth0");
    /* The second looks at an IPv6 source. */
    send_text(socket, "hello");
    send_text(socket, "hello");
    run("ip addr add " HOME_V4 "/24 dev eth0");
    run("ip addr add " HOME_V6 "/64 dev eth0 nodad");
    await_hello(socket, &peer);
    CHECK_STR(family == AF_INET6 ? HOME_V6 : HOME_V4, local_host(socket));
    home = home_at(family, local_port(socket));
    check_answered(socket, &peer, &home);
}

/* The datagram after that is like any other. */
SLOW_TEST(datagram_that_the_own_firewall_drops_then_is_lost) {
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, "0.0.0.0", 0);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, AWAY_V4, peer.port));
    run("ip addr del " HOME_V4 "/24 dev eth0");
    run("ip addr add 192.0.2.7/24 dev eth0");
    run("nft add table inet own");
    run("nft add chain inet own out '{ type filter hook output priority 0; }'");
    run("nft add rule inet own out udp dport %s drop", peer.port);
    send_text(socket, "lost");
    CHECK_STR("192.0.2.7", local_host(socket));
    run("nft delete table inet own");
    CHECK_STR("192.0.2.7", await_hello(socket, &peer).host);
}

/* --------------------------------------------------- tied to an address --- */

static const struct {
    int family;
    const char *literal;
} ADDRESSES[] = { { AF_INET, HOME_V4 },
                  { AF_INET, "::ffff:" HOME_V4 },
                  { AF_INET6, HOME_V6 } };

/* Another source is not what the program has asked for. */
SLOW_TEST_EACH(socket_waits_for_the_address_that_it_was_bound_to, ADDRESSES) {
    int family = it->family;
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, any_literal(family), 0);
    sock_t *socket = bound_udp(it->literal, NULL);
    char port[8];
    sender_t home;
    int sends;
    strcpy(port, local_port(socket));
    CHECK_OK(V(socket)->connect(socket, away_literal(family), peer.port));
    run("ip addr del " HOME_V4 "/24 dev eth0");
    run("ip addr del " HOME_V6 "/64 dev eth0");
    run("ip addr add 192.0.2.7/24 dev eth0");
    run("ip addr add 2001:db8::7/64 dev eth0 nodad");
    for (sends = 0; sends < 3; ++sends) {
        send_text(socket, "lost");
    }
    run("ip addr add " HOME_V4 "/24 dev eth0");
    run("ip addr add " HOME_V6 "/64 dev eth0 nodad");
    send_text(socket, "hello");
    /* IPv6 sends from an address that is gone, when the neighbour is known. */
    peer_skip(&peer, "lost");
    home = peer_expect_from(&peer, "hello");
    CHECK_STR(family == AF_INET6 ? HOME_V6 : HOME_V4, home.host);
    CHECK_STR(port, home.port);
    check_answered(socket, &peer, &home);
}

/* ------------------------------------------------------------- accept --- */

static const int TYPES[] = { TCP, UDP };

static const struct {
    int family;
    const char *bound;
} SERVERS[] = { { AF_INET, "0.0.0.0" }, { AF_INET6, "::" }, { AF_INET, "::" } };

/* A new descriptor on the other host, which says hello to a server on this one. */
static int greet_from_away(const cable_t *cable, int type, int family, sock_t *server) {
    struct sockaddr_storage address;
    socklen_t size = make_address(&address, family == AF_INET6 ? HOME_V6 : HOME_V4,
                                  atoi(local_port(server)));
    int peer;
    netns_go(&cable->away);
    peer = (int) SYS(socket(family, raw_type(type), 0));
    netns_go(&cable->home);
    SYS(connect(peer, (struct sockaddr *) &address, size));
    SYS(send(peer, "hello", 5, 0));
    return peer;
}

/* Of either type, once an accept has timed out. */
SLOW_TEST_ROWS(tied_server_accepts_when_its_interface_was_made_again, int i,
               LEN(TYPES) * LEN(SERVERS), row) {
    anjay_net_settings_t settings = settings_in_force();
    settings.accept_timeout_ms = 50;
    configure(&settings);
    int type = TYPES[i / LEN(SERVERS)];
    int family = SERVERS[i % LEN(SERVERS)].family;
    config_t config = tied_config("eth0");
    config_t other = reuse_config();
    cable_t cable = netns_cable(HOSTS, NULL);
    sock_t *server = bound_socket(type, SERVERS[i % LEN(SERVERS)].bound, &config);
    sock_t *accepted = new_socket(type, &other);
    int peer;
    set_timeout_us(server, MS(50));
    cable_remake(&cable);
    CHECK_ERR(ETIMEDOUT, V(server)->accept(server, accepted));
    CHECK_STR("eth0", tie_of(server));
    peer = greet_from_away(&cable, type, family, server);
    CHECK(wait_for(descriptor_of(server), POLLIN, 5000));
    CHECK_OK(V(server)->accept(server, accepted));
    set_timeout_us(accepted, MS(5000));
    expect_text(accepted, "hello");
    SYS(close(peer));
}

/* The kernel changes no tie then, and a listener that is dissolved would listen no
   more. The tie comes back with the privilege. */
SLOW_TEST_EACH(listener_goes_on_without_privilege, SERVERS) {
    anjay_net_settings_t settings = settings_in_force();
    settings.accept_timeout_ms = 50;
    configure(&settings);
    config_t config = tied_config("eth0");
    cable_t cable = netns_cable(HOSTS, NULL);
    sock_t *server = bound_socket(TCP, it->bound, &config);
    sock_t *accepted = new_tcp(NULL);
    cable_remake(&cable);
    set_privilege(false);
    CHECK_ERR(ETIMEDOUT, V(server)->accept(server, accepted));
    CHECK_INT(1, int_option(descriptor_of(server), SOL_SOCKET, SO_ACCEPTCONN));
    set_privilege(true);
    CHECK_ERR(ETIMEDOUT, V(server)->accept(server, accepted));
    CHECK_STR("eth0", tie_of(server));
}

/* The options of the socket that was to take the descriptor are not left on it:
   the server would be deaf. */
SLOW_TEST_EACH(accept_that_fails_leaves_no_options_behind, SERVERS) {
    int family = it->family;
    config_t config = reuse_config();
    config_t other = tied_config("eth1");
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, any_literal(family), 0);
    sock_t *server = bound_udp(it->bound, &config);
    sock_t *taker;
    sender_t home;
    cable_lay(&cable, "eth1", "eth1");
    run("ip link set eth1 down");
    other.dscp = 10;
    other.priority = 3;
    taker = new_udp(&other);
    home = home_at(family, local_port(server));
    set_timeout_us(server, MS(5000));
    peer_reply(&peer, &home, "one");
    CHECK_ERR(ENETUNREACH, V(server)->accept(server, taker));
    CHECK_STR("", tie_of(server));
    CHECK_INT(0, int_option(descriptor_of(server), IPPROTO_IP, IP_TOS));
    expect_text(server, "one");
    peer_reply(&peer, &home, "two");
    expect_text(server, "two");
}

/* Of either type, which has the tie of its server already. */
SLOW_TEST_ROWS(socket_with_the_tie_of_its_server_is_accepted_without_privilege, int i,
               LEN(TYPES) * LEN(ADDRESSES), row) {
    config_t config = tied_config("eth0");
    int type = TYPES[i / LEN(ADDRESSES)];
    const char *literal = ADDRESSES[i % LEN(ADDRESSES)].literal;
    int family = ADDRESSES[i % LEN(ADDRESSES)].family;
    cable_t cable = netns_cable(HOSTS, NULL);
    sock_t *server;
    sock_t *taker = new_socket(type, &config);
    int peer;
    set_privilege(false);
    server = bound_socket(type, literal, &config);
    set_timeout_us(server, MS(5000));
    peer = greet_from_away(&cable, type, family, server);
    CHECK_OK(V(server)->accept(server, taker));
    CHECK_STR("eth0", tie_of(taker));
    CHECK_STR("eth0", tie_of(server));
    expect_text(taker, "hello");
    set_privilege(true);
    SYS(close(peer));
}

/* A socket that was accepted with the tie of its server. */
SLOW_TEST_EACH(accepted_socket_keeps_the_tie_of_its_server, SERVERS) {
    int family = it->family;
    config_t config = tied_config("eth0");
    config_t other = reuse_config();
    cable_t cable = netns_cable(HOSTS, NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, any_literal(family), 0);
    sock_t *server = bound_udp(it->bound, &config);
    sock_t *accepted = new_udp(&other);
    sender_t home;
    home = home_at(family, local_port(server));
    set_timeout_us(server, MS(5000));
    peer_reply(&peer, &home, "one");
    CHECK_OK(V(server)->accept(server, accepted));
    CHECK_STR("eth0", tie_of(accepted));
    remake_interface(&cable);
    await_hello(accepted, &peer);
    CHECK_STR("eth0", tie_of(accepted));
    CHECK_STR(local_port(server), local_port(accepted));
    /* It is forgotten when the object is used again. */
    CHECK_OK(V(accepted)->close(accepted));
    CHECK_OK(V(accepted)->connect(accepted, away_literal(family), peer.port));
    CHECK_STR("", tie_of(accepted));
}
