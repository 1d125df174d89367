/*
 * When a server is taken for dead: its address goes to the back, and the
 * stored endpoint is given up. Silence counts only when something was asked.
 */

#include "fixture.h"
#include "netns.h"
#include "settings.h"

#include "anjay_net.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* musl on 32-bit processors, whose struct timespec is that of this call. */
#ifndef SYS_clock_gettime
#define SYS_clock_gettime SYS_clock_gettime64
#endif

#define PORT "5683"

/* ------------------------------------------------------ time that jumps --- */

static volatile long suspended_s;

/* The library's clock_gettime(2), instead of the C library's: the clock that
   goes on while a device sleeps. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    long result = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_BOOTTIME) {
        now->tv_sec += suspended_s;
    }
    return (int) result;
}

/* --------------------------------------------------------------- scene --- */

/* Two servers of one name, which hear everything and say nothing. */
static struct {
    peer_t servers[2];
    endpoint_t stored;
    config_t config;
    sock_t *socket;
    char first[64]; /* the address that was taken */
} scene;

static void enter(const char *one, const char *two) {
    char hosts[128];
    snprintf(hosts, sizeof(hosts), "%s pool\n%s pool\n", one, two);
    sandbox_enter(hosts, NULL);
    sandbox_await_all_answers();
    scene.servers[0] = peer_at(SOCK_DGRAM, one, atoi(PORT));
    scene.servers[1] = peer_at(SOCK_DGRAM, two, atoi(PORT));
}

static void connect_to_pool(void) {
    CHECK_OK(V(scene.socket)->connect(scene.socket, "pool", PORT));
}

static void begin_with(const char *one, const char *two) {
    enter(one, two);
    scene.config = default_config();
    scene.config.preferred_endpoint = &scene.stored;
    scene.socket = new_udp(&scene.config);
    connect_to_pool();
    strcpy(scene.first, remote_host(scene.socket));
}

static void begin(void) {
    begin_with("127.0.1.1", "127.0.1.2");
}

static peer_t *server_of(const char *host) {
    return &scene.servers[strcmp(scene.servers[1].host, host) == 0];
}

static bool is_stored(const char *expected) {
    char host[64];
    if (scene.stored.size == 0) {
        return false;
    }
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(
            &scene.stored, host, sizeof(host), NULL, 0));
    return strcmp(expected, host) == 0;
}

/* The server is not blamed: it is still the stored one, and somebody without a
   stored endpoint meets it as often as the other. */
static void check_is_kept(void) {
    int met = 0;
    int round;
    CHECK_OK(V(scene.socket)->close(scene.socket));
    if (!is_stored(scene.first)) {
        FAIL("%s is no longer stored", scene.first);
    }
    for (round = 0; round < 10; ++round) {
        connect_to_pool();
        CHECK_STR(scene.first, remote_host(scene.socket));
        CHECK_OK(V(scene.socket)->close(scene.socket));
    }
    if (strchr(scene.first, ':')) {
        return; /* first by its family already */
    }
    for (round = 0; round < 40; ++round) {
        sock_t *socket = new_udp(NULL);
        CHECK_OK(V(socket)->connect(socket, "pool", PORT));
        met += strcmp(scene.first, remote_host(socket)) == 0;
    }
    CHECK(met > 0);
}

/* The next connect takes the other. */
static void check_is_given_up(void) {
    CHECK_OK(V(scene.socket)->close(scene.socket));
    CHECK(!is_stored(scene.first));
    connect_to_pool();
    CHECK(strcmp(scene.first, remote_host(scene.socket)) != 0);
    CHECK_OK(V(scene.socket)->close(scene.socket));
}

/* -------------------------------------------------------------- steps --- */

static void receive_nothing(int64_t timeout_us) {
    set_timeout_us(scene.socket, timeout_us);
    CHECK_RECEIVE(ETIMEDOUT, "", scene.socket, 16);
}

