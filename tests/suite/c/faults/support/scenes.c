#include "scenes.h"

#include "anjay_net.h"
#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    NONE = -1,
    CLOSED = ANJAY_NET_SOCKET_STATE_CLOSED,
    BOUND = ANJAY_NET_SOCKET_STATE_BOUND,
    ACCEPTED = ANJAY_NET_SOCKET_STATE_ACCEPTED,
    CONNECTED = ANJAY_NET_SOCKET_STATE_CONNECTED,
    SHUTDOWN = ANJAY_NET_SOCKET_STATE_SHUTDOWN
};

void scenes_enter_network(void) {
    sandbox_enter("127.0.0.1 server.test\n127.0.0.1 localhost\n", NULL);
    /* With an action, although the usual one, the library leaves the name to the
       system resolver. */
    rewrite_file("/etc/nsswitch.conf", "hosts: files [SUCCESS=return] dns\n");
}

void scene_begin(scene_t *scene, const scene_kind_t *kind) {
    memset(scene, 0, sizeof(*scene));
    scene->peer.fd = -1;
    scene->mark = defer_mark();
    kind->set(scene);
}

void scene_end(scene_t *scene) {
    run_deferred(scene->mark);
    avs_net_addrinfo_delete(&scene->list);
    if (scene->directory[0]) {
        /* Nothing else is in it. */
        (void) unlink(scene->path);
        SYS(rmdir(scene->directory));
    }
}

sock_t *scene_subject(const scene_t *scene) {
    return scene->other ? scene->other : scene->socket;
}

int scene_state(const scene_t *scene) {
    sock_t *subject = scene_subject(scene);
    return subject ? state_of(subject) : NONE;
}

unsigned code_of(int error) {
    static const struct {
        int error;
        unsigned code;
    } CODES[] = {
#define CODE(Name) { Name, ANJAY_NET_ERRNO_##Name }
        CODE(ENOBUFS),
        CODE(ENOMEM),
        CODE(EMFILE),
        CODE(ENFILE),
        CODE(ENETDOWN),
        CODE(EHOSTUNREACH),
        CODE(EPERM),
        CODE(EINTR),
        CODE(EADDRINUSE),
        CODE(EADDRNOTAVAIL),
        CODE(EAGAIN),
        { 0, 0 },
    };
    for (size_t i = 0; i < LEN(CODES); ++i) {
        if (CODES[i].error == error) {
            return CODES[i].code;
        }
    }
    return ANJAY_NET_ERRNO_UNKNOWN_ERROR;
}

/* All that a configuration can ask for; to share a port; to have one family. */
static const config_t FULL = {
    .reuse_addr = 1, .dscp = 10, .priority = 3, .transparent = 1, .interface_name = "lo"
};
static const config_t REUSE = { .reuse_addr = 1 };
static const config_t IPV4 = { .address_family = V4 };

/* What a scene is set by, the call, and a method that is the call. */
#define SET(Name, ...)             \
    static void Name(scene_t *s) { \
        (void) s;                  \
        __VA_ARGS__;               \
    }
#define ACT(Name, ...)                          \
    static anjay_net_error_t Name(scene_t *s) { \
        (void) s;                               \
        return __VA_ARGS__;                     \
    }
#define METHOD(Name, Method, ...) ACT(Name, V(s->socket)->Method(s->socket, __VA_ARGS__))

static anjay_net_error_t outcome(unsigned code) {
    anjay_net_error_t error = { ANJAY_NET_ERRNO_CATEGORY, (uint16_t) code };
    return error;
}

/* ---------------------------------------------------------- create --- */

static anjay_net_error_t create(
        scene_t *s, anjay_net_error_t (*constructor)(sock_t **, const void *)) {
    anjay_net_error_t error = constructor(&s->socket, &FULL);
    if (error.code == 0) {
        own(s->socket);
    }
    return error;
}

SET(set_nothing, (void) 0)
ACT(create_tcp, create(s, _avs_net_create_tcp_socket))
ACT(create_udp, create(s, _avs_net_create_udp_socket))

