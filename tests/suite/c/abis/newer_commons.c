/*
 * A program with avs_commons 5.1 or newer and DTLS, but without Anjay.
 */

#include "sock.h"

typedef struct {
    anjay_net_duration_t min;
    anjay_net_duration_t max;
} handshake_timeouts_t;

#ifdef __cplusplus
extern "C"
#else
extern
#endif
const handshake_timeouts_t AVS_NET_SOCKET_DEFAULT_DTLS_HANDSHAKE_TIMEOUTS;

const handshake_timeouts_t AVS_NET_SOCKET_DEFAULT_DTLS_HANDSHAKE_TIMEOUTS = {
    { 1, 0 }, { 60, 0 }
};

TEST(sockets_are_made) {
    sock_t *socket;
    CHECK_OK(_avs_net_initialize_global_compat_state());
    socket = new_udp(NULL);
    dispose(&socket);
}

TEST(no_socket_is_made) {
    sock_t *socket = NULL;
    CHECK_ERR(ENOEXEC, _avs_net_initialize_global_compat_state());
    CHECK_ERR(ENOEXEC, _avs_net_create_udp_socket(&socket, NULL));
    CHECK(socket == NULL);
}
