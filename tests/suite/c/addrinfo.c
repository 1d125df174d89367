/*
 * Text to addresses and back: avs_net_addrinfo_* and
 * avs_net_resolved_endpoint_get_host_port.
 */

#include "peer.h"
#include "sandbox.h"
#include "sock.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

typedef anjay_net_addrinfo_t list_t;

enum {
    TCP = ANJAY_NET_SOCKET_TYPE_TCP,
    UDP = ANJAY_NET_SOCKET_TYPE_UDP,
    ANY = ANJAY_NET_AF_UNSPEC,
    V4 = ANJAY_NET_AF_INET4,
    V6 = ANJAY_NET_AF_INET6,
    PASSIVE = ANJAY_NET_ADDRINFO_RESOLVE_F_PASSIVE,
    V4MAPPED = ANJAY_NET_ADDRINFO_RESOLVE_F_V4MAPPED,
    NOADDRCONFIG = ANJAY_NET_ADDRINFO_RESOLVE_F_NOADDRCONFIG
};

static list_t *resolve(int family, const char *host, const char *port, int flags) {
    return avs_net_addrinfo_resolve_ex(UDP, family, host, port, flags, NULL);
}

/* The endpoint as "host|port". */
static const char *text_of(const endpoint_t *endpoint) {
    static char text[128];
    char host[64];
    char port[16];
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(
            endpoint, host, sizeof(host), port, sizeof(port)));
    snprintf(text, sizeof(text), "%s|%s", host, port);
    return text;
}

/* The next endpoint of the list prints like this. */
static void check_next(list_t *list, const char *expected) {
    endpoint_t endpoint;
    CHECK_INT(0, avs_net_addrinfo_next(list, &endpoint));
    CHECK_STR(expected, text_of(&endpoint));
}

static void check_end(list_t *list) {
    endpoint_t endpoint;
    CHECK_INT(ANJAY_NET_ADDRINFO_END, avs_net_addrinfo_next(list, &endpoint));
    CHECK_INT(ANJAY_NET_ADDRINFO_END, avs_net_addrinfo_next(list, &endpoint));
}

/* The text resolves to exactly one endpoint that prints like this. */
static void check_single(int family,
                         const char *host,
                         const char *port,
                         int flags,
                         const char *expected) {
    list_t *list = resolve(family, host, port, flags);
    if (!list) {
        FAIL("%s port %s does not resolve", host, port ? port : "(null)");
    }
    check_next(list, expected);
    check_end(list);
    avs_net_addrinfo_delete(&list);
    CHECK(list == NULL);
}

static void check_unresolvable(int family, const char *host, const char *port) {
    list_t *list = resolve(family, host, port, 0);
    if (list) {
        FAIL("\"%s\" port \"%s\" resolves", host ? host : "(null)",
             port ? port : "(null)");
    }
}

static endpoint_t endpoint_of(int family,
                              const char *host,
                              const char *port,
                              int flags) {
    endpoint_t endpoint;
    list_t *list = resolve(family, host, port, flags);
    CHECK(list != NULL);
    CHECK_INT(0, avs_net_addrinfo_next(list, &endpoint));
    avs_net_addrinfo_delete(&list);
    return endpoint;
}

static struct sockaddr_in6 in6_of(const endpoint_t *endpoint) {
    struct sockaddr_in6 address;
    CHECK_INT(sizeof(address), endpoint->size);
    memcpy(&address, &endpoint->data, sizeof(address));
    CHECK_INT(AF_INET6, address.sin6_family);
    return address;
}

TEST(literals_resolve_to_themselves) {
    check_single(ANY, "127.0.0.1", "5683", 0, "127.0.0.1|5683");
    check_single(V4, "255.255.255.255", "1", 0, "255.255.255.255|1");
    check_single(ANY, "::1", "5683", 0, "::1|5683");
    check_single(V6, "2001:DB8:0:0:0:0:0:1", "5684", 0, "2001:db8::1|5684");
    check_single(ANY, "::", "1", 0, "::|1");
}

TEST(literal_becomes_the_right_sockaddr) {
    endpoint_t endpoint = endpoint_of(ANY, "192.0.2.33", "4660", 0);
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    CHECK_INT(sizeof(v4), endpoint.size);
    memcpy(&v4, &endpoint.data, sizeof(v4));
    CHECK_INT(AF_INET, v4.sin_family);
    CHECK_INT(0x1234, ntohs(v4.sin_port));
    CHECK_INT(0xC0000221, ntohl(v4.sin_addr.s_addr));

    endpoint = endpoint_of(ANY, "2001:db8::21", "4660", 0);
    v6 = in6_of(&endpoint);
    CHECK_INT(0x1234, ntohs(v6.sin6_port));
    CHECK_INT(0x21, v6.sin6_addr.s6_addr[15]);
    CHECK_INT(0, v6.sin6_scope_id);
}

