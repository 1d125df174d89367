/*
 * Names as hosts and name servers have them: those of /etc/hosts, those that
 * can't be resolved now, those that look like numbers or have a scope.
 */

#include "dns.h"
#include "fixture.h"
#include "netns.h"

#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const int BOTH_TYPES[] = { TCP,
                                  UDP };

static const dns_record_t SILENCE[] = { { NULL, DNS_ANY_TYPE, NULL, DNS_NOERROR,
                                          DNS_SILENT } };

/* What lasts longer than the library waits for. */
static const char DEAD_SERVER[] = "nameserver 127.0.0.53\n"
                                  "options timeout:13 attempts:1\n";

static anjay_net_addrinfo_t *list_of(const char *name) {
    return avs_net_addrinfo_resolve_ex(UDP,
                                       ANJAY_NET_AF_UNSPEC, name, "5683", 0,
                                       NULL);
}

/* ---------------------------------------------------------- /etc/hosts --- */

enum { ROUNDS = 1000 };

static int compare_times(const void *left, const void *right) {
    int64_t a = *(const int64_t *) left;
    int64_t b = *(const int64_t *) right;
    return (a > b) - (a < b);
}

/* One method, asked for a name of /etc/hosts. */
typedef struct {
    const char *name;
    sock_t *socket;
    const char *port;
    /* Where streams are accepted, or NULL. */
    const peer_t *listener;
} local_t;

static void connect_and_close(const local_t *local) {
    sock_t *socket = local->socket;
    CHECK_OK(V(socket)->connect(socket, local->name, local->port));
    if (local->listener) {
        peer_t accepted = peer_accept(local->listener);
        peer_close(&accepted);
    }
    CHECK_OK(V(socket)->close(socket));
}

static void send_one(const local_t *local) {
    CHECK_OK(V(local->socket)
                     ->send_to(local->socket, "x", 1, local->name, local->port));
}

static void bind_and_close(const local_t *local) {
    sock_t *socket = local->socket;
    CHECK_OK(V(socket)->bind(socket, local->name, "0"));
    CHECK_OK(V(socket)->close(socket));
}

static void list_all(const local_t *local) {
    anjay_net_addrinfo_t *list = list_of(local->name);
    CHECK(list != NULL);
    avs_net_addrinfo_delete(&list);
}

/* The median of many rounds: not much more than reading the file. */
static void check_is_local(void (*method)(const local_t *),
                           const local_t *local) {
    static int64_t times[ROUNDS];
    int rounds = is_slow() ? 10 : ROUNDS;
    int i;
    for (i = 0; i < rounds; ++i) {
        int64_t start = now_us();
        method(local);
        times[i] = now_us() - start;
        /* A thousand that wait would take hours. */
        CHECK(times[i] < MS(5000));
        if (i == 20) {
            qsort(times, (size_t) i, sizeof(times[0]), compare_times);
            CHECK(is_slow() || times[i / 2] < MS(10));
        }
    }
    qsort(times, (size_t) rounds, sizeof(times[0]), compare_times);
    if (!is_slow() && times[rounds / 2] > MS(1)) {
        FAIL("%s: median of %lld us", local->name,
             (long long) times[rounds / 2]);
    }
}

static dns_t *enter_with_hosts_and_a_dead_server(void) {
    sandbox_enter("127.0.0.1 localhost only4\n::1 only6\n", DEAD_SERVER);
    return dns_start("127.0.0.53", SILENCE, LEN(SILENCE));
}

static void check_nobody_was_asked(dns_t **dns) {
    CHECK_INT(0, dns_asked(*dns, NULL, DNS_ANY_TYPE));
    dns_stop(dns);
}

static void check_connects_are_local(int type) {
    static const char *const NAMES[] = { "only4", "only6", "localhost" };
    dns_t *dns = enter_with_hosts_and_a_dead_server();
    size_t i;
    for (i = 0; i < LEN(NAMES); ++i) {
        peer_t peer = peer_at(raw_type(type), i == 1 ? "::1" : "127.0.0.1", 0);
        local_t local;
        local.name = NAMES[i];
        local.socket = new_socket(type, NULL);
        local.port = peer.port;
        local.listener = type == TCP ? &peer : NULL;
        check_is_local(connect_and_close, &local);
    }
    check_nobody_was_asked(&dns);
}

