/*
 * Bytes that a carrier bills: those of whole IP packets, compared with what the
 * kernel counts for all of the network namespace, in which nobody else sends.
 */

#include "anjay_net.h"
#include "fixture.h"
#include "netns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    uint64_t sent;
    uint64_t received;
} bytes_t;

/* ------------------------------------------------------- the kernel's --- */

/* A file of the namespace of this thread. */
static FILE *net_file(const char *name) {
    char path[64];
    FILE *file;
    snprintf(path, sizeof(path), "/proc/thread-self/net/%s", name);
    file = fopen(path, "r");
    CHECK(file != NULL);
    return file;
}

/* A counter of net/snmp6. */
static uint64_t of_ipv6(const char *name) {
    FILE *file = net_file("snmp6");
    char found[64];
    unsigned long long value;
    while (fscanf(file, "%63s %llu", found, &value) == 2) {
        if (strcmp(found, name) == 0) {
            fclose(file);
            return value;
        }
    }
    FAIL("no %s", name);
    return 0;
}

/* A counter of the line "IpExt:" of net/netstat, whose names are in the one
   before. */
static uint64_t of_ipv4(const char *name) {
    static char names[4096];
    static char values[4096];
    FILE *file = net_file("netstat");
    char *next_name = names;
    char *next_value = values;
    do {
        CHECK(fgets(names, sizeof(names), file) != NULL);
        CHECK(fgets(values, sizeof(values), file) != NULL);
    } while (strncmp(names, "IpExt:", 6) != 0);
    fclose(file);
    for (;;) {
        char *found = strsep(&next_name, " \n");
        char *value = strsep(&next_value, " \n");
        CHECK(found != NULL && value != NULL);
        if (strcmp(found, name) == 0) {
            return strtoull(value, NULL, 10);
        }
    }
}

static bytes_t kernel_bytes(int family) {
    bytes_t bytes;
    if (family == AF_INET) {
        bytes.sent = of_ipv4("OutOctets");
        bytes.received = of_ipv4("InOctets");
    } else {
        bytes.sent = of_ipv6("Ip6OutOctets");
        bytes.received = of_ipv6("Ip6InOctets");
    }
    return bytes;
}

/* What hosts tell each other by themselves. A report about a group that this host
   is not in (RFC 3810) arrives as no message, but as a packet. */
static uint64_t own_messages(void) {
    return of_ipv6("Icmp6OutMsgs") + of_ipv6("Icmp6InMsgs")
           + of_ipv6("Ip6InMcastPkts");
}

/* -------------------------------------------------------- the library's --- */

static bytes_t process_bytes(void) {
    anjay_net_stats_t stats = process_stats();
    bytes_t bytes;
    bytes.sent = stats.ip_bytes_sent;
    bytes.received = stats.ip_bytes_received;
    return bytes;
}

static bytes_t socket_bytes(const sock_t *socket) {
    anjay_net_socket_stats_t stats = stats_of(socket);
    bytes_t bytes;
    bytes.sent = stats.ip_bytes_sent;
    bytes.received = stats.ip_bytes_received;
    return bytes;
}

/* ------------------------------------------------------------ compared --- */

typedef struct {
    int family;
    uint64_t messages;
    bytes_t kernel;
    bytes_t library;
} start_t;

static start_t start_of(int family) {
    start_t start;
    start.family = family;
    start.messages = own_messages();
    start.library = process_bytes();
    start.kernel = kernel_bytes(family);
    return start;
}

/* How much more the kernel has counted since then than the library. */
static bytes_t beyond(const start_t *start) {
    bytes_t library = process_bytes();
    bytes_t kernel = kernel_bytes(start->family);
    bytes_t more;
    more.sent = (kernel.sent - start->kernel.sent)
                - (library.sent - start->library.sent);
    more.received = (kernel.received - start->kernel.received)
                    - (library.received - start->library.received);
    return more;
}

/* The hosts have told each other something by themselves, which the kernel has
   counted, too. */
static bool is_disturbed(const start_t *start) {
    return start->messages != own_messages();
}

/* A cable whose hosts know each other. The kernel's offloads count several
   packets as one. */
static cable_t plain_cable(void) {
    cable_t cable = netns_cable("127.0.0.1 localhost\n", NULL);
    run("ip link set eth0 gso_max_segs 1");
    run_away(&cable, "ip link set eth0 gso_max_segs 1");
    cable_introduce(&cable);
    return cable;
}

/* A datagram there and one back. */
static void exchange(sock_t *socket, const peer_t *peer, const char *text) {
    sender_t sender;
    send_text(socket, text);
    sender = peer_expect_from(peer, text);
    peer_reply(peer, &sender, "answer");
    expect_text(socket, "answer");
}

static void exchange_datagrams(const cable_t *cable, int family) {
    const char *host = away_literal(family);
    peer_t peer = peer_in(&cable->away, SOCK_DGRAM, host, 0);
    sock_t *connected = new_udp(NULL);
    sock_t *bound = bound_udp("::", NULL);
    sender_t sender;
    char text[16];
    size_t length;
    CHECK_OK(V(connected)->connect(connected, host, peer.port));
    exchange(connected, &peer, "ping");
    exchange(connected, &peer, "a longer one");
    /* Not to a peer; of either family, from a socket for both. */
    CHECK_OK(V(bound)->send_to(bound, "to", 2, host, peer.port));
    sender = peer_expect_from(&peer, "to");
    peer_reply(&peer, &sender, "fro");
    expect_text(bound, "fro");
    /* Longer than the buffer, and empty. */
    send_text(connected, "ping");
    sender = peer_expect_from(&peer, "ping");
    peer_reply(&peer, &sender, "longer than its buffer");
    CHECK_ERR(EMSGSIZE, V(connected)->receive(connected, &length, text, 4));
    peer_reply(&peer, &sender, "");
    peer_reply(&peer, &sender, "last");
    expect_text(connected, "last");
    dispose(&bound);
    dispose(&connected);
    peer_close(&peer);
}

