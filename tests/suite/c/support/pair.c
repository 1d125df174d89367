#include "pair.h"

sock_t *connected_pair(int type, peer_t *peer) {
    sock_t *socket = new_socket(type, NULL);
    if (type == ANJAY_NET_SOCKET_TYPE_TCP) {
        peer_t listener = peer_listen(AF_INET);
        CHECK_OK(V(socket)->connect(socket, "127.0.0.1", listener.port));
        *peer = peer_accept(&listener);
        peer_close(&listener);
    } else {
        *peer = peer_udp(AF_INET);
        CHECK_OK(V(socket)->connect(socket, "127.0.0.1", peer->port));
    }
    return socket;
}

sock_t *accepted_pair(int type, peer_t *peer) {
    config_t config = reuse_config();
    bool tcp = type == ANJAY_NET_SOCKET_TYPE_TCP;
    sock_t *server = new_socket(type, &config);
    sock_t *socket = new_socket(type, &config);
    CHECK_OK(V(server)->bind(server, "127.0.0.1", "0"));
    *peer = peer_connect(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM,
                         local_port(server));
    if (!tcp) {
        SYS(send(peer->fd, "hello", 5, 0));
    }
    CHECK_OK(V(server)->accept(server, socket));
    dispose(&server);
    if (!tcp) {
        expect_text(socket, "hello");
    }
    return socket;
}

void check_works(sock_t *socket, const peer_t *peer) {
    send_text(socket, "still here");
    peer_expect(peer, "still here");
}
