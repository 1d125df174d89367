/*
 * Packet captures: start and stop, limits, and disks that are full. What is in
 * the files is looked at in tests/watch.
 */

#include "anjay_net.h"
#include "fixture.h"
#include "settings.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where a case captures to. */
static struct {
    char directory[32];
    char path[64];
    char before[64];
} place;

static void remove_place(void *unused) {
    (void) unused;
    unlink(place.path);
    unlink(place.before);
    SYS(rmdir(place.directory));
}

/* It is there until the case ends. */
static void make_place(void) {
    strcpy(place.directory, "/tmp/anjay-net-XXXXXX");
    CHECK(mkdtemp(place.directory) != NULL);
    snprintf(place.path, sizeof(place.path), "%s/capture", place.directory);
    snprintf(place.before, sizeof(place.before), "%s/capture.1", place.directory);
    defer(remove_place, NULL);
}

static long size_of_file(const char *path) {
    struct stat stat_buf;
    SYS(stat(path, &stat_buf));
    return (long) stat_buf.st_size;
}

static int mode_of(const char *path) {
    struct stat stat_buf;
    SYS(stat(path, &stat_buf));
    return stat_buf.st_mode & 0777;
}

/* Whether the file holds the text. */
static bool holds(const char *path, const char *text) {
    static char bytes[1 << 20];
    FILE *file = fopen(path, "rb");
    size_t size;
    CHECK(file != NULL);
    size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    return memmem(bytes, size, text, strlen(text)) != NULL;
}

typedef struct {
    int packets;
    int fins; /* TCP segments that end a stream */
} contents_t;

/* The numbers of a file are little-endian. */
static uint16_t u16_at(const uint8_t *bytes) {
    return (uint16_t) (bytes[0] | bytes[1] << 8);
}

static uint32_t u32_at(const uint8_t *bytes) {
    return u16_at(bytes) | (uint32_t) u16_at(bytes + 2) << 16;
}

/* Options up to the end of a block: draft-ietf-opsawg-pcapng section 3.5. */
static void check_options(const uint8_t *at, const uint8_t *end) {
    while (at < end) {
        uint16_t code, length;
        CHECK(end - at >= 4);
        code = u16_at(at);
        length = u16_at(at + 2);
        at += 4 + ((length + 3) & ~3);
        CHECK(at <= end && (code != 0 || at == end));
    }
}

/* What is in the file, which must be readable from end to end. */
static contents_t contents_of(const char *path) {
    static uint8_t bytes[1 << 20];
    contents_t contents = { 0, 0 };
    FILE *file = fopen(path, "rb");
    size_t size, at;
    CHECK(file != NULL);
    size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    for (at = 0; at < size;) {
        uint32_t type, length, captured;
        CHECK(size - at >= 12);
        type = u32_at(&bytes[at]);
        length = u32_at(&bytes[at + 4]);
        CHECK(length >= 12 && length % 4 == 0 && length <= size - at);
        CHECK_BYTES(&bytes[at + 4], &bytes[at + length - 4], 4);
        if (type == 6) {
            const uint8_t *packet = &bytes[at + 28];
            bool is_tcp = packet[0] == 0x45 && packet[9] == IPPROTO_TCP;
            captured = u32_at(&bytes[at + 20]);
            CHECK(captured <= length - 32);
            check_options(packet + ((captured + 3) & ~3U), &bytes[at + length - 4]);
            ++contents.packets;
            contents.fins += is_tcp && captured >= 40 && (packet[20 + 13] & 1);
        }
        at += length;
    }
    return contents;
}

static anjay_net_capture_limits_t limits_of(uint64_t max_bytes, uint32_t snaplen) {
    anjay_net_capture_limits_t limits;
    memset(&limits, 0, sizeof(limits));
    limits.size = sizeof(limits);
    limits.max_bytes = max_bytes;
    limits.snaplen = snaplen;
    return limits;
}

