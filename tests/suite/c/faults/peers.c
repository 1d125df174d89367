/*
 * Peers that break off, trickle, close their window, half-close; on a stream,
 * where all of that shows.
 */

#include "support/waits.h"

/* What do_send sends: more than fits into the buffers on the way. */
enum { MUCH = 32 * 1024 * 1024 };

static peer_t peer;
static char sink[256 * 1024];

static call_t connected(void (*body)(call_t *)) {
    return call_on(connected_pair(TCP, &peer), body);
}

static void receive_a_byte(call_t *call) {
    call->error = V(call->socket)->receive(call->socket, &call->length, call->buffer, 1);
}

/* The socket is broken, until it is closed; then it works as any other. */
static void check_broken(sock_t *socket) {
    for (int round = 0; round < 3; ++round) {
        CHECK_RECEIVE(ECONNRESET, "", socket, 1);
    }
    CHECK_STATE(CONNECTED, socket);
    CHECK_OK(V(socket)->close(socket));
    peer = connect_to_peer(socket, TCP, AF_INET);
    check_works(socket, &peer);
}

TEST(peer_resets_while_a_send_waits) {
    call_t call = connected(do_send);
    call_start(&call);
    CHECK(peer_receive(&peer, sink, 1000) > 0);
    worker_wait_blocked(&call.worker);
    peer_reset(&peer);
    worker_join(&call.worker);
    CHECK_ERR(ECONNRESET, call.error);
    CHECK(bytes_sent(call.socket) > 0 && bytes_sent(call.socket) < MUCH);
    check_broken(call.socket);
}

TEST(peer_resets_while_a_receive_waits) {
    call_t call = connected(receive_a_byte);
    call_start_waiting(&call);
    peer_reset(&peer);
    worker_join(&call.worker);
    CHECK_ERR(ECONNRESET, call.error);
    CHECK_INT(0, call.length);
    check_broken(call.socket);
}

/* What it sent before is lost with it, as the kernel throws that away. */
TEST(peer_resets_in_the_middle_of_a_message) {
    call_t call = connected(receive_a_byte);
    peer_say(&peer, call.socket, "half of");
    call_run(&call);
    CHECK_OK(call.error);
    peer_reset(&peer);
    do {
        call_run(&call);
    } while (call.error.code == 0 && call.length > 0);
    check_broken(call.socket);
}

/* The next byte comes when the receive waits for it. */
TEST(peer_trickles_byte_by_byte) {
    call_t call = connected(receive_a_byte);
    for (char text[] = "a"; text[0] <= 'z'; ++text[0]) {
        call_start_waiting(&call);
        peer_say(&peer, call.socket, text);
        worker_join(&call.worker);
        CHECK_OK(call.error);
        CHECK_INT(1, call.length);
        CHECK_INT(text[0], call.buffer[0]);
    }
    CHECK_INT('z' - 'a' + 1, bytes_received(call.socket));
}

/* A trickle is progress: each byte restarts the time that may pass without
   any. */
TEST(peer_reads_slowly_for_longer_than_a_send_may_be_stuck) {
    call_t call = connected(do_send);
    int64_t start = now_us();
    waits_last(MS(150));
    call_start(&call);
    for (size_t length = 0; length < MUCH; length += peer_receive(&peer, sink, sizeof(sink))) {
        /* Slow at first, for twice the time that a standstill may take. */
        if (now_us() - start < MS(300)) {
            wait_for(peer.fd, 0, 20);
        }
    }
    worker_join(&call.worker);
    CHECK_OK(call.error);
    CHECK_INT(MUCH, bytes_sent(call.socket));
}

TEST(peer_closes_its_window_and_opens_it_again) {
    call_t call = connected(do_send);
    waits_last(MS(150));
    call_run(&call);
    CHECK_ERR(ETIMEDOUT, call.error);
    CHECK_STATE(CONNECTED, call.socket);
    size_t sent = (size_t) bytes_sent(call.socket);
    CHECK(sent > 0 && sent < MUCH);
    /* It was stuck, not broken: what went out arrives, and more can follow. */
    size_t length = 0;
    while (length < sent) {
        length += peer_receive(&peer, sink, sizeof(sink));
    }
    CHECK_INT(sent, length);
    check_works(call.socket, &peer);
}

TEST(peer_half_closes) {
    call_t call = connected(receive_a_byte);
    call_start_waiting(&call);
    SYS(shutdown(peer.fd, SHUT_WR));
    worker_join(&call.worker);
    for (int round = 0; round < 3; ++round) {
        CHECK_OK(call.error);
        CHECK_INT(0, call.length);
        /* The other half lives. */
        check_works(call.socket, &peer);
        call_run(&call);
    }
    CHECK_STATE(CONNECTED, call.socket);
}

/* It does not want to hear any more, but still speaks. */
TEST(peer_closes_its_other_half) {
    sock_t *socket = connected_pair(TCP, &peer);
    SYS(shutdown(peer.fd, SHUT_RD));
    peer_say(&peer, socket, "still");
    expect_text(socket, "still");
    CHECK_STATE(CONNECTED, socket);
}
