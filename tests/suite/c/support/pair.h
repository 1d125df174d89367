/*
 * A socket of the library under test with a plain peer at its other end, over
 * loopback.
 */

#ifndef PAIR_H
#define PAIR_H

#include "peer.h"
#include "sock.h"

/* Made by connect, over IPv4; of type ANJAY_NET_SOCKET_TYPE_TCP or _UDP. */
sock_t *connected_pair(int type, peer_t *peer);

/* The same over AF_INET or AF_INET6; `config` may be NULL. */
sock_t *connected_pair_of(int type, int family, const config_t *config, peer_t *peer);

/* A socket that exists already, connected to a new peer. */
peer_t connect_to_peer(sock_t *socket, int type, int family);

/* Made by accept. */
sock_t *accepted_pair(int type, peer_t *peer);

/* SOCK_STREAM or SOCK_DGRAM. */
int raw_type(int type);

/* What a socket of that type connects to: a UDP socket or a TCP listener. */
peer_t peer_to_connect_to(int type, int family);

/* Something of the other type that connects to the socket. */
peer_t peer_connected_to(sock_t *socket, int type, int family);

/* The peer sends this text to the socket, on their connection if there is one. */
void peer_say(const peer_t *peer, sock_t *socket, const char *text);

/* The socket talks to the peer, as before. */
void check_works(sock_t *socket, const peer_t *peer);

#endif /* PAIR_H */
