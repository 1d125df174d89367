/*
 * Datagrams that routers report on, that this host's own firewall or queue
 * throws away, that are empty, or that came before the socket was connected.
 */

#include "fixture.h"
#include "netns.h"

#include "anjay_net.h"
#include "warnings.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int FAMILIES[] = { AF_INET, AF_INET6 };

#define PORT "5683"

/* ------------------------------------------------- makers of sockets --- */

/* The ways to a connected datagram socket. */
typedef enum { CONNECT, BIND_AND_CONNECT, ACCEPT, MAKERS } maker_t;

/* A socket of this host that is connected to that socket of another host, and
   where it was heard from. */
static sock_t *connected_to(maker_t maker, const peer_t *peer, sender_t *sender) {
    config_t config = reuse_config();
    sock_t *socket = new_udp(&config);
    if (maker == ACCEPT) {
        sock_t *server = new_udp(&config);
        struct sockaddr_storage address;
        socklen_t size;
        CHECK_OK(V(server)->bind(
                server, peer->family == AF_INET6 ? HOME_V6 : HOME_V4, PORT));
        size = make_address(&address, local_host(server), atoi(PORT));
        SYS(sendto(peer->fd, "hello", 5, 0, (struct sockaddr *) &address, size));
        CHECK_OK(V(server)->accept(server, socket));
        dispose(&server);
        expect_text(socket, "hello");
    } else {
        if (maker == BIND_AND_CONNECT) {
            CHECK_OK(V(socket)->bind(
                    socket, peer->family == AF_INET6 ? "::" : "0.0.0.0", "0"));
        }
        CHECK_OK(V(socket)->connect(socket, peer->host, peer->port));
    }
    send_text(socket, "ping");
    *sender = peer_expect_from(peer, "ping");
    return socket;
}

/* A datagram that is thrown away may have been read into the buffer. */
static void check_nothing_comes(sock_t *socket) {
    char buffer[64];
    char host[64];
    char port[8];
    size_t length = 99;
    set_timeout_us(socket, MS(50));
    CHECK_ERR(ETIMEDOUT,
              V(socket)->receive(socket, &length, buffer, sizeof(buffer)));
    CHECK_INT(0, length);
    CHECK_ERR(ETIMEDOUT, V(socket)->receive_from(
                                 socket, &length, buffer, sizeof(buffer), host,
                                 sizeof(host), port, sizeof(port)));
    CHECK_INT(0, length);
    set_timeout_us(socket, MS(5000));
}

/* -------------------------------------------------------- too big --- */

enum { BIG = 1400, ROUTED_MTU = 1280 };

static char big[BIG];

/* The path gets as narrow as it is: a big datagram is lost, and the report
   about it waits at the socket. */
static void be_told_of_the_mtu(sock_t *socket) {
    CHECK_OK(V(socket)->send(socket, big, sizeof(big)));
    await_error(descriptor_of(socket));
}

/* Calls `body` for each family and each way to be connected, on a path that has
   not been used before. */
static void on_a_narrow_path(void (*body)(sock_t *socket,
                                          const peer_t *peer,
                                          const sender_t *sender)) {
    size_t family;
    int maker;
    memset(big, 'b', sizeof(big));
    for (family = 0; family < LEN(FAMILIES); ++family) {
        for (maker = 0; maker < MAKERS; ++maker) {
            routed_t routed = netns_routed(ROUTED_MTU);
            peer_t peer = peer_in(&routed.server, SOCK_DGRAM,
                                  server_literal(FAMILIES[family]), 0);
            sender_t sender;
            sock_t *socket = connected_to((maker_t) maker, &peer, &sender);
            set_timeout_us(socket, MS(5000));
            body(socket, &peer, &sender);
            run_deferred(0);
        }
    }
}