TEST(ipv6_literals_may_stand_in_brackets) {
    check_single(ANY, "[::1]", "5683", 0, "::1|5683");
    check_single(V6, "[2001:db8::5]", "5683", 0, "2001:db8::5|5683");
}

TEST(ipv6_literals_may_have_a_scope) {
    endpoint_t endpoint = endpoint_of(ANY, "fe80::1%lo", "5683", 0);
    CHECK_INT(1, in6_of(&endpoint).sin6_scope_id);
    endpoint = endpoint_of(ANY, "fe80::1%1", "5683", 0);
    CHECK_INT(1, in6_of(&endpoint).sin6_scope_id);
    endpoint = endpoint_of(ANY, "[fe80::1%lo]", "5683", 0);
    CHECK_INT(1, in6_of(&endpoint).sin6_scope_id);
}

TEST(scope_of_no_interface_does_not_resolve) {
    check_unresolvable(ANY, "fe80::1%nosuchif0", "5683");
    check_unresolvable(ANY, "fe80::1%", "5683");
}

TEST(broken_brackets_do_not_resolve) {
    check_unresolvable(ANY, "[::1", "5683");
    check_unresolvable(ANY, "::1]", "5683");
    check_unresolvable(ANY, "[]", "5683");
    check_unresolvable(ANY, "[::1]x", "5683");
}

/* By name or by number: either way it leads back to the same address. */
TEST(link_local_text_has_its_scope) {
    endpoint_t endpoint = endpoint_of(ANY, "fe80::1%lo", "5683", 0);
    endpoint_t again;
    char host[64];
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(
            &endpoint, host, sizeof(host), NULL, 0));
    CHECK_INT(0, strncmp(host, "fe80::1%", 8));
    again = endpoint_of(ANY, host, "5683", 0);
    CHECK_INT(endpoint.size, again.size);
    CHECK_BYTES(&endpoint.data, &again.data, endpoint.size);
}

TEST(port_text_is_decimal) {
    static const struct {
        const char *text;
        const char *value;
    } PORTS[] = { { "0", "0" },         { "1", "1" },     { "5683", "5683" },
                  { "65535", "65535" }, { "0080", "80" }, { "00000000443", "443" },
                  { "", "0" },          { NULL, "0" } };
    size_t i;
    for (i = 0; i < LEN(PORTS); ++i) {
        char expected[32];
        snprintf(expected, sizeof(expected), "127.0.0.1|%s", PORTS[i].value);
        check_single(ANY, "127.0.0.1", PORTS[i].text, 0, expected);
    }
}

TEST(other_port_text_does_not_resolve) {
    static const char *const PORTS[] = {
        "65536", "70000",  "-1",   "+1",   " 80",
        "80 ",   "0x50",   "coap", "http", "80a",
        "8 0",   "99999999999999999999999", "4294967297", "18446744073709551617",
        "1.5",   "80\n",   "\t80", "\xFF\xFE", "8\xC3\xA9", "-0"
    };
    size_t i;
    for (i = 0; i < LEN(PORTS); ++i) {
        check_unresolvable(ANY, "127.0.0.1", PORTS[i]);
        check_unresolvable(ANY, "::1", PORTS[i]);
    }
}

TEST(text_that_is_not_utf8_does_not_resolve) {
    check_unresolvable(ANY, "\xFF\xFE\x80", "5683");
    check_unresolvable(ANY, "localhost\xC3", "5683");
}

TEST(over_long_names_do_not_resolve) {
    static const size_t LENGTHS[] = { 256, 300, 5000, 100000 };
    size_t i;
    for (i = 0; i < LEN(LENGTHS); ++i) {
        char *name = (char *) malloc(LENGTHS[i] + 1);
        CHECK(name != NULL);
        memset(name, 'a', LENGTHS[i]);
        name[LENGTHS[i]] = '\0';
        check_unresolvable(ANY, name, "5683");
        check_unresolvable(ANY, "127.0.0.1", name);
        free(name);
    }
}

TEST(family_restricts_literals) {
    check_single(V4, "127.0.0.1", "1", 0, "127.0.0.1|1");
    check_unresolvable(V6, "127.0.0.1", "1");
    check_single(V6, "::1", "1", 0, "::1|1");
    check_unresolvable(V4, "::1", "1");
}

