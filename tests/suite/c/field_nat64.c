/*
 * IPv4 servers on networks that have IPv6 only: RFC 8305 section 7.1. The
 * prefix is found through ipv4only.arpa (RFC 7050), and the address made with
 * it (RFC 6052).
 *
 * No translator is needed: the far host has the addresses that one would stand
 * in for.
 */

#include "dns.h"
#include "fixture.h"
#include "netns.h"
#include "settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT "5683"
#define SERVER "1.2.3.4"

/* One for each length of RFC 6052 section 2.2. */
static const struct {
    const char *prefix;
    int length;
} PREFIXES[] = { { "2001:db8::", 32 },        { "2001:db8:6400::", 40 },
                 { "2001:db8:64::", 48 },     { "2001:db8:64:6400::", 56 },
                 { "2001:db8:64:64::", 64 },  { "2001:db8:64:64:0:64::", 96 },
                 { "64:ff9b::", 96 } };

/* The IPv6 address for an IPv4 one: after the prefix, but not in octet 8. */
static const char *synthesise(const char *prefix, int length, const char *ipv4) {
    static char texts[4][INET6_ADDRSTRLEN];
    static unsigned next;
    char *text = texts[next++ % LEN(texts)];
    unsigned char address[16];
    unsigned char bytes[4];
    int at = length / 8;
    int i;
    CHECK_INT(1, inet_pton(AF_INET6, prefix, address));
    CHECK_INT(1, inet_pton(AF_INET, ipv4, bytes));
    for (i = 0; i < 4; ++i) {
        at += at == 8;
        address[at++] = bytes[i];
    }
    CHECK(inet_ntop(AF_INET6, address, text, INET6_ADDRSTRLEN) != NULL);
    return text;
}

static dns_record_t record(const char *name, int type, const char *addresses) {
    dns_record_t made = { name, type, addresses, DNS_NOERROR, 0 };
    return made;
}

/* A network with a prefix, of which the name server at 127.0.0.53 knows; the
   name "server.test" has an IPv4 address only. */
static struct {
    cable_t cable;
    char translated[INET6_ADDRSTRLEN]; /* the server's address, as it is used */
    char answers[2 * INET6_ADDRSTRLEN];
    dns_record_t records[4];
    dns_t *dns;
    peer_t tcp;
    peer_t udp;
} network;

static void announce(const char *prefix, int length) {
    strcpy(network.translated, synthesise(prefix, length, SERVER));
    snprintf(network.answers, sizeof(network.answers), "%s %s",
             synthesise(prefix, length, "192.0.0.170"),
             synthesise(prefix, length, "192.0.0.171"));
    network.records[0] = record("ipv4only.arpa", DNS_AAAA, network.answers);
    network.records[1] =
            record("ipv4only.arpa", DNS_A, "192.0.0.170 192.0.0.171");
    network.records[2] = record("server.test", DNS_A, SERVER);
    network.records[3] = record("server.test", DNS_AAAA, NULL);
    netns_go(&network.cable.away);
    run("ip addr add %s/128 dev eth0 nodad", network.translated);
    network.tcp = peer_at(SOCK_STREAM, network.translated, atoi(PORT));
    network.udp = peer_at(SOCK_DGRAM, network.translated, atoi(PORT));
    netns_go(&network.cable.home);
}

static void lay_network(void) {
    network.cable = netns_bare_cable("127.0.0.1 localhost\n", NULL);
    run_away(&network.cable, "ip addr add fd00:64::2/64 dev eth0 nodad; "
                              "ip -6 route add default dev eth0");
    /* A global address, and a way to everywhere. */
    run("ip addr add 2001:db8:ffff::1/64 dev eth0 nodad");
    run("ip addr add fd00:64::1/64 dev eth0 nodad");
    run("ip -6 route add default via fd00:64::2");
}

