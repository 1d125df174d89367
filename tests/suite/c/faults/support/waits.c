#include "waits.h"

#include "settings.h"

#include <stdio.h>

static int64_t patience;

void waits_last(int64_t microseconds) {
    uint32_t milliseconds = (uint32_t) (microseconds / 1000);
    anjay_net_settings_t settings = settings_in_force();
    settings.resolve_timeout_ms = milliseconds;
    settings.connect_timeout_ms = milliseconds;
    settings.send_timeout_ms = milliseconds;
    settings.accept_timeout_ms = milliseconds;
    configure(&settings);
    patience = microseconds;
}

static void send_until_stuck(call_t *call) {
    call->size = 1024 * 1024;
    do {
        do_send(call);
    } while (call->error.code == 0);
}

/* Nobody has asked for it, so nobody waits for its answer already. */
static const char *a_name(void) {
    static char name[32];
    static int count;
    snprintf(name, sizeof(name), "nobody-%d.test", ++count);
    return name;
}

static void connect_to_name(call_t *call) {
    call->error = V(call->socket)->connect(call->socket, a_name(), "9");
}

static void bind_to_name(call_t *call) {
    call->error = V(call->socket)->bind(call->socket, a_name(), "9");
}

static void send_to_name(call_t *call) {
    call->error = V(call->socket)->send_to(call->socket, "x", 1, a_name(), "9");
}

const wait_t WAITS[] = {
    { "receive, UDP", UDP, do_receive, CONNECTED_TO_SILENCE },
    { "receive, TCP", TCP, do_receive, CONNECTED_TO_SILENCE },
    { "receive_from, UDP", UDP, do_receive_from, CONNECTED_TO_SILENCE },
    { "receive_from, TCP", TCP, do_receive_from, CONNECTED_TO_SILENCE },
    { "send, TCP", TCP, send_until_stuck, CONNECTED_TO_SILENCE },
    { "accept, UDP", UDP, do_accept, LISTENING },
    { "accept, TCP", TCP, do_accept, LISTENING },
    { "connect, TCP", TCP, do_connect, TO_A_BLACK_HOLE },
    { "connect, UDP, to a name", UDP, connect_to_name, WITHOUT_DNS },
    { "connect, TCP, to a name", TCP, connect_to_name, WITHOUT_DNS },
    { "bind, to a name", UDP, bind_to_name, WITHOUT_DNS },
    { "send_to, to a name", UDP, send_to_name, BOUND_WITHOUT_DNS },
};

const size_t WAIT_COUNT = LEN(WAITS);

call_t wait_for_nothing(const wait_t *wait, void (*run)(call_t *call)) {
    size_t mark = defer_mark();
    config_t config = reuse_config();
    peer_t peer;
    call_t call = call_on(NULL, wait->body);
    switch (wait->place) {
    case CONNECTED_TO_SILENCE:
        call.socket = connected_pair(wait->type, &peer);
        break;
    case LISTENING:
    case BOUND_WITHOUT_DNS:
        call.socket = bound_socket(wait->type, "127.0.0.1", &config);
        break;
    case TO_A_BLACK_HOLE:
        peer = blackhole_open(AF_INET).listener;
        call.port = peer.port;
        /* fall through */
    default:
        call.socket = new_socket(wait->type, NULL);
        break;
    }
    call.other = new_socket(wait->type, &config);
    set_timeout_us(call.socket, patience);
    run(&call);
    run_deferred(mark);
    return call;
}

void check_wait(const wait_t *wait, void (*run)(call_t *call)) {
    call_t call = wait_for_nothing(wait, run);
    int64_t waited = call.ended - call.began;
    if (call.error.code != ANJAY_NET_ERRNO_ETIMEDOUT || waited < patience
            || waited > patience + GRACE) {
        FAIL("%s: %s after %lld us", wait->name, code_name(call.error.code), (long long) waited);
    }
}

void waits_enter_network(void) {
    sandbox_enter("127.0.0.1 localhost\n", NULL);
    peer_bound_to(SOCK_DGRAM, "127.0.0.53", 53);
}