TEST(sockets_that_are_open_already_are_captured) {
    make_place();
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);

    CHECK_OK(V(socket)->connect(socket, peer.host, peer.port));
    send_text(socket, "before the start");
    CHECK_INT(0, anjay_net_capture_start(place.path, NULL));
    send_text(socket, "after the start");
    peer_send_to(&peer, local_port(socket), "an answer", 9);
    expect_text(socket, "an answer");
    CHECK_OK(V(socket)->close(socket));
    CHECK_INT(0, anjay_net_capture_stop());
    CHECK(!holds(place.path, "before the start"));
    CHECK(holds(place.path, "after the start"));
    CHECK(holds(place.path, "an answer"));
    CHECK(holds(place.path, "UDP closed, local 127.0.0.1:"));

    /* And nothing any more after the end. */
    CHECK_OK(V(socket)->connect(socket, peer.host, peer.port));
    send_text(socket, "after the end");
    CHECK(!holds(place.path, "after the end"));
}

TEST(failures_and_cut_datagrams_are_told) {
    make_place();
    static const char too_long[1 << 16];
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);

    CHECK_INT(0, anjay_net_capture_start(place.path, NULL));
    CHECK_ERR(EBADF, V(socket)->shutdown(socket));
    CHECK_ERR(EADDRNOTAVAIL, V(socket)->bind(socket, "192.0.2.1", "0"));
    CHECK_OK(V(socket)->connect(socket, peer.host, peer.port));
    peer_send_to(&peer, local_port(socket), "an answer", 9);
    CHECK_RECEIVE(EMSGSIZE, "an a", socket, 4);
    send_text(socket, "thanks");
    CHECK_ERR(EMSGSIZE, V(socket)->send(socket, too_long, sizeof(too_long)));
    dispose(&socket);
    CHECK_INT(0, anjay_net_capture_stop());
    /* shutdown, bind, connect, receive, two sends and close: one for each. */
    CHECK_INT(7, contents_of(place.path).packets);
    CHECK(holds(place.path, "UDP shutdown failed"));
    CHECK(holds(place.path, "UDP bind failed"));
    CHECK(holds(place.path, "truncated to the buffer of the caller"));
}

TEST(what_a_stream_took_before_it_broke_is_captured) {
    make_place();
    static const char data[1 << 19] = "taken";
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    anjay_net_settings_t settings = settings_in_force();
    settings.send_timeout_ms = 50;
    configure(&settings);
    set_int_option(descriptor_of(socket), SOL_SOCKET, SO_SNDBUF, 4096);

    CHECK_INT(0, anjay_net_capture_start(place.path, NULL));
    CHECK_ERR(ETIMEDOUT, V(socket)->send(socket, data, sizeof(data)));
    CHECK_INT(0, anjay_net_capture_stop());
    CHECK(holds(place.path, data));
}

TEST(methods_do_the_same_while_captured) {
    make_place();
    sock_t *server, *client = new_tcp(NULL), *accepted = new_tcp(NULL);
    sock_t *nobody = NULL;
    const void *foreign[2] = { NULL, NULL };
    char buffer[8], host[64], port[8];
    size_t size;
    foreign[0] = foreign;

    CHECK_INT(0, anjay_net_capture_start(place.path, NULL));
    server = listening_tcp("127.0.0.1", NULL);
    CHECK_OK(V(client)->connect(client, "127.0.0.1", local_port(server)));
    CHECK_OK(V(server)->accept(server, accepted));
    send_text(client, "to the server");
    expect_text(accepted, "to the server");
    CHECK_OK(V(accepted)->send_to(accepted, "back", 4, "192.0.2.1", "1"));
    CHECK_OK(V(client)->receive_from(client, &size, buffer, sizeof(buffer), host,
                                     sizeof(host), port, sizeof(port)));
    CHECK_INT(4, size);
    CHECK_STR("127.0.0.1", host);
    CHECK_OK(V(client)->shutdown(client));
    CHECK_OK(V(accepted)->receive(accepted, &size, buffer, sizeof(buffer)));
    CHECK_INT(0, size);

    CHECK_ERR(EINVAL, V(client)->send(nobody, "x", 1));
    CHECK_ERR(EINVAL, V(client)->send((sock_t *) foreign, "x", 1));
    CHECK_ERR(EFAULT, V(client)->send(client, NULL, 1));
    CHECK_ERR(EINVAL, V(client)->receive(client, NULL, buffer, sizeof(buffer)));
    CHECK_ERR(EINVAL, V(client)->receive_from(client, &size, buffer, sizeof(buffer),
                                              NULL, 0, port, sizeof(port)));
    CHECK_ERR(EINVAL, V(client)->accept(server, nobody));
    CHECK_ERR(EINVAL, V(client)->cleanup((sock_t **) (void *) foreign));
    dispose(&client);
    dispose(&accepted);
    dispose(&server);
    CHECK_INT(0, anjay_net_capture_stop());
}

