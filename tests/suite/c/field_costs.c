/*
 * What none of the care for networks may cost: system calls. This program
 * stands in for the C library's functions that make them, and counts.
 */

#include "fixture.h"
#include "netns.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static int calls;

/* The last one, for the text of a failure. */
static char last_call[32];

static void count(const char *name) {
    __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
    snprintf(last_call, sizeof(last_call), "%s", name);
}

/* Stands in for the C library's function of that name, under another name for
   the compiler: the headers have types of their own for addresses. */
#define COUNTED(Result, Name, Parameters, Arguments)     \
    Result counted_##Name Parameters __asm__(#Name);     \
    Result counted_##Name Parameters {                   \
        static Result(*next) Parameters;                 \
        if (!next) {                                     \
            void *function = dlsym(RTLD_NEXT, #Name);    \
            CHECK(function != NULL);                     \
            memcpy(&next, &function, sizeof(next));      \
        }                                                \
        count(#Name);                                    \
        return next Arguments;                           \
    }

COUNTED(int, socket, (int family, int type, int protocol),
        (family, type, protocol))
COUNTED(int, bind, (int fd, const void *address, unsigned size),
        (fd, address, size))
COUNTED(int, connect, (int fd, const void *address, unsigned size),
        (fd, address, size))
COUNTED(int, close, (int fd), (fd))
COUNTED(int, shutdown, (int fd, int how), (fd, how))
COUNTED(int, getsockname, (int fd, void *address, void *size),
        (fd, address, size))
COUNTED(int, getpeername, (int fd, void *address, void *size),
        (fd, address, size))
COUNTED(int, getsockopt, (int fd, int level, int name, void *value, void *size),
        (fd, level, name, value, size))
COUNTED(int, setsockopt,
        (int fd, int level, int name, const void *value, unsigned size),
        (fd, level, name, value, size))
COUNTED(int, dup3, (int from, int to, int flags), (from, to, flags))
COUNTED(int, eventfd, (unsigned value, int flags), (value, flags))
COUNTED(int, poll, (void *entries, unsigned long size, int timeout),
        (entries, size, timeout))
COUNTED(int, ppoll,
        (void *entries, unsigned long size, const void *timeout,
         const void *mask),
        (entries, size, timeout, mask))
COUNTED(ssize_t, read, (int fd, void *buf, size_t size), (fd, buf, size))
COUNTED(ssize_t, write, (int fd, const void *buf, size_t size), (fd, buf, size))
COUNTED(ssize_t, recv, (int fd, void *buf, size_t size, int flags),
        (fd, buf, size, flags))
COUNTED(ssize_t, recvfrom,
        (int fd, void *buf, size_t size, int flags, void *from, void *from_size),
        (fd, buf, size, flags, from, from_size))
COUNTED(ssize_t, recvmsg, (int fd, void *message, int flags),
        (fd, message, flags))
COUNTED(ssize_t, send, (int fd, const void *buf, size_t size, int flags),
        (fd, buf, size, flags))
COUNTED(ssize_t, sendto,
        (int fd, const void *buf, size_t size, int flags, const void *to,
         unsigned to_size),
        (fd, buf, size, flags, to, to_size))
COUNTED(ssize_t, sendmsg, (int fd, const void *message, int flags),
        (fd, message, flags))
COUNTED(int, pthread_create,
        (void *thread, const void *attributes, void *body, void *arg),
        (thread, attributes, body, arg))

/* Checks that the statement makes at most so many calls, and at least one. */
#define CHECK_CALLS(AtMost, Statement)                                       \
    do {                                                                     \
        int before_ = calls;                                                 \
        Statement;                                                           \
        if (calls == before_ || calls - before_ > (AtMost)) {                \
            FAIL("%d system calls, the last %s, expected %d: %s",            \
                 calls - before_, last_call, (AtMost), #Statement);          \
        }                                                                    \
    } while (0)

static void live(int type, const char *bound, const peer_t *peer) {
    sock_t *socket = new_socket(type, NULL);
    if (bound) {
        CHECK_OK(V(socket)->bind(socket, bound, "0"));
    }
    CHECK_OK(V(socket)->connect(socket, peer->host, peer->port));
    CHECK_OK(V(socket)->close(socket));
}

SLOW_TEST_EACH_FAMILY(connecting_to_a_literal_takes_few_calls) {
    peer_t udp = peer_udp(family);
    peer_t tcp = peer_listen(family);
    int round;
    /* What is made once for the process is there after the first round. */
    live(UDP, NULL, &udp);
    live(TCP, NULL, &tcp);
    for (round = 0; round < 3; ++round) {
        CHECK_CALLS(3, live(UDP, NULL, &udp));
        CHECK_CALLS(6, live(UDP, udp.host, &udp));
        CHECK_CALLS(6, live(UDP, "::", &udp));
        CHECK_CALLS(7, live(TCP, NULL, &tcp));
    }
}

static void receive_one(sock_t *socket) {
    char buffer[16];
    size_t length;
    CHECK_OK(V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
    CHECK_INT(4, length);
}

static void receive_nothing(sock_t *socket) {
    char buffer[16];
    size_t length;
    CHECK_ERR(ETIMEDOUT,
              V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
}

static const struct {
    int family;
    const char *bound;
} SOCKETS[] = { { AF_INET, NULL },        { AF_INET6, NULL },
                { AF_INET, "127.0.0.1" }, { AF_INET, "0.0.0.0" },
                { AF_INET, "::" },        { AF_INET6, "::1" },
                { AF_INET6, "::" } };

static sock_t *connected_to(const char *bound, const peer_t *peer) {
    sock_t *socket = new_udp(NULL);
    if (bound) {
        CHECK_OK(V(socket)->bind(socket, bound, "0"));
    }
    CHECK_OK(V(socket)->connect(socket, peer->host, peer->port));
    return socket;
}

enum { COUNT = 10 };

/* Bound before it was connected or not, and without ever finding the queue
   empty. */
SLOW_TEST_EACH(receive_of_a_datagram_that_is_there_is_one_call, SOCKETS) {
    peer_t peer = peer_udp(it->family);
    sock_t *socket = connected_to(it->bound, &peer);
    int round;
    for (round = 0; round < COUNT; ++round) {
        peer_send_to(&peer, local_port(socket), "ping", 4);
    }
    for (round = 0; round < COUNT; ++round) {
        CHECK_CALLS(1, receive_one(socket));
    }
    set_timeout_us(socket, 0);
    CHECK_CALLS(1, receive_nothing(socket));
}

static void check_costs(const char *bound, peer_t peer) {
    sock_t *socket = connected_to(bound, &peer);
    int round;
    for (round = 0; round < 20; ++round) {
        sender_t sender;
        CHECK_CALLS(1, send_text(socket, "ping"));
        sender = peer_expect_from(&peer, "ping");
        peer_reply(&peer, &sender, "pong");
        CHECK_CALLS(1, receive_one(socket));
    }
}

/* No look at addresses, routes or interfaces as long as answers come. */
SLOW_TEST(healthy_exchange_is_one_call_each_way) {
    size_t i;
    for (i = 0; i < LEN(SOCKETS); ++i) {
        check_costs(SOCKETS[i].bound, peer_udp(SOCKETS[i].family));
    }
    /* A source that this host may lose. */
    sandbox_enter("127.0.0.1 localhost\n", NULL);
    add_own_address(HOME_V6);
    check_costs(NULL, peer_at(SOCK_DGRAM, HOME_V6, 0));
}

static void send_to_silence(const char *host, bool is_looked_at) {
    peer_t peer = peer_at(SOCK_DGRAM, host, 0);
    sock_t *socket = connected_to(NULL, &peer);
    CHECK_CALLS(1, send_text(socket, "ping"));
    if (is_looked_at) {
        send_text(socket, "ping");
    }
    CHECK_CALLS(1, send_text(socket, "ping"));
    CHECK_CALLS(1, send_text(socket, "ping"));
}

/* The second datagram without an answer has the source looked at, those of the next
   two seconds have not. That of loopback is always there. */
SLOW_TEST(silence_costs_one_look) {
    sandbox_enter("127.0.0.1 localhost\n", NULL);
    run("ip addr add " HOME_V4 "/32 dev lo");
    add_own_address(HOME_V6);
    send_to_silence(HOME_V4, true);
    send_to_silence(HOME_V6, true);
    send_to_silence("127.0.0.1", false);
    send_to_silence("::1", false);
}

SLOW_TEST(healthy_stream_is_one_call_each_way) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    int round;
    for (round = 0; round < 20; ++round) {
        CHECK_CALLS(1, send_text(socket, "ping"));
        peer_expect(&peer, "ping");
        SYS(send(peer.fd, "pong", 4, 0));
        CHECK_CALLS(1, receive_one(socket));
    }
}

/* The first error may be that of an earlier datagram. */
SLOW_TEST(datagram_that_is_too_large_is_tried_twice) {
    static const char TOO_LARGE[65508];
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    CHECK_CALLS(2, CHECK_ERR(EMSGSIZE,
                             V(socket)->send(socket, TOO_LARGE, sizeof(TOO_LARGE))));
}

SLOW_TEST(send_to_a_literal_is_one_call) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("0.0.0.0", NULL);
    int round;
    for (round = 0; round < 5; ++round) {
        CHECK_CALLS(1, CHECK_OK(V(socket)->send_to(socket, "ping", 4,
                                                   "127.0.0.1", peer.port)));
        peer_expect(&peer, "ping");
    }
}
