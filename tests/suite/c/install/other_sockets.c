/*
 * Stands for a socket implementation that is part of avs_commons' archive: it
 * makes no socket.
 */

#include <anjay_net_abi.h>

anjay_net_error_t _avs_net_create_udp_socket(anjay_net_socket_t **out, const void *configuration) {
    const anjay_net_error_t refused = { ANJAY_NET_ERRNO_CATEGORY, ANJAY_NET_ERRNO_EPERM };
    (void) configuration;
    *out = NULL;
    return refused;
}
