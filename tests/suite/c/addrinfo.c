/*
 * Text to addresses and back: avs_net_addrinfo_* and
 * avs_net_resolved_endpoint_get_host_port.
 */

#include "fixture.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

typedef anjay_net_addrinfo_t list_t;

enum {
    PASSIVE = ANJAY_NET_ADDRINFO_RESOLVE_F_PASSIVE,
    V4MAPPED = ANJAY_NET_ADDRINFO_RESOLVE_F_V4MAPPED,
    NOADDRCONFIG = ANJAY_NET_ADDRINFO_RESOLVE_F_NOADDRCONFIG
};

static const char HOSTS[] = "127.0.0.1 localhost\n::1 localhost\n";

/* These resolve to those endpoints, as text, in that order. */
#define CHECK_LISTED(Expected, Family, Host, Port, Flags) \
    CHECK_STR(Expected, listed(UDP, Family, Host, Port, Flags, NULL))

static struct sockaddr_in6 in6_of(const endpoint_t *endpoint) {
    struct sockaddr_in6 address;
    CHECK_INT(sizeof(address), endpoint->size);
    memcpy(&address, &endpoint->data, sizeof(address));
    CHECK_INT(AF_INET6, address.sin6_family);
    return address;
}

TEST(literals_resolve_to_themselves) {
    CHECK_LISTED("127.0.0.1|5683", ANY, "127.0.0.1", "5683", 0);
    CHECK_LISTED("255.255.255.255|1", V4, "255.255.255.255", "1", 0);
    CHECK_LISTED("::1|5683", ANY, "::1", "5683", 0);
    CHECK_LISTED("2001:db8::1|5684", V6, "2001:DB8:0:0:0:0:0:1", "5684", 0);
    CHECK_LISTED("::|1", ANY, "::", "1", 0);
}

TEST(literal_becomes_the_right_sockaddr) {
    endpoint_t endpoint = endpoint_of(ANY, "192.0.2.33", "4660", 0);
    struct sockaddr_in v4;
    CHECK_INT(sizeof(v4), endpoint.size);
    memcpy(&v4, &endpoint.data, sizeof(v4));
    CHECK_INT(AF_INET, v4.sin_family);
    CHECK_INT(0x1234, ntohs(v4.sin_port));
    CHECK_INT(0xC0000221, ntohl(v4.sin_addr.s_addr));

    endpoint = endpoint_of(ANY, "2001:db8::21", "4660", 0);
    struct sockaddr_in6 v6 = in6_of(&endpoint);
    CHECK_INT(0x1234, ntohs(v6.sin6_port));
    CHECK_INT(0x21, v6.sin6_addr.s6_addr[15]);
    CHECK_INT(0, v6.sin6_scope_id);
}

TEST(ipv6_literals_may_stand_in_brackets) {
    CHECK_LISTED("::1|5683", ANY, "[::1]", "5683", 0);
    CHECK_LISTED("2001:db8::5|5683", V6, "[2001:db8::5]", "5683", 0);
}

static const char *const SCOPED[] = { "fe80::1%lo", "fe80::1%1", "[fe80::1%lo]" };

TEST_EACH(ipv6_literals_may_have_a_scope, SCOPED) {
    endpoint_t endpoint = endpoint_of(ANY, *it, "5683", 0);
    CHECK_INT(1, in6_of(&endpoint).sin6_scope_id);
}

TEST(scope_of_no_interface_does_not_resolve) {
    CHECK_LISTED("nothing", ANY, "fe80::1%nosuchif0", "5683", 0);
    CHECK_LISTED("nothing", ANY, "fe80::1%", "5683", 0);
}

static const char *const BROKEN[] = { "[::1", "::1]", "[]", "[::1]x" };

TEST_EACH(broken_brackets_do_not_resolve, BROKEN) {
    CHECK_LISTED("nothing", ANY, *it, "5683", 0);
}

/* By name or by number: either way it leads back to the same address. */
TEST(link_local_text_has_its_scope) {
    endpoint_t endpoint = endpoint_of(ANY, "fe80::1%lo", "5683", 0);
    char host[64];
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(&endpoint, host, sizeof(host), NULL, 0));
    CHECK_INT(0, strncmp(host, "fe80::1%", 8));
    endpoint_t again = endpoint_of(ANY, host, "5683", 0);
    CHECK_INT(endpoint.size, again.size);
    CHECK_BYTES(&endpoint.data, &again.data, endpoint.size);
}

static const char *const DECIMAL[][2] = { { "0", "127.0.0.1|0" }, { "1", "127.0.0.1|1" },
    { "5683", "127.0.0.1|5683" }, { "65535", "127.0.0.1|65535" }, { "0080", "127.0.0.1|80" },
    { "00000000443", "127.0.0.1|443" }, { "", "127.0.0.1|0" }, { NULL, "127.0.0.1|0" } };

