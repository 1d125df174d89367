/*
 * The other end: plain POSIX sockets of the test, on loopback only. They are
 * closed when the case ends, unless they are already.
 */

#ifndef PEER_H
#define PEER_H

#include "check.h"

#include <netinet/in.h>
#include <sys/socket.h>

typedef struct {
    int fd;
    int family;       /* AF_INET or AF_INET6 */
    const char *host; /* "127.0.0.1" or "::1" */
    char port[8];
} peer_t;

/* A socket of SOCK_STREAM, listening, or SOCK_DGRAM, at exactly that place. */
peer_t peer_bound_to(int type, const char *literal, int port);

/* A UDP socket bound to loopback. */
peer_t peer_udp(int family);

/* A TCP socket listening on loopback. */
peer_t peer_listen(int family);

/* A UDP or TCP socket connected to a port on loopback of that family. */
peer_t peer_connect(int family, int type, const char *port);

void peer_close(peer_t *peer);

/* Accepts one connection. */
peer_t peer_accept(const peer_t *listener);

/* Closes a TCP connection with a reset. */
void peer_reset(peer_t *peer);

/* A datagram from an unconnected peer to a port on its loopback address. */
void peer_send_to(const peer_t *peer, const char *port, const void *data, size_t size);

/* Waits for bytes (10 s at most), takes what is there, gives its length. */
size_t peer_receive(const peer_t *peer, void *buffer, size_t size);

/* As before, and compares it with a text. */
void peer_expect(const peer_t *peer, const char *text);

/* Fails if anything has arrived. */
void peer_expect_nothing(const peer_t *peer);

/* Waits until `fd` reports one of `events`; false after `milliseconds`. */
bool wait_for(int fd, short events, int milliseconds);

/* An IPv4 address and port on loopback where nothing listens until the case ends;
   type is SOCK_DGRAM or SOCK_STREAM. */
typedef struct {
    char host[16];
    char port[8];
} refused_t;

refused_t refused(int type);

/* A TCP endpoint that answers no connection attempt: a listener with a full
   backlog, which up to four descriptors fill. */
typedef struct {
    peer_t listener;
    int fillers[4];
    int filler_count;
} blackhole_t;

blackhole_t blackhole_open(int family);
void blackhole_close(blackhole_t *hole);

/* The descriptor, which is closed when the case ends, or earlier. */
int held(int fd);
void close_held(int fd);

/* Port of a bound descriptor, as text and as number. */
int port_of(int fd);
void port_text(int port, char text[8]);

/* The socket's identity in the kernel, the same for all its descriptors. */
uint64_t cookie_of(int fd);

/* An integer socket option of a descriptor. */
int int_option(int fd, int level, int name);
void set_int_option(int fd, int level, int name, int value);

/* Fills a sockaddr for loopback (or another literal). */
socklen_t make_address(struct sockaddr_storage *out, const char *literal, int port);

#endif /* PEER_H */