static void open_network(const char *prefix, int length) {
    lay_network();
    announce(prefix, length);
    network.dns =
            dns_start("127.0.0.53", network.records, LEN(network.records));
}

static void close_servers(void) {
    peer_close(&network.tcp);
    peer_close(&network.udp);
}

/* The server can be reached by that text. */
static void check_reaches(const char *host) {
    sock_t *bound = bound_udp("::", NULL);
    char text[64];
    sender_t sender;
    int type;
    for (type = TCP; type <= UDP; ++type) {
        sock_t *socket = new_socket(type, NULL);
        anjay_net_error_t error = V(socket)->connect(socket, host, PORT);
        if (error.code != 0) {
            FAIL("%s by %s: connect gives %s", host, network.translated,
                 code_name(error.code));
        }
        CHECK_STR(network.translated, remote_host(socket));
        CHECK_OK(V(socket)->get_remote_hostname(socket, text, sizeof(text)));
        CHECK_STR(host, text);
        if (type == UDP) {
            send_text(socket, "ping");
            sender = peer_expect_from(&network.udp, "ping");
            peer_reply(&network.udp, &sender, "pong");
            set_timeout_us(socket, MS(5000));
            expect_text(socket, "pong");
        }
    }
    CHECK_OK(V(bound)->send_to(bound, "ping", 4, host, PORT));
    peer_expect(&network.udp, "ping");
}

/* Each in a process of its own: helper threads stay in their namespace. */
SLOW_TEST_EACH(ipv4_literal_is_reached_by_any_prefix, PREFIXES) {
    int status;
    pid_t child = (pid_t) SYS(fork());
    if (child == 0) {
        open_network(it->prefix, it->length);
        check_reaches(SERVER);
        _exit(0);
    }
    SYS(waitpid(child, &status, 0));
    CHECK(WIFEXITED(status));
    CHECK_INT(0, WEXITSTATUS(status));
}

SLOW_TEST(name_with_ipv4_only_is_reached) {
    open_network("2001:db8:64:64:0:64::", 96);
    check_reaches("server.test");
}

/* A server of several stays the same one, and is left when it does not answer. */
SLOW_TEST(stored_endpoint_is_that_of_the_translator) {
    int type;
    open_network("2001:db8:64:64:0:64::", 96);
    rewrite_file("/etc/hosts", "127.0.0.1 localhost\n" SERVER " pool\n1.2.3.5 pool\n");
    run_away(&network.cable, "ip addr add %s/128 dev eth0 nodad",
             synthesise("2001:db8:64:64:0:64::", 96, "1.2.3.5"));
    peer_close(&network.tcp);
    peer_close(&network.udp);
    network.tcp = peer_in(&network.cable.away, SOCK_STREAM, "::", atoi(PORT));
    network.udp = peer_in(&network.cable.away, SOCK_DGRAM, "::", atoi(PORT));
    for (type = TCP; type <= UDP; ++type) {
        endpoint_t endpoint;
        config_t config = default_config();
        sock_t *socket;
        char first[64];
        int round;
        memset(&endpoint, 0, sizeof(endpoint));
        config.preferred_endpoint = &endpoint;
        socket = new_socket(type, &config);
        CHECK_OK(V(socket)->connect(socket, "pool", PORT));
        strcpy(first, remote_host(socket));
        for (round = 0; round < 20; ++round) {
            CHECK_OK(V(socket)->close(socket));
            CHECK_OK(V(socket)->connect(socket, "pool", PORT));
            CHECK_STR(first, remote_host(socket));
        }
        for (round = 0; type == UDP && round < 4; ++round) {
            send_text(socket, "same");
        }
        for (round = 0; type == UDP && round < 20; ++round) {
            CHECK_OK(V(socket)->close(socket));
            CHECK_OK(V(socket)->connect(socket, "pool", PORT));
            CHECK(strcmp(first, remote_host(socket)) != 0);
        }
        dispose(&socket);
    }
}

