/* A shared object that has the archive inside. */

#include <anjay_net_abi.h>

#include <stddef.h>

/* 0 when a socket can be made, bound and cleaned up. */
int plugin_use_socket(void);

int plugin_use_socket(void) {
    anjay_net_socket_t *socket = NULL;
    anjay_net_error_t error;
    if (_avs_net_create_udp_socket(&socket, NULL).code != ANJAY_NET_ERRNO_NO_ERROR) {
        return -1;
    }
    /* A name starts a thread that looks it up, whether it is known or not. */
    socket->operations->connect(socket, "localhost", "9");
    socket->operations->close(socket);
    error = socket->operations->bind(socket, "127.0.0.1", "0");
    socket->operations->cleanup(&socket);
    return error.code;
}
