/*
 * How long receive waits: never less than asked for, hardly more, whatever
 * signals and useless packets arrive meanwhile.
 */

#include "peer.h"
#include "sock.h"

#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <unistd.h>

/* A socket that hears nothing, and what keeps it so. */
typedef struct {
    sock_t *socket;
    peer_t listener;
    peer_t peer;
} silent_t;

static silent_t silent(int type) {
    silent_t result;
    memset(&result, 0, sizeof(result));
    result.socket = new_socket(type, NULL);
    if (type == ANJAY_NET_SOCKET_TYPE_TCP) {
        result.listener = peer_listen(AF_INET);
        CHECK_OK(V(result.socket)->connect(result.socket, "127.0.0.1",
                                           result.listener.port));
        result.peer = peer_accept(&result.listener);
    } else {
        result.listener = peer_udp(AF_INET);
        result.peer = peer_udp(AF_INET);
        CHECK_OK(V(result.socket)->connect(result.socket, "127.0.0.1",
                                           result.peer.port));
    }
    return result;
}

static void silent_end(silent_t *silent) {
    dispose(&silent->socket);
    peer_close(&silent->peer);
    peer_close(&silent->listener);
}

static void check_times_out(sock_t *socket, int64_t least_us, int64_t most_us) {
    char buffer[8];
    size_t length = 99;
    int64_t start = now_us();
    CHECK_ERR(ETIMEDOUT,
              V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
    CHECK_WAITED(start, least_us, most_us);
    CHECK_INT(0, length);
}

static const int BOTH_TYPES[] = { ANJAY_NET_SOCKET_TYPE_TCP,
                                  ANJAY_NET_SOCKET_TYPE_UDP };

TEST(default_timeout_is_thirty_seconds) {
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        sock_t *socket = new_socket(BOTH_TYPES[i], NULL);
        value_t value = get_opt(socket, ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT);
        CHECK_INT(30, value.recv_timeout.seconds);
        CHECK_INT(0, value.recv_timeout.nanoseconds);
        dispose(&socket);
    }
}

/* The reference rounds down to milliseconds and is always early. */
TEST(timeout_is_never_early) {
    static const int64_t TIMEOUTS_US[] = { 1,    100,   500,   999,  1000,
                                           1001, 1500,  1999,  2000, 2500,
                                           9999, 10000, 10001, 50500 };
    size_t i;
    for (i = 0; i < LEN(BOTH_TYPES); ++i) {
        silent_t silence = silent(BOTH_TYPES[i]);
        size_t timeout;
        for (timeout = 0; timeout < LEN(TIMEOUTS_US); ++timeout) {
            int round;
            set_timeout_us(silence.socket, TIMEOUTS_US[timeout]);
            for (round = 0; round < 5; ++round) {
                check_times_out(silence.socket, TIMEOUTS_US[timeout],
                                TIMEOUTS_US[timeout] + MS(1000));
            }
        }
        silent_end(&silence);
    }
}

TEST(timeout_of_a_fraction_of_a_millisecond_waits) {
    silent_t silence = silent(ANJAY_NET_SOCKET_TYPE_UDP);
    int round;
    for (round = 0; round < 50; ++round) {
        set_timeout_us(silence.socket, 500);
        check_times_out(silence.socket, 500, MS(1000));
        set_timeout_us(silence.socket, 1000);
        check_times_out(silence.socket, 1000, MS(1000));
    }
    silent_end(&silence);
}

TEST(timeout_is_not_late_either) {
    silent_t silence = silent(ANJAY_NET_SOCKET_TYPE_UDP);
    int64_t best = MS(1000000);
    int round;
    set_timeout_us(silence.socket, MS(20));
    /* The best of some rounds: what the machine does meanwhile is not ours. */
    for (round = 0; round < 10; ++round) {
        int64_t start = now_us();
        int64_t waited;
        check_times_out(silence.socket, MS(20), MS(2000));
        waited = now_us() - start;
        best = waited < best ? waited : best;
    }
    CHECK(best < MS(is_slow() ? 200 : 26));
    silent_end(&silence);
}

