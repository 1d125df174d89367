/*
 * Log lines for C.
 */

#include "anjay_net.h"
#include "fixture.h"

#include <stdio.h>

typedef struct {
    pthread_mutex_t lock;
    int levels[64];
    char lines[64][512];
    int count;
    sock_t *also_sends;
} journal_t;

#define JOURNAL { PTHREAD_MUTEX_INITIALIZER, { 0 }, { { 0 } }, 0, NULL }

static void note(void *arg, int level, const char *line) {
    journal_t *journal = (journal_t *) arg;
    CHECK(strchr(line, '\n') == NULL);
    if (journal->also_sends) {
        CHECK_OK(V(journal->also_sends)->send(journal->also_sends, "!", 1));
    }
    pthread_mutex_lock(&journal->lock);
    if (journal->count < (int) LEN(journal->lines)) {
        journal->levels[journal->count] = level;
        snprintf(journal->lines[journal->count], 512, "%s", line);
        ++journal->count;
    }
    pthread_mutex_unlock(&journal->lock);
}

static void log_from(int level, journal_t *journal) {
    CHECK_INT(0, anjay_net_set_log_handler(note, journal, level));
}

/* The number of lines that contain the text. */
static int count_lines(const journal_t *journal, int level, const char *text) {
    int count = 0;
    for (int i = 0; i < journal->count; ++i) {
        count += journal->levels[i] == level && strstr(journal->lines[i], text);
    }
    return count;
}

TEST(lines_have_socket_peer_and_reason) {
    static journal_t journal = JOURNAL;
    char expected[96];
    refused_t nobody = refused(SOCK_STREAM);
    sock_t *socket = new_tcp(NULL);
    log_from(ANJAY_NET_LOG_LEVEL_WARNING, &journal);
    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, nobody.host, nobody.port));
    CHECK_INT(1, journal.count);
    CHECK_INT(ANJAY_NET_LOG_LEVEL_WARNING, journal.levels[0]);
    snprintf(expected, sizeof(expected),
            "socket %d: cannot establish connection to [%s]:%s: ", (int) stats_of(socket).id, nobody.host,
            nobody.port);
    CHECK(strncmp(journal.lines[0], expected, strlen(expected)) == 0);
    CHECK(strstr(journal.lines[0], "Connection refused") != NULL);
}

TEST(no_line_for_each_datagram_below_trace) {
    static journal_t journal = JOURNAL;
    peer_t peer;
    log_from(ANJAY_NET_LOG_LEVEL_DEBUG, &journal);
    sock_t *socket = connected_pair(UDP, &peer);
    CHECK_INT(1, count_lines(&journal, ANJAY_NET_LOG_LEVEL_DEBUG, "connected to 127.0.0.1:"));
    int before = journal.count;
    send_text(socket, "quiet");
    CHECK_INT(before, journal.count);

    log_from(ANJAY_NET_LOG_LEVEL_TRACE, &journal);
    send_text(socket, "loud");
    CHECK_INT(1, count_lines(&journal, ANJAY_NET_LOG_LEVEL_TRACE, "sent 4 bytes"));
    peer_say(&peer, socket, "answer");
    expect_text(socket, "answer");
    CHECK_INT(1, count_lines(&journal, ANJAY_NET_LOG_LEVEL_TRACE, "received 6 bytes"));
    peer_say(&peer, socket, "too long");
    char buffer[3];
    size_t length;
    CHECK_ERR(EMSGSIZE, V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
    CHECK_INT(1, count_lines(&journal, ANJAY_NET_LOG_LEVEL_TRACE,
                             "received 3 bytes, truncated"));

    CHECK_INT(0, anjay_net_set_log_handler(NULL, NULL, ANJAY_NET_LOG_LEVEL_TRACE));
    before = journal.count;
    send_text(socket, "quiet again");
    CHECK_OK(V(socket)->close(socket));
    CHECK_INT(before, journal.count);
}

TEST(handler_may_use_sockets) {
    static journal_t journal = JOURNAL;
    peer_t syslog;
    sock_t *socket = new_udp(NULL);
    journal.also_sends = connected_pair(UDP, &syslog);
    log_from(ANJAY_NET_LOG_LEVEL_TRACE, &journal);
    CHECK_OK(V(socket)->connect(socket, syslog.host, syslog.port));
    CHECK_INT(0, anjay_net_set_log_handler(NULL, NULL, ANJAY_NET_LOG_LEVEL_QUIET));
    /* The line about the connect, and none about its own sending. */
    CHECK_INT(1, journal.count);
    peer_expect(&syslog, "!");
}

static journal_t nested = JOURNAL;

static void set_another(void *arg, int level, const char *line) {
    (void) arg;
    (void) level;
    (void) line;
    nested.count += anjay_net_set_log_handler(NULL, NULL, 0) == -1;
}

TEST(levels_and_nesting_are_checked) {
    sock_t *socket = new_udp(NULL);
    CHECK_INT(-1, anjay_net_set_log_handler(note, NULL, -1));
    CHECK_INT(-1, anjay_net_set_log_handler(note, NULL, 6));
    CHECK_INT(0, anjay_net_set_log_handler(set_another, NULL, ANJAY_NET_LOG_LEVEL_DEBUG));
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", "9"));
    CHECK_INT(1, nested.count);
}
