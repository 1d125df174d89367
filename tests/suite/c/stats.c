/*
 * Statistics: of the process, of one socket, as text and as a file.
 */

/* Else readdir can't tell the offsets of some file systems on 32 bits. */
#define _FILE_OFFSET_BITS 64

#include "anjay_net.h"
#include "fixture.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The packets of a stream are asked of the kernel when the totals are. */
TEST(packets_of_open_streams_are_in_the_totals) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    uint64_t before = process_stats().ip_bytes_sent;

    send_text(socket, "a text");
    /* A header of IPv4 and one of TCP. */
    CHECK(process_stats().ip_bytes_sent >= before + strlen("a text") + 20 + 20);
}

TEST(traffic_of_a_socket_and_of_the_process) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    sock_t *idle = new_udp(NULL);
    anjay_net_socket_stats_t own;
    anjay_net_stats_t all;

    CHECK_OK(V(socket)->connect(socket, peer.host, peer.port));
    send_text(socket, "one");
    send_text(socket, "three");
    peer_send_to(&peer, local_port(socket), "four", 4);
    expect_text(socket, "four");
    peer_send_to(&peer, local_port(socket), "twelve bytes", 12);
    CHECK_RECEIVE(EMSGSIZE, "twel", socket, 4);
    set_timeout_us(socket, MS(1));
    CHECK_RECEIVE(ETIMEDOUT, "", socket, 4);

    own = stats_of(socket);
    CHECK_INT(8, own.bytes_sent);
    CHECK_INT(2, own.datagrams_sent);
    CHECK_INT(8, own.bytes_received);
    CHECK_INT(2, own.datagrams_received);
    CHECK_INT(1, own.truncated);
    CHECK_INT(1, own.timeouts);
    CHECK_INT(1, own.connections);
    CHECK_INT(0, own.connect_failures);
    CHECK_INT(0, own.last_connect_us);
    CHECK_INT(0, stats_of(idle).bytes_sent);
    CHECK(stats_of(idle).id != own.id);

    all = process_stats();
    CHECK_INT(8, all.bytes_sent);
    CHECK_INT(2, all.datagrams_received);
    CHECK_INT(1, all.connects_succeeded);
    CHECK_INT(2, all.sockets);
    CHECK_INT(2, all.sockets_max);

    /* What a socket did is not forgotten with it. */
    dispose(&idle);
    dispose(&socket);
    all = process_stats();
    CHECK_INT(8, all.bytes_sent);
    CHECK_INT(1, all.truncated);
    CHECK_INT(0, all.sockets);
    CHECK_INT(2, all.sockets_max);
    CHECK_INT(2, all.sockets_created);
}

TEST(connects_by_outcome_and_time) {
    refused_t nobody = refused(SOCK_STREAM);
    config_t config = ipv4_config();
    sock_t *socket = new_tcp(&config);
    peer_t listener = peer_listen(AF_INET);
    anjay_net_stats_t all;
    uint64_t timed = 0;
    size_t i;

    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, nobody.host, nobody.port));
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->connect(socket, "no host", "1"));
    /* A name: this one waits. */
    CHECK_OK(V(socket)->connect(socket, "localhost", listener.port));
    all = process_stats();
    CHECK_INT(1, all.connects_refused);
    CHECK_INT(1, all.connects_unresolved);
    CHECK_INT(1, all.connects_succeeded);
    CHECK_INT(0, all.connects_failed);
    for (i = 0; i < LEN(all.connect_duration.buckets); ++i) {
        timed += all.connect_duration.buckets[i];
    }
    CHECK(timed >= 1);
    CHECK(all.connect_duration.sum_us > 0);
    CHECK_INT(2, stats_of(socket).connect_failures);
    CHECK_INT(1, stats_of(socket).connections);
    CHECK(stats_of(socket).last_connect_us > 0);
}