TEST(empty_buffer_is_not_the_end_of_a_stream) {
    make_place();
    sock_t *client = new_tcp(NULL);
    peer_t listener = peer_listen(AF_INET), peer;

    CHECK_OK(V(client)->connect(client, listener.host, listener.port));
    peer = peer_accept(&listener);
    CHECK_INT(0, anjay_net_capture_start(place.path, NULL));
    SYS(send(peer.fd, "data", 4, 0));
    CHECK_RECEIVE(NO_ERROR, "", client, 0);
    CHECK_RECEIVE_FROM(NO_ERROR, "", &listener, client, 0);
    expect_text(client, "data");
    CHECK_INT(0, anjay_net_capture_stop());
    CHECK(holds(place.path, "data"));
    CHECK_INT(0, contents_of(place.path).fins);

    CHECK_INT(0, anjay_net_capture_start(place.path, NULL));
    SYS(shutdown(peer.fd, SHUT_WR));
    CHECK_RECEIVE(NO_ERROR, "", client, 1);
    CHECK_INT(0, anjay_net_capture_stop());
    CHECK_INT(1, contents_of(place.path).fins);
}

TEST(there_is_one_capture_at_a_time) {
    make_place();
    anjay_net_capture_limits_t limits = limits_of(4095, 0);
    CHECK_INT(ENOENT, anjay_net_capture_stop());
    CHECK_INT(EINVAL, anjay_net_capture_start(NULL, NULL));
    CHECK_INT(EINVAL, anjay_net_capture_start(place.path, &limits));
    limits = limits_of(0, 63);
    CHECK_INT(EINVAL, anjay_net_capture_start(place.path, &limits));
    CHECK_INT(ENOENT, anjay_net_capture_start("/nowhere/capture", NULL));
    /* Devices would be renamed when they are "full". */
    CHECK_INT(EINVAL, anjay_net_capture_start("/dev/full", NULL));
    CHECK_INT(EINVAL, anjay_net_capture_start("/dev/null", NULL));
    CHECK_INT(0, anjay_net_capture_start(place.path, NULL));
    CHECK_INT(0600, mode_of(place.path));
    CHECK_INT(EALREADY, anjay_net_capture_start(place.before, NULL));
    CHECK_INT(0, anjay_net_capture_stop());
    CHECK_INT(ENOENT, anjay_net_capture_stop());
}

SLOW_TEST(newest_packets_are_kept_within_the_limit) {
    make_place();
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    anjay_net_capture_limits_t limits = limits_of(16384, 0);
    char text[400];
    int i;

    CHECK_INT(0, anjay_net_capture_start(place.path, &limits));
    memset(text, '.', sizeof(text));
    /* Fewer than may wait to be written: none is left out. */
    for (i = 0; i < 200; ++i) {
        snprintf(text, sizeof(text), "number %d", i);
        CHECK_OK(V(socket)->send(socket, text, sizeof(text)));
    }
    CHECK_INT(0, anjay_net_capture_stop());
    CHECK(size_of_file(place.path) + size_of_file(place.before) <= 16384);
    CHECK(size_of_file(place.before) > 16384 / 4);
    CHECK(!holds(place.path, "number 0") && !holds(place.before, "number 0"));
    CHECK(holds(place.before, "number 18"));
    CHECK(holds(place.path, "number 199"));
}

