/*
 * One thread waits in a call, another closes or shuts down the socket: the
 * wait ends at once, with the right code, and no descriptor of anybody else
 * is touched.
 */

#include "pair.h"

#include <stdlib.h>
#include <unistd.h>

typedef struct {
    sock_t *socket;
    sock_t *other;        /* accept: the new socket */
    const char *port;     /* connect: where to */
    anjay_net_error_t error;
    size_t length;
} call_t;

static void do_receive(void *arg) {
    call_t *call = (call_t *) arg;
    char buffer[16];
    call->length = 99;
    call->error = V(call->socket)->receive(call->socket, &call->length, buffer,
                                           sizeof(buffer));
}

static void do_receive_from(void *arg) {
    call_t *call = (call_t *) arg;
    char buffer[16];
    char host[64];
    char port[16];
    call->length = 99;
    call->error = V(call->socket)->receive_from(
            call->socket, &call->length, buffer, sizeof(buffer), host,
            sizeof(host), port, sizeof(port));
}

/* Enough to fill every buffer on the way. */
static void do_send(void *arg) {
    enum { SIZE = 32 * 1024 * 1024 };
    call_t *call = (call_t *) arg;
    char *data = (char *) calloc(1, SIZE);
    call->error = V(call->socket)->send(call->socket, data, SIZE);
    free(data);
}

static void do_accept(void *arg) {
    call_t *call = (call_t *) arg;
    call->error = V(call->socket)->accept(call->socket, call->other);
}

static void do_connect(void *arg) {
    call_t *call = (call_t *) arg;
    call->error = V(call->socket)->connect(call->socket, "127.0.0.1", call->port);
}

typedef enum { BY_CLOSE, BY_SHUTDOWN } ending_t;

/* Runs `body` in a thread until it waits, ends the wait, and gives what the
   call returned. */
static void interrupt(call_t *call, void (*body)(void *), ending_t ending) {
    worker_t worker;
    int64_t start;
    worker_start(&worker, body, call);
    worker_wait_blocked(&worker);
    start = now_us();
    if (ending == BY_CLOSE) {
        CHECK_OK(V(call->socket)->close(call->socket));
        CHECK_STATE(CLOSED, call->socket);
    } else {
        CHECK_OK(V(call->socket)->shutdown(call->socket));
    }
    worker_join(&worker);
    CHECK_WAITED(start, 0, PROMPT);
}

static call_t call_on(sock_t *socket) {
    call_t call;
    memset(&call, 0, sizeof(call));
    call.socket = socket;
    return call;
}

static sock_t *connected_tcp(peer_t *peer) {
    return connected_pair(ANJAY_NET_SOCKET_TYPE_TCP, peer);
}

static sock_t *connected_udp(peer_t *peer) {
    return connected_pair(ANJAY_NET_SOCKET_TYPE_UDP, peer);
}

TEST(close_wakes_a_udp_receive) {
    peer_t peer;
    call_t call = call_on(connected_udp(&peer));
    interrupt(&call, do_receive, BY_CLOSE);
    CHECK_ERR(EBADF, call.error);
    CHECK_INT(0, call.length);
    dispose(&call.socket);
    peer_close(&peer);
}

TEST(close_wakes_a_udp_receive_from_on_a_bound_socket) {
    call_t call = call_on(bound_udp("127.0.0.1", NULL));
    interrupt(&call, do_receive_from, BY_CLOSE);
    CHECK_ERR(EBADF, call.error);
    CHECK_INT(0, call.length);
    dispose(&call.socket);
}

TEST(close_wakes_a_tcp_receive) {
    peer_t peer;
    call_t call = call_on(connected_tcp(&peer));
    char byte;
    interrupt(&call, do_receive, BY_CLOSE);
    CHECK_ERR(EBADF, call.error);
    CHECK_INT(0, call.length);
    /* The connection really ends, although a call was using it. */
    CHECK_INT(0, peer_receive(&peer, &byte, 1));
    dispose(&call.socket);
    peer_close(&peer);
}