static void receive_from_nobody(int64_t timeout_us) {
    set_timeout_us(scene.socket, timeout_us);
    CHECK_RECEIVE_FROM(ETIMEDOUT, "", NULL, scene.socket, 16);
}

static void send_times(const char *text, int count) {
    while (count-- > 0) {
        send_text(scene.socket, text);
    }
}

static void be_answered(void) {
    peer_t *server = server_of(scene.first);
    sender_t sender;
    char buffer[64];
    memset(&sender, 0, sizeof(sender));
    sender.size = sizeof(sender.address);
    CHECK(wait_for(server->fd, POLLIN, 5000));
    SYS(recvfrom(server->fd, buffer, sizeof(buffer), 0,
                 (struct sockaddr *) &sender.address, &sender.size));
    peer_reply(server, &sender, "answer");
    set_timeout_us(scene.socket, MS(5000));
    expect_text(scene.socket, "answer");
}

/* ---------------------------------------------------------- not blamed --- */

/* Non-confirmable notifications, which nobody answers. They are of one length,
   and differ in one byte. */
TEST(messages_that_ask_nothing_leave_the_server_alone) {
    static const char *const MESSAGES[] = { "X0: 20 degrees", "X1: 20 degrees",
                                            "X2: 20 degrees", "X2: 20 degreeS",
                                            "X4: 20 degrees", "X5: 20 degrees",
                                            "X6: 20 degrees", "X7: 20 degrees" };
    size_t i;
    begin();
    for (i = 0; i < LEN(MESSAGES); ++i) {
        send_text(scene.socket, MESSAGES[i]);
    }
    check_is_kept();
}

/* DTLS with a connection id: wakes, sends four records, closes. Again and
   again. */
SLOW_TEST(short_sessions_without_answers_leave_the_server_alone) {
    int session;
    begin();
    for (session = 0; session < 8; ++session) {
        int record;
        for (record = 0; record < 4; ++record) {
            char text[32];
            snprintf(text, sizeof(text), "record %d", 4 * session + record);
            send_text(scene.socket, text);
        }
        CHECK_OK(V(scene.socket)->close(scene.socket));
        CHECK(is_stored(scene.first));
        connect_to_pool();
        CHECK_STR(scene.first, remote_host(scene.socket));
    }
    check_is_kept();
}

/* An event loop looks often, and waits for little. */
SLOW_TEST(short_waits_leave_the_server_alone) {
    int round;
    begin();
    for (round = 0; round < 6; ++round) {
        char text[16];
        snprintf(text, sizeof(text), "message %d", round);
        send_text(scene.socket, text);
        receive_nothing(0);
        receive_nothing(MS(20));
        receive_from_nobody(MS(20));
    }
    check_is_kept();
}

SLOW_TEST(one_vain_wait_leaves_the_server_alone) {
    begin();
    send_text(scene.socket, "question");
    receive_nothing(MS(1000));
    check_is_kept();
}

SLOW_TEST(waits_before_anything_was_sent_leave_the_server_alone) {
    begin();
    receive_nothing(MS(1000));
    receive_nothing(MS(1000));
    check_is_kept();
}

/* A server that is busy, or an answer that is lost: it has answered before. */
SLOW_TEST(server_that_has_answered_is_not_given_up) {
    begin();
    send_text(scene.socket, "question");
    be_answered();
    send_times("another", 4);
    receive_nothing(MS(1000));
    receive_nothing(MS(1000));
    check_is_kept();
}

TEST(late_answer_clears_the_server) {
    begin();
    send_times("question", 4);
    be_answered();
    check_is_kept();
}

SLOW_TEST(three_transmissions_leave_the_server_alone) {
    begin();
    send_times("question", 3);
    check_is_kept();
}

/* ------------------------------------------------------------- blamed --- */

/* A confirmable message of CoAP and its retransmissions. */
TEST(four_transmissions_without_an_answer_give_the_server_up) {
    begin();
    send_times("question", 4);
    check_is_given_up();
}

