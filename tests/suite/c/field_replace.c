/*
 * Sockets whose descriptor is taken over or exchanged: accept of datagrams,
 * connect and send_to across families. What is registered with epoll, queued or
 * waiting goes on.
 */

#include "dns.h"
#include "fixture.h"
#include "netns.h"
#include "settings.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* ----------------------------------------------- calls that are refused --- */

/* The calls from here on that are counted fail in this turn; 0: none does. */
static int refused_turn;
static int turns;
static bool was_refused;

static bool is_refused(void) {
    if (refused_turn == 0 || ++turns != refused_turn) {
        return false;
    }
    was_refused = true;
    errno = ENOBUFS;
    return true;
}

/* What happens when a datagram socket is about to be connected, once. */
static void (*before_connect)(void *arg);
static void *before_connect_arg;

static bool is_refused_connect(void) {
    void (*happening)(void *) = before_connect;
    if (happening) {
        before_connect = NULL;
        happening(before_connect_arg);
    }
    return is_refused();
}

static void refuse(int turn) {
    refused_turn = turn;
    turns = 0;
    was_refused = false;
}

/* Stands in for the C library's function of that name, under another name for
   the compiler: the headers have types of their own for addresses. */
#define REFUSABLE(Name, Judge, Parameters, Arguments)     \
    int refusable_##Name Parameters __asm__(#Name);       \
    int refusable_##Name Parameters {                     \
        static int(*next) Parameters;                     \
        if (!next) {                                      \
            void *function = dlsym(RTLD_NEXT, #Name);     \
            CHECK(function != NULL);                      \
            memcpy(&next, &function, sizeof(next));       \
        }                                                 \
        return Judge() ? -1 : next Arguments;             \
    }

REFUSABLE(socket, is_refused, (int family, int type, int protocol),
          (family, type, protocol))
REFUSABLE(bind, is_refused, (int fd, const void *address, unsigned size),
          (fd, address, size))
REFUSABLE(connect, is_refused_connect, (int fd, const void *address, unsigned size),
          (fd, address, size))
REFUSABLE(setsockopt, is_refused,
          (int fd, int level, int name, const void *value, unsigned size),
          (fd, level, name, value, size))
REFUSABLE(getsockname, is_refused, (int fd, void *address, void *size), (fd, address, size))
REFUSABLE(dup3, is_refused, (int from, int to, int flags), (from, to, flags))

/* ------------------------------------------------------------- accept --- */

TEST_EACH(accepted_socket_takes_the_descriptor_over_number_and_all, UDP_PLACES) {
    sock_t *server = udp_server(it->address);
    sock_t *socket = udp_target();
    peer_t peer = peer_connect(it->peer_family, SOCK_DGRAM,
                               local_port(server));
    int number = descriptor_of(server);
    uint64_t cookie = cookie_of(number);
    SYS(send(peer.fd, "hello", 5, 0));
    CHECK_OK(V(server)->accept(server, socket));
    CHECK_INT(number, descriptor_of(socket));
    CHECK(cookie == cookie_of(number));
    CHECK(descriptor_of(server) >= 0);
    CHECK(descriptor_of(server) != number);
    CHECK(cookie != cookie_of(descriptor_of(server)));
    expect_text(socket, "hello");
}

/* The next event for a socket; NULL when there is none. */
static void *next_event(int epoll, int milliseconds) {
    struct epoll_event event;
    return SYS(epoll_wait(epoll, &event, 1, milliseconds)) ? event.data.ptr
                                                           : NULL;
}

static void watch(int epoll, int operation, sock_t *socket, void *data) {
    struct epoll_event event;
    memset(&event, 0, sizeof(event));
    event.events = EPOLLIN;
    event.data.ptr = data;
    SYS(epoll_ctl(epoll, operation, descriptor_of(socket), &event));
}

/* epoll registers files: what was registered as the server is the accepted
   socket now. */
