#include "pair.h"

#define TCP ANJAY_NET_SOCKET_TYPE_TCP

int raw_type(int type) {
    return type == TCP ? SOCK_STREAM : SOCK_DGRAM;
}

peer_t peer_to_connect_to(int type, int family) {
    return type == TCP ? peer_listen(family) : peer_udp(family);
}

peer_t peer_connected_to(sock_t *socket, int type, int family) {
    return peer_connect(family, raw_type(type), local_port(socket));
}

peer_t connect_to_peer(sock_t *socket, int type, int family) {
    peer_t peer = peer_to_connect_to(type, family);
    CHECK_OK(V(socket)->connect(socket, peer.host, peer.port));
    if (type == TCP) {
        peer_t listener = peer;
        peer = peer_accept(&listener);
        peer_close(&listener);
    }
    return peer;
}

sock_t *connected_pair_of(int type, int family, const config_t *config, peer_t *peer) {
    sock_t *socket = new_socket(type, config);
    *peer = connect_to_peer(socket, type, family);
    return socket;
}

sock_t *connected_pair(int type, peer_t *peer) {
    return connected_pair_of(type, AF_INET, NULL, peer);
}

sock_t *accepted_pair(int type, peer_t *peer) {
    config_t config = reuse_config();
    sock_t *server = bound_socket(type, "127.0.0.1", &config);
    sock_t *socket = new_socket(type, &config);
    *peer = peer_connected_to(server, type, AF_INET);
    if (type != TCP) {
        SYS(send(peer->fd, "hello", 5, 0));
    }
    CHECK_OK(V(server)->accept(server, socket));
    dispose(&server);
    if (type != TCP) {
        expect_text(socket, "hello");
    }
    return socket;
}

void peer_say(const peer_t *peer, sock_t *socket, const char *text) {
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    if (getpeername(peer->fd, (struct sockaddr *) &address, &size) == 0) {
        CHECK_INT(strlen(text), SYS(send(peer->fd, text, strlen(text), 0)));
    } else {
        peer_send_to(peer, local_port(socket), text, strlen(text));
    }
}

void check_works(sock_t *socket, const peer_t *peer) {
    send_text(socket, "still here");
    peer_expect(peer, "still here");
}
