/* Uses everything that avs_commons links against, and thereby all methods. */
#include "anjay_net_abi.h"
int main(void) {
    anjay_net_socket_t *socket = 0;
    anjay_net_resolved_endpoint_t endpoint;
    char host[64], port[8];
    anjay_net_addrinfo_t *list;
    _avs_net_initialize_global_compat_state();
    _avs_net_create_tcp_socket(&socket, 0);
    socket->operations->cleanup(&socket);
    _avs_net_create_udp_socket(&socket, 0);
    socket->operations->cleanup(&socket);
    list = avs_net_addrinfo_resolve_ex(1, 0, "localhost", "5683", 0, 0);
    avs_net_addrinfo_next(list, &endpoint);
    avs_net_addrinfo_rewind(list);
    avs_net_resolved_endpoint_get_host_port(&endpoint, host, sizeof(host),
                                            port, sizeof(port));
    avs_net_addrinfo_delete(&list);
    _avs_net_cleanup_global_compat_state();
    return 0;
}
