/*
 * What a good citizen of a process does: descriptors are marked close-on-exec
 * and never leak, number 0 is one like any other.
 */

#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void check_flags(sock_t *socket) {
    int fd = descriptor_of(socket);
    CHECK((SYS(fcntl(fd, F_GETFD)) & FD_CLOEXEC) != 0);
    CHECK((SYS(fcntl(fd, F_GETFL)) & O_NONBLOCK) != 0);
}

enum { ORIGINS = 4 };

/* An open socket of each origin: bound, connected, accepted, and one that has
   accepted. */
static sock_t *open_socket(int origin, int type) {
    peer_t peer;
    config_t config = reuse_config();
    switch (origin) {
    case 0:
        return bound_socket(type, "127.0.0.1", &config);
    case 1:
        return connected_pair(type, &peer);
    case 2:
        return accepted_pair(type, &peer);
    default: {
        sock_t *server = bound_socket(type, "127.0.0.1", &config);
        peer = peer_connected_to(server, type, AF_INET);
        peer_say(&peer, server, "x");
        CHECK_OK(V(server)->accept(server, new_socket(type, &config)));
        return server;
    }
    }
}

/* The reference leaks its descriptors into child processes. */
TEST_EACH_TYPE(descriptors_are_close_on_exec_and_do_not_block) {
    for (int origin = 0; origin < ORIGINS; ++origin) {
        check_flags(open_socket(origin, type));
    }
}

TEST(recreated_descriptor_has_the_same_flags) {
    sock_t *socket = bound_udp("0.0.0.0", NULL);
    connect_to_peer(socket, UDP, AF_INET6);
    check_flags(socket);
}

TEST_EACH_TYPE(child_processes_inherit_nothing) {
    int status;
    char command[256] = "";
    for (int origin = 0; origin < ORIGINS; ++origin) {
        char item[64];
        snprintf(item, sizeof(item), "test ! -e /proc/$$/fd/%d || exit 1; ",
                descriptor_of(open_socket(origin, type)));
        strcat(command, item);
    }
    pid_t child = (pid_t) SYS(fork());
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *) NULL);
        _exit(127);
    }
    SYS(waitpid(child, &status, 0));
    CHECK(WIFEXITED(status));
    CHECK_INT(0, WEXITSTATUS(status));
}

static void check_zero_is_closed(void) {
    CHECK_INT(-1, fcntl(0, F_GETFD));
    CHECK_INT(EBADF, errno);
}

/* With standard input closed, the next descriptor is number 0. */
TEST_EACH_TYPE(descriptor_zero_is_a_valid_socket) {
    int saved = held((int) SYS(fcntl(0, F_DUPFD_CLOEXEC, 3)));
    peer_t listener = peer_to_connect_to(type, AF_INET);
    sock_t *socket = new_socket(type, NULL);
    SYS(close(0));
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", listener.port));
    CHECK(V(socket)->get_system_socket(socket) != NULL);
    CHECK_INT(0, descriptor_of(socket));
    CHECK_STATE(CONNECTED, socket);
    peer_t peer = type == TCP ? peer_accept(&listener) : listener;
    check_works(socket, &peer);
    CHECK_OK(V(socket)->shutdown(socket));
    CHECK_INT(0, descriptor_of(socket));
    CHECK_OK(V(socket)->close(socket));
    check_zero_is_closed();

    CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
    CHECK_INT(0, descriptor_of(socket));
    CHECK_STATE(BOUND, socket);
    dispose(&socket);
    check_zero_is_closed();
    SYS(dup2(saved, 0));
}

/* What fails gives back what it took. */
TEST(failing_calls_leak_no_descriptor) {
    refused_t nobody = refused(SOCK_STREAM);
    sock_t *tcp = new_tcp(NULL);
    sock_t *udp = new_udp(NULL);
    sock_t *taken = bound_udp("::1", NULL);
    int before = count_descriptors();
    for (int round = 0; round < 50; ++round) {
        CHECK_ERR(ECONNREFUSED, V(tcp)->connect(tcp, nobody.host, nobody.port));
        CHECK_ERR(EADDRINUSE, V(udp)->bind(udp, "::1", local_port(taken)));
        CHECK_ERR(EADDRNOTAVAIL, V(udp)->bind(udp, "203.0.113.1", "0"));
        CHECK_ERR(EADDRNOTAVAIL, V(udp)->connect(udp, "127.0.0.1", "bad"));
    }
    CHECK_INT(before, count_descriptors());
}

TEST(creation_opens_no_descriptor) {
    int before = count_descriptors();
    for (int i = 0; i < 100; ++i) {
        new_socket(i % 2 ? TCP : UDP, NULL);
    }
    CHECK_INT(before, count_descriptors());
}

TEST_EACH_TYPE(churn_leaks_nothing) {
    sock_t *socket = new_socket(type, NULL);
    int before = count_descriptors();
    for (int round = 0; round < 200; ++round) {
        if (type == UDP) {
            CHECK_OK(V(socket)->bind(socket, NULL, NULL));
        }
        peer_t peer = connect_to_peer(socket, type, AF_INET);
        if (round % 2) {
            CHECK_OK(V(socket)->shutdown(socket));
        }
        CHECK_OK(V(socket)->close(socket));
        peer_close(&peer);
        CHECK_INT(before, count_descriptors());
    }
}
