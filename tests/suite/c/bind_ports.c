/*
 * bind: which address, which port, and whose error when it fails.
 */

#include "fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

TEST_EACH_TYPE(port_zero_picks_a_port_and_tells_it) {
    static const char *const PORTS[] = { "0", "", NULL, "000" };
    for (size_t i = 0; i < LEN(PORTS); ++i) {
        sock_t *socket = new_socket(type, NULL);
        CHECK_OK(V(socket)->bind(socket, "127.0.0.1", PORTS[i]));
        CHECK(atoi(local_port(socket)) > 0);
        CHECK_INT(port_of(descriptor_of(socket)), atoi(local_port(socket)));
        CHECK_STR("127.0.0.1", local_host(socket));
    }
}

static const char *const MISSING[] = { NULL, "" };

TEST_EACH(missing_address_is_the_dual_stack_wildcard, MISSING) {
    peer_t v4 = peer_udp(AF_INET);
    peer_t v6 = peer_udp(AF_INET6);
    sock_t *socket = bound_udp(*it, NULL);
    CHECK_STR("::", local_host(socket));
    set_timeout_us(socket, MS(5000));
    peer_say(&v4, socket, "four");
    expect_text(socket, "four");
    peer_say(&v6, socket, "six");
    expect_text(socket, "six");
}

TEST_EACH_TYPE(wildcard_follows_the_family_policy) {
    static const struct {
        const char *host;
        config_t config;
    } POLICIES[] = { { "0.0.0.0", { .address_family = V4 } }, { "::", { .address_family = V6 } },
        { "0.0.0.0", { .preferred_family = V4 } } };
    for (size_t i = 0; i < LEN(POLICIES); ++i) {
        sock_t *socket = new_socket(type, &POLICIES[i].config);
        CHECK_OK(V(socket)->bind(socket, NULL, NULL));
        CHECK_STR(POLICIES[i].host, local_host(socket));
    }
}

TEST_EACH_TYPE(literals_of_both_families_can_be_bound) {
    static const char *const ADDRESSES[][2] = { { "127.0.0.1", "127.0.0.1" },
        { "127.3.2.1", "127.3.2.1" }, { "::1", "::1" }, { "[::1]", "::1" },
        { "0.0.0.0", "0.0.0.0" }, { "::", "::" } };
    for (size_t i = 0; i < LEN(ADDRESSES); ++i) {
        CHECK_STR(ADDRESSES[i][1], local_host(bound_socket(type, ADDRESSES[i][0], NULL)));
    }
}

TEST(names_can_be_bound) {
    sandbox_enter("127.0.0.1 localhost\n::1 localhost\n", NULL);
    CHECK_STATE(BOUND, bound_udp("localhost", NULL));
}

TEST_EACH_TYPE(bad_text_is_an_invalid_argument) {
    static const char *const PORTS[] = { "65536", "-1", "+1", " 80", "80 ", "0x50", "coap",
        "8\xFF" };
    char name[257];
    sock_t *socket = new_socket(type, NULL);
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (size_t i = 0; i < LEN(PORTS); ++i) {
        CHECK_ERR(EINVAL, V(socket)->bind(socket, "127.0.0.1", PORTS[i]));
        CHECK_ERR(EINVAL, V(socket)->bind(socket, NULL, PORTS[i]));
    }
    CHECK_ERR(EINVAL, V(socket)->bind(socket, name, "0"));
    CHECK_ERR(EINVAL, V(socket)->bind(socket, "\xFF\xFE", "0"));
    CHECK_STATE(CLOSED, socket);
}

/* The reference says EINVAL for every IPv6 bind that fails. */
TEST_EACH_TYPE(taken_port_is_said_to_be_in_use) {
    static const char *const ADDRESSES[] = { "127.0.0.1", "::1", "::" };
    for (size_t i = 0; i < LEN(ADDRESSES); ++i) {
        sock_t *owner = bound_socket(type, ADDRESSES[i], NULL);
        sock_t *socket = new_socket(type, NULL);
        CHECK_ERR(EADDRINUSE, V(socket)->bind(socket, ADDRESSES[i], local_port(owner)));
        CHECK_STATE(CLOSED, socket);
    }
}

