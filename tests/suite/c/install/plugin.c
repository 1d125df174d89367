/* A shared object that has the archive inside. */

#include <anjay_net_abi.h>

#include <stddef.h>

/* 0 when a socket can be made, bound by name and cleaned up. */
int plugin_use_socket(void);

int plugin_use_socket(void) {
    anjay_net_socket_t *socket = NULL;
    int result;
    if (_avs_net_create_udp_socket(&socket, NULL).code != ANJAY_NET_ERRNO_NO_ERROR) {
        return -1;
    }
    /* A name wakes the threads that look names up. */
    result = socket->operations->connect(socket, "localhost", "9").code;
    socket->operations->cleanup(&socket);
    return result;
}
