/*
 * A program that says which Anjay it is made of. The version comes from the
 * environment, so that one program can be many.
 */

#include "sock.h"

#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

const char *anjay_get_version(void);

const char *anjay_get_version(void) {
    return getenv("ANJAY_NET_TEST_VERSION");
}

#ifdef __cplusplus
}
#endif

TEST(sockets_are_made) {
    sock_t *socket;
    CHECK_OK(_avs_net_initialize_global_compat_state());
    socket = new_udp(NULL);
    CHECK_OK(V(socket)->bind(socket, "127.0.0.1", "0"));
    dispose(&socket);
    socket = new_tcp(NULL);
    dispose(&socket);
    _avs_net_cleanup_global_compat_state();
}

TEST(no_socket_is_made) {
    sock_t *socket = (sock_t *) &socket;
    CHECK_ERR(ENOEXEC, _avs_net_initialize_global_compat_state());
    CHECK_ERR(ENOEXEC, _avs_net_create_udp_socket(&socket, NULL));
    CHECK(socket == NULL);
    socket = (sock_t *) &socket;
    CHECK_ERR(ENOEXEC, _avs_net_create_tcp_socket(&socket, NULL));
    CHECK(socket == NULL);
    CHECK_ERR(ENOEXEC, _avs_net_initialize_global_compat_state());
}

/* Also when nobody initialises anything. */
TEST(no_socket_is_made_without_initialisation) {
    sock_t *socket = (sock_t *) &socket;
    CHECK_ERR(ENOEXEC, _avs_net_create_udp_socket(&socket, NULL));
    CHECK(socket == NULL);
}
