/*
 * One thread waits in a call, another closes or shuts down the socket: the
 * wait ends at once, with the right code, and no descriptor of anybody else
 * is touched.
 */

#include "fixture.h"

#include <unistd.h>

/* What a call waits on. */
typedef enum { UDP_PAIR, UDP_PAIR_WITHOUT_TIMEOUT, UDP_BOUND, TCP_PAIR, TCP_BOUND, HOLE } place_t;

static call_t call_at(place_t place, void (*body)(call_t *), peer_t *peer) {
    config_t config = reuse_config();
    call_t call = call_on(NULL, body);
    int type = place < TCP_PAIR ? UDP : TCP;
    if (place == UDP_BOUND || place == TCP_BOUND) {
        call.socket = bound_socket(type, "127.0.0.1", &config);
        call.other = new_socket(type, &config);
    } else if (place == HOLE) {
        call.socket = new_tcp(NULL);
        *peer = blackhole_open(AF_INET).listener;
        call.port = peer->port;
    } else {
        call.socket = connected_pair(type, peer);
    }
    if (place == UDP_PAIR_WITHOUT_TIMEOUT) {
        CHECK_OK(V(call.socket)
                        ->set_opt(call.socket, ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT,
                                duration_value(0, -1)));
    }
    return call;
}

/* What is true of every call that was ended. */
static void check_ended(call_t *call, int64_t start) {
    worker_join(&call->worker);
    CHECK_WAITED(start, 0, PROMPT);
    if (call->body == do_send) {
        CHECK(bytes_sent(call->socket) > 0);
    } else {
        CHECK_INT(0, call->length);
    }
    if (call->other) {
        CHECK_STATE(CLOSED, call->other);
    }
}

static void close_wakes(place_t place, void (*body)(call_t *)) {
    peer_t peer;
    call_t call = call_at(place, body, &peer);
    call_start_waiting(&call);
    int64_t start = now_us();
    CHECK_OK(V(call.socket)->close(call.socket));
    CHECK_STATE(CLOSED, call.socket);
    check_ended(&call, start);
    CHECK_ERR(EBADF, call.error);
    CHECK_STATE(CLOSED, call.socket);
    if (place == TCP_PAIR && body == do_receive) {
        /* The connection really ends, although a call was using it. */
        peer_expect(&peer, "");
    }
}

static void shutdown_wakes(place_t place, void (*body)(call_t *)) {
    peer_t peer;
    call_t call = call_at(place, body, &peer);
    call_start_waiting(&call);
    int64_t start = now_us();
    CHECK_OK(V(call.socket)->shutdown(call.socket));
    check_ended(&call, start);
    if (place == TCP_PAIR && body == do_receive) {
        /* Or the end of the stream. */
        CHECK_EITHER(NO_ERROR, ECONNABORTED, call.error);
    } else {
        CHECK_ERR(ECONNABORTED, call.error);
    }
    if (place != HOLE) {
        CHECK_STATE(SHUTDOWN, call.socket);
        return;
    }
    /* The object can be used again. */
    CHECK_OK(V(call.socket)->close(call.socket));
    connect_to_peer(call.socket, TCP, AF_INET);
    CHECK_STATE(CONNECTED, call.socket);
}

#define WAKES(Name, How, Place, Body) \
    TEST(Name) {                      \
        How(Place, Body);             \
    }

WAKES(close_wakes_a_udp_receive, close_wakes, UDP_PAIR, do_receive)
WAKES(close_wakes_a_udp_receive_from_on_a_bound_socket, close_wakes, UDP_BOUND, do_receive_from)
WAKES(close_wakes_a_tcp_receive, close_wakes, TCP_PAIR, do_receive)
WAKES(close_wakes_a_receive_that_waits_for_ever, close_wakes, UDP_PAIR_WITHOUT_TIMEOUT, do_receive)
WAKES(close_wakes_a_send, close_wakes, TCP_PAIR, do_send)
WAKES(close_wakes_a_tcp_accept, close_wakes, TCP_BOUND, do_accept)
WAKES(close_wakes_a_udp_accept, close_wakes, UDP_BOUND, do_accept)
WAKES(close_wakes_a_connect, close_wakes, HOLE, do_connect)
WAKES(shutdown_wakes_a_udp_receive, shutdown_wakes, UDP_PAIR, do_receive)
WAKES(shutdown_wakes_a_receive_on_a_bound_udp_socket, shutdown_wakes, UDP_BOUND, do_receive_from)
WAKES(shutdown_wakes_a_tcp_receive, shutdown_wakes, TCP_PAIR, do_receive)
WAKES(shutdown_wakes_a_send, shutdown_wakes, TCP_PAIR, do_send)
WAKES(shutdown_wakes_a_tcp_accept, shutdown_wakes, TCP_BOUND, do_accept)
WAKES(shutdown_wakes_a_udp_accept, shutdown_wakes, UDP_BOUND, do_accept)
WAKES(shutdown_wakes_a_connect, shutdown_wakes, HOLE, do_connect)

/* Options and information can be asked while a call waits, without waiting
   for it. */
