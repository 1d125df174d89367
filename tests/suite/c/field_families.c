/*
 * Which of a name's addresses are tried, and in which order, on hosts whose
 * routes and addresses are not the usual ones.
 */

#include "dns.h"
#include "fixture.h"
#include "netns.h"
#include "settings.h"

#include "anjay_net.h"

#include <stdio.h>
#include <stdlib.h>

static const int BOTH_TYPES[] = { TCP, UDP };

#define PORT "5683"

static const char HOSTS[] = "127.0.0.1 localhost\n" AWAY_V4 " far4 both\n" AWAY_V6
                            " far6 both\n";

/* Server sockets of both types and families at the far end. */
typedef struct {
    peer_t tcp;
    peer_t udp;
} servers_t;

static servers_t open_servers(const cable_t *cable) {
    servers_t servers;
    netns_go(&cable->away);
    servers.tcp = peer_at(SOCK_STREAM, "::", atoi(PORT));
    servers.udp = peer_at(SOCK_DGRAM, "::", atoi(PORT));
    netns_go(&cable->home);
    return servers;
}

static void check_connects(int type,
                           const config_t *config,
                           const char *name,
                           const char *expected) {
    sock_t *socket = new_socket(type, config);
    anjay_net_error_t error = V(socket)->connect(socket, name, PORT);
    if (error.code != 0) {
        FAIL("%s, type %d: connect gives %s", name, type, code_name(error.code));
    }
    if (strcmp(expected, remote_host(socket)) != 0) {
        FAIL("%s, type %d: connected to %s, not %s", name, type,
             remote_host(socket), expected);
    }
    dispose(&socket);
}

static void check_both_types_connect(const char *name, const char *expected) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        check_connects(BOTH_TYPES[i], NULL, name, expected);
    }
}

static void check_sends(const servers_t *servers,
                        const char *bound,
                        const char *name) {
    sock_t *socket = bound_udp(bound, NULL);
    CHECK_OK(V(socket)->send_to(socket, "ping", 4, name, PORT));
    peer_expect(&servers->udp, "ping");
}

static anjay_net_addrinfo_t *list_of(const char *name) {
    anjay_net_addrinfo_t *list = avs_net_addrinfo_resolve_ex(
            UDP, ANJAY_NET_AF_UNSPEC, name, PORT, 0, NULL);
    CHECK(list != NULL);
    return list;
}

static const char *next_host(anjay_net_addrinfo_t *list) {
    static char host[64];
    endpoint_t endpoint;
    if (avs_net_addrinfo_next(list, &endpoint) != 0) {
        return "(end)";
    }
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(&endpoint, host,
                                                     sizeof(host), NULL, 0));
    return host;
}

/* The list of the name, several times as chance has a say: these addresses, in
   this order. NULL at the end. */
static void check_order(const char *name, const char *const *expected) {
    int round;
    for (round = 0; round < 20; ++round) {
        anjay_net_addrinfo_t *list = list_of(name);
        size_t i;
        for (i = 0; expected[i]; ++i) {
            CHECK_STR(expected[i], next_host(list));
        }
        CHECK_STR("(end)", next_host(list));
        avs_net_addrinfo_delete(&list);
    }
}

/* ------------------------------------------------- routes elsewhere --- */

/* The addresses bring no routes to the main table. */
static cable_t policy_cable(const char *rule) {
    cable_t cable = netns_bare_cable(HOSTS, NULL);
    run("ip addr add " HOME_V4 "/24 dev eth0 noprefixroute");
    run("ip addr add " HOME_V6 "/64 dev eth0 nodad noprefixroute");
    run_away(&cable, "ip addr add " AWAY_V4 "/24 dev eth0");
    run_away(&cable, "ip addr add " AWAY_V6 "/64 dev eth0 nodad");
    run("ip -4 route add table 100 192.0.2.0/24 dev eth0");
    run("ip -6 route add table 100 2001:db8::/64 dev eth0");
    run("ip -4 rule add %s lookup 100", rule);
    run("ip -6 rule add %s lookup 100", rule);
    return cable;
}

SLOW_TEST(routes_of_another_table_are_used) {
    cable_t cable = policy_cable("from all");
    servers_t servers = open_servers(&cable);
    check_both_types_connect("far4", AWAY_V4);
    check_both_types_connect("far6", AWAY_V6);
    check_both_types_connect("both", AWAY_V6);
    check_sends(&servers, "0.0.0.0", "far4");
    check_sends(&servers, "0.0.0.0", "both");
    check_sends(&servers, "::", "far4");
    check_sends(&servers, "::", "far6");
}