/* The kernel would connect it to the IPv4 address, from 0.0.0.0. */
SLOW_TEST(socket_tied_to_an_interface_reaches_ipv4_servers) {
    static const char *const HOSTS[] = { SERVER, "server.test" };
    config_t config = default_config();
    size_t i;
    int type;
    open_network("2001:db8:64:64:0:64::", 96);
    strcpy(config.interface_name, "eth0");
    for (i = 0; i < LEN(HOSTS); ++i) {
        for (type = TCP; type <= UDP; ++type) {
            sock_t *socket = new_socket(type, &config);
            CHECK_OK(V(socket)->connect(socket, HOSTS[i], PORT));
            CHECK_STR(network.translated, remote_host(socket));
        }
    }
}

/* As every client after its first reconnect; the port stays. */
SLOW_TEST(bound_socket_reaches_ipv4_servers) {
    static const char *const HOSTS[] = { SERVER, "server.test" };
    static const char *const BOUND[] = { "0.0.0.0", "::" };
    size_t i;
    size_t host;
    open_network("2001:db8:64:64:0:64::", 96);
    for (i = 0; i < LEN(BOUND); ++i) {
        for (host = 0; host < LEN(HOSTS); ++host) {
            sock_t *socket = bound_udp(BOUND[i], NULL);
            char port[16];
            strcpy(port, local_port(socket));
            CHECK_OK(V(socket)->connect(socket, HOSTS[host], PORT));
            CHECK_STR(network.translated, remote_host(socket));
            CHECK_STR(port, local_port(socket));
        }
    }
}

/* The answer is kept: not every connect costs a question. */
SLOW_TEST(prefix_is_asked_for_once) {
    int round;
    open_network("2001:db8:64:64:0:64::", 96);
    for (round = 0; round < 5; ++round) {
        check_reaches(SERVER);
    }
    CHECK(dns_asked(network.dns, "ipv4only.arpa", DNS_AAAA) <= 2);
}

/* Another network, with another name server and another prefix. */
SLOW_TEST(prefix_is_forgotten_when_the_network_changes) {
    open_network("2001:db8:64:64:0:64::", 96);
    check_reaches(SERVER);
    close_servers();
    run_away(&network.cable, "ip addr del %s/128 dev eth0", network.translated);
    run("ip addr del 2001:db8:ffff::1/64 dev eth0");
    run("ip addr add 2001:db8:fffe::1/64 dev eth0 nodad");
    announce("2001:db8:46::", 48);
    network.dns =
            dns_start("127.0.0.54", network.records, LEN(network.records));
    rewrite_file("/etc/resolv.conf", "nameserver 127.0.0.54\n"
                                     "options timeout:1 attempts:1\n");
    check_reaches(SERVER);
    check_reaches("server.test");
}

/* The addresses of the host stay, as on a modem that comes back by itself. */
SLOW_TEST(prefix_is_forgotten_when_resolv_conf_changes) {
    sock_t *socket = new_socket(UDP, NULL);
    open_network("2001:db8:64:64:0:64::", 96);
    check_reaches(SERVER);
    close_servers();
    announce("2001:db8:46::", 48);
    rewrite_file("/etc/resolv.conf", "nameserver 127.0.0.53\n"
                                     "options timeout:1 attempts:2\n");
    CHECK_OK(V(socket)->connect(socket, SERVER, PORT));
    CHECK_STR(network.translated, remote_host(socket));
    dispose(&socket);
    check_reaches(SERVER);
}

