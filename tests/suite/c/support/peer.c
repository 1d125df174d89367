#include "peer.h"

#include <sys/stat.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef SO_COOKIE
#    define SO_COOKIE 57
#endif

static const char *loopback_of(int family) {
    return family == AF_INET6 ? "::1" : "127.0.0.1";
}

socklen_t make_address(struct sockaddr_storage *out, const char *literal, int port) {
    struct sockaddr_in *v4 = (struct sockaddr_in *) out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) out;
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, literal, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t) port);
        return sizeof(*v4);
    }
    if (inet_pton(AF_INET6, literal, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t) port);
        return sizeof(*v6);
    }
    FAIL("%s is no address literal", literal);
}

int port_of(int fd) {
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    SYS(getsockname(fd, (struct sockaddr *) &address, &size));
    if (address.ss_family == AF_INET6) {
        return ntohs(((struct sockaddr_in6 *) &address)->sin6_port);
    }
    return ntohs(((struct sockaddr_in *) &address)->sin_port);
}

void port_text(int port, char text[8]) {
    snprintf(text, 8, "%d", port & 0xFFFF);
}

uint64_t cookie_of(int fd) {
    /* Not SO_COOKIE, which Linux 3.2 lacks: the number of the socket's inode. */
    struct stat status;
    SYS(fstat(fd, &status));
    return status.st_ino;
}

int int_option(int fd, int level, int name) {
    int value = 0;
    socklen_t size = sizeof(value);
    SYS(getsockopt(fd, level, name, &value, &size));
    return value;
}

void set_int_option(int fd, int level, int name, int value) {
    SYS(setsockopt(fd, level, name, &value, sizeof(value)));
}

bool wait_for(int fd, short events, int milliseconds) {
    struct pollfd entry = { fd, events, 0 };
    int ready;
    do {
        ready = poll(&entry, 1, milliseconds);
    } while (ready < 0 && errno == EINTR);
    SYS(ready);
    return ready > 0;
}

static void end_descriptor(void *fd) {
    SYS(close((int) (intptr_t) fd));
}

int held(int fd) {
    defer(end_descriptor, (void *) (intptr_t) fd);
    return fd;
}

void close_held(int fd) {
    undefer(end_descriptor, (void *) (intptr_t) fd);
    SYS(close(fd));
}

/* The kernel looks at one family when it chooses a port. What it chose for the case's
   own socket must not be the peer's too where the families meet. */
static bool other_family_uses_port(const peer_t *peer, int type) {
    struct sockaddr_storage address;
    const char *literal = peer->family == AF_INET6 ? "0.0.0.0" : "::";
    socklen_t size = make_address(&address, literal, atoi(peer->port));
    int fd = socket(address.ss_family, type | SOCK_CLOEXEC, 0);
    bool is_used;
    if (fd < 0) {
        return false;
    }
    if (address.ss_family == AF_INET6) {
        set_int_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    is_used = bind(fd, (struct sockaddr *) &address, size) != 0 && errno == EADDRINUSE;
    SYS(close(fd));
    return is_used;
}

static peer_t peer_bound(int type, const char *literal, int port) {
    struct sockaddr_storage address;
    socklen_t size = make_address(&address, literal, port);
    peer_t peer;
    memset(&peer, 0, sizeof(peer));
    peer.family = address.ss_family;
    peer.host = literal;
    peer.fd = held((int) SYS(socket(peer.family, type | SOCK_CLOEXEC, 0)));
    SYS(bind(peer.fd, (struct sockaddr *) &address, size));
    port_text(port_of(peer.fd), peer.port);
    if (port == 0 && other_family_uses_port(&peer, type)) {
        close_held(peer.fd);
        return peer_bound(type, literal, port);
    }
    return peer;
}

peer_t peer_bound_to(int type, const char *literal, int port) {
    peer_t peer = peer_bound(type, literal, port);
    if (type == SOCK_STREAM) {
        SYS(listen(peer.fd, 128));
    }
    return peer;
}

peer_t peer_udp(int family) {
    return peer_bound_to(SOCK_DGRAM, loopback_of(family), 0);
}

peer_t peer_listen(int family) {
    return peer_bound_to(SOCK_STREAM, loopback_of(family), 0);
}

peer_t peer_connect(int family, int type, const char *port) {
    struct sockaddr_storage address;
    peer_t peer = peer_bound(type, loopback_of(family), 0);
    socklen_t size = make_address(&address, peer.host, atoi(port));
    SYS(connect(peer.fd, (struct sockaddr *) &address, size));
    return peer;
}

void peer_close(peer_t *peer) {
    close_held(peer->fd);
    peer->fd = -1;
}

peer_t peer_accept(const peer_t *listener) {
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    peer_t peer = *listener;
    CHECK(wait_for(listener->fd, POLLIN, 10000));
    peer.fd = held(
            (int) SYS(accept4(listener->fd, (struct sockaddr *) &address, &size, SOCK_CLOEXEC)));
    port_text(port_of(peer.fd), peer.port);
    return peer;
}

void peer_reset(peer_t *peer) {
    struct linger linger = { 1, 0 };
    SYS(setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
    peer_close(peer);
}

void peer_send_to(const peer_t *peer, const char *port, const void *data, size_t size) {
    struct sockaddr_storage address;
    socklen_t address_size = make_address(&address, peer->host, atoi(port));
    CHECK_INT(
            size, SYS(sendto(peer->fd, data, size, 0, (struct sockaddr *) &address, address_size)));
}

size_t peer_receive(const peer_t *peer, void *buffer, size_t size) {
    CHECK(wait_for(peer->fd, POLLIN, 10000));
    return (size_t) SYS(recv(peer->fd, buffer, size, 0));
}

void peer_expect(const peer_t *peer, const char *text) {
    char buffer[2048];
    size_t length = peer_receive(peer, buffer, sizeof(buffer) - 1);
    buffer[length] = '\0';
    CHECK_STR(text, buffer);
}

void peer_expect_nothing(const peer_t *peer) {
    CHECK(!wait_for(peer->fd, POLLIN, 0));
}

refused_t refused(int type) {
    /* The port is taken on a neighbouring address, so that no other program
       gets it as wildcard, and nobody uses the address itself. */
    refused_t place = { "127.0.71.2", "" };
    strcpy(place.port, peer_bound(type, "127.0.71.1", 0).port);
    return place;
}

blackhole_t blackhole_open(int family) {
    blackhole_t hole;
    struct sockaddr_storage address;
    memset(&hole, 0, sizeof(hole));
    hole.listener = peer_bound(SOCK_STREAM, loopback_of(family), 0);
    SYS(listen(hole.listener.fd, 0));
    socklen_t size = make_address(&address, hole.listener.host, atoi(hole.listener.port));
    while (hole.filler_count < (int) (sizeof(hole.fillers) / sizeof(int))) {
        int fd = held((int) SYS(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
        int result = connect(fd, (struct sockaddr *) &address, size);
        CHECK(result == 0 || errno == EINPROGRESS);
        hole.fillers[hole.filler_count++] = fd;
        /* Whether the attempt stays unanswered. */
        if (!wait_for(fd, POLLOUT, 150)) {
            return hole;
        }
    }
    FAIL("a listener with backlog 0 answered four connection attempts");
}

void blackhole_close(blackhole_t *hole) {
    while (hole->filler_count > 0) {
        close_held(hole->fillers[--hole->filler_count]);
    }
    peer_close(&hole->listener);
}
