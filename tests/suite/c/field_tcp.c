/*
 * TCP as networks treat it: peers that vanish, streams that end with any code
 * the kernel has, small messages back to back, connections to oneself, names
 * with many addresses that do not answer.
 */

#include "dns.h"
#include "fixture.h"
#include "netns.h"
#include "settings.h"

#include "anjay_net.h"

#include <dlfcn.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --------------------------------------------- calls that fail by order --- */

/* The next transfer on that descriptor fails with this errno, once. */
static int failing_descriptor = -1;
static int failing_errno;

static bool is_ordered_to_fail(int fd) {
    if (fd < 0 || fd != failing_descriptor) {
        return false;
    }
    failing_descriptor = -1;
    errno = failing_errno;
    return true;
}

static void *next_function(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    CHECK(function != NULL);
    return function;
}

/* Stands in for the C library's function of that name, under another name for
   the compiler: the headers have types of their own for addresses. */
#define TRANSFER(Name, Parameters, Arguments)             \
    ssize_t ordered_##Name Parameters __asm__(#Name);     \
    ssize_t ordered_##Name Parameters {                   \
        static ssize_t(*next) Parameters;                 \
        if (!next) {                                      \
            void *function = next_function(#Name);        \
            memcpy(&next, &function, sizeof(next));       \
        }                                                 \
        return is_ordered_to_fail(fd) ? -1 : next Arguments; \
    }

TRANSFER(read, (int fd, void *buf, size_t size), (fd, buf, size))
TRANSFER(write, (int fd, const void *buf, size_t size), (fd, buf, size))
TRANSFER(recv, (int fd, void *buf, size_t size, int flags),
         (fd, buf, size, flags))
TRANSFER(recvfrom,
         (int fd, void *buf, size_t size, int flags, void *from, void *from_size),
         (fd, buf, size, flags, from, from_size))
TRANSFER(recvmsg, (int fd, void *message, int flags), (fd, message, flags))
TRANSFER(send, (int fd, const void *buf, size_t size, int flags),
         (fd, buf, size, flags))
TRANSFER(sendto,
         (int fd, const void *buf, size_t size, int flags, const void *to,
          socklen_t to_size),
         (fd, buf, size, flags, to, to_size))
TRANSFER(sendmsg, (int fd, const void *message, int flags), (fd, message, flags))

/* A connection that the next transfer finds ended, as the kernel tells it: with
   the errno once, and from then on as if it were a clean end. */
static sock_t *ended_connection(int error) {
    peer_t peer;
    sock_t *socket = connected_pair(TCP, &peer);
    peer_close(&peer);
    CHECK(wait_for(descriptor_of(socket), POLLIN, 5000));
    failing_errno = error;
    failing_descriptor = descriptor_of(socket);
    return socket;
}

/* --------------------------------------------------- ends of a stream --- */

typedef enum { RECEIVE, RECEIVE_FROM } method_t;

static anjay_net_error_t
receive_by(method_t method, sock_t *socket, size_t *length) {
    char buffer[16];
    char host[64];
    char port[8];
    return method == RECEIVE
                   ? V(socket)->receive(socket, length, buffer, sizeof(buffer))
                   : V(socket)->receive_from(socket, length, buffer,
                                             sizeof(buffer), host, sizeof(host),
                                             port, sizeof(port));
}

static bool is_end_code(unsigned code) {
    return code == ANJAY_NET_ERRNO_ECONNRESET
           || code == ANJAY_NET_ERRNO_ECONNABORTED;
}

/* Every receive says so, with whatever timeout. */
static void check_stays_broken(const char *what, sock_t *socket) {
    static const int64_t TIMEOUTS[] = { 0, MS(100), MS(30000) };
    int method;
    size_t i;
    for (i = 0; i < LEN(TIMEOUTS); ++i) {
        set_timeout_us(socket, TIMEOUTS[i]);
        for (method = RECEIVE; method <= RECEIVE_FROM; ++method) {
            size_t length = 99;
            int64_t start = now_us();
            anjay_net_error_t error =
                    receive_by((method_t) method, socket, &length);
            if (!is_end_code(error.code)) {
                FAIL("%s: receive gives %s", what, code_name(error.code));
            }
            CHECK_INT(0, length);
            CHECK_WAITED(start, 0, PROMPT);
        }
    }
}