static anjay_net_error_t initialize(scene_t *s) {
    anjay_net_error_t error = _avs_net_initialize_global_compat_state();
    (void) s;
    _avs_net_cleanup_global_compat_state();
    return error;
}

/* --------------------------------------------------------- connect --- */

/* A socket that is bound there, or not at all, and what it can talk to. */
static void set(scene_t *s, int type, const config_t *config, int family, const char *bound_to) {
    s->peer = peer_to_connect_to(type, family);
    strcpy(s->port, s->peer.port);
    s->socket = bound_to ? bound_socket(type, bound_to, config) : new_socket(type, config);
}

SET(set_udp, set(s, UDP, &IPV4, AF_INET, NULL))
SET(set_udp_configured, set(s, UDP, &FULL, AF_INET, NULL))
SET(set_udp_dual_stack, set(s, UDP, &FULL, AF_INET6, "::"))
SET(set_udp_bound, set(s, UDP, &REUSE, AF_INET, "0.0.0.0"))
SET(set_udp_bound_to_ipv4, set(s, UDP, &IPV4, AF_INET, "127.0.0.1"))
SET(set_udp_bound_for_ipv6, set(s, UDP, NULL, AF_INET6, "0.0.0.0"))
SET(set_udp_bound_to_both, set(s, UDP, NULL, AF_INET, "::"))
SET(set_tcp, set(s, TCP, &IPV4, AF_INET, NULL))
SET(set_tcp_configured, set(s, TCP, &FULL, AF_INET6, NULL))

METHOD(connect_v4, connect, "127.0.0.1", s->port)
METHOD(connect_v6, connect, "::1", s->port)
METHOD(connect_v6_oddly, connect, "[0::0:1]", s->port)
METHOD(connect_link_local, connect, "::1%lo", s->port)
METHOD(connect_name, connect, "server.test", s->port)

/* ------------------------------------------------------------ bind --- */

SET(set_new_udp, s->socket = new_udp(NULL))
SET(set_new_tcp, s->socket = new_tcp(NULL))
SET(set_new_udp_configured, s->socket = new_udp(&FULL))
SET(set_new_tcp_configured, s->socket = new_tcp(&FULL))
SET(set_new_udp_ipv4, s->socket = new_udp(&IPV4))

METHOD(bind_any, bind, NULL, NULL)
METHOD(bind_v4, bind, "127.0.0.1", "0")
METHOD(bind_v6, bind, "::1", "0")
METHOD(bind_name, bind, "server.test", "0")

/* ------------------------------------------------------------ send --- */

/* More than the buffers on the way hold. */
static char bulk[8 * 1024 * 1024];

SET(set_connected_udp, s->socket = connected_pair(UDP, &s->peer))
SET(set_connected_tcp, s->socket = connected_pair(TCP, &s->peer);
        SYS(fcntl(s->peer.fd, F_SETFL, O_NONBLOCK)))

static void set_udp_anywhere(scene_t *s) {
    set(s, UDP, NULL, AF_INET, NULL);
    CHECK_OK(V(s->socket)->bind(s->socket, NULL, NULL));
}

METHOD(send_little, send, "message", 7)
METHOD(send_much, send, bulk, sizeof(bulk))
METHOD(send_to_v4, send_to, "message", 7, "127.0.0.1", s->port)
METHOD(send_to_name, send_to, "message", 7, "server.test", s->port)

static void drain(scene_t *s) {
    static char sink[1024 * 1024];
    while (recv(s->peer.fd, sink, sizeof(sink), MSG_DONTWAIT) > 0) {
    }
}

/* --------------------------------------------------------- receive --- */

SET(arrive, SYS(send(s->peer.fd, "message", 7, 0)))

/* The peer of a UDP socket sends to it. */
static void know_each_other(scene_t *s) {
    struct sockaddr_storage address;
    socklen_t size = make_address(&address, s->peer.host, atoi(local_port(s->socket)));
    SYS(connect(s->peer.fd, (struct sockaddr *) &address, size));
}