/* Exactly what the kernel counts. */
SLOW_TEST_EACH_FAMILY(datagrams_are_counted_with_their_headers) {
    cable_t cable = plain_cable();
    start_t start;
    do {
        bytes_t more;
        start = start_of(family);
        exchange_datagrams(&cable, family);
        more = beyond(&start);
        if (!is_disturbed(&start)) {
            CHECK_INT(0, more.sent);
            CHECK_INT(0, more.received);
        }
    } while (is_disturbed(&start));
}

/* The options that only SYN segments have are not counted: 8 bytes, or 12 without
   timestamps (tcp_syn_options in net/ipv4/tcp_output.c). */
enum { SYN_OPTIONS = 12 };

/* A connection under way: with all of it counted but the handshake. Segments
   may be on their way, so this waits until it is so. */
static void check_stream(const start_t *start,
                         const sock_t *socket,
                         uint64_t sent_max,
                         uint64_t received_max) {
    int64_t deadline = now_us() + MS(10000);
    for (;;) {
        bytes_t more = beyond(start);
        bytes_t own = socket_bytes(socket);
        if (is_disturbed(start)
            || (more.sent <= sent_max && more.received <= received_max
                && own.sent > 0 && own.received > 0)) {
            return;
        }
        if (now_us() > deadline) {
            FAIL("%ld and %ld more than the library counts", (long) more.sent,
                 (long) more.received);
        }
    }
}

/* Every tenth segment to the far host is lost, and sent again. */
static void lose_segments(const cable_t *cable) {
    run_away(cable, "nft 'add table inet t; add chain inet t in { type filter "
                    "hook input priority 0; }; add rule inet t in meta l4proto "
                    "tcp numgen inc mod 10 == 9 drop'");
}

static void lose_nothing(const cable_t *cable) {
    run_away(cable, "nft delete table inet t");
}

static start_t stream_bytes(const cable_t *cable, int family) {
    static char bulk[100000];
    const char *host = away_literal(family);
    peer_t listener = peer_in(&cable->away, SOCK_STREAM, host, 0);
    peer_t peer;
    sock_t *socket = new_tcp(NULL);
    size_t got = 0;
    bytes_t open;
    bytes_t closed;
    start_t start = start_of(family);
    CHECK_OK(V(socket)->connect(socket, host, listener.port));
    peer = peer_accept(&listener);
    check_stream(&start, socket, SYN_OPTIONS, SYN_OPTIONS);
    send_text(socket, "ping");
    peer_expect(&peer, "ping");
    check_stream(&start, socket, SYN_OPTIONS, SYN_OPTIONS);

    lose_segments(cable);
    CHECK_OK(V(socket)->send(socket, bulk, sizeof(bulk)));
    while (got < sizeof(bulk)) {
        got += peer_receive(&peer, bulk, sizeof(bulk));
    }
    lose_nothing(cable);
    check_stream(&start, socket, SYN_OPTIONS, 1000);
    open = socket_bytes(socket);
    /* A tenth of the data went twice. */
    CHECK(open.sent > sizeof(bulk) + sizeof(bulk) / 12);

    /* What was counted stays so, and nothing is counted twice. */
    CHECK_OK(V(socket)->close(socket));
    closed = socket_bytes(socket);
    CHECK(closed.sent >= open.sent && closed.sent < open.sent + 1000);
    dispose(&socket);
    CHECK(process_bytes().sent - start.library.sent == closed.sent);
    peer_close(&peer);
    peer_close(&listener);
    return start;
}

SLOW_TEST_EACH_FAMILY(streams_are_counted_with_what_is_sent_again) {
    cable_t cable = plain_cable();
    start_t start;
    /* Segments with timestamps, and without. */
    set_sysctl("net/ipv4/tcp_timestamps", family == AF_INET ? "1" : "0");
    do {
        start = stream_bytes(&cable, family);
    } while (is_disturbed(&start));
}

/* A socket that accepts, and one that is connected again. */
SLOW_TEST(every_connection_of_a_socket_is_counted) {
    plain_cable();
    sock_t *listener = listening_tcp(HOME_V4, NULL);
    sock_t *accepted = new_tcp(NULL);
    sock_t *socket = new_tcp(NULL);
    start_t start = start_of(AF_INET);
    bytes_t before;
    int round;
    for (round = 0; round < 2; ++round) {
        before = socket_bytes(socket);
        CHECK_OK(V(socket)->connect(socket, HOME_V4, local_port(listener)));
        CHECK_OK(V(listener)->accept(listener, accepted));
        send_text(socket, "ping");
        expect_text(accepted, "ping");
        CHECK_OK(V(socket)->close(socket));
        CHECK_OK(V(accepted)->close(accepted));
        /* SYN, ACK, data: of 20 and 32 bytes of headers at least. */
        CHECK(socket_bytes(socket).sent - before.sent >= 3 * 52 + 4);
        CHECK(socket_bytes(accepted).received >= 52 + 4);
    }
    CHECK(process_bytes().sent - start.library.sent
          == socket_bytes(socket).sent + socket_bytes(accepted).sent);
}