static void receive_after_a_report(sock_t *socket,
                                   const peer_t *peer,
                                   const sender_t *sender) {
    be_told_of_the_mtu(socket);
    check_nothing_comes(socket);
    peer_reply(peer, sender, "pong");
    expect_text(socket, "pong");
}

/* From receive, EMSGSIZE means that a datagram was cut. */
SLOW_TEST(too_big_report_ends_no_receive) {
    on_a_narrow_path(receive_after_a_report);
}

static void receive_from_after_a_report(sock_t *socket,
                                        const peer_t *peer,
                                        const sender_t *sender) {
    be_told_of_the_mtu(socket);
    peer_reply(peer, sender, "pong");
    CHECK_RECEIVE_FROM(NO_ERROR, "pong", peer, socket, 16);
}

SLOW_TEST(too_big_report_ends_no_receive_from) {
    on_a_narrow_path(receive_from_after_a_report);
}

static void expect_pong(void *arg) {
    expect_text((sock_t *) arg, "pong");
}

static int kernels_mtu(sock_t *socket, const peer_t *peer) {
    return peer->family == AF_INET6
                   ? int_option(descriptor_of(socket), IPPROTO_IPV6, IPV6_MTU)
                   : int_option(descriptor_of(socket), IPPROTO_IP, IP_MTU);
}

static void receive_during_a_report(sock_t *socket,
                                    const peer_t *peer,
                                    const sender_t *sender) {
    worker_t worker;
    set_timeout_us(socket, MS(30000));
    worker_start(&worker, expect_pong, socket);
    worker_wait_blocked(&worker);
    CHECK_OK(V(socket)->send(socket, big, sizeof(big)));
    while (kernels_mtu(socket, peer) != ROUTED_MTU) {
        poll(NULL, 0, 1);
    }
    worker_wait_blocked(&worker);
    CHECK(!worker_finished(&worker));
    peer_reply(peer, sender, "pong");
    worker_join(&worker);
}

SLOW_TEST(too_big_report_ends_no_receive_that_waits) {
    on_a_narrow_path(receive_during_a_report);
}

static void send_after_a_report(sock_t *socket,
                                const peer_t *peer,
                                const sender_t *sender) {
    char buffer[2 * BIG];
    uint64_t before = bytes_sent(socket);
    (void) sender;
    be_told_of_the_mtu(socket);
    send_text(socket, "small");
    peer_expect(peer, "small");
    /* The system splits what no longer fits. */
    CHECK_OK(V(socket)->send(socket, big, sizeof(big)));
    CHECK_INT(BIG, peer_receive(peer, buffer, sizeof(buffer)));
    CHECK_BYTES(big, buffer, BIG);
    CHECK_INT(2 * BIG + 5, bytes_sent(socket) - before);
    check_nothing_comes(socket);
}

SLOW_TEST(too_big_report_costs_no_send) {
    on_a_narrow_path(send_after_a_report);
}

static void send_to_after_a_report(sock_t *socket,
                                   const peer_t *peer,
                                   const sender_t *sender) {
    (void) sender;
    be_told_of_the_mtu(socket);
    CHECK_OK(V(socket)->send_to(socket, "small", 5, peer->host, peer->port));
    peer_expect(peer, "small");
}

SLOW_TEST(too_big_report_costs_no_send_to) {
    on_a_narrow_path(send_to_after_a_report);
}

/* Nothing may be split: EMSGSIZE is about the datagram that the caller has in
   its hands. */
static void send_unsplit_after_a_report(sock_t *socket,
                                        const peer_t *peer,
                                        const sender_t *sender) {
    bool is_v6 = peer->family == AF_INET6;
    int level = is_v6 ? IPPROTO_IPV6 : IPPROTO_IP;
    int option = is_v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER;
    int value = is_v6 ? IPV6_PMTUDISC_DO : IP_PMTUDISC_DO;
    (void) sender;
    SYS(setsockopt(descriptor_of(socket), level, option, &value, sizeof(value)));
    be_told_of_the_mtu(socket);
    CHECK_ERR(EMSGSIZE, V(socket)->send(socket, big, sizeof(big)));
    CHECK_ERR(EMSGSIZE, V(socket)->send(socket, big, sizeof(big)));
    send_text(socket, "small");
    peer_expect(peer, "small");
}