SET(set_udp_waiting, set_connected_udp(s); know_each_other(s))
SET(set_udp_with_a_message, set_udp_waiting(s); arrive(s))
SET(set_bound_udp_waiting, set_udp_bound(s); know_each_other(s))

/* It was bound before it was connected, so what is queued is sifted. */
static void set_udp_to_sift(scene_t *s) {
    peer_t stranger = peer_udp(AF_INET);
    set_udp_bound(s);
    peer_say(&stranger, s->socket, "stranger");
    CHECK_OK(connect_v4(s));
    know_each_other(s);
    arrive(s);
}

static void set_tcp_with_a_message(scene_t *s) {
    set_connected_tcp(s);
    arrive(s);
    /* As it is there at once otherwise, but for a busy machine. */
    CHECK(wait_for(descriptor_of(s->socket), POLLIN, 10000));
}

static anjay_net_error_t receive(scene_t *s) {
    anjay_net_error_t error =
            V(s->socket)->receive(s->socket, &s->length, s->buffer, sizeof(s->buffer));
    CHECK_INT(error.code ? 0 : 7, s->length);
    return error;
}

static anjay_net_error_t receive_from(scene_t *s) {
    char host[64];
    char port[8];
    anjay_net_error_t error = V(s->socket)->receive_from(s->socket, &s->length, s->buffer,
            sizeof(s->buffer), host, sizeof(host), port, sizeof(port));
    CHECK_INT(error.code ? 0 : 7, s->length);
    if (error.code == 0) {
        CHECK_STR(s->peer.host, host);
    }
    return error;
}

/* ---------------------------------------------------------- accept --- */

static void come(scene_t *s) {
    if (s->peer.fd >= 0) {
        peer_close(&s->peer);
    }
    s->peer = peer_connected_to(s->socket, TCP, AF_INET);
}

SET(set_accept_tcp_waiting, s->socket = listening_tcp("127.0.0.1", NULL); s->other = new_tcp(&FULL))
SET(set_accept_tcp, set_accept_tcp_waiting(s); come(s))
SET(set_accept_udp_waiting, set(s, UDP, &REUSE, AF_INET, "127.0.0.1"); know_each_other(s);
        s->other = new_udp(&FULL))
SET(set_accept_udp, set_accept_udp_waiting(s); arrive(s))

METHOD(accept_one, accept, s->other)

/* ----------------------------------------------------- end and info --- */

SET(set_listening, s->socket = listening_tcp("127.0.0.1", NULL))

ACT(close_it, V(s->socket)->close(s->socket))
ACT(shut_it_down, V(s->socket)->shutdown(s->socket))

static anjay_net_error_t clean_up(scene_t *s) {
    sock_t *socket = s->socket;
    anjay_net_error_t error = V(socket)->cleanup(&s->socket);
    if (!s->socket) {
        disown(socket);
    }
    return error;
}

static anjay_net_error_t decorate(scene_t *s) {
    CHECK_ERR(ENOTSUP, V(s->socket)->decorate(s->socket, NULL));
    return outcome(0);
}

static anjay_net_error_t get_system_socket(scene_t *s) {
    CHECK(V(s->socket)->get_system_socket(s->socket) != NULL);
    return outcome(0);
}

METHOD(get_interface_name, get_interface_name, s->buffer)
METHOD(get_local_host, get_local_host, s->buffer, sizeof(s->buffer))
METHOD(get_local_port, get_local_port, s->buffer, sizeof(s->buffer))

static anjay_net_error_t get_remote(scene_t *s) {
    CHECK_OK(V(s->socket)->get_remote_host(s->socket, s->buffer, sizeof(s->buffer)));
    CHECK_OK(V(s->socket)->get_remote_hostname(s->socket, s->buffer, sizeof(s->buffer)));
    return V(s->socket)->get_remote_port(s->socket, s->buffer, sizeof(s->buffer));
}