TEST_EACH(registration_with_epoll_goes_with_the_descriptor, UDP_PLACES) {
    sock_t *server = udp_server(it->address);
    sock_t *socket = udp_target();
    peer_t peer = peer_connect(it->peer_family, SOCK_DGRAM,
                               local_port(server));
    peer_t next = peer_connect(it->peer_family, SOCK_DGRAM,
                               local_port(server));
    int epoll = (int) SYS(epoll_create1(EPOLL_CLOEXEC));
    watch(epoll, EPOLL_CTL_ADD, server, server);
    SYS(send(peer.fd, "hello", 5, 0));
    CHECK(next_event(epoll, 5000) == server);
    CHECK_OK(V(server)->accept(server, socket));
    expect_text(socket, "hello");
    CHECK(next_event(epoll, 0) == NULL);
    /* As one does with a descriptor that somebody else has now. */
    watch(epoll, EPOLL_CTL_MOD, socket, socket);
    watch(epoll, EPOLL_CTL_ADD, server, server);
    SYS(send(peer.fd, "again", 5, 0));
    CHECK(next_event(epoll, 5000) == socket);
    expect_text(socket, "again");
    SYS(send(next.fd, "me, too", 7, 0));
    CHECK(next_event(epoll, 5000) == server);
    expect_text(server, "me, too");
    CHECK(next_event(epoll, 0) == NULL);
    SYS(epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor_of(socket), NULL));
    SYS(epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor_of(server), NULL));
    dispose(&socket);
    dispose(&server);
    SYS(close(epoll));
}

/* One call of the accept fails, each in its turn: all that was queued is there
   for the next accept. */
SLOW_TEST(accept_that_fails_keeps_the_queue) {
    size_t i;
    int failures = 0;
    for (i = 0; i < LEN(UDP_PLACES); ++i) {
        int turn = 1;
        bool again = true;
        for (; again; ++turn) {
            sock_t *server = udp_server(UDP_PLACES[i].address);
            sock_t *socket = udp_target();
            char port[16];
            peer_t peer;
            anjay_net_error_t error;
            CHECK(turn < 100);
            strcpy(port, local_port(server));
            peer = peer_connect(UDP_PLACES[i].peer_family, SOCK_DGRAM, port);
            SYS(send(peer.fd, "one", 3, 0));
            SYS(send(peer.fd, "two", 3, 0));
            SYS(send(peer.fd, "three", 5, 0));
            refuse(turn);
            error = V(server)->accept(server, socket);
            again = was_refused;
            refuse(0);
            if (error.code != 0) {
                ++failures;
                CHECK_STATE(CLOSED, socket);
                CHECK_STATE(BOUND, server);
                CHECK_STR(port, local_port(server));
                CHECK_OK(V(server)->accept(server, socket));
            }
            expect_text(socket, "one");
            expect_text(socket, "two");
            expect_text(socket, "three");
            /* The kernel may give a port that is shared to the next one. */
            dispose(&socket);
            dispose(&server);
        }
    }
    CHECK(failures >= (int) LEN(UDP_PLACES));
}

static void close_it(void *arg) {
    sock_t *socket = (sock_t *) arg;
    CHECK_OK(V(socket)->close(socket));
}

static void shut_it_down(void *arg) {
    sock_t *socket = (sock_t *) arg;
    V(socket)->shutdown(socket);
}

static worker_t ender;
static void (*ending)(void *);

/* Another thread ends the new socket. It may have to wait for the accept. */
static void end_in_a_thread(void *socket) {
    int64_t give_up = now_us() + MS(200);
    worker_start(&ender, ending, socket);
    while (!worker_finished(&ender) && now_us() < give_up) {
        poll(NULL, 0, 1);
    }
}