/* Only sockets tied to the interface have the route. */
SLOW_TEST(routes_of_an_interface_are_used) {
    cable_t cable = policy_cable("oif eth0");
    open_servers(&cable);
    config_t config = default_config();
    size_t i;
    strcpy(config.interface_name, "eth0");
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        check_connects(BOTH_TYPES[i], &config, "far4", AWAY_V4);
        check_connects(BOTH_TYPES[i], &config, "far6", AWAY_V6);
    }
}

/* The kernel takes any IPv4 address for a neighbour there, and would send from
   an address of the other interface. */
SLOW_TEST(interface_without_an_address_of_a_family_is_no_way_to_it) {
    cable_t cable = netns_bare_cable(HOSTS, NULL);
    config_t config = default_config();
    size_t i;
    cable_lay(&cable, "eth1", "eth1");
    run("ip addr add " HOME_V4 "/24 dev eth0");
    run("ip addr add " HOME_V6 "/64 dev eth1 nodad");
    run_away(&cable, "ip addr add " AWAY_V6 "/64 dev eth1 nodad");
    open_servers(&cable);
    strcpy(config.interface_name, "eth1");
    config.preferred_family = ANJAY_NET_AF_INET4;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        check_connects(BOTH_TYPES[i], &config, "both", AWAY_V6);
    }
}

/* Only packets from this address have the route. */
SLOW_TEST(routes_of_a_source_address_are_used) {
    static const struct {
        const char *rule;
        const char *source;
        const char *name;
        const char *expected;
    } CASES[] = { { "-4 rule add from " HOME_V4, HOME_V4, "far4", AWAY_V4 },
                  { "-6 rule add from " HOME_V6, HOME_V6, "far6", AWAY_V6 } };
    cable_t cable = policy_cable("oif lo");
    servers_t servers = open_servers(&cable);
    size_t i;
    for (i = 0; i < LEN(CASES); ++i) {
        sock_t *socket = bound_udp(CASES[i].source, NULL);
        run("ip %s lookup 100", CASES[i].rule);
        CHECK_OK(V(socket)->connect(socket, CASES[i].name, PORT));
        CHECK_STR(CASES[i].expected, remote_host(socket));
        dispose(&socket);
        check_sends(&servers, CASES[i].source, CASES[i].name);
    }
}

/* Only packets of this protocol and port have the route. */
SLOW_TEST(routes_of_a_protocol_are_used) {
    cable_t cable = policy_cable("ipproto udp dport " PORT);
    open_servers(&cable);
    sock_t *socket;
    check_connects(UDP, NULL, "far4", AWAY_V4);
    check_connects(UDP, NULL, "far6", AWAY_V6);
    socket = new_tcp(NULL);
    CHECK_ERR(ENETUNREACH, V(socket)->connect(socket, "far4", PORT));
    CHECK_ERR(ENETUNREACH, V(socket)->connect(socket, "far6", PORT));
}

/* The question itself is asked, too: a name server has the names. */
SLOW_TEST(names_are_asked_for_in_families_without_a_main_route) {
    static const dns_record_t RECORDS[] = {
        { "dns4.test", DNS_A, AWAY_V4, DNS_NOERROR, 0 },
        { "dns4.test", DNS_AAAA, NULL, DNS_NOERROR, 0 },
        { "dns6.test", DNS_A, NULL, DNS_NOERROR, 0 },
        { "dns6.test", DNS_AAAA, AWAY_V6, DNS_NOERROR, 0 }
    };
    cable_t cable = policy_cable("from all");
    servers_t servers = open_servers(&cable);
    dns_start("127.0.0.53", RECORDS, LEN(RECORDS));
    const char *const only4[] = { AWAY_V4, NULL };
    const char *const only6[] = { AWAY_V6, NULL };
    check_both_types_connect("dns4.test", AWAY_V4);
    check_both_types_connect("dns6.test", AWAY_V6);
    check_order("dns4.test", only4);
    check_order("dns6.test", only6);
    check_sends(&servers, "0.0.0.0", "dns4.test");
    check_sends(&servers, "::", "dns6.test");
}

