/* UDP send and receive of 100 bytes on loopback, through the archive and by plain
 * system calls; prints the processor time of each in nanoseconds, the median of
 * rounds that alternate. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "anjay_net_abi.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 31, BURSTS = 40, BURST = 50, LEN = 100 };

static char buf[LEN];

static double now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double) ts.tv_sec * 1e9 + (double) ts.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static void require(int condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "%s failed\n", what);
        exit(1);
    }
}

static int ok(anjay_net_error_t error) { return !error.category && !error.code; }

/* Two plain sockets, connected to each other. */
static void plain_pair(int fds[2]) {
    struct sockaddr_in addr[2];
    socklen_t len = sizeof(addr[0]);
    int i;
    for (i = 0; i < 2; i++) {
        addr[i].sin_family = AF_INET;
        addr[i].sin_port = 0;
        addr[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        require(!bind(fds[i], (struct sockaddr *) &addr[i], len), "bind");
        require(!getsockname(fds[i], (struct sockaddr *) &addr[i], &len), "getsockname");
    }
    for (i = 0; i < 2; i++) {
        require(!connect(fds[i], (struct sockaddr *) &addr[!i], len), "connect");
    }
}

/* As the layer has to: recv(2) does not tell a datagram that was cut. */
static void plain_receive(int fd) {
    struct sockaddr_in6 from;
    struct iovec part = { buf, LEN };
    struct msghdr message = { .msg_name = &from, .msg_namelen = sizeof(from),
                              .msg_iov = &part, .msg_iovlen = 1 };
    require(recvmsg(fd, &message, MSG_DONTWAIT) == LEN, "recvmsg");
}

static anjay_net_socket_t *layer(int peer) {
    struct sockaddr_in addr;
    socklen_t len = sizeof(addr);
    anjay_net_socket_t *socket = NULL;
    anjay_net_socket_opt_value_t zero = { .recv_timeout = { 0, 0 } };
    char port[8];
    require(!getsockname(peer, (struct sockaddr *) &addr, &len), "getsockname");
    snprintf(port, sizeof(port), "%d", ntohs(addr.sin_port));
    require(ok(_avs_net_create_udp_socket(&socket, NULL)), "create");
    require(ok(socket->operations->connect(socket, "127.0.0.1", port)), "connect");
    require(ok(socket->operations->set_opt(socket, ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT, zero)),
            "set_opt");
    return socket;
}

int main(void) {
    static double spent[4][ROUNDS];
    static const char *const names[4] = { "send raw", "send", "receive raw", "receive" };
    int pair[2], peer, round, burst, i;
    struct sockaddr_in addr;
    socklen_t len = sizeof(addr);
    anjay_net_socket_t *ours;
    plain_pair(pair);
    peer = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    addr.sin_family = AF_INET;
    addr.sin_port = 0;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    require(!bind(peer, (struct sockaddr *) &addr, len), "bind");
    ours = layer(peer);
    require(!getsockname(*(const int *) ours->operations->get_system_socket(ours),
                         (struct sockaddr *) &addr, &len), "getsockname");
    require(!connect(peer, (struct sockaddr *) &addr, len), "connect");
    for (round = 0; round < ROUNDS; round++) {
        for (burst = 0; burst < BURSTS; burst++) {
            size_t got;
            double start = now();
            for (i = 0; i < BURST; i++) {
                require(send(pair[0], buf, LEN, MSG_NOSIGNAL) == LEN, "send");
            }
            spent[0][round] += now() - start;
            start = now();
            for (i = 0; i < BURST; i++) {
                plain_receive(pair[1]);
            }
            spent[2][round] += now() - start;
            start = now();
            for (i = 0; i < BURST; i++) {
                require(ok(ours->operations->send(ours, buf, LEN)), "our send");
            }
            spent[1][round] += now() - start;
            for (i = 0; i < BURST; i++) {
                require(recv(peer, buf, LEN, 0) == LEN, "recv");
                require(send(peer, buf, LEN, MSG_NOSIGNAL) == LEN, "send");
            }
            start = now();
            for (i = 0; i < BURST; i++) {
                require(ok(ours->operations->receive(ours, &got, buf, LEN)) && got == LEN,
                        "our receive");
            }
            spent[3][round] += now() - start;
        }
    }
    for (i = 0; i < 4; i++) {
        qsort(spent[i], ROUNDS, sizeof(spent[i][0]), compare);
        printf("%s: %.0f\n", names[i], spent[i][ROUNDS / 2] / (BURSTS * BURST));
    }
    ours->operations->cleanup(&ours);
    return 0;
}