/* A connection over the cable; the peer knows it, too. */
static sock_t *connect_away(const cable_t *cable, int family, peer_t *peer) {
    peer_t listener =
            peer_in(&cable->away, SOCK_STREAM, away_literal(family), 0);
    sock_t *socket = new_tcp(NULL);
    CHECK_OK(V(socket)->connect(socket, away_literal(family), listener.port));
    *peer = peer_accept(&listener);
    peer_close(&listener);
    send_text(socket, "ping");
    peer_expect(peer, "ping");
    return socket;
}

/* The far host is gone, but its address is still known. */
static void swallow_tcp(const cable_t *cable) {
    run_away(cable, "nft 'add table inet t; add chain inet t in { type filter "
                    "hook input priority 0; }; add rule inet t in meta l4proto "
                    "tcp drop'");
}

static void restore_tcp(const cable_t *cable) {
    run_away(cable, "nft delete table inet t");
}

static cable_t impatient_cable(void) {
    cable_t cable = netns_cable("127.0.0.1 localhost\n", NULL);
    cable_introduce(&cable);
    /* The kernel gives up after 600 ms, unless the first segment was late. */
    set_sysctl("net/ipv4/tcp_retries2", "1");
    return cable;
}

/* Nobody answers a segment: the kernel ends the connection with ETIMEDOUT,
   which from receive means "nothing came". */
SLOW_TEST_EACH_FAMILY(peer_that_vanished_ends_every_receive_with_a_reset) {
    cable_t cable = impatient_cable();
    peer_t peer;
    sock_t *socket = connect_away(&cable, family, &peer);
    swallow_tcp(&cable);
    send_text(socket, "anybody there?");
    await_error(descriptor_of(socket));
    CHECK_RECEIVE(ECONNRESET, "", socket, 1);
    check_stays_broken("ETIMEDOUT of the kernel", socket);
}

SLOW_TEST(what_arrived_before_the_peer_vanished_is_delivered) {
    cable_t cable = impatient_cable();
    peer_t peer;
    sock_t *socket = connect_away(&cable, AF_INET, &peer);
    SYS(send(peer.fd, "last words", 10, 0));
    CHECK(wait_for(descriptor_of(socket), POLLIN, 5000));
    swallow_tcp(&cable);
    send_text(socket, "anybody there?");
    await_error(descriptor_of(socket));
    expect_text(socket, "last words");
    check_stays_broken("after the last words", socket);
}

SLOW_TEST_EACH_FAMILY(receive_that_waits_is_ended_with_a_reset) {
    cable_t cable = impatient_cable();
    peer_t peer;
    sock_t *socket = connect_away(&cable, family, &peer);
    call_t call = call_on(socket, family == AF_INET ? do_receive : do_receive_from);
    set_timeout_us(socket, MS(30000));
    call_start_waiting(&call);
    swallow_tcp(&cable);
    send_text(socket, "anybody there?");
    worker_join(&call.worker);
    CHECK_ERR(ECONNRESET, call.error);
    check_stays_broken("after the wait", socket);
}

SLOW_TEST(send_to_a_peer_that_vanished_is_no_timeout) {
    static char bulk[16 * 1024 * 1024];
    cable_t cable = impatient_cable();
    peer_t peer;
    sock_t *socket = connect_away(&cable, AF_INET, &peer);
    anjay_net_error_t error;
    swallow_tcp(&cable);
    /* Waits until the kernel gives up. */
    error = V(socket)->send(socket, bulk, sizeof(bulk));
    CHECK(error.code == ANJAY_NET_ERRNO_EPIPE || is_end_code(error.code));
    error = V(socket)->send(socket, "x", 1);
    CHECK(error.code == ANJAY_NET_ERRNO_EPIPE || is_end_code(error.code));
    check_stays_broken("after a send", socket);
    dispose(&socket);
    restore_tcp(&cable);

    /* The send is the first to hear of it. */
    peer_close(&peer);
    socket = connect_away(&cable, AF_INET, &peer);
    swallow_tcp(&cable);
    send_text(socket, "anybody there?");
    await_error(descriptor_of(socket));
    error = V(socket)->send(socket, "x", 1);
    CHECK(error.code == ANJAY_NET_ERRNO_EPIPE || is_end_code(error.code));
    check_stays_broken("after the first send", socket);
}

/* The neighbour has lost its address: the kernel ends the connection with
   EHOSTUNREACH. */
SLOW_TEST_EACH_FAMILY(neighbour_that_vanished_is_no_clean_end_either) {
    cable_t cable = impatient_cable();
    set_sysctl("net/ipv4/neigh/eth0/retrans_time_ms", "50");
    set_sysctl("net/ipv6/neigh/eth0/retrans_time_ms", "50");
    peer_t peer;
    sock_t *socket = connect_away(&cable, family, &peer);
    run_away(&cable, "ip link set eth0 down");
    run("ip neigh flush dev eth0");
    send_text(socket, "anybody there?");
    await_error(descriptor_of(socket));
    check_stays_broken("EHOSTUNREACH of the kernel", socket);
}