/* A service on the host itself, which has one family on its cable. */
SLOW_TEST(family_that_only_loopback_has_is_used) {
    static const struct {
        const char *away;
        const char *own;
        const char *name;
    } CASES[] = { { HOME_V6 "/64", "127.0.0.1", "own4" },
                  { HOME_V4 "/24", "::1", "own6" } };
    netns_bare_cable("127.0.0.1 localhost own4\n::1 own6\n",
                     NULL);
    size_t i;
    size_t type;
    for (i = 0; i < LEN(CASES); ++i) {
        run("ip addr flush dev eth0");
        run("ip addr add %s dev eth0", CASES[i].away);
        for (type = 0; type < LEN(BOTH_TYPES); ++type) {
            peer_t peer = peer_at(raw_type(BOTH_TYPES[type]), CASES[i].own,
                                  atoi(PORT));
            check_connects(BOTH_TYPES[type], NULL, CASES[i].name,
                           CASES[i].own);
            if (BOTH_TYPES[type] == UDP) {
                sock_t *socket = bound_udp(CASES[i].own, NULL);
                CHECK_OK(V(socket)->send_to(socket, "ping", 4, CASES[i].name,
                                            PORT));
                peer_expect(&peer, "ping");
            }
        }
    }
}

/* --------------------------------------------- order (RFC 6724) --- */

/* A name with both families, on a host with these IPv6 addresses and a default
   route; IPv4 as usual. */
static cable_t cable_with_ipv6(const char *home, const char *hosts) {
    cable_t cable = netns_bare_cable(hosts, NULL);
    run("ip addr add " HOME_V4 "/24 dev eth0");
    if (home) {
        run("ip addr add %s dev eth0 nodad", home);
    }
    /* As a router's advertisement makes it. */
    run_away(&cable, "ip addr add fe80::2/64 dev eth0 nodad");
    run("ip -6 route add default via fe80::2 dev eth0");
    run_away(&cable, "ip addr add " AWAY_V4 "/24 dev eth0");
    run_away(&cable, "ip addr add " AWAY_V6 "/64 dev eth0 nodad");
    run_away(&cable, "ip addr add fd00:1::2/64 dev eth0 nodad");
    return cable;
}

static void check_takes_ipv4(const servers_t *servers) {
    static const char *const ORDER[] = { AWAY_V4, AWAY_V6, NULL };
    check_order("both", ORDER);
    check_both_types_connect("both", AWAY_V4);
    check_sends(servers, "::", "both");
}

/* Sends from fe80:: succeed, and nothing ever comes back. */
SLOW_TEST(link_local_source_is_no_way_to_a_global_address) {
    cable_t cable = cable_with_ipv6(NULL, HOSTS);
    servers_t servers = open_servers(&cable);
    sock_t *socket = new_udp(NULL);
    check_takes_ipv4(&servers);
    /* Alone it is still tried. */
    CHECK_OK(V(socket)->connect(socket, "far6", PORT));
}

/* Rule 5: the labels differ. */
SLOW_TEST(unique_local_source_is_no_way_to_a_global_address) {
    cable_t cable = cable_with_ipv6("fd00:1::1/64", HOSTS);
    servers_t servers = open_servers(&cable);
    check_takes_ipv4(&servers);
}

/* Rule 6: by the precedences of section 2.1, global IPv6, IPv4, then unique
   local addresses. */
SLOW_TEST(precedences_order_what_fits_equally) {
    static const char *const UNIQUE_LOCAL[] = { AWAY_V4, "fd00:1::2", NULL };
    static const char *const GLOBAL[] = { AWAY_V6, AWAY_V4, NULL };
    cable_with_ipv6("fd00:1::1/64",
                    "127.0.0.1 localhost\n" AWAY_V4
                    " both local\nfd00:1::2 local\n" AWAY_V6
                    " both\n");
    check_order("local", UNIQUE_LOCAL);
    run("ip addr add " HOME_V6 "/64 dev eth0 nodad");
    check_order("both", GLOBAL);
}