TEST_EACH_TYPE(foreign_address_is_said_to_be_not_available) {
    sock_t *socket = new_socket(type, NULL);
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->bind(socket, "203.0.113.5", "0"));
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->bind(socket, "2001:db8::5", "0"));
    CHECK_STATE(CLOSED, socket);
}

static const char *const ANYWHERE[] = { "127.0.0.1", "::1", NULL };

TEST_EACH_TYPE(unknown_interface_is_said_to_be_no_device) {
    sock_t *socket = new_socket(type, &(config_t){ .interface_name = "nosuchif0" });
    for (size_t i = 0; i < LEN(ANYWHERE); ++i) {
        CHECK_ERR(ENODEV, V(socket)->bind(socket, ANYWHERE[i], "0"));
        CHECK_STATE(CLOSED, socket);
    }
}

TEST_EACH_TYPE(lack_of_descriptors_is_said) {
    struct rlimit limit;
    sock_t *socket = new_socket(type, NULL);
    SYS(getrlimit(RLIMIT_NOFILE, &limit));
    rlim_t usual = limit.rlim_cur;
    limit.rlim_cur = 32;
    SYS(setrlimit(RLIMIT_NOFILE, &limit));
    for (int fd; (fd = dup(2)) >= 0;) {
        held(fd);
    }
    CHECK_INT(EMFILE, errno);
    for (size_t i = 0; i < LEN(ANYWHERE); ++i) {
        CHECK_ERR(EMFILE, V(socket)->bind(socket, ANYWHERE[i], "0"));
        CHECK_STATE(CLOSED, socket);
    }
    CHECK_ERR(EMFILE, V(socket)->connect(socket, "127.0.0.1", "9"));
    CHECK_STATE(CLOSED, socket);
    limit.rlim_cur = usual;
    SYS(setrlimit(RLIMIT_NOFILE, &limit));
}

TEST(released_udp_port_can_be_bound_again_at_once) {
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    char port[16];
    strcpy(port, local_port(socket));
    for (int round = 0; round < 20; ++round) {
        CHECK_OK(V(socket)->close(socket));
        CHECK_OK(V(socket)->bind(socket, "127.0.0.1", port));
        CHECK_STR(port, local_port(socket));
    }
}

TEST(released_tcp_port_can_be_bound_again_with_reuse_addr) {
    config_t config = reuse_config();
    sock_t *server = listening_tcp("127.0.0.1", &config);
    sock_t *socket = new_tcp(&config);
    char port[16];
    strcpy(port, local_port(server));
    for (int round = 0; round < 3; ++round) {
        peer_t peer = peer_connected_to(server, TCP, AF_INET);
        CHECK_OK(V(server)->accept(server, socket));
        /* We close first, so the connection lingers in TIME_WAIT on our
           port. */
        CHECK_OK(V(socket)->close(socket));
        peer_expect(&peer, "");
        peer_close(&peer);
        CHECK_OK(V(server)->close(server));
        CHECK_OK(V(server)->bind(server, "127.0.0.1", port));
        CHECK_STR(port, local_port(server));
    }
}

TEST(reuse_addr_is_set_before_bind) {
    config_t config = reuse_config();
    sock_t *first = bound_udp("127.0.0.1", &config);
    sock_t *second = new_udp(&config);
    sock_t *without = new_udp(NULL);
    const char *port = local_port(first);
    CHECK_OK(V(second)->bind(second, "127.0.0.1", port));
    CHECK_STR(port, local_port(second));
    CHECK_ERR(EADDRINUSE, V(without)->bind(without, "127.0.0.1", port));
}

TEST(reuse_addr_is_off_by_default) {
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    CHECK_INT(0, int_option(descriptor_of(socket), SOL_SOCKET, SO_REUSEADDR));
}

/* The last connect would block for a second and more if the backlog were full. */
TEST(backlog_is_long) {
    sock_t *server = listening_tcp("127.0.0.1", NULL);
    for (int i = 0; i < 400; ++i) {
        peer_connected_to(server, TCP, AF_INET);
    }
}
