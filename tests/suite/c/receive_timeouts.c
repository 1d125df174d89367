/*
 * How long receive waits: never less than asked for, hardly more, whatever
 * signals and useless packets arrive meanwhile.
 */

#include "fixture.h"

#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <unistd.h>

/* A socket that hears nothing. */
static sock_t *silent(int type) {
    peer_t peer;
    return connected_pair(type, &peer);
}

static void set_timeout(sock_t *socket, int64_t seconds, int32_t nanoseconds) {
    CHECK_OK(V(socket)->set_opt(
            socket, ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT, duration_value(seconds, nanoseconds)));
}

static void check_times_out(sock_t *socket, int64_t least_us, int64_t most_us) {
    int64_t start = now_us();
    CHECK_RECEIVE(ETIMEDOUT, "", socket, 8);
    CHECK_WAITED(start, least_us, most_us);
}

TEST_EACH_TYPE(default_timeout_is_thirty_seconds) {
    value_t value = get_opt(new_socket(type, NULL), ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT);
    CHECK_INT(30, value.recv_timeout.seconds);
    CHECK_INT(0, value.recv_timeout.nanoseconds);
}

/* The reference rounds down to milliseconds and is always early. */
TEST_EACH_TYPE(timeout_is_never_early) {
    static const int64_t TIMEOUTS_US[] = { 1, 100, 500, 999, 1000, 1001, 1500, 1999, 2000, 2500,
        9999, 10000, 10001, 50500 };
    sock_t *socket = silent(type);
    for (size_t i = 0; i < LEN(TIMEOUTS_US); ++i) {
        set_timeout_us(socket, TIMEOUTS_US[i]);
        for (int round = 0; round < 5; ++round) {
            check_times_out(socket, TIMEOUTS_US[i], TIMEOUTS_US[i] + MS(1000));
        }
    }
}

TEST(timeout_of_a_fraction_of_a_millisecond_waits) {
    sock_t *socket = silent(UDP);
    for (int round = 0; round < 50; ++round) {
        set_timeout_us(socket, 500);
        check_times_out(socket, 500, MS(1000));
        set_timeout_us(socket, 1000);
        check_times_out(socket, 1000, MS(1000));
    }
}

TEST(timeout_is_not_late_either) {
    sock_t *socket = silent(UDP);
    int64_t best = MS(1000000);
    set_timeout_us(socket, MS(20));
    /* The best of some rounds: what the machine does meanwhile is not ours. */
    for (int round = 0; round < 10; ++round) {
        int64_t start = now_us();
        check_times_out(socket, MS(20), MS(2000));
        int64_t waited = now_us() - start;
        best = waited < best ? waited : best;
    }
    CHECK(best < MS(is_slow() ? 200 : 26));
}

TEST(timeout_of_whole_seconds) {
    sock_t *socket = silent(UDP);
    set_timeout_us(socket, MS(1250));
    check_times_out(socket, MS(1250), MS(2250));
}

TEST(receive_from_waits_as_long) {
    sock_t *socket = silent(UDP);
    set_timeout_us(socket, 50500);
    int64_t start = now_us();
    CHECK_RECEIVE_FROM(ETIMEDOUT, "", NULL, socket, 8);
    CHECK_WAITED(start, 50500, MS(550));
}

TEST_EACH_TYPE(zero_and_negative_timeouts_do_not_wait) {
    static const anjay_net_duration_t TIMEOUTS[] = { { 0, 0 }, { -1, 0 }, { -1, 999999999 },
        { -1000000, 5 }, { INT64_MIN, 0 } };
    sock_t *socket = silent(type);
    for (size_t i = 0; i < LEN(TIMEOUTS); ++i) {
        set_timeout(socket, TIMEOUTS[i].seconds, TIMEOUTS[i].nanoseconds);
        check_times_out(socket, 0, MS(1000));
    }
}

TEST(timeout_of_zero_delivers_what_is_there) {
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    peer_say(&peer, socket, "data");
    set_timeout_us(socket, 0);
    expect_text(socket, "data");
}