TEST(timeout_of_whole_seconds) {
    silent_t silence = silent(ANJAY_NET_SOCKET_TYPE_UDP);
    set_timeout_us(silence.socket, MS(1250));
    check_times_out(silence.socket, MS(1250), MS(2250));
    silent_end(&silence);
}

TEST(receive_from_waits_as_long) {
    silent_t silence = silent(ANJAY_NET_SOCKET_TYPE_UDP);
    char buffer[8];
    char host[64];
    char port[16];
    size_t length = 99;
    int64_t start;
    set_timeout_us(silence.socket, 50500);
    start = now_us();
    CHECK_ERR(ETIMEDOUT, V(silence.socket)
                                 ->receive_from(silence.socket, &length, buffer,
                                                sizeof(buffer), host,
                                                sizeof(host), port,
                                                sizeof(port)));
    CHECK_WAITED(start, 50500, MS(550));
    CHECK_INT(0, length);
    silent_end(&silence);
}

TEST(zero_and_negative_timeouts_do_not_wait) {
    static const struct {
        int64_t seconds;
        int32_t nanoseconds;
    } TIMEOUTS[] = { { 0, 0 },
                     { -1, 0 },
                     { -1, 999999999 },
                     { -1000000, 5 },
                     { INT64_MIN, 0 } };
    size_t i;
    size_t type;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        silent_t silence = silent(BOTH_TYPES[type]);
        for (i = 0; i < LEN(TIMEOUTS); ++i) {
            CHECK_OK(V(silence.socket)
                             ->set_opt(silence.socket,
                                       ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT,
                                       duration_value(TIMEOUTS[i].seconds,
                                                      TIMEOUTS[i].nanoseconds)));
            check_times_out(silence.socket, 0, MS(1000));
        }
        silent_end(&silence);
    }
}

TEST(timeout_of_zero_delivers_what_is_there) {
    silent_t silence = silent(ANJAY_NET_SOCKET_TYPE_UDP);
    peer_send_to(&silence.peer, local_port(silence.socket), "data", 4);
    set_timeout_us(silence.socket, 0);
    expect_text(silence.socket, "data");
    silent_end(&silence);
}

typedef struct {
    sock_t *socket;
    char buffer[16];
    size_t length;
    int64_t waited_us;
    anjay_net_error_t error;
} receive_call_t;

static void receive_in_thread(void *arg) {
    receive_call_t *call = (receive_call_t *) arg;
    int64_t start = now_us();
    call->error = V(call->socket)->receive(call->socket, &call->length,
                                           call->buffer, sizeof(call->buffer));
    call->waited_us = now_us() - start;
}

/* With this timeout a receive waits until there is data. */
static void check_waits_for_data(int64_t seconds, int32_t nanoseconds) {
    silent_t silence = silent(ANJAY_NET_SOCKET_TYPE_UDP);
    receive_call_t call;
    worker_t worker;
    memset(&call, 0, sizeof(call));
    call.socket = silence.socket;
    CHECK_OK(V(silence.socket)->set_opt(silence.socket,
                                        ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT,
                                        duration_value(seconds, nanoseconds)));
    worker_start(&worker, receive_in_thread, &call);
    worker_wait_blocked(&worker);
    peer_send_to(&silence.peer, local_port(silence.socket), "data", 4);
    worker_join(&worker);
    CHECK_OK(call.error);
    CHECK_INT(4, call.length);
    CHECK_BYTES("data", call.buffer, 4);
    silent_end(&silence);
}

TEST(invalid_timeout_waits_for_ever) {
    check_waits_for_data(0, -1);
    check_waits_for_data(0, 1000000000);
    check_waits_for_data(-5, -1);
    check_waits_for_data(INT64_MIN, INT32_MIN);
    check_waits_for_data(INT64_MAX, INT32_MAX);
}