TEST(missing_host_is_the_wildcard_when_passive) {
    static const char *const HOSTS[] = { NULL, "" };
    size_t i;
    for (i = 0; i < LEN(HOSTS); ++i) {
        list_t *list = resolve(ANY, HOSTS[i], "5683", PASSIVE);
        CHECK(list != NULL);
        check_next(list, "::|5683");
        check_next(list, "0.0.0.0|5683");
        check_end(list);
        avs_net_addrinfo_delete(&list);

        check_single(V4, HOSTS[i], "5683", PASSIVE, "0.0.0.0|5683");
        check_single(V6, HOSTS[i], "5683", PASSIVE, "::|5683");
        check_single(V4, HOSTS[i], NULL, PASSIVE, "0.0.0.0|0");
    }
}

TEST(preferred_wildcard_comes_first) {
    endpoint_t preferred = endpoint_of(V4, "0.0.0.0", "5683", 0);
    list_t *list = avs_net_addrinfo_resolve_ex(TCP, ANY, NULL, "5683", PASSIVE,
                                               &preferred);
    CHECK(list != NULL);
    check_next(list, "0.0.0.0|5683");
    check_next(list, "::|5683");
    check_end(list);
    avs_net_addrinfo_delete(&list);
}

TEST(missing_host_does_not_resolve_otherwise) {
    check_unresolvable(ANY, NULL, "5683");
    check_unresolvable(ANY, "", "5683");
    check_unresolvable(V4, NULL, "5683");
    check_unresolvable(V6, NULL, "5683");
}

TEST(literals_may_be_passive) {
    check_single(ANY, "127.0.0.1", "5683", PASSIVE, "127.0.0.1|5683");
    check_single(ANY, "::1", "5683", PASSIVE, "::1|5683");
}

/* The sockaddr is IPv6, ::ffff:a.b.c.d, and prints in the plain form. */
static void check_mapped(int family, const char *host, const char *address) {
    endpoint_t endpoint = endpoint_of(family, host, "5683", V4MAPPED);
    struct sockaddr_in6 v6 = in6_of(&endpoint);
    struct in_addr v4;
    CHECK(IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr));
    CHECK_INT(1, inet_pton(AF_INET, address, &v4));
    CHECK_BYTES(&v4, &v6.sin6_addr.s6_addr[12], 4);
    CHECK_INT(5683, ntohs(v6.sin6_port));
}

TEST(v4mapped_flag_maps_ipv4_results) {
    check_mapped(V6, "192.0.2.1", "192.0.2.1");
    check_mapped(ANY, "192.0.2.1", "192.0.2.1");
}

TEST(v4mapped_flag_with_ipv6_asks_for_both_families) {
    list_t *list;
    endpoint_t endpoint;
    bool found = false;
    sandbox_enter("127.0.0.1 localhost\n::1 localhost\n", NULL);
    list = resolve(V6, "localhost", "5683", V4MAPPED);
    CHECK(list != NULL);
    while (avs_net_addrinfo_next(list, &endpoint) == 0) {
        struct sockaddr_in6 address = in6_of(&endpoint);
        found = found || IN6_IS_ADDR_V4MAPPED(&address.sin6_addr);
    }
    CHECK(found);
    avs_net_addrinfo_delete(&list);
}

TEST(v4mapped_flag_leaves_ipv6_results_alone) {
    check_single(V6, "2001:db8::1", "5683", V4MAPPED, "2001:db8::1|5683");
}

TEST(v4mapped_text_is_the_plain_form) {
    endpoint_t endpoint = endpoint_of(V6, "192.0.2.1", "5683", V4MAPPED);
    CHECK_STR("192.0.2.1|5683", text_of(&endpoint));
    endpoint = endpoint_of(ANY, "::ffff:192.0.2.2", "5683", 0);
    CHECK_STR("192.0.2.2|5683", text_of(&endpoint));
}

TEST(noaddrconfig_flag_is_accepted) {
    check_single(ANY, "::1", "5683", NOADDRCONFIG, "::1|5683");
    check_single(V4, "127.0.0.1", "5683", NOADDRCONFIG, "127.0.0.1|5683");
}

TEST(names_go_to_the_system_resolver) {
    list_t *list;
    sandbox_enter("127.0.0.1 localhost\n::1 localhost\n", NULL);
    list = resolve(V4, "localhost", "5683", 0);
    CHECK(list != NULL);
    check_next(list, "127.0.0.1|5683");
    avs_net_addrinfo_delete(&list);
}

TEST(resolves_for_all_four_socket_types) {
    int type;
    for (type = 0; type <= 3; ++type) {
        list_t *list = avs_net_addrinfo_resolve_ex(type, ANY, "127.0.0.1",
                                                   "5683", 0, NULL);
        CHECK(list != NULL);
        check_next(list, "127.0.0.1|5683");
        check_end(list);
        avs_net_addrinfo_delete(&list);
    }
}

