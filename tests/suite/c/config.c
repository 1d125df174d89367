/*
 * Configuration at creation: what is refused, and what is applied to every
 * descriptor.
 */

#include "fixture.h"

#include <netinet/ip.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef IPV6_TRANSPARENT
#    define IPV6_TRANSPARENT 75
#endif

/* Both constructors refuse it, and make no object. */
static void check_refused(const config_t *config) {
    sock_t *socket = NULL;
    CHECK_ERR(EINVAL, _avs_net_create_tcp_socket(&socket, config));
    CHECK(socket == NULL);
    CHECK_ERR(EINVAL, _avs_net_create_udp_socket(&socket, config));
    CHECK(socket == NULL);
}

static void check_taken(const config_t *config) {
    for (int i = 0; i < 2; ++i) {
        sock_t *socket = new_socket(i ? TCP : UDP, config);
        CHECK_STATE(CLOSED, socket);
        dispose(&socket);
    }
}

static void check_taken_if(bool taken, const config_t *config) {
    if (taken) {
        check_taken(config);
    } else {
        check_refused(config);
    }
}

TEST_ROWS(dscp_is_at_most_63, int value, 256, row) {
    check_taken_if(value <= 63, &(config_t){ .dscp = (uint8_t) value });
}

TEST_ROWS(priority_is_at_most_7, int value, 256, row) {
    check_taken_if(value <= 7, &(config_t){ .priority = (uint8_t) value });
}

TEST_ROWS(booleans_are_0_or_1, int value, 256, row) {
    check_taken_if(value <= 1, &(config_t){ .reuse_addr = (uint8_t) value });
    check_taken_if(value <= 1, &(config_t){ .transparent = (uint8_t) value });
}

TEST(interface_name_is_terminated) {
    config_t config = default_config();
    memset(config.interface_name, 'a', sizeof(config.interface_name));
    check_refused(&config);
    config.interface_name[sizeof(config.interface_name) - 1] = '\0';
    check_taken(&config);
}

TEST(families_are_known) {
    static const int WRONG[] = { 3, -1, 10, INT32_MAX, INT32_MIN };
    for (size_t i = 0; i < LEN(WRONG); ++i) {
        check_refused(&(config_t){ .address_family = WRONG[i] });
        check_refused(&(config_t){ .preferred_family = WRONG[i] });
    }
    for (int family = 0; family <= 2; ++family) {
        check_taken(&(config_t){ .address_family = family, .preferred_family = 2 - family });
    }
}

TEST(no_configuration_is_the_default_one) {
    config_t config = default_config();
    check_taken(NULL);
    check_taken(&config);
}

TEST(configuration_is_copied) {
    config_t *config = (config_t *) calloc(1, sizeof(config_t));
    config->dscp = 10;
    strcpy(config->interface_name, "lo");
    sock_t *socket = new_udp(config);
    memset(config, 0xA5, sizeof(*config));
    free(config);
    CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
    CHECK_INT(10 << 2, int_option(descriptor_of(socket), IPPROTO_IP, IP_TOS));
}

/* A descriptor comes to be by bind and by connect. */
enum { BY_BIND, BY_CONNECT, WAYS };

static sock_t *open_by(int way, int type, int family, const config_t *config) {
    peer_t peer;
    return way == BY_BIND ? bound_socket(type, family == AF_INET6 ? "::1" : "127.0.0.1", config)
                          : connected_pair_of(type, family, config, &peer);
}

/* An option of every new descriptor, the bits of the mask. */
static void check_every_descriptor(
        const config_t *config, int family, int level, int name, int mask, int expected) {
    for (int i = 0; i < 2 * WAYS; ++i) {
        int fd = descriptor_of(open_by(i / 2, i % 2 ? TCP : UDP, family, config));
        CHECK_INT(expected, int_option(fd, level, name) & mask);
    }
}

/* Setting the DSCP changes the priority: it was set after. */
TEST(dscp_and_priority_are_applied) {
    config_t config = { .dscp = 46, .priority = 3 };
    check_every_descriptor(&config, AF_INET, IPPROTO_IP, IP_TOS, ~3, 46 << 2);
    check_every_descriptor(&config, AF_INET, SOL_SOCKET, SO_PRIORITY, ~0, 3);
}

TEST(dscp_alone_and_priority_alone_are_applied) {
    check_every_descriptor(&(config_t){ .dscp = 8 }, AF_INET, IPPROTO_IP, IP_TOS, ~0, 8 << 2);
    config_t config = { .priority = 6 };
    check_every_descriptor(&config, AF_INET, IPPROTO_IP, IP_TOS, ~0, 0);
    check_every_descriptor(&config, AF_INET, SOL_SOCKET, SO_PRIORITY, ~0, 6);
}