SLOW_TEST(datagram_connect_to_a_name_of_hosts_asks_nobody) {
    check_connects_are_local(UDP);
}

SLOW_TEST(stream_connect_to_a_name_of_hosts_asks_nobody) {
    check_connects_are_local(TCP);
}

SLOW_TEST(send_to_a_name_of_hosts_asks_nobody) {
    static const char *const BOUND[] = { "0.0.0.0", "::" };
    dns_t *dns = enter_with_hosts_and_a_dead_server();
    size_t i;
    for (i = 0; i < LEN(BOUND); ++i) {
        peer_t peer = peer_udp(i ? AF_INET6 : AF_INET);
        local_t local;
        local.name = i ? "only6" : "only4";
        local.socket = bound_udp(BOUND[i], NULL);
        local.port = peer.port;
        check_is_local(send_one, &local);
    }
    check_nobody_was_asked(&dns);
}

SLOW_TEST(bind_to_a_name_of_hosts_asks_nobody) {
    dns_t *dns = enter_with_hosts_and_a_dead_server();
    local_t local;
    local.name = "only6";
    local.port = NULL;
    local.socket = new_udp(NULL);
    check_is_local(bind_and_close, &local);
    local.name = "localhost";
    check_is_local(bind_and_close, &local);
    dispose(&local.socket);
    check_nobody_was_asked(&dns);
}

SLOW_TEST(list_of_a_name_of_hosts_asks_nobody) {
    dns_t *dns = enter_with_hosts_and_a_dead_server();
    local_t local;
    memset(&local, 0, sizeof(local));
    local.name = "localhost";
    check_is_local(list_all, &local);
    local.name = "only6";
    check_is_local(list_all, &local);
    check_nobody_was_asked(&dns);
}

/* --------------------------------------------------- failures of names --- */

static void check_fails(const char *name, unsigned code, unsigned code_of_bind) {
    sock_t *bound = bound_udp("127.0.0.1", NULL);
    anjay_net_error_t error;
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        sock_t *socket = new_socket(BOTH_TYPES[i], NULL);
        error = V(socket)->connect(socket, name, "5683");
        if (error.code != code) {
            FAIL("%s: connect of type %d gives %s", name, BOTH_TYPES[i],
                 code_name(error.code));
        }
        CHECK_STATE(CLOSED, socket);
        error = V(socket)->bind(socket, name, "0");
        if (error.code != code_of_bind) {
            FAIL("%s: bind gives %s", name, code_name(error.code));
        }
    }
    error = V(bound)->send_to(bound, "x", 1, name, "5683");
    if (error.code != code) {
        FAIL("%s: send_to gives %s", name, code_name(error.code));
    }
    CHECK(list_of(name) == NULL);
}

static void check_fails_for_now(const char *name) {
    check_fails(name, ANJAY_NET_ERRNO_ETIMEDOUT, ANJAY_NET_ERRNO_ETIMEDOUT);
}

static void check_fails_for_good(const char *name) {
    check_fails(name, ANJAY_NET_ERRNO_EADDRNOTAVAIL, ANJAY_NET_ERRNO_EINVAL);
}

static const char IMPATIENT[] = "nameserver 127.0.0.53\n"
                                "options timeout:1 attempts:1\n";

/* EADDRNOTAVAIL ends a download: it is for names that are known not to be. */
TEST(failing_name_server_is_a_timeout) {
    enum { FORMERR = 1, NOTAUTH = 9 };
    static const dns_record_t RECORDS[] = {
        { "servfail.test", DNS_ANY_TYPE, NULL, DNS_SERVFAIL, 0 },
        { "refused.test", DNS_ANY_TYPE, NULL, DNS_REFUSED, 0 },
        { "formerr.test", DNS_ANY_TYPE, NULL, FORMERR, 0 },
        { "notauth.test", DNS_ANY_TYPE, NULL, NOTAUTH, 0 },
        { "half.test", DNS_A, NULL, DNS_SERVFAIL, 0 },
        { "half.test", DNS_AAAA, NULL, DNS_NOERROR, 0 },
        { "half6.test", DNS_A, NULL, DNS_NOERROR, 0 },
        { "half6.test", DNS_AAAA, NULL, DNS_SERVFAIL, 0 }
    };
    sandbox_enter("127.0.0.1 localhost\n", IMPATIENT);
    dns_start("127.0.0.53", RECORDS, LEN(RECORDS));
    check_fails_for_now("servfail.test");
    check_fails_for_now("refused.test");
    check_fails_for_now("formerr.test");
    check_fails_for_now("notauth.test");
    check_fails_for_now("half.test");
    check_fails_for_now("half6.test");
}

