/*
 * A program that has avs_log: a stand-in with the functions that avs_commons'
 * public headers declare, in every version from 4.1 to 5.8.
 */

#include "anjay_net.h"
#include "avs_log.h"
#include "peer.h"
#include "sock.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

typedef struct {
    int level;
    char module[32];
    char file[128];
    unsigned line;
    char text[512];
} entry_t;

static struct {
    pthread_mutex_t lock;
    /* Of the module; lines below it are left out. */
    int level;
    entry_t entries[64];
    int count;
    sock_t *also_sends;
} avs_log = { PTHREAD_MUTEX_INITIALIZER, ANJAY_NET_LOG_LEVEL_INFO, { { 0 } }, 0, NULL };

int avs_log_should_log__(int level, const char *module) {
    int result;
    CHECK_STR("anjay_net", module);
    pthread_mutex_lock(&avs_log.lock);
    result = level >= avs_log.level;
    pthread_mutex_unlock(&avs_log.lock);
    return result;
}

void avs_log_internal_forced_l__(int level,
                                 const char *module,
                                 const char *file,
                                 unsigned line,
                                 const char *msg,
                                 ...) {
    va_list args;
    if (avs_log.also_sends) {
        CHECK_OK(V(avs_log.also_sends)->send(avs_log.also_sends, "!", 1));
    }
    pthread_mutex_lock(&avs_log.lock);
    if (avs_log.count < (int) LEN(avs_log.entries)) {
        entry_t *entry = &avs_log.entries[avs_log.count++];
        entry->level = level;
        snprintf(entry->module, sizeof(entry->module), "%s", module);
        snprintf(entry->file, sizeof(entry->file), "%s", file);
        entry->line = line;
        va_start(args, msg);
        vsnprintf(entry->text, sizeof(entry->text), msg, args);
        va_end(args);
    }
    pthread_mutex_unlock(&avs_log.lock);
}

/* Where the last connect was refused. */
static refused_t nobody;

static void refused_connect(void) {
    sock_t *socket = new_tcp(NULL);
    nobody = refused(SOCK_STREAM);
    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, nobody.host, nobody.port));
    dispose(&socket);
}

TEST(lines_go_to_avs_log_without_a_handler) {
    const entry_t *entry = &avs_log.entries[0];
    refused_connect();
    CHECK_INT(1, avs_log.count);
    CHECK(entry->level >= ANJAY_NET_LOG_LEVEL_WARNING);
    CHECK_STR("anjay_net", entry->module);
    CHECK(strstr(entry->file, ".rs") != NULL);
    CHECK(entry->line > 0);
    CHECK(strstr(entry->text, nobody.host) != NULL);
    CHECK(strstr(entry->text, nobody.port) != NULL);
    CHECK(strstr(entry->text, "Connection refused") != NULL);
}

TEST(levels_are_those_that_avs_log_is_set_to) {
    sock_t *socket = new_udp(NULL);
    avs_log.level = ANJAY_NET_LOG_LEVEL_QUIET;
    refused_connect();
    CHECK_INT(0, avs_log.count);

    avs_log.level = ANJAY_NET_LOG_LEVEL_INFO;
    refused_connect();
    CHECK_INT(1, avs_log.count);

    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", "9"));
    CHECK_INT(1, avs_log.count);
    CHECK_OK(V(socket)->close(socket));

    avs_log.level = ANJAY_NET_LOG_LEVEL_DEBUG;
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", "9"));
    CHECK_INT(2, avs_log.count);
    CHECK_INT(ANJAY_NET_LOG_LEVEL_DEBUG, avs_log.entries[1].level);
    CHECK(strstr(avs_log.entries[1].text, "connected") != NULL);
}

/* Every transfer is a line of its own only when that is asked for. */
TEST(transfers_are_traced_when_both_levels_say_so) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    int before;
    avs_log.level = ANJAY_NET_LOG_LEVEL_TRACE;
    CHECK_OK(V(socket)->connect(socket, peer.host, peer.port));
    before = avs_log.count;
    send_text(socket, "quiet");
    CHECK_INT(before, avs_log.count);

    CHECK_INT(0, anjay_net_set_log_handler(NULL, NULL, ANJAY_NET_LOG_LEVEL_TRACE));
    send_text(socket, "loud");
    CHECK_INT(before + 1, avs_log.count);
    CHECK_INT(ANJAY_NET_LOG_LEVEL_TRACE, avs_log.entries[before].level);
    CHECK(strstr(avs_log.entries[before].text, "sent 4 bytes") != NULL);
}

static int handled = 0;

static void count_line(void *arg, int level, const char *line) {
    (void) arg;
    (void) level;
    (void) line;
    ++handled;
}

TEST(a_handler_takes_the_place_of_avs_log) {
    CHECK_INT(0, anjay_net_set_log_handler(count_line, NULL, ANJAY_NET_LOG_LEVEL_WARNING));
    avs_log.level = ANJAY_NET_LOG_LEVEL_QUIET;
    refused_connect();
    CHECK_INT(1, handled);
    CHECK_INT(0, avs_log.count);

    avs_log.level = ANJAY_NET_LOG_LEVEL_INFO;
    /* Its level was the handler's. */
    CHECK_INT(0, anjay_net_set_log_handler(NULL, NULL, ANJAY_NET_LOG_LEVEL_QUIET));
    refused_connect();
    CHECK_INT(1, handled);
    CHECK_INT(1, avs_log.count);
}

TEST(avs_log_may_use_sockets) {
    peer_t syslog = peer_udp(AF_INET);
    sock_t *sender = new_udp(NULL);
    CHECK_OK(V(sender)->connect(sender, syslog.host, syslog.port));
    CHECK_INT(0, anjay_net_set_log_handler(NULL, NULL, ANJAY_NET_LOG_LEVEL_TRACE));
    avs_log.level = ANJAY_NET_LOG_LEVEL_TRACE;
    avs_log.count = 0;
    avs_log.also_sends = sender;
    send_text(sender, "?");
    avs_log.also_sends = NULL;
    /* The line about the first datagram, and none about its own. */
    CHECK_INT(1, avs_log.count);
    peer_expect(&syslog, "?");
    peer_expect(&syslog, "!");
}