TEST(longest_valid_timeouts_do_not_overflow) {
    check_waits_for_data(INT64_MAX, 999999999);
    check_waits_for_data(INT64_MAX / 1000, 0);
    check_waits_for_data(INT64_MAX / 1000000000, 999999999);
    check_waits_for_data((int64_t) INT32_MAX / 1000 + 1, 0);
    check_waits_for_data((int64_t) INT32_MAX + 1, 0);
}

TEST(data_ends_the_wait) {
    silent_t silence = silent(ANJAY_NET_SOCKET_TYPE_TCP);
    receive_call_t call;
    worker_t worker;
    int64_t start;
    memset(&call, 0, sizeof(call));
    call.socket = silence.socket;
    worker_start(&worker, receive_in_thread, &call);
    worker_wait_blocked(&worker);
    start = now_us();
    SYS(send(silence.peer.fd, "data", 4, 0));
    worker_join(&worker);
    CHECK_WAITED(start, 0, PROMPT);
    CHECK_OK(call.error);
    CHECK_INT(4, call.length);
    silent_end(&silence);
}

TEST(signals_do_not_restart_the_clock) {
    size_t type;
    for (type = 0; type < LEN(BOTH_TYPES); ++type) {
        silent_t silence = silent(BOTH_TYPES[type]);
        receive_call_t call;
        worker_t worker;
        int signals;
        memset(&call, 0, sizeof(call));
        call.socket = silence.socket;
        set_timeout_us(silence.socket, MS(400));
        worker_start(&worker, receive_in_thread, &call);
        signals = worker_signal_storm(&worker);
        worker_join(&worker);
        CHECK_ERR(ETIMEDOUT, call.error);
        CHECK(signals > 5);
        CHECK(call.waited_us >= MS(400));
        CHECK(call.waited_us <= MS(is_slow() ? 5000 : 900));
        silent_end(&silence);
    }
}

/* A UDP packet that claims to come from the peer and has a wrong checksum:
   the kernel wakes the reader, looks closer, and drops it. */
static void send_broken_packet(const peer_t *from, const char *to) {
    unsigned char packet[sizeof(struct udphdr) + 4];
    struct udphdr header;
    struct sockaddr_storage address;
    socklen_t size = make_address(&address, "127.0.0.1", 0);
    int fd = (int) SYS(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP));
    memset(&header, 0, sizeof(header));
    header.source = htons((uint16_t) atoi(from->port));
    header.dest = htons((uint16_t) atoi(to));
    header.len = htons(sizeof(packet));
    header.check = htons(0xDEAD);
    memcpy(packet, &header, sizeof(header));
    memcpy(packet + sizeof(header), "evil", 4);
    SYS(sendto(fd, packet, sizeof(packet), 0, (struct sockaddr *) &address,
               size));
    SYS(close(fd));
}

TEST(packet_with_a_bad_checksum_does_not_end_the_wait) {
    silent_t silence = silent(ANJAY_NET_SOCKET_TYPE_UDP);
    receive_call_t call;
    worker_t worker;
    memset(&call, 0, sizeof(call));
    call.socket = silence.socket;
    set_timeout_us(silence.socket, MS(500));
    worker_start(&worker, receive_in_thread, &call);
    do {
        send_broken_packet(&silence.peer, local_port(silence.socket));
        wait_for(silence.peer.fd, 0, 20);
    } while (!worker_finished(&worker));
    worker_join(&worker);
    CHECK_ERR(ETIMEDOUT, call.error);
    CHECK(call.waited_us >= MS(500));
    CHECK(call.waited_us <= MS(is_slow() ? 5000 : 1500));
    silent_end(&silence);
}

TEST(timeout_can_be_changed_between_calls) {
    silent_t silence = silent(ANJAY_NET_SOCKET_TYPE_UDP);
    set_timeout_us(silence.socket, MS(1000));
    check_times_out(silence.socket, MS(1000), MS(2000));
    set_timeout_us(silence.socket, MS(10));
    check_times_out(silence.socket, MS(10), MS(900));
    silent_end(&silence);
}