/* An administrator ends the connection on this host. */
SLOW_TEST_EACH_FAMILY(stream_ended_on_this_host_is_no_clean_end) {
    cable_t cable = impatient_cable();
    peer_t peer;
    sock_t *socket = connect_away(&cable, family, &peer);
    run("ss --kill --tcp --no-header dst '[%s]' >/dev/null",
        away_literal(family));
    await_error(descriptor_of(socket));
    check_stays_broken("ECONNABORTED of the kernel", socket);
}

/* What ICMP and ICMPv6 turn into, and what the kernel itself ends streams
   with. Not EPIPE, which comes after a clean end. */
static const int END_CODES[] = { ECONNRESET,   ECONNABORTED, ETIMEDOUT,
                                 ECONNREFUSED, EHOSTUNREACH, ENETUNREACH,
                                 EHOSTDOWN,    ENONET,       EPROTO,
                                 ENOPROTOOPT,  EOPNOTSUPP,   EACCES };

TEST(stream_that_ended_with_any_code_says_so_every_time) {
    size_t i;
    int method;
    for (i = 0; i < LEN(END_CODES); ++i) {
        for (method = RECEIVE; method <= RECEIVE_FROM; ++method) {
            sock_t *socket = ended_connection(END_CODES[i]);
            size_t length = 99;
            anjay_net_error_t error =
                    receive_by((method_t) method, socket, &length);
            if (!is_end_code(error.code)) {
                FAIL("%s: receive gives %s", strerror(END_CODES[i]),
                     code_name(error.code));
            }
            CHECK_INT(0, length);
            check_stays_broken(strerror(END_CODES[i]), socket);
        }
    }
}

TEST_EACH(stream_that_ended_in_a_send_says_so_to_every_receive, END_CODES) {
    sock_t *socket = ended_connection(*it);
    anjay_net_error_t error = V(socket)->send(socket, "x", 1);
    if (error.code == 0 || error.code == ANJAY_NET_ERRNO_ETIMEDOUT) {
        FAIL("%s: send gives %s", strerror(*it),
             code_name(error.code));
    }
    check_stays_broken(strerror(*it), socket);
}

/* Whatever looks at the socket as soon as the end is known. */
static unsigned code_in_handler;

static void receive_in_handler(void *socket, int level, const char *line) {
    size_t length;
    char byte;
    (void) level;
    if (strstr(line, "transfer failed")) {
        code_in_handler = V((sock_t *) socket)->receive(socket, &length, &byte, 1).code;
    }
}

TEST_ROWS(stream_that_ended_says_so_to_a_log_handler, int is_send, 2, row) {
    sock_t *socket = ended_connection(ECONNRESET);
    size_t length;
    char byte = 'x';
    code_in_handler = 0;
    CHECK_INT(0, anjay_net_set_log_handler(receive_in_handler, socket,
                                           ANJAY_NET_LOG_LEVEL_WARNING));
    CHECK_ERR(ECONNRESET, is_send ? V(socket)->send(socket, &byte, 1)
                                  : V(socket)->receive(socket, &length, &byte, 1));
    CHECK_INT(0, anjay_net_set_log_handler(NULL, NULL, ANJAY_NET_LOG_LEVEL_QUIET));
    CHECK_STR("ECONNRESET", code_name(code_in_handler));
}

/* The kernel tells one of them. */
SLOW_TEST(reset_ends_every_receive_that_waits) {
    enum { ROUNDS = 500 };
    int round;
    sandbox_leave_the_host_network();
    for (round = 0; round < ROUNDS; ++round) {
        peer_t peer;
        sock_t *socket = connected_pair(TCP, &peer);
        call_t calls[2];
        size_t i;
        for (i = 0; i < LEN(calls); ++i) {
            calls[i] = call_on(socket, do_receive);
            call_start_waiting(&calls[i]);
        }
        peer_reset(&peer);
        for (i = 0; i < LEN(calls); ++i) {
            worker_join(&calls[i].worker);
            CHECK_ERR(ECONNRESET, calls[i].error);
        }
        dispose(&socket);
    }
}

