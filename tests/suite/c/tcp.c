/*
 * TCP: connecting, streams, short writes, ends of streams.
 */

#include "fixture.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

TEST_EACH_FAMILY(connect_and_exchange) {
    peer_t peer;
    sock_t *socket = connected_pair_of(TCP, family, NULL, &peer);
    check_exchange(socket, &peer);
    CHECK_REMOTE(peer.host, peer.port, socket);
    CHECK_INT(4, bytes_sent(socket));
    CHECK_INT(4, bytes_received(socket));
}

TEST(connect_by_name) {
    sandbox_enter("127.0.0.1 localhost\n::1 localhost\n", NULL);
    peer_t listener = peer_listen(AF_INET);
    sock_t *socket = new_tcp(NULL);
    CHECK_OK(V(socket)->connect(socket, "localhost", listener.port));
    CHECK_STR("localhost", remote_hostname(socket));
    CHECK_STR("127.0.0.1", remote_host(socket));
}

TEST(connect_without_host_is_refused) {
    sock_t *socket = new_tcp(NULL);
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, NULL, "5683"));
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, "", "5683"));
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, "127.0.0.1", "5683x"));
    CHECK_STATE(CLOSED, socket);
}

TEST(refused_connect_says_so_at_once) {
    refused_t nobody = refused(SOCK_STREAM);
    sock_t *socket = new_tcp(NULL);
    int64_t start = now_us();
    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, nobody.host, nobody.port));
    CHECK_WAITED(start, 0, PROMPT);
    CHECK_STATE(CLOSED, socket);
}

SLOW_TEST(connect_gives_up_on_an_address_after_ten_seconds) {
    blackhole_t hole = blackhole_open(AF_INET);
    sock_t *socket = new_tcp(NULL);
    int64_t start = now_us();
    CHECK_ERR(ETIMEDOUT, V(socket)->connect(socket, "127.0.0.1", hole.listener.port));
    CHECK_WAITED(start, MS(10000), MS(11000));
    CHECK_STATE(CLOSED, socket);
}

/* What the peer's thread reads, slowly, until the stream ends. */
typedef struct {
    worker_t worker;
    peer_t peer;
    unsigned char *data;
    size_t capacity;
    size_t length;
} reader_t;

static void read_everything(void *arg) {
    reader_t *reader = (reader_t *) arg;
    size_t got = 1;
    /* Small pieces, so that the writer fills the window again and again. */
    while (reader->length < reader->capacity && got > 0) {
        size_t piece = reader->capacity - reader->length;
        got = peer_receive(
                &reader->peer, reader->data + reader->length, piece < 3000 ? piece : 3000);
        reader->length += got;
    }
}

/* Of a stream of so many bytes, and no more. */
static void reader_start(reader_t *reader, size_t total) {
    reader->capacity = total + 1;
    reader->data = (unsigned char *) malloc(reader->capacity);
    defer(free, reader->data);
    worker_start(&reader->worker, read_everything, reader);
}

/* The reference counts the pieces before a short write again and again. */
TEST(short_writes_are_counted_exactly) {
    enum { TOTAL = 4 * 1024 * 1024 };
    static unsigned char data[TOTAL];
    reader_t reader = { .length = 0 };
    for (size_t i = 0; i < TOTAL; ++i) {
        data[i] = (unsigned char) (i ^ (i >> 8) ^ (i >> 16));
    }
    sock_t *socket = connected_pair(TCP, &reader.peer);
    set_int_option(descriptor_of(socket), SOL_SOCKET, SO_SNDBUF, 16384);
    reader_start(&reader, TOTAL);
    CHECK_OK(V(socket)->send(socket, data, TOTAL));
    CHECK_INT(TOTAL, bytes_sent(socket));
    CHECK_OK(V(socket)->shutdown(socket));
    worker_join(&reader.worker);
    CHECK_INT(TOTAL, reader.length);
    CHECK_BYTES(data, reader.data, TOTAL);
    CHECK_INT(TOTAL, bytes_sent(socket));
}

TEST(send_of_nothing_on_tcp_succeeds) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    CHECK_OK(V(socket)->send(socket, "", 0));
    CHECK_OK(V(socket)->send(socket, NULL, 0));
    CHECK_INT(0, bytes_sent(socket));
    peer_expect_nothing(&peer);
}

/* Fills the connection until the kernel takes no more; the peer reads
   nothing. */
static void fill(sock_t *socket) {
    static char zeros[65536];
    while (send(descriptor_of(socket), zeros, sizeof(zeros), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
    }
    CHECK(errno == EAGAIN || errno == EWOULDBLOCK);
}

SLOW_TEST(send_without_progress_gives_up_after_thirty_seconds) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    fill(socket);
    int64_t start = now_us();
    CHECK_ERR(ETIMEDOUT, V(socket)->send(socket, "x", 1));
    CHECK_WAITED(start, MS(30000), MS(31500));
    CHECK_INT(0, bytes_sent(socket));
    CHECK_STATE(CONNECTED, socket);
}

TEST(partial_send_reports_the_error_and_counts_what_went_out) {
    peer_t peer;
    call_t call = call_on(connected_pair(TCP, &peer), do_send);
    call.size = 64 * 1024 * 1024;
    call_start_waiting(&call);
    peer_reset(&peer);
    worker_join(&call.worker);
    CHECK_EITHER(EPIPE, ECONNRESET, call.error);
    uint64_t sent = bytes_sent(call.socket);
    CHECK(sent > 0);
    CHECK(sent < call.size);
}