METHOD(get_mtu, get_opt, ANJAY_NET_SOCKET_OPT_MTU, &s->value)
METHOD(get_inner_mtu, get_opt, ANJAY_NET_SOCKET_OPT_INNER_MTU, &s->value)

static anjay_net_error_t get_other_opts(scene_t *s) {
    static const int KEYS[] = { ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT, ANJAY_NET_SOCKET_OPT_STATE,
        ANJAY_NET_SOCKET_OPT_ADDR_FAMILY, ANJAY_NET_SOCKET_OPT_BYTES_SENT,
        ANJAY_NET_SOCKET_OPT_BYTES_RECEIVED, ANJAY_NET_SOCKET_OPT_HAS_BUFFERED_DATA,
        ANJAY_NET_SOCKET_OPT_PREFERRED_ADDR_FAMILY, ANJAY_NET_SOCKET_OPT_FORCED_ADDR_FAMILY };
    for (size_t i = 0; i < LEN(KEYS); ++i) {
        (void) get_opt(s->socket, KEYS[i]);
    }
    return outcome(0);
}

static anjay_net_error_t set_opts(scene_t *s) {
    /* One that only fits where rare things are kept. */
    CHECK_OK(V(s->socket)->set_opt(
            s->socket, ANJAY_NET_SOCKET_OPT_PREFERRED_ADDR_FAMILY, family_value(V4)));
    CHECK_OK(V(s->socket)->set_opt(
            s->socket, ANJAY_NET_SOCKET_OPT_FORCED_ADDR_FAMILY, family_value(V4)));
    return V(s->socket)->set_opt(
            s->socket, ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT, duration_value(-7, 5));
}

/* ------------------------------------------------------ address lists --- */

static anjay_net_error_t resolve(scene_t *s, const char *host, int flags) {
    s->list = avs_net_addrinfo_resolve_ex(UDP, V4, host, "1", flags, NULL);
    return outcome(s->list ? 0 : ANJAY_NET_ERRNO_UNKNOWN_ERROR);
}

ACT(resolve_literal, resolve(s, "127.0.0.1", 0))
ACT(resolve_wildcard, resolve(s, NULL, ANJAY_NET_ADDRINFO_RESOLVE_F_PASSIVE))
ACT(resolve_name, resolve(s, "server.test", 0))
SET(set_list, CHECK_OK(resolve_literal(s)))

static anjay_net_error_t walk_list(scene_t *s) {
    CHECK_INT(0, avs_net_addrinfo_next(s->list, &s->endpoint));
    CHECK_INT(1, avs_net_addrinfo_next(s->list, &s->endpoint));
    avs_net_addrinfo_rewind(s->list);
    CHECK_INT(0, avs_net_addrinfo_next(s->list, &s->endpoint));
    avs_net_addrinfo_delete(&s->list);
    return outcome(0);
}

SET(set_endpoint, s->endpoint = endpoint_of(ANY, "fe80::1%lo", "1", 0))
ACT(get_host_port,
        avs_net_resolved_endpoint_get_host_port(
                &s->endpoint, s->buffer, 64, s->port, sizeof(s->port)))

/* ------------------------------------------- statistics and captures --- */

static void set_directory(scene_t *s) {
    strcpy(s->directory, "/tmp/anjay-net-test-XXXXXX");
    CHECK(mkdtemp(s->directory) != NULL);
    snprintf(s->path, sizeof(s->path), "%s/file", s->directory);
}

static anjay_net_error_t get_stats(scene_t *s) {
    anjay_net_stats_t all = { .size = sizeof(all) };
    anjay_net_socket_stats_t own_stats = { .size = sizeof(own_stats) };
    CHECK_INT(0, anjay_net_get_stats(&all));
    return outcome(code_of(anjay_net_socket_get_stats(s->socket, &own_stats)));
}

static anjay_net_error_t stats_text(scene_t *s) {
    CHECK(anjay_net_stats_text(s->buffer, sizeof(s->buffer)) > 0);
    return outcome(0);
}

ACT(stats_write, outcome(code_of(anjay_net_stats_write(s->path))))