/* The object is as good as new after close. */
TEST(reconnected_socket_has_forgotten_how_the_last_stream_ended) {
    sock_t *socket = ended_connection(ETIMEDOUT);
    peer_t listener = peer_listen(AF_INET);
    peer_t peer;
    CHECK_RECEIVE(ECONNRESET, "", socket, 1);
    CHECK_OK(V(socket)->close(socket));
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", listener.port));
    peer = peer_accept(&listener);
    set_timeout_us(socket, 0);
    CHECK_RECEIVE(ETIMEDOUT, "", socket, 1);
    peer_close(&peer);
    set_timeout_us(socket, MS(5000));
    CHECK_RECEIVE(NO_ERROR, "", socket, 1);
}

/* ------------------------------------------------------ small messages --- */

/* Two small messages back to back need no acknowledgement between them. */
TEST_EACH_FAMILY(nagle_is_off_on_every_stream) {
    peer_t listener = peer_listen(family);
    sock_t *socket = new_tcp(NULL);
    sock_t *server = listening_tcp(listener.host, NULL);
    sock_t *accepted = new_tcp(NULL);
    peer_connect(family, SOCK_STREAM, local_port(server));
    int round;
    for (round = 0; round < 2; ++round) {
        CHECK_OK(V(socket)->connect(socket, listener.host, listener.port));
        CHECK(int_option(descriptor_of(socket), IPPROTO_TCP, TCP_NODELAY));
        CHECK_OK(V(socket)->close(socket));
    }
    CHECK_OK(V(server)->accept(server, accepted));
    CHECK(int_option(descriptor_of(accepted), IPPROTO_TCP, TCP_NODELAY));
}

/* The peer's acknowledgements are lost: a second message that waits for them
   never leaves. */
SLOW_TEST(second_small_message_does_not_wait_for_an_acknowledgement) {
    cable_t cable = netns_cable("127.0.0.1 localhost\n", NULL);
    peer_t peer;
    sock_t *socket = connect_away(&cable, AF_INET, &peer);
    char buffer[16];
    size_t length = 0;
    /* A tail loss probe would take it along. */
    set_sysctl("net/ipv4/tcp_early_retrans", "0");
    run_away(&cable, "nft 'add table inet t; add chain inet t out { type filter "
                     "hook output priority 0; }; add rule inet t out meta "
                     "l4proto tcp drop'");
    send_text(socket, "CSM");
    send_text(socket, "register");
    while (length < 11) {
        CHECK(wait_for(peer.fd, POLLIN, 3000));
        length += peer_receive(&peer, buffer + length, sizeof(buffer) - length);
    }
    CHECK_BYTES("CSMregister", buffer, 11);
}

/* ---------------------------------------------------- to oneself --- */

/* Nobody listens, and the kernel has no other port to connect from. */
static void check_not_connected_to_itself(int type, const char *host) {
    sock_t *socket = new_socket(type, NULL);
    int before = count_descriptors();
    int round;
    for (round = 0; round < 3; ++round) {
        CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, host, "45000"));
        CHECK_STATE(CLOSED, socket);
        CHECK_INT(before, count_descriptors());
    }
}

TEST(nobody_is_connected_to_itself) {
    static const char *const HOSTS[] = { "127.0.0.1", "::1", "self" };
    size_t i;
    sandbox_enter("127.0.0.1 localhost\n127.0.0.1 self\n::1 self\n", NULL);
    set_sysctl("net/ipv4/ip_local_port_range", "45000 45000");
    for (i = 0; i < LEN(HOSTS); ++i) {
        check_not_connected_to_itself(TCP, HOSTS[i]);
        check_not_connected_to_itself(UDP, HOSTS[i]);
    }
}

static const struct {
    const char *bound;
    const char *host;
} CASES[] = { { "127.0.0.1", "127.0.0.1" }, { "::1", "::1" },
              { "0.0.0.0", "127.0.0.1" },   { "::", "::1" },
              { "::", "127.0.0.1" },        { "0.0.0.0", "::1" },
              { "0.0.0.0", "0.0.0.0" },     { "::", "::" },
              { "0.0.0.0", "localhost" } };

/* A client that keeps its port, and asks for a server on the same one. */
TEST_EACH(bound_datagram_socket_is_not_connected_to_itself, CASES) {
    sock_t *socket = bound_udp(it->bound, NULL);
    char port[16];
    peer_t peer = peer_udp(strchr(it->host, ':') ? AF_INET6 : AF_INET);
    strcpy(port, local_port(socket));
    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, it->host, port));
    CHECK_STATE(BOUND, socket);
    CHECK_STR(port, local_port(socket));
    /* Bound to that port by number. */
    CHECK_OK(V(socket)->close(socket));
    CHECK_OK(V(socket)->bind(socket, it->bound, port));
    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, it->host, port));
    CHECK_STATE(BOUND, socket);
    CHECK_OK(V(socket)->connect(socket, peer.host, peer.port));
    CHECK_STR(port, local_port(socket));
    send_text(socket, "ping");
    peer_expect(&peer, "ping");
}

