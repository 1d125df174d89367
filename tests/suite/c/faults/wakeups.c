/*
 * Every call that can wait, ended by another thread in every way there is: it
 * returns within 50 ms and says what the contract names. Options can be read and
 * set all the while, without waiting for it.
 */

#include "waits.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AT_ONCE MS(50)

/* Long enough that no call ends by itself. */
#define A_LONG_TIME MS(60000)

/* Other programs may take the processor for a moment: the median counts. */
enum { ROUNDS = 5 };

typedef enum { CLOSE, SHUTDOWN, CLEANUP, CLOSE_NEW, SHUTDOWN_NEW, CLEANUP_NEW } ending_t;

static ending_t ending;
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
        FAIL("%s: %s took %lld us", name, what,
             (long long) times[ROUNDS / 2]);
    }
}

static void end_call(attempt_t *attempt) {
    switch (ending) {
    case CLOSE:
        CHECK_OK(V(attempt->socket)->close(attempt->socket));
        break;
    case SHUTDOWN:
        CHECK_OK(V(attempt->socket)->shutdown(attempt->socket));
        break;
    case CLEANUP:
        dispose(&attempt->socket);
        break;
    case CLOSE_NEW:
        CHECK_OK(V(attempt->other)->close(attempt->other));
        break;
    case SHUTDOWN_NEW:
        CHECK_OK(V(attempt->other)->shutdown(attempt->other));
        break;
    default:
        dispose(&attempt->other);
        break;
    }
}

static void use_options(sock_t *socket) {
    char text[64];
    int key;
    for (key = 0; key <= 13; ++key) {
        value_t value;
        /* Some are of (D)TLS sockets. */
        (void) V(socket)->get_opt(socket, key, &value);
    }
    CHECK_OK(V(socket)->set_opt(socket, ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT,
                                duration_value(60, 0)));
    CHECK_OK(V(socket)->set_opt(socket, ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT,
                                duration_value(-60, 0)));
    (void) V(socket)->get_local_port(socket, text, sizeof(text));
    (void) V(socket)->get_remote_host(socket, text, sizeof(text));
    (void) V(socket)->get_system_socket(socket);
}

static void run_and_end(attempt_t *attempt) {
    worker_t worker;
    int64_t start;
    worker_start(&worker, wait_begin, attempt);
    worker_wait_blocked(&worker);
    start = now_us();
    use_options(attempt->socket);
    options_took[round_now] = now_us() - start;
    CHECK(!worker_finished(&worker));
    start = now_us();
    end_call(attempt);
    worker_join(&worker);
    waking_took[round_now] = attempt->ended - start;
}

static bool is_receive_of_a_stream(const wait_t *wait) {
    return strncmp(wait->name, "receive", 7) == 0
           && wait->type == ANJAY_NET_SOCKET_TYPE_TCP;
}

static void check_code_of(const attempt_t *attempt) {
    unsigned code = attempt->error.code;
    if (ending == SHUTDOWN || ending == SHUTDOWN_NEW) {
        /* A stream just ends. */
        unsigned expected = is_receive_of_a_stream(attempt->wait)
                                    ? ANJAY_NET_ERRNO_NO_ERROR
                                    : ANJAY_NET_ERRNO_ECONNABORTED;
        CHECK_STR(code_name(expected), code_name(code));
    } else {
        CHECK_STR("EBADF", code_name(code));
    }
}

static void end_every_call(ending_t how) {
    int dns = waits_enter_network();
    size_t i;
    waits_last(A_LONG_TIME);
    ending = how;
    for (i = 0; i < WAIT_COUNT; ++i) {
        if (how >= CLOSE_NEW && strncmp(WAITS[i].name, "accept", 6) != 0) {
            continue;
        }
        for (round_now = 0; round_now < ROUNDS; ++round_now) {
            attempt_t attempt;
            wait_for_nothing(&WAITS[i], run_and_end, &attempt);
            check_code_of(&attempt);
        }
        check_median("waking", WAITS[i].name, waking_took);
        check_median("options", WAITS[i].name, options_took);
        printf("%s: %lld us\n", WAITS[i].name, (long long) waking_took[ROUNDS / 2]);
    }
    SYS(close(dns));
}

TEST(close_ends_every_call_that_waits) {
    end_every_call(CLOSE);
}

TEST(shutdown_ends_every_call_that_waits) {
    end_every_call(SHUTDOWN);
}

TEST(cleanup_ends_every_call_that_waits) {
    end_every_call(CLEANUP);
}

TEST(close_of_the_new_socket_ends_accept) {
    end_every_call(CLOSE_NEW);
}

TEST(shutdown_of_the_new_socket_ends_accept) {
    end_every_call(SHUTDOWN_NEW);
}

TEST(cleanup_of_the_new_socket_ends_accept) {
    end_every_call(CLEANUP_NEW);
}