/* Packets that are longer than both files together, on any of their ends. */
TEST(limit_holds_for_long_packets) {
    make_place();
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    anjay_net_capture_limits_t limits = limits_of(4096, 0);
    static char text[60000];
    int i;

    CHECK_INT(0, anjay_net_capture_start(place.path, &limits));
    memset(text, '.', sizeof(text));
    for (i = 0; i < 10; ++i) {
        snprintf(text, sizeof(text), "number %d", i);
        CHECK_OK(V(socket)->send(socket, text, i % 2 ? sizeof(text) : 1000));
    }
    CHECK_INT(0, anjay_net_capture_stop());
    CHECK(size_of_file(place.path) <= 2048);
    CHECK(size_of_file(place.before) <= 2048);
    CHECK_INT(1, contents_of(place.path).packets);
    CHECK_INT(1, contents_of(place.before).packets);
    CHECK(holds(place.path, "number 9"));
    CHECK(holds(place.before, "number 8"));
}

/* Options have a length of 16 bits. */
TEST(long_texts_leave_the_file_readable) {
    make_place();
    sock_t *socket = new_udp(NULL);
    static char host[70000];

    memset(host, 'h', sizeof(host) - 1);
    CHECK_INT(0, anjay_net_capture_start(place.path, NULL));
    CHECK(V(socket)->connect(socket, host, "5683").code != 0);
    CHECK(V(socket)->connect(socket, "127.0.0.1", host).code != 0);
    CHECK_INT(0, anjay_net_capture_stop());
    CHECK_INT(2, contents_of(place.path).packets);
    CHECK(holds(place.path, "UDP connect failed to hhh"));
    CHECK(holds(place.path, "UDP connect failed to 127.0.0.1:hhh"));
    CHECK(size_of_file(place.path) < 4096);
}

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fputs(text, file);
    fclose(file);
}

/* Enough for several pairs of files. */
static void fill(sock_t *socket, const peer_t *peer) {
    char text[400];
    int i;
    memset(text, '.', sizeof(text));
    for (i = 0; i < 100; ++i) {
        CHECK_OK(V(socket)->send(socket, text, sizeof(text)));
        CHECK_INT(sizeof(text), peer_receive(peer, text, sizeof(text)));
    }
}

/* What another user may put where a client captures to. */
TEST(links_and_pipes_are_not_written_to) {
    make_place();
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    anjay_net_capture_limits_t limits = limits_of(4096, 0);
    char victim[64];
    const char *paths[2];
    size_t i;
    paths[0] = place.path;
    paths[1] = place.before;

    snprintf(victim, sizeof(victim), "%s/victim", place.directory);
    write_file(victim, "precious");
    for (i = 0; i < LEN(paths); ++i) {
        SYS(symlink(victim, paths[i]));
        CHECK_INT(ELOOP, anjay_net_capture_start(place.path, NULL));
        SYS(unlink(paths[i]));
        SYS(symlink("/nowhere", paths[i]));
        CHECK_INT(ELOOP, anjay_net_capture_start(place.path, NULL));
        SYS(unlink(paths[i]));
        SYS(mkfifo(paths[i], 0600));
        CHECK_INT(EINVAL, anjay_net_capture_start(place.path, NULL));
        SYS(unlink(paths[i]));
        SYS(mkdir(paths[i], 0700));
        CHECK_INT(EISDIR, anjay_net_capture_start(place.path, NULL));
        SYS(rmdir(paths[i]));
    }
    /* A link to the same file is replaced, the file is not written to. */
    SYS(link(victim, place.path));
    CHECK_INT(0, anjay_net_capture_start(place.path, NULL));
    CHECK_INT(0, anjay_net_capture_stop());
    CHECK(holds(victim, "precious"));

    /* While it runs: the next file ends the capture, and follows nothing. */
    for (i = 0; i < 2; ++i) {
        CHECK_INT(0, anjay_net_capture_start(place.path, &limits));
        SYS(unlink(place.path));
        if (i == 0) {
            SYS(symlink(victim, place.path));
        } else {
            SYS(mkfifo(place.path, 0600));
        }
        fill(socket, &peer);
        CHECK_INT(i == 0 ? ELOOP : EINVAL, anjay_net_capture_stop());
        SYS(unlink(place.path));
    }
    /* What was put in the place of the file before is replaced. */
    CHECK_INT(0, anjay_net_capture_start(place.path, &limits));
    SYS(symlink(victim, place.before));
    fill(socket, &peer);
    CHECK_INT(0, anjay_net_capture_stop());
    CHECK(contents_of(place.before).packets > 0);
    CHECK(holds(victim, "precious"));
    SYS(unlink(victim));
}

