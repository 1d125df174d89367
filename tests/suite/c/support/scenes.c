#include "scenes.h"

#include "anjay_net.h"
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TCP ANJAY_NET_SOCKET_TYPE_TCP
#define UDP ANJAY_NET_SOCKET_TYPE_UDP

#define CLOSED ANJAY_NET_SOCKET_STATE_CLOSED
#define BOUND ANJAY_NET_SOCKET_STATE_BOUND
#define ACCEPTED ANJAY_NET_SOCKET_STATE_ACCEPTED
#define CONNECTED ANJAY_NET_SOCKET_STATE_CONNECTED
#define SHUTDOWN ANJAY_NET_SOCKET_STATE_SHUTDOWN

void scenes_enter_network(void) {
    sandbox_enter("127.0.0.1 server.test\n127.0.0.1 localhost\n", NULL);
}

void scene_begin(scene_t *scene, const scene_kind_t *kind) {
    memset(scene, 0, sizeof(*scene));
    scene->peer.fd = -1;
    scene->listener.fd = -1;
    kind->set(scene);
}

sock_t *scene_subject(const scene_t *scene) {
    return scene->other ? scene->other : scene->socket;
}

int scene_state(const scene_t *scene) {
    sock_t *subject = scene_subject(scene);
    return subject ? state_of(subject) : -1;
}

/* All that a configuration can ask for. */
static config_t full_config(void) {
    config_t config = reuse_config();
    config.dscp = 10;
    config.priority = 3;
    config.transparent = 1;
    strcpy(config.interface_name, "lo");
    return config;
}

static anjay_net_error_t outcome(unsigned code) {
    anjay_net_error_t error;
    error.category = ANJAY_NET_ERRNO_CATEGORY;
    error.code = (uint16_t) code;
    return error;
}

/* ---------------------------------------------------------- strike --- */

static void strike(scene_t *scene) {
    if (scene->socket) {
        dispose(&scene->socket);
    }
    if (scene->other) {
        dispose(&scene->other);
    }
    if (scene->peer.fd >= 0 && scene->peer.fd != scene->listener.fd) {
        peer_close(&scene->peer);
    }
    if (scene->listener.fd >= 0) {
        peer_close(&scene->listener);
    }
    if (scene->hole.filler_count > 0) {
        blackhole_close(&scene->hole);
    }
    avs_net_addrinfo_delete(&scene->list);
    if (scene->directory[0]) {
        /* Nothing else is in it. */
        (void) unlink(scene->path);
        SYS(rmdir(scene->directory));
    }
}

/* ---------------------------------------------------------- create --- */

static void set_nothing(scene_t *scene) {
    (void) scene;
}

static anjay_net_error_t create(scene_t *scene, int type) {
    config_t config = full_config();
    if (type == TCP) {
        return _avs_net_create_tcp_socket(&scene->socket, &config);
    }
    return _avs_net_create_udp_socket(&scene->socket, &config);
}

static anjay_net_error_t create_tcp(scene_t *scene) {
    return create(scene, TCP);
}

static anjay_net_error_t create_udp(scene_t *scene) {
    return create(scene, UDP);
}

static anjay_net_error_t initialize(scene_t *scene) {
    anjay_net_error_t error = _avs_net_initialize_global_compat_state();
    (void) scene;
    _avs_net_cleanup_global_compat_state();
    return error;
}

/* --------------------------------------------------------- connect --- */

static void set_udp_with(scene_t *scene, const config_t *config, int family) {
    scene->peer = peer_udp(family);
    strcpy(scene->port, scene->peer.port);
    scene->socket = new_udp(config);
}

static void set_udp(scene_t *scene) {
    config_t config = ipv4_config();
    set_udp_with(scene, &config, AF_INET);
}

static void set_udp_configured(scene_t *scene) {
    config_t config = full_config();
    set_udp_with(scene, &config, AF_INET);
}

static void set_udp_dual_stack(scene_t *scene) {
    config_t config = full_config();
    set_udp_with(scene, &config, AF_INET6);
    CHECK_OK(V(scene->socket)->bind(scene->socket, "::", "0"));
}