SLOW_TEST(datagram_that_is_too_big_itself_is_said_to_be) {
    on_a_narrow_path(send_unsplit_after_a_report);
}

static void mtu_after_a_report(sock_t *socket,
                               const peer_t *peer,
                               const sender_t *sender) {
    int headers = peer->family == AF_INET6 ? 48 : 28;
    (void) sender;
    CHECK_INT(1500, get_opt(socket, ANJAY_NET_SOCKET_OPT_MTU).mtu);
    be_told_of_the_mtu(socket);
    CHECK_INT(ROUTED_MTU, get_opt(socket, ANJAY_NET_SOCKET_OPT_MTU).mtu);
    CHECK_INT(ROUTED_MTU - headers,
              get_opt(socket, ANJAY_NET_SOCKET_OPT_INNER_MTU).mtu);
    send_text(socket, "small");
    CHECK_INT(ROUTED_MTU, get_opt(socket, ANJAY_NET_SOCKET_OPT_MTU).mtu);
}

SLOW_TEST(mtu_is_told_as_soon_as_it_is_reported) {
    on_a_narrow_path(mtu_after_a_report);
}

/* --------------------------------------------------- errors of before --- */

/* A socket connected to a port where nobody listens yet; the error about a
   first datagram waits. */
static sock_t *refused_at(int family) {
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, away_literal(family), PORT));
    set_timeout_us(socket, MS(5000));
    send_text(socket, "lost");
    await_error(descriptor_of(socket));
    return socket;
}

SLOW_TEST_EACH_FAMILY(server_that_is_back_gets_the_next_send) {
    cable_t cable = netns_cable("127.0.0.1 localhost\n", NULL);
    sock_t *socket = refused_at(family);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, away_literal(family),
                          atoi(PORT));
    sender_t sender;
    send_text(socket, "found");
    sender = peer_expect_from(&peer, "found");
    peer_reply(&peer, &sender, "answer");
    expect_text(socket, "answer");
    CHECK_INT(9, bytes_sent(socket));
}

SLOW_TEST_EACH_FAMILY(error_about_one_server_costs_no_send_to_another) {
    cable_t cable = netns_cable("127.0.0.1 localhost\n", NULL);
    sock_t *socket = refused_at(family);
    peer_t peer =
            peer_in(&cable.away, SOCK_DGRAM, away_literal(family), 0);
    CHECK_OK(V(socket)->send_to(socket, "found", 5, peer.host, peer.port));
    peer_expect(&peer, "found");
}

enum { SENDS = 20000 };

static void send_often(void *socket) {
    int i;
    for (i = 0; i < SENDS; ++i) {
        send_text((sock_t *) socket, "x");
    }
}

/* Each send finds errors about the others' datagrams. */
SLOW_TEST(errors_about_other_threads_datagrams_cost_no_send) {
    worker_t workers[4];
    refused_t nobody = refused(SOCK_DGRAM);
    sock_t *socket = new_udp(NULL);
    size_t i;
    CHECK_OK(V(socket)->connect(socket, nobody.host, nobody.port));
    for (i = 0; i < LEN(workers); ++i) {
        worker_start(&workers[i], send_often, socket);
    }
    for (i = 0; i < LEN(workers); ++i) {
        worker_join(&workers[i]);
    }
    CHECK_INT(LEN(workers) * SENDS, bytes_sent(socket));
}

/* The next error is the answer to the next datagram, and receive tells it. */
SLOW_TEST_EACH_FAMILY(server_that_is_still_dead_is_reported_by_receive) {
    netns_cable("127.0.0.1 localhost\n", NULL);
    sock_t *socket = refused_at(family);
    send_text(socket, "again");
    await_error(descriptor_of(socket));
    CHECK_RECEIVE(ECONNREFUSED, "", socket, 16);
    check_nothing_comes(socket);
}

