#include "sock.h"

#include <sys/socket.h>

config_t default_config(void) {
    config_t config;
    memset(&config, 0, sizeof(config));
    return config;
}

config_t reuse_config(void) {
    config_t config = default_config();
    config.reuse_addr = 1;
    return config;
}

config_t tied_config(const char *interface) {
    config_t config = reuse_config();
    strcpy(config.interface_name, interface);
    return config;
}

config_t ipv4_config(void) {
    config_t config = default_config();
    config.address_family = ANJAY_NET_AF_INET4;
    return config;
}

static void end_socket(void *arg) {
    sock_t *socket = (sock_t *) arg;
    dispose(&socket);
}

void own(sock_t *socket) {
    defer(end_socket, socket);
}

void disown(sock_t *socket) {
    undefer(end_socket, socket);
}

sock_t *new_socket(int type, const config_t *config) {
    sock_t *socket = NULL;
    if (type == ANJAY_NET_SOCKET_TYPE_TCP) {
        CHECK_OK(_avs_net_create_tcp_socket(&socket, config));
    } else {
        CHECK_OK(_avs_net_create_udp_socket(&socket, config));
    }
    CHECK(socket != NULL);
    CHECK(V(socket) != NULL);
    own(socket);
    return socket;
}

sock_t *new_udp(const config_t *config) {
    return new_socket(ANJAY_NET_SOCKET_TYPE_UDP, config);
}

sock_t *new_tcp(const config_t *config) {
    return new_socket(ANJAY_NET_SOCKET_TYPE_TCP, config);
}

void dispose(sock_t **socket) {
    disown(*socket);
    CHECK_OK(V(*socket)->cleanup(socket));
    CHECK(*socket == NULL);
}

sock_t *bound_socket(int type, const char *address, const config_t *config) {
    sock_t *socket = new_socket(type, config);
    CHECK_OK(V(socket)->bind(socket, address, "0"));
    return socket;
}

sock_t *bound_udp(const char *address, const config_t *config) {
    return bound_socket(ANJAY_NET_SOCKET_TYPE_UDP, address, config);
}

sock_t *listening_tcp(const char *address, const config_t *config) {
    return bound_socket(ANJAY_NET_SOCKET_TYPE_TCP, address, config);
}

sock_t *udp_server(const char *address) {
    config_t config = reuse_config();
    sock_t *server = bound_udp(address, &config);
    set_timeout_us(server, MS(5000));
    return server;
}

sock_t *udp_target(void) {
    config_t config = reuse_config();
    sock_t *socket = new_udp(&config);
    set_timeout_us(socket, MS(5000));
    return socket;
}

const udp_place_t UDP_PLACES[5] = { { "127.0.0.1", AF_INET }, { "0.0.0.0", AF_INET },
    { "::1", AF_INET6 }, { "::", AF_INET6 }, { "::", AF_INET } };

value_t get_opt(sock_t *socket, int key) {
    value_t value;
    memset(&value, 0, sizeof(value));
    CHECK_OK(V(socket)->get_opt(socket, key, &value));
    return value;
}

int state_of(sock_t *socket) {
    return get_opt(socket, ANJAY_NET_SOCKET_OPT_STATE).state;
}

uint64_t bytes_sent(sock_t *socket) {
    return get_opt(socket, ANJAY_NET_SOCKET_OPT_BYTES_SENT).bytes_sent;
}

uint64_t bytes_received(sock_t *socket) {
    return get_opt(socket, ANJAY_NET_SOCKET_OPT_BYTES_RECEIVED).bytes_received;
}

value_t duration_value(int64_t seconds, int32_t nanoseconds) {
    value_t value;
    memset(&value, 0, sizeof(value));
    value.recv_timeout.seconds = seconds;
    value.recv_timeout.nanoseconds = nanoseconds;
    return value;
}

value_t family_value(int family) {
    value_t value;
    memset(&value, 0, sizeof(value));
    value.addr_family = family;
    return value;
}

void set_timeout_us(sock_t *socket, int64_t microseconds) {
    CHECK_OK(V(socket)->set_opt(socket, ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT,
            duration_value(microseconds / 1000000, (int32_t) (microseconds % 1000000) * 1000)));
}

anjay_net_stats_t process_stats(void) {
    anjay_net_stats_t stats;
    memset(&stats, 0xff, sizeof(stats));
    stats.size = sizeof(stats);
    CHECK_INT(0, anjay_net_get_stats(&stats));
    CHECK_INT(sizeof(stats), stats.size);
    return stats;
}

anjay_net_socket_stats_t stats_of(const void *socket_or_wrapper) {
    anjay_net_socket_stats_t stats;
    memset(&stats, 0xff, sizeof(stats));
    stats.size = sizeof(stats);
    CHECK_INT(0, anjay_net_socket_get_stats(socket_or_wrapper, &stats));
    CHECK_INT(sizeof(stats), stats.size);
    return stats;
}

int descriptor_of(sock_t *socket) {
    const int *descriptor = (const int *) V(socket)->get_system_socket(socket);
    return descriptor ? *descriptor : -1;
}

getter_t getter_of(sock_t *socket, int index) {
    const getter_t getters[GETTERS] = { V(socket)->get_remote_host, V(socket)->get_remote_hostname,
        V(socket)->get_remote_port, V(socket)->get_local_host, V(socket)->get_local_port };
    return getters[index];
}

/* Each text gets a buffer of its own, used in turn. */
static const char *text_of(sock_t *socket, getter_t getter) {
    static char buffers[8][300];
    static unsigned next;
    char *buffer = buffers[next++ % LEN(buffers)];
    CHECK_OK(getter(socket, buffer, sizeof(buffers[0])));
    return buffer;
}

const char *local_port(sock_t *socket) {
    return text_of(socket, V(socket)->get_local_port);
}

const char *local_host(sock_t *socket) {
    return text_of(socket, V(socket)->get_local_host);
}

const char *remote_port(sock_t *socket) {
    return text_of(socket, V(socket)->get_remote_port);
}

const char *remote_host(sock_t *socket) {
    return text_of(socket, V(socket)->get_remote_host);
}

const char *remote_hostname(sock_t *socket) {
    return text_of(socket, V(socket)->get_remote_hostname);
}

void send_text(sock_t *socket, const char *text) {
    CHECK_OK(V(socket)->send(socket, text, strlen(text)));
}

void expect_text(sock_t *socket, const char *text) {
    char buffer[2048];
    size_t length = 0;
    CHECK_OK(V(socket)->receive(socket, &length, buffer, sizeof(buffer) - 1));
    CHECK(length < sizeof(buffer));
    buffer[length] = '\0';
    CHECK_STR(text, buffer);
}