TEST(close_wakes_a_receive_that_waits_for_ever) {
    peer_t peer;
    call_t call = call_on(connected_udp(&peer));
    CHECK_OK(V(call.socket)->set_opt(call.socket,
                                     ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT,
                                     duration_value(0, -1)));
    interrupt(&call, do_receive, BY_CLOSE);
    CHECK_ERR(EBADF, call.error);
    dispose(&call.socket);
    peer_close(&peer);
}

TEST(close_wakes_a_send) {
    peer_t peer;
    call_t call = call_on(connected_tcp(&peer));
    interrupt(&call, do_send, BY_CLOSE);
    CHECK_ERR(EBADF, call.error);
    CHECK(bytes_sent(call.socket) > 0);
    dispose(&call.socket);
    peer_close(&peer);
}

TEST(close_wakes_a_tcp_accept) {
    call_t call = call_on(listening_tcp("127.0.0.1", NULL));
    call.other = new_tcp(NULL);
    interrupt(&call, do_accept, BY_CLOSE);
    CHECK_ERR(EBADF, call.error);
    CHECK_STATE(CLOSED, call.other);
    dispose(&call.other);
    dispose(&call.socket);
}

TEST(close_wakes_a_udp_accept) {
    config_t config = reuse_config();
    call_t call = call_on(bound_udp("127.0.0.1", &config));
    call.other = new_udp(&config);
    interrupt(&call, do_accept, BY_CLOSE);
    CHECK_ERR(EBADF, call.error);
    CHECK_STATE(CLOSED, call.other);
    dispose(&call.other);
    dispose(&call.socket);
}

TEST(close_wakes_a_connect) {
    blackhole_t hole = blackhole_open(AF_INET);
    call_t call = call_on(new_tcp(NULL));
    call.port = hole.listener.port;
    interrupt(&call, do_connect, BY_CLOSE);
    CHECK_ERR(EBADF, call.error);
    CHECK_STATE(CLOSED, call.socket);
    dispose(&call.socket);
    blackhole_close(&hole);
}

TEST(shutdown_wakes_a_udp_receive) {
    peer_t peer;
    call_t call = call_on(connected_udp(&peer));
    interrupt(&call, do_receive, BY_SHUTDOWN);
    CHECK_ERR(ECONNABORTED, call.error);
    CHECK_INT(0, call.length);
    CHECK_STATE(SHUTDOWN, call.socket);
    dispose(&call.socket);
    peer_close(&peer);
}

TEST(shutdown_wakes_a_receive_on_a_bound_udp_socket) {
    call_t call = call_on(bound_udp("127.0.0.1", NULL));
    interrupt(&call, do_receive_from, BY_SHUTDOWN);
    CHECK_ERR(ECONNABORTED, call.error);
    CHECK_INT(0, call.length);
    CHECK_STATE(SHUTDOWN, call.socket);
    dispose(&call.socket);
}

TEST(shutdown_wakes_a_tcp_receive) {
    peer_t peer;
    call_t call = call_on(connected_tcp(&peer));
    interrupt(&call, do_receive, BY_SHUTDOWN);
    if (call.error.code != 0) { /* or the end of the stream */
        CHECK_ERR(ECONNABORTED, call.error);
    }
    CHECK_INT(0, call.length);
    CHECK_STATE(SHUTDOWN, call.socket);
    dispose(&call.socket);
    peer_close(&peer);
}

TEST(shutdown_wakes_a_send) {
    peer_t peer;
    call_t call = call_on(connected_tcp(&peer));
    interrupt(&call, do_send, BY_SHUTDOWN);
    CHECK_ERR(ECONNABORTED, call.error);
    CHECK(bytes_sent(call.socket) > 0);
    CHECK_STATE(SHUTDOWN, call.socket);
    dispose(&call.socket);
    peer_close(&peer);
}

