/*
 * bind: which address, which port, and whose error when it fails.
 */

#include "peer.h"
#include "sandbox.h"
#include "sock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static const int BOTH_TYPES[] = { ANJAY_NET_SOCKET_TYPE_TCP,
                                  ANJAY_NET_SOCKET_TYPE_UDP };

TEST(port_zero_picks_a_port_and_tells_it) {
    static const char *const PORTS[] = { "0", "", NULL, "000" };
    size_t type;
    size_t i;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        for (i = 0; i < LEN(PORTS); ++i) {
            sock_t *socket = new_socket(BOTH_TYPES[type], NULL);
            CHECK_OK(V(socket)->bind(socket, "127.0.0.1", PORTS[i]));
            CHECK(atoi(local_port(socket)) > 0);
            CHECK_INT(port_of(descriptor_of(socket)), atoi(local_port(socket)));
            CHECK_STR("127.0.0.1", local_host(socket));
            dispose(&socket);
        }
    }
}

TEST(missing_address_is_the_dual_stack_wildcard) {
    static const char *const ADDRESSES[] = { NULL, "" };
    size_t i;
    for (i = 0; i < LEN(ADDRESSES); ++i) {
        peer_t v4 = peer_udp(AF_INET);
        peer_t v6 = peer_udp(AF_INET6);
        sock_t *socket = bound_udp(ADDRESSES[i], NULL);
        CHECK_STR("::", local_host(socket));
        set_timeout_us(socket, MS(5000));
        peer_send_to(&v4, local_port(socket), "four", 4);
        expect_text(socket, "four");
        peer_send_to(&v6, local_port(socket), "six", 3);
        expect_text(socket, "six");
        dispose(&socket);
        peer_close(&v4);
        peer_close(&v6);
    }
}

TEST(wildcard_follows_the_family_policy) {
    size_t type;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        config_t config = default_config();
        sock_t *socket;
        config.address_family = ANJAY_NET_AF_INET4;
        socket = new_socket(BOTH_TYPES[type], &config);
        CHECK_OK(V(socket)->bind(socket, NULL, NULL));
        CHECK_STR("0.0.0.0", local_host(socket));
        dispose(&socket);

        config.address_family = ANJAY_NET_AF_INET6;
        socket = new_socket(BOTH_TYPES[type], &config);
        CHECK_OK(V(socket)->bind(socket, NULL, NULL));
        CHECK_STR("::", local_host(socket));
        dispose(&socket);

        config.address_family = ANJAY_NET_AF_UNSPEC;
        config.preferred_family = ANJAY_NET_AF_INET4;
        socket = new_socket(BOTH_TYPES[type], &config);
        CHECK_OK(V(socket)->bind(socket, NULL, NULL));
        CHECK_STR("0.0.0.0", local_host(socket));
        dispose(&socket);
    }
}

TEST(literals_of_both_families_can_be_bound) {
    static const char *const ADDRESSES[][2] = { { "127.0.0.1", "127.0.0.1" },
                                                { "127.3.2.1", "127.3.2.1" },
                                                { "::1", "::1" },
                                                { "[::1]", "::1" },
                                                { "0.0.0.0", "0.0.0.0" },
                                                { "::", "::" } };
    size_t type;
    size_t i;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        for (i = 0; i < LEN(ADDRESSES); ++i) {
            sock_t *socket = new_socket(BOTH_TYPES[type], NULL);
            CHECK_OK(V(socket)->bind(socket, ADDRESSES[i][0], "0"));
            CHECK_STR(ADDRESSES[i][1], local_host(socket));
            dispose(&socket);
        }
    }
}

TEST(names_can_be_bound) {
    sock_t *socket = new_udp(NULL);
    sandbox_enter("127.0.0.1 localhost\n::1 localhost\n", NULL);
    CHECK_OK(V(socket)->bind(socket, "localhost", "0"));
    CHECK_STATE(BOUND, socket);
    dispose(&socket);
}

TEST(bad_text_is_an_invalid_argument) {
    static const char *const PORTS[] = { "65536", "-1",   "+1",  " 80",
                                         "80 ",   "0x50", "coap", "8\xFF" };
    size_t type;
    size_t i;
    char name[257];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        sock_t *socket = new_socket(BOTH_TYPES[type], NULL);
        for (i = 0; i < LEN(PORTS); ++i) {
            CHECK_ERR(EINVAL, V(socket)->bind(socket, "127.0.0.1", PORTS[i]));
            CHECK_ERR(EINVAL, V(socket)->bind(socket, NULL, PORTS[i]));
        }
        CHECK_ERR(EINVAL, V(socket)->bind(socket, name, "0"));
        CHECK_ERR(EINVAL, V(socket)->bind(socket, "\xFF\xFE", "0"));
        CHECK_STATE(CLOSED, socket);
        dispose(&socket);
    }
}

/* The reference says EINVAL for every IPv6 bind that fails. */
TEST(taken_port_is_said_to_be_in_use) {
    static const char *const ADDRESSES[] = { "127.0.0.1", "::1", "::" };
    size_t type;
    size_t i;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        for (i = 0; i < LEN(ADDRESSES); ++i) {
            sock_t *owner = new_socket(BOTH_TYPES[type], NULL);
            sock_t *socket = new_socket(BOTH_TYPES[type], NULL);
            CHECK_OK(V(owner)->bind(owner, ADDRESSES[i], "0"));
            CHECK_ERR(EADDRINUSE, V(socket)->bind(socket, ADDRESSES[i],
                                                  local_port(owner)));
            CHECK_STATE(CLOSED, socket);
            dispose(&socket);
            dispose(&owner);
        }
    }
}