TEST_EACH(port_text_is_decimal, DECIMAL) {
    CHECK_LISTED((*it)[1], ANY, "127.0.0.1", (*it)[0], 0);
}

static const char *const OTHER[] = { "65536", "70000", "-1", "+1", " 80", "80 ", "0x50", "coap",
    "http", "80a", "8 0", "99999999999999999999999", "4294967297", "18446744073709551617", "1.5",
    "80\n", "\t80", "\xFF\xFE", "8\xC3\xA9", "-0" };

TEST_EACH(other_port_text_does_not_resolve, OTHER) {
    CHECK_LISTED("nothing", ANY, "127.0.0.1", *it, 0);
    CHECK_LISTED("nothing", ANY, "::1", *it, 0);
}

TEST(text_that_is_not_utf8_does_not_resolve) {
    CHECK_LISTED("nothing", ANY, "\xFF\xFE\x80", "5683", 0);
    CHECK_LISTED("nothing", ANY, "localhost\xC3", "5683", 0);
}

static const size_t OVERLONG[] = { 256, 300, 5000, 100000 };

TEST_EACH(over_long_names_do_not_resolve, OVERLONG) {
    char *name = (char *) malloc(*it + 1);
    defer(free, name);
    memset(name, 'a', *it);
    name[*it] = '\0';
    CHECK_LISTED("nothing", ANY, name, "5683", 0);
    CHECK_LISTED("nothing", ANY, "127.0.0.1", name, 0);
}

TEST(family_restricts_literals) {
    CHECK_LISTED("127.0.0.1|1", V4, "127.0.0.1", "1", 0);
    CHECK_LISTED("nothing", V6, "127.0.0.1", "1", 0);
    CHECK_LISTED("::1|1", V6, "::1", "1", 0);
    CHECK_LISTED("nothing", V4, "::1", "1", 0);
}

static const char *const MISSING[] = { NULL, "" };

TEST_EACH(missing_host_is_the_wildcard_when_passive, MISSING) {
    CHECK_LISTED("::|5683 0.0.0.0|5683", ANY, *it, "5683", PASSIVE);
    CHECK_LISTED("0.0.0.0|5683", V4, *it, "5683", PASSIVE);
    CHECK_LISTED("::|5683", V6, *it, "5683", PASSIVE);
    CHECK_LISTED("0.0.0.0|0", V4, *it, NULL, PASSIVE);
}

TEST(preferred_wildcard_comes_first) {
    endpoint_t preferred = endpoint_of(V4, "0.0.0.0", "5683", 0);
    CHECK_STR("0.0.0.0|5683 ::|5683", listed(TCP, ANY, NULL, "5683", PASSIVE, &preferred));
}

TEST(missing_host_does_not_resolve_otherwise) {
    CHECK_LISTED("nothing", ANY, NULL, "5683", 0);
    CHECK_LISTED("nothing", ANY, "", "5683", 0);
    CHECK_LISTED("nothing", V4, NULL, "5683", 0);
    CHECK_LISTED("nothing", V6, NULL, "5683", 0);
}

TEST(literals_may_be_passive) {
    CHECK_LISTED("127.0.0.1|5683", ANY, "127.0.0.1", "5683", PASSIVE);
    CHECK_LISTED("::1|5683", ANY, "::1", "5683", PASSIVE);
}

static const int MAPPING[] = { V6, ANY };

/* The sockaddr is IPv6, ::ffff:192.0.2.1. */
TEST_EACH(v4mapped_flag_maps_ipv4_results, MAPPING) {
    endpoint_t endpoint = endpoint_of(*it, "192.0.2.1", "5683", V4MAPPED);
    struct sockaddr_in6 v6 = in6_of(&endpoint);
    CHECK(IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr));
    CHECK_BYTES("\xC0\x00\x02\x01", &v6.sin6_addr.s6_addr[12], 4);
    CHECK_INT(5683, ntohs(v6.sin6_port));
}

TEST(v4mapped_flag_with_ipv6_asks_for_both_families) {
    endpoint_t endpoint;
    bool found = false;
    sandbox_enter(HOSTS, NULL);
    list_t *list = avs_net_addrinfo_resolve_ex(UDP, V6, "localhost", "5683", V4MAPPED, NULL);
    CHECK(list != NULL);
    while (avs_net_addrinfo_next(list, &endpoint) == 0) {
        struct sockaddr_in6 address = in6_of(&endpoint);
        found = found || IN6_IS_ADDR_V4MAPPED(&address.sin6_addr);
    }
    CHECK(found);
    avs_net_addrinfo_delete(&list);
}

TEST(v4mapped_flag_leaves_ipv6_results_alone) {
    CHECK_LISTED("2001:db8::1|5683", V6, "2001:db8::1", "5683", V4MAPPED);
}