TEST(other_types_and_families_do_not_resolve) {
    static const int WRONG[] = { -1, 4, 99, 0x7FFFFFFF, -0x7FFFFFFF - 1 };
    size_t i;
    for (i = 0; i < LEN(WRONG); ++i) {
        CHECK(avs_net_addrinfo_resolve_ex(WRONG[i], ANY, "127.0.0.1", "5683", 0,
                                          NULL)
              == NULL);
        CHECK(avs_net_addrinfo_resolve_ex(UDP, WRONG[i], "127.0.0.1", "5683", 0,
                                          NULL)
              == NULL);
    }
    CHECK(avs_net_addrinfo_resolve_ex(UDP, 3, "127.0.0.1", "5683", 0, NULL)
          == NULL);
}

TEST(rewind_starts_the_same_list_again) {
    list_t *list = resolve(ANY, NULL, "5683", PASSIVE);
    CHECK(list != NULL);
    check_next(list, "::|5683");
    avs_net_addrinfo_rewind(list);
    check_next(list, "::|5683");
    check_next(list, "0.0.0.0|5683");
    check_end(list);
    avs_net_addrinfo_rewind(list);
    check_next(list, "::|5683");
    check_next(list, "0.0.0.0|5683");
    check_end(list);
    avs_net_addrinfo_delete(&list);
}

TEST(delete_clears_the_pointer_and_takes_null) {
    list_t *list = resolve(ANY, "127.0.0.1", "5683", 0);
    CHECK(list != NULL);
    avs_net_addrinfo_delete(&list);
    CHECK(list == NULL);
    avs_net_addrinfo_delete(&list);
    CHECK(list == NULL);
    avs_net_addrinfo_delete(NULL);
}

TEST(text_buffers_may_fit_exactly) {
    endpoint_t endpoint = endpoint_of(ANY, "127.0.0.1", "5683", 0);
    char host[10];
    char port[5];
    memset(host, 'x', sizeof(host));
    memset(port, 'x', sizeof(port));
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(
            &endpoint, host, sizeof(host), port, sizeof(port)));
    CHECK_BYTES("127.0.0.1", host, sizeof(host));
    CHECK_BYTES("5683", port, sizeof(port));

    endpoint = endpoint_of(ANY, "::1", "5683", 0);
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(&endpoint, host, 4, port,
                                                     sizeof(port)));
    CHECK_STR("::1", host);
}

TEST(text_buffers_too_small_are_refused_and_not_overrun) {
    endpoint_t endpoint = endpoint_of(ANY, "127.0.0.1", "5683", 0);
    size_t size;
    for (size = 0; size < 10; ++size) {
        char host[16];
        char port[16];
        memset(host, 'x', sizeof(host));
        CHECK_ERR(ERANGE,
                  avs_net_resolved_endpoint_get_host_port(
                          &endpoint, host, size, port, sizeof(port)));
        CHECK_BYTES("xxxxxxxxxxxxxxxx", host + size, sizeof(host) - size);
    }
    for (size = 0; size < 5; ++size) {
        char host[16];
        char port[16];
        memset(port, 'x', sizeof(port));
        CHECK_ERR(ERANGE,
                  avs_net_resolved_endpoint_get_host_port(
                          &endpoint, host, sizeof(host), port, size));
        CHECK_BYTES("xxxxxxxxxxxxxxxx", port + size, sizeof(port) - size);
    }
}

TEST(either_text_may_be_left_out) {
    endpoint_t endpoint = endpoint_of(ANY, "127.0.0.1", "5683", 0);
    char text[64];
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(&endpoint, text,
                                                     sizeof(text), NULL, 0));
    CHECK_STR("127.0.0.1", text);
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(&endpoint, NULL, 0, text,
                                                     sizeof(text)));
    CHECK_STR("5683", text);
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(&endpoint, NULL, 0, NULL,
                                                     0));
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(&endpoint, NULL, 64, NULL,
                                                     64));
}

TEST(endpoint_of_garbage_has_no_text) {
    char host[64];
    char port[16];
    unsigned size;
    for (size = 0; size <= 255; ++size) {
        endpoint_t endpoint;
        memset(&endpoint, 0xA5, sizeof(endpoint));
        endpoint.size = (uint8_t) size;
        CHECK(avs_net_resolved_endpoint_get_host_port(
                      &endpoint, host, sizeof(host), port, sizeof(port))
                      .code
              != 0);
    }
}