SLOW_TEST(four_transmissions_count_in_ipv6_and_between_looks) {
    int round;
    begin_with("::1", "127.0.1.2");
    CHECK_STR("::1", scene.first);
    send_times("question", 4);
    check_is_given_up();
    /* With pauses, in which an event loop looks. */
    connect_to_pool();
    strcpy(scene.first, remote_host(scene.socket));
    CHECK_STR("127.0.1.2", scene.first);
    for (round = 0; round < 4; ++round) {
        send_text(scene.socket, "question");
        receive_nothing(0);
    }
    CHECK_OK(V(scene.socket)->close(scene.socket));
    CHECK(!is_stored("127.0.1.2"));
}

SLOW_TEST(two_vain_waits_for_an_answer_give_the_server_up) {
    begin();
    send_text(scene.socket, "question");
    receive_nothing(MS(1000));
    receive_from_nobody(MS(1000));
    check_is_given_up();
}

/* An ICMP error says the same at once, whatever was answered before. */
static void check_refusal_gives_up(bool sends) {
    peer_t *server;
    begin();
    send_text(scene.socket, "question");
    be_answered();
    server = server_of(scene.first);
    peer_close(server);
    send_text(scene.socket, "another");
    if (sends) {
        send_text(scene.socket, "another");
    } else {
        CHECK_RECEIVE(ECONNREFUSED, "", scene.socket, 1);
    }
    check_is_given_up();
}

TEST(refusal_that_a_receive_finds_gives_the_server_up) {
    check_refusal_gives_up(false);
}

TEST(refusal_that_a_send_finds_gives_the_server_up) {
    check_refusal_gives_up(true);
}

static void set_penalty(unsigned milliseconds) {
    anjay_net_settings_t settings = settings_in_force();
    settings.udp_penalty_ms = milliseconds;
    configure(&settings);
}

SLOW_TEST(without_a_penalty_no_server_is_given_up) {
    begin();
    set_penalty(0);
    send_times("question", 4);
    receive_nothing(MS(1000));
    receive_nothing(MS(1000));
    check_is_kept();
}

/* ---------------------------------------------------------------- sleep --- */

/* How many of these connects take the address. */
static int count_connects_to(const char *host) {
    int count = 0;
    int round;
    for (round = 0; round < 40; ++round) {
        sock_t *socket = new_udp(NULL);
        CHECK_OK(V(socket)->connect(socket, "pool", PORT));
        count += strcmp(host, remote_host(socket)) == 0;
    }
    return count;
}

/* Five minutes are over after a night of sleep. */
SLOW_TEST(penalty_passes_while_the_device_sleeps) {
    begin();
    set_penalty(5 * 60 * 1000);
    send_times("question", 4);
    CHECK_OK(V(scene.socket)->close(scene.socket));
    CHECK_INT(0, count_connects_to(scene.first));
    suspended_s = 4 * 60;
    CHECK_INT(0, count_connects_to(scene.first));
    suspended_s = 8 * 3600;
    CHECK(count_connects_to(scene.first) > 0);
}

/* ---------------------------------------------- the wrong connection --- */

static void receive_until_closed(void *arg) {
    sock_t *socket = (sock_t *) arg;
    char byte;
    size_t length;
    CHECK_ERR(EBADF, V(socket)->receive(socket, &length, &byte, 1));
}

/* A wait that close ended was a wait for the server before. */
SLOW_TEST(wait_that_close_ended_is_not_held_against_the_next_server) {
    worker_t worker;
    begin();
    send_text(scene.socket, "question");
    set_timeout_us(scene.socket, MS(30000));
    worker_start(&worker, receive_until_closed, scene.socket);
    worker_wait_blocked(&worker);
    poll(NULL, 0, 1100);
    CHECK_OK(V(scene.socket)->close(scene.socket));
    connect_to_pool();
    worker_join(&worker);
    strcpy(scene.first, remote_host(scene.socket));
    send_text(scene.socket, "question");
    receive_nothing(MS(1000));
    check_is_kept();
}