/* The new socket is closed or shut down when the accept is almost done. */
TEST(accept_that_is_ended_in_its_last_step_keeps_the_queue) {
    static void (*const ENDINGS[])(void *) = { close_it, shut_it_down };
    size_t way;
    size_t i;
    for (way = 0; way < LEN(ENDINGS); ++way) {
        for (i = 0; i < LEN(UDP_PLACES); ++i) {
            sock_t *server = udp_server(UDP_PLACES[i].address);
            sock_t *socket = udp_target();
            peer_t peer = peer_connect(UDP_PLACES[i].peer_family, SOCK_DGRAM,
                                       local_port(server));
            anjay_net_error_t error;
            SYS(send(peer.fd, "one", 3, 0));
            SYS(send(peer.fd, "two", 3, 0));
            ending = ENDINGS[way];
            before_connect_arg = socket;
            before_connect = end_in_a_thread;
            error = V(server)->accept(server, socket);
            worker_join(&ender);
            if (error.code == 0) {
                /* It was in time after all; its end came afterwards. */
                CHECK(state_of(socket) == ANJAY_NET_SOCKET_STATE_CLOSED
                      || state_of(socket) == ANJAY_NET_SOCKET_STATE_SHUTDOWN);
            } else {
                CHECK(error.code == ANJAY_NET_ERRNO_EBADF
                      || error.code == ANJAY_NET_ERRNO_ECONNABORTED);
                CHECK_STATE(BOUND, server);
                CHECK_OK(V(socket)->close(socket));
                CHECK_OK(V(server)->accept(server, socket));
                expect_text(socket, "one");
                expect_text(socket, "two");
            }
            dispose(&socket);
            dispose(&server);
        }
    }
}

SLOW_TEST(accept_without_a_descriptor_to_spare_keeps_the_queue) {
    sock_t *server = udp_server("127.0.0.1");
    sock_t *socket = udp_target();
    peer_t peer = peer_connect(AF_INET, SOCK_DGRAM, local_port(server));
    struct rlimit before;
    SYS(send(peer.fd, "one", 3, 0));
    SYS(send(peer.fd, "two", 3, 0));
    be_short_of_descriptors(&before, 0);
    CHECK_ERR(EMFILE, V(server)->accept(server, socket));
    SYS(setrlimit(RLIMIT_NOFILE, &before));
    CHECK_STATE(BOUND, server);
    CHECK_OK(V(server)->accept(server, socket));
    expect_text(socket, "one");
    expect_text(socket, "two");
}

/* ------------------------------------------------------- send_to --- */

#define PORT 5683

/* A server behind a name with both families. */
typedef struct {
    peer_t v4;
    peer_t v6;
    char port[8];
} dual_t;

static dual_t enter_with_a_dual_server(void) {
    dual_t dual;
    /* Not ::1, which the C library also takes for 127.0.0.1. */
    sandbox_enter("127.0.0.1 localhost dual only4\n::1 dual\nfd00::9 only6\n",
                  NULL);
    add_own_address("fd00::9");
    dual.v4 = peer_at(SOCK_DGRAM, "127.0.0.1", PORT);
    dual.v6 = peer_at(SOCK_DGRAM, "::1", PORT);
    port_text(PORT, dual.port);
    /* It knows no name. */
    dns_start("127.0.0.53", NULL, 0);
    return dual;
}

/* The socket is the same one, and has all that was queued. */
static void check_queue(sock_t *socket, uint64_t cookie, int count) {
    CHECK(cookie == cookie_of(descriptor_of(socket)));
    set_timeout_us(socket, 0);
    while (count-- > 0) {
        expect_text(socket, "queued");
    }
}

static const char *const IPV4_SOCKETS[] = { "0.0.0.0", "127.0.0.1" };

SLOW_TEST(send_to_a_dual_stack_name_goes_to_the_sockets_own_family) {
    dual_t dual = enter_with_a_dual_server();
    size_t i;
    for (i = 0; i < LEN(IPV4_SOCKETS); ++i) {
        sock_t *socket = bound_udp(IPV4_SOCKETS[i], NULL);
        uint64_t cookie = cookie_of(descriptor_of(socket));
        int round;
        for (round = 0; round < 3; ++round) {
            peer_send_to(&dual.v4, local_port(socket), "queued", 6);
        }
        CHECK_OK(V(socket)->send_to(socket, "ping", 4, "dual", dual.port));
        peer_expect(&dual.v4, "ping");
        peer_expect_nothing(&dual.v6);
        check_queue(socket, cookie, 3);
    }
}

TEST(send_to_never_replaces_a_socket) {
    dual_t dual = enter_with_a_dual_server();
    size_t i;
    for (i = 0; i < LEN(IPV4_SOCKETS); ++i) {
        sock_t *socket = bound_udp(IPV4_SOCKETS[i], NULL);
        uint64_t cookie = cookie_of(descriptor_of(socket));
        peer_send_to(&dual.v4, local_port(socket), "queued", 6);
        CHECK_ERR(EADDRNOTAVAIL,
                  V(socket)->send_to(socket, "x", 1, "only6", dual.port));
        CHECK_ERR(EADDRNOTAVAIL,
                  V(socket)->send_to(socket, "x", 1, "::1", dual.port));
        CHECK_INT(0, bytes_sent(socket));
        check_queue(socket, cookie, 1);
    }
    peer_expect_nothing(&dual.v6);
}