TEST(foreign_address_is_said_to_be_not_available) {
    size_t type;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        sock_t *socket = new_socket(BOTH_TYPES[type], NULL);
        CHECK_ERR(EADDRNOTAVAIL, V(socket)->bind(socket, "203.0.113.5", "0"));
        CHECK_ERR(EADDRNOTAVAIL, V(socket)->bind(socket, "2001:db8::5", "0"));
        CHECK_STATE(CLOSED, socket);
        dispose(&socket);
    }
}

TEST(unknown_interface_is_said_to_be_no_device) {
    static const char *const ADDRESSES[] = { "127.0.0.1", "::1", NULL };
    config_t config = default_config();
    size_t type;
    size_t i;
    strcpy(config.interface_name, "nosuchif0");
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        for (i = 0; i < LEN(ADDRESSES); ++i) {
            sock_t *socket = new_socket(BOTH_TYPES[type], &config);
            CHECK_ERR(ENODEV, V(socket)->bind(socket, ADDRESSES[i], "0"));
            CHECK_STATE(CLOSED, socket);
            dispose(&socket);
        }
    }
}

TEST(lack_of_descriptors_is_said) {
    static const char *const ADDRESSES[] = { "127.0.0.1", "::1", NULL };
    struct rlimit old_limit;
    struct rlimit limit;
    size_t type;
    size_t i;
    int fillers[64];
    int count = 0;
    sock_t *sockets[2];
    sockets[0] = new_tcp(NULL);
    sockets[1] = new_udp(NULL);
    SYS(getrlimit(RLIMIT_NOFILE, &old_limit));
    limit = old_limit;
    limit.rlim_cur = 32;
    SYS(setrlimit(RLIMIT_NOFILE, &limit));
    while (count < 64) {
        int fd = dup(2);
        if (fd < 0) {
            CHECK_INT(EMFILE, errno);
            break;
        }
        fillers[count++] = fd;
    }
    CHECK(count < 64);
    for (type = 0; type < 2; ++type) {
        for (i = 0; i < LEN(ADDRESSES); ++i) {
            CHECK_ERR(EMFILE, V(sockets[type])
                                      ->bind(sockets[type], ADDRESSES[i], "0"));
            CHECK_STATE(CLOSED, sockets[type]);
        }
        CHECK_ERR(EMFILE,
                  V(sockets[type])->connect(sockets[type], "127.0.0.1", "9"));
        CHECK_STATE(CLOSED, sockets[type]);
    }
    SYS(setrlimit(RLIMIT_NOFILE, &old_limit));
    while (count > 0) {
        SYS(close(fillers[--count]));
    }
    dispose(&sockets[0]);
    dispose(&sockets[1]);
}

TEST(released_udp_port_can_be_bound_again_at_once) {
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    char port[16];
    int round;
    strcpy(port, local_port(socket));
    for (round = 0; round < 20; ++round) {
        CHECK_OK(V(socket)->close(socket));
        CHECK_OK(V(socket)->bind(socket, "127.0.0.1", port));
        CHECK_STR(port, local_port(socket));
    }
    dispose(&socket);
}

TEST(released_tcp_port_can_be_bound_again_with_reuse_addr) {
    config_t config = reuse_config();
    sock_t *server = listening_tcp("127.0.0.1", &config);
    sock_t *socket = new_tcp(&config);
    char port[16];
    char byte;
    int round;
    strcpy(port, local_port(server));
    for (round = 0; round < 3; ++round) {
        peer_t peer = peer_connect(AF_INET, SOCK_STREAM, port);
        CHECK_OK(V(server)->accept(server, socket));
        /* We close first, so the connection lingers in TIME_WAIT on our
           port. */
        CHECK_OK(V(socket)->close(socket));
        CHECK_INT(0, peer_receive(&peer, &byte, 1));
        peer_close(&peer);
        CHECK_OK(V(server)->close(server));
        CHECK_OK(V(server)->bind(server, "127.0.0.1", port));
        CHECK_STR(port, local_port(server));
    }
    dispose(&socket);
    dispose(&server);
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
    dispose(&without);
    dispose(&second);
    dispose(&first);
}

TEST(reuse_addr_is_off_by_default) {
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    CHECK_INT(0, int_option(descriptor_of(socket), SOL_SOCKET, SO_REUSEADDR));
    dispose(&socket);
}

TEST(backlog_is_long) {
    enum { CLIENTS = 400 };
    static int clients[CLIENTS];
    sock_t *server = listening_tcp("127.0.0.1", NULL);
    struct sockaddr_storage address;
    socklen_t size =
            make_address(&address, "127.0.0.1", atoi(local_port(server)));
    int i;
    for (i = 0; i < CLIENTS; ++i) {
        clients[i] = (int) SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        /* Blocks for a second and more when the backlog is full. */
        SYS(connect(clients[i], (struct sockaddr *) &address, size));
    }
    for (i = 0; i < CLIENTS; ++i) {
        SYS(close(clients[i]));
    }
    dispose(&server);
}