TEST(options_do_not_wait_for_a_blocked_receive) {
    peer_t peer;
    call_t call = call_on(connected_pair(UDP, &peer), do_receive);
    call_start_waiting(&call);
    int64_t start = now_us();
    CHECK_STATE(CONNECTED, call.socket);
    CHECK_INT(0, bytes_received(call.socket));
    CHECK_STR(peer.port, remote_port(call.socket));
    set_timeout_us(call.socket, MS(7));
    send_text(call.socket, "meanwhile");
    CHECK_WAITED(start, 0, PROMPT);
    peer_expect(&peer, "meanwhile");
    CHECK(!worker_finished(&call.worker));
    peer_say(&peer, call.socket, "data");
    worker_join(&call.worker);
    CHECK_OK(call.error);
    CHECK_INT(4, call.length);
}

TEST(two_receives_share_a_socket) {
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    call_t calls[2];
    for (int i = 0; i < 2; ++i) {
        calls[i] = call_on(socket, do_receive);
        call_start_waiting(&calls[i]);
    }
    peer_say(&peer, socket, "abc");
    peer_say(&peer, socket, "abc");
    for (int i = 0; i < 2; ++i) {
        worker_join(&calls[i].worker);
        CHECK_OK(calls[i].error);
        CHECK_INT(3, calls[i].length);
    }
    CHECK_INT(6, bytes_received(socket));
}

TEST(close_wakes_all_waiting_calls) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    call_t calls[6];
    for (size_t i = 0; i < LEN(calls); ++i) {
        calls[i] = call_on(socket, i % 2 ? do_receive_from : do_receive);
        call_start_waiting(&calls[i]);
    }
    int64_t start = now_us();
    CHECK_OK(V(socket)->close(socket));
    for (size_t i = 0; i < LEN(calls); ++i) {
        worker_join(&calls[i].worker);
        CHECK_ERR(EBADF, calls[i].error);
    }
    CHECK_WAITED(start, 0, PROMPT);
}

TEST(socket_can_be_reopened_at_once_after_waking_a_call) {
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    for (int round = 0; round < 20; ++round) {
        call_t call = call_on(socket, do_receive);
        call_start_waiting(&call);
        CHECK_OK(V(socket)->close(socket));
        CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
        worker_join(&call.worker);
        CHECK_ERR(EBADF, call.error);
        check_works(socket, &peer);
    }
}

/* Descriptors with data ready to be read, which take the numbers that the
   library gives back. Whoever reads through a stale number takes a byte. */
enum { BAITS = 4 };

static void bait_lay(int fds[BAITS]) {
    for (int i = 0; i < BAITS; i += 2) {
        SYS(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, &fds[i]));
        SYS(send(fds[i], "bait", 4, 0));
        SYS(send(fds[i + 1], "bait", 4, 0));
    }
}

static void bait_check(const int fds[BAITS]) {
    for (int i = 0; i < BAITS; ++i) {
        char buffer[8];
        CHECK_INT(4, recv(fds[i], buffer, sizeof(buffer), MSG_DONTWAIT));
        SYS(close(fds[i]));
    }
}

/* As do_receive, again and again until the socket is closed. */
static void receive_until_closed(call_t *call) {
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
    for (int round = 0; round < rounds; ++round) {
        call_t call = call_on(socket, receive_until_closed);
        int bait[BAITS];
        CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
        call_start(&call);
        /* Keep it busy, not just waiting. */
        peer_say(&peer, socket, "abc");
        peer_say(&peer, socket, "abc");
        CHECK_OK(V(socket)->close(socket));
        bait_lay(bait);
        worker_join(&call.worker);
        bait_check(bait);
    }
}

static void send_until_closed(call_t *call) {
    do {
        call->error = V(call->socket)->send(call->socket, "x", 1);
        call->length += call->error.code == 0;
    } while (call->error.code != ANJAY_NET_ERRNO_EBADF);
}

TEST(counters_are_exact_under_two_sending_threads) {
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    call_t one = call_on(socket, send_until_closed);
    call_t two = call_on(socket, send_until_closed);
    call_start(&one);
    call_start(&two);
    while (bytes_sent(socket) < 2000) {
    }
    CHECK_OK(V(socket)->close(socket));
    worker_join(&one.worker);
    worker_join(&two.worker);
    CHECK_INT(one.length + two.length, bytes_sent(socket));
}

static int stopped;

static void accept_into_itself(call_t *call) {
    while (!__atomic_load_n(&stopped, __ATOMIC_RELAXED)) {
        call->error = V(call->socket)->accept(call->socket, call->socket);
        CHECK(call->error.code != 0);
    }
}

/* Which another thread binds meanwhile, and which has a datagram by then. */
SLOW_TEST(accept_into_itself_never_hangs) {
    config_t config = reuse_config();
    call_t call = call_on(new_udp(&config), accept_into_itself);
    peer_t peer = peer_udp(AF_INET);
    int64_t end = now_us() + MS(1000);
    set_timeout_us(call.socket, 100);
    call_start(&call);
    while (now_us() < end) {
        if (V(call.socket)->bind(call.socket, "127.0.0.1", "0").code == 0) {
            peer_say(&peer, call.socket, "hello");
        }
        CHECK_OK(V(call.socket)->close(call.socket));
    }
    __atomic_store_n(&stopped, 1, __ATOMIC_RELAXED);
    worker_join(&call.worker);
}