/* Interrupted again and again, a blocked send goes on where it was. */
TEST(signals_do_not_disturb_a_send) {
    enum { TOTAL = 16 * 1024 * 1024 };
    reader_t reader = { .length = 0 };
    call_t call = call_on(connected_pair(TCP, &reader.peer), do_send);
    call.size = TOTAL;
    call_start_waiting(&call);
    worker_signal(&call.worker, 50);
    CHECK(!worker_finished(&call.worker));
    reader_start(&reader, TOTAL);
    worker_signal_storm(&call.worker);
    worker_join(&call.worker);
    CHECK_OK(call.error);
    CHECK_INT(TOTAL, bytes_sent(call.socket));
    dispose(&call.socket);
    worker_join(&reader.worker);
    CHECK_INT(TOTAL, reader.length);
}

/* The harness fails the case if SIGPIPE is raised. */
TEST(send_to_a_peer_that_is_gone_is_an_error_without_a_signal) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    peer_reset(&peer);
    CHECK(wait_for(descriptor_of(socket), 0, 5000));
    CHECK_EITHER(EPIPE, ECONNRESET, V(socket)->send(socket, "x", 1));
    CHECK_ERR(EPIPE, V(socket)->send(socket, "x", 1));
    CHECK_INT(0, bytes_sent(socket));
}

TEST(send_after_the_peer_closed_ends_in_an_error_without_a_signal) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    anjay_net_error_t error = { 0, 0 };
    peer_close(&peer);
    for (int round = 0; round < 100 && error.code == 0; ++round) {
        error = V(socket)->send(socket, "x", 1);
    }
    CHECK_EITHER(EPIPE, ECONNRESET, error);
}

TEST(end_of_stream_is_a_success_of_length_zero) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    peer_say(&peer, socket, "last");
    SYS(shutdown(peer.fd, SHUT_WR));
    expect_text(socket, "last");
    for (int round = 0; round < 3; ++round) {
        CHECK_RECEIVE(NO_ERROR, "", socket, 16);
    }
    /* The other direction is still open. */
    check_works(socket, &peer);
}

/* The reference says it once, then pretends a clean end of stream. */
TEST(reset_is_reported_by_every_receive_until_close) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    peer_reset(&peer);
    for (int round = 0; round < 4; ++round) {
        CHECK_RECEIVE(ECONNRESET, "", socket, 16);
    }
    CHECK_OK(V(socket)->close(socket));
    peer = connect_to_peer(socket, TCP, AF_INET);
    check_exchange(socket, &peer);
}

TEST(reset_seen_by_send_is_reported_by_receive_as_well) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    peer_reset(&peer);
    CHECK(wait_for(descriptor_of(socket), 0, 5000));
    CHECK(V(socket)->send(socket, "x", 1).code != 0);
    CHECK_RECEIVE(ECONNRESET, "", socket, 16);
    CHECK_RECEIVE(ECONNRESET, "", socket, 16);
}

TEST(send_to_on_tcp_ignores_the_address) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    CHECK_OK(V(socket)->send_to(socket, "one", 3, "127.0.0.1", "9"));
    peer_expect(&peer, "one");
    CHECK_OK(V(socket)->send_to(socket, "two", 3, "no such host!", "no port"));
    peer_expect(&peer, "two");
    CHECK_OK(V(socket)->send_to(socket, "three", 5, NULL, NULL));
    peer_expect(&peer, "three");
    CHECK_INT(11, bytes_sent(socket));
}

TEST(send_to_on_tcp_loops_like_send) {
    enum { TOTAL = 2 * 1024 * 1024 };
    static char data[TOTAL];
    reader_t reader = { .length = 0 };
    sock_t *socket = connected_pair(TCP, &reader.peer);
    set_int_option(descriptor_of(socket), SOL_SOCKET, SO_SNDBUF, 4096);
    reader_start(&reader, TOTAL);
    CHECK_OK(V(socket)->send_to(socket, data, TOTAL, NULL, NULL));
    CHECK_INT(TOTAL, bytes_sent(socket));
    dispose(&socket);
    worker_join(&reader.worker);
    CHECK_INT(TOTAL, reader.length);
}

/* The reference fails here. */
TEST_EACH_FAMILY(receive_from_on_tcp_names_the_peer) {
    peer_t peer;
    sock_t *socket = connected_pair_of(TCP, family, NULL, &peer);
    peer_say(&peer, socket, "data");
    CHECK_RECEIVE_FROM(NO_ERROR, "data", &peer, socket, 16);
    CHECK_INT(4, bytes_received(socket));
}

TEST(shutdown_keeps_ports_and_delivers_what_arrived) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    const char *own = local_port(socket);
    peer_say(&peer, socket, "early");
    CHECK(wait_for(descriptor_of(socket), POLLIN, 5000));
    CHECK_OK(V(socket)->shutdown(socket));
    CHECK_STATE(SHUTDOWN, socket);
    CHECK_STR(own, local_port(socket));
    CHECK_REMOTE("127.0.0.1", peer.port, socket);
    expect_text(socket, "early");
    CHECK_RECEIVE(NO_ERROR, "", socket, 16);
}

TEST(receive_takes_what_is_there) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    peer_say(&peer, socket, "0123456789");
    CHECK_RECEIVE(NO_ERROR, "0123", socket, 4);
    CHECK_RECEIVE(NO_ERROR, "4567", socket, 4);
    CHECK_RECEIVE(NO_ERROR, "89", socket, 4);
    CHECK_INT(10, bytes_received(socket));
}
