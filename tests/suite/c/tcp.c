/*
 * TCP: connecting, streams, short writes, ends of streams.
 */

#include "pair.h"
#include "sandbox.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
    int family;
    const char *host;
} FAMILIES[] = { { AF_INET, "127.0.0.1" }, { AF_INET6, "::1" } };

static sock_t *connected(peer_t *peer) {
    return connected_pair(ANJAY_NET_SOCKET_TYPE_TCP, peer);
}

TEST(connect_and_exchange) {
    size_t i;
    for (i = 0; i < LEN(FAMILIES); ++i) {
        peer_t listener = peer_listen(FAMILIES[i].family);
        sock_t *socket = new_tcp(NULL);
        peer_t peer;
        CHECK_OK(V(socket)->connect(socket, FAMILIES[i].host, listener.port));
        peer = peer_accept(&listener);
        send_text(socket, "ping");
        peer_expect(&peer, "ping");
        SYS(send(peer.fd, "pong", 4, 0));
        expect_text(socket, "pong");
        CHECK_STR(FAMILIES[i].host, remote_host(socket));
        CHECK_STR(listener.port, remote_port(socket));
        CHECK_INT(4, bytes_sent(socket));
        CHECK_INT(4, bytes_received(socket));
        dispose(&socket);
        peer_close(&peer);
        peer_close(&listener);
    }
}

TEST(connect_by_name) {
    peer_t listener;
    sock_t *socket = new_tcp(NULL);
    char name[32];
    sandbox_enter("127.0.0.1 localhost\n::1 localhost\n", NULL);
    listener = peer_listen(AF_INET);
    CHECK_OK(V(socket)->connect(socket, "localhost", listener.port));
    CHECK_OK(V(socket)->get_remote_hostname(socket, name, sizeof(name)));
    CHECK_STR("localhost", name);
    CHECK_STR("127.0.0.1", remote_host(socket));
    dispose(&socket);
    peer_close(&listener);
}

TEST(connect_without_host_is_refused) {
    sock_t *socket = new_tcp(NULL);
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, NULL, "5683"));
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, "", "5683"));
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, "127.0.0.1", "5683x"));
    CHECK_STATE(CLOSED, socket);
    dispose(&socket);
}

TEST(refused_connect_says_so_at_once) {
    char host[16];
    char port[8];
    int keeper = refused_endpoint(SOCK_STREAM, host, port);
    sock_t *socket = new_tcp(NULL);
    int64_t start = now_us();
    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, host, port));
    CHECK_WAITED(start, 0, PROMPT);
    CHECK_STATE(CLOSED, socket);
    dispose(&socket);
    SYS(close(keeper));
}

SLOW_TEST(connect_gives_up_on_an_address_after_ten_seconds) {
    blackhole_t hole = blackhole_open(AF_INET);
    sock_t *socket = new_tcp(NULL);
    int64_t start = now_us();
    CHECK_ERR(ETIMEDOUT,
              V(socket)->connect(socket, "127.0.0.1", hole.listener.port));
    CHECK_WAITED(start, MS(10000), MS(11000));
    CHECK_STATE(CLOSED, socket);
    dispose(&socket);
    blackhole_close(&hole);
}

/* What the peer's thread reads, slowly, until the stream ends. */
typedef struct {
    peer_t peer;
    unsigned char *data;
    size_t capacity;
    size_t length;
} reader_t;

static void read_everything(void *arg) {
    reader_t *reader = (reader_t *) arg;
    /* Small pieces, so that the writer fills the window again and again. */
    while (reader->length < reader->capacity) {
        size_t piece = reader->capacity - reader->length;
        size_t got = peer_receive(&reader->peer, reader->data + reader->length,
                                  piece < 3000 ? piece : 3000);
        if (got == 0) {
            break;
        }
        reader->length += got;
    }
}