TEST(v4mapped_text_is_the_plain_form) {
    CHECK_LISTED("192.0.2.1|5683", V6, "192.0.2.1", "5683", V4MAPPED);
    CHECK_LISTED("192.0.2.2|5683", ANY, "::ffff:192.0.2.2", "5683", 0);
}

TEST(noaddrconfig_flag_is_accepted) {
    CHECK_LISTED("::1|5683", ANY, "::1", "5683", NOADDRCONFIG);
    CHECK_LISTED("127.0.0.1|5683", V4, "127.0.0.1", "5683", NOADDRCONFIG);
}

TEST(names_go_to_the_system_resolver) {
    sandbox_enter(HOSTS, NULL);
    CHECK_LISTED("127.0.0.1|5683", V4, "localhost", "5683", 0);
}

TEST_ROWS(resolves_for_all_four_socket_types, int type, 4, row) {
    CHECK_STR("127.0.0.1|5683", listed(type, ANY, "127.0.0.1", "5683", 0, NULL));
}

static const int WRONG[] = { -1, 4, 99, 0x7FFFFFFF, -0x7FFFFFFF - 1 };

TEST_EACH(other_types_and_families_do_not_resolve, WRONG) {
    CHECK_STR("nothing", listed(*it, ANY, "127.0.0.1", "5683", 0, NULL));
    CHECK_LISTED("nothing", *it, "127.0.0.1", "5683", 0);
    CHECK_LISTED("nothing", 3, "127.0.0.1", "5683", 0);
}

TEST(rewind_starts_the_same_list_again) {
    static const char *const EXPECTED[] = { "::|5683", "0.0.0.0|5683" };
    endpoint_t endpoint;
    list_t *list = avs_net_addrinfo_resolve_ex(UDP, ANY, NULL, "5683", PASSIVE, NULL);
    CHECK(list != NULL);
    for (size_t length = 1; length <= 3; ++length) {
        for (size_t i = 0; i < length && i < LEN(EXPECTED); ++i) {
            CHECK_INT(0, avs_net_addrinfo_next(list, &endpoint));
            CHECK_STR(EXPECTED[i], endpoint_text(&endpoint));
        }
        if (length >= LEN(EXPECTED)) {
            CHECK_INT(ANJAY_NET_ADDRINFO_END, avs_net_addrinfo_next(list, &endpoint));
        }
        avs_net_addrinfo_rewind(list);
    }
    avs_net_addrinfo_delete(&list);
}

TEST(delete_clears_the_pointer_and_takes_null) {
    list_t *list = avs_net_addrinfo_resolve_ex(UDP, ANY, "127.0.0.1", "5683", 0, NULL);
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
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(
            &endpoint, host, sizeof(host), port, sizeof(port)));
    CHECK_BYTES("127.0.0.1", host, sizeof(host));
    CHECK_BYTES("5683", port, sizeof(port));

    endpoint = endpoint_of(ANY, "::1", "5683", 0);
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(&endpoint, host, 4, port, sizeof(port)));
    CHECK_STR("::1", host);
}

TEST(text_buffers_too_small_are_refused_and_not_overrun) {
    endpoint_t endpoint = endpoint_of(ANY, "127.0.0.1", "5683", 0);
    for (size_t size = 0; size < 10; ++size) {
        char host[16];
        char port[16];
        memset(host, 'x', sizeof(host));
        CHECK_ERR(ERANGE,
                avs_net_resolved_endpoint_get_host_port(&endpoint, host, size, port, sizeof(port)));
        CHECK_BYTES("xxxxxxxxxxxxxxxx", host + size, sizeof(host) - size);
        if (size < 5) {
            memset(port, 'x', sizeof(port));
            CHECK_ERR(ERANGE,
                    avs_net_resolved_endpoint_get_host_port(
                            &endpoint, host, sizeof(host), port, size));
            CHECK_BYTES("xxxxxxxxxxxxxxxx", port + size, sizeof(port) - size);
        }
    }
}

TEST(either_text_may_be_left_out) {
    endpoint_t endpoint = endpoint_of(ANY, "127.0.0.1", "5683", 0);
    char text[64];
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(&endpoint, text, sizeof(text), NULL, 0));
    CHECK_STR("127.0.0.1", text);
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(&endpoint, NULL, 0, text, sizeof(text)));
    CHECK_STR("5683", text);
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(&endpoint, NULL, 0, NULL, 0));
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(&endpoint, NULL, 64, NULL, 64));
}

TEST_ROWS(endpoint_of_garbage_has_no_text, int size, 256, row) {
    char host[64];
    char port[16];
    endpoint_t endpoint;
    memset(&endpoint, 0xA5, sizeof(endpoint));
    endpoint.size = (uint8_t) size;
    CHECK(avs_net_resolved_endpoint_get_host_port(&endpoint, host, sizeof(host), port, sizeof(port))
                    .code
            != 0);
}
