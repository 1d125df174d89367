/*
 * TCP connect to a name with several addresses, some of which do not answer.
 * All in a network of the test's own.
 */

#include "fixture.h"
#include "settings.h"

#include <stdlib.h>

static const char HOSTS[] = "127.0.0.1 localhost\n127.0.0.1 both\n::1 both\n"
                            "127.0.1.1 pool\n127.0.1.2 pool\n127.0.1.3 pool\n127.0.1.4 pool\n";

static void enter(void) {
    sandbox_enter(HOSTS, NULL);
    sandbox_await_all_answers();
}

/* Of "both", the address of that family answers, the other one does not. */
static peer_t silent_but_for(int family) {
    blackhole_t hole = blackhole_open(family == AF_INET ? AF_INET6 : AF_INET);
    return peer_bound_to(
            SOCK_STREAM, family == AF_INET ? "127.0.0.1" : "::1", atoi(hole.listener.port));
}

static void check_connects_within(
        int64_t least_us, int64_t most_us, sock_t *socket, const peer_t *winner) {
    int64_t start = now_us();
    CHECK_OK(V(socket)->connect(socket, "both", winner->port));
    CHECK_WAITED(start, least_us, most_us);
    CHECK_STR(winner->host, remote_host(socket));
}

/* The reference waits 10 s for the first address. */
TEST(silent_ipv6_address_costs_a_quarter_of_a_second) {
    enter();
    peer_t listener = silent_but_for(AF_INET);
    sock_t *socket = new_tcp(NULL);
    int before = count_descriptors();
    check_connects_within(MS(250), MS(1500), socket, &listener);
    /* The losing attempt is closed. */
    CHECK_INT(before + 1, count_descriptors());
}

SLOW_TEST(silent_ipv4_address_does_not_matter_when_ipv6_answers) {
    enter();
    /* Whoever waits for its turn is seen to. */
    sandbox_set_attempt_delay(2000);
    peer_t listener = silent_but_for(AF_INET6);
    check_connects_within(0, MS(1900), new_tcp(NULL), &listener);
}

SLOW_TEST(refused_address_starts_the_next_at_once) {
    enter();
    /* Whoever waits for its turn is seen to. */
    sandbox_set_attempt_delay(2000);
    peer_t listener = peer_listen(AF_INET);
    check_connects_within(0, MS(1900), new_tcp(NULL), &listener);
}

TEST(every_address_is_tried) {
    enter();
    peer_bound_to(SOCK_STREAM, "127.0.1.3", 5683);
    /* In random order: the only good one is last now and then. */
    for (int round = 0; round < 20; ++round) {
        sock_t *socket = new_tcp(NULL);
        CHECK_OK(V(socket)->connect(socket, "pool", "5683"));
        CHECK_STR("127.0.1.3", remote_host(socket));
    }
}

/* After the same time as a literal. */
TEST(name_of_a_silent_address_is_given_up) {
    enter();
    anjay_net_settings_t settings = settings_in_force();
    settings.connect_timeout_ms = 300;
    configure(&settings);
    blackhole_t hole = blackhole_open(AF_INET);
    sock_t *socket = new_tcp(NULL);
    int64_t start = now_us();
    CHECK_ERR(ETIMEDOUT, V(socket)->connect(socket, "localhost", hole.listener.port));
    CHECK_WAITED(start, MS(300), MS(1500));
    CHECK_STATE(CLOSED, socket);
}

TEST(error_of_the_last_attempt_is_returned) {
    enter();
    sock_t *socket = new_tcp(NULL);
    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, "pool", "5683"));
    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, "both", "5683"));
    CHECK_STATE(CLOSED, socket);
}

/* The stored endpoint goes first, alone for a quarter of a second. */
TEST(preferred_endpoint_starts_the_race) {
    endpoint_t preferred;
    config_t config = config_with(&preferred);
    enter();
    peer_t listener = silent_but_for(AF_INET6);
    preferred = endpoint_of(V4, "127.0.0.1", listener.port, 0);
    check_connects_within(MS(250), MS(1500), new_tcp(&config), &listener);
}