TEST(shutdown_wakes_a_tcp_accept) {
    call_t call = call_on(listening_tcp("127.0.0.1", NULL));
    call.other = new_tcp(NULL);
    interrupt(&call, do_accept, BY_SHUTDOWN);
    CHECK_ERR(ECONNABORTED, call.error);
    CHECK_STATE(CLOSED, call.other);
    CHECK_STATE(SHUTDOWN, call.socket);
    dispose(&call.other);
    dispose(&call.socket);
}

TEST(shutdown_wakes_a_udp_accept) {
    config_t config = reuse_config();
    call_t call = call_on(bound_udp("127.0.0.1", &config));
    call.other = new_udp(&config);
    interrupt(&call, do_accept, BY_SHUTDOWN);
    CHECK_ERR(ECONNABORTED, call.error);
    CHECK_STATE(CLOSED, call.other);
    CHECK_STATE(SHUTDOWN, call.socket);
    dispose(&call.other);
    dispose(&call.socket);
}

TEST(shutdown_wakes_a_connect) {
    blackhole_t hole = blackhole_open(AF_INET);
    call_t call = call_on(new_tcp(NULL));
    peer_t listener = peer_listen(AF_INET);
    call.port = hole.listener.port;
    interrupt(&call, do_connect, BY_SHUTDOWN);
    CHECK_ERR(ECONNABORTED, call.error);
    /* The object can be used again. */
    CHECK_OK(V(call.socket)->close(call.socket));
    CHECK_OK(V(call.socket)->connect(call.socket, "127.0.0.1", listener.port));
    CHECK_STATE(CONNECTED, call.socket);
    dispose(&call.socket);
    peer_close(&listener);
    blackhole_close(&hole);
}

/* Options and information can be asked while a call waits, without waiting
   for it. */
TEST(options_do_not_wait_for_a_blocked_receive) {
    peer_t peer;
    call_t call = call_on(connected_udp(&peer));
    worker_t worker;
    int64_t start;
    worker_start(&worker, do_receive, &call);
    worker_wait_blocked(&worker);
    start = now_us();
    CHECK_STATE(CONNECTED, call.socket);
    CHECK_INT(0, bytes_received(call.socket));
    CHECK_STR(peer.port, remote_port(call.socket));
    set_timeout_us(call.socket, MS(7));
    send_text(call.socket, "meanwhile");
    CHECK_WAITED(start, 0, PROMPT);
    peer_expect(&peer, "meanwhile");
    CHECK(!worker_finished(&worker));
    peer_send_to(&peer, local_port(call.socket), "data", 4);
    worker_join(&worker);
    CHECK_OK(call.error);
    CHECK_INT(4, call.length);
    dispose(&call.socket);
    peer_close(&peer);
}

TEST(two_receives_share_a_socket) {
    peer_t peer;
    call_t one = call_on(connected_udp(&peer));
    call_t two = call_on(one.socket);
    worker_t workers[2];
    worker_start(&workers[0], do_receive, &one);
    worker_start(&workers[1], do_receive, &two);
    worker_wait_blocked(&workers[0]);
    worker_wait_blocked(&workers[1]);
    peer_send_to(&peer, local_port(one.socket), "abc", 3);
    peer_send_to(&peer, local_port(one.socket), "abc", 3);
    worker_join(&workers[0]);
    worker_join(&workers[1]);
    CHECK_OK(one.error);
    CHECK_OK(two.error);
    CHECK_INT(6, one.length + two.length);
    CHECK_INT(6, bytes_received(one.socket));
    dispose(&one.socket);
    peer_close(&peer);
}

TEST(close_wakes_all_waiting_calls) {
    enum { CALLS = 6 };
    peer_t peer;
    sock_t *socket = connected_tcp(&peer);
    call_t calls[CALLS];
    worker_t workers[CALLS];
    int i;
    int64_t start;
    for (i = 0; i < CALLS; ++i) {
        calls[i] = call_on(socket);
        worker_start(&workers[i], i % 2 ? do_receive_from : do_receive,
                     &calls[i]);
    }
    for (i = 0; i < CALLS; ++i) {
        worker_wait_blocked(&workers[i]);
    }
    start = now_us();
    CHECK_OK(V(socket)->close(socket));
    for (i = 0; i < CALLS; ++i) {
        worker_join(&workers[i]);
        CHECK_ERR(EBADF, calls[i].error);
    }
    CHECK_WAITED(start, 0, PROMPT);
    dispose(&socket);
    peer_close(&peer);
}

