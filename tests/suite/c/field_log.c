/*
 * Log lines in a program that has avs_log: they reach it by themselves.
 *
 * This program stands in for avs_commons: it has the functions behind its log
 * macros, so that the archive's weak references find them.
 */

#include "avs_log.h"
#include "fixture.h"
#include "netns.h"

#include "anjay_net.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ------------------------------------------------------------- avs_log --- */

enum { LINES_MAX = 256 };

typedef struct {
    int level;
    char module[32];
    char text[512];
} line_t;

static line_t lines[LINES_MAX];
static int line_count;
static int least_level = ANJAY_NET_LOG_LEVEL_INFO;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

int avs_log_should_log__(int level, const char *module) {
    (void) module;
    return level >= least_level;
}

void avs_log_internal_forced_v__(int level,
                                 const char *module,
                                 const char *file,
                                 unsigned line,
                                 const char *format,
                                 va_list args) {
    (void) file;
    (void) line;
    pthread_mutex_lock(&mutex);
    if (line_count < LINES_MAX) {
        line_t *entry = &lines[line_count++];
        entry->level = level;
        snprintf(entry->module, sizeof(entry->module), "%s", module);
        vsnprintf(entry->text, sizeof(entry->text), format, args);
    }
    pthread_mutex_unlock(&mutex);
}

void avs_log_internal_v__(int level,
                          const char *module,
                          const char *file,
                          unsigned line,
                          const char *format,
                          va_list args) {
    if (avs_log_should_log__(level, module)) {
        avs_log_internal_forced_v__(level, module, file, line, format, args);
    }
}

void avs_log_internal_forced_l__(int level,
                                 const char *module,
                                 const char *file,
                                 unsigned line,
                                 const char *format,
                                 ...) {
    va_list args;
    va_start(args, format);
    avs_log_internal_forced_v__(level, module, file, line, format, args);
    va_end(args);
}

void avs_log_internal_l__(int level,
                          const char *module,
                          const char *file,
                          unsigned line,
                          const char *format,
                          ...) {
    va_list args;
    va_start(args, format);
    avs_log_internal_v__(level, module, file, line, format, args);
    va_end(args);
}

/* -------------------------------------------------------------- checks --- */

/* Lines of avs_log with that text. */
static int count_lines(const char *text) {
    int count = 0;
    int i;
    pthread_mutex_lock(&mutex);
    for (i = 0; i < line_count; ++i) {
        count += strstr(lines[i].text, text) != NULL;
    }
    pthread_mutex_unlock(&mutex);
    return count;
}

static void forget_lines(int level) {
    pthread_mutex_lock(&mutex);
    line_count = 0;
    least_level = level;
    pthread_mutex_unlock(&mutex);
}

/* A TCP connect that is refused; `port` and `host` are where. */
static void fail_to_connect(const char *host, const char *port) {
    sock_t *socket = new_tcp(NULL);
    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, host, port));
    dispose(&socket);
}

/* What operators and test suites look for. */
SLOW_TEST(failed_connect_is_told_in_the_usual_words) {
    refused_t nobody = refused(SOCK_STREAM);
    char expected[128];
    int i;
    forget_lines(ANJAY_NET_LOG_LEVEL_INFO);
    fail_to_connect(nobody.host, nobody.port);
    snprintf(expected, sizeof(expected),
             "cannot establish connection to [%s]:%s: Connection refused",
             nobody.host, nobody.port);
    CHECK_INT(1, count_lines(expected));
    CHECK(line_count > 0);
    for (i = 0; i < line_count; ++i) {
        CHECK_STR("anjay_net", lines[i].module);
        CHECK(lines[i].level >= ANJAY_NET_LOG_LEVEL_INFO);
        if (strstr(lines[i].text, expected)) {
            CHECK(lines[i].level >= ANJAY_NET_LOG_LEVEL_WARNING);
        }
    }
}

SLOW_TEST(failed_connects_to_names_and_of_datagrams_are_told_as_well) {
    char expected[128];
    sock_t *socket;
    sandbox_enter("::1 server.test\n127.0.0.1 server.test\n2001:db8::1 far.test\n",
                  NULL);
    forget_lines(ANJAY_NET_LOG_LEVEL_DEBUG);
    fail_to_connect("server.test", "5683");
    CHECK_INT(1, count_lines("server.test: attempt 1 to "));
    CHECK_INT(1, count_lines("server.test: attempt 2 to "));
    CHECK_INT(1, count_lines("cannot establish connection to "
                             "[server.test]:5683: Connection refused"));
    socket = new_udp(NULL);
    CHECK_ERR(ENETUNREACH, V(socket)->connect(socket, "far.test", "5683"));
    snprintf(expected, sizeof(expected),
             "cannot establish connection to [far.test]:5683: %s",
             strerror(ENETUNREACH));
    CHECK_INT(1, count_lines(expected));
    CHECK_ERR(ENETUNREACH, V(socket)->connect(socket, "2001:db8::1", "5684"));
    snprintf(expected, sizeof(expected),
             "cannot establish connection to [2001:db8::1]:5684: %s",
             strerror(ENETUNREACH));
    CHECK_INT(1, count_lines(expected));
}

static void exchange_once(void) {
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    check_works(socket, &peer);
    dispose(&socket);
    peer_close(&peer);
}

SLOW_TEST(levels_are_those_of_avs_log) {
    int i;
    forget_lines(ANJAY_NET_LOG_LEVEL_QUIET);
    exchange_once();
    CHECK_INT(0, line_count);
    forget_lines(ANJAY_NET_LOG_LEVEL_INFO);
    exchange_once();
    for (i = 0; i < line_count; ++i) {
        CHECK(lines[i].level >= ANJAY_NET_LOG_LEVEL_INFO);
    }
    forget_lines(ANJAY_NET_LOG_LEVEL_DEBUG);
    exchange_once();
    CHECK(line_count > 0);
    /* They may change at any time. */
    forget_lines(ANJAY_NET_LOG_LEVEL_QUIET);
    exchange_once();
    CHECK_INT(0, line_count);
}

static int handled;

static void count_handled(void *arg, int level, const char *line) {
    (void) arg;
    (void) level;
    (void) line;
    __atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
}

SLOW_TEST(handler_takes_the_place_of_avs_log) {
    refused_t nobody = refused(SOCK_STREAM);
    forget_lines(ANJAY_NET_LOG_LEVEL_INFO);
    CHECK_INT(0, anjay_net_set_log_handler(count_handled, NULL,
                                           ANJAY_NET_LOG_LEVEL_INFO));
    fail_to_connect(nobody.host, nobody.port);
    CHECK(handled > 0);
    CHECK_INT(0, line_count);
    CHECK_INT(0, anjay_net_set_log_handler(NULL, NULL,
                                           ANJAY_NET_LOG_LEVEL_QUIET));
    handled = 0;
    fail_to_connect(nobody.host, nobody.port);
    CHECK_INT(0, handled);
    CHECK(line_count > 0);
}

/* Lines are text, not formats. */
SLOW_TEST(line_with_a_percent_sign_is_told_as_it_is) {
    sock_t *socket = new_udp(NULL);
    forget_lines(ANJAY_NET_LOG_LEVEL_INFO);
    CHECK_ERR(EADDRNOTAVAIL,
              V(socket)->connect(socket, "fe80::1%no-such%n%s", "5683"));
    CHECK_INT(1, count_lines("cannot establish connection to "
                             "[fe80::1%no-such%n%s]:5683: "));
}