/* Nothing but what is asked for tells that the translator is another one. */
SLOW_TEST(prefix_is_asked_for_again_when_it_leads_nowhere) {
    sock_t *tcp;
    sock_t *bound;
    open_network("2001:db8:64:64:0:64::", 96);
    tcp = new_tcp(NULL);
    bound = bound_udp("::", NULL);
    check_reaches(SERVER);
    /* Refused, where the listener was. */
    close_servers();
    announce("2001:db8:46::", 48);
    dns_script(network.dns, network.records, LEN(network.records));
    CHECK_OK(V(tcp)->connect(tcp, SERVER, PORT));
    CHECK_STR(network.translated, remote_host(tcp));
    dispose(&tcp);
    /* No route. */
    run("ip -6 route add unreachable 2001:db8:46::/48");
    close_servers();
    announce("2001:db8:47::", 48);
    dns_script(network.dns, network.records, LEN(network.records));
    CHECK_OK(V(bound)->send_to(bound, "ping", 4, SERVER, PORT));
    peer_expect(&network.udp, "ping");
    dispose(&bound);
    check_reaches(SERVER);
}

typedef struct {
    sock_t *socket;
    const char *host;
    anjay_net_error_t error;
} dial_t;

static void dial(void *arg) {
    dial_t *call = (dial_t *) arg;
    call->error = V(call->socket)->connect(call->socket, call->host, PORT);
}

/* While it asks for the prefix, and while it waits for the far end; the object can be
   used again. */
SLOW_TEST(close_and_shutdown_end_a_connect_to_a_translator) {
    static const dns_record_t SILENT[] = { { NULL, DNS_ANY_TYPE, NULL, DNS_NOERROR, DNS_SILENT } };
    int i;
    open_network("2001:db8:64:64:0:64::", 96);
    for (i = 0; i < 6; ++i) {
        bool is_asking = i < 4;
        bool is_closed = i % 2;
        dial_t call = { i < 2 ? bound_udp(NULL, NULL) : new_tcp(NULL), "1.2.3.9", { 0 } };
        worker_t worker;
        int64_t start;
        if (is_asking) {
            dns_script(network.dns, SILENT, LEN(SILENT));
        } else {
            dns_script(network.dns, network.records, LEN(network.records));
            rewrite_file("/etc/resolv.conf", "nameserver 127.0.0.53\n");
            check_reaches(SERVER);
        }
        worker_start(&worker, dial, &call);
        worker_wait_blocked(&worker);
        start = now_us();
        if (is_closed) {
            CHECK_OK(V(call.socket)->close(call.socket));
        } else {
            CHECK_OK(V(call.socket)->shutdown(call.socket));
        }
        worker_join(&worker);
        CHECK_WAITED(start, 0, PROMPT);
        check_code(HERE "connect",
                   is_closed ? ANJAY_NET_ERRNO_EBADF : ANJAY_NET_ERRNO_ECONNABORTED,
                   call.error);
        CHECK_OK(V(call.socket)->close(call.socket));
        CHECK_OK(V(call.socket)->connect(call.socket, network.translated, PORT));
    }
}

static void check_fails(int code, const char *host, const config_t *config) {
    int type;
    for (type = TCP; type <= UDP; ++type) {
        sock_t *socket = new_socket(type, config);
        check_code(HERE "connect", code, V(socket)->connect(socket, host, PORT));
    }
}

static void check_unreachable(const char *host, const config_t *config) {
    check_fails(ANJAY_NET_ERRNO_ENETUNREACH, host, config);
}

/* ENETUNREACH would end a client for good; whether the network has a translator
   is known a moment later. */
SLOW_TEST(prefix_that_can_not_be_asked_for_now_is_temporary) {
    static const dns_record_t FAILING[] = {
        { "server.test", DNS_A, SERVER, DNS_NOERROR, 0 },
        { "server.test", DNS_AAAA, NULL, DNS_NOERROR, 0 },
        { NULL, DNS_ANY_TYPE, NULL, DNS_SERVFAIL, 0 }
    };
    sock_t *bound;
    open_network("2001:db8:64:64:0:64::", 96);
    dns_script(network.dns, FAILING, LEN(FAILING));
    check_fails(ANJAY_NET_ERRNO_ETIMEDOUT, SERVER, NULL);
    check_fails(ANJAY_NET_ERRNO_ETIMEDOUT, "server.test", NULL);
    bound = bound_udp("::", NULL);
    CHECK_ERR(ETIMEDOUT, V(bound)->send_to(bound, "ping", 4, SERVER, PORT));
    dispose(&bound);
    dns_script(network.dns, network.records, LEN(network.records));
    check_reaches(SERVER);
}