TEST(socket_can_be_reopened_at_once_after_waking_a_call) {
    peer_t peer;
    sock_t *socket = connected_udp(&peer);
    int round;
    for (round = 0; round < 20; ++round) {
        call_t call = call_on(socket);
        worker_t worker;
        worker_start(&worker, do_receive, &call);
        worker_wait_blocked(&worker);
        CHECK_OK(V(socket)->close(socket));
        CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
        worker_join(&worker);
        CHECK_ERR(EBADF, call.error);
        send_text(socket, "x");
        peer_expect(&peer, "x");
    }
    dispose(&socket);
    peer_close(&peer);
}

/* Descriptors with data ready to be read, which take the numbers that the
   library gives back. Whoever reads through a stale number takes a byte. */
typedef struct {
    int fds[2][2];
} bait_t;

static void bait_lay(bait_t *bait) {
    size_t i;
    for (i = 0; i < LEN(bait->fds); ++i) {
        SYS(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, bait->fds[i]));
        SYS(send(bait->fds[i][0], "bait", 4, 0));
        SYS(send(bait->fds[i][1], "bait", 4, 0));
    }
}

static void bait_check(bait_t *bait) {
    size_t i;
    size_t end;
    for (i = 0; i < LEN(bait->fds); ++i) {
        for (end = 0; end < 2; ++end) {
            char buffer[8];
            CHECK_INT(4, recv(bait->fds[i][end], buffer, sizeof(buffer),
                              MSG_DONTWAIT));
            SYS(close(bait->fds[i][end]));
        }
    }
}

/* As do_receive, again and again until the socket is closed. */
static void receive_until_closed(void *arg) {
    call_t *call = (call_t *) arg;
    do {
        do_receive(call);
        if (call->error.code == 0) {
            CHECK_INT(3, call->length);
        }
    } while (call->error.code != ANJAY_NET_ERRNO_EBADF);
}

TEST(closed_descriptor_is_never_used_for_somebody_elses_file) {
    int rounds = is_slow() ? 30 : 300;
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    int round;
    for (round = 0; round < rounds; ++round) {
        call_t call = call_on(socket);
        worker_t worker;
        bait_t bait;
        CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
        worker_start(&worker, receive_until_closed, &call);
        /* Keep it busy, not just waiting. */
        peer_send_to(&peer, local_port(socket), "abc", 3);
        peer_send_to(&peer, local_port(socket), "abc", 3);
        CHECK_OK(V(socket)->close(socket));
        bait_lay(&bait);
        worker_join(&worker);
        bait_check(&bait);
    }
    dispose(&socket);
    peer_close(&peer);
}

static void send_until_closed(void *arg) {
    call_t *call = (call_t *) arg;
    do {
        call->error = V(call->socket)->send(call->socket, "x", 1);
        call->length += call->error.code == 0;
    } while (call->error.code != ANJAY_NET_ERRNO_EBADF);
}

TEST(counters_are_exact_under_two_sending_threads) {
    peer_t peer;
    sock_t *socket = connected_udp(&peer);
    call_t calls[2];
    worker_t workers[2];
    uint64_t seen;
    int i;
    for (i = 0; i < 2; ++i) {
        calls[i] = call_on(socket);
        worker_start(&workers[i], send_until_closed, &calls[i]);
    }
    do {
        seen = bytes_sent(socket);
    } while (seen < 2000);
    CHECK_OK(V(socket)->close(socket));
    worker_join(&workers[0]);
    worker_join(&workers[1]);
    CHECK_INT(calls[0].length + calls[1].length, bytes_sent(socket));
    dispose(&socket);
    peer_close(&peer);
}