/* With these timeouts a receive waits until there is data. */
static void check_waits_for_data(const anjay_net_duration_t *timeout) {
    peer_t peer;
    call_t call = call_on(connected_pair(UDP, &peer), do_receive);
    set_timeout(call.socket, timeout->seconds, timeout->nanoseconds);
    call_start_waiting(&call);
    peer_say(&peer, call.socket, "data");
    worker_join(&call.worker);
    CHECK_OK(call.error);
    CHECK_INT(4, call.length);
    CHECK_BYTES("data", call.buffer, 4);
}

static const anjay_net_duration_t INVALID[] = { { 0, -1 }, { 0, 1000000000 }, { -5, -1 },
    { INT64_MIN, INT32_MIN }, { INT64_MAX, INT32_MAX } };

TEST_EACH(invalid_timeout_waits_for_ever, INVALID) {
    check_waits_for_data(it);
}

static const anjay_net_duration_t LONGEST[] = { { INT64_MAX, 999999999 }, { INT64_MAX / 1000, 0 },
    { INT64_MAX / 1000000000, 999999999 }, { (int64_t) INT32_MAX / 1000 + 1, 0 },
    { (int64_t) INT32_MAX + 1, 0 } };

TEST_EACH(longest_valid_timeouts_do_not_overflow, LONGEST) {
    check_waits_for_data(it);
}

TEST(data_ends_the_wait) {
    peer_t peer;
    call_t call = call_on(connected_pair(TCP, &peer), do_receive);
    call_start_waiting(&call);
    int64_t start = now_us();
    peer_say(&peer, call.socket, "data");
    worker_join(&call.worker);
    CHECK_WAITED(start, 0, PROMPT);
    CHECK_OK(call.error);
    CHECK_INT(4, call.length);
}

TEST_EACH_TYPE(signals_do_not_restart_the_clock) {
    call_t call = call_on(silent(type), do_receive);
    set_timeout_us(call.socket, MS(400));
    call_start(&call);
    CHECK(worker_signal_storm(&call.worker) > 5);
    CHECK_LASTED(MS(400), MS(is_slow() ? 5000 : 900), &call);
    CHECK_ERR(ETIMEDOUT, call.error);
}

/* A UDP packet that claims to come from the peer and has a wrong checksum:
   the kernel wakes the reader, looks closer, and drops it. */
static void send_broken_packet(int fd, const peer_t *from, const char *to) {
    struct {
        struct udphdr header;
        char data[4];
    } packet = { { .source = htons((uint16_t) atoi(from->port)),
                         .dest = htons((uint16_t) atoi(to)),
                         .len = htons(sizeof(packet)),
                         .check = htons(0xDEAD) },
        "evil" };
    struct sockaddr_storage address;
    socklen_t size = make_address(&address, "127.0.0.1", 0);
    SYS(sendto(fd, &packet, sizeof(packet), 0, (struct sockaddr *) &address, size));
}

TEST(packet_with_a_bad_checksum_does_not_end_the_wait) {
    int raw = held((int) SYS(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP)));
    peer_t peer;
    call_t call = call_on(connected_pair(UDP, &peer), do_receive);
    set_timeout_us(call.socket, MS(500));
    call_start(&call);
    do {
        send_broken_packet(raw, &peer, local_port(call.socket));
        wait_for(peer.fd, 0, 20);
    } while (!worker_finished(&call.worker));
    CHECK_LASTED(MS(500), MS(is_slow() ? 5000 : 1500), &call);
    CHECK_ERR(ETIMEDOUT, call.error);
}

TEST(timeout_can_be_changed_between_calls) {
    sock_t *socket = silent(UDP);
    set_timeout_us(socket, MS(1000));
    check_times_out(socket, MS(1000), MS(2000));
    set_timeout_us(socket, MS(10));
    check_times_out(socket, MS(10), MS(900));
}
