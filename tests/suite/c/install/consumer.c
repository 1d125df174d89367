/*
 * What a user of the installed library writes: a datagram to oneself through
 * the v-table. C99 and C++.
 */

#include <anjay_net.h>
#include <anjay_net_abi.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static int is_ok(anjay_net_error_t error) {
    return error.code == ANJAY_NET_ERRNO_NO_ERROR;
}

/* Sends one datagram from `client` to `server`, which are not connected yet. */
static int talk(anjay_net_socket_t *server, anjay_net_socket_t *client) {
    const char text[] = "hello";
    char port[8];
    char buffer[sizeof(text)];
    size_t length = 0;
    if (!is_ok(server->operations->bind(server, "127.0.0.1", "0"))
            || !is_ok(server->operations->get_local_port(server, port, sizeof(port)))
            || !is_ok(client->operations->connect(client, "127.0.0.1", port))
            || !is_ok(client->operations->send(client, text, sizeof(text)))
            || !is_ok(server->operations->receive(server, &length, buffer, sizeof(buffer)))) {
        return -1;
    }
    return length == sizeof(text) && !memcmp(buffer, text, sizeof(text)) ? 0 : -1;
}

/* As avs_time does: Rust's archives bring some of the C library's mathematics
   along, and the linker may take them from ours. */
static int counts(void) {
    volatile double a = 7.5, b = 2.0;
    return fmod(a, b) == 1.5 && fma(a, b, 1.0) == 16.0 && pow(b, 3.0) == 8.0;
}

int main(void) {
    anjay_net_socket_t *server = NULL;
    anjay_net_socket_t *client = NULL;
    int result = -1;
    if (is_ok(_avs_net_create_udp_socket(&server, NULL))
            && is_ok(_avs_net_create_udp_socket(&client, NULL))) {
        result = talk(server, client);
    }
    if (server) {
        server->operations->cleanup(&server);
    }
    if (client) {
        client->operations->cleanup(&client);
    }
    printf("anjay-net %s\n", anjay_net_version());
    return result || !counts() ? 1 : 0;
}