/* Addresses that no router has given lead to no translator. */
SLOW_TEST(host_with_link_local_addresses_asks_for_no_prefix) {
    open_network("2001:db8:64:64:0:64::", 96);
    run("ip addr del 2001:db8:ffff::1/64 dev eth0");
    run("ip addr del fd00:64::1/64 dev eth0");
    check_unreachable(SERVER, NULL);
    CHECK_INT(0, dns_asked(network.dns, "ipv4only.arpa", DNS_ANY_TYPE));
}

/* No translator, so there is no such address. */
SLOW_TEST(without_a_prefix_the_network_is_unreachable) {
    static const dns_record_t RECORDS[] = {
        { "ipv4only.arpa", DNS_A, "192.0.0.170 192.0.0.171", DNS_NOERROR, 0 },
        { "ipv4only.arpa", DNS_AAAA, NULL, DNS_NOERROR, 0 },
        { "server.test", DNS_A, SERVER, DNS_NOERROR, 0 },
        { "server.test", DNS_AAAA, NULL, DNS_NOERROR, 0 }
    };
    lay_network();
    dns_start("127.0.0.53", RECORDS, LEN(RECORDS));
    check_unreachable(SERVER, NULL);
    check_unreachable("server.test", NULL);
}

/* A caller that wants IPv4 gets nothing else. */
SLOW_TEST(forced_ipv4_is_not_translated) {
    config_t config = ipv4_config();
    open_network("2001:db8:64:64:0:64::", 96);
    check_unreachable(SERVER, &config);
}

/* Its IPv4 goes wherever its routes say. */
SLOW_TEST(host_with_ipv4_asks_for_no_prefix) {
    open_network("2001:db8:64:64:0:64::", 96);
    run("ip addr add 192.0.2.1/24 dev eth0");
    check_unreachable(SERVER, NULL);
    CHECK_INT(0, dns_asked(network.dns, "ipv4only.arpa", DNS_ANY_TYPE));
}

/* RFC 3927: what a host gives itself where no DHCP server answers leads
   nowhere. */
SLOW_TEST(host_with_link_local_ipv4_reaches_ipv4_servers) {
    open_network("2001:db8:64:64:0:64::", 96);
    run("ip addr add 169.254.7.7/16 dev eth0 scope link");
    check_reaches(SERVER);
    check_reaches("server.test");
}

/* The host itself needs no translator. */
SLOW_TEST(loopback_is_not_translated) {
    int type;
    open_network("2001:db8:64:64:0:64::", 96);
    for (type = TCP; type <= UDP; ++type) {
        peer_t peer = type == TCP ? peer_listen(AF_INET) : peer_udp(AF_INET);
        sock_t *socket = new_socket(type, NULL);
        CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
        CHECK_STR("127.0.0.1", remote_host(socket));
        CHECK_OK(V(socket)->close(socket));
        CHECK_OK(V(socket)->connect(socket, "localhost", peer.port));
        CHECK_STR("127.0.0.1", remote_host(socket));
    }
    CHECK_INT(0, dns_asked(network.dns, "ipv4only.arpa", DNS_ANY_TYPE));
}

/* RFC 6052 section 3.1: the well-known prefix stands for global addresses
   only. */
SLOW_TEST(private_addresses_have_no_place_in_the_well_known_prefix) {
    open_network("64:ff9b::", 96);
    check_unreachable("10.0.0.1", NULL);
    check_unreachable("192.168.0.1", NULL);
}

