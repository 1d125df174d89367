/*
 * watched_client METRICS CAPTURE: exchanges CoAP with plain peers over UDP,
 * IPv4 and IPv6, and over TCP, while it is captured, and writes its metrics.
 * Prints the peers' ports and what the statistics say.
 */

#include "anjay_net.h"
#include "peer.h"
#include "sock.h"

#include <stdio.h>
#include <unistd.h>

/* RFC 7252: a confirmable GET of /test, and the answer. */
static const char GET[] = "\x40\x01\x12\x34\xb4test";
static const char CONTENT[] = "\x60\x45\x12\x34\xff" "hello";
/* RFC 8323: capabilities, then the same. */
static const char CSM[] = "\x00\xe1";
static const char GET_ON_TCP[] = "\x50\x01\xb4test";
static const char CONTENT_ON_TCP[] = "\x60\x45\xff" "hello";

#define TEXT(Bytes) (Bytes), (sizeof(Bytes) - 1)

static void expect(sock_t *socket, const char *data, size_t size) {
    char buffer[64];
    size_t got;
    CHECK_OK(V(socket)->receive(socket, &got, buffer, sizeof(buffer)));
    CHECK_INT(size, got);
    CHECK_BYTES(data, buffer, size);
}

static void peer_expect_bytes(const peer_t *peer, const char *data, size_t size) {
    char buffer[64];
    CHECK_INT(size, peer_receive(peer, buffer, sizeof(buffer)));
    CHECK_BYTES(data, buffer, size);
}

static void connected_udp(void) {
    peer_t peer = peer_udp(AF_INET);
    sock_t *socket = new_udp(NULL);
    CHECK_OK(V(socket)->connect(socket, peer.host, peer.port));
    CHECK_OK(V(socket)->send(socket, TEXT(GET)));
    peer_expect_bytes(&peer, TEXT(GET));
    peer_send_to(&peer, local_port(socket), TEXT(CONTENT));
    expect(socket, TEXT(CONTENT));
    printf("udp %s\n", peer.port);
    dispose(&socket);
    peer_close(&peer);
}

/* Bound to the wildcard: only the routing table knows the source address. */
static void bound_udp_over_ipv6(void) {
    peer_t peer = peer_udp(AF_INET6);
    sock_t *socket = new_udp(NULL);
    char host[64], port[8], buffer[64];
    size_t got;
    CHECK_OK(V(socket)->bind(socket, "", ""));
    CHECK_OK(V(socket)->send_to(socket, TEXT(GET), "::1", peer.port));
    peer_expect_bytes(&peer, TEXT(GET));
    peer_send_to(&peer, local_port(socket), TEXT(CONTENT));
    CHECK_OK(V(socket)->receive_from(socket, &got, buffer, sizeof(buffer), host,
                                     sizeof(host), port, sizeof(port)));
    CHECK_BYTES(CONTENT, buffer, got);
    printf("udp %s\n", peer.port);
    dispose(&socket);
    peer_close(&peer);
}

static void tcp(void) {
    peer_t listener = peer_listen(AF_INET);
    sock_t *socket = new_tcp(NULL);
    peer_t peer;
    char nothing[1];
    size_t got;
    CHECK_OK(V(socket)->connect(socket, listener.host, listener.port));
    peer = peer_accept(&listener);
    CHECK_OK(V(socket)->send(socket, TEXT(CSM)));
    CHECK_OK(V(socket)->send(socket, TEXT(GET_ON_TCP)));
    SYS(send(peer.fd, TEXT(CSM), 0));
    expect(socket, TEXT(CSM));
    SYS(send(peer.fd, TEXT(CONTENT_ON_TCP), 0));
    expect(socket, TEXT(CONTENT_ON_TCP));
    SYS(shutdown(peer.fd, SHUT_WR));
    CHECK_OK(V(socket)->receive(socket, &got, nothing, sizeof(nothing)));
    CHECK_INT(0, got);
    printf("tcp %s\n", listener.port);
    dispose(&socket);
    peer_close(&peer);
    peer_close(&listener);
}

static void tcp_to_nobody(void) {
    refused_t nobody = refused(SOCK_STREAM);
    sock_t *socket = new_tcp(NULL);
    CHECK_ERR(ECONNREFUSED, V(socket)->connect(socket, nobody.host, nobody.port));
    dispose(&socket);
}

int main(int argc, char **argv) {
    anjay_net_stats_t stats;
    check_begin("watched_client");
    if (argc != 3) {
        return 2;
    }
    CHECK_INT(0, anjay_net_capture_start(argv[2], NULL));
    connected_udp();
    bound_udp_over_ipv6();
    tcp();
    tcp_to_nobody();
    CHECK_INT(0, anjay_net_capture_stop());
    CHECK_INT(0, anjay_net_stats_write(argv[1]));
    stats = process_stats();
    printf("bytes_sent %d\n", (int) stats.bytes_sent);
    printf("datagrams_received %d\n", (int) stats.datagrams_received);
    return 0;
}