/* As here, where a name below a search domain is known not to be. */
TEST(failing_name_server_is_a_timeout_with_search_domains) {
    static const dns_record_t RECORDS[] = {
        { "server.test", DNS_A, NULL, DNS_SERVFAIL, 0 },
        { "server.test", DNS_AAAA, NULL, DNS_NOERROR, 0 }
    };
    sandbox_enter("127.0.0.1 localhost\n",
                  "nameserver 127.0.0.53\nsearch corp.example\n");
    dns_start("127.0.0.53", RECORDS, LEN(RECORDS));
    check_fails_for_now("server.test");
    check_fails_for_good("nobody.test");
}

SLOW_TEST(name_server_that_is_not_there_is_a_timeout) {
    sandbox_enter("127.0.0.1 localhost\n", IMPATIENT);
    check_fails_for_now("server.test");
    /* Nobody has said yet where it is. */
    rewrite_file("/etc/resolv.conf", "options timeout:1 attempts:1\n");
    check_fails_for_now("server.test");
}

SLOW_TEST(network_that_is_down_is_a_timeout) {
    netns_cable("127.0.0.1 localhost\n",
                "nameserver " AWAY_V4 "\n"
                "options timeout:1 attempts:1\n");
    run("ip link set eth0 down");
    check_fails_for_now("server.test");
}

TEST(name_that_does_not_exist_is_not_available) {
    static const dns_record_t RECORDS[] = {
        { "empty.test", DNS_ANY_TYPE, NULL, DNS_NOERROR, 0 }
    };
    sandbox_enter("127.0.0.1 localhost\n", IMPATIENT);
    dns_start("127.0.0.53", RECORDS, LEN(RECORDS));
    check_fails_for_good("nobody.test");
    check_fails_for_good("empty.test");
}

/* The other family's failure does not matter then. */
TEST(one_family_is_enough) {
    static const dns_record_t RECORDS[] = {
        { "four.test", DNS_A, "127.0.0.1", DNS_NOERROR, 0 },
        { "four.test", DNS_AAAA, NULL, DNS_SERVFAIL, 0 },
        { "six.test", DNS_A, NULL, DNS_SERVFAIL, 0 },
        { "six.test", DNS_AAAA, "::1", DNS_NOERROR, 0 }
    };
    size_t i;
    sandbox_enter("127.0.0.1 localhost\n", IMPATIENT);
    dns_start("127.0.0.53", RECORDS, LEN(RECORDS));
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        peer_t four = peer_at(raw_type(BOTH_TYPES[i]), "127.0.0.1", 0);
        peer_t six = peer_at(raw_type(BOTH_TYPES[i]), "::1", 0);
        sock_t *socket = new_socket(BOTH_TYPES[i], NULL);
        CHECK_OK(V(socket)->connect(socket, "four.test", four.port));
        CHECK_STR("127.0.0.1", remote_host(socket));
        CHECK_OK(V(socket)->close(socket));
        CHECK_OK(V(socket)->connect(socket, "six.test", six.port));
        CHECK_STR("::1", remote_host(socket));
    }
}