/* The reference counts the pieces before a short write again and again. */
TEST(short_writes_are_counted_exactly) {
    enum { TOTAL = 4 * 1024 * 1024 };
    int small = 16384;
    unsigned char *data = (unsigned char *) malloc(TOTAL);
    reader_t reader;
    worker_t worker;
    sock_t *socket;
    size_t i;
    memset(&reader, 0, sizeof(reader));
    reader.capacity = TOTAL + 1;
    reader.data = (unsigned char *) malloc(reader.capacity);
    for (i = 0; i < TOTAL; ++i) {
        data[i] = (unsigned char) (i ^ (i >> 8) ^ (i >> 16));
    }
    socket = connected(&reader.peer);
    SYS(setsockopt(descriptor_of(socket), SOL_SOCKET, SO_SNDBUF, &small,
                   sizeof(small)));
    worker_start(&worker, read_everything, &reader);
    CHECK_OK(V(socket)->send(socket, data, TOTAL));
    CHECK_INT(TOTAL, bytes_sent(socket));
    CHECK_OK(V(socket)->shutdown(socket));
    worker_join(&worker);
    CHECK_INT(TOTAL, reader.length);
    CHECK_BYTES(data, reader.data, TOTAL);
    CHECK_INT(TOTAL, bytes_sent(socket));
    free(data);
    free(reader.data);
    dispose(&socket);
    peer_close(&reader.peer);
}

TEST(send_of_nothing_on_tcp_succeeds) {
    peer_t peer;
    sock_t *socket = connected(&peer);
    CHECK_OK(V(socket)->send(socket, "", 0));
    CHECK_OK(V(socket)->send(socket, NULL, 0));
    CHECK_INT(0, bytes_sent(socket));
    peer_expect_nothing(&peer);
    dispose(&socket);
    peer_close(&peer);
}

/* Fills the connection until the kernel takes no more; the peer reads
   nothing. Gives the number of bytes taken. */
static size_t fill(sock_t *socket) {
    static char zeros[65536];
    size_t total = 0;
    for (;;) {
        ssize_t sent = send(descriptor_of(socket), zeros, sizeof(zeros),
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            CHECK(errno == EAGAIN || errno == EWOULDBLOCK);
            return total;
        }
        total += (size_t) sent;
    }
}

SLOW_TEST(send_without_progress_gives_up_after_thirty_seconds) {
    peer_t peer;
    sock_t *socket = connected(&peer);
    int64_t start;
    fill(socket);
    start = now_us();
    CHECK_ERR(ETIMEDOUT, V(socket)->send(socket, "x", 1));
    CHECK_WAITED(start, MS(30000), MS(31500));
    CHECK_INT(0, bytes_sent(socket));
    CHECK_STATE(CONNECTED, socket);
    dispose(&socket);
    peer_close(&peer);
}

typedef struct {
    sock_t *socket;
    char *data;
    size_t size;
    anjay_net_error_t error;
} sender_t;

static void send_all(void *arg) {
    sender_t *sender = (sender_t *) arg;
    sender->error =
            V(sender->socket)->send(sender->socket, sender->data, sender->size);
}

TEST(partial_send_reports_the_error_and_counts_what_went_out) {
    enum { TOTAL = 64 * 1024 * 1024 };
    peer_t peer;
    sender_t sender;
    worker_t worker;
    uint64_t sent;
    sender.socket = connected(&peer);
    sender.size = TOTAL;
    sender.data = (char *) calloc(1, TOTAL);
    worker_start(&worker, send_all, &sender);
    worker_wait_blocked(&worker);
    peer_reset(&peer);
    worker_join(&worker);
    if (sender.error.code != ANJAY_NET_ERRNO_EPIPE) {
        CHECK_ERR(ECONNRESET, sender.error);
    }
    sent = bytes_sent(sender.socket);
    CHECK(sent > 0);
    CHECK(sent < TOTAL);
    free(sender.data);
    dispose(&sender.socket);
}