/* Another host's port of that number is no reason to refuse. */
TEST(peer_on_the_same_port_is_connected_to) {
    sock_t *socket = new_udp(NULL);
    peer_t peer;
    sandbox_enter("127.0.0.1 localhost\n", NULL);
    /* From where a socket without an address would send, too. */
    peer = peer_at(SOCK_DGRAM, "127.0.0.1", 5683);
    CHECK_OK(V(socket)->bind(socket, "127.0.0.2", "5683"));
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", "5683"));
    send_text(socket, "ping");
    peer_expect(&peer, "ping");
}

/* It passes, so it must not look as if there were no such server. */
TEST(shortage_of_ports_is_temporary) {
    static const int TYPES[] = { TCP,
                                 UDP };
    size_t i;
    sandbox_enter("127.0.0.1 localhost\n", NULL);
    set_sysctl("net/ipv4/ip_local_port_range", "45000 45000");
    for (i = 0; i < LEN(TYPES); ++i) {
        peer_at(i ? SOCK_DGRAM : SOCK_STREAM, "127.0.0.1", 5683);
        sock_t *first = new_socket(TYPES[i], NULL);
        sock_t *second = new_socket(TYPES[i], NULL);
        CHECK_OK(V(first)->connect(first, "127.0.0.1", "5683"));
        CHECK_ERR(ETIMEDOUT, V(second)->connect(second, "127.0.0.1", "5683"));
        CHECK_STATE(CLOSED, second);
    }
}

/* ------------------------------------------------------- one deadline --- */

enum { ADDRESSES_MAX = 4000 };

/* A name with that many addresses, behind which nobody answers. */
static char *black_holes(int count) {
    char *text = (char *) malloc((size_t) count * 48);
    size_t length = 0;
    int i;
    for (i = 0; i < count; ++i) {
        length += (size_t) sprintf(text + length, "%s198.18.%d.%d",
                                   i ? " " : "", i / 200, i % 200 + 1);
    }
    return text;
}

static void set_connect_times(unsigned timeout_ms, unsigned delay_ms) {
    anjay_net_settings_t settings = settings_in_force();
    settings.connect_timeout_ms = timeout_ms;
    settings.attempt_delay_ms = delay_ms;
    configure(&settings);
}

/* Time of a connect that nobody answers. */
static int64_t time_of_a_vain_connect(int count,
                                      unsigned timeout_ms,
                                      unsigned delay_ms) {
    netns_cable("127.0.0.1 localhost\n", NULL);
    char *addresses = black_holes(count);
    dns_record_t record = { "farm.test", DNS_A, addresses, DNS_NOERROR, 0 };
    dns_record_t none = { "farm.test", DNS_AAAA, NULL, DNS_NOERROR, 0 };
    dns_record_t records[2];
    dns_t *dns;
    sock_t *socket = new_tcp(NULL);
    int64_t start;
    int64_t waited;
    int before;
    records[0] = record;
    records[1] = none;
    dns = dns_start("127.0.0.53", records, 2);
    /* Packets leave without anybody being asked for a link address. */
    run("ip link set eth0 arp off");
    run("ip route add 198.18.0.0/15 dev eth0");
    set_connect_times(timeout_ms, delay_ms);
    before = count_descriptors();
    start = now_us();
    CHECK_ERR(ETIMEDOUT, V(socket)->connect(socket, "farm.test", "5683"));
    waited = now_us() - start;
    CHECK_STATE(CLOSED, socket);
    CHECK_INT(before, count_descriptors());
    dispose(&socket);
    dns_stop(&dns);
    free(addresses);
    return waited;
}

/* All of them are under way at the same time: the last start, and the time of
   one. */
SLOW_TEST(forty_eight_silent_addresses_share_one_deadline) {
    int64_t waited = time_of_a_vain_connect(48, 1000, 10);
    CHECK(waited >= MS(1000));
    CHECK(waited < MS(1900));
}

/* Whatever a name server answers, nobody is held for longer. */
SLOW_TEST(thousands_of_silent_addresses_hold_no_call) {
    int64_t waited = time_of_a_vain_connect(ADDRESSES_MAX, 500, 10);
    CHECK(waited >= MS(500));
    CHECK(waited < MS(4000));
}