/* Unless the socket can't use it: the name may have an address of the other. */
TEST(other_family_is_no_answer_for_a_socket_of_one) {
    static const dns_record_t RECORDS[] = {
        { "fails.test", DNS_A, NULL, DNS_SERVFAIL, 0 },
        { "none.test", DNS_A, NULL, DNS_NOERROR, 0 },
        { NULL, DNS_AAAA, "::1", DNS_NOERROR, 0 }
    };
    sock_t *socket;
    sandbox_enter("127.0.0.1 localhost\n", IMPATIENT);
    dns_start("127.0.0.53", RECORDS, LEN(RECORDS));
    socket = bound_udp("127.0.0.1", NULL);
    CHECK_ERR(ETIMEDOUT, V(socket)->send_to(socket, "x", 1, "fails.test", "9"));
    CHECK_ERR(ETIMEDOUT, V(socket)->connect(socket, "fails.test", "9"));
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->send_to(socket, "x", 1, "none.test", "9"));
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, "none.test", "9"));
}

/* Nor is one that there is no way to: what the other would be is not known. */
TEST(address_without_a_way_is_no_answer_for_the_other_family) {
    static const dns_record_t RECORDS[] = {
        { "fails4.test", DNS_A, NULL, DNS_SERVFAIL, 0 },
        { "fails6.test", DNS_AAAA, NULL, DNS_SERVFAIL, 0 },
        { "none4.test", DNS_A, NULL, DNS_NOERROR, 0 },
        { "none6.test", DNS_AAAA, NULL, DNS_NOERROR, 0 },
        { NULL, DNS_A, "192.0.2.2", DNS_NOERROR, 0 },
        { NULL, DNS_AAAA, "2001:db8::2", DNS_NOERROR, 0 }
    };
    size_t i;
    sandbox_enter("127.0.0.1 localhost\n", IMPATIENT);
    dns_start("127.0.0.53", RECORDS, LEN(RECORDS));
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        sock_t *socket = new_socket(BOTH_TYPES[i], NULL);
        CHECK_ERR(ETIMEDOUT, V(socket)->connect(socket, "fails4.test", "9"));
        CHECK_ERR(ETIMEDOUT, V(socket)->connect(socket, "fails6.test", "9"));
        CHECK_ERR(ENETUNREACH, V(socket)->connect(socket, "none4.test", "9"));
        CHECK_ERR(ENETUNREACH, V(socket)->connect(socket, "none6.test", "9"));
    }
    run("ip -6 route add prohibit 2001:db8::/32");
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        sock_t *socket = new_socket(BOTH_TYPES[i], NULL);
        CHECK_ERR(ETIMEDOUT, V(socket)->connect(socket, "fails4.test", "9"));
        CHECK_ERR(EACCES, V(socket)->connect(socket, "none4.test", "9"));
    }
}

static void check_reaches(const char *name) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        peer_t peer = peer_at(raw_type(BOTH_TYPES[i]), "127.0.0.1", 0);
        sock_t *socket = new_socket(BOTH_TYPES[i], NULL);
        anjay_net_error_t error = V(socket)->connect(socket, name, peer.port);
        if (error.code != 0) {
            FAIL("%s: connect gives %s", name, code_name(error.code));
        }
        CHECK_STR("127.0.0.1", remote_host(socket));
    }
}

/* The socket does not reach the name's other family, which says nothing of the name. */
TEST(bound_socket_without_a_way_does_not_deny_the_name) {
    static const char *const ADDRESSES[] = { "127.0.0.1", "::ffff:127.0.0.1", "::1" };
    size_t i;
    sandbox_enter("127.0.0.1 localhost\n192.0.2.2 both\n2001:db8::2 both\n", NULL);
    for (i = 0; i < LEN(ADDRESSES); ++i) {
        sock_t *socket = bound_udp(ADDRESSES[i], NULL);
        CHECK_ERR(ENETUNREACH, V(socket)->connect(socket, "both", "9"));
        CHECK_STATE(BOUND, socket);
    }
}

TEST(error_of_the_last_address_is_returned) {
    size_t i;
    sandbox_enter("127.0.0.1 localhost\n192.0.2.2 both\n2001:db8::2 both\n", NULL);
    run("ip -6 route add prohibit 2001:db8::/32");
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        config_t config = default_config();
        sock_t *socket;
        config.preferred_family = V4;
        socket = new_socket(BOTH_TYPES[i], &config);
        CHECK_ERR(EACCES, V(socket)->connect(socket, "both", "9"));
        dispose(&socket);
        config.preferred_family = V6;
        socket = new_socket(BOTH_TYPES[i], &config);
        CHECK_ERR(ENETUNREACH, V(socket)->connect(socket, "both", "9"));
    }
}