/* Interrupted again and again, a blocked send goes on where it was. */
TEST(signals_do_not_disturb_a_send) {
    enum { TOTAL = 16 * 1024 * 1024 };
    reader_t reader;
    sender_t sender;
    worker_t writing;
    worker_t reading;
    memset(&reader, 0, sizeof(reader));
    reader.capacity = TOTAL + 1;
    reader.data = (unsigned char *) malloc(reader.capacity);
    sender.socket = connected(&reader.peer);
    sender.size = TOTAL;
    sender.data = (char *) calloc(1, TOTAL);
    worker_start(&writing, send_all, &sender);
    worker_wait_blocked(&writing);
    worker_signal(&writing, 50);
    CHECK(!worker_finished(&writing));
    worker_start(&reading, read_everything, &reader);
    worker_signal_storm(&writing);
    worker_join(&writing);
    CHECK_OK(sender.error);
    CHECK_INT(TOTAL, bytes_sent(sender.socket));
    dispose(&sender.socket);
    worker_join(&reading);
    CHECK_INT(TOTAL, reader.length);
    free(sender.data);
    free(reader.data);
    peer_close(&reader.peer);
}

/* The harness fails the case if SIGPIPE is raised. */
TEST(send_to_a_peer_that_is_gone_is_an_error_without_a_signal) {
    peer_t peer;
    sock_t *socket = connected(&peer);
    anjay_net_error_t error;
    peer_reset(&peer);
    CHECK(wait_for(descriptor_of(socket), 0, 5000));
    error = V(socket)->send(socket, "x", 1);
    if (error.code != ANJAY_NET_ERRNO_EPIPE) {
        CHECK_ERR(ECONNRESET, error);
    }
    CHECK_ERR(EPIPE, V(socket)->send(socket, "x", 1));
    CHECK_INT(0, bytes_sent(socket));
    dispose(&socket);
}

TEST(send_after_the_peer_closed_ends_in_an_error_without_a_signal) {
    peer_t peer;
    sock_t *socket = connected(&peer);
    int round;
    anjay_net_error_t error;
    peer_close(&peer);
    for (round = 0; round < 100; ++round) {
        error = V(socket)->send(socket, "x", 1);
        if (error.code != 0) {
            break;
        }
    }
    if (error.code != ANJAY_NET_ERRNO_ECONNRESET) {
        CHECK_ERR(EPIPE, error);
    }
    dispose(&socket);
}

