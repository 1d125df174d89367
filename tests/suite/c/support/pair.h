/*
 * A socket of the library under test with a plain peer at its other end, over
 * 127.0.0.1.
 */

#ifndef PAIR_H
#define PAIR_H

#include "peer.h"
#include "sock.h"

/* Made by connect; of type ANJAY_NET_SOCKET_TYPE_TCP or _UDP. */
sock_t *connected_pair(int type, peer_t *peer);

/* Made by accept. */
sock_t *accepted_pair(int type, peer_t *peer);

/* The socket still talks to the peer. */
void check_works(sock_t *socket, const peer_t *peer);

#endif /* PAIR_H */