/* What name servers of containers and VPNs answer about IPv6, and names that
   only containers have. */
TEST(name_is_found_whatever_is_answered_about_ipv6) {
    enum { NOTIMP = 4 };
    static const dns_record_t RECORDS[] = {
        { "nxdomain.test", DNS_AAAA, NULL, DNS_NXDOMAIN, 0 },
        { "notimp.test", DNS_AAAA, NULL, NOTIMP, 0 },
        { "refused.test", DNS_AAAA, NULL, DNS_REFUSED, 0 },
        { "silent.test", DNS_AAAA, NULL, DNS_NOERROR, DNS_SILENT },
        { "my_server", DNS_AAAA, NULL, DNS_NOERROR, 0 },
        { "_coap._udp.test", DNS_AAAA, NULL, DNS_NOERROR, 0 },
        { "10.0.0.1.nip.test", DNS_AAAA, NULL, DNS_NOERROR, 0 },
        { NULL, DNS_A, "127.0.0.1", DNS_NOERROR, 0 }
    };
    size_t i;
    sandbox_enter("127.0.0.1 localhost\n", IMPATIENT);
    dns_start("127.0.0.53", RECORDS, LEN(RECORDS));
    for (i = 0; i + 1 < LEN(RECORDS); ++i) {
        check_reaches(RECORDS[i].name);
    }
}

/* Not every name server is of use, nor every search domain. */
SLOW_TEST(name_is_found_by_one_of_several_servers_and_domains) {
    static const dns_record_t RECORDS[] = {
        { "server.test", DNS_A, "127.0.0.1", DNS_NOERROR, 0 },
        { "server.test", DNS_AAAA, NULL, DNS_NOERROR, 0 },
        { NULL, DNS_ANY_TYPE, NULL, DNS_SERVFAIL, 0 }
    };
    sandbox_enter("127.0.0.1 localhost\n",
                  "nameserver 0.0.0.1\nnameserver 127.0.0.53\n"
                  "search corp.example\n"
                  "options timeout:1 attempts:1 ndots:5\n");
    dns_start("127.0.0.53", RECORDS, LEN(RECORDS));
    check_reaches("server.test");
}

/* As in images that hold the program and little else. */
SLOW_TEST(hosts_is_read_where_nothing_is_configured) {
    sandbox_enter("127.0.0.1 localhost server.test\n", IMPATIENT);
    rewrite_file("/etc/nsswitch.conf", "");
    rewrite_file("/etc/resolv.conf", "");
    check_reaches("server.test");
    check_fails_for_now("other.test");
}

/* ------------------------------------------------------------ spelling --- */

/* What Anjay makes of coap://[fe80::2%25eth0]. */
static const char *const SCOPED[] = { "fe80::2%25eth0", "[fe80::2%25eth0]",
                                      "fe80::2%eth0" };

SLOW_TEST(percent_sign_of_a_scope_may_be_escaped) {
    cable_t cable = netns_cable("127.0.0.1 localhost\n", NULL);
    struct sockaddr_in6 address;
    peer_t peers[2];
    size_t i;
    int type;
    run_away(&cable, "ip addr add fe80::2/64 dev eth0 nodad");
    run("ip addr add fe80::1/64 dev eth0 nodad");
    netns_go(&cable.away);
    peers[0] = peer_at(SOCK_STREAM, "::", 5683);
    peers[1] = peer_at(SOCK_DGRAM, "::", 5683);
    netns_go(&cable.home);
    for (i = 0; i < LEN(SCOPED); ++i) {
        sock_t *bound = bound_udp("fe80::1%25eth0", NULL);
        anjay_net_addrinfo_t *list = list_of(SCOPED[i]);
        endpoint_t endpoint;
        for (type = 0; type < 2; ++type) {
            sock_t *socket = new_socket(type, NULL);
            CHECK_OK(V(socket)->connect(socket, SCOPED[i], "5683"));
            CHECK_STR("fe80::2%eth0", remote_host(socket));
        }
        CHECK_OK(V(bound)->send_to(bound, "ping", 4, SCOPED[i], "5683"));
        peer_expect(&peers[1], "ping");
        CHECK(list != NULL);
        CHECK_INT(0, avs_net_addrinfo_next(list, &endpoint));
        memcpy(&address, endpoint.data.buf, sizeof(address));
        CHECK_INT(if_nametoindex("eth0"), address.sin6_scope_id);
        avs_net_addrinfo_delete(&list);
    }
    CHECK(list_of("fe80::2%25eth9") == NULL);
    /* Unless there is an interface of that name. */
    run("ip link add 25eth0 type veth peer name other");
    run("ip link set 25eth0 up");
    for (i = 0; i < 2; ++i) {
        anjay_net_addrinfo_t *list = list_of(SCOPED[i]);
        endpoint_t endpoint;
        CHECK(list != NULL);
        CHECK_INT(0, avs_net_addrinfo_next(list, &endpoint));
        memcpy(&address, endpoint.data.buf, sizeof(address));
        CHECK_INT(if_nametoindex("25eth0"), address.sin6_scope_id);
        avs_net_addrinfo_delete(&list);
    }
    peer_close(&peers[0]);
    peer_close(&peers[1]);
}

