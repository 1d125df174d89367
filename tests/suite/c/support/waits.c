#include "waits.h"

#include "anjay_net.h"
#include "sandbox.h"

#include <stdio.h>
#include <unistd.h>

static int64_t patience;

void waits_last(int64_t microseconds) {
    uint32_t milliseconds = (uint32_t) (microseconds / 1000);
    anjay_net_settings_t settings;
    memset(&settings, 0, sizeof(settings));
    settings.size = sizeof(settings);
    CHECK_INT(0, anjay_net_get_settings(&settings));
    settings.resolve_timeout_ms = milliseconds;
    settings.connect_timeout_ms = milliseconds;
    settings.send_timeout_ms = milliseconds;
    settings.accept_timeout_ms = milliseconds;
    CHECK_INT(0, anjay_net_configure(&settings, NULL));
    patience = microseconds;
}

static anjay_net_error_t receive(sock_t *socket, sock_t *other, const char *port) {
    char byte;
    size_t length;
    (void) other;
    (void) port;
    return V(socket)->receive(socket, &length, &byte, 1);
}

static anjay_net_error_t receive_from(sock_t *socket,
                                      sock_t *other,
                                      const char *port) {
    char byte;
    char host[64];
    char text[8];
    size_t length;
    (void) other;
    (void) port;
    return V(socket)->receive_from(socket, &length, &byte, 1, host, sizeof(host),
                                   text, sizeof(text));
}

static anjay_net_error_t send_until_stuck(sock_t *socket,
                                          sock_t *other,
                                          const char *port) {
    static char bytes[1024 * 1024];
    anjay_net_error_t error;
    (void) other;
    (void) port;
    do {
        error = V(socket)->send(socket, bytes, sizeof(bytes));
    } while (error.code == 0);
    return error;
}

static anjay_net_error_t accept_one(sock_t *socket,
                                    sock_t *other,
                                    const char *port) {
    (void) port;
    return V(socket)->accept(socket, other);
}

static anjay_net_error_t connect_to(sock_t *socket,
                                    sock_t *other,
                                    const char *port) {
    (void) other;
    return V(socket)->connect(socket, "127.0.0.1", port);
}

/* Nobody has asked for it, so nobody waits for its answer already. */
static const char *a_name(void) {
    static char name[32];
    static int count;
    snprintf(name, sizeof(name), "nobody-%d.test", ++count);
    return name;
}

static anjay_net_error_t look_up(sock_t *socket, sock_t *other, const char *port) {
    (void) other;
    return V(socket)->connect(socket, a_name(), port);
}

static anjay_net_error_t bind_to_name(sock_t *socket,
                                      sock_t *other,
                                      const char *port) {
    (void) other;
    return V(socket)->bind(socket, a_name(), port);
}

static anjay_net_error_t send_to_name(sock_t *socket,
                                      sock_t *other,
                                      const char *port) {
    (void) other;
    return V(socket)->send_to(socket, "x", 1, a_name(), port);
}

#define TCP ANJAY_NET_SOCKET_TYPE_TCP
#define UDP ANJAY_NET_SOCKET_TYPE_UDP

const wait_t WAITS[] = {
    { "receive, UDP", UDP, receive, CONNECTED_TO_SILENCE },
    { "receive, TCP", TCP, receive, CONNECTED_TO_SILENCE },
    { "receive_from, UDP", UDP, receive_from, CONNECTED_TO_SILENCE },
    { "receive_from, TCP", TCP, receive_from, CONNECTED_TO_SILENCE },
    { "send, TCP", TCP, send_until_stuck, CONNECTED_TO_SILENCE },
    { "accept, UDP", UDP, accept_one, LISTENING },
    { "accept, TCP", TCP, accept_one, LISTENING },
    { "connect, TCP", TCP, connect_to, TO_A_BLACK_HOLE },
    { "connect, UDP, to a name", UDP, look_up, WITHOUT_DNS },
    { "connect, TCP, to a name", TCP, look_up, WITHOUT_DNS },
    { "bind, to a name", UDP, bind_to_name, WITHOUT_DNS },
    { "send_to, to a name", UDP, send_to_name, BOUND_WITHOUT_DNS },
};

const size_t WAIT_COUNT = LEN(WAITS);

void wait_begin(void *arg) {
    attempt_t *attempt = (attempt_t *) arg;
    attempt->began = now_us();
    attempt->error = attempt->wait->call(attempt->socket, attempt->other,
                                         attempt->port);
    attempt->ended = now_us();
}

void wait_for_nothing(const wait_t *wait,
                      void (*run)(attempt_t *),
                      attempt_t *attempt) {
    config_t config = reuse_config();
    peer_t peer;
    blackhole_t hole;
    peer.fd = -1;
    hole.filler_count = 0;
    attempt->wait = wait;
    attempt->port = "9";
    attempt->other = new_socket(wait->type, &config);
    switch (wait->place) {
    case CONNECTED_TO_SILENCE:
        attempt->socket = connected_pair(wait->type, &peer);
        break;
    case LISTENING:
    case BOUND_WITHOUT_DNS:
        attempt->socket = new_socket(wait->type, &config);
        CHECK_OK(V(attempt->socket)->bind(attempt->socket, "127.0.0.1", "0"));
        break;
    case TO_A_BLACK_HOLE:
        hole = blackhole_open(AF_INET);
        attempt->port = hole.listener.port;
        attempt->socket = new_socket(wait->type, NULL);
        break;
    default:
        attempt->socket = new_socket(wait->type, NULL);
        break;
    }
    set_timeout_us(attempt->socket, patience);
    run(attempt);
    if (attempt->socket) {
        dispose(&attempt->socket);
    }
    if (attempt->other) {
        dispose(&attempt->other);
    }
    if (peer.fd >= 0) {
        peer_close(&peer);
    }
    if (hole.filler_count > 0) {
        blackhole_close(&hole);
    }
}

void wait_check(const attempt_t *attempt) {
    int64_t waited = attempt->ended - attempt->began;
    if (attempt->error.code != ANJAY_NET_ERRNO_ETIMEDOUT || waited < patience
            || waited > patience + GRACE) {
        FAIL("%s: %s after %lld us", attempt->wait->name,
             code_name(attempt->error.code), (long long) waited);
    }
}

int waits_enter_network(void) {
    struct sockaddr_storage address;
    int fd;
    sandbox_enter("127.0.0.1 localhost\n", NULL);
    fd = (int) SYS(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    SYS(bind(fd, (struct sockaddr *) &address,
             make_address(&address, "127.0.0.53", 53)));
    return fd;
}
