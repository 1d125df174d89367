/*
 * Configuration at creation: what is refused, and what is applied to every
 * descriptor.
 */

#include "peer.h"
#include "sock.h"

#include <netinet/ip.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef IPV6_TRANSPARENT
#    define IPV6_TRANSPARENT 75
#endif

static const int BOTH_TYPES[] = { ANJAY_NET_SOCKET_TYPE_TCP,
                                  ANJAY_NET_SOCKET_TYPE_UDP };

/* Both constructors refuse it, and make no object. */
static void check_refused(const config_t *config) {
    sock_t *socket = NULL;
    CHECK_ERR(EINVAL, _avs_net_create_tcp_socket(&socket, config));
    CHECK(socket == NULL);
    CHECK_ERR(EINVAL, _avs_net_create_udp_socket(&socket, config));
    CHECK(socket == NULL);
}

static void check_taken(const config_t *config) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        sock_t *socket = new_socket(BOTH_TYPES[i], config);
        CHECK_STATE(CLOSED, socket);
        dispose(&socket);
    }
}

TEST(dscp_is_at_most_63) {
    config_t config = default_config();
    int value;
    for (value = 0; value <= 255; ++value) {
        config.dscp = (uint8_t) value;
        if (value <= 63) {
            check_taken(&config);
        } else {
            check_refused(&config);
        }
    }
}

TEST(priority_is_at_most_7) {
    config_t config = default_config();
    int value;
    for (value = 0; value <= 255; ++value) {
        config.priority = (uint8_t) value;
        if (value <= 7) {
            check_taken(&config);
        } else {
            check_refused(&config);
        }
    }
}

TEST(booleans_are_0_or_1) {
    config_t config = default_config();
    int value;
    for (value = 2; value <= 255; ++value) {
        config = default_config();
        config.reuse_addr = (uint8_t) value;
        check_refused(&config);
        config = default_config();
        config.transparent = (uint8_t) value;
        check_refused(&config);
    }
    config = default_config();
    config.reuse_addr = 1;
    config.transparent = 1;
    check_taken(&config);
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
    config_t config;
    size_t i;
    int family;
    for (i = 0; i < LEN(WRONG); ++i) {
        config = default_config();
        config.address_family = WRONG[i];
        check_refused(&config);
        config = default_config();
        config.preferred_family = WRONG[i];
        check_refused(&config);
    }
    for (family = 0; family <= 2; ++family) {
        config = default_config();
        config.address_family = family;
        config.preferred_family = 2 - family;
        check_taken(&config);
    }
}

TEST(no_configuration_is_the_default_one) {
    config_t config = default_config();
    check_taken(NULL);
    check_taken(&config);
}

TEST(configuration_is_copied) {
    config_t *config = (config_t *) calloc(1, sizeof(config_t));
    sock_t *socket;
    config->dscp = 10;
    strcpy(config->interface_name, "lo");
    socket = new_udp(config);
    memset(config, 0xA5, sizeof(*config));
    free(config);
    CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
    CHECK_INT(10 << 2, int_option(descriptor_of(socket), IPPROTO_IP, IP_TOS));
    dispose(&socket);
}

/* Each way by which a descriptor comes to be. */
typedef enum { BY_BIND, BY_CONNECT, WAYS } way_t;

static sock_t *open_by(way_t way, int type, const config_t *config, int family) {
    sock_t *socket = new_socket(type, config);
    const char *host = family == AF_INET6 ? "::1" : "127.0.0.1";
    if (way == BY_BIND) {
        CHECK_OK(V(socket)->bind(socket, host, "0"));
    } else {
        peer_t peer = type == ANJAY_NET_SOCKET_TYPE_TCP ? peer_listen(family)
                                                        : peer_udp(family);
        CHECK_OK(V(socket)->connect(socket, host, peer.port));
        peer_close(&peer);
    }
    return socket;
}

TEST(dscp_and_priority_are_applied) {
    config_t config = default_config();
    size_t type;
    int way;
    config.dscp = 46;
    config.priority = 3;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        for (way = 0; way < WAYS; ++way) {
            sock_t *socket =
                    open_by((way_t) way, BOTH_TYPES[type], &config, AF_INET);
            int fd = descriptor_of(socket);
            CHECK_INT(46 << 2, int_option(fd, IPPROTO_IP, IP_TOS) & ~3);
            /* Setting the DSCP changes the priority: it was set after. */
            CHECK_INT(3, int_option(fd, SOL_SOCKET, SO_PRIORITY));
            dispose(&socket);
        }
    }
}

TEST(dscp_alone_and_priority_alone_are_applied) {
    config_t config = default_config();
    sock_t *socket;
    config.dscp = 8;
    socket = open_by(BY_BIND, ANJAY_NET_SOCKET_TYPE_UDP, &config, AF_INET);
    CHECK_INT(8 << 2, int_option(descriptor_of(socket), IPPROTO_IP, IP_TOS));
    dispose(&socket);
    config.dscp = 0;
    config.priority = 6;
    socket = open_by(BY_BIND, ANJAY_NET_SOCKET_TYPE_UDP, &config, AF_INET);
    CHECK_INT(0, int_option(descriptor_of(socket), IPPROTO_IP, IP_TOS));
    CHECK_INT(6, int_option(descriptor_of(socket), SOL_SOCKET, SO_PRIORITY));
    dispose(&socket);
}