/* Whether the system resolver has an IPv4 address for it. */
static bool system_resolves(const char *name) {
    struct addrinfo hints;
    struct addrinfo *list = NULL;
    int result;
    memset(&hints, 0, sizeof(hints));
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_DGRAM;
    result = getaddrinfo(name, NULL, &hints, &list);
    if (result == 0) {
        freeaddrinfo(list);
    }
    return result == 0;
}

/* They look like numbers, and are none for inet_aton(3). */
static const char *const NAMES_LIKE_NUMBERS[] = {
    "0x",        "0xdeadbeef00", "4294967296", "99999999999",
    "1.2.3.4.5", "0x7f.1.1.1.1", "0xg",        "1.2.3.4.test"
};

TEST(system_resolver_decides_about_names_like_numbers) {
    static const dns_record_t RECORDS[] = {
        { NULL, DNS_A, "127.0.0.1", DNS_NOERROR, 0 },
        { NULL, DNS_AAAA, NULL, DNS_NOERROR, 0 }
    };
    char hosts[512] = "127.0.0.1 localhost";
    size_t round;
    size_t i;
    int resolved = 0;
    for (i = 0; i < LEN(NAMES_LIKE_NUMBERS); ++i) {
        strcat(strcat(hosts, " "), NAMES_LIKE_NUMBERS[i]);
    }
    strcat(hosts, "\n");
    sandbox_enter(hosts, IMPATIENT);
    dns_start("127.0.0.53", RECORDS, LEN(RECORDS));
    /* By /etc/hosts, then by the name server. */
    for (round = 0; round < 2; ++round) {
        for (i = 0; i < LEN(NAMES_LIKE_NUMBERS); ++i) {
            const char *name = NAMES_LIKE_NUMBERS[i];
            bool expected = system_resolves(name);
            sock_t *socket = new_udp(NULL);
            anjay_net_error_t error = V(socket)->connect(socket, name, "5683");
            resolved += expected;
            if (error.code
                != (expected ? 0U : ANJAY_NET_ERRNO_EADDRNOTAVAIL)) {
                FAIL("%s: connect gives %s", name, code_name(error.code));
            }
        }
        rewrite_file("/etc/hosts", "127.0.0.1 localhost\n");
    }
    CHECK(resolved > 4);
}

/* inet_aton(3) takes them for addresses, of which RFC 6943 section 3.1.1
   warns. */
TEST(numbers_that_are_no_addresses_stay_refused) {
    static const char *const NUMBERS[] = { "127.1",       "0x7f000001",
                                           "010.0.0.1",   "2130706433",
                                           "0x7f.0.0.1",  "127.0.1",
                                           "0177.0.0.01", "127.0.0.0x1" };
    size_t i;
    sandbox_enter("127.0.0.1 localhost 127.1 0x7f000001 010.0.0.1\n", NULL);
    for (i = 0; i < LEN(NUMBERS); ++i) {
        check_fails_for_good(NUMBERS[i]);
    }
}