static void set_udp_bound(scene_t *scene) {
    config_t config = reuse_config();
    set_udp_with(scene, &config, AF_INET);
    CHECK_OK(V(scene->socket)->bind(scene->socket, "0.0.0.0", "0"));
}

static void set_udp_bound_to_ipv4(scene_t *scene) {
    set_udp(scene);
    CHECK_OK(V(scene->socket)->bind(scene->socket, "127.0.0.1", "0"));
}

static void set_udp_bound_for_ipv6(scene_t *scene) {
    set_udp_with(scene, NULL, AF_INET6);
    CHECK_OK(V(scene->socket)->bind(scene->socket, "0.0.0.0", "0"));
}

static void set_tcp(scene_t *scene) {
    config_t config = ipv4_config();
    scene->listener = peer_listen(AF_INET);
    strcpy(scene->port, scene->listener.port);
    scene->socket = new_tcp(&config);
}

static void set_tcp_configured(scene_t *scene) {
    config_t config = full_config();
    scene->listener = peer_listen(AF_INET6);
    strcpy(scene->port, scene->listener.port);
    scene->socket = new_tcp(&config);
}

static anjay_net_error_t connect_v4(scene_t *scene) {
    return V(scene->socket)->connect(scene->socket, "127.0.0.1", scene->port);
}

static anjay_net_error_t connect_v6(scene_t *scene) {
    return V(scene->socket)->connect(scene->socket, "::1", scene->port);
}

static anjay_net_error_t connect_v6_oddly(scene_t *scene) {
    return V(scene->socket)->connect(scene->socket, "[0::0:1]", scene->port);
}

static anjay_net_error_t connect_link_local(scene_t *scene) {
    return V(scene->socket)->connect(scene->socket, "::1%lo", scene->port);
}

static anjay_net_error_t connect_name(scene_t *scene) {
    return V(scene->socket)->connect(scene->socket, "server.test", scene->port);
}

/* ------------------------------------------------------------ bind --- */

static void set_new_udp(scene_t *scene) {
    scene->socket = new_udp(NULL);
}

static void set_new_tcp(scene_t *scene) {
    scene->socket = new_tcp(NULL);
}

static void set_new_udp_configured(scene_t *scene) {
    config_t config = full_config();
    scene->socket = new_udp(&config);
}

static void set_new_tcp_configured(scene_t *scene) {
    config_t config = full_config();
    scene->socket = new_tcp(&config);
}

static void set_new_udp_ipv4(scene_t *scene) {
    config_t config = ipv4_config();
    scene->socket = new_udp(&config);
}

static anjay_net_error_t bind_any(scene_t *scene) {
    return V(scene->socket)->bind(scene->socket, NULL, NULL);
}

static anjay_net_error_t bind_v4(scene_t *scene) {
    return V(scene->socket)->bind(scene->socket, "127.0.0.1", "0");
}

static anjay_net_error_t bind_v6(scene_t *scene) {
    return V(scene->socket)->bind(scene->socket, "::1", "0");
}

static anjay_net_error_t bind_name(scene_t *scene) {
    return V(scene->socket)->bind(scene->socket, "server.test", "0");
}

/* ------------------------------------------------------------ send --- */

/* More than the buffers on the way hold. */
static char bulk[8 * 1024 * 1024];

static void set_connected_udp(scene_t *scene) {
    scene->socket = connected_pair(UDP, &scene->peer);
}

static void set_connected_tcp(scene_t *scene) {
    scene->socket = connected_pair(TCP, &scene->peer);
    SYS(fcntl(scene->peer.fd, F_SETFL, O_NONBLOCK));
}

static void set_udp_anywhere(scene_t *scene) {
    config_t config = default_config();
    set_udp_with(scene, &config, AF_INET);
    CHECK_OK(V(scene->socket)->bind(scene->socket, NULL, NULL));
}

static void set_udp_bound_to_both(scene_t *scene) {
    set_udp_with(scene, NULL, AF_INET);
    CHECK_OK(V(scene->socket)->bind(scene->socket, "::", "0"));
}

static anjay_net_error_t send_little(scene_t *scene) {
    return V(scene->socket)->send(scene->socket, "message", 7);
}

