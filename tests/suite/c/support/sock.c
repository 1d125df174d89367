#include "sock.h"

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

config_t ipv4_config(void) {
    config_t config = default_config();
    config.address_family = ANJAY_NET_AF_INET4;
    return config;
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
    return socket;
}

sock_t *new_udp(const config_t *config) {
    return new_socket(ANJAY_NET_SOCKET_TYPE_UDP, config);
}

sock_t *new_tcp(const config_t *config) {
    return new_socket(ANJAY_NET_SOCKET_TYPE_TCP, config);
}

void dispose(sock_t **socket) {
    CHECK_OK(V(*socket)->cleanup(socket));
    CHECK(*socket == NULL);
}

sock_t *bound_udp(const char *address, const config_t *config) {
    sock_t *socket = new_udp(config);
    CHECK_OK(V(socket)->bind(socket, address, "0"));
    return socket;
}

sock_t *listening_tcp(const char *address, const config_t *config) {
    sock_t *socket = new_tcp(config);
    CHECK_OK(V(socket)->bind(socket, address, "0"));
    return socket;
}

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
    CHECK_OK(V(socket)->set_opt(
            socket, ANJAY_NET_SOCKET_OPT_RECV_TIMEOUT,
            duration_value(microseconds / 1000000,
                           (int32_t) (microseconds % 1000000) * 1000)));
}

int descriptor_of(sock_t *socket) {
    const int *descriptor = (const int *) V(socket)->get_system_socket(socket);
    return descriptor ? *descriptor : -1;
}

/* Each text gets a buffer of its own, used in turn. */
static char *next_buffer(size_t *size) {
    static char buffers[8][300];
    static unsigned next;
    *size = sizeof(buffers[0]);
    return buffers[next++ % LEN(buffers)];
}

const char *local_port(sock_t *socket) {
    size_t size;
    char *buffer = next_buffer(&size);
    CHECK_OK(V(socket)->get_local_port(socket, buffer, size));
    return buffer;
}

const char *local_host(sock_t *socket) {
    size_t size;
    char *buffer = next_buffer(&size);
    CHECK_OK(V(socket)->get_local_host(socket, buffer, size));
    return buffer;
}

const char *remote_port(sock_t *socket) {
    size_t size;
    char *buffer = next_buffer(&size);
    CHECK_OK(V(socket)->get_remote_port(socket, buffer, size));
    return buffer;
}

const char *remote_host(sock_t *socket) {
    size_t size;
    char *buffer = next_buffer(&size);
    CHECK_OK(V(socket)->get_remote_host(socket, buffer, size));
    return buffer;
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
