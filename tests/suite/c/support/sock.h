/*
 * Shorthand for sockets of the library under test. Everything goes through
 * the v-table: V(s)->connect(s, host, port).
 */

#ifndef SOCK_H
#define SOCK_H

#include "anjay_net.h"
#include "check.h"

#include <string.h>

typedef anjay_net_socket_t sock_t;
typedef anjay_net_socket_configuration_t config_t;
typedef anjay_net_socket_opt_value_t value_t;
typedef anjay_net_resolved_endpoint_t endpoint_t;

#define V(Socket) ((Socket)->operations)

#define LEN(Array) (sizeof(Array) / sizeof((Array)[0]))

/* All zero bytes: the default configuration. */
config_t default_config(void);

/* With reuse_addr set. */
config_t reuse_config(void);

/* The same, tied to an interface. */
config_t tied_config(const char *interface);

/* For "localhost" to be 127.0.0.1, whatever /etc/hosts says besides. */
config_t ipv4_config(void);

/* A new socket; `config` may be NULL. It is disposed of when the case ends,
   unless it is already. */
sock_t *new_udp(const config_t *config);
sock_t *new_tcp(const config_t *config);

/* ANJAY_NET_SOCKET_TYPE_TCP or _UDP. */
sock_t *new_socket(int type, const config_t *config);

/* Cleans up and checks that the pointer was set to NULL. */
void dispose(sock_t **socket);

/* The end of the case no longer disposes of it, or does so from now on. */
void disown(sock_t *socket);
void own(sock_t *socket);

/* A socket bound to a port of the system's choice on `address`; a TCP socket
   listens. */
sock_t *bound_socket(int type, const char *address, const config_t *config);
sock_t *bound_udp(const char *address, const config_t *config);
sock_t *listening_tcp(const char *address, const config_t *config);

/* A UDP server to accept from, and what accept fills; both with a wait that is
   long enough for loopback. */
sock_t *udp_server(const char *address);
sock_t *udp_target(void);

/* Where such a server is bound, and the family of a peer that reaches it. */
typedef struct {
    const char *address;
    int peer_family;
} udp_place_t;

extern const udp_place_t UDP_PLACES[5];

/* Options. */
value_t get_opt(sock_t *socket, int key);
int state_of(sock_t *socket);
uint64_t bytes_sent(sock_t *socket);
uint64_t bytes_received(sock_t *socket);
value_t duration_value(int64_t seconds, int32_t nanoseconds);
value_t family_value(int family);
void set_timeout_us(sock_t *socket, int64_t microseconds);

#define CHECK_STATE(State, Socket) CHECK_INT(ANJAY_NET_SOCKET_STATE_##State, state_of(Socket))

/* Statistics. */
anjay_net_stats_t process_stats(void);
anjay_net_socket_stats_t stats_of(const void *socket_or_wrapper);

/* The number that slot 11 points at; -1 when it gives NULL. */
int descriptor_of(sock_t *socket);

/* The methods that write an address, a name or a port as text. */
typedef anjay_net_error_t (*getter_t)(sock_t *socket, char *out, size_t size);
enum { GETTERS = 5 };
getter_t getter_of(sock_t *socket, int index);

/* What they write, in static buffers of their own. */
const char *local_port(sock_t *socket);
const char *local_host(sock_t *socket);
const char *remote_port(sock_t *socket);
const char *remote_host(sock_t *socket);
const char *remote_hostname(sock_t *socket);

/* send and receive of a whole text. */
void send_text(sock_t *socket, const char *text);
void expect_text(sock_t *socket, const char *text);

#endif /* SOCK_H */