/* The reference sets it for IPv4 only. */
TEST(dscp_is_the_traffic_class_of_ipv6_sockets) {
    config_t config = { .dscp = 46, .priority = 3 };
    check_every_descriptor(&config, AF_INET6, IPPROTO_IPV6, IPV6_TCLASS, ~3, 46 << 2);
    check_every_descriptor(&config, AF_INET6, SOL_SOCKET, SO_PRIORITY, ~0, 3);
}

TEST(dscp_of_dual_stack_sockets_is_set_for_both_families) {
    int fd = descriptor_of(bound_udp("::", &(config_t){ .dscp = 46 }));
    CHECK_INT(46 << 2, int_option(fd, IPPROTO_IPV6, IPV6_TCLASS) & ~3);
    CHECK_INT(46 << 2, int_option(fd, IPPROTO_IP, IP_TOS) & ~3);
}

/* Seen from outside: the datagram that an IPv4 peer gets carries it. */
TEST(dscp_arrives_at_the_ipv4_peer_of_a_dual_stack_socket) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("::", &(config_t){ .dscp = 46 });
    char byte;
    char control[128];
    struct iovec vector = { &byte, 1 };
    struct msghdr message = { .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof(control) };
    set_int_option(peer.fd, IPPROTO_IP, IP_RECVTOS, 1);
    CHECK_OK(V(socket)->send_to(socket, "x", 1, "127.0.0.1", peer.port));
    SYS(recvmsg(peer.fd, &message, 0));
    struct cmsghdr *item = CMSG_FIRSTHDR(&message);
    CHECK(item != NULL);
    CHECK_INT(IP_TOS, item->cmsg_type);
    CHECK_INT(46, *CMSG_DATA(item) >> 2);
}

static void check_interface(const char *expected, sock_t *socket) {
    char name[ANJAY_NET_IF_NAMESIZE] = "";
    socklen_t size = sizeof(name);
    SYS(getsockopt(descriptor_of(socket), SOL_SOCKET, SO_BINDTODEVICE, name, &size));
    CHECK_STR(expected, name);
}

TEST(nothing_is_applied_by_default) {
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    int fd = descriptor_of(socket);
    CHECK_INT(0, int_option(fd, IPPROTO_IP, IP_TOS));
    CHECK_INT(0, int_option(fd, SOL_SOCKET, SO_PRIORITY));
    CHECK_INT(0, int_option(fd, SOL_SOCKET, SO_REUSEADDR));
    CHECK_INT(0, int_option(fd, IPPROTO_IP, IP_TRANSPARENT));
    check_interface("", socket);
}

TEST_EACH_TYPE(interface_is_applied) {
    for (int way = 0; way < WAYS; ++way) {
        check_interface("lo", open_by(way, type, AF_INET, &(config_t){ .interface_name = "lo" }));
    }
}

TEST(transparent_is_applied) {
    config_t config = { .transparent = 1 };
    check_every_descriptor(&config, AF_INET, IPPROTO_IP, IP_TRANSPARENT, ~0, 1);
    check_every_descriptor(&config, AF_INET6, IPPROTO_IPV6, IPV6_TRANSPARENT, ~0, 1);
}

/* Bind and connect both fail with that code, and the socket stays closed. */
static void check_not_applicable(unsigned code, const config_t *config) {
    static const char *const HOSTS[] = { "127.0.0.1", "::1" };
    for (size_t i = 0; i < 2 * LEN(HOSTS); ++i) {
        sock_t *socket = new_socket(i % 2 ? TCP : UDP, config);
        check_code(HERE "bind", code, V(socket)->bind(socket, HOSTS[i / 2], "0"));
        CHECK_STATE(CLOSED, socket);
        check_code(HERE "connect", code, V(socket)->connect(socket, HOSTS[i / 2], "9"));
        CHECK_STATE(CLOSED, socket);
    }
}

TEST(unknown_interface_is_the_error_of_the_call) {
    check_not_applicable(ANJAY_NET_ERRNO_ENODEV, &(config_t){ .interface_name = "nosuchif0" });
}

TEST(lack_of_privilege_is_the_error_of_the_call) {
    /* An effective user other than root has no capabilities. */
    if (geteuid() == 0) {
        SYS(seteuid(65534));
    }
    check_not_applicable(ANJAY_NET_ERRNO_EPERM, &(config_t){ .transparent = 1 });
    check_not_applicable(ANJAY_NET_ERRNO_EPERM, &(config_t){ .priority = 7 });
    if (getuid() == 0) {
        SYS(seteuid(0));
    }
}