TEST(lookups_by_outcome_and_time) {
    config_t config = ipv4_config();
    sock_t *socket = new_udp(&config);
    anjay_net_stats_t all;
    uint64_t timed = 0;
    size_t i;

    CHECK_OK(V(socket)->connect(socket, "localhost", "5683"));
    CHECK_INT(1, stats_of(socket).lookups_found);
    CHECK_INT(0, stats_of(socket).lookup_failures);
    all = process_stats();
    CHECK_INT(1, all.lookups_found);
    CHECK_INT(0, all.lookups_not_found);
    for (i = 0; i < LEN(all.lookup_duration.buckets); ++i) {
        timed += all.lookup_duration.buckets[i];
    }
    CHECK_INT(1, timed);
}

static void send_many(void *arg) {
    sock_t *socket = (sock_t *) arg;
    int i;
    for (i = 0; i < 3000; ++i) {
        anjay_net_error_t error = V(socket)->send(socket, "0123456789", 10);
        /* The peer reads nothing; loopback may run out of room. */
        CHECK(error.code == 0 || error.code == ANJAY_NET_ERRNO_ENOBUFS);
    }
}

SLOW_TEST(snapshots_fit_together_while_others_send) {
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    worker_t workers[2];
    uint64_t last = 0;
    size_t i;

    for (i = 0; i < LEN(workers); ++i) {
        worker_start(&workers[i], send_many, socket);
    }
    do {
        anjay_net_socket_stats_t own = stats_of(socket);
        anjay_net_stats_t all = process_stats();
        CHECK(own.bytes_sent >= 10 * own.datagrams_sent);
        CHECK(all.bytes_sent >= 10 * all.datagrams_sent);
        CHECK(own.datagrams_sent >= last);
        last = own.datagrams_sent;
    } while (!worker_finished(&workers[0]) || !worker_finished(&workers[1]));
    for (i = 0; i < LEN(workers); ++i) {
        worker_join(&workers[i]);
    }
    CHECK_INT(stats_of(socket).bytes_sent, 10 * stats_of(socket).datagrams_sent);
}

TEST(structs_of_other_sizes) {
    struct {
        anjay_net_stats_t stats;
        char newer[64];
    } longer;
    anjay_net_stats_t shorter;
    new_udp(NULL);

    memset(&longer, 0xff, sizeof(longer));
    longer.stats.size = sizeof(longer);
    CHECK_INT(0, anjay_net_get_stats(&longer.stats));
    CHECK_INT(1, longer.stats.sockets);
    CHECK_INT(0, longer.newer[0]);
    CHECK_INT(0, longer.newer[63]);

    memset(&shorter, 0xff, sizeof(shorter));
    shorter.size = offsetof(anjay_net_stats_t, sockets_max);
    CHECK_INT(0, anjay_net_get_stats(&shorter));
    CHECK_INT(1, shorter.sockets);
    CHECK(shorter.sockets_max == UINT64_MAX);

    shorter.size = sizeof(size_t) - 1;
    CHECK_INT(-1, anjay_net_get_stats(&shorter));
}

TEST(statistics_of_nothing) {
    anjay_net_socket_stats_t stats;
    sock_t *socket = new_tcp(NULL);
    sock_t foreign = { NULL };
    stats.size = sizeof(stats);
    CHECK_INT(-1, anjay_net_get_stats(NULL));
    CHECK_INT(-1, anjay_net_socket_get_stats(NULL, &stats));
    CHECK_INT(-1, anjay_net_socket_get_stats(&foreign, &stats));
    CHECK_INT(-1, anjay_net_socket_get_stats(socket, NULL));
    CHECK_INT(EINVAL, anjay_net_stats_write(NULL));
    CHECK(anjay_net_stats_text(NULL, 0) > 0);
}

/* A socket around another one, as those of (D)TLS and debugging are. */
typedef struct {
    sock_t socket;
    sock_t *backend;
} wrapper_t;

static const void *descriptor_of_backend(sock_t *socket) {
    sock_t *backend = ((wrapper_t *) socket)->backend;
    return backend ? V(backend)->get_system_socket(backend) : NULL;
}

