/*
 * What a good citizen of a process does: descriptors are marked close-on-exec
 * and never leak, number 0 is one like any other.
 */

#include "peer.h"
#include "sock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static const int BOTH_TYPES[] = { ANJAY_NET_SOCKET_TYPE_TCP,
                                  ANJAY_NET_SOCKET_TYPE_UDP };

static void check_flags(sock_t *socket) {
    int fd = descriptor_of(socket);
    CHECK((SYS(fcntl(fd, F_GETFD)) & FD_CLOEXEC) != 0);
    CHECK((SYS(fcntl(fd, F_GETFL)) & O_NONBLOCK) != 0);
}

/* An open socket of each origin; the peers it needs are closed again. */
typedef enum { BOUND, CONNECTED, ACCEPTED, SERVER_AFTER_ACCEPT, ORIGINS } origin_t;

static sock_t *open_socket(origin_t origin, int type) {
    config_t config = reuse_config();
    sock_t *server = new_socket(type, &config);
    sock_t *socket = new_socket(type, &config);
    bool tcp = type == ANJAY_NET_SOCKET_TYPE_TCP;
    peer_t peer;
    CHECK_OK(V(server)->bind(server, "127.0.0.1", "0"));
    if (origin == BOUND) {
        dispose(&socket);
        return server;
    }
    if (origin == CONNECTED) {
        CHECK_OK(V(socket)->connect(socket, "127.0.0.1", local_port(server)));
        dispose(&server);
        return socket;
    }
    peer = peer_connect(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM,
                        local_port(server));
    SYS(send(peer.fd, "x", 1, 0));
    CHECK_OK(V(server)->accept(server, socket));
    peer_close(&peer);
    if (origin == ACCEPTED) {
        dispose(&server);
        return socket;
    }
    dispose(&socket);
    return server;
}

/* The reference leaks its descriptors into child processes. */
TEST(descriptors_are_close_on_exec_and_do_not_block) {
    size_t type;
    int origin;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        for (origin = 0; origin < ORIGINS; ++origin) {
            sock_t *socket = open_socket((origin_t) origin, BOTH_TYPES[type]);
            check_flags(socket);
            dispose(&socket);
        }
    }
}

TEST(recreated_descriptor_has_the_same_flags) {
    peer_t peer = peer_udp(AF_INET6);
    sock_t *socket = bound_udp("0.0.0.0", NULL);
    CHECK_OK(V(socket)->connect(socket, "::1", peer.port));
    check_flags(socket);
    dispose(&socket);
    peer_close(&peer);
}

TEST(child_processes_inherit_nothing) {
    enum { COUNT = ORIGINS * 2 };
    sock_t *sockets[COUNT];
    size_t type;
    int origin;
    int i = 0;
    int status;
    pid_t child;
    char command[512] = "";
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        for (origin = 0; origin < ORIGINS; ++origin) {
            sockets[i++] = open_socket((origin_t) origin, BOTH_TYPES[type]);
        }
    }
    for (i = 0; i < COUNT; ++i) {
        char item[64];
        snprintf(item, sizeof(item), "test ! -e /proc/$$/fd/%d || exit 1; ",
                 descriptor_of(sockets[i]));
        strcat(command, item);
    }
    child = (pid_t) SYS(fork());
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *) NULL);
        _exit(127);
    }
    SYS(waitpid(child, &status, 0));
    CHECK(WIFEXITED(status));
    CHECK_INT(0, WEXITSTATUS(status));
    for (i = 0; i < COUNT; ++i) {
        dispose(&sockets[i]);
    }
}