/* All that ICMP has for a datagram that a connected socket is told of. */
static const struct {
    int family;
    const char *reject;
} REJECTS[] = { { AF_INET, "icmp type port-unreachable" },
                { AF_INET, "icmp type admin-prohibited" },
                { AF_INET, "icmp type prot-unreachable" },
                { AF_INET, "icmp type host-prohibited" },
                { AF_INET, "icmp type net-prohibited" },
                { AF_INET6, "icmpv6 type port-unreachable" },
                { AF_INET6, "icmpv6 type admin-prohibited" },
                { AF_INET6, "icmpv6 type policy-fail" },
                { AF_INET6, "icmpv6 type reject-route" } };

SLOW_TEST_EACH(no_report_about_a_datagram_costs_the_next, REJECTS) {
    cable_t cable = netns_cable("127.0.0.1 localhost\n", NULL);
    sock_t *socket;
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM,
                          away_literal(it->family), atoi(PORT));
    run_away(&cable,
             "nft 'add table inet f; add chain inet f in { type filter hook "
             "input priority 0; }; add rule inet f in udp dport " PORT
             " reject with %s'",
             it->reject);
    socket = refused_at(it->family);
    run_away(&cable, "nft delete table inet f");
    send_text(socket, "found");
    peer_expect(&peer, "found");
}

/* ---------------------------------- the own firewall, the own queue --- */

enum { LOST = 50 };

/* Sends that this host itself loses, and one that it lets through. */
static void check_is_lost(void (*lose)(void),
                          void (*restore)(void),
                          void (*prepare_descriptor)(sock_t *, int family)) {
    cable_t cable = netns_cable("127.0.0.1 localhost\n", NULL);
    size_t i;
    for (i = 0; i < LEN(FAMILIES); ++i) {
        peer_t peer = peer_in(&cable.away, SOCK_DGRAM, away_literal(FAMILIES[i]),
                              atoi(PORT));
        sock_t *connected = new_udp(NULL);
        sock_t *bound = bound_udp(FAMILIES[i] == AF_INET6 ? HOME_V6 : HOME_V4,
                                  NULL);
        /* An IPv6 socket that speaks IPv4, in the first round. */
        sock_t *dual = bound_udp("::", NULL);
        int round;
        CHECK_OK(V(connected)->connect(connected, peer.host, peer.port));
        if (prepare_descriptor) {
            prepare_descriptor(connected, FAMILIES[i]);
            prepare_descriptor(bound, FAMILIES[i]);
            prepare_descriptor(dual, AF_INET);
            prepare_descriptor(dual, AF_INET6);
        }
        /* The neighbour is known. */
        send_text(connected, "ping");
        peer_expect(&peer, "ping");
        count_warnings();
        lose();
        for (round = 0; round < LOST; ++round) {
            CHECK_OK(V(connected)->send(connected, "lost", 4));
            CHECK_OK(V(bound)->send_to(bound, "lost", 4, peer.host, peer.port));
            CHECK_OK(V(dual)->send_to(dual, "lost", 4, peer.host, peer.port));
        }
        /* One for each socket, or one for all. */
        CHECK(warnings_counted() >= 1 && warnings_counted() <= 3);
        CHECK_INT(0, anjay_net_set_log_handler(NULL, NULL,
                                               ANJAY_NET_LOG_LEVEL_QUIET));
        restore();
        peer_expect_nothing(&peer);
        send_text(connected, "found");
        peer_expect(&peer, "found");
        CHECK_OK(V(bound)->send_to(bound, "found", 5, peer.host, peer.port));
        peer_expect(&peer, "found");
        CHECK_OK(V(dual)->send_to(dual, "found", 5, peer.host, peer.port));
        peer_expect(&peer, "found");
    }
}