/* Rule 1: there is no way to it at all. */
SLOW_TEST(unreachable_addresses_come_last) {
    static const char *const WITHOUT_IPV6[] = { AWAY_V4, AWAY_V6, NULL };
    static const char *const SAME_FAMILY[] = { AWAY_V4, "198.51.100.9", NULL };
    cable_t cable = netns_bare_cable("127.0.0.1 localhost\n" AWAY_V4 " both two\n"
                                     "198.51.100.9 two\n" AWAY_V6 " both\n",
                                     NULL);
    run("ip addr add " HOME_V4 "/24 dev eth0");
    run_away(&cable, "ip addr add " AWAY_V4 "/24 dev eth0");
    run("ip route add unreachable 198.51.100.0/24");
    open_servers(&cable);
    check_order("both", WITHOUT_IPV6);
    check_order("two", SAME_FAMILY);
    check_both_types_connect("both", AWAY_V4);
    check_both_types_connect("two", AWAY_V4);
}

/* Rule 2: an address of the link, and a source that is good for all. */
SLOW_TEST(matching_scope_comes_first_in_ipv4) {
    static const char *const ORDER[] = { AWAY_V4, "169.254.7.7", NULL };
    netns_cable("127.0.0.1 localhost\n" AWAY_V4 " two\n"
                "169.254.7.7 two\n",
                NULL);
    run("ip route add 169.254.0.0/16 dev eth0");
    check_order("two", ORDER);
}

/* Only equals are drawn by lot. */
SLOW_TEST(chance_decides_among_equals_only) {
    int firsts[2] = { 0, 0 };
    int round;
    netns_cable("127.0.0.1 localhost\n192.0.2.2 pool\n"
                "192.0.2.3 pool\n198.51.100.9 pool\n",
                NULL);
    for (round = 0; round < 60; ++round) {
        anjay_net_addrinfo_t *list = list_of("pool");
        const char *first = next_host(list);
        CHECK(strncmp(first, "192.0.2.", 8) == 0);
        ++firsts[first[8] == '3'];
        CHECK(strncmp(next_host(list), "192.0.2.", 8) == 0);
        CHECK_STR("198.51.100.9", next_host(list));
        avs_net_addrinfo_delete(&list);
    }
    CHECK(firsts[0] > 5 && firsts[1] > 5);
}

/* The list is in the order in which a socket tries. */
SLOW_TEST(list_begins_with_what_a_socket_takes) {
    cable_t cable = cable_with_ipv6("fd00:1::1/64", HOSTS);
    open_servers(&cable);
    anjay_net_addrinfo_t *list = list_of("both");
    char first[64];
    strcpy(first, next_host(list));
    check_both_types_connect("both", first);
    avs_net_addrinfo_delete(&list);
}

/* ---------------------------------------------- the stored endpoint --- */

SLOW_TEST(list_waits_for_both_families) {
    netns_cable("127.0.0.1 localhost\n", NULL);
    int late;
    for (late = 0; late < 2; ++late) {
        dns_record_t records[2] = {
            { "server.test", DNS_A, AWAY_V4, DNS_NOERROR, 0 },
            { "server.test", DNS_AAAA, AWAY_V6, DNS_NOERROR, 0 }
        };
        anjay_net_addrinfo_t *list;
        dns_t *dns;
        records[late].delay_ms = 200;
        dns = dns_start("127.0.0.53", records, 2);
        list = list_of("server.test");
        CHECK_STR(AWAY_V6, next_host(list));
        CHECK_STR(AWAY_V4, next_host(list));
        avs_net_addrinfo_delete(&list);
        dns_stop(&dns);
    }
}

static void set_resolve_timeout(unsigned milliseconds) {
    anjay_net_settings_t settings = settings_in_force();
    settings.resolve_timeout_ms = milliseconds;
    configure(&settings);
}

/* A name with both addresses, of which one comes that much later. */
static void check_stored(const char *stored,
                         int type,
                         int late_type,
                         int delay_ms,
                         const char *expected) {
    dns_record_t records[2] = {
        { "server.test", DNS_A, AWAY_V4, DNS_NOERROR, 0 },
        { "server.test", DNS_AAAA, AWAY_V6, DNS_NOERROR, 0 }
    };
    endpoint_t preferred = endpoint_of(ANY, stored, PORT, 0);
    config_t config = default_config();
    dns_t *dns;
    records[late_type == DNS_AAAA].delay_ms = delay_ms;
    dns = dns_start("127.0.0.53", records, 2);
    config.preferred_endpoint = &preferred;
    check_connects(type, &config, "server.test", expected);
    dns_stop(&dns);
}

/* A session is kept: what an endpoint of the other family would cost is a new
   handshake. */
