/* Two Rust archives in one program, both of which unwind when they panic. */

#include <anjay_net.h>
#include <anjay_net_abi.h>

#include <stddef.h>

unsigned other_archive_length(unsigned count);

int main(void) {
    anjay_net_socket_t *socket = NULL;
    if (_avs_net_create_tcp_socket(&socket, NULL).code != ANJAY_NET_ERRNO_NO_ERROR) {
        return 1;
    }
    socket->operations->cleanup(&socket);
    if (other_archive_length(5) != 5 || other_archive_length(0) != 7) {
        return 2;
    }
    return anjay_net_version() ? 0 : 3;
}