static anjay_net_error_t send_much(scene_t *scene) {
    return V(scene->socket)->send(scene->socket, bulk, sizeof(bulk));
}

static void drain(scene_t *scene) {
    static char sink[1024 * 1024];
    while (recv(scene->peer.fd, sink, sizeof(sink), MSG_DONTWAIT) > 0) {
    }
}

static anjay_net_error_t send_to_v4(scene_t *scene) {
    return V(scene->socket)->send_to(scene->socket, "message", 7, "127.0.0.1",
                                     scene->port);
}

static anjay_net_error_t send_to_name(scene_t *scene) {
    return V(scene->socket)->send_to(scene->socket, "message", 7, "server.test",
                                     scene->port);
}

/* --------------------------------------------------------- receive --- */

static void arrive(scene_t *scene) {
    SYS(send(scene->peer.fd, "message", 7, 0));
}

/* The peer of a UDP socket sends to it. */
static void know_each_other(scene_t *scene) {
    struct sockaddr_storage address;
    socklen_t size = make_address(&address, scene->peer.host,
                                  atoi(local_port(scene->socket)));
    SYS(connect(scene->peer.fd, (struct sockaddr *) &address, size));
}

static void set_udp_waiting(scene_t *scene) {
    set_connected_udp(scene);
    know_each_other(scene);
}

static void set_udp_with_a_message(scene_t *scene) {
    set_udp_waiting(scene);
    arrive(scene);
}

/* It was bound before it was connected, so what is queued is sifted. */
static void set_udp_to_sift(scene_t *scene) {
    peer_t stranger = peer_udp(AF_INET);
    set_udp_bound(scene);
    peer_send_to(&stranger, local_port(scene->socket), "stranger", 8);
    CHECK_OK(connect_v4(scene));
    know_each_other(scene);
    arrive(scene);
    peer_close(&stranger);
}

static void set_bound_udp_waiting(scene_t *scene) {
    set_udp_bound(scene);
    know_each_other(scene);
}

static void set_tcp_with_a_message(scene_t *scene) {
    set_connected_tcp(scene);
    arrive(scene);
    /* As it is there at once otherwise, but for a busy machine. */
    CHECK(wait_for(descriptor_of(scene->socket), POLLIN, 10000));
}

static anjay_net_error_t receive(scene_t *scene) {
    anjay_net_error_t error =
            V(scene->socket)->receive(scene->socket, &scene->length,
                                      scene->buffer, sizeof(scene->buffer));
    CHECK_INT(error.code ? 0 : 7, scene->length);
    return error;
}

static anjay_net_error_t receive_from(scene_t *scene) {
    char host[64];
    char port[8];
    anjay_net_error_t error = V(scene->socket)->receive_from(
            scene->socket, &scene->length, scene->buffer, sizeof(scene->buffer),
            host, sizeof(host), port, sizeof(port));
    CHECK_INT(error.code ? 0 : 7, scene->length);
    if (error.code == 0) {
        CHECK_STR(scene->peer.host, host);
    }
    return error;
}

/* ---------------------------------------------------------- accept --- */

static void come(scene_t *scene) {
    if (scene->peer.fd >= 0) {
        peer_close(&scene->peer);
    }
    scene->peer = peer_connect(AF_INET, SOCK_STREAM, local_port(scene->socket));
}

static void set_accept_tcp_waiting(scene_t *scene) {
    config_t config = full_config();
    scene->socket = listening_tcp("127.0.0.1", NULL);
    scene->other = new_tcp(&config);
}

static void set_accept_tcp(scene_t *scene) {
    set_accept_tcp_waiting(scene);
    come(scene);
}

static void set_accept_udp_waiting(scene_t *scene) {
    config_t config = reuse_config();
    config_t full = full_config();
    set_udp_with(scene, &config, AF_INET);
    CHECK_OK(V(scene->socket)->bind(scene->socket, "127.0.0.1", "0"));
    know_each_other(scene);
    scene->other = new_udp(&full);
}

static void set_accept_udp(scene_t *scene) {
    set_accept_udp_waiting(scene);
    arrive(scene);
}