/* Only root can make a file of another user's. */
TEST(file_of_another_user_is_left_alone) {
    make_place();
    const uid_t nobody = 65534;
    write_file(place.path, "precious");
    SYS(chmod(place.path, 0644));
    if (geteuid() == 0) {
        SYS(chown(place.path, nobody, (gid_t) -1));
        CHECK_INT(EPERM, anjay_net_capture_start(place.path, NULL));
        CHECK_INT(EPERM, anjay_net_stats_write(place.path));
        CHECK(holds(place.path, "precious"));
        SYS(chown(place.path, geteuid(), (gid_t) -1));
    }
    /* One's own is replaced, and nobody else may read the new one. */
    CHECK_INT(0, anjay_net_capture_start(place.path, NULL));
    CHECK_INT(0, anjay_net_capture_stop());
    CHECK(!holds(place.path, "precious"));
    CHECK_INT(0600, mode_of(place.path));
}

TEST(long_packets_are_cut) {
    make_place();
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    anjay_net_capture_limits_t limits = limits_of(0, 64);
    char text[1024];

    memset(text, 'x', sizeof(text));
    memcpy(text, "begin", 5);
    memcpy(text + sizeof(text) - 3, "end", 3);
    CHECK_INT(0, anjay_net_capture_start(place.path, &limits));
    CHECK_OK(V(socket)->send(socket, text, sizeof(text)));
    CHECK_INT(0, anjay_net_capture_stop());
    CHECK(holds(place.path, "beginxxxx"));
    CHECK(!holds(place.path, "xxend"));
}

SLOW_TEST(forked_process_has_no_capture) {
    make_place();
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    int status, i;
    pid_t child;

    CHECK_INT(0, anjay_net_capture_start(place.path, NULL));
    child = fork();
    if (child == 0) {
        /* More than may wait for a writer, of which there is none. */
        for (i = 0; i < 300; ++i) {
            send_text(socket, "of the child");
        }
        CHECK_INT(ENOENT, anjay_net_capture_stop());
        CHECK_INT(0, anjay_net_capture_start(place.before, NULL));
        send_text(socket, "of the child's own");
        CHECK_INT(0, anjay_net_capture_stop());
        _exit(0);
    }
    SYS(waitpid(child, &status, 0));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    send_text(socket, "of the parent");
    CHECK_INT(0, anjay_net_capture_stop());
    CHECK(holds(place.path, "of the parent"));
    CHECK(!holds(place.path, "of the child"));
    CHECK(holds(place.before, "of the child's own"));
}

TEST(full_disk_refuses_the_start) {
    make_place();
    struct rlimit limit = { 16, 16 };
    signal(SIGXFSZ, SIG_IGN);
    SYS(setrlimit(RLIMIT_FSIZE, &limit));
    CHECK_INT(EFBIG, anjay_net_capture_start(place.path, NULL));
    CHECK_INT(ENOENT, anjay_net_capture_stop());
}

/* Files may not grow beyond a limit: what a disk that gets full looks like. */
SLOW_TEST(full_disk_ends_the_capture_and_not_the_client) {
    make_place();
    peer_t peer;
    sock_t *socket = connected_pair(UDP, &peer);
    struct rlimit limit = { 8192, 8192 };
    char buffer[32];
    int i;

    signal(SIGXFSZ, SIG_IGN);
    SYS(setrlimit(RLIMIT_FSIZE, &limit));
    CHECK_INT(0, anjay_net_capture_start(place.path, NULL));
    for (i = 0; i < 1000; ++i) {
        send_text(socket, "goes on and on");
        CHECK_INT(14, peer_receive(&peer, buffer, sizeof(buffer)));
    }
    CHECK_INT(14000, bytes_sent(socket));
    CHECK_INT(EFBIG, anjay_net_capture_stop());
    /* Another one may follow. */
    SYS(unlink(place.path));
    CHECK_INT(0, anjay_net_capture_start(place.path, NULL));
    send_text(socket, "once more");
    CHECK_INT(0, anjay_net_capture_stop());
    CHECK(holds(place.path, "once more"));
}