/* With standard input closed, the next descriptor is number 0. */
TEST(descriptor_zero_is_a_valid_socket) {
    size_t type;
    int saved = (int) SYS(fcntl(0, F_DUPFD_CLOEXEC, 3));
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        bool tcp = BOTH_TYPES[type] == ANJAY_NET_SOCKET_TYPE_TCP;
        peer_t listener = tcp ? peer_listen(AF_INET) : peer_udp(AF_INET);
        peer_t peer = listener;
        sock_t *socket = new_socket(BOTH_TYPES[type], NULL);
        SYS(close(0));
        CHECK_OK(V(socket)->connect(socket, "127.0.0.1", listener.port));
        CHECK(V(socket)->get_system_socket(socket) != NULL);
        CHECK_INT(0, descriptor_of(socket));
        CHECK_STATE(CONNECTED, socket);
        if (tcp) {
            peer = peer_accept(&listener);
        }
        send_text(socket, "zero");
        peer_expect(&peer, "zero");
        CHECK_OK(V(socket)->shutdown(socket));
        CHECK_INT(0, descriptor_of(socket));
        CHECK_OK(V(socket)->close(socket));
        CHECK_INT(-1, fcntl(0, F_GETFD));
        CHECK_INT(EBADF, errno);

        CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
        CHECK_INT(0, descriptor_of(socket));
        CHECK_STATE(BOUND, socket);
        dispose(&socket);
        CHECK_INT(-1, fcntl(0, F_GETFD));
        SYS(dup2(saved, 0));
        if (tcp) {
            peer_close(&peer);
        }
        peer_close(&listener);
    }
    SYS(close(saved));
}

/* What fails gives back what it took. */
TEST(failing_calls_leak_no_descriptor) {
    char host[16];
    char port[8];
    int keeper = refused_endpoint(SOCK_STREAM, host, port);
    sock_t *tcp = new_tcp(NULL);
    sock_t *udp = new_udp(NULL);
    sock_t *taken = bound_udp("::1", NULL);
    int before = count_descriptors();
    int round;
    for (round = 0; round < 50; ++round) {
        CHECK_ERR(ECONNREFUSED, V(tcp)->connect(tcp, host, port));
        CHECK_ERR(EADDRINUSE, V(udp)->bind(udp, "::1", local_port(taken)));
        CHECK_ERR(EADDRNOTAVAIL, V(udp)->bind(udp, "203.0.113.1", "0"));
        CHECK_ERR(EADDRNOTAVAIL, V(udp)->connect(udp, "127.0.0.1", "bad"));
    }
    CHECK_INT(before, count_descriptors());
    dispose(&taken);
    dispose(&udp);
    dispose(&tcp);
    SYS(close(keeper));
}

TEST(creation_opens_no_descriptor) {
    enum { COUNT = 100 };
    sock_t *sockets[COUNT];
    int before = count_descriptors();
    int i;
    for (i = 0; i < COUNT; ++i) {
        sockets[i] = new_socket(BOTH_TYPES[i % 2], NULL);
    }
    CHECK_INT(before, count_descriptors());
    for (i = 0; i < COUNT; ++i) {
        dispose(&sockets[i]);
    }
}

TEST(churn_leaks_nothing) {
    peer_t udp_peer = peer_udp(AF_INET);
    peer_t listener = peer_listen(AF_INET);
    sock_t *udp = new_udp(NULL);
    sock_t *tcp = new_tcp(NULL);
    int before = count_descriptors();
    int round;
    for (round = 0; round < 200; ++round) {
        peer_t peer;
        CHECK_OK(V(udp)->bind(udp, NULL, NULL));
        CHECK_OK(V(udp)->connect(udp, "127.0.0.1", udp_peer.port));
        CHECK_OK(V(tcp)->connect(tcp, "127.0.0.1", listener.port));
        peer = peer_accept(&listener);
        if (round % 2) {
            CHECK_OK(V(udp)->shutdown(udp));
            CHECK_OK(V(tcp)->shutdown(tcp));
        }
        CHECK_OK(V(udp)->close(udp));
        CHECK_OK(V(tcp)->close(tcp));
        peer_close(&peer);
        CHECK_INT(before, count_descriptors());
    }
    dispose(&udp);
    dispose(&tcp);
    peer_close(&udp_peer);
    peer_close(&listener);
}
