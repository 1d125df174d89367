#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---------------------------------------------------------- exchanges --- */

void check_exchange(sock_t *socket, const peer_t *peer) {
    send_text(socket, "ping");
    peer_expect(peer, "ping");
    peer_say(peer, socket, "pong");
    expect_text(socket, "pong");
}

enum { POISON = 0xA5, ROOM = 128 };

/* Nothing but that text was written to the buffer. */
static void check_written(
        const char *where, const char *text, size_t length, const unsigned char *buffer) {
    check_bytes(where, text, buffer, length);
    for (size_t i = length; i < ROOM; ++i) {
        if (buffer[i] != POISON) {
            check_fail(where, " wrote to byte %d, of %d", (int) i, (int) length);
        }
    }
}

void check_receive(
        const char *where, unsigned code, const char *text, sock_t *socket, size_t size) {
    unsigned char buffer[ROOM];
    size_t length = 99;
    CHECK(size <= ROOM);
    memset(buffer, POISON, ROOM);
    check_code(where, code, V(socket)->receive(socket, &length, buffer, size));
    check_int(where, (long long) strlen(text), (long long) length);
    check_written(where, text, length, buffer);
}

void check_receive_from(const char *where, unsigned code, const char *text, const peer_t *peer,
        sock_t *socket, size_t size) {
    unsigned char buffer[ROOM];
    unsigned char host[ROOM];
    unsigned char port[ROOM];
    size_t length = 99;
    CHECK(size <= ROOM);
    memset(buffer, POISON, ROOM);
    memset(host, POISON, ROOM);
    memset(port, POISON, ROOM);
    check_code(where, code,
            V(socket)->receive_from(
                    socket, &length, buffer, size, (char *) host, ROOM, (char *) port, ROOM));
    check_int(where, (long long) strlen(text), (long long) length);
    check_written(where, text, length, buffer);
    check_written(where, peer ? peer->host : "", peer ? strlen(peer->host) + 1 : 0, host);
    check_written(where, peer ? peer->port : "", peer ? strlen(peer->port) + 1 : 0, port);
}

/* ---------------------------------------------------------- addresses --- */

const char *endpoint_text(const endpoint_t *endpoint) {
    static char texts[4][128];
    static unsigned next;
    char *text = texts[next++ % LEN(texts)];
    char host[64];
    char port[16];
    CHECK_OK(avs_net_resolved_endpoint_get_host_port(
            endpoint, host, sizeof(host), port, sizeof(port)));
    snprintf(text, sizeof(texts[0]), "%s|%s", host, port);
    return text;
}

const char *listed(int type, int family, const char *host, const char *port, int flags,
        const endpoint_t *preferred) {
    static char text[1024];
    endpoint_t endpoint;
    anjay_net_addrinfo_t *list =
            avs_net_addrinfo_resolve_ex(type, family, host, port, flags, preferred);
    if (!list) {
        return "nothing";
    }
    text[0] = '\0';
    int result;
    while ((result = avs_net_addrinfo_next(list, &endpoint)) == 0) {
        CHECK(strlen(text) + 100 < sizeof(text));
        strcat(strcat(text, text[0] ? " " : ""), endpoint_text(&endpoint));
    }
    CHECK_INT(ANJAY_NET_ADDRINFO_END, result);
    CHECK_INT(ANJAY_NET_ADDRINFO_END, avs_net_addrinfo_next(list, &endpoint));
    avs_net_addrinfo_delete(&list);
    CHECK(list == NULL);
    return text;
}

endpoint_t endpoint_of(int family, const char *host, const char *port, int flags) {
    endpoint_t endpoint;
    anjay_net_addrinfo_t *list = avs_net_addrinfo_resolve_ex(UDP, family, host, port, flags, NULL);
    CHECK(list != NULL);
    CHECK_INT(0, avs_net_addrinfo_next(list, &endpoint));
    avs_net_addrinfo_delete(&list);
    return endpoint;
}

config_t config_with(endpoint_t *preferred) {
    config_t config = default_config();
    memset(preferred, 0, sizeof(*preferred));
    config.preferred_endpoint = preferred;
    return config;
}

void be_short_of_descriptors(struct rlimit *before, int spare) {
    struct rlimit limit;
    int fd = (int) SYS(open("/dev/null", O_RDONLY | O_CLOEXEC));
    SYS(close(fd));
    SYS(getrlimit(RLIMIT_NOFILE, before));
    limit = *before;
    limit.rlim_cur = (rlim_t) (fd + spare);
    SYS(setrlimit(RLIMIT_NOFILE, &limit));
}

/* ---------------------------------------------- calls in other threads --- */

void do_receive(call_t *call) {
    call->length = 99;
    call->error =
            V(call->socket)
                    ->receive(call->socket, &call->length, call->buffer, sizeof(call->buffer));
}

void do_receive_from(call_t *call) {
    char host[64];
    char port[16];
    call->length = 99;
    call->error = V(call->socket)
                          ->receive_from(call->socket, &call->length, call->buffer,
                                  sizeof(call->buffer), host, sizeof(host), port, sizeof(port));
}

void do_send(call_t *call) {
    size_t size = call->size ? call->size : 32 * 1024 * 1024;
    char *data = (char *) calloc(1, size);
    call->error = V(call->socket)->send(call->socket, data, size);
    free(data);
}

void do_accept(call_t *call) {
    call->error = V(call->socket)->accept(call->socket, call->other);
}

void do_connect(call_t *call) {
    call->error = V(call->socket)->connect(call->socket, "127.0.0.1", call->port);
}

call_t call_on(sock_t *socket, void (*body)(call_t *call)) {
    call_t call;
    memset(&call, 0, sizeof(call));
    call.socket = socket;
    call.body = body;
    return call;
}

void call_run(call_t *call) {
    call->began = now_us();
    call->body(call);
    call->ended = now_us();
}

static void run_in_thread(void *arg) {
    call_run((call_t *) arg);
}

void call_start(call_t *call) {
    worker_start(&call->worker, run_in_thread, call);
}

void call_start_waiting(call_t *call) {
    call_start(call);
    worker_wait_blocked(&call->worker);
}

void check_lasted(const char *where, int64_t at_least_us, int64_t at_most_us, call_t *call) {
    worker_join(&call->worker);
    int64_t lasted = call->ended - call->began;
    if (lasted < at_least_us || lasted > at_most_us) {
        check_fail(where, " took %lld us, expected %lld to %lld", (long long) lasted,
                (long long) at_least_us, (long long) at_most_us);
    }
}
