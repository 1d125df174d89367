/*
 * Log lines for C.
 */

#include "anjay_net.h"
#include "peer.h"
#include "sock.h"

#include <stdio.h>
#include <unistd.h>

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

/* The number of lines that contain the text. */
static int count_lines(const journal_t *journal, int level, const char *text) {
    int count = 0, i;
    for (i = 0; i < journal->count; ++i) {
        count += journal->levels[i] == level && strstr(journal->lines[i], text);
    }
    return count;
}

static uint64_t id_of(const sock_t *socket) {
    anjay_net_socket_stats_t stats;
    stats.size = sizeof(stats);
    CHECK_INT(0, anjay_net_socket_get_stats(socket, &stats));
    return stats.id;
}

TEST(lines_have_socket_peer_and_reason) {
    static journal_t journal = JOURNAL;
    char host[16], port[8], expected[96];
    int holder = refused_endpoint(SOCK_STREAM, host, port);
    sock_t *socket = new_tcp(NULL);

    CHECK_INT(0, anjay_net_set_log_handler(note, &journal, ANJAY_NET_LOG_LEVEL_WARNING));
    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, host, port));
    CHECK_INT(1, journal.count);
    CHECK_INT(ANJAY_NET_LOG_LEVEL_WARNING, journal.levels[0]);
    snprintf(expected, sizeof(expected),
             "socket %d: cannot establish connection to [%s]:%s: ",
             (int) id_of(socket), host, port);
    CHECK(strncmp(journal.lines[0], expected, strlen(expected)) == 0);
    CHECK(strstr(journal.lines[0], "Connection refused") != NULL);
    dispose(&socket);
    SYS(close(holder));
}

TEST(no_line_for_each_datagram_below_trace) {
    static journal_t journal = JOURNAL;
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    int before;

    CHECK_INT(0, anjay_net_set_log_handler(note, &journal, ANJAY_NET_LOG_LEVEL_DEBUG));
    CHECK_OK(V(socket)->connect(socket, peer.host, peer.port));
    CHECK_INT(1, count_lines(&journal, ANJAY_NET_LOG_LEVEL_DEBUG, "connected to 127.0.0.1:"));
    before = journal.count;
    send_text(socket, "quiet");
    CHECK_INT(before, journal.count);

    CHECK_INT(0, anjay_net_set_log_handler(note, &journal, ANJAY_NET_LOG_LEVEL_TRACE));
    send_text(socket, "loud");
    CHECK_INT(1, count_lines(&journal, ANJAY_NET_LOG_LEVEL_TRACE, "sent 4 bytes"));
    peer_send_to(&peer, local_port(socket), "answer", 6);
    expect_text(socket, "answer");
    CHECK_INT(1, count_lines(&journal, ANJAY_NET_LOG_LEVEL_TRACE, "received 6 bytes"));

    CHECK_INT(0, anjay_net_set_log_handler(NULL, NULL, ANJAY_NET_LOG_LEVEL_TRACE));
    before = journal.count;
    send_text(socket, "quiet again");
    CHECK_OK(V(socket)->close(socket));
    CHECK_INT(before, journal.count);
    dispose(&socket);
    peer_close(&peer);
}

TEST(handler_may_use_sockets) {
    static journal_t journal = JOURNAL;
    peer_t syslog = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    sock_t *sender = new_udp(NULL);

    CHECK_OK(V(sender)->connect(sender, syslog.host, syslog.port));
    journal.also_sends = sender;
    CHECK_INT(0, anjay_net_set_log_handler(note, &journal, ANJAY_NET_LOG_LEVEL_TRACE));
    CHECK_OK(V(socket)->connect(socket, syslog.host, syslog.port));
    CHECK_INT(0, anjay_net_set_log_handler(NULL, NULL, ANJAY_NET_LOG_LEVEL_QUIET));
    /* The line about the connect, and none about its own sending. */
    CHECK_INT(1, journal.count);
    peer_expect(&syslog, "!");
    dispose(&socket);
    dispose(&sender);
    peer_close(&syslog);
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
    dispose(&socket);
}