TEST(end_of_stream_is_a_success_of_length_zero) {
    peer_t peer;
    sock_t *socket = connected(&peer);
    char buffer[16];
    size_t length = 99;
    int round;
    SYS(send(peer.fd, "last", 4, 0));
    SYS(shutdown(peer.fd, SHUT_WR));
    expect_text(socket, "last");
    for (round = 0; round < 3; ++round) {
        length = 99;
        CHECK_OK(V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
        CHECK_INT(0, length);
    }
    /* The other direction is still open. */
    send_text(socket, "reply");
    peer_expect(&peer, "reply");
    dispose(&socket);
    peer_close(&peer);
}

/* The reference says it once, then pretends a clean end of stream. */
TEST(reset_is_reported_by_every_receive_until_close) {
    peer_t listener = peer_listen(AF_INET);
    peer_t peer;
    sock_t *socket = connected(&peer);
    char buffer[16];
    size_t length;
    int round;
    peer_reset(&peer);
    for (round = 0; round < 4; ++round) {
        length = 99;
        CHECK_ERR(ECONNRESET,
                  V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
        CHECK_INT(0, length);
    }
    CHECK_OK(V(socket)->close(socket));
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", listener.port));
    peer = peer_accept(&listener);
    SYS(send(peer.fd, "fresh", 5, 0));
    expect_text(socket, "fresh");
    dispose(&socket);
    peer_close(&peer);
    peer_close(&listener);
}

TEST(reset_seen_by_send_is_reported_by_receive_as_well) {
    peer_t peer;
    sock_t *socket = connected(&peer);
    char buffer[16];
    size_t length;
    peer_reset(&peer);
    CHECK(wait_for(descriptor_of(socket), 0, 5000));
    CHECK(V(socket)->send(socket, "x", 1).code != 0);
    CHECK_ERR(ECONNRESET,
              V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
    CHECK_ERR(ECONNRESET,
              V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
    dispose(&socket);
}

TEST(send_to_on_tcp_ignores_the_address) {
    peer_t peer;
    sock_t *socket = connected(&peer);
    CHECK_OK(V(socket)->send_to(socket, "one", 3, "127.0.0.1", "9"));
    peer_expect(&peer, "one");
    CHECK_OK(V(socket)->send_to(socket, "two", 3, "no such host!", "no port"));
    peer_expect(&peer, "two");
    CHECK_OK(V(socket)->send_to(socket, "three", 5, NULL, NULL));
    peer_expect(&peer, "three");
    CHECK_INT(11, bytes_sent(socket));
    dispose(&socket);
    peer_close(&peer);
}

TEST(send_to_on_tcp_loops_like_send) {
    enum { TOTAL = 2 * 1024 * 1024 };
    int small = 4096;
    reader_t reader;
    worker_t worker;
    sock_t *socket;
    char *data = (char *) calloc(1, TOTAL);
    memset(&reader, 0, sizeof(reader));
    reader.capacity = TOTAL + 1;
    reader.data = (unsigned char *) malloc(reader.capacity);
    socket = connected(&reader.peer);
    SYS(setsockopt(descriptor_of(socket), SOL_SOCKET, SO_SNDBUF, &small,
                   sizeof(small)));
    worker_start(&worker, read_everything, &reader);
    CHECK_OK(V(socket)->send_to(socket, data, TOTAL, NULL, NULL));
    CHECK_INT(TOTAL, bytes_sent(socket));
    dispose(&socket);
    worker_join(&worker);
    CHECK_INT(TOTAL, reader.length);
    free(data);
    free(reader.data);
    peer_close(&reader.peer);
}

/* The reference fails here. */
TEST(receive_from_on_tcp_names_the_peer) {
    size_t i;
    for (i = 0; i < LEN(FAMILIES); ++i) {
        peer_t listener = peer_listen(FAMILIES[i].family);
        sock_t *socket = new_tcp(NULL);
        peer_t peer;
        char buffer[16];
        char host[64];
        char port[16];
        size_t length;
        CHECK_OK(V(socket)->connect(socket, FAMILIES[i].host, listener.port));
        peer = peer_accept(&listener);
        SYS(send(peer.fd, "data", 4, 0));
        CHECK_OK(V(socket)->receive_from(socket, &length, buffer,
                                         sizeof(buffer), host, sizeof(host),
                                         port, sizeof(port)));
        CHECK_INT(4, length);
        CHECK_BYTES("data", buffer, 4);
        CHECK_STR(FAMILIES[i].host, host);
        CHECK_STR(listener.port, port);
        CHECK_INT(4, bytes_received(socket));
        dispose(&socket);
        peer_close(&peer);
        peer_close(&listener);
    }
}

TEST(shutdown_keeps_ports_and_delivers_what_arrived) {
    peer_t peer;
    sock_t *socket = connected(&peer);
    const char *own = local_port(socket);
    const char *other = remote_port(socket);
    char buffer[16];
    size_t length = 99;
    SYS(send(peer.fd, "early", 5, 0));
    CHECK(wait_for(descriptor_of(socket), POLLIN, 5000));
    CHECK_OK(V(socket)->shutdown(socket));
    CHECK_STATE(SHUTDOWN, socket);
    CHECK_STR(own, local_port(socket));
    CHECK_STR(other, remote_port(socket));
    CHECK_STR("127.0.0.1", remote_host(socket));
    expect_text(socket, "early");
    CHECK_OK(V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
    CHECK_INT(0, length);
    dispose(&socket);
    peer_close(&peer);
}

TEST(receive_takes_what_is_there) {
    peer_t peer;
    sock_t *socket = connected(&peer);
    char buffer[4];
    size_t length;
    SYS(send(peer.fd, "0123456789", 10, 0));
    CHECK_OK(V(socket)->receive(socket, &length, buffer, 4));
    CHECK_INT(4, length);
    CHECK_BYTES("0123", buffer, 4);
    CHECK_OK(V(socket)->receive(socket, &length, buffer, 4));
    CHECK_BYTES("4567", buffer, 4);
    CHECK_OK(V(socket)->receive(socket, &length, buffer, 4));
    CHECK_INT(2, length);
    CHECK_BYTES("89", buffer, 2);
    CHECK_INT(10, bytes_received(socket));
    dispose(&socket);
    peer_close(&peer);
}