/* Where the system keeps the families apart, and an IPv6 socket is for IPv6. */
SLOW_TEST(send_to_does_not_leave_ipv6_where_families_are_apart) {
    dual_t dual = enter_with_a_dual_server();
    sock_t *socket;
    uint64_t cookie;
    set_sysctl("net/ipv6/bindv6only", "1");
    socket = bound_udp("::1", NULL);
    cookie = cookie_of(descriptor_of(socket));
    peer_send_to(&dual.v6, local_port(socket), "queued", 6);
    CHECK_OK(V(socket)->send_to(socket, "ping", 4, "dual", dual.port));
    peer_expect(&dual.v6, "ping");
    CHECK(V(socket)->send_to(socket, "x", 1, "only4", dual.port).code != 0);
    CHECK(V(socket)->send_to(socket, "x", 1, "127.0.0.1", dual.port).code != 0);
    peer_expect_nothing(&dual.v4);
    check_queue(socket, cookie, 1);
}

typedef struct {
    sock_t *socket;
    const char *port;
} sending_t;

static void send_many(void *arg) {
    sending_t *sending = (sending_t *) arg;
    int round;
    for (round = 0; round < 50; ++round) {
        CHECK_OK(V(sending->socket)
                         ->send_to(sending->socket, "x", 1, "dual",
                                   sending->port));
    }
}

SLOW_TEST(two_threads_send_to_a_dual_stack_name) {
    dual_t dual = enter_with_a_dual_server();
    sock_t *socket = bound_udp("0.0.0.0", NULL);
    uint64_t cookie = cookie_of(descriptor_of(socket));
    sending_t sending;
    worker_t workers[2];
    peer_send_to(&dual.v4, local_port(socket), "queued", 6);
    sending.socket = socket;
    sending.port = dual.port;
    worker_start(&workers[0], send_many, &sending);
    worker_start(&workers[1], send_many, &sending);
    worker_join(&workers[0]);
    worker_join(&workers[1]);
    CHECK_INT(100, peer_drain(&dual.v4));
    check_queue(socket, cookie, 1);
}

/* What another thread does between the last answer and the datagram. */
static void bind_again(void *arg, int level, const char *line) {
    sock_t **socket = (sock_t **) arg;
    (void) level;
    if (*socket && strstr(line, "lookup of dual (IPv4)")) {
        sock_t *mine = *socket;
        *socket = NULL;
        CHECK_OK(V(mine)->close(mine));
        CHECK_OK(V(mine)->bind(mine, "127.0.0.1", "0"));
    }
}

SLOW_TEST(send_to_does_not_send_from_a_descriptor_that_came_after_a_close) {
    dual_t dual = enter_with_a_dual_server();
    sock_t *socket = bound_udp("127.0.0.1", NULL);
    sock_t *to_close = socket;
    CHECK_INT(0, anjay_net_set_log_handler(bind_again, &to_close,
                                           ANJAY_NET_LOG_LEVEL_TRACE));
    CHECK_ERR(EBADF, V(socket)->send_to(socket, "ping", 4, "dual", dual.port));
    CHECK(!to_close);
    peer_expect_nothing(&dual.v4);
    CHECK_INT(0, anjay_net_set_log_handler(NULL, NULL, ANJAY_NET_LOG_LEVEL_TRACE));
}

/* A literal is refused, so a name is. */
SLOW_TEST(forced_ipv6_sends_no_ipv4_datagram) {
    dual_t dual = enter_with_a_dual_server();
    config_t config = default_config();
    sock_t *socket;
    config.address_family = ANJAY_NET_AF_INET6;
    socket = bound_udp(NULL, &config);
    CHECK_ERR(EADDRNOTAVAIL,
              V(socket)->send_to(socket, "x", 1, "127.0.0.1", dual.port));
    CHECK_ERR(EADDRNOTAVAIL,
              V(socket)->send_to(socket, "x", 1, "only4", dual.port));
    peer_expect_nothing(&dual.v4);
    CHECK_OK(V(socket)->send_to(socket, "ping", 4, "dual", dual.port));
    peer_expect(&dual.v6, "ping");
}