static void check_late_answers_are_waited_for(const char *stored, int late_type) {
    static const int DELAYS[] = { 100, 300, 1000 };
    /* The system resolver waits longer than that. */
    netns_cable("127.0.0.1 localhost\n",
                "nameserver 127.0.0.53\n"
                "options timeout:5 attempts:1\n");
    size_t i;
    for (i = 0; i < LEN(DELAYS); ++i) {
        check_stored(stored, UDP, late_type, DELAYS[i], stored);
    }
}

SLOW_TEST(answer_about_the_stored_ipv6_endpoint_is_waited_for) {
    check_late_answers_are_waited_for(AWAY_V6, DNS_AAAA);
}

SLOW_TEST(answer_about_the_stored_ipv4_endpoint_is_waited_for) {
    check_late_answers_are_waited_for(AWAY_V4, DNS_A);
}

SLOW_TEST(stored_endpoint_may_stand_against_the_preferred_family) {
    static const dns_record_t RECORDS[] = {
        { "server.test", DNS_A, AWAY_V4, DNS_NOERROR, 0 },
        { "server.test", DNS_AAAA, AWAY_V6, DNS_NOERROR, 300 }
    };
    netns_cable("127.0.0.1 localhost\n", NULL);
    endpoint_t preferred = endpoint_of(ANY, AWAY_V6, PORT, 0);
    config_t config = default_config();
    dns_start("127.0.0.53", RECORDS, LEN(RECORDS));
    config.preferred_family = ANJAY_NET_AF_INET4;
    config.preferred_endpoint = &preferred;
    check_connects(UDP, &config, "server.test", AWAY_V6);
}

/* TCP races, and starts with it when it comes in time. */
SLOW_TEST(stream_starts_with_the_stored_endpoint_that_comes_in_time) {
    cable_t cable = netns_cable("127.0.0.1 localhost\n", NULL);
    open_servers(&cable);
    sandbox_await_all_answers();
    check_stored(AWAY_V6, TCP, DNS_AAAA, 100, AWAY_V6);
    check_stored(AWAY_V4, TCP, DNS_AAAA, 100, AWAY_V4);
}

/* An answer that never comes costs the lookup's time, not the server. */
SLOW_TEST(stored_endpoint_without_an_answer_is_given_up_in_time) {
    netns_cable("127.0.0.1 localhost\n", NULL);
    int64_t start;
    set_resolve_timeout(500);
    start = now_us();
    check_stored(AWAY_V6, UDP, DNS_AAAA, DNS_SILENT, AWAY_V4);
    CHECK_WAITED(start, 0, MS(1500));
}

SLOW_TEST(stored_endpoint_that_the_name_has_lost_costs_no_time) {
    static const dns_record_t RECORDS[] = {
        { "server.test", DNS_A, AWAY_V4, DNS_NOERROR, 0 },
        { "server.test", DNS_AAAA, NULL, DNS_NOERROR, 0 }
    };
    netns_cable("127.0.0.1 localhost\n", NULL);
    endpoint_t preferred = endpoint_of(ANY, AWAY_V6, PORT, 0);
    config_t config = default_config();
    dns_start("127.0.0.53", RECORDS, LEN(RECORDS));
    int64_t start = now_us();
    config.preferred_endpoint = &preferred;
    check_connects(UDP, &config, "server.test", AWAY_V4);
    CHECK_WAITED(start, 0, PROMPT);
}

/* EADDRNOTAVAIL is for names that are known to have no address. */
TEST(ipv6_that_is_switched_off_is_no_way) {
    static const char *const HOSTS_OF_IPV6[] = { AWAY_V6, "six" };
    size_t i;
    sandbox_enter("127.0.0.1 localhost\n" AWAY_V6 " six\n", NULL);
    set_sysctl("net/ipv6/conf/all/disable_ipv6", "1");
    for (i = 0; i < LEN(HOSTS_OF_IPV6); ++i) {
        const char *host = HOSTS_OF_IPV6[i];
        sock_t *bound = bound_udp(NULL, NULL);
        sock_t *udp = new_udp(NULL);
        sock_t *tcp = new_tcp(NULL);
        CHECK_ERR(ENETUNREACH, V(bound)->send_to(bound, "x", 1, host, "5683"));
        CHECK_ERR(ENETUNREACH, V(bound)->connect(bound, host, "5683"));
        CHECK_ERR(ENETUNREACH, V(udp)->connect(udp, host, "5683"));
        CHECK_ERR(ENETUNREACH, V(tcp)->connect(tcp, host, "5683"));
    }
}