TEST_EACH_TYPE(a_wrapper_has_the_statistics_of_the_socket_inside) {
    anjay_net_socket_v_table_t table;
    wrapper_t wrapper, outer;
    anjay_net_socket_stats_t stats;
    peer_t peer;
    sock_t *before = new_udp(NULL);
    sock_t *socket = connected_pair(type, &peer);
    sock_t *other = bound_udp("127.0.0.1", NULL);
    table = *V(socket);
    table.get_system_socket = descriptor_of_backend;
    wrapper.socket.operations = &table;
    wrapper.backend = socket;
    outer.socket.operations = &table;
    outer.backend = &wrapper.socket;

    /* The socket that was made last takes the place of the first. */
    dispose(&before);
    send_text(socket, "hello");
    CHECK_INT(5, stats_of(socket).bytes_sent);
    stats = stats_of(&outer.socket);
    CHECK_INT(5, stats.bytes_sent);
    CHECK_INT(stats_of(socket).id, stats.id);
    wrapper.backend = other;
    CHECK_INT(stats_of(other).id, stats_of(&outer.socket).id);
    wrapper.backend = socket;

    /* No descriptor, no statistics. */
    CHECK_OK(V(socket)->close(socket));
    CHECK_INT(-1, anjay_net_socket_get_stats(&outer.socket, &stats));
    wrapper.backend = NULL;
    CHECK_INT(-1, anjay_net_socket_get_stats(&outer.socket, &stats));
}

static const void *descriptor_of_another(sock_t *socket) {
    static const int STANDARD_INPUT = 0;
    (void) socket;
    return &STANDARD_INPUT;
}

TEST(a_descriptor_of_another_library_has_no_statistics) {
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    anjay_net_socket_v_table_t table = *V(socket);
    sock_t foreign;
    anjay_net_socket_stats_t stats;
    foreign.operations = &table;
    table.get_system_socket = descriptor_of_another;
    stats.size = sizeof(stats);
    CHECK_INT(-1, anjay_net_socket_get_stats(&foreign, &stats));
}

TEST(text_is_cut_to_the_buffer) {
    char text[16384], start[16];
    size_t size = anjay_net_stats_text(text, sizeof(text));
    CHECK(size < sizeof(text));
    CHECK_INT(size, strlen(text));
    CHECK(strstr(text, "\nanjay_net_sockets 0\n") != NULL);
    CHECK(text[size - 1] == '\n');
    memset(start, 0x55, sizeof(start));
    CHECK_INT(size, anjay_net_stats_text(start, 8));
    CHECK_INT(7, strlen(start));
    CHECK_BYTES(text, start, 7);
    CHECK_INT(0x55, start[8]);
}

static int count_files(const char *directory) {
    DIR *open = opendir(directory);
    int count = 0;
    CHECK(open != NULL);
    while (readdir(open)) {
        ++count;
    }
    closedir(open);
    return count - 2; /* . and .. */
}

TEST(file_is_replaced_as_a_whole) {
    char directory[] = "/tmp/anjay-net-XXXXXX", path[64], text[16384];
    struct stat first, second;
    FILE *file;
    size_t size;

    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof(path), "%s/client.prom", directory);
    CHECK_INT(0, anjay_net_stats_write(path));
    SYS(stat(path, &first));
    /* Whoever has the first open goes on reading that. */
    file = fopen(path, "r");
    CHECK(file != NULL);
    CHECK_INT(0, anjay_net_stats_write(path));
    SYS(stat(path, &second));
    CHECK(first.st_ino != second.st_ino);
    size = fread(text, 1, sizeof(text), file);
    CHECK_INT(first.st_size, size);
    fclose(file);
    CHECK_INT(1, count_files(directory));

    CHECK_INT(EISDIR, anjay_net_stats_write(directory));
    CHECK_INT(ENOENT, anjay_net_stats_write("/nowhere/client.prom"));
    /* It would become a file. */
    CHECK_INT(EINVAL, anjay_net_stats_write("/dev/null"));
    SYS(unlink(path));
    /* Nothing is followed, and nothing is waited for. */
    SYS(symlink("/nowhere", path));
    CHECK_INT(ELOOP, anjay_net_stats_write(path));
    SYS(unlink(path));
    SYS(mkfifo(path, 0600));
    CHECK_INT(EINVAL, anjay_net_stats_write(path));
    SYS(unlink(path));
    CHECK_INT(0, count_files(directory));
    SYS(rmdir(directory));
}