static void drop_output(void) {
    run("nft 'add table inet f; add chain inet f out { type filter hook output "
        "priority 0; }; add rule inet f out udp dport " PORT " drop'");
}

static void reject_output(void) {
    run("nft 'add table inet f; add chain inet f out { type filter hook output "
        "priority 0; }; add rule inet f out udp dport " PORT
        " reject with icmpx type port-unreachable'");
}

static void let_output_pass(void) {
    run("nft delete table inet f");
}

/* EPERM of the kernel. */
SLOW_TEST(datagram_that_the_own_firewall_drops_is_lost) {
    check_is_lost(drop_output, let_output_pass, NULL);
}

SLOW_TEST(datagram_that_the_own_firewall_rejects_is_lost) {
    check_is_lost(reject_output, let_output_pass, NULL);
}

/* With this the kernel does not hide that its queue was full. */
static void want_errors(sock_t *socket, int family) {
    int on = 1;
    if (family == AF_INET6) {
        SYS(setsockopt(descriptor_of(socket), IPPROTO_IPV6, IPV6_RECVERR, &on,
                       sizeof(on)));
    } else {
        SYS(setsockopt(descriptor_of(socket), IPPROTO_IP, IP_RECVERR, &on,
                       sizeof(on)));
    }
}

static void have_no_queue(void) {
    run("tc qdisc add dev eth0 root bfifo limit 1");
}

static void have_a_queue(void) {
    run("tc qdisc del dev eth0 root");
}

/* ENOBUFS of the kernel. */
SLOW_TEST(datagram_that_finds_the_own_queue_full_is_lost) {
    check_is_lost(have_no_queue, have_a_queue, want_errors);
}

/* The C library's, of the library's datagrams: others have no flags. */
static int send_errno;

static bool is_refused(int flags) {
    int error = __atomic_load_n(&send_errno, __ATOMIC_SEQ_CST);
    if (error == 0 || (flags & MSG_NOSIGNAL) == 0) {
        return false;
    }
    errno = error;
    return true;
}

ssize_t send(int fd, const void *buf, size_t size, int flags) {
    return is_refused(flags)
                   ? -1
                   : syscall(SYS_sendto, fd, buf, size, flags, NULL, 0);
}

ssize_t refusing_sendto(int fd, const void *buf, size_t size, int flags,
                        const void *to, socklen_t to_size) __asm__("sendto");
ssize_t refusing_sendto(int fd, const void *buf, size_t size, int flags,
                        const void *to, socklen_t to_size) {
    return is_refused(flags)
                   ? -1
                   : syscall(SYS_sendto, fd, buf, size, flags, to, to_size);
}

/* WireGuard returns these for a packet to nobody whom it knows, and to a peer of
   which it does not know where it is. */
static void know_no_peer(void) {
    __atomic_store_n(&send_errno, ENOKEY, __ATOMIC_SEQ_CST);
}

static void know_no_endpoint(void) {
    __atomic_store_n(&send_errno, EDESTADDRREQ, __ATOMIC_SEQ_CST);
}

static void know_all(void) {
    __atomic_store_n(&send_errno, 0, __ATOMIC_SEQ_CST);
}

SLOW_TEST(datagram_that_a_tunnel_has_no_key_for_is_lost) {
    check_is_lost(know_no_peer, know_all, NULL);
}

/* Like a way that is gone for a moment. */
SLOW_TEST_EACH_FAMILY(datagram_that_a_tunnel_has_no_endpoint_for_is_lost) {
    cable_t cable = netns_cable("127.0.0.1 localhost\n", NULL);
    peer_t peer = peer_in(&cable.away, SOCK_DGRAM, away_literal(family),
                          atoi(PORT));
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, peer.host, peer.port));
    know_no_endpoint();
    CHECK_OK(V(socket)->send(socket, "lost", 4));
    CHECK_OK(V(socket)->send(socket, "lost", 4));
    know_all();
    send_text(socket, "found");
    peer_expect(&peer, "found");
}