static anjay_net_error_t accept_one(scene_t *scene) {
    return V(scene->socket)->accept(scene->socket, scene->other);
}

/* ----------------------------------------------------- end and info --- */

static anjay_net_error_t close_it(scene_t *scene) {
    return V(scene->socket)->close(scene->socket);
}

static anjay_net_error_t shut_it_down(scene_t *scene) {
    return V(scene->socket)->shutdown(scene->socket);
}

static anjay_net_error_t clean_up(scene_t *scene) {
    return V(scene->socket)->cleanup(&scene->socket);
}

static void set_listening(scene_t *scene) {
    scene->socket = listening_tcp("127.0.0.1", NULL);
}

static anjay_net_error_t decorate(scene_t *scene) {
    anjay_net_error_t error = V(scene->socket)->decorate(scene->socket, NULL);
    CHECK_ERR(ENOTSUP, error);
    return outcome(0);
}

static anjay_net_error_t get_system_socket(scene_t *scene) {
    CHECK(V(scene->socket)->get_system_socket(scene->socket) != NULL);
    return outcome(0);
}

static anjay_net_error_t get_interface_name(scene_t *scene) {
    char name[ANJAY_NET_IF_NAMESIZE];
    return V(scene->socket)->get_interface_name(scene->socket, name);
}

typedef anjay_net_error_t (*getter_t)(sock_t *, char *, size_t);

static anjay_net_error_t get_text(scene_t *scene, getter_t getter) {
    char text[64];
    return getter(scene->socket, text, sizeof(text));
}

static anjay_net_error_t get_remote(scene_t *scene) {
    CHECK_OK(get_text(scene, V(scene->socket)->get_remote_host));
    CHECK_OK(get_text(scene, V(scene->socket)->get_remote_hostname));
    return get_text(scene, V(scene->socket)->get_remote_port);
}

static anjay_net_error_t get_local_host(scene_t *scene) {
    return get_text(scene, V(scene->socket)->get_local_host);
}

static anjay_net_error_t get_local_port(scene_t *scene) {
    return get_text(scene, V(scene->socket)->get_local_port);
}

static anjay_net_error_t get_one_opt(scene_t *scene, int key) {
    value_t value;
    return V(scene->socket)->get_opt(scene->socket, key, &value);
}

static anjay_net_error_t get_mtu(scene_t *scene) {
    return get_one_opt(scene, ANJAY_NET_SOCKET_OPT_MTU);
}

static anjay_net_error_t get_inner_mtu(scene_t *scene) {
    return get_one_opt(scene, ANJAY_NET_SOCKET_OPT_INNER_MTU);
}

static anjay_net_error_t get_other_opts(scene_t *scene) {
    CHECK_OK(get_one_opt(scene, ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT));
    CHECK_OK(get_one_opt(scene, ANJAY_NET_SOCKET_OPT_STATE));
    CHECK_OK(get_one_opt(scene, ANJAY_NET_SOCKET_OPT_ADDR_FAMILY));
    CHECK_OK(get_one_opt(scene, ANJAY_NET_SOCKET_OPT_BYTES_SENT));
    CHECK_OK(get_one_opt(scene, ANJAY_NET_SOCKET_OPT_BYTES_RECEIVED));
    CHECK_OK(get_one_opt(scene, ANJAY_NET_SOCKET_OPT_HAS_BUFFERED_DATA));
    CHECK_OK(get_one_opt(scene, ANJAY_NET_SOCKET_OPT_PREFERRED_ADDR_FAMILY));
    return get_one_opt(scene, ANJAY_NET_SOCKET_OPT_FORCED_ADDR_FAMILY);
}

static anjay_net_error_t set_opts(scene_t *scene) {
    sock_t *socket = scene->socket;
    /* One that only fits where rare things are kept. */
    CHECK_OK(V(socket)->set_opt(socket, ANJAY_NET_SOCKET_OPT_PREFERRED_ADDR_FAMILY,
                                family_value(ANJAY_NET_AF_INET4)));
    CHECK_OK(V(socket)->set_opt(socket, ANJAY_NET_SOCKET_OPT_FORCED_ADDR_FAMILY,
                                family_value(ANJAY_NET_AF_INET4)));
    return V(socket)->set_opt(socket, ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT,
                              duration_value(-7, 5));
}

