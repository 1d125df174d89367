/*
 * Peers that break off, trickle, close their window, half-close; on a stream,
 * where all of that shows.
 */

#include "waits.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct {
    sock_t *socket;
    peer_t peer;
    anjay_net_error_t error;
    size_t length;
    char byte;
} end_t;

static end_t connected(void) {
    end_t end;
    memset(&end, 0, sizeof(end));
    end.socket = connected_pair(ANJAY_NET_SOCKET_TYPE_TCP, &end.peer);
    return end;
}

static void receive_a_byte(void *arg) {
    end_t *end = (end_t *) arg;
    end->error = V(end->socket)->receive(end->socket, &end->length, &end->byte, 1);
}

/* More than fits into the buffers on the way. */
enum { MUCH = 32 * 1024 * 1024 };

static void send_much(void *arg) {
    end_t *end = (end_t *) arg;
    char *bytes = (char *) calloc(1, MUCH);
    end->error = V(end->socket)->send(end->socket, bytes, MUCH);
    free(bytes);
}

/* The socket is broken, until it is closed; then it works as any other. */
static void check_broken(end_t *end) {
    peer_t listener = peer_listen(AF_INET);
    int round;
    for (round = 0; round < 3; ++round) {
        receive_a_byte(end);
        CHECK_ERR(ECONNRESET, end->error);
        CHECK_INT(0, end->length);
    }
    CHECK_STATE(CONNECTED, end->socket);
    CHECK_OK(V(end->socket)->close(end->socket));
    CHECK_OK(V(end->socket)->connect(end->socket, "127.0.0.1", listener.port));
    end->peer = peer_accept(&listener);
    check_works(end->socket, &end->peer);
    peer_close(&listener);
}

static void dispose_end(end_t *end) {
    dispose(&end->socket);
    peer_close(&end->peer);
}

TEST(peer_resets_while_a_send_waits) {
    end_t end = connected();
    worker_t worker;
    char some[1000];
    worker_start(&worker, send_much, &end);
    CHECK(peer_receive(&end.peer, some, sizeof(some)) > 0);
    worker_wait_blocked(&worker);
    peer_reset(&end.peer);
    worker_join(&worker);
    CHECK_ERR(ECONNRESET, end.error);
    CHECK(bytes_sent(end.socket) > 0 && bytes_sent(end.socket) < MUCH);
    check_broken(&end);
    dispose_end(&end);
}

TEST(peer_resets_while_a_receive_waits) {
    end_t end = connected();
    worker_t worker;
    worker_start(&worker, receive_a_byte, &end);
    worker_wait_blocked(&worker);
    peer_reset(&end.peer);
    worker_join(&worker);
    CHECK_ERR(ECONNRESET, end.error);
    CHECK_INT(0, end.length);
    check_broken(&end);
    dispose_end(&end);
}

/* What it sent before is lost with it, as the kernel throws that away. */
TEST(peer_resets_in_the_middle_of_a_message) {
    end_t end = connected();
    SYS(send(end.peer.fd, "half of", 7, 0));
    receive_a_byte(&end);
    CHECK_OK(end.error);
    peer_reset(&end.peer);
    do {
        receive_a_byte(&end);
    } while (end.error.code == 0 && end.length > 0);
    check_broken(&end);
    dispose_end(&end);
}

/* The next byte comes when the receive waits for it. */
TEST(peer_trickles_byte_by_byte) {
    end_t end = connected();
    char byte;
    for (byte = 'a'; byte <= 'z'; ++byte) {
        worker_t worker;
        worker_start(&worker, receive_a_byte, &end);
        worker_wait_blocked(&worker);
        SYS(send(end.peer.fd, &byte, 1, 0));
        worker_join(&worker);
        CHECK_OK(end.error);
        CHECK_INT(1, end.length);
        CHECK_INT(byte, end.byte);
    }
    CHECK_INT('z' - 'a' + 1, bytes_received(end.socket));
    dispose_end(&end);
}

/* A trickle is progress: the time without any begins anew with each byte. */
TEST(peer_reads_slowly_for_longer_than_a_send_may_be_stuck) {
    end_t end = connected();
    static char sink[256 * 1024];
    worker_t worker;
    size_t read_by_peer = 0;
    int64_t start = now_us();
    waits_last(MS(150));
    worker_start(&worker, send_much, &end);
    while (read_by_peer < MUCH) {
        /* Slow at first, for twice the time that a standstill may take. */
        if (now_us() - start < MS(300)) {
            wait_for(end.peer.fd, 0, 20);
        }
        read_by_peer += peer_receive(&end.peer, sink, sizeof(sink));
    }
    worker_join(&worker);
    CHECK_OK(end.error);
    CHECK_INT(MUCH, bytes_sent(end.socket));
    dispose_end(&end);
}

TEST(peer_closes_its_window_and_opens_it_again) {
    end_t end = connected();
    static char sink[256 * 1024];
    size_t read_by_peer = 0;
    size_t sent;
    waits_last(MS(150));
    send_much(&end);
    CHECK_ERR(ETIMEDOUT, end.error);
    CHECK_STATE(CONNECTED, end.socket);
    sent = (size_t) bytes_sent(end.socket);
    CHECK(sent > 0 && sent < MUCH);
    /* It was stuck, not broken: what went out arrives, and more can follow. */
    while (read_by_peer < sent) {
        read_by_peer += peer_receive(&end.peer, sink, sizeof(sink));
    }
    CHECK_INT(sent, read_by_peer);
    check_works(end.socket, &end.peer);
    dispose_end(&end);
}

TEST(peer_half_closes) {
    end_t end = connected();
    worker_t worker;
    int round;
    worker_start(&worker, receive_a_byte, &end);
    worker_wait_blocked(&worker);
    SYS(shutdown(end.peer.fd, SHUT_WR));
    worker_join(&worker);
    for (round = 0; round < 3; ++round) {
        CHECK_OK(end.error);
        CHECK_INT(0, end.length);
        /* The other half lives. */
        check_works(end.socket, &end.peer);
        receive_a_byte(&end);
    }
    CHECK_STATE(CONNECTED, end.socket);
    dispose_end(&end);
}

/* It does not want to hear any more, but still speaks. */
TEST(peer_closes_its_other_half) {
    end_t end = connected();
    SYS(shutdown(end.peer.fd, SHUT_RD));
    SYS(send(end.peer.fd, "still", 5, 0));
    expect_text(end.socket, "still");
    CHECK_STATE(CONNECTED, end.socket);
    dispose_end(&end);
}
