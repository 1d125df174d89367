/*
 * Every call that can wait, ended by another thread in every way there is: it
 * returns within 50 ms and says what the contract names. Options can be read and
 * set all the while, without waiting for it.
 */

#include "support/waits.h"

#include <stdio.h>
#include <stdlib.h>

#define AT_ONCE MS(50)

/* Long enough that no call ends by itself. */
#define A_LONG_TIME MS(60000)

/* Other programs may take the processor for a moment: the median counts. */
enum { ROUNDS = 5 };

typedef enum { CLOSE, SHUTDOWN, CLEANUP } ending_t;

static ending_t ending;
static bool of_the_new_socket;
static int64_t options_took[ROUNDS];
static int64_t waking_took[ROUNDS];
static int round_now;

static int compare(const void *one, const void *other) {
    int64_t a = *(const int64_t *) one;
    int64_t b = *(const int64_t *) other;
    return (a > b) - (a < b);
}

static void check_median(const char *what, const char *name, int64_t *times) {
    qsort(times, ROUNDS, sizeof(times[0]), compare);
    if (times[ROUNDS / 2] > AT_ONCE) {
        FAIL("%s: %s took %lld us", name, what, (long long) times[ROUNDS / 2]);
    }
}

static void end_call(call_t *call) {
    sock_t **socket = of_the_new_socket ? &call->other : &call->socket;
    if (ending == CLOSE) {
        CHECK_OK(V(*socket)->close(*socket));
    } else if (ending == SHUTDOWN) {
        CHECK_OK(V(*socket)->shutdown(*socket));
    } else {
        dispose(socket);
    }
}

static void use_options(sock_t *socket) {
    char text[64];
    for (int key = 0; key <= 13; ++key) {
        value_t value;
        /* Some are of (D)TLS sockets. */
        (void) V(socket)->get_opt(socket, key, &value);
    }
    for (int seconds = 60; seconds >= -60; seconds -= 120) {
        CHECK_OK(V(socket)->set_opt(
                socket, ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT, duration_value(seconds, 0)));
    }
    (void) V(socket)->get_local_port(socket, text, sizeof(text));
    (void) V(socket)->get_remote_host(socket, text, sizeof(text));
    (void) V(socket)->get_system_socket(socket);
}

static void run_and_end(call_t *call) {
    call_start_waiting(call);
    int64_t start = now_us();
    use_options(call->socket);
    options_took[round_now] = now_us() - start;
    CHECK(!worker_finished(&call->worker));
    start = now_us();
    end_call(call);
    worker_join(&call->worker);
    waking_took[round_now] = call->ended - start;
}

static const char *expected(const wait_t *wait) {
    if (ending != SHUTDOWN) {
        return "EBADF";
    }
    /* A stream just ends. */
    return strstr(wait->name, "receive") && wait->type == TCP ? "success" : "ECONNABORTED";
}

static void end_every_call(ending_t how, bool new_socket) {
    waits_enter_network();
    waits_last(A_LONG_TIME);
    ending = how;
    of_the_new_socket = new_socket;
    for (const wait_t *wait = WAITS; wait < WAITS + WAIT_COUNT; ++wait) {
        if (new_socket && wait->body != do_accept) {
            continue;
        }
        for (round_now = 0; round_now < ROUNDS; ++round_now) {
            call_t call = wait_for_nothing(wait, run_and_end);
            check_str(wait->name, expected(wait), code_name(call.error.code));
        }
        check_median("waking", wait->name, waking_took);
        check_median("options", wait->name, options_took);
        printf("%s: %lld us\n", wait->name, (long long) waking_took[ROUNDS / 2]);
    }
}

TEST(close_ends_every_call_that_waits) {
    end_every_call(CLOSE, false);
}

TEST(shutdown_ends_every_call_that_waits) {
    end_every_call(SHUTDOWN, false);
}

TEST(cleanup_ends_every_call_that_waits) {
    end_every_call(CLEANUP, false);
}

TEST(close_of_the_new_socket_ends_accept) {
    end_every_call(CLOSE, true);
}

TEST(shutdown_of_the_new_socket_ends_accept) {
    end_every_call(SHUTDOWN, true);
}

TEST(cleanup_of_the_new_socket_ends_accept) {
    end_every_call(CLEANUP, true);
}