/* ------------------------------------------------- empty datagrams --- */

/* No bytes are the end of a stream for a TLS library, and a datagram with the
   server's address is easily forged. */
TEST_EACH_FAMILY(empty_datagram_is_not_delivered_by_a_connected_socket) {
    peer_t peer = peer_udp(family);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, peer.host, peer.port));
    peer_send_to(&peer, local_port(socket), "", 0);
    check_nothing_comes(socket);
    peer_send_to(&peer, local_port(socket), "", 0);
    peer_send_to(&peer, local_port(socket), "", 0);
    peer_send_to(&peer, local_port(socket), "one", 3);
    expect_text(socket, "one");
    peer_send_to(&peer, local_port(socket), "", 0);
    peer_send_to(&peer, local_port(socket), "two", 3);
    CHECK_RECEIVE_FROM(NO_ERROR, "two", &peer, socket, 16);
    /* Without any time to wait, too. */
    set_timeout_us(socket, 0);
    peer_send_to(&peer, local_port(socket), "", 0);
    CHECK_RECEIVE(ETIMEDOUT, "", socket, 16);
    peer_send_to(&peer, local_port(socket), "", 0);
    peer_send_to(&peer, local_port(socket), "three", 5);
    expect_text(socket, "three");
}

TEST(empty_datagram_ends_no_wait) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    worker_t worker;
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    set_timeout_us(socket, MS(30000));
    worker_start(&worker, expect_pong, socket);
    worker_wait_blocked(&worker);
    peer_send_to(&peer, local_port(socket), "", 0);
    worker_wait_blocked(&worker);
    CHECK(!worker_finished(&worker));
    peer_send_to(&peer, local_port(socket), "pong", 4);
    worker_join(&worker);
}

/* Somebody sends empty datagrams all the time: no call is held by them. */
static void wait_for_nothing_in_thread(void *arg) {
    check_nothing_comes((sock_t *) arg);
}

SLOW_TEST(empty_datagrams_move_no_deadline) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    worker_t worker;
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer.port));
    worker_start(&worker, wait_for_nothing_in_thread, socket);
    while (!worker_finished(&worker)) {
        peer_send_to(&peer, local_port(socket), "", 0);
    }
    worker_join(&worker);
}

TEST(empty_datagram_is_delivered_by_a_bound_socket) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    peer_send_to(&peer, local_port(socket), "", 0);
    expect_text(socket, "");
}

/* --------------------------------------- bound, and then connected --- */

static const struct {
    int family;
    const char *bound;
} BOUND[] = { { AF_INET, "127.0.0.1" },
              { AF_INET, "0.0.0.0" },
              { AF_INET, "::" },
              { AF_INET6, "::1" },
              { AF_INET6, "::" } };

TEST_EACH(what_the_peer_sent_before_connect_is_kept_and_nothing_else, BOUND) {
    peer_t peer = peer_udp(it->family);
    peer_t stranger = peer_udp(it->family);
    sock_t *socket = bound_udp(it->bound, NULL);
    const char *port = local_port(socket);
    peer_send_to(&stranger, port, "not for you", 11);
    peer_send_to(&peer, port, "one", 3);
    peer_send_to(&stranger, port, "nor this", 8);
    peer_send_to(&peer, port, "two", 3);
    peer_send_to(&stranger, port, "nor that", 8);
    CHECK_OK(V(socket)->connect(socket, peer.host, peer.port));
    expect_text(socket, "one");
    expect_text(socket, "two");
    check_nothing_comes(socket);
    CHECK_INT(6, bytes_received(socket));
    peer_send_to(&stranger, port, "not now either", 14);
    peer_send_to(&peer, port, "three", 5);
    expect_text(socket, "three");
}