/* An IPv6 descriptor that is connected to IPv4 can't send to IPv6. */
TEST(socket_connected_to_ipv4_sends_to_no_ipv6_address) {
    dual_t dual = enter_with_a_dual_server();
    peer_t other = peer_udp(AF_INET);
    sock_t *socket = bound_udp("::", NULL);
    CHECK_OK(V(socket)->connect(socket, "127.0.0.1", other.port));
    CHECK_ERR(EADDRNOTAVAIL,
              V(socket)->send_to(socket, "x", 1, "::1", dual.port));
    CHECK_ERR(EADDRNOTAVAIL,
              V(socket)->send_to(socket, "x", 1, "only6", dual.port));
    /* By name it goes on to the next address. */
    CHECK_OK(V(socket)->send_to(socket, "ping", 4, "dual", dual.port));
    peer_expect(&dual.v4, "ping");
    peer_expect_nothing(&dual.v6);
    send_text(socket, "still connected");
    peer_expect(&other, "still connected");
}

TEST(hostname_is_as_given_for_a_v4mapped_literal) {
    static const char *const LITERALS[] = { "::ffff:127.0.0.1",
                                            "[::ffff:127.0.0.1]",
                                            "::FFFF:7f00:1" };
    static const int FORCED[] = { ANJAY_NET_AF_UNSPEC, ANJAY_NET_AF_INET4 };
    size_t i;
    size_t family;
    int type;
    for (i = 0; i < LEN(LITERALS); ++i) {
        for (family = 0; family < LEN(FORCED); ++family) {
            for (type = TCP; type <= UDP; ++type) {
                peer_t peer =
                        type == TCP ? peer_listen(AF_INET) : peer_udp(AF_INET);
                config_t config = default_config();
                sock_t *socket;
                char name[64];
                config.address_family = FORCED[family];
                socket = new_socket(type, &config);
                CHECK_OK(V(socket)->connect(socket, LITERALS[i], peer.port));
                CHECK_OK(V(socket)->get_remote_hostname(socket, name,
                                                        sizeof(name)));
                CHECK_STR(LITERALS[i], name);
                CHECK_STR("127.0.0.1", remote_host(socket));
            }
        }
    }
}

/* -------------------------------------------------- calls under way --- */

/* Nobody has closed it: it gets what the new peer sends. */
TEST(receive_goes_on_when_the_socket_changes_its_family) {
    static const struct {
        const char *bound;
        int family;
    } CASES[] = { { "0.0.0.0", AF_INET6 }, { "::", AF_INET } };
    size_t i;
    int with_sender;
    for (i = 0; i < LEN(CASES); ++i) {
        for (with_sender = 0; with_sender < 2; ++with_sender) {
            peer_t peer = peer_udp(CASES[i].family);
            call_t call = call_on(bound_udp(CASES[i].bound, NULL),
                                  with_sender ? do_receive_from : do_receive);
            set_timeout_us(call.socket, MS(5000));
            call_start_waiting(&call);
            CHECK_OK(V(call.socket)->connect(call.socket, peer.host, peer.port));
            peer_send_to(&peer, local_port(call.socket), "hello", 5);
            worker_join(&call.worker);
            CHECK_OK(call.error);
            CHECK_INT(5, call.length);
            CHECK_BYTES("hello", call.buffer, 5);
        }
    }
}

SLOW_TEST(receive_keeps_its_deadline_when_the_socket_changes_its_family) {
    peer_t peer = peer_udp(AF_INET6);
    call_t call = call_on(bound_udp("0.0.0.0", NULL), do_receive);
    set_timeout_us(call.socket, MS(500));
    call_start_waiting(&call);
    CHECK_OK(V(call.socket)->connect(call.socket, peer.host, peer.port));
    worker_join(&call.worker);
    CHECK_WAITED(call.began, MS(500), MS(500) + PROMPT);
    CHECK_ERR(ETIMEDOUT, call.error);
}