static anjay_net_error_t capture(scene_t *s) {
    int started = anjay_net_capture_start(s->path, NULL);
    return outcome(code_of(started ? started : anjay_net_capture_stop()));
}

/* ----------------------------------------------------------- table --- */

#define SCENE(Name, Set, Act, Before, After) { Name, Set, Act, NULL, Before, After, false }
#define WAITING(Name, Set, Act, When, Before, After) { Name, Set, Act, When, Before, After, false }
#define ASKING(Name, Set, Act, Before, After) { Name, Set, Act, NULL, Before, After, true }

const scene_kind_t SCENES[] = {
    SCENE("initialize and cleanup of the global state", set_nothing, initialize, NONE, NONE),
    SCENE("create, TCP", set_nothing, create_tcp, NONE, CLOSED),
    SCENE("create, UDP", set_nothing, create_udp, NONE, CLOSED),
    SCENE("connect, UDP", set_udp, connect_v4, CLOSED, CONNECTED),
    SCENE("connect, UDP, all configured", set_udp_configured, connect_v4, CLOSED, CONNECTED),
    SCENE("connect, UDP, IPv6 in brackets", set_udp_dual_stack, connect_v6_oddly, BOUND, CONNECTED),
    SCENE("connect, UDP, with a scope", set_udp_dual_stack, connect_link_local, BOUND, CONNECTED),
    SCENE("connect, UDP, bound", set_udp_bound, connect_v4, BOUND, CONNECTED),
    SCENE("connect, UDP, bound to IPv4, to IPv6", set_udp_bound_for_ipv6, connect_v6, BOUND,
            CONNECTED),
    ASKING("connect, UDP, to a name", set_udp, connect_name, CLOSED, CONNECTED),
    SCENE("connect, TCP", set_tcp, connect_v4, CLOSED, CONNECTED),
    SCENE("connect, TCP, all configured", set_tcp_configured, connect_v6, CLOSED, CONNECTED),
    ASKING("connect, TCP, to a name", set_tcp, connect_name, CLOSED, CONNECTED),
    SCENE("decorate", set_new_udp, decorate, CLOSED, CLOSED),
    SCENE("send, UDP", set_connected_udp, send_little, CONNECTED, CONNECTED),
    SCENE("send, TCP", set_connected_tcp, send_little, CONNECTED, CONNECTED),
    WAITING("send, TCP, waiting", set_connected_tcp, send_much, drain, CONNECTED, CONNECTED),
    SCENE("send_to, UDP", set_udp_anywhere, send_to_v4, BOUND, BOUND),
    SCENE("send_to, UDP, bound to IPv6, to IPv4", set_udp_bound_to_both, send_to_v4, BOUND, BOUND),
    ASKING("send_to, UDP, to a name", set_udp_bound_to_ipv4, send_to_name, BOUND, BOUND),
    SCENE("send_to, TCP", set_connected_tcp, send_to_v4, CONNECTED, CONNECTED),
    SCENE("receive, UDP", set_udp_with_a_message, receive, CONNECTED, CONNECTED),
    SCENE("receive, UDP, strangers sifted out", set_udp_to_sift, receive, CONNECTED, CONNECTED),
    WAITING("receive, UDP, waiting", set_udp_waiting, receive, arrive, CONNECTED, CONNECTED),
    WAITING("receive, UDP, bound, waiting", set_bound_udp_waiting, receive, arrive, BOUND, BOUND),
    SCENE("receive, TCP", set_tcp_with_a_message, receive, CONNECTED, CONNECTED),
    WAITING("receive, TCP, waiting", set_connected_tcp, receive, arrive, CONNECTED, CONNECTED),
    SCENE("receive_from, UDP", set_udp_with_a_message, receive_from, CONNECTED, CONNECTED),
    WAITING("receive_from, UDP, waiting", set_udp_waiting, receive_from, arrive, CONNECTED,
            CONNECTED),
    SCENE("receive_from, TCP", set_tcp_with_a_message, receive_from, CONNECTED, CONNECTED),
    SCENE("bind, UDP, anywhere", set_new_udp, bind_any, CLOSED, BOUND),
    SCENE("bind, UDP, anywhere, all configured", set_new_udp_configured, bind_any, CLOSED, BOUND),
    ASKING("bind, UDP, to a name", set_new_udp_ipv4, bind_name, CLOSED, BOUND),
    SCENE("bind, UDP, to IPv6", set_new_udp_configured, bind_v6, CLOSED, BOUND),
    SCENE("bind, TCP", set_new_tcp, bind_v4, CLOSED, BOUND),
    SCENE("bind, TCP, anywhere, all configured", set_new_tcp_configured, bind_any, CLOSED, BOUND),
    WAITING("accept, TCP", set_accept_tcp, accept_one, come, CLOSED, ACCEPTED),
    WAITING("accept, TCP, waiting", set_accept_tcp_waiting, accept_one, come, CLOSED, ACCEPTED),
    WAITING("accept, UDP", set_accept_udp, accept_one, arrive, CLOSED, ACCEPTED),
    WAITING("accept, UDP, waiting", set_accept_udp_waiting, accept_one, arrive, CLOSED, ACCEPTED),
    SCENE("close, UDP", set_connected_udp, close_it, CONNECTED, CLOSED),
    SCENE("close, TCP", set_connected_tcp, close_it, CONNECTED, CLOSED),
    SCENE("shutdown, UDP", set_connected_udp, shut_it_down, CONNECTED, SHUTDOWN),
    SCENE("shutdown, UDP, bound", set_udp_bound, shut_it_down, BOUND, SHUTDOWN),
    SCENE("shutdown, TCP", set_connected_tcp, shut_it_down, CONNECTED, SHUTDOWN),
    SCENE("shutdown, TCP, listening", set_listening, shut_it_down, BOUND, SHUTDOWN),
    SCENE("cleanup, UDP", set_connected_udp, clean_up, CONNECTED, NONE),
    SCENE("cleanup, TCP", set_connected_tcp, clean_up, CONNECTED, NONE),
    SCENE("get_system_socket", set_connected_udp, get_system_socket, CONNECTED, CONNECTED),
    SCENE("get_interface_name", set_connected_udp, get_interface_name, CONNECTED, CONNECTED),
    SCENE("get_remote_host, _hostname, _port", set_connected_udp, get_remote, CONNECTED, CONNECTED),
    SCENE("get_local_host", set_connected_udp, get_local_host, CONNECTED, CONNECTED),
    SCENE("get_local_port", set_connected_tcp, get_local_port, CONNECTED, CONNECTED),
    SCENE("get_opt, MTU", set_connected_udp, get_mtu, CONNECTED, CONNECTED),
    SCENE("get_opt, inner MTU", set_connected_udp, get_inner_mtu, CONNECTED, CONNECTED),
    SCENE("get_opt, all others", set_connected_udp, get_other_opts, CONNECTED, CONNECTED),
    SCENE("set_opt", set_new_udp, set_opts, CLOSED, CLOSED),
    SCENE("resolve_ex, an address", set_nothing, resolve_literal, NONE, NONE),
    SCENE("resolve_ex, the wildcard", set_nothing, resolve_wildcard, NONE, NONE),
    ASKING("resolve_ex, a name", set_nothing, resolve_name, NONE, NONE),
    SCENE("next, rewind, delete", set_list, walk_list, NONE, NONE),
    SCENE("anjay_net_get_stats", set_connected_udp, get_stats, CONNECTED, CONNECTED),
    SCENE("anjay_net_stats_text", set_nothing, stats_text, NONE, NONE),
    SCENE("anjay_net_stats_write", set_directory, stats_write, NONE, NONE),
    SCENE("anjay_net_capture", set_directory, capture, NONE, NONE),
    SCENE("get_host_port, with a scope", set_endpoint, get_host_port, NONE, NONE),
};

const size_t SCENE_COUNT = LEN(SCENES);