/* ------------------------------------------------------ address lists --- */

static anjay_net_error_t resolve(scene_t *scene, const char *host, int flags) {
    scene->list = avs_net_addrinfo_resolve_ex(UDP, ANJAY_NET_AF_INET4, host, "1",
                                              flags, NULL);
    return outcome(scene->list ? 0 : ANJAY_NET_ERRNO_UNKNOWN_ERROR);
}

static anjay_net_error_t resolve_literal(scene_t *scene) {
    return resolve(scene, "127.0.0.1", 0);
}

static anjay_net_error_t resolve_wildcard(scene_t *scene) {
    return resolve(scene, NULL, ANJAY_NET_ADDRINFO_RESOLVE_F_PASSIVE);
}

static anjay_net_error_t resolve_name(scene_t *scene) {
    return resolve(scene, "server.test", 0);
}

static void set_list(scene_t *scene) {
    CHECK_OK(resolve_literal(scene));
}

static anjay_net_error_t walk_list(scene_t *scene) {
    CHECK_INT(0, avs_net_addrinfo_next(scene->list, &scene->endpoint));
    CHECK_INT(1, avs_net_addrinfo_next(scene->list, &scene->endpoint));
    avs_net_addrinfo_rewind(scene->list);
    CHECK_INT(0, avs_net_addrinfo_next(scene->list, &scene->endpoint));
    avs_net_addrinfo_delete(&scene->list);
    return outcome(0);
}

static void set_endpoint(scene_t *scene) {
    anjay_net_addrinfo_t *list = avs_net_addrinfo_resolve_ex(
            UDP, ANJAY_NET_AF_UNSPEC, "fe80::1%lo", "1", 0, NULL);
    CHECK_INT(0, avs_net_addrinfo_next(list, &scene->endpoint));
    avs_net_addrinfo_delete(&list);
}

static anjay_net_error_t endpoint_text(scene_t *scene) {
    char host[64];
    char port[8];
    return avs_net_resolved_endpoint_get_host_port(
            &scene->endpoint, host, sizeof(host), port, sizeof(port));
}

/* ------------------------------------------- statistics and captures --- */

static void set_directory(scene_t *scene) {
    strcpy(scene->directory, "/tmp/anjay-net-test-XXXXXX");
    CHECK(mkdtemp(scene->directory) != NULL);
    snprintf(scene->path, sizeof(scene->path), "%s/file", scene->directory);
}

static anjay_net_error_t status(int error) {
    switch (error) {
    case 0:
        return outcome(0);
    case ENOBUFS:
        return outcome(ANJAY_NET_ERRNO_ENOBUFS);
    case ENOMEM:
        return outcome(ANJAY_NET_ERRNO_ENOMEM);
    case EMFILE:
        return outcome(ANJAY_NET_ERRNO_EMFILE);
    case ENFILE:
        return outcome(ANJAY_NET_ERRNO_ENFILE);
    case ENETDOWN:
        return outcome(ANJAY_NET_ERRNO_ENETDOWN);
    case EHOSTUNREACH:
        return outcome(ANJAY_NET_ERRNO_EHOSTUNREACH);
    case EPERM:
        return outcome(ANJAY_NET_ERRNO_EPERM);
    default:
        return outcome(ANJAY_NET_ERRNO_UNKNOWN_ERROR);
    }
}

static anjay_net_error_t get_stats(scene_t *scene) {
    anjay_net_stats_t all;
    anjay_net_socket_stats_t own;
    all.size = sizeof(all);
    own.size = sizeof(own);
    CHECK_INT(0, anjay_net_get_stats(&all));
    return status(anjay_net_socket_get_stats(scene->socket, &own));
}

static anjay_net_error_t stats_text(scene_t *scene) {
    CHECK(anjay_net_stats_text(scene->buffer, sizeof(scene->buffer)) > 0);
    return outcome(0);
}

static anjay_net_error_t stats_write(scene_t *scene) {
    return status(anjay_net_stats_write(scene->path));
}