/* Asked for or known. */
SLOW_TEST(translator_that_refuses_is_told) {
    int i;
    open_network("2001:db8:64:64:0:64::", 96);
    peer_close(&network.tcp);
    for (i = 0; i < 2; ++i) {
        sock_t *socket = new_tcp(NULL);
        CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, SERVER, PORT));
    }
    network.tcp = peer_in(&network.cable.away, SOCK_STREAM, network.translated, atoi(PORT));
    check_reaches(SERVER);
}

/* However many addresses there are, and prefixes: of one connect. */
SLOW_TEST(translator_that_is_silent_holds_no_call) {
    /* As many as 512 bytes hold: musl before 1.2.4 asks for no longer answer. */
    static char addresses[25 * 16];
    anjay_net_settings_t settings = settings_in_force();
    int i;
    settings.resolve_timeout_ms = 500;
    settings.connect_timeout_ms = 500;
    configure(&settings);
    open_network("64:ff9b::", 96);
    for (i = 0; i < 25; ++i) {
        sprintf(addresses + strlen(addresses), "198.51.100.%d ", i + 1);
    }
    network.records[2] = record("server.test", DNS_A, addresses);
    dns_script(network.dns, network.records, LEN(network.records));
    for (i = 0; i < 2; ++i) {
        sock_t *socket = new_tcp(NULL);
        int64_t start = now_us();
        CHECK_ERR(ETIMEDOUT, V(socket)->connect(socket, "server.test", PORT));
        CHECK_WAITED(start, MS(500), MS(1500) + PROMPT);
    }
}

/* The name has its limit, and the prefix again. */
SLOW_TEST(send_to_waits_for_a_name_and_for_a_prefix) {
    static const dns_record_t LATE[] = {
        { "server.test", DNS_A, SERVER, DNS_NOERROR, 300 },
        { "server.test", DNS_AAAA, NULL, DNS_NOERROR, 0 },
        { NULL, DNS_ANY_TYPE, NULL, DNS_NOERROR, DNS_SILENT }
    };
    anjay_net_settings_t settings = settings_in_force();
    sock_t *bound;
    int64_t start;
    settings.resolve_timeout_ms = 500;
    configure(&settings);
    open_network("2001:db8:64:64:0:64::", 96);
    dns_script(network.dns, LATE, LEN(LATE));
    bound = bound_udp("::", NULL);
    start = now_us();
    CHECK_ERR(ETIMEDOUT, V(bound)->send_to(bound, "ping", 4, "server.test", PORT));
    CHECK_WAITED(start, MS(800), MS(1000) + PROMPT);
}

/* One that does not answer for IPv6 leaves the prefix its time. */
SLOW_TEST(send_to_a_name_that_is_silent_for_ipv6_is_translated) {
    anjay_net_settings_t settings = settings_in_force();
    sock_t *bound;
    settings.resolve_timeout_ms = 500;
    configure(&settings);
    open_network("2001:db8:64:64:0:64::", 96);
    network.records[3].delay_ms = DNS_SILENT;
    dns_script(network.dns, network.records, LEN(network.records));
    bound = bound_udp("::", NULL);
    CHECK_OK(V(bound)->send_to(bound, "ping", 4, "server.test", PORT));
    peer_expect(&network.udp, "ping");
}

/* The addresses of translators are raced as all others are. */
SLOW_TEST(silent_translators_cost_a_stagger_each) {
    int i;
    open_network("2001:db8:64:64:0:64::", 96);
    network.records[2] = record("server.test", DNS_A,
                                "198.51.100.1 198.51.100.2 198.51.100.3 " SERVER);
    dns_script(network.dns, network.records, LEN(network.records));
    for (i = 0; i < 3; ++i) {
        sock_t *socket = new_tcp(NULL);
        int64_t start = now_us();
        CHECK_OK(V(socket)->connect(socket, "server.test", PORT));
        CHECK_WAITED(start, 0, 3 * MS(250) + PROMPT);
        CHECK_STR(network.translated, remote_host(socket));
    }
}