/* The reference sets it for IPv4 only. */
TEST(dscp_is_the_traffic_class_of_ipv6_sockets) {
    config_t config = default_config();
    size_t type;
    int way;
    config.dscp = 46;
    config.priority = 3;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        for (way = 0; way < WAYS; ++way) {
            sock_t *socket =
                    open_by((way_t) way, BOTH_TYPES[type], &config, AF_INET6);
            int fd = descriptor_of(socket);
            CHECK_INT(46 << 2, int_option(fd, IPPROTO_IPV6, IPV6_TCLASS) & ~3);
            CHECK_INT(3, int_option(fd, SOL_SOCKET, SO_PRIORITY));
            dispose(&socket);
        }
    }
}

TEST(dscp_of_dual_stack_sockets_is_set_for_both_families) {
    config_t config = default_config();
    sock_t *socket;
    int fd;
    config.dscp = 46;
    socket = bound_udp("::", &config);
    fd = descriptor_of(socket);
    CHECK_INT(46 << 2, int_option(fd, IPPROTO_IPV6, IPV6_TCLASS) & ~3);
    CHECK_INT(46 << 2, int_option(fd, IPPROTO_IP, IP_TOS) & ~3);
    dispose(&socket);
}

/* Seen from outside: the datagram that an IPv4 peer gets carries it. */
TEST(dscp_arrives_at_the_ipv4_peer_of_a_dual_stack_socket) {
    config_t config = default_config();
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket;
    struct msghdr message;
    struct iovec vector;
    char byte;
    char control[128];
    struct cmsghdr *item;
    int on = 1;
    config.dscp = 46;
    socket = bound_udp("::", &config);
    SYS(setsockopt(peer.fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on)));
    CHECK_OK(V(socket)->send_to(socket, "x", 1, "127.0.0.1", peer.port));
    memset(&message, 0, sizeof(message));
    vector.iov_base = &byte;
    vector.iov_len = 1;
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    SYS(recvmsg(peer.fd, &message, 0));
    item = CMSG_FIRSTHDR(&message);
    CHECK(item != NULL);
    CHECK_INT(IP_TOS, item->cmsg_type);
    CHECK_INT(46, *CMSG_DATA(item) >> 2);
    dispose(&socket);
    peer_close(&peer);
}

TEST(nothing_is_applied_by_default) {
    sock_t *socket =
            open_by(BY_BIND, ANJAY_NET_SOCKET_TYPE_UDP, NULL, AF_INET);
    int fd = descriptor_of(socket);
    char name[ANJAY_NET_IF_NAMESIZE] = "";
    socklen_t size = sizeof(name);
    CHECK_INT(0, int_option(fd, IPPROTO_IP, IP_TOS));
    CHECK_INT(0, int_option(fd, SOL_SOCKET, SO_PRIORITY));
    CHECK_INT(0, int_option(fd, SOL_SOCKET, SO_REUSEADDR));
    CHECK_INT(0, int_option(fd, IPPROTO_IP, IP_TRANSPARENT));
    SYS(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &size));
    CHECK_STR("", name);
    dispose(&socket);
}

TEST(interface_is_applied) {
    config_t config = default_config();
    size_t type;
    int way;
    strcpy(config.interface_name, "lo");
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        for (way = 0; way < WAYS; ++way) {
            sock_t *socket =
                    open_by((way_t) way, BOTH_TYPES[type], &config, AF_INET);
            char name[ANJAY_NET_IF_NAMESIZE] = "";
            socklen_t size = sizeof(name);
            SYS(getsockopt(descriptor_of(socket), SOL_SOCKET, SO_BINDTODEVICE,
                           name, &size));
            CHECK_STR("lo", name);
            dispose(&socket);
        }
    }
}

TEST(transparent_is_applied) {
    config_t config = default_config();
    sock_t *socket;
    config.transparent = 1;
    socket = open_by(BY_BIND, ANJAY_NET_SOCKET_TYPE_UDP, &config, AF_INET);
    CHECK_INT(1, int_option(descriptor_of(socket), IPPROTO_IP, IP_TRANSPARENT));
    dispose(&socket);
    socket = open_by(BY_BIND, ANJAY_NET_SOCKET_TYPE_UDP, &config, AF_INET6);
    CHECK_INT(1, int_option(descriptor_of(socket), IPPROTO_IPV6,
                            IPV6_TRANSPARENT));
    dispose(&socket);
}

/* Bind and connect both fail with that code, and the socket stays closed. */
static void check_not_applicable(unsigned code, const config_t *config) {
    static const char *const HOSTS[] = { "127.0.0.1", "::1" };
    size_t type;
    size_t i;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        for (i = 0; i < LEN(HOSTS); ++i) {
            sock_t *socket = new_socket(BOTH_TYPES[type], config);
            check_code(__FILE__, __LINE__, "bind", code,
                       V(socket)->bind(socket, HOSTS[i], "0"));
            CHECK_STATE(CLOSED, socket);
            check_code(__FILE__, __LINE__, "connect", code,
                       V(socket)->connect(socket, HOSTS[i], "9"));
            CHECK_STATE(CLOSED, socket);
            dispose(&socket);
        }
    }
}

TEST(unknown_interface_is_the_error_of_the_call) {
    config_t config = default_config();
    strcpy(config.interface_name, "nosuchif0");
    check_not_applicable(ANJAY_NET_ERRNO_ENODEV, &config);
}

TEST(lack_of_privilege_is_the_error_of_the_call) {
    config_t config = default_config();
    /* An effective user other than root has no capabilities. */
    if (geteuid() == 0) {
        SYS(seteuid(65534));
    }
    config.transparent = 1;
    check_not_applicable(ANJAY_NET_ERRNO_EPERM, &config);
    config = default_config();
    config.priority = 7;
    check_not_applicable(ANJAY_NET_ERRNO_EPERM, &config);
    if (getuid() == 0) {
        SYS(seteuid(0));
    }
}