static anjay_net_error_t capture(scene_t *scene) {
    int started = anjay_net_capture_start(scene->path, NULL);
    return status(started ? started : anjay_net_capture_stop());
}

/* ----------------------------------------------------------- table --- */

#define SCENE(Name, Set, Act, Before, After) \
    { Name, Set, Act, NULL, strike, Before, After, false, false }
#define WAITING(Name, Set, Act, When, Before, After) \
    { Name, Set, Act, When, strike, Before, After, false, false }
#define ASKING(Name, Set, Act, Before, After) \
    { Name, Set, Act, NULL, strike, Before, After, true, false }
#define LATE(Name, Set, Act, Before, After) \
    { Name, Set, Act, NULL, strike, Before, After, false, true }

const scene_kind_t SCENES[] = {
    SCENE("initialize and cleanup of the global state", set_nothing, initialize,
          -1, -1),
    SCENE("create, TCP", set_nothing, create_tcp, -1, CLOSED),
    SCENE("create, UDP", set_nothing, create_udp, -1, CLOSED),
    SCENE("connect, UDP", set_udp, connect_v4, CLOSED, CONNECTED),
    SCENE("connect, UDP, all configured", set_udp_configured, connect_v4, CLOSED,
          CONNECTED),
    SCENE("connect, UDP, IPv6 in brackets", set_udp_dual_stack, connect_v6_oddly,
          BOUND, CONNECTED),
    SCENE("connect, UDP, with a scope", set_udp_dual_stack, connect_link_local,
          BOUND, CONNECTED),
    SCENE("connect, UDP, bound", set_udp_bound, connect_v4, BOUND, CONNECTED),
    SCENE("connect, UDP, bound to IPv4, to IPv6", set_udp_bound_for_ipv6,
          connect_v6, BOUND, CONNECTED),
    ASKING("connect, UDP, to a name", set_udp, connect_name, CLOSED, CONNECTED),
    SCENE("connect, TCP", set_tcp, connect_v4, CLOSED, CONNECTED),
    SCENE("connect, TCP, all configured", set_tcp_configured, connect_v6, CLOSED,
          CONNECTED),
    LATE("connect, TCP, answered late", set_tcp, connect_v4, CLOSED, CONNECTED),
    ASKING("connect, TCP, to a name", set_tcp, connect_name, CLOSED, CONNECTED),
    SCENE("decorate", set_new_udp, decorate, CLOSED, CLOSED),
    SCENE("send, UDP", set_connected_udp, send_little, CONNECTED, CONNECTED),
    SCENE("send, TCP", set_connected_tcp, send_little, CONNECTED, CONNECTED),
    WAITING("send, TCP, waiting", set_connected_tcp, send_much, drain, CONNECTED,
            CONNECTED),
    SCENE("send_to, UDP", set_udp_anywhere, send_to_v4, BOUND, BOUND),
    SCENE("send_to, UDP, bound to IPv6, to IPv4", set_udp_bound_to_both, send_to_v4,
          BOUND, BOUND),
    ASKING("send_to, UDP, to a name", set_udp_bound_to_ipv4, send_to_name, BOUND, BOUND),
    SCENE("send_to, TCP", set_connected_tcp, send_to_v4, CONNECTED, CONNECTED),
    SCENE("receive, UDP", set_udp_with_a_message, receive, CONNECTED, CONNECTED),
    SCENE("receive, UDP, strangers sifted out", set_udp_to_sift, receive,
          CONNECTED, CONNECTED),
    WAITING("receive, UDP, waiting", set_udp_waiting, receive, arrive, CONNECTED,
            CONNECTED),
    WAITING("receive, UDP, bound, waiting", set_bound_udp_waiting, receive,
            arrive, BOUND, BOUND),
    SCENE("receive, TCP", set_tcp_with_a_message, receive, CONNECTED, CONNECTED),
    WAITING("receive, TCP, waiting", set_connected_tcp, receive, arrive,
            CONNECTED, CONNECTED),
    SCENE("receive_from, UDP", set_udp_with_a_message, receive_from, CONNECTED,
          CONNECTED),
    WAITING("receive_from, UDP, waiting", set_udp_waiting, receive_from, arrive,
            CONNECTED, CONNECTED),
    SCENE("receive_from, TCP", set_tcp_with_a_message, receive_from, CONNECTED,
          CONNECTED),
    SCENE("bind, UDP, anywhere", set_new_udp, bind_any, CLOSED, BOUND),
    SCENE("bind, UDP, anywhere, all configured", set_new_udp_configured, bind_any, CLOSED,
          BOUND),
    ASKING("bind, UDP, to a name", set_new_udp_ipv4, bind_name, CLOSED, BOUND),
    SCENE("bind, UDP, to IPv6", set_new_udp_configured, bind_v6, CLOSED, BOUND),
    SCENE("bind, TCP", set_new_tcp, bind_v4, CLOSED, BOUND),
    SCENE("bind, TCP, anywhere, all configured", set_new_tcp_configured, bind_any, CLOSED,
          BOUND),
    WAITING("accept, TCP", set_accept_tcp, accept_one, come, CLOSED, ACCEPTED),
    WAITING("accept, TCP, waiting", set_accept_tcp_waiting, accept_one, come,
            CLOSED, ACCEPTED),
    WAITING("accept, UDP", set_accept_udp, accept_one, arrive, CLOSED, ACCEPTED),
    WAITING("accept, UDP, waiting", set_accept_udp_waiting, accept_one, arrive,
            CLOSED, ACCEPTED),
    SCENE("close, UDP", set_connected_udp, close_it, CONNECTED, CLOSED),
    SCENE("close, TCP", set_connected_tcp, close_it, CONNECTED, CLOSED),
    SCENE("shutdown, UDP", set_connected_udp, shut_it_down, CONNECTED, SHUTDOWN),
    SCENE("shutdown, UDP, bound", set_udp_bound, shut_it_down, BOUND, SHUTDOWN),
    SCENE("shutdown, TCP", set_connected_tcp, shut_it_down, CONNECTED, SHUTDOWN),
    SCENE("shutdown, TCP, listening", set_listening, shut_it_down, BOUND,
          SHUTDOWN),
    SCENE("cleanup, UDP", set_connected_udp, clean_up, CONNECTED, -1),
    SCENE("cleanup, TCP", set_connected_tcp, clean_up, CONNECTED, -1),
    SCENE("get_system_socket", set_connected_udp, get_system_socket, CONNECTED,
          CONNECTED),
    SCENE("get_interface_name", set_connected_udp, get_interface_name, CONNECTED,
          CONNECTED),
    SCENE("get_remote_host, _hostname, _port", set_connected_udp, get_remote,
          CONNECTED, CONNECTED),
    SCENE("get_local_host", set_connected_udp, get_local_host, CONNECTED,
          CONNECTED),
    SCENE("get_local_port", set_connected_tcp, get_local_port, CONNECTED,
          CONNECTED),
    SCENE("get_opt, MTU", set_connected_udp, get_mtu, CONNECTED, CONNECTED),
    SCENE("get_opt, inner MTU", set_connected_udp, get_inner_mtu, CONNECTED,
          CONNECTED),
    SCENE("get_opt, all others", set_connected_udp, get_other_opts, CONNECTED,
          CONNECTED),
    SCENE("set_opt", set_new_udp, set_opts, CLOSED, CLOSED),
    SCENE("resolve_ex, an address", set_nothing, resolve_literal, -1, -1),
    SCENE("resolve_ex, the wildcard", set_nothing, resolve_wildcard, -1, -1),
    ASKING("resolve_ex, a name", set_nothing, resolve_name, -1, -1),
    SCENE("next, rewind, delete", set_list, walk_list, -1, -1),
    SCENE("anjay_net_get_stats", set_connected_udp, get_stats, CONNECTED,
          CONNECTED),
    SCENE("anjay_net_stats_text", set_nothing, stats_text, -1, -1),
    SCENE("anjay_net_stats_write", set_directory, stats_write, -1, -1),
    SCENE("anjay_net_capture", set_directory, capture, -1, -1),
    SCENE("get_host_port, with a scope", set_endpoint, endpoint_text, -1, -1),
};

const size_t SCENE_COUNT = LEN(SCENES);
